package cache

import (
	"context"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
)

// saveEvery bounds how often the newest messages are written.
const saveEvery = 5 * time.Second

// Messages returns the newest messages that were stored, oldest first, and the time
// up to which every change is in them, or 0. A Store that fails is as good as empty.
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

// Seen notes the rows that answered a query of the receive engine, and stores the
// newest now and then. What is not stored yet [User.Save] stores.
func (u *User) Seen(ctx context.Context, q feed.Query, rows []datasource.Entry) {
	if !u.cache.cfg.KeepsMessages || u.forgotten() {
		return
	}
	if !u.recent.opened() {
		u.recent.open(u.load(ctx))
	}
	if u.recent.note(q, rows, u.cache.cfg.Page) {
		u.saveMessages(ctx)
		u.recent.rest()
	}
	if u.forgotten() {
		u.recent.drop()
	}
}

// Save stores what Seen has not stored yet. It belongs at the end of a polling loop.
func (u *User) Save() {
	if u.recent.unsaved() {
		u.saveMessages(context.Background()) // try bounds it
	}
}

func (u *User) saveMessages(ctx context.Context) {
	u.try(ctx, "caching failed", func(ctx context.Context) error {
		// Taken when it is the user's turn, so that the newest is written last.
		return u.set(ctx, "messages", u.recent.page(u.cache.cfg.Page))
	})
}
