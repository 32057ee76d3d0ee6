package conform

import (
	"fmt"
	"time"
)

// Known is how a fact is known, as in docs/protocol.md.
type Known string

// What is known by these may turn out to be wrong: that is a failure for the first three and an
// answer to an open question for the last.
const (
	Documented Known = "documented"
	Seen       Known = "seen"
	Inferred   Known = "inferred"
	Open       Known = "open"
)

// Probe asks one question.
type Probe struct {
	ID      string // stable, and a column of expected results
	Section string // the heading of docs/protocol.md that has the fact
	Fact    string // a sentence
	Known   Known
	Expect  string   // the answer that the SDK assumes
	Copes   []string // other answers that it works with
	ask     func(*asker) string
}

// Verdict is what an answer means.
type Verdict string

// The verdicts.
const (
	AsDocumented  Verdict = "documented"    // as it is known to be
	Tolerated     Verdict = "tolerated"     // otherwise, and the SDK works with it
	Informational Verdict = "informational" // the answer to an open question
	Fails         Verdict = "fails"         // otherwise, and the SDK relies on it
	Skipped       Verdict = "skipped"       // could not be asked
)

// Result is the answer to a probe.
type Result struct {
	ID       string  `json:"id"`
	Section  string  `json:"section"`
	Fact     string  `json:"-"`
	Known    Known   `json:"known"`
	Expect   string  `json:"expected"`
	Verdict  Verdict `json:"verdict"`
	Observed string  `json:"observed"` // a fixed phrase or the reason of a skip; never a text of the service
	Local    string  `json:"local"`    // what the local Fliplet answers
	// Measured is how late something was, or how much fitted.
	Measured int64  `json:"measured,omitempty"`
	Unit     string `json:"unit,omitempty"`

	Unexpected string        `json:"-"` // how it differs from the file of expected results
	Took       time.Duration `json:"-"`
}

// AsLocal reports whether the local Fliplet gives the same answer.
func (r *Result) AsLocal() bool { return r.Observed == r.Local }

// verdict judges an answer.
func (p *Probe) verdict(observed string) Verdict {
	if p.Known == Open {
		return Informational
	}
	if observed == p.Expect {
		return AsDocumented
	}
	for _, other := range p.Copes {
		if observed == other {
			return Tolerated
		}
	}
	return Fails
}

// skipped ends a probe that cannot ask.
type skipped struct{ why string }

// stopped ends a run: the service or the network failed, or the user does not want any more.
type stopped struct{ err error }

// asker is what a probe asks with.
type asker struct {
	*run
	measured int64
	unit     string
}

// skip ends the probe. It panics, as the helpers of a probe are many and deep, and the runner
// recovers.
func (a *asker) skip(format string, args ...any) {
	panic(skipped{fmt.Sprintf(format, args...)})
}

// measure notes a number beside the answer.
func (a *asker) measure(n int64, unit string) { a.measured, a.unit = n, unit }
