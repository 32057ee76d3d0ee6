package cache

import (
	"context"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
)

// saveEvery is the shortest time between two writes of the newest messages.
const saveEvery = 5 * time.Second

// Messages returns the newest messages that were stored, oldest first, and the time
// up to which they have every change, or 0. A Store that fails counts as empty.
func (u *User) Messages(ctx context.Context) ([]datasource.Entry, feed.Time) {
	p := u.load(ctx)
	return entries(p.Rows), p.Upto
}

func (u *User) load(ctx context.Context) (p page) {
	if ok, err := u.cache.tryLoad(ctx, u.cache.Key(u.id, "messages"), &p); !ok || err != nil {
		return page{}
	}
	return p
}

// Seen records the rows that answered a query of the receive engine, and stores the
// newest from time to time. [User.Save] stores the rest. clock is the server's time of
// the answer.
func (u *User) Seen(ctx context.Context, q feed.Query, rows []datasource.Entry, clock feed.Time) {
	if !u.cache.cfg.KeepsMessages || u.forgotten() {
		return
	}
	if !u.recent.opened() {
		u.recent.open(u.load(ctx))
	}
	if u.recent.note(q, rows, clock, u.cache.cfg.Page) {
		u.saveMessages(ctx)
		u.recent.postpone()
	}
	if u.forgotten() {
		u.recent.drop()
	}
}

// Save stores what Seen has not stored yet. Call it at the end of a polling loop.
func (u *User) Save() {
	if u.recent.unsaved() {
		u.saveMessages(context.Background())
	}
}

func (u *User) saveMessages(ctx context.Context) {
	u.later(ctx, &write{name: "messages", failed: "caching failed", undone: u.recent.soil, change: func(ctx context.Context) error {
		// Read under the lock, so that the newest page is written last.
		return u.set(ctx, "messages", u.recent.page(u.cache.cfg.Page))
	}})
}
