package cache

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// fill saves everything there is to save.
func fill(ctx context.Context, u *User) {
	u.Remember(ctx, contact(1, u.id()), "secret", "a login")
	u.SaveContacts(ctx, []datasource.Entry{*contact(1, u.id())})
	u.SaveConversations(ctx, []datasource.DataSource{{ID: 7}})
	u.Seen(ctx, feed.Query{Kind: feed.Newest, Limit: 3}, []datasource.Entry{*contact(2, u.id())}, 0)
	u.save()
	u.EditPins(ctx, func([]byte) ([]byte, error) { return []byte("of " + u.id()), nil }) //nolint:errcheck // as the others
}

func TestForgottenUsersLeaveNothing(t *testing.T) {
	stores(t, func(t *testing.T, s storage.Store) {
		c := open(s)
		first, second := c.User("jo"), c.User("jo")
		fill(t.Context(), first)
		for _, name := range names {
			require.Contains(t, dump(t, s), c.Key("jo", name))
		}
		require.NoError(t, first.Forget(t.Context()))
		require.NoError(t, first.Forget(t.Context()))
		fill(t.Context(), first)
		fill(t.Context(), second) // of the same login, on another path
		for key, v := range dump(t, s) {
			assert.NotContains(t, key, "jo")
			assert.NotContains(t, v, "jo")
		}
		// A later login is not concerned.
		fill(t.Context(), c.User("jo"))
		_, _, ok := c.FindUser(t.Context(), "", nil, byID("jo"))
		assert.True(t, ok)
	})
}

func TestForgetFailsWhenTheStoreDoes(t *testing.T) {
	virtual(t, func(t *testing.T) {
		gone := errors.New("the disk is gone")
		u := open(&gated{Store: storage.NewMemory(), remove: func(context.Context, string) error { return gone }}).User("jo")
		require.ErrorIs(t, u.Forget(t.Context()), gone)
	})
}

// A save that is inside the Store when the user logs out removes what it wrote, and
// what was there before.
func TestASaveUnderWayIsRemovedAgain(t *testing.T) {
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			stores(t, func(t *testing.T, s storage.Store) {
				release := make(chan struct{})
				g := &gated{Store: s}
				c := open(g)
				u := c.User("jo")
				fill(t.Context(), u)
				g.set = func(_ context.Context, key string) error {
					if key == c.Key("jo", name) {
						<-release
					}
					return nil
				}
				saved := make(chan struct{})
				go func() { defer close(saved); time.Sleep(2 * saveEvery); fillAll(u) }()
				time.Sleep(2*saveEvery + time.Millisecond)
				forgetsNotWithin(t, u, time.Second)
				close(release)
				<-saved
				synctest.Wait()
				for key, v := range dump(t, s) {
					assert.NotContains(t, key, "jo")
					assert.NotContains(t, v, "jo")
				}
			})
		})
	}
}

// forgetsNotWithin ends Forget after a time, and that exactly then.
func forgetsNotWithin(t *testing.T, u *User, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	began := time.Now()
	require.ErrorIs(t, u.Forget(ctx), context.DeadlineExceeded)
	assert.Equal(t, d, time.Since(began))
}

// fillAll is fill with a message, a login and lists that are new.
func fillAll(u *User) {
	u.Seen(context.Background(), feed.Query{Kind: feed.Newest, Limit: 3}, []datasource.Entry{*contact(3, u.id())}, 0)
	u.Remember(context.Background(), contact(1, u.id()), "secret", "another login")
	u.SaveContacts(context.Background(), []datasource.Entry{*contact(3, u.id())})
	u.SaveConversations(context.Background(), []datasource.DataSource{{ID: 8}})
	fill(context.Background(), u)
}

func TestForgetWaitsForTheSaveUnderWay(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := storage.NewMemory()
		u := open(&gated{Store: s, set: func(context.Context, string) error { time.Sleep(time.Second); return nil }}).User("jo")
		go u.SaveContacts(t.Context(), nil)
		synctest.Wait()
		began := time.Now()
		require.NoError(t, u.Forget(t.Context()))
		assert.Equal(t, time.Second, time.Since(began))
		assert.Empty(t, dump(t, s))
	})
}

// A Store is to return when the context ends. Forget does not count on it.
func TestForgetEndsWithItsContextWhateverTheStoreDoes(t *testing.T) {
	virtual(t, func(t *testing.T) {
		release := make(chan struct{})
		s := storage.NewMemory()
		u := open(&gated{Store: s, remove: func(context.Context, string) error { <-release; return nil }}).User("jo")
		fill(t.Context(), u)
		forgetsNotWithin(t, u, time.Second)
		close(release)
	})
}

func TestAStoreThatHangsHoldsNobodyUpForLong(t *testing.T) {
	virtual(t, func(t *testing.T) {
		c := open(&gated{Store: storage.NewMemory(), set: func(ctx context.Context, key string) error {
			if strings.Contains(key, "jo") {
				return hang(ctx, key)
			}
			return nil
		}})
		jo, other := c.User("jo"), c.User("eve")
		began := time.Now()
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() { jo.SaveContacts(context.Background(), nil) })
		}
		synctest.Wait()
		other.SaveContacts(t.Context(), nil) // does not wait for another user
		assert.Zero(t, time.Since(began))
		wg.Wait()
		assert.Equal(t, patience, time.Since(began))
		jo.Remember(t.Context(), contact(1, "jo"), "token", "login")
		jo.SaveConversations(t.Context(), nil)
		assert.Equal(t, patience, time.Since(began), "it is known to hang")
		require.NoError(t, jo.Forget(t.Context()))
		assert.Equal(t, patience, time.Since(began), "a logout ends the save")
		time.Sleep(time.Hour)
		assert.NotContains(t, fmt.Sprint(dump(t, c.cfg.Store.(*gated).Store)), "jo")
	})
}

