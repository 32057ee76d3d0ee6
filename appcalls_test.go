package chat_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
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

// in opens an App in an office, with options changed, and closes it at the end.
func (o *office) in(t *testing.T, change func(*chat.AppOptions)) *chat.App {
	client := sure(datasource.NewClient(datasource.Config{Token: o.Token, BaseURL: o.URL, HTTPClient: &http.Client{Transport: o.requests}}))
	opts := chat.AppOptions{Options: chat.Options{Client: client, DataSourceID: o.contacts, Logger: slog.New(slog.DiscardHandler)}}
	if change != nil {
		change(&opts)
	}
	app, err := chat.OpenApp(t.Context(), opts)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, app.Close()) })
	return app
}

func TestTheCallsOfAnAppRefuseBadInputBeforeAnyRequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, 3)
		app := o.in(t, nil)
		ctx := t.Context()
		handle := func(context.Context, *chat.Message) error { return nil }
		first := func(opts ...chat.StreamOption) error {
			for _, err := range app.Events(ctx, opts...) {
				return err
			}
			return nil
		}
		stream := func(opts ...chat.StreamOption) error {
			_, err := app.Stream(ctx, func(*chat.Message) {}, opts...)
			return err
		}
		history := func(id int64, opts ...chat.HistoryOption) error {
			for _, err := range app.History(ctx, id, opts...) {
				return err
			}
			return nil
		}
		install := func(url string, ids ...int64) error { _, err := app.InstallBell(ctx, url, ids...); return err }
		remove := func(url string, ids ...int64) error { _, err := app.RemoveBell(ctx, url, ids...); return err }
		send := func(as chat.M, id int64, d chat.Draft) error { _, err := app.Send(ctx, as, id, d); return err }
		jane, draft := chat.M{"Email": "jane@example.org"}, chat.Draft{Body: "x"}
		before := o.requests.n.Load()
		for _, c := range []struct {
			err  error
			says string
		}{
			{stream(chat.Only()), "Only: no ids; give those of conversations"},
			{stream(chat.Only(3, -1)), "Only: -1 is not the id of a conversation"},
			{stream(chat.OnlyIf(nil)), "OnlyIf: nil; give a function"},
			{stream(chat.StartAt(99)), "StartAt: 99; use FromNewest"},
			{stream(chat.Offline()), "Offline: an App has no cached messages; leave it out"},
			{first(chat.Only(0)), "Only: 0 is not"},
			{first(chat.Offline()), "Offline: an App"},
			{app.Consume(ctx, " ", handle), "name: want 1 to 200 characters"},
			{app.Consume(ctx, "x", nil), "fn: nil"},
			{app.Consume(ctx, "x", handle, chat.Parallel(0)), "Parallel: 0"},
			{app.Consume(ctx, "x", handle, chat.Only(0)), "Only: 0 is not"},
			{history(0), "conversationID: 0 is not the id of a conversation"},
			{history(1, chat.PageSize(-1)), "PageSize: -1"},
			{history(1, chat.Before(nil)), "Before: want a message"},
			{install("bell"), "endpoint: it is not absolute; give one such as https://"},
			{install("http://u:p@x.org/b"), "endpoint: it has a user or password"},
			{install("https://x.org/{{body}}"), "endpoint: it has {{"},
			{install("https://x.org/b#a"), "endpoint: it has a fragment"},
			{install("https://x.org/b?conversation=1"), `endpoint: it has the parameter "conversation"`},
			{install("https://x.org/b", 0), "conversationIDs: 0 is not the id"},
			{remove("https://x.org/b", -5), "conversationIDs: -5 is not the id"},
			{remove("ftp://x.org/b"), "endpoint: it is not absolute"},
			{send(nil, o.rooms[0], draft), "as: "},
			{send(chat.M{"Email": ""}, o.rooms[0], draft), "as: "},
			{send(jane, 0, draft), "conversationID: 0"},
			{send(jane, o.rooms[0], chat.Draft{}), "Body"},
		} {
			require.ErrorIs(t, c.err, chat.ErrInvalid, c.says)
			require.ErrorContains(t, c.err, c.says)
		}
		assert.Equal(t, before, o.requests.n.Load(), "requests")
		c, err := app.User(ctx, jane)
		require.NoError(t, err)
		_, err = c.Stream(ctx, func(*chat.Message) {}, chat.Only(o.rooms[0]))
		require.ErrorContains(t, err, "Only and OnlyIf are for the listeners of an App; leave them out")
	})
}

