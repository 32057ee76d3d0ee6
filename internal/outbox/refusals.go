package outbox

import (
	"errors"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/hooks"
)

// Refusals tell of messages that are not accepted. The zero value tells nobody.
type Refusals struct {
	hooks   []hooks.RefusalHook
	invalid error
}

// NewRefusals are for those who are to be told. What matches invalid is a draft that cannot
// be sent.
func NewRefusals(all []hooks.Hook, invalid error) Refusals {
	return Refusals{hooks.Of[hooks.RefusalHook](all), invalid}
}

// Tell tells of one, if err is one, and returns err.
func (l *Refusals) Tell(conversation int64, guid string, err error) error {
	if err == nil || len(l.hooks) == 0 {
		return err
	}
	r := hooks.Refusal{Conversation: conversation, GUID: guid, Reason: l.reason(err), Err: err}
	for _, h := range l.hooks {
		h.OnRefusal(r)
	}
	return err
}

// reason is why a message was not accepted.
func (l *Refusals) reason(err error) hooks.RefusalReason {
	if _, stored := errors.AsType[*storeError](err); stored {
		return hooks.RefusedStorage
	}
	switch {
	case errors.Is(err, ErrFull):
		return hooks.RefusedFull
	case errors.Is(err, l.invalid), errors.Is(err, datasource.ErrRowLimit):
		return hooks.RefusedInvalid
	}
	return hooks.RefusedOther
}
