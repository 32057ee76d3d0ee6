package cache

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/storage"
)

func TestAUserWhoIsRememberedIsFound(t *testing.T) {
	stores(t, func(t *testing.T, s storage.Store) {
		c := open(s)
		ids := []string{"a/b", "user", "ü", strings.Repeat("long", 100)}
		for i, id := range ids {
			c.User(id).Remember(t.Context(), contact(int64(i+1), id), "token of "+id, "")
			c.User(id).Remember(t.Context(), contact(int64(i+1), id), "token of "+id, "")
		}
		// What else there is of users is none.
		for _, name := range []string{"consume/x/user", "outbox", "users", "contacts"} {
			require.NoError(t, s.Set(t.Context(), c.Key("user", name), []byte(`{"contact":{"data":{"flUserId":"thief"}},"token":"x"}`)))
		}
		for i, id := range ids {
			row, token, ok := c.FindUser(t.Context(), "", nil, byID(id))
			require.True(t, ok, id)
			assert.Equal(t, int64(i+1), row.ID)
			assert.Equal(t, "token of "+id, token)
		}
		_, _, ok := c.FindUser(t.Context(), "", nil, byID("thief"))
		assert.False(t, ok)
		seen := 0
		c.FindUser(t.Context(), "", nil, func(*datasource.Entry) (string, bool) { seen++; return "", false })
		assert.Equal(t, len(ids), seen)

		c.User("ü").DropToken(t.Context())
		_, _, ok = c.FindUser(t.Context(), "", nil, byID("ü"))
		assert.False(t, ok, "the token is dead")
		// Other contacts and other hosts are other users.
		other := New(Config{Store: s, BaseURL: host, DataSourceID: 1010, Log: c.cfg.Log})
		_, _, ok = other.FindUser(t.Context(), "", nil, byID("user"))
		assert.False(t, ok)
	})
}

func TestListsOfUsersAreOnlyForStoresThatCannotList(t *testing.T) {
	stores(t, func(t *testing.T, s storage.Store) {
		c := open(s)
		c.User("jo").Remember(t.Context(), contact(1, "jo"), "token", "")
		c.User("jo").Remember(t.Context(), contact(1, "jo"), "token", "")
		_, lists := s.(storage.Lister)
		list, listed := dump(t, s)[c.listKey(listOf("jo"))]
		assert.Equal(t, !lists, listed)
		if !lists {
			assert.JSONEq(t, `["jo"]`, list)
		}
		require.NoError(t, c.User("jo").Forget(t.Context()))
		_, _, ok := c.FindUser(t.Context(), "", nil, byID("jo"))
		assert.False(t, ok)
		assert.NotContains(t, fmt.Sprint(dump(t, s)), "jo")
	})
}

// weighed counts what is written to a Store that cannot list, and how much is read.
type weighed struct {
	storage.Store
	mu      sync.Mutex
	written int
	reads   int
}

func (s *weighed) Get(ctx context.Context, key string) ([]byte, error) {
	s.mu.Lock()
	s.reads++
	s.mu.Unlock()
	return s.Store.Get(ctx, key)
}

func (s *weighed) wrote(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.written += n
}

func (s *weighed) Set(ctx context.Context, key string, value []byte) error {
	s.wrote(len(value))
	return s.Store.Set(ctx, key, value)
}

func (s *weighed) CompareAndSwap(ctx context.Context, key string, old, new []byte) (bool, error) {
	s.wrote(len(new))
	return s.Store.CompareAndSwap(ctx, key, old, new)
}

