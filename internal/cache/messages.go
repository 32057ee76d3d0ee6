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
	if ok, err := u.cache.tryLoad(ctx, u.cache.Key(u.id(), "messages"), &p); !ok || err != nil {
		return page{}
	}
	return p
}

// Seen records the rows that answered a query of the receive engine, and stores the
// newest from time to time. [User.Saver] stores the rest. clock is the server's time of
// the answer.
func (u *User) Seen(ctx context.Context, q feed.Query, rows []datasource.Entry, clock feed.Time) {
	if !u.cache.keepsMessages() || u.forgotten() {
		return
	}
	if begin, done := u.recent.opening(); done != nil {
		if begin && !u.cache.background(func() { u.open(done) }) {
			u.open(done) // everything else has ended
		}
		if !moment(ctx, done) {
			u.account.writes.hung()
		}
	}
	if u.recent.note(q, rows, clock, u.cache.cfg.Page) {
		u.saveMessages(ctx)
		u.recent.postpone()
	}
	if u.forgotten() {
		u.recent.drop()
	}
}

// open takes over what an earlier session stored. Answers do not wait for it.
func (u *User) open(done chan struct{}) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	release := u.cache.whenClosing(cancel)
	defer release()
	u.recent.open(u.load(ctx), u.cache.cfg.Page)
	if u.forgotten() {
		u.recent.drop()
	}
	close(done)
}

// moment waits as long as a Store that is well takes at most. It reports whether that was
// enough.
func moment(ctx context.Context, done <-chan struct{}) bool {
	t := time.NewTimer(patience)
	defer t.Stop()
	select {
	case <-done:
	case <-t.C:
		return false
	case <-ctx.Done():
	}
	return true
}

// Saver is a function that stores what Seen has not stored yet, for the end of a polling loop;
// nil if no messages are kept.
func (u *User) Saver() func() {
	if u.recent == nil {
		return nil
	}
	return u.save
}

func (u *User) save() {
	if done := u.recent.waiting(); done != nil {
		moment(context.Background(), done)
	}
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
