package outbox

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/life"
)

// Change is what happened to a message.
type Change struct {
	Record Record
	State  State
	Row    *datasource.Entry // as stored, when State is Stored; it is shared
	Err    error             // why it failed, or why the last attempt did
	// Attempts counts the requests of this process that failed, look-ups included.
	Attempts int
	Kept     bool // it was given up, and stays stored
	Pending  int  // messages that are left to send
}

// Notifier tells what becomes of messages, in order and one call at a time, also
// when several outboxes share it, one after another. It runs a goroutine while
// there is something to tell. Of each message it keeps the newest state only, so
// that a listener that is slow costs no more than the messages do. A listener that
// panics is logged.
type Notifier struct {
	log  *slog.Logger
	life *life.Life

	mu      sync.Mutex
	list    []*notice
	last    map[*Sending]*notice
	telling bool
	over    bool // nothing more is told
}

type notice struct {
	of     *Sending
	tell   func(Change)
	change Change
}

// NewNotifier returns a notifier that has nothing to tell yet.
func NewNotifier(log *slog.Logger) *Notifier {
	return &Notifier{log: log, life: life.New(context.Background()), last: map[*Sending]*notice{}}
}

// Wait returns when everything was told, or with the cause of ctx. A nil Notifier
// has nothing to tell.
func (n *Notifier) Wait(ctx context.Context) error {
	if n == nil {
		return nil
	}
	return n.life.Wait(ctx)
}

// Stop makes the notifier tell nothing more. A call that runs goes on.
func (n *Notifier) Stop() {
	if n == nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.over, n.list = true, nil
	clear(n.last)
}

// len is how much is to be told.
func (n *Notifier) len() int {
	if n == nil {
		return 0
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.list)
}

// note notes a change, to be told soon.
func (n *Notifier) note(s *Sending, tell func(Change), c Change) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.over {
		return
	}
	if p := n.last[s]; p != nil {
		p.change = c
		return
	}
	p := &notice{s, tell, c}
	n.list, n.last[s] = append(n.list, p), p
	if !n.telling {
		n.telling = n.life.Go(n.run)
	}
}

// run tells until there is nothing left.
func (n *Notifier) run() {
	for p := n.next(); p != nil; p = n.next() {
		n.call(p)
	}
}

func (n *Notifier) next() *notice {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.list) == 0 {
		n.list, n.telling = nil, false
		return nil
	}
	p := n.list[0]
	n.list = n.list[1:]
	delete(n.last, p.of)
	return p
}

func (n *Notifier) call(p *notice) {
	defer func() {
		if r := recover(); r != nil {
			// The value is the caller's and may hold anything.
			n.log.Error("OutboxOptions.OnChange panicked", "type", fmt.Sprintf("%T", r))
		}
	}()
	p.tell(p.change)
}