// A login writes as much for the first user of a Store as for the 2,000th, also when all
// of them log in at once, each in a Chat of its own, and all are found afterwards, with
// those that an earlier version has listed.
func TestALoginWritesNoListOfAllUsers(t *testing.T) {
	virtual(t, func(t *testing.T) {
		const users = 2_000
		inner := storage.NewMemory()
		s := &weighed{Store: inner}
		old := []string{}
		for i := range 50 {
			id := fmt.Sprint("old user ", i)
			u := open(plain{storage.NewMemory()}).User(id)
			u.cache.cfg.Store = plain{inner}
			require.NoError(t, u.set(t.Context(), "user", record{toRow(contact(1, id)), "token"}))
			old = append(old, id)
		}
		raw, err := json.Marshal(old)
		require.NoError(t, err)
		require.NoError(t, inner.Set(t.Context(), open(s).registry(), raw))
		var background sync.WaitGroup
		login := func(i int) {
			id := fmt.Sprintf("%032d", i)
			c := open(s)
			c.cfg.Owner = owner{background: &background}
			c.User(id).Remember(t.Context(), contact(int64(i), id), "token", id)
		}
		var costs []int
		for i := range 20 {
			before := s.written
			login(i)
			background.Wait()
			costs = append(costs, s.written-before)
		}
		var wg sync.WaitGroup
		for i := range users - 40 {
			wg.Go(func() { login(20 + i) })
		}
		wg.Wait()
		background.Wait()
		for i := range 20 {
			before := s.written
			login(users - 20 + i)
			background.Wait()
			assert.Less(t, s.written-before, costs[0]+1000, "the first one wrote %d", costs[0])
		}
		assert.Less(t, s.written, users*2_000)
		t.Logf("%d logins wrote %d bytes", users, s.written)
		found := 0
		for key, err := range open(s).userKeys(t.Context()) {
			require.NoError(t, err)
			require.NotEmpty(t, key)
			found++
		}
		assert.Equal(t, users+len(old), found)
		for _, i := range []int{0, users / 2, users - 1} {
			before, id := s.reads, fmt.Sprintf("%032d", i)
			_, _, ok := open(s).FindUser(t.Context(), id, nil, byID(id))
			assert.True(t, ok)
			assert.Equal(t, 2, s.reads-before)
		}
		_, _, ok := open(s).FindUser(t.Context(), "", nil, byID("old user 3"))
		assert.True(t, ok)
		require.NoError(t, open(s).User("old user 3").Forget(t.Context()))
		assert.NotContains(t, fmt.Sprint(dump(t, inner)), "old user 3\"")
	})
}

func TestAContactThatIsStoredUnderAnotherIDIsPassedOver(t *testing.T) {
	stores(t, func(t *testing.T, s storage.Store) {
		c := open(s)
		c.User("a").Remember(t.Context(), contact(1, "z"), "token", "")
		c.User("z").Remember(t.Context(), contact(2, "z"), "token", "")
		row, _, ok := c.FindUser(t.Context(), "", nil, byID("z"))
		require.True(t, ok)
		assert.Equal(t, int64(2), row.ID)
	})
}

func TestOneValueThatCannotBeReadHidesNobodyElse(t *testing.T) {
	stores(t, func(t *testing.T, s storage.Store) {
		c := open(s)
		for _, id := range []string{"a", "b", "c", "d"} {
			c.User(id).Remember(t.Context(), contact(1, id), "token", "")
		}
		require.NoError(t, s.Set(t.Context(), c.Key("a", "user"), []byte(`{"contact":7`)))
		require.NoError(t, s.Set(t.Context(), c.Key("b", "user"), []byte(`null`)))
		var g storage.Store = &gated{Store: s, get: func(_ context.Context, key string) error {
			if key == c.Key("c", "user") {
				return errors.New("damaged")
			}
			return nil
		}}
		if l, ok := s.(storage.Lister); ok {
			g = struct {
				storage.Store
				storage.Lister
			}{g, l}
		}
		_, _, ok := open(g).FindUser(t.Context(), "", nil, byID("d"))
		assert.True(t, ok)
	})
}

