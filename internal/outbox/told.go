package outbox

import (
	"log/slog"

	"github.com/fliplet/fliplet-chat-go/hooks"
)

// Told are all who are told of the messages of a Chat.
type Told struct {
	Sends
	Refusals
	*Notifier // nil without an outbox that somebody watches
}

// nobody is that of most Chats, of which a process may have thousands. It is not changed.
var nobody Told

// NewTold are those among some hooks, and a Notifier if there is an outbox that has something
// to tell. What matches invalid is a draft that cannot be sent.
func NewTold(all []hooks.Hook, invalid error, watched bool, log *slog.Logger) *Told {
	t := Told{Sends: hooks.Of[hooks.SendHook](all)}
	if watched {
		t.Refusals, t.Notifier = NewRefusals(all, invalid), NewNotifier(log)
	}
	if t.Sends == nil && !watched {
		return &nobody
	}
	return &t
}