func TestAFilterOfAnAppLimitsStreamsLoopsAndConsumers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, 12)
		app := o.in(t, nil)
		want := map[int64]bool{o.rooms[2]: true, o.rooms[5]: true, o.rooms[11]: true}
		filters := map[string]func() chat.FilterOption{
			"by id": func() chat.FilterOption { return chat.Only(o.rooms[2], o.rooms[5], o.rooms[11], 1<<40) },
			"by function": func() chat.FilterOption {
				return chat.OnlyIf(func(v *chat.Conversation) bool {
					return want[v.ID] && v.NParticipants == 2 && v.Name == "room"
				})
			},
		}
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		got := map[string]*ledger{}
		for name, filter := range filters {
			for _, way := range []string{"stream", "loop", "consumer"} {
				l := newLedger()
				got[way+" "+name] = l
				switch way {
				case "stream":
					_, err := app.Stream(ctx, l.add, filter())
					require.NoError(t, err)
				case "loop":
					running.Go(func() {
						for m, err := range app.Events(ctx, filter()) {
							if err != nil {
								assert.ErrorIs(t, err, context.Canceled)
								return
							}
							l.add(m)
						}
					})
				default:
					running.Go(func() {
						err := app.Consume(ctx, name, func(_ context.Context, m *chat.Message) error { l.add(m); return nil }, filter(), chat.StartAt(chat.FromNow))
						assert.ErrorIs(t, err, context.Canceled)
					})
				}
			}
		}
		time.Sleep(30 * time.Second)
		o.send(120, 100*time.Millisecond)
		time.Sleep(2 * time.Minute)
		cancel()
		running.Wait()
		for name, l := range got {
			assert.Len(t, l.bodies(), 30, name)
			for room := range l.ids() {
				assert.True(t, want[room], "%s: room %d", name, room)
			}
		}
	})
}

// A conversation that a filter takes later is one that was joined then, and a panic of the
// function is told.
func TestAFunctionThatFiltersMayChangeItsMindOrPanic(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, 3)
		app := o.in(t, nil)
		o.send(9, 0)
		time.Sleep(time.Minute)
		var mode atomic.Int32
		var told atomic.Pointer[error]
		l := newLedger()
		var gaps atomic.Int32
		_, err := app.Stream(t.Context(), l.add, chat.OnlyIf(func(v *chat.Conversation) bool {
			if mode.Load() == 1 {
				panic("no")
			}
			return v.ID == o.rooms[0] || mode.Load() == 2 && v.ID == o.rooms[1]
		}), chat.OnError(func(err error) { told.Store(&err) }), chat.OnGap(func(chat.Gap) { gaps.Add(1) }))
		require.NoError(t, err)
		time.Sleep(10 * time.Second)
		o.send(3, 0)
		time.Sleep(time.Minute)
		assert.Equal(t, 1, l.count())
		mode.Store(1)
		o.AddDataSource(chat.M{"name": "new", "type": "conversation", "definition": chat.M{"participants": []string{"a"}}})
		time.Sleep(3 * time.Minute)
		require.NotNil(t, told.Load())
		_, panicked := (*told.Load()).(interface{ Unwrap() error }) //nolint:errorlint // the text is what counts
		assert.True(t, panicked)
		require.ErrorContains(t, *told.Load(), "function of OnlyIf panicked")
		mode.Store(2)
		time.Sleep(10 * time.Minute)
		o.send(3, 0)
		time.Sleep(2 * time.Minute)
		assert.Equal(t, 3, l.count(), "one before, and two now")
		assert.Equal(t, int32(1), gaps.Load(), "what the other conversation had before")
	})
}