func TestAStoreThatHangsIsAsGoodAsEmpty(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := storage.NewMemory()
		for i := range 10 {
			id := fmt.Sprint(i)
			open(plain{s}).User(id).Remember(t.Context(), contact(1, id), "token", "")
		}
		c := open(&gated{Store: s, get: hang})
		began := time.Now()
		_, _, ok := c.FindUser(t.Context(), "", nil, byID("3"))
		assert.False(t, ok)
		rows, _ := c.User("3").Messages(t.Context())
		assert.Empty(t, rows)
		_, _, ok = c.FindUser(t.Context(), "", "3", byID("3"))
		assert.False(t, ok)
		assert.Equal(t, 3*readTimeout, time.Since(began))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, _, err := c.User("3").Contacts(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded, "here somebody wants to know")
		_, _, err = c.User("3").Conversations(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

// counted counts the reads of a Store.
type counted struct {
	storage.Store
	reads, writes int
}

func (c *counted) Get(ctx context.Context, key string) ([]byte, error) {
	c.reads++
	return c.Store.Get(ctx, key)
}

func (c *counted) Set(ctx context.Context, key string, value []byte) error {
	c.writes++
	return c.Store.Set(ctx, key, value)
}

func TestALoginFindsItsUserHoweverManyThereAre(t *testing.T) {
	stores(t, func(t *testing.T, s storage.Store) {
		c := open(s)
		for i := range 500 {
			id := fmt.Sprint("user ", i)
			c.User(id).Remember(t.Context(), contact(int64(i+1), id), "token", "login of "+id)
		}
		for _, i := range []int{0, 250, 499} {
			id := fmt.Sprint("user ", i)
			store := &counted{Store: s}
			row, _, ok := open(store).FindUser(t.Context(), "login of "+id, nil, byID(id))
			require.True(t, ok)
			assert.Equal(t, int64(i+1), row.ID)
			assert.Equal(t, 2, store.reads)
		}
		// Whoever is found by a search is found without one from then on.
		store := &counted{Store: s}
		var listing storage.Store = store
		if l, ok := s.(storage.Lister); ok {
			listing = struct {
				storage.Store
				storage.Lister
			}{store, l}
		}
		_, _, ok := open(listing).FindUser(t.Context(), "another login", nil, byID("user 499"))
		require.True(t, ok)
		assert.Greater(t, store.reads, 2)
		open(s).User("user 499").Remember(t.Context(), contact(500, "user 499"), "token", "another login")
		for _, login := range []string{"another login", "login of user 499"} {
			store = &counted{Store: s}
			_, _, ok = open(store).FindUser(t.Context(), login, nil, byID("user 499"))
			require.True(t, ok)
			assert.Equal(t, 2, store.reads)
		}
		// What leads there already is not written again.
		store = &counted{Store: s}
		open(store).User("user 0").Remember(t.Context(), contact(1, "user 0"), "token", "login of user 0")
		assert.Equal(t, 1, store.writes, "the user")
	})
}

func TestAUserIsFoundByIDWithOneReadOfTheStore(t *testing.T) {
	stores(t, func(t *testing.T, s storage.Store) {
		c := open(s)
		ids := []string{"a/b", "ü", strings.Repeat("long", 100)}
		for i := range 100 {
			ids = append(ids, fmt.Sprint("user ", i))
		}
		for i, id := range ids {
			c.User(id).Remember(t.Context(), contact(int64(i+1), id), "token of "+id, "")
		}
		c.User("dead").Remember(t.Context(), contact(200, "dead"), "token", "")
		c.User("dead").DropToken(t.Context())
		c.User("misplaced").Remember(t.Context(), contact(201, "another"), "token", "")
		for i, id := range append(ids, "nobody", "dead", "misplaced", "another") {
			store := &counted{Store: s}
			row, token, ok := open(store).FindUser(t.Context(), "", id, byID(id))
			assert.Equal(t, 1, store.reads, id)
			require.Equal(t, i < len(ids), ok, id)
			if ok {
				assert.Equal(t, int64(i+1), row.ID)
				assert.Equal(t, "token of "+id, token)
			}
		}
		_, _, ok := c.FindUser(t.Context(), "", datasource.M{"$eq": "ü"}, func(*datasource.Entry) (string, bool) { return "", false })
		assert.False(t, ok, "something else of the query does not match")
	})
}

func TestALoginThatLeadsToSomebodyElseIsSearchedFor(t *testing.T) {
	stores(t, func(t *testing.T, s storage.Store) {
		c := open(s)
		c.User("jo").Remember(t.Context(), contact(1, "jo"), "token", "of the team")
		c.User("al").Remember(t.Context(), contact(2, "al"), "token", "of the team")
		row, _, ok := c.FindUser(t.Context(), "of the team", nil, byID("al"))
		require.True(t, ok)
		assert.Equal(t, int64(2), row.ID)
		row, _, ok = c.FindUser(t.Context(), "of the team", nil, byID("jo"))
		require.True(t, ok)
		assert.Equal(t, int64(1), row.ID)
		c.User("al").DropToken(t.Context())
		_, _, ok = c.FindUser(t.Context(), "of the team", nil, byID("al"))
		assert.False(t, ok)
		for _, junk := range []string{`null`, `7`, `"nobody"`, `{`} {
			require.NoError(t, s.Set(t.Context(), c.loginKey("of the team"), []byte(junk)))
			_, _, ok = c.FindUser(t.Context(), "of the team", nil, byID("jo"))
			assert.True(t, ok, junk)
		}
	})
}

func TestALogoutForgetsHowAUserLoggedIn(t *testing.T) {
	stores(t, func(t *testing.T, s storage.Store) {
		c := open(s)
		c.User("jo").Remember(t.Context(), contact(1, "jo"), "token", "shared")
		for i := range 2 * maxLogins {
			c.User("jo").Remember(t.Context(), contact(1, "jo"), "token", fmt.Sprint("login ", i))
			c.User("jo").DropToken(t.Context())
		}
		leading := 0
		for key := range dump(t, s) {
			if strings.HasPrefix(key, c.loginKey("")) {
				leading++
			}
		}
		assert.Equal(t, maxLogins, leading, "the oldest are left out")
		c.User("al").Remember(t.Context(), contact(2, "al"), "token", "login 31")
		require.NoError(t, c.User("jo").Forget(t.Context()))
		_, _, ok := c.FindUser(t.Context(), "login 31", nil, byID("al"))
		assert.True(t, ok)
		require.NoError(t, c.User("al").Forget(t.Context()))
		for key := range dump(t, s) {
			assert.NotContains(t, key, "login", "nothing is left")
		}
	})
}
