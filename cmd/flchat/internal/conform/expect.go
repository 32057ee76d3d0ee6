package conform

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
)

// expected is what somebody expects of a probe.
type expected struct {
	Verdict  Verdict `json:"verdict"`
	Observed string  `json:"observed"`
}

// Expectation is what is expected of an account, by probe.
type Expectation map[string]expected

// ReadExpectation reads a file that [Report.Expectation] has made. An error says what to do.
func ReadExpectation(name string) (Expectation, error) {
	text, err := os.ReadFile(name) //nolint:gosec // the user names it
	if err != nil {
		return nil, &UsageError{fmt.Sprintf("--expect: %s; --write-expect makes one", err)}
	}
	var out Expectation
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&out); err != nil {
		return nil, &UsageError{fmt.Sprintf("--expect: %s is not what --write-expect writes: %s", name, err)}
	}
	known, verdicts := Probes(), []Verdict{AsDocumented, Tolerated, Informational, Fails, Skipped}
	for id, e := range out {
		if !slices.ContainsFunc(known, func(p Probe) bool { return p.ID == id }) {
			return nil, &UsageError{fmt.Sprintf("--expect: %s: there is no probe %q; take it out, or write the file anew with --write-expect", name, id)}
		}
		if !slices.Contains(verdicts, e.Verdict) {
			return nil, &UsageError{fmt.Sprintf("--expect: %s: %s: there is no verdict %q; use documented, tolerated, informational, fails or skipped", name, id, e.Verdict)}
		}
	}
	return out, nil
}

// Expectation is what a later run has to find to be the same.
func (r *Report) Expectation() []byte {
	out := Expectation{}
	for i := range r.Results {
		out[r.Results[i].ID] = expected{r.Results[i].Verdict, r.Results[i].Observed}
	}
	text, err := json.MarshalIndent(out, "", "  ")
	if err != nil {
		panic(err) // texts
	}
	return append(text, '\n')
}

// Compare marks the results that are not as expected, those that are better than expected, too. What is
// not in the file is expected not to fail.
func (r *Report) Compare(e Expectation) {
	for i := range r.Results {
		res := &r.Results[i]
		want, known := e[res.ID]
		switch {
		case !known && res.Verdict == Fails:
			res.Unexpected = "fails"
		case !known, want.Verdict == res.Verdict && (want.Observed == res.Observed || res.Verdict == Skipped):
		case want.Verdict == Fails:
			res.Unexpected = fmt.Sprintf("was expected to fail, and is now %s: %s", res.Verdict, res.Observed)
		default:
			res.Unexpected = fmt.Sprintf("was expected to be %s: %s", want.Verdict, want.Observed)
		}
	}
}

// Unexpected is how many results are not as expected.
func (r *Report) Unexpected() (n int) {
	for i := range r.Results {
		if r.Results[i].Unexpected != "" {
			n++
		}
	}
	return n
}

// Count is how many results have a verdict.
func (r *Report) Count(v Verdict) (n int) {
	for i := range r.Results {
		if r.Results[i].Verdict == v {
			n++
		}
	}
	return n
}

// Differs is how many answers are not those of the local Fliplet.
func (r *Report) Differs() (n int) {
	for i := range r.Results {
		if r.Results[i].Verdict != Skipped && !r.Results[i].AsLocal() {
			n++
		}
	}
	return n
}
