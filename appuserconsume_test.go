package chat_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// person makes somebody a member of every third room of an office, and a contact.
func (o *office) person(name string) {
	o.AddRows(o.contacts, chat.M{"Email": name + "@example.org", "flUserId": name, "flUserToken": "token-" + name})
	for i, id := range o.rooms {
		if i%3 == 0 {
			o.set(id, fmt.Sprint("user-", i), name)
		}
	}
	time.Sleep(10 * time.Second)
}

// set sets who is in a room.
func (o *office) set(room int64, people ...string) {
	_, err := o.Client().UpdateDataSource(o.t.Context(), room, datasource.SourcePatch{Definition: sure(json.Marshal(chat.M{"participants": people}))})
	require.NoError(o.t, err)
}

// guest is a user of an App of their own.
type guest struct {
	*chat.Chat
	app *chat.App
}

func (g guest) Close() error { return errors.Join(g.Chat.Close(), g.app.Close()) }

// visit logs somebody in at an App, or without one.
func (o *office) visit(t *testing.T, store storage.Store, name string, plain bool) consumer {
	query := chat.M{"Email": name + "@example.org"}
	if plain {
		client := sure(datasource.NewClient(datasource.Config{Token: o.Token, BaseURL: o.URL, HTTPClient: &http.Client{Transport: o.requests}}))
		c, err := chat.Connect(t.Context(), chat.Options{Client: client, DataSourceID: o.contacts, Storage: store, Logger: slog.New(slog.DiscardHandler)})
		require.NoError(t, err)
		for err = errors.ErrUnsupported; err != nil; _, err = c.Login(t.Context(), query) { // every tenth answer may be cut
		}
		return c
	}
	app := o.open(t, store)
	var c *chat.Chat
	for err := errors.ErrUnsupported; err != nil; c, err = app.User(t.Context(), query) {
	}
	return guest{c, app}
}

// The same as TestAnAppConsumerThatIsKilledLosesNothingAndHasNothingTwice, for one user of an App,
// and for a position that an App's user and a Chat of Connect have in turn.
func TestAConsumerOfAnAppsUserThatIsKilledLosesNothingAndHasNothingTwice(t *testing.T) {
	t.Parallel()
	user := func(t *testing.T, o *office, store storage.Store, life int) consumer {
		if life == 0 {
			o.person("me")
		}
		return o.visit(t, store, "me", false)
	}
	inTurn := func(t *testing.T, o *office, store storage.Store, life int) consumer {
		if life == 0 {
			o.person("me")
		}
		return o.visit(t, store, "me", life%3 == 1)
	}
	mine := func(o *office, sent int) bool { return sent*7%len(o.rooms)%3 == 0 }
	untold := func(o *office) { o.Always(fliplettest.ListSources, fliplettest.NullFields("updatedAt")) }
	for name, c := range map[string]killing{
		"of an App, a row is found within a minute": {rooms: 150, messages: 200, pause: 200 * time.Millisecond, begin: user, fault: untold},
		"in turn, a row is found within a minute":   {rooms: 150, messages: 36, pause: 2 * time.Second, begin: inTurn, fault: untold},
		"of an App":                         {rooms: 30, messages: 120, pause: 400 * time.Millisecond, begin: user},
		"of an App, every tenth answer cut": {rooms: 30, messages: 100, pause: 400 * time.Millisecond, begin: user, fault: tenthCut},
		"of an App and of none in turn":     {rooms: 30, messages: 120, pause: 400 * time.Millisecond, begin: inTurn},
		"in turn, every tenth answer cut":   {rooms: 30, messages: 100, pause: 400 * time.Millisecond, begin: inTurn, fault: tenthCut},
	} {
		c.mine = mine
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { killConsumers(t, c) })
		})
	}
}