func TestAnAppReadsSealedBodiesOfConversationsThatItsTokenIsNoMemberOf(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, 0)
		jane := o.login("jane", func(o *chat.Options) { o.PollInterval = time.Minute })
		conv := o.converse(jane, "bob")
		o.say(jane, conv, "before")
		o.rooms = append(o.rooms, conv.ID)
		app := o.in(t, func(opts *chat.AppOptions) { opts.EncryptMessages = true })
		l := newLedger()
		_, err := app.Stream(t.Context(), l.add, chat.StartAt(chat.FromBeginning))
		require.NoError(t, err)
		time.Sleep(10 * time.Second)
		sent := o.say(jane, conv, "the secret")
		o.say(jane, o.converse(jane, "eve"), "elsewhere")
		time.Sleep(2 * time.Minute)
		assert.Equal(t, map[string]int{"before": 1, "the secret": 1, "elsewhere": 1}, l.bodies())
		var bodies []string
		for m, err := range app.History(t.Context(), conv.ID, chat.PageSize(1)) {
			require.NoError(t, err)
			bodies = append(bodies, m.Body)
		}
		assert.Equal(t, []string{"the secret", "before"}, bodies)
		for m, err := range app.History(t.Context(), conv.ID, chat.Before(sent)) {
			require.NoError(t, err)
			assert.Equal(t, "before", m.Body)
		}
		for _, err := range app.History(t.Context(), 1<<40) {
			require.ErrorIs(t, err, chat.ErrNotFound)
		}
		for _, err := range app.History(t.Context(), o.contacts) {
			require.ErrorIs(t, err, chat.ErrNotFound, "the contacts are no conversation")
		}
	})
}

func TestAnAppSendsForManyPeopleWithOneLoginEach(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, 0)
		jane := o.login("jane")
		conv := o.converse(jane, "bob")
		app := o.in(t, func(opts *chat.AppOptions) { opts.EncryptMessages = true })
		before := o.requests.n.Load()
		var sends sync.WaitGroup
		for i := range 40 {
			sends.Go(func() {
				who := []string{"jane", "bob"}[i%2]
				m, err := app.Send(t.Context(), chat.M{"Email": who + "@example.org"}, conv.ID, chat.Draft{Body: fmt.Sprint(i)})
				if assert.NoError(t, err) {
					assert.Equal(t, fmt.Sprint(i), m.Body)
				}
			})
		}
		sends.Wait()
		assert.LessOrEqual(t, o.requests.n.Load()-before, int64(40+2*3+2), "40 messages, two logins and the conversation")
		n := 0
		for m, err := range app.History(t.Context(), conv.ID) {
			require.NoError(t, err)
			who := jane.User().UserID
			assert.Equal(t, sure(json.Number(m.Body).Int64())%2 == 0, m.FromUserID == who)
			n++
		}
		assert.Equal(t, 40, n)
		_, err := app.Send(t.Context(), chat.M{"Email": "eve@example.org"}, conv.ID, chat.Draft{Body: "x"})
		require.ErrorIs(t, err, chat.ErrNotFound, "she is no member")
		_, err = app.Send(t.Context(), chat.M{"Email": "nobody@example.org"}, conv.ID, chat.Draft{Body: "x"})
		require.ErrorIs(t, err, chat.ErrContactNotFound)
		require.NoError(t, app.Shutdown(t.Context()))
		_, err = app.Send(t.Context(), chat.M{"Email": "bob@example.org"}, conv.ID, chat.Draft{Body: "x"})
		require.ErrorIs(t, err, chat.ErrClosed)
	})
}

