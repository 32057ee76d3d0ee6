package cache

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/wait"
)

// account is what the sessions of one user share.
type account struct {
	userID string
	// changes is held while stored values change, also over Store calls; pinning while
	// the pins do, which somebody waits for.
	changes, pinning wait.Mutex
	writes           writes
	// logouts counts the calls of Forget.
	logouts atomic.Int64
}

// User is the cache of one session. It is safe for concurrent use.
type User struct {
	cache   *Cache
	account *account
	since   int64 // account.logouts when the session began

	// contacts and conversations are what this session wrote last, which is not written again.
	// account.changes is held.
	contacts, conversations written

	recent *recent // nil if no messages are kept
}

// id is the user's.
func (u *User) id() string { return u.account.userID }

// written is half a hash of a value as it was written last. The zero value is that of none.
type written [sha256.Size / 2]byte

// forgotten reports whether a logout has ended the session.
func (u *User) forgotten() bool { return u.account.logouts.Load() != u.since }

// names are the values of a user. The first holds the chat token.
var names = []string{"user", "contacts", "conversations", "messages", pins, "logins"}

// Remember stores the logged-in user for a later offline login, which the same login
// finds without a search. login is "" where there is none.
func (u *User) Remember(ctx context.Context, contact *datasource.Entry, token, login string) {
	const failed = "remembering the user failed"
	raw, err := json.Marshal(record{toRow(contact), token})
	if err != nil {
		u.cache.cfg.Log.Warn(failed, "error", err)
		return
	}
	if login = u.cache.loginName(login); login != "" {
		u.later(ctx, &write{name: "login/" + login, failed: failed, change: func(ctx context.Context) error { return u.index(ctx, login) }})
	}
	u.later(ctx, &write{name: "user", failed: failed, change: func(ctx context.Context) error {
		if err := u.cache.store(ctx, u.cache.Key(u.id(), "user"), raw); err != nil {
			return err
		}
		return u.cache.register(ctx, u.id())
	}})
}

// DropToken removes a chat token that the server refuses, so that no offline login
// uses it.
func (u *User) DropToken(ctx context.Context) {
	u.later(ctx, &write{name: "user", failed: "forgetting a chat token failed", change: func(ctx context.Context) error {
		return u.cache.cfg.Store.Delete(ctx, u.cache.Key(u.id(), "user"))
	}})
}

// Share stores a value for other components of the app, or removes it if it is nil. A
// logout removes it if its key is one of Owner.Shared.
func (u *User) Share(ctx context.Context, key string, value []byte) {
	u.later(ctx, &write{name: "share/" + key, failed: "leaving the login for other components failed", change: func(ctx context.Context) error {
		if value == nil {
			return u.cache.cfg.Store.Delete(ctx, key)
		}
		return u.cache.cfg.Store.Set(ctx, key, value)
	}})
}

// Forget removes everything that is stored of a user, and what is under the keys of
// Owner.Shared. From its beginning on, no save of the session leaves anything behind:
// Forget ends a running save and waits for that, and if ctx ends first, that save removes
// what it wrote.
//
// Forget returns when ctx ends, even if the Store hangs.
func (u *User) Forget(ctx context.Context) error {
	if u.account.logouts.CompareAndSwap(u.since, u.since+1) {
		u.account.writes.stop()
	}
	if u.recent != nil {
		u.recent.drop()
	}
	done := make(chan error, 1)
	go func() { done <- u.forget(ctx) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("storage: forgetting the user: %w", context.Cause(ctx))
	}
}

func (u *User) forget(ctx context.Context) error {
	locks := []*wait.Mutex{&u.account.changes, &u.account.pinning}
	var err error
	for i, lock := range locks {
		if err = lock.Lock(ctx); err != nil {
			locks = locks[:i]
			break
		}
	}
	if err == nil {
		err = u.erase(ctx)
	}
	for _, lock := range locks {
		lock.Unlock()
	}
	if err != nil {
		return fmt.Errorf("storage: %w", wait.Because(ctx, err))
	}
	return nil
}

// erase removes what is stored of the user, and the contacts that were read before a
// login, from where the Store keeps its values.
func (u *User) erase(ctx context.Context) error {
	var errs []error
	if owner := u.cache.cfg.Owner; owner != nil {
		for _, key := range owner.Shared() {
			errs = append(errs, u.cache.cfg.Store.Delete(ctx, key))
		}
	}
	errs = append(errs, u.unindexAll(ctx))
	for _, name := range names {
		errs = append(errs, u.cache.cfg.Store.Delete(ctx, u.cache.Key(u.id(), name)))
	}
	errs = append(errs, u.cache.cfg.Store.Delete(ctx, u.cache.Key("", "contacts")), u.cache.unregister(ctx, u.id()), u.cache.scrub(ctx))
	return errors.Join(errs...)
}

// set stores a value as JSON. account.changes is held.
func (u *User) set(ctx context.Context, name string, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return u.cache.store(ctx, u.cache.Key(u.id(), name), raw)
}
