package chat_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/storage"
)

func TestOfflineLoginPrefersTheCacheAndFallsBackToTheNetwork(t *testing.T) {
	onDevices(t, func(t *testing.T, d *device) {
		d.run("bob", false, func(*chat.Chat) {})
		asked := len(d.Requests())
		d.run("bob", true, func(c *chat.Chat) {
			assert.Len(t, d.Requests(), asked, "no request was made")
			assert.Equal(t, d.ids["bob"], c.User().ID)
		})
		d.run("eve", true, func(c *chat.Chat) {
			assert.Greater(t, len(d.Requests()), asked)
			assert.Equal(t, d.ids["eve"], c.User().ID)
		})
		require.NoError(t, d.Close())
		for _, name := range []string{"bob", "eve"} {
			d.run(name, true, func(c *chat.Chat) { assert.Equal(t, d.ids[name], c.User().ID) })
		}
		store := d.reopen()
		c := d.connect(func(o *chat.Options) { o.Storage = store })
		_, err := c.Login(t.Context(), chat.M{"Email": "jane@example.org"}, chat.Offline())
		require.ErrorIs(t, err, chat.ErrOffline)
		var e *chat.Error
		require.ErrorAs(t, err, &e)
		assert.Equal(t, 400, e.Code)
		assert.Nil(t, c.User())
	})
}

func TestOfflineLoginChecksTheWholeQuery(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		store := storage.NewMemory()
		contacts, _ := w.AddContacts(datasource.M{"Email": "jo@x.com", "Password": "Secret", "Age": 30})
		device := func(o *chat.Options) { o.DataSourceID, o.Storage = contacts, store }
		_, err := w.connect(device).Login(t.Context(), chat.M{"Email": "jo@x.com"})
		require.NoError(t, err)
		token, _ := w.columns(contacts, w.Rows(contacts)[0].ID)["flUserToken"].(string)
		require.NoError(t, w.Close())
		c := w.connect(device)
		for name, query := range map[string]chat.M{
			"equal":       {"Email": "jo@x.com", "Password": "Secret"},
			"any case":    {"Email": chat.M{"$iLike": " JO@X.com"}},
			"$eq":         {"Email": chat.M{"$eq": "jo@x.com"}, "Age": 30},
			"all of":      {"$and": []any{chat.M{"Email": "jo@x.com"}, chat.M{"Age": 30}}},
			"one of":      {"$or": []any{chat.M{"Email": "nobody"}, chat.M{"Age": 30}}},
			"by token":    {"flUserToken": token},
			"where":       {"where": chat.M{"Email": "jo@x.com"}},
			"typed lists": {"$or": []chat.M{{"Email": "jo@x.com"}}},
		} {
			_, err := c.Login(t.Context(), query, chat.Offline())
			assert.NoError(t, err, name)
		}
		for name, query := range map[string]chat.M{
			"another password":    {"Email": "jo@x.com", "Password": "secret"},
			"another case":        {"Email": "Jo@x.com"},
			"a part":              {"Email": chat.M{"$iLike": "o@x.com"}},
			"a range":             {"Email": "jo@x.com", "Age": chat.M{"$gt": 40}},
			"a range beside $eq":  {"Age": chat.M{"$eq": 30, "$gt": 40}},
			"a negation":          {"$not": chat.M{"Email": "somebody"}},
			"$filters":            {"$filters": []any{chat.M{"column": "Email", "condition": "==", "value": "jo@x.com"}}},
			"another token":       {"flUserToken": token + "0"},
			"an object of values": {"Email": []any{"jo@x.com"}},
		} {
			_, err := c.Login(t.Context(), query, chat.Offline(), chat.AnyOperator())
			assert.ErrorIs(t, err, chat.ErrOffline, name)
		}
		for name, query := range map[string]chat.M{
			"nothing in all of":  {"$and": []any{}},
			"one of nobody":      {"$or": []any{chat.M{}}},
			"a column not there": {"Nickname": ""},
			"no operators":       {"Email": chat.M{}},
			"null":               {"Nickname": nil},
		} {
			_, err := c.Login(t.Context(), query, chat.Offline(), chat.AnyOperator())
			assert.ErrorIs(t, err, chat.ErrInvalid, name)
		}
	})
}