// Shutdown waits for functions, sends what waits in outboxes, and lets nothing run on.
func TestShutdownOfAnAppEndsItAndItsUsersInGoodOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, 2)
		jane := o.login("jane")
		conv := o.converse(jane, "bob")
		app := o.in(t, func(opts *chat.AppOptions) {
			opts.Storage, opts.Outbox = storage.NewMemory(), &chat.OutboxOptions{}
		})
		bob, err := app.User(t.Context(), chat.M{"Email": "bob@example.org"})
		require.NoError(t, err)
		var inside, done atomic.Int32
		slow := func(*chat.Message) {
			inside.Add(1)
			time.Sleep(20 * time.Second)
			done.Add(1)
		}
		sub, err := bob.Stream(t.Context(), slow, chat.StartAt(chat.FromNow))
		require.NoError(t, err)
		all, err := app.Stream(t.Context(), slow, chat.Only(conv.ID))
		require.NoError(t, err)
		consumed := make(chan error, 1)
		go func() {
			consumed <- app.Consume(t.Context(), "x", func(context.Context, *chat.Message) error { slow(nil); return nil }, chat.StartAt(chat.FromNow))
		}()
		time.Sleep(10 * time.Second)
		_, err = jane.Message(t.Context(), conv.ID, chat.Draft{Body: "to all"})
		require.NoError(t, err)
		for inside.Load() < 3 {
			time.Sleep(100 * time.Millisecond)
		}
		o.Always(fliplettest.Insert, fliplettest.Status(503))
		go func() {
			time.Sleep(5 * time.Second)
			o.Release()
		}()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = app.Send(ctx, chat.M{"Email": "jane@example.org"}, conv.ID, chat.Draft{Body: "late"})
		require.ErrorIs(t, err, chat.ErrQueued)
		require.NoError(t, app.Shutdown(t.Context()))
		assert.Equal(t, int32(3), done.Load(), "functions that have returned")
		<-sub.Done()
		<-all.Done()
		require.ErrorIs(t, <-consumed, chat.ErrClosed)
		_, err = bob.Message(t.Context(), conv.ID, chat.Draft{Body: "x"})
		require.ErrorIs(t, err, chat.ErrClosed)
		found := 0
		for m, err := range jane.History(t.Context(), conv.ID) {
			require.NoError(t, err)
			if m.Body == "late" {
				found++
			}
		}
		assert.Equal(t, 1, found, "what waited in the outbox")
		_, err = app.User(t.Context(), chat.M{"Email": "bob@example.org"})
		require.ErrorIs(t, err, chat.ErrClosed)
		before := o.requests.n.Load()
		time.Sleep(10 * time.Minute)
		assert.Equal(t, before, o.requests.n.Load(), "requests after the end")
	})
}

func TestShutdownOfAnAppThatTakesTooLongClosesIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, 2)
		app := o.in(t, nil)
		release := make(chan struct{})
		sub, err := app.Stream(t.Context(), func(*chat.Message) { <-release })
		require.NoError(t, err)
		time.Sleep(time.Second)
		o.send(1, 20*time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		require.ErrorIs(t, app.Shutdown(ctx), context.DeadlineExceeded)
		close(release)
		<-sub.Done()
	})
}