// What a bell tells is read before what was written earlier and nobody has told of. A position
// that is stored in between has to go back behind both.
func TestAnAppsUserThatIsKilledGetsWhatWasReadLaterThanNewerMessages(t *testing.T) {
	t.Parallel()
	for name, plain := range map[string]bool{"at an App again": false, "without one": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				o := newOffice(t, 600)
				o.person("me")
				o.Always(fliplettest.ListSources, fliplettest.NullFields("updatedAt"))
				done, base := newLedger(), storage.NewMemory().(storage.Transactional)
				consume := func(store storage.Store, c consumer) (end func()) {
					ctx, cancel := context.WithCancel(t.Context())
					over := make(chan error, 1)
					go func() {
						over <- c.Consume(ctx, "x", func(ctx context.Context, m *chat.Message) error { write(ctx, m); return nil }, chat.StartAt(chat.FromNow))
					}()
					time.Sleep(2 * time.Minute)
					return func() {
						store.(*mortal).dead.Store(true)
						cancel()
						require.Error(t, <-over)
						require.NoError(t, c.Close())
					}
				}
				store := &mortal{Transactional: base, done: done}
				app := o.in(t, func(opts *chat.AppOptions) { opts.Bell, opts.Storage, opts.Profile.MaxJoins = true, store, 4 })
				c, err := app.User(t.Context(), chat.M{"Email": "me@example.org"})
				require.NoError(t, err)
				kill := consume(store, guest{c, app})
				o.AddRows(o.rooms[0], chat.M{"body": "nobody rings", "fromUserId": "somebody", "guid": "a"})
				const rung = 300 // so many that the position is stored as a whole in between
				for i := range rung {
					room := o.rooms[3+3*(i/10)]
					o.AddRows(room, chat.M{"body": fmt.Sprint("rung ", i), "fromUserId": "somebody", "guid": fmt.Sprint("b", i)})
					if i%10 == 9 {
						app.Bell().ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodPost, fmt.Sprint("/?conversation=", room), nil))
						time.Sleep(100 * time.Millisecond)
					}
				}
				for done.count() < rung {
					time.Sleep(10 * time.Millisecond)
				}
				require.Zero(t, done.bodies()["nobody rings"], "it is not read yet")
				kill()
				store = &mortal{Transactional: base, done: done}
				kill = consume(store, o.visit(t, store, "me", plain))
				kill()
				assert.Len(t, done.bodies(), 1+rung)
				for body, n := range done.bodies() {
					assert.Equal(t, 1, n, body)
				}
			})
		})
	}
}

// A Chat of Connect tells deletions at once, and does not note them. What it has told a consumer of an
// App's user does not tell again, which goes on with its position and looks for what was not found.
func TestAConsumerOfAnAppsUserTellsNoDeletionAgainThatAPlainOneHasTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, 2)
		o.person("me")
		base, done := storage.NewMemory().(storage.Transactional), newLedger()
		room, said := o.rooms[0], []int64(nil)
		say := func(n int, also func(i int)) {
			for i := range n {
				guid := fmt.Sprint("m", len(said))
				said = append(said, o.AddRows(room, chat.M{"body": guid, "fromUserId": "somebody", "guid": guid})...)
				also(i)
				time.Sleep(3 * time.Second)
			}
		}
		remove := func(id int64) { require.NoError(t, o.Client().Delete(t.Context(), room, id)) }
		life := func(plain bool, during func()) {
			store := &mortal{Transactional: base, done: done}
			c, over := o.visit(t, store, "me", plain), make(chan error)
			go func() {
				over <- c.Consume(t.Context(), "x", func(ctx context.Context, m *chat.Message) error { write(ctx, m); return nil })
			}()
			time.Sleep(10 * time.Second)
			during()
			store.dead.Store(true)
			require.NoError(t, c.Close())
			require.Error(t, <-over)
		}
		life(false, func() {
			say(400, func(i int) {
				if i == 20 {
					remove(said[10])
				}
			})
		})
		require.Empty(t, done.deletions(), "or this test tries nothing")
		remove(said[50]) // while nobody consumes
		life(true, func() {
			say(100, func(i int) {
				if i == 20 {
					remove(said[60])
				}
			})
			assert.Equal(t, map[int64]int{said[50]: 1, said[60]: 1}, done.deletions())
		})
		life(false, func() {
			time.Sleep(20 * time.Minute)
			assert.Equal(t, map[int64]int{said[50]: 1, said[60]: 1}, done.deletions())
			say(100, func(i int) {
				if i == 20 {
					remove(said[70])
				}
			})
		})
		life(false, func() { time.Sleep(20 * time.Minute) })
		assert.Equal(t, map[int64]int{said[50]: 1, said[60]: 1, said[70]: 1}, done.deletions())
	})
}
