package hub

import (
	"context"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/fleet"
)

// relisting is the reading of the list of conversations for those who poll.
type relisting struct {
	turn  chan struct{} // has a value while somebody reads it
	asked time.Time     // when that was last, with success
}

// Poll reads what is new in the user's conversations, those included that no list has shown yet, and
// returns when it is in the log. It takes a request for the list, which all who poll at the
// same time share, and one for 100 conversations. It does nothing for nil.
//
// Errors: that of the server; the cause of ctx.
func (d *Desk) Poll(ctx context.Context) error {
	if d == nil {
		return nil
	}
	if err := d.h.relist(ctx); err != nil {
		return err
	}
	return d.h.driver.Read(ctx, d.everything())
}

// everything are the conversations that the user is in by the last list, and by a call of theirs.
func (d *Desk) everything() (ids []int64) {
	d.h.driver.With(func(*fleet.Fleet, time.Time) { ids = d.inbox.Conversations() })
	d.h.mu.Lock()
	defer d.h.mu.Unlock()
	return append(ids, d.h.of[d.id]...)
}

// relist reads the list of conversations, unless somebody else begins to.
func (h *Hub) relist(ctx context.Context) error {
	r, began := &h.relisting, time.Now()
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	asked := time.Now()
	if !r.asked.Before(began) {
		return nil
	}
	a, err := h.Ask(ctx, fleet.Relist())
	if err != nil {
		return err
	}
	r.asked = asked
	h.driver.List(a.Listed)
	return nil
}

// Heard is when the server has last answered a request for everybody.
func (h *Hub) Heard() (at time.Time) {
	h.driver.With(func(f *fleet.Fleet, _ time.Time) { at = f.Heard() })
	return at
}
