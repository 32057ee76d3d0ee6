package cache

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/fliplet/fliplet-chat-go/storage"
)

// A Store that cannot list its keys has lists of users instead: 256 of them, so that a
// login rewrites the ids of a few users, however many there are, and logins of different
// users seldom meet. A map of bits says which lists there are. Earlier versions had one
// list, which is still read.

// registry is the key of the list of earlier versions.
func (c *Cache) registry() string { return c.Key("", "users") }

// listsKey is the key of the map of lists.
func (c *Cache) listsKey() string { return c.Key("", "users/lists") }

// listKey is the key of one list.
func (c *Cache) listKey(n byte) string { return c.Key("", fmt.Sprintf("users/%02x", n)) }

// listOf is which list a user is in.
func listOf(userID string) byte { return sha256.Sum256([]byte(userID))[0] }

// registered yields the keys of the users in the lists.
func (c *Cache) registered(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		keys := []string{c.registry()}
		var lists []byte
		_, err := c.tryLoad(ctx, c.listsKey(), &lists)
		for n := range 256 {
			if inLists(lists, byte(n)) {
				keys = append(keys, c.listKey(byte(n)))
			}
		}
		for i := 0; err == nil && i < len(keys); i++ {
			var users []string
			_, err = c.tryLoad(ctx, keys[i], &users)
			for _, id := range users {
				if err == nil && !yield(c.Key(id, "user"), nil) {
					return
				}
			}
		}
		if err != nil {
			yield("", err)
		}
	}
}

func inLists(lists []byte, n byte) bool {
	return int(n/8) < len(lists) && lists[n/8]&(1<<(n%8)) != 0
}

// register adds a user to the lists, if the Store cannot list.
func (c *Cache) register(ctx context.Context, userID string) error {
	if _, ok := c.cfg.Store.(storage.Lister); ok {
		return nil
	}
	n := listOf(userID)
	// The map first, so that what is in a list is found.
	err := edit(ctx, c, c.listsKey(), func(lists []byte) ([]byte, bool) {
		if inLists(lists, n) {
			return nil, false
		}
		lists = append(lists, make([]byte, 32-min(32, len(lists)))...)
		lists[n/8] |= 1 << (n % 8)
		return lists, true
	})
	if err != nil {
		return err
	}
	return edit(ctx, c, c.listKey(n), func(users []string) ([]string, bool) {
		return append(users, userID), !slices.Contains(users, userID)
	})
}

// unregister removes a user from the lists. An earlier version or another wrapper
// around the same Store may have written them even if this Store can list.
func (c *Cache) unregister(ctx context.Context, userID string) error {
	without := func(users []string) ([]string, bool) {
		i := slices.Index(users, userID)
		if i < 0 {
			return nil, false
		}
		return slices.Delete(users, i, i+1), true
	}
	return errors.Join(edit(ctx, c, c.registry(), without), edit(ctx, c, c.listKey(listOf(userID)), without))
}

// edit replaces a stored value by what change makes of it, also beside other processes,
// unless change reports that it stays as it is. One that cannot be read counts as empty,
// and an empty one is removed.
func edit[T []string | []byte](ctx context.Context, c *Cache, key string, change func(T) (T, bool)) error {
	for ctx.Err() == nil {
		old, err := c.cfg.Store.Get(ctx, key)
		if err != nil && !errors.Is(err, storage.ErrNotFound) {
			return err
		}
		var v T
		if json.Unmarshal(old, &v) != nil {
			v = nil
		}
		v, changed := change(v)
		if !changed {
			return nil
		}
		var edited []byte
		if len(v) > 0 {
			if edited, err = json.Marshal(v); err != nil {
				return err
			}
		}
		if done, err := c.cfg.Store.CompareAndSwap(ctx, key, old, edited); err != nil || done {
			return err
		}
	}
	return context.Cause(ctx)
}