func TestOfflineLoginWithADeadTokenIsRepairedOnline(t *testing.T) {
	onDevices(t, func(t *testing.T, d *device) {
		d.run("bob", false, func(*chat.Chat) {})
		d.loggedOutElsewhere("bob")
		d.run("bob", true, func(c *chat.Chat) {
			_, err := c.Messages(t.Context())
			require.NoError(t, err)
			assert.Equal(t, d.token("bob"), c.User().Data["flUserToken"])
		})
		asked := d.Count(fliplettest.Query)
		d.run("bob", true, func(c *chat.Chat) {
			_, err := c.Messages(t.Context())
			require.NoError(t, err)
			assert.Equal(t, asked, d.Count(fliplettest.Query), "the new token was remembered, also for the login")
		})
	})
}

// readCounter counts the reads of a Store.
type readCounter struct {
	storage.Store
	storage.Lister
	reads atomic.Int64
}

func (c *readCounter) Get(ctx context.Context, key string) ([]byte, error) {
	c.reads.Add(1)
	return c.Store.Get(ctx, key)
}

// everybodyHasLoggedIn lets many people log in with one Store, and then the server is gone.
func everybodyHasLoggedIn(t *testing.T, w *world, n int) (store *readCounter, device func(*chat.Options), people []*chat.Contact) {
	t.Helper()
	memory := storage.NewMemory()
	store = &readCounter{Store: memory, Lister: memory.(storage.Lister)}
	rows := make([]datasource.M, n)
	for i := range rows {
		rows[i] = datasource.M{"Email": fmt.Sprintf("user%d@example.org", i)}
	}
	contacts, ids := w.AddContacts(rows...)
	device = func(o *chat.Options) { o.DataSourceID, o.Storage = contacts, store }
	for i := range rows {
		c := w.connect(device)
		user, err := c.Login(t.Context(), chat.M{"Email": rows[i]["Email"]})
		require.NoError(t, err)
		require.Equal(t, ids[i], user.ID)
		people = append(people, user)
		require.NoError(t, c.Close())
	}
	require.NoError(t, w.Close())
	return store, device, people
}

func TestOfflineLoginCostsTheSameForEveryUserOfAStore(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		store, device, people := everybodyHasLoggedIn(t, w, 200)
		cost := map[int64]bool{}
		for _, i := range []int{0, 1, 100, 199} {
			for _, email := range []any{people[i].Data["Email"], chat.M{"$iLike": strings.ToUpper(people[i].Data["Email"].(string))}} {
				c := w.connect(device)
				before := store.reads.Load()
				user, err := c.Login(t.Context(), chat.M{"Email": email}, chat.Offline())
				require.NoError(t, err)
				assert.Equal(t, people[i].ID, user.ID)
				cost[store.reads.Load()-before] = true
			}
		}
		assert.Len(t, cost, 1, "reads of the Store: %v", cost)
		for reads := range cost {
			assert.Less(t, reads, int64(10))
		}
	})
}

func TestOfflineLoginByUserIDReadsNobodyElse(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		store, device, people := everybodyHasLoggedIn(t, w, 100)
		// login counts the reads of the Store.
		login := func(query chat.M, user int64, want error) {
			t.Helper()
			c := w.connect(device)
			before := store.reads.Load()
			found, err := c.Login(t.Context(), query, chat.Offline())
			require.ErrorIs(t, err, want)
			if want == nil {
				require.Equal(t, user, found.ID)
			}
			require.Less(t, store.reads.Load()-before, int64(10))
			require.NoError(t, c.Close())
		}
		for _, i := range []int{0, 50, 99} {
			login(chat.M{"flUserId": people[i].UserID}, people[i].ID, nil)
			login(chat.M{"where": chat.M{"flUserId": chat.M{"$eq": people[i].UserID}}}, people[i].ID, nil)
			login(chat.M{"flUserId": people[i].UserID, "Email": chat.M{"$iLike": people[i].Data["Email"]}}, people[i].ID, nil)
			login(chat.M{"flUserId": people[i].UserID, "Email": "another"}, 0, chat.ErrOffline)
			login(chat.M{"flUserId": chat.M{"$eq": people[i].UserID, "$iLike": "another"}}, 0, chat.ErrOffline)
			login(chat.M{"flUserId": strings.ToUpper(people[i].UserID)}, 0, chat.ErrOffline) // compared exactly
		}
		login(chat.M{"flUserId": "nobody"}, 0, chat.ErrOffline)
		// What does not ask for one of them exactly is still searched for.
		for _, query := range []chat.M{
			{"flUserId": chat.M{"$iLike": strings.ToUpper(people[50].UserID)}},
			{"$or": []any{chat.M{"flUserId": "nobody"}, chat.M{"flUserId": people[50].UserID}}},
		} {
			found, err := w.connect(device).Login(t.Context(), query, chat.Offline())
			require.NoError(t, err)
			assert.Equal(t, people[50].ID, found.ID)
		}
	})
}
