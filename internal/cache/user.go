package cache

import (
	"context"
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
	// changes is held while stored values change, also over Store calls.
	changes wait.Mutex
	// logouts counts the calls of Forget.
	logouts atomic.Int64
}

// User is the cache of one session. It is safe for concurrent use.
type User struct {
	cache   *Cache
	id      string
	account *account
	since   int64 // account.logouts when the session began

	recent recent
}

// forgotten reports whether a logout has ended the session.
func (u *User) forgotten() bool { return u.account.logouts.Load() != u.since }

// names are the values of a user. The first holds the chat token.
var names = []string{"user", "contacts", "conversations", "messages", pins, "logins"}

// Remember stores the logged-in user for a later offline login, which the same login
// finds without a search. login is "" where there is none.
func (u *User) Remember(ctx context.Context, contact *datasource.Entry, token, login string) {
	u.try(ctx, "remembering the user failed", func(ctx context.Context) error {
		if login != "" {
			if err := u.index(ctx, login); err != nil {
				return err
			}
		}
		if err := u.set(ctx, "user", record{toRow(contact), token}); err != nil {
			return err
		}
		return u.cache.register(ctx, u.id)
	})
}

// DropToken removes a chat token that the server refuses, so that no offline login
// uses it.
func (u *User) DropToken(ctx context.Context) {
	u.try(ctx, "forgetting a chat token failed", func(ctx context.Context) error {
		return u.cache.cfg.Store.Delete(ctx, u.cache.Key(u.id, "user"))
	})
}

// Forget removes everything that is stored of a user, and the keys in also. From its
// beginning on, no save of the session leaves anything behind: Forget waits for a
// running save, and if ctx ends first, that save removes what it wrote.
//
// Forget returns when ctx ends, even if the Store hangs.
func (u *User) Forget(ctx context.Context, also ...string) error {
	u.account.logouts.CompareAndSwap(u.since, u.since+1)
	u.recent.drop()
	done := make(chan error, 1)
	go func() { done <- u.forget(ctx, also) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("storage: forgetting the user: %w", context.Cause(ctx))
	}
}

func (u *User) forget(ctx context.Context, also []string) error {
	var errs []error
	for _, key := range also {
		errs = append(errs, u.cache.cfg.Store.Delete(ctx, key))
	}
	err := u.account.changes.Lock(ctx)
	if err == nil {
		err = u.erase(ctx)
		u.account.changes.Unlock()
	}
	if err := errors.Join(append(errs, err)...); err != nil {
		return fmt.Errorf("storage: %w", err)
	}
	return nil
}

// erase removes what is stored of the user, and the contacts that were read before a
// login, from where the Store keeps its values. account.changes is held.
func (u *User) erase(ctx context.Context) error {
	errs := []error{u.unindexAll(ctx)}
	for _, name := range names {
		errs = append(errs, u.cache.cfg.Store.Delete(ctx, u.cache.Key(u.id, name)))
	}
	errs = append(errs, u.cache.cfg.Store.Delete(ctx, u.cache.Key("", "contacts")), u.cache.unregister(ctx, u.id), u.cache.scrub(ctx))
	return errors.Join(errs...)
}

// try changes what is stored, unless the user has logged out. It logs a failure.
func (u *User) try(ctx context.Context, failed string, change func(context.Context) error) {
	limited, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	if err := u.change(limited, change); err != nil && ctx.Err() == nil {
		u.cache.cfg.Log.Warn(failed, "error", err)
	}
}

func (u *User) change(ctx context.Context, change func(context.Context) error) error {
	if err := u.account.changes.Lock(ctx); err != nil {
		return err
	}
	defer u.account.changes.Unlock()
	if u.forgotten() {
		return nil
	}
	err := change(ctx)
	if u.forgotten() {
		// The context of Forget may have ended before this change.
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
		defer cancel()
		err = errors.Join(err, u.erase(late))
	}
	return err
}

// set stores a value as JSON. account.changes is held.
func (u *User) set(ctx context.Context, name string, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return u.cache.cfg.Store.Set(ctx, u.cache.Key(u.id, name), raw)
}
