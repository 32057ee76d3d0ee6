package outbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
)

// Verdict is what a failure says about a message. Everything that decides whether a
// message is given up is in this file.
type Verdict uint8

const (
	// Later: nothing, since no request was made, or it was given up here. It is tried again
	// for as long as it takes.
	Later Verdict = iota
	// Passing: there was no answer, or one that does not mean this message, but how many there
	// are, or the user. That speaks against it only if others are stored meanwhile.
	Passing
	// Unavailable: the server says that it cannot serve now. That speaks against the
	// message if others are stored meanwhile, and a little if its look-ups are answered and
	// no other conversation finds that.
	Unavailable
	// Failing: there was an answer, with a failure that is not final: one of the server,
	// or of somebody on the way to it. That speaks against the message if the server
	// answers others meanwhile.
	Failing
	// Refusing: it refuses the message, in a form that gateways have, too. That is final
	// when it was said often enough, and the message is kept.
	Refusing
	// Refused: the security rules do not allow it, and no later attempt will succeed.
	Refused
)

const (
	// confirmations is how often in a row a message is refused before that is final.
	confirmations = 3
	// refusing is for how long look-ups of a message are refused at least before that is
	// final. Who refuses them refuses everything, so it says nothing about the message, and
	// may be something on the way to the service that will let the next one through.
	refusing = 10 * time.Minute
	// patience is how many times MaxAttempts inserts find the server unavailable, while it
	// answers look-ups, before a message is given up that was the only one to find that.
	patience = 10
	// pingEvery is after how many such inserts there is a look-up.
	pingEvery = 5
)

// Judge says what the failure of a request means. Only the security rules of the service
// refuse in words that nobody else has. A proxy, gateway or firewall gives every other
// status there is, also in JSON with a message, type or code, and lets the next attempt
// through: what looks like a refusal of the service has to come several times in a row.
func Judge(err error) Verdict {
	answer, ok := errors.AsType[*datasource.Error](err)
	switch {
	case ok:
	case answered(err):
		return Failing
	case datasource.Temporary(err), datasource.Doubtful(err) && !errors.Is(err, context.Canceled):
		return Passing
	default:
		return Later
	}
	switch code := answer.StatusCode; {
	case code == 408, code == 425, code == 502, code == 503, code == 504:
		return Unavailable
	case code >= 500:
		return Failing
	case code == 429:
		return Passing
	case errors.Is(err, datasource.ErrAccessDenied):
		return Refused
	case answer.FromService && (code == 400 || code == 403 || code == 404 || code == 422):
		return Refusing
	}
	return Failing
}

// PassedOn reports whether a refusal is one that a gateway may have given after it passed
// the message on. The other statuses say that it did not.
func PassedOn(err error) bool {
	answer, ok := errors.AsType[*datasource.Error](err)
	return ok && !answer.Coded() && !slices.Contains([]int{301, 302, 303, 307, 308, 408, 413, 414, 421, 425, 429, 431}, answer.StatusCode)
}

// answered reports whether an insert had an answer of success that does not hold the
// message, or makes no sense.
func answered(err error) bool {
	return datasource.Doubtful(err) && !datasource.Temporary(err) &&
		!errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled)
}

// trial counts the failures of one message's calls that were its own: since each of
// them the server has answered other calls. In an outage nothing is answered, so
// nothing is counted.
type trial struct {
	last        Verdict // of the last failure, until it is counted
	others      int     // how many messages were stored when it came
	own         int
	refusals    int       // in a row
	refused     time.Time // when the first of them came
	pending     int       // that found the server unavailable since a look-up was answered
	unavailable int       // those before
}

// failed notes a failure. stored is how many messages were stored so far.
func (t *trial) failed(now time.Time, v Verdict, stored int) {
	t.heard(stored)
	t.last, t.others = v, stored
	if v != Refusing {
		t.refusals = 0
	} else if t.refusals++; t.refusals == 1 {
		t.refused = now
	}
	if v == Unavailable {
		t.pending++
	}
}

// heard counts the last failure if another message was stored since.
func (t *trial) heard(stored int) {
	if t.last > Later && stored > t.others {
		t.last = Later
		t.own++
	}
}

// answered counts the last failure if it was one of the call, since the server has
// now answered a look-up of the same message. alone: no other conversation has found the
// server unavailable.
func (t *trial) answered(stored int, alone bool) {
	t.heard(stored)
	if t.last >= Failing {
		t.last = Later
		t.own++
	}
	if alone {
		t.unavailable += t.pending
	}
	t.pending = 0
}

// spent says why there is no further attempt, "" if there is one. least is for how long
// the call was refused then.
func (t *trial) spent(now time.Time, most int, least time.Duration) string {
	switch {
	case t.refusals >= min(confirmations, most) && now.Sub(t.refused) >= least:
		return fmt.Sprintf("refused %d times in a row", t.refusals)
	case t.own >= most:
		return fmt.Sprintf("given up after %d attempts that failed while the server answered other calls", most)
	case t.unavailable >= patience*most:
		return fmt.Sprintf("given up after %d attempts that found the server unavailable while it answered look-ups", t.unavailable)
	}
	return ""
}
