package cache

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/fliplet/fliplet-chat-go/datasource"
)

// account is what the sessions of one user share.
type account struct {
	// turn orders the changes to what is stored. It is held over Store calls, so
	// whoever waits for it does so with a context.
	turn chan struct{}
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
var names = []string{"user", "contacts", "conversations", "messages"}

// Remember stores who is logged in, for an offline login later.
func (u *User) Remember(ctx context.Context, contact *datasource.Entry, token string) {
	u.try(ctx, "remembering the user failed", func(ctx context.Context) error {
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

// Forget removes everything of a user who has logged out, and the keys in also. From
// its beginning on, no save of the session leaves anything behind: the one that is
// under way is waited for, and removes what it wrote, if that takes longer than ctx.
//
// Forget returns when ctx ends, also if the Store does not.
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
	err := u.take(ctx)
	if err == nil {
		err = u.erase(ctx)
		u.give()
	}
	if err := errors.Join(append(errs, err)...); err != nil {
		return fmt.Errorf("storage: %w", err)
	}
	return nil
}

// erase removes what is stored of the user. It is the user's turn.
func (u *User) erase(ctx context.Context) error {
	var errs []error
	for _, name := range names {
		errs = append(errs, u.cache.cfg.Store.Delete(ctx, u.cache.Key(u.id, name)))
	}
	return errors.Join(append(errs, u.cache.unregister(ctx, u.id))...)
}

// try changes what is stored, unless the user has logged out. A failure is logged.
func (u *User) try(ctx context.Context, failed string, change func(context.Context) error) {
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := u.change(limited, change); err != nil && ctx.Err() == nil {
		u.cache.cfg.Log.Warn(failed, "error", err)
	}
}

func (u *User) change(ctx context.Context, change func(context.Context) error) error {
	if err := u.take(ctx); err != nil {
		return err
	}
	defer u.give()
	if u.forgotten() {
		return nil
	}
	err := change(ctx)
	if u.forgotten() {
		// Forget may not have had the time to wait for this.
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		defer cancel()
		err = errors.Join(err, u.erase(late))
	}
	return err
}

// set stores a value as JSON. It is the user's turn.
func (u *User) set(ctx context.Context, name string, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return u.cache.cfg.Store.Set(ctx, u.cache.Key(u.id, name), raw)
}

func (u *User) take(ctx context.Context) error {
	select {
	case u.account.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (u *User) give() { <-u.account.turn }
