package outbox

import (
	"errors"
	"fmt"

	"github.com/fliplet/fliplet-chat-go/datasource"
)

// Verdict is what a failure says about a message. Everything that decides whether a
// message is given up is in this file.
type Verdict uint8

const (
	// Later: nothing. It is tried again for as long as it takes, as in an outage.
	Later Verdict = iota
	// Unavailable: the server says that it cannot serve now. That speaks against the
	// message only if others are stored meanwhile.
	Unavailable
	// Failing: there was an answer, with a failure that is not final: one of the server,
	// or of somebody on the way to it. That speaks against the message if the server
	// answers others meanwhile.
	Failing
	// Refusing: it refuses the message, in a form that gateways have, too. That is final
	// when it was said often enough, and the message is kept.
	Refusing
	// Refused: no later attempt will succeed.
	Refused
)

const (
	// confirmations is how often in a row a message is refused before that is final.
	confirmations = 3
	// patience is how many times MaxAttempts inserts find the server unavailable, while it
	// answers look-ups, before a message is given up that was the only one to find that.
	patience = 10
	// pingEvery is after how many such inserts there is a look-up.
	pingEvery = 5
)

// Judge says what the failure of a request means. Only the service itself can refuse: in
// its own form, and with a status that it is known to give to what it will not take. A
// proxy or firewall gives every status there is, and lets the next attempt through, and
// its JSON may have a message, too: what only the service has is a type or code beside it.
// A valid token repairs 401, and time repairs 408, 425 and 429.
func Judge(err error) Verdict {
	answer, ok := errors.AsType[*datasource.Error](err)
	if !ok || errors.Is(err, datasource.ErrUnauthorized) {
		return Later
	}
	switch code := answer.StatusCode; {
	case code == 502, code == 503, code == 504:
		return Unavailable
	case code >= 500:
		return Failing
	case code == 408, code == 425, code == 429, code < 400, datasource.Doubtful(err):
		return Later
	case errors.Is(err, datasource.ErrAccessDenied):
		return Refused
	case answer.FromService && (code == 400 || code == 403 || code == 404 || code == 422):
		if !answer.Coded() {
			return Refusing
		}
		return Refused
	}
	return Failing
}

// trial counts the failures of one message's calls that were its own: since each of
// them the server has answered other calls. In an outage nothing is answered, so
// nothing is counted.
type trial struct {
	last        Verdict // of the last failure, until it is counted
	others      int     // how many messages were stored when it came
	own         int
	refusals    int // in a row
	pending     int // that found the server unavailable since a look-up was answered
	unavailable int // those before
}

// failed notes a failure. stored is how many messages were stored so far.
func (t *trial) failed(v Verdict, stored int) {
	t.heard(stored)
	t.last, t.others = v, stored
	if v == Refusing {
		t.refusals++
	} else {
		t.refusals = 0
	}
	if v == Unavailable {
		t.pending++
	}
}

// heard counts the last failure if another message was stored since.
func (t *trial) heard(stored int) {
	if t.last >= Unavailable && stored > t.others {
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

// spent says why there is no further attempt, "" if there is one.
func (t *trial) spent(most int) string {
	switch {
	case t.refusals >= min(confirmations, most):
		return fmt.Sprintf("refused %d times in a row", t.refusals)
	case t.own >= most:
		return fmt.Sprintf("given up after %d attempts that failed while the server answered other calls", most)
	case t.unavailable >= patience*most:
		return fmt.Sprintf("given up after %d attempts that found the server unavailable while it answered look-ups", t.unavailable)
	}
	return ""
}
