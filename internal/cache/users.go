package cache

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"slices"
	"strings"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// FindUser returns a remembered user and the chat token. It calls match with the
// contact that was remembered for this login, which costs two reads of the Store
// however many users there are, and then with one contact after the other until match
// accepts one. match returns the contact's id; if that is not the one under which the
// contact was stored, the contact is skipped.
//
// userID is what the login asks the id to be, nil for nothing. Text, by itself or under
// $eq, is that of the only user who can match, which costs one read of the Store.
//
// A Store that fails counts as empty.
func (c *Cache) FindUser(ctx context.Context, login string, userID any, match func(contact *datasource.Entry) (userID string, ok bool)) (contact *datasource.Entry, token string, ok bool) {
	only, login := exactly(userID), c.loginName(login)
	find := c.userOf
	if only != "" {
		login, find = only, c.userByID
	}
	contact, token, err := find(ctx, login, match)
	if contact != nil {
		return contact, token, true
	}
	if errors.Is(err, context.DeadlineExceeded) {
		c.cfg.Log.Warn("reading the cached users failed", "error", err)
		return nil, "", false
	}
	if only != "" {
		return nil, "", false
	}
	for key, err := range c.userKeys(ctx) {
		var r record
		if err == nil {
			ok, err = c.tryLoad(ctx, key, &r)
			if err != nil && !errors.Is(err, context.DeadlineExceeded) {
				continue // other values may be readable
			}
		}
		if err != nil {
			c.cfg.Log.Warn("reading the cached users failed", "error", err)
			return nil, "", false
		}
		if !ok || r.Token == "" {
			continue
		}
		row := r.Contact.entry()
		if id, ok := match(&row); ok && c.Key(id, "user") == key {
			return &row, r.Token, true
		}
	}
	return nil, "", false
}

// userOf is the user who was remembered last for a login, if match accepts them; nil if
// there is none.
func (c *Cache) userOf(ctx context.Context, login string, match func(*datasource.Entry) (string, bool)) (*datasource.Entry, string, error) {
	var id string
	if login == "" {
		return nil, "", nil
	}
	if ok, err := c.tryLoad(ctx, c.loginKey(login), &id); !ok || err != nil || id == "" {
		return nil, "", err
	}
	return c.userByID(ctx, id, match)
}

// exactly is the text that an operand asks for, "" for another one.
func exactly(operand any) string {
	if operators, ok := operand.(datasource.M); ok {
		operand = operators["$eq"]
	}
	text, _ := operand.(string)
	return text
}

// userByID is the user with this id, if match accepts them; nil if there is none.
func (c *Cache) userByID(ctx context.Context, id string, match func(*datasource.Entry) (string, bool)) (*datasource.Entry, string, error) {
	var r record
	if ok, err := c.tryLoad(ctx, c.Key(id, "user"), &r); !ok || err != nil || r.Token == "" {
		return nil, "", err
	}
	row := r.Contact.entry()
	if found, ok := match(&row); !ok || found != id {
		return nil, "", nil
	}
	return &row, r.Token, nil
}

// loginKey is the key of the id of the user who was remembered last for a login.
func (c *Cache) loginKey(login string) string { return c.Key("", "login/"+login) }

// maxLogins is how many logins lead to one user without a search.
const maxLogins = 16

// index lets a login lead to a user, without a write if it does so already.
// account.changes is held.
func (u *User) index(ctx context.Context, login string) error {
	store := u.cache.cfg.Store
	var logins []string
	if _, err := u.cache.load(ctx, u.cache.Key(u.id(), "logins"), &logins); err != nil {
		return err
	}
	var id string
	if _, err := u.cache.load(ctx, u.cache.loginKey(login), &id); err != nil {
		return err
	}
	if !slices.Contains(logins, login) {
		// The list first, so that a logout finds everything.
		logins = append(logins, login)
		for ; len(logins) > maxLogins; logins = logins[1:] {
			if err := u.unindex(ctx, logins[0]); err != nil {
				return err
			}
		}
		if err := u.set(ctx, "logins", logins); err != nil {
			return err
		}
	}
	if id == u.id() {
		return nil
	}
	raw, err := json.Marshal(u.id())
	if err != nil {
		return err
	}
	return store.Set(ctx, u.cache.loginKey(login), raw)
}

// unindex lets a login lead to this user no more.
func (u *User) unindex(ctx context.Context, login string) error {
	raw, err := json.Marshal(u.id())
	if err == nil {
		_, err = u.cache.cfg.Store.CompareAndSwap(ctx, u.cache.loginKey(login), raw, nil)
	}
	return err
}

// unindexAll lets no login lead to this user.
func (u *User) unindexAll(ctx context.Context) error {
	var logins []string
	_, err := u.cache.load(ctx, u.cache.Key(u.id(), "logins"), &logins)
	errs := []error{err}
	for _, login := range logins {
		errs = append(errs, u.unindex(ctx, login))
	}
	return errors.Join(errs...)
}

// userKeys yields the keys of the remembered users, from the Store's list of keys, or
// else from the cache's own lists.
func (c *Cache) userKeys(ctx context.Context) iter.Seq2[string, error] {
	lister, ok := c.cfg.Store.(storage.Lister)
	if !ok {
		return c.registered(ctx)
	}
	return func(yield func(string, error) bool) {
		keys, err := c.list(ctx, lister)
		for _, key := range keys {
			if !yield(key, nil) {
				return
			}
		}
		if err != nil {
			yield("", err)
		}
	}
}

// list reads the keys of users.
func (c *Cache) list(ctx context.Context, l storage.Lister) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	var keys []string
	for key, err := range l.List(ctx, c.prefix) {
		if err != nil {
			return keys, err
		}
		id, ok := strings.CutSuffix(strings.TrimPrefix(key, c.prefix), "/user")
		if ok && id != "" && !strings.Contains(id, "/") {
			keys = append(keys, key)
		}
	}
	return keys, nil
}