func TestAnAppQueuesOnlyWithAnOutboxAndResumesItsOwnPeopleOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, 0)
		jane := o.login("jane")
		conv := o.converse(jane, "bob")
		bob := chat.M{"Email": "bob@example.org"}
		_, err := o.in(t, nil).Queue(t.Context(), bob, conv.ID, chat.Draft{Body: "x"})
		require.ErrorIs(t, err, chat.ErrInvalid)
		_, err = o.in(t, func(opts *chat.AppOptions) {
			opts.Storage, opts.Outbox = unlistable{storage.NewMemory()}, &chat.OutboxOptions{}
		}).Resume(t.Context())
		require.ErrorIs(t, err, errors.ErrUnsupported)

		store := storage.NewMemory()
		app := o.in(t, func(opts *chat.AppOptions) { opts.Storage, opts.Outbox = store, &chat.OutboxOptions{} })
		down := o.Always(fliplettest.Insert, fliplettest.LoseRequest())
		guid, err := app.Queue(t.Context(), bob, conv.ID, chat.Draft{Body: "late"})
		require.NoError(t, err)
		require.NotEmpty(t, guid)
		time.Sleep(time.Minute)
		require.NoError(t, app.Close())
		synctest.Wait()
		down.Off()
		other := o.in(t, func(opts *chat.AppOptions) {
			opts.Storage, opts.Outbox, opts.DataSourceID = store, &chat.OutboxOptions{}, sure(o.Client().CreateDataSource(t.Context(), datasource.NewDataSource{Name: "others", AppID: o.AppID})).ID
		})
		n, err := other.Resume(t.Context())
		require.NoError(t, err)
		assert.Zero(t, n, "they are another app's")
		next := o.in(t, func(opts *chat.AppOptions) { opts.Storage, opts.Outbox = store, &chat.OutboxOptions{} })
		n, err = next.Resume(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 1, n)
		require.NoError(t, next.Flush(t.Context()))
		var bodies []string
		for m, err := range jane.History(t.Context(), conv.ID) {
			require.NoError(t, err)
			bodies = append(bodies, m.Body)
		}
		assert.Equal(t, []string{"late"}, bodies)
	})
}

// unlistable is a Store that cannot say what is in it.
type unlistable struct{ storage.Store }

// An App that only sends reads nothing. Who listens to it first, an hour later, gets what comes
// then.
func TestAnAppReadsNothingUntilSomebodyListens(t *testing.T) {
	t.Parallel()
	for name, listen := range map[string]func(t *testing.T, o *office, app *chat.App, l *ledger){
		"to the app": func(t *testing.T, _ *office, app *chat.App, l *ledger) {
			_, err := app.Stream(t.Context(), l.add)
			require.NoError(t, err)
		},
		"as a user": func(t *testing.T, o *office, app *chat.App, l *ledger) {
			c, err := app.User(t.Context(), chat.M{"Email": "bob@example.org"})
			require.NoError(t, err)
			_, err = c.Stream(t.Context(), l.add, chat.StartAt(chat.FromNow), chat.OnGap(func(g chat.Gap) { assert.Fail(t, "a gap", g.String()) }))
			require.NoError(t, err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				o := newOffice(t, 0)
				jane := o.login("jane", func(opts *chat.Options) { opts.EncryptMessages = false })
				o.rooms = append(o.rooms, o.converse(jane, "bob").ID)
				app := o.in(t, nil)
				before := o.requests.n.Load()
				time.Sleep(time.Hour)
				assert.Equal(t, before, o.requests.n.Load(), "requests")
				o.send(5, time.Second)
				o.rooms = append(o.rooms, o.converse(jane, "bob", "eve").ID) // the App has not heard of it
				o.send(5, time.Second)
				time.Sleep(10 * time.Second)
				l := newLedger()
				listen(t, o, app, l)
				time.Sleep(20 * time.Second)
				assert.Empty(t, l.bodies(), "from before")
				o.send(6, time.Second)
				time.Sleep(time.Minute)
				assert.Len(t, l.bodies(), 6)
			})
		})
	}
}

// A token that was revoked ends the listeners of an App, although the log answers them.
func TestListenersOfAnAppEndWhenItsTokenIsRevoked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, 3)
		app := o.in(t, nil)
		sub, err := app.Stream(t.Context(), func(*chat.Message) {})
		require.NoError(t, err)
		over := make(chan error, 1)
		go func() {
			for _, err := range app.Events(t.Context(), chat.Only(o.rooms...)) {
				if err != nil {
					over <- err
				}
			}
		}()
		time.Sleep(time.Minute)
		o.send(3, time.Second)
		time.Sleep(time.Minute)
		o.Always(fliplettest.AnyRoute, fliplettest.RefuseToken())
		time.Sleep(time.Hour)
		select {
		case <-sub.Done():
			require.ErrorIs(t, sub.Err(), chat.ErrUnauthorized)
		default:
			require.Fail(t, "the stream goes on")
		}
		require.ErrorIs(t, <-over, chat.ErrUnauthorized)
	})
}
