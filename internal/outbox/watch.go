package outbox

import (
	"context"
	"sync"
	"time"

	"github.com/fliplet/fliplet-chat-go/hooks"
	"github.com/fliplet/fliplet-chat-go/internal/life"
)

// watch is who is told of what becomes of messages, and of the claim. It is nil when
// nobody is. None of it is called with the outbox's mu held.
type watch struct {
	messages []hooks.OutboxHook
	leases   []hooks.LeaseHook
	life     *life.Life

	mu      sync.Mutex
	told    []hooks.Lease // what is still to be told
	telling bool          // a goroutine does
}

func newWatch(all []hooks.Hook, in *life.Life) *watch {
	w := &watch{messages: hooks.Of[hooks.OutboxHook](all), leases: hooks.Of[hooks.LeaseHook](all), life: in}
	if w.messages == nil && w.leases == nil {
		return nil
	}
	return w
}

// teller is what the Notifier calls: the hooks, and then onChange, which may be nil. It
// is nil if nobody is to be told.
func (w *watch) teller(onChange func(Change)) func(Change) {
	if w == nil || w.messages == nil {
		return onChange
	}
	return func(c Change) {
		o := hooks.Outbox{
			Conversation: c.Record.Conversation, GUID: c.Record.GUID, State: hooks.OutboxState(c.State),
			Waited: max(0, time.Since(c.Record.QueuedAt)), Attempts: c.Attempts, Err: c.Err, Kept: c.Kept, Pending: c.Pending,
		}
		for _, h := range w.messages {
			h.OnOutbox(o)
		}
		if onChange != nil {
			onChange(c)
		}
	}
}

// leased tells what became of the claim, soon: whoever notices it may be a call of the
// program, and keeps others from the registry.
func (w *watch) leased(e hooks.LeaseEvent, err error) {
	if w == nil || w.leases == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	l := hooks.Lease{Event: e, Err: err}
	if n := len(w.told); n > 0 && w.told[n-1].Event == e {
		w.told[n-1] = l // failing again, while a hook is slow
		return
	}
	w.told = append(w.told, l)
	if w.telling {
		return
	}
	w.telling = true
	counted := w.life.Join()
	go func() {
		if counted {
			defer w.life.Leave()
		}
		for l, ok := w.next(); ok; l, ok = w.next() {
			for _, h := range w.leases {
				h.OnLease(l)
			}
		}
	}()
}

// next takes what is to be told next.
func (w *watch) next() (l hooks.Lease, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.told) == 0 {
		w.told, w.telling = nil, false
		return l, false
	}
	l, w.told = w.told[0], w.told[1:]
	return l, true
}

// Sends are those who are told of attempts to store a message.
type Sends []hooks.SendHook

// Begin tells of an attempt. The context is the one to make it with; end tells how it
// ended.
func (l Sends) Begin(ctx context.Context, conversation int64, guid string) (_ context.Context, end func(error)) {
	if len(l) == 0 {
		return ctx, untold
	}
	s := hooks.Send{Conversation: conversation, GUID: guid}
	for _, h := range l {
		ctx = h.OnSendStart(ctx, s)
	}
	began := time.Now()
	return ctx, func(err error) {
		for _, h := range l {
			h.OnSendEnd(ctx, s, hooks.Outcome{Duration: time.Since(began), Err: err})
		}
	}
}

func untold(error) {}