// Whoever saves something waits for it again as soon as the store has become fast.
func TestAStoreThatNoLongerHangsIsWaitedFor(t *testing.T) {
	virtual(t, func(t *testing.T) {
		var takes atomic.Int64
		takes.Store(int64(time.Second))
		u := open(&gated{Store: storage.NewMemory(), set: func(context.Context, string) error { time.Sleep(time.Duration(takes.Load())); return nil }}).User("jo")
		began := time.Now()
		u.SaveContacts(t.Context(), nil)
		assert.Equal(t, patience, time.Since(began))
		time.Sleep(time.Minute)
		takes.Store(int64(patience / 20))
		u.SaveContacts(t.Context(), []datasource.Entry{*contact(1, "jo")}) // shows that it is fast, and is not waited for
		time.Sleep(time.Minute)
		began = time.Now()
		u.SaveContacts(t.Context(), nil)
		assert.GreaterOrEqual(t, time.Since(began), patience/20)
	})
}

// Writes are made in their order, the newest of each key last, and those that failed
// with the next one, whatever it is.
func TestWhatAStoreDidNotTakeIsWrittenWithTheNext(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s, fails := storage.NewMemory(), true
		c := open(&gated{Store: s, set: func(context.Context, string) error {
			if fails {
				return errors.New("the disk is full")
			}
			return nil
		}})
		u := c.User("jo")
		u.Remember(t.Context(), contact(1, "jo"), "first", "login")
		u.Remember(t.Context(), contact(1, "jo"), "second", "login")
		u.SaveContacts(t.Context(), []datasource.Entry{*contact(7, "al")})
		assert.Empty(t, dump(t, s))
		fails = false
		u.SaveConversations(t.Context(), nil)
		_, token, ok := c.FindUser(t.Context(), "login", nil, byID("jo"))
		require.True(t, ok)
		assert.Equal(t, "second", token)
		contacts, _, err := u.Contacts(t.Context())
		require.NoError(t, err)
		assert.Len(t, contacts, 1)
		fails = true
		u.Remember(t.Context(), contact(1, "jo"), "third", "login")
		u.DropToken(t.Context())
		fails = false
		u.SaveContacts(t.Context(), nil)
		_, _, ok = c.FindUser(t.Context(), "login", nil, byID("jo"))
		assert.False(t, ok, "the token was refused last")
	})
}

// Savers of several sessions and a logout: in the end only later logins left
// something.
func TestNoOrderOfSavesAndLogoutsLeavesAnything(t *testing.T) {
	stores(t, func(t *testing.T, s storage.Store) {
		for range 200 {
			c := open(s)
			first, second := c.User("jo"), c.User("jo")
			var wg sync.WaitGroup
			for _, u := range []*User{first, second, first} {
				wg.Go(func() { fill(t.Context(), u) })
			}
			wg.Go(func() { assert.NoError(t, second.Forget(t.Context())) })
			wg.Go(func() { first.DropToken(t.Context()) })
			wg.Wait()
			for key, v := range dump(t, s) {
				require.NotContains(t, key, "jo")
				require.NotContains(t, v, "jo")
			}
		}
	})
}

// What this session has written is not written again, unless the Store failed since, or
// the user has logged out.
func TestAListIsWrittenWhenItIsNotTheLastOneThatWas(t *testing.T) {
	virtual(t, func(t *testing.T) {
		writes, fails := 0, false
		c := open(&gated{Store: storage.NewMemory(), set: func(context.Context, string) error {
			writes++
			if fails {
				return errors.New("the disk is full")
			}
			return nil
		}})
		u := c.User("jo")
		one, two := []datasource.DataSource{{ID: 1}}, []datasource.DataSource{{ID: 1}, {ID: 2}}
		for i, step := range []struct {
			list  []datasource.DataSource
			fails bool
			want  int
		}{
			{list: one, want: 1},
			{list: one, want: 1},
			{list: two, want: 2},
			{list: one, want: 3},
			{list: two, fails: true, want: 4},
			{list: one, want: 5}, // what failed may be there
			{list: one, want: 5},
		} {
			fails = step.fails
			u.SaveConversations(t.Context(), step.list)
			assert.Equal(t, step.want, writes, "step %d", i)
		}
		u.SaveContacts(t.Context(), []datasource.Entry{*contact(7, "al")})
		assert.Equal(t, 6, writes)
		require.NoError(t, u.Forget(t.Context()))
		writes = 0
		again := c.User("jo")
		again.SaveConversations(t.Context(), one)
		assert.Equal(t, 1, writes)
		list, ok, err := again.Conversations(t.Context())
		require.NoError(t, err)
		assert.True(t, ok)
		assert.Len(t, list, 1)
	})
}
