package chat_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
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
	"github.com/fliplet/fliplet-chat-go/internal/longtest"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// mortal is the Storage of a process: after its death nothing of it is stored any more.
type mortal struct {
	storage.Transactional
	done *ledger
	dead atomic.Bool
}

var errDead = errors.New("the process was killed")

func (m *mortal) Set(ctx context.Context, key string, v []byte) error {
	if m.dead.Load() {
		return errDead
	}
	return m.Transactional.Set(ctx, key, v)
}

func (m *mortal) CompareAndSwap(ctx context.Context, key string, old, v []byte) (bool, error) {
	if m.dead.Load() {
		return false, errDead
	}
	return m.Transactional.CompareAndSwap(ctx, key, old, v)
}

// Update has what a function wrote into its transaction done when that is stored.
func (m *mortal) Update(ctx context.Context, fn func(context.Context, storage.Store) error) error {
	var wrote []*chat.Message
	err := m.Transactional.Update(ctx, func(ctx context.Context, tx storage.Store) error {
		err := fn(context.WithValue(ctx, writes{}, &wrote), tx)
		if m.dead.Load() {
			return errDead
		}
		return err
	})
	if err == nil {
		for _, msg := range wrote {
			m.done.add(msg)
		}
	}
	return err
}

// writes is the key of what a function writes into its transaction.
type writes struct{}

func write(ctx context.Context, m *chat.Message) {
	list := ctx.Value(writes{}).(*[]*chat.Message)
	*list = append(*list, m)
}

// ledger counts what a consumer has handled, as its Storage has it.
type ledger struct {
	mu    sync.Mutex
	got   map[string]int
	order map[int64][]int64 // ids of new messages, by conversation
	gone  map[int64]int
}

func newLedger() *ledger {
	return &ledger{got: map[string]int{}, order: map[int64][]int64{}, gone: map[int64]int{}}
}

func (l *ledger) add(m *chat.Message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case m.IsDeleted:
		l.gone[m.ID]++
	case !m.IsUpdate:
		l.got[m.Body]++
		l.order[m.ConversationID] = append(l.order[m.ConversationID], m.ID)
	}
}

func (l *ledger) deletions() map[int64]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.gone)
}

func (l *ledger) count() int { return len(l.bodies()) }

func (l *ledger) bodies() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.got)
}

func (l *ledger) ids() map[int64][]int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.order)
}

// office is a local Fliplet with conversations that its token is no member of.
type office struct {
	*world
	requests *counter
	rooms    []int64
	sent     int
	rings    func(room int64) // the web hook of a row; nil: there is none
}

func newOffice(t *testing.T, rooms int, opts ...fliplettest.Option) *office {
	w := newWorld(t, append(opts, fliplettest.InProcess())...)
	o := &office{world: w, requests: &counter{next: w.Transport()}}
	for i := range rooms {
		people := []string{fmt.Sprint("user-", i), fmt.Sprint("user-", i+1)}
		o.rooms = append(o.rooms, w.AddDataSource(chat.M{"name": "room", "type": "conversation", "definition": chat.M{"participants": people}}))
	}
	time.Sleep(10 * time.Second)
	return o
}

// room is where a message is sent.
func (o *office) room(sent int) int64 { return o.rooms[sent*7%len(o.rooms)] }

func (o *office) open(t *testing.T, store storage.Store) *chat.App {
	client := sure(datasource.NewClient(datasource.Config{Token: o.Token, BaseURL: o.URL, HTTPClient: &http.Client{Transport: o.requests}}))
	app, err := chat.OpenApp(t.Context(), chat.AppOptions{Options: chat.Options{Client: client, DataSourceID: o.contacts, Storage: store, Logger: slog.New(slog.DiscardHandler)}})
	require.NoError(t, err)
	return app
}

// send writes messages, one each pause.
func (o *office) send(n int, pause time.Duration) {
	for range n {
		room := o.room(o.sent)
		o.AddRows(room, chat.M{"body": fmt.Sprint("m", o.sent), "fromUserId": "somebody", "guid": fmt.Sprint("g", o.sent)})
		if o.sent++; o.rings != nil {
			o.rings(room)
		}
		time.Sleep(pause)
	}
}

// The headline: processes that are killed while they consume everything, and others that go on
// with what is in Storage, have each message once, and in order.
func TestAnAppConsumerThatIsKilledLosesNothingAndHasNothingTwice(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]killing{
		"with a list that tells what has changed": {rooms: 30, messages: 100, pause: 400 * time.Millisecond},
		"without, so that a row is found within a minute": {rooms: 150, messages: 12, pause: 5 * time.Second, fault: func(o *office) {
			o.Always(fliplettest.ListSources, fliplettest.NullFields("updatedAt"))
		}},
		"when every tenth answer is cut": {rooms: 30, messages: 100, pause: 400 * time.Millisecond, fault: tenthCut},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { killConsumers(t, c) })
		})
	}
}

// tenthCut cuts every tenth answer.
func tenthCut(o *office) { o.Sometimes(0.1, fliplettest.AnyRead, fliplettest.Cut()) }

// killing is an app whose consumers are killed after some messages.
type killing struct {
	rooms, messages int
	pause           time.Duration
	fault           func(*office)
	// begin is who consumes in one life, by default the App.
	begin func(t *testing.T, o *office, store storage.Store, life int) consumer
	// mine reports whether the consumer has to have a message; nil: it has to have all.
	mine func(o *office, sent int) bool
}

// consumer is an App, or a Chat.
type consumer interface {
	Consume(ctx context.Context, name string, fn func(context.Context, *chat.Message) error, opts ...chat.ConsumeOption) error
	Close() error
}

func killConsumers(t *testing.T, c killing) {
	o := newOffice(t, c.rooms)
	o.send(40, 10*time.Millisecond) // before anybody listens
	time.Sleep(20 * time.Second)
	if c.fault != nil {
		c.fault(o)
	}
	if c.begin == nil {
		c.begin = func(t *testing.T, o *office, store storage.Store, _ int) consumer { return o.open(t, store) }
		c.mine = func(*office, int) bool { return true }
	}
	base, done, caught := storage.NewMemory().(storage.Transactional), newLedger(), 0
	const lives = 8
	for life := range lives {
		store := &mortal{Transactional: base, done: done}
		app := c.begin(t, o, store, life)
		ctx, cancel := context.WithCancel(t.Context())
		over := make(chan error)
		var running atomic.Int64
		go func() {
			over <- app.Consume(ctx, "archive", func(ctx context.Context, m *chat.Message) error {
				running.Add(1)
				defer running.Add(-1)
				time.Sleep(time.Duration(m.ID*37%400) * time.Millisecond)
				write(ctx, m)
				return nil
			}, chat.StartAt(chat.FromBeginning), chat.Parallel(4))
		}()
		o.send(c.messages+life, c.pause)
		if life == lives-1 {
			time.Sleep(5 * time.Minute)
		}
		for life%2 == 0 && running.Load() == 0 { // in the middle of something
			o.send(1, 700*time.Millisecond)
		}
		if running.Load() > 0 {
			caught++
		}
		store.dead.Store(true)
		cancel()
		require.Error(t, <-over)
		require.NoError(t, app.Close())
		o.send(25, 200*time.Millisecond*time.Duration(life%3)) // while nobody listens
	}
	assert.GreaterOrEqual(t, caught, lives/2, "kills in the middle of functions")
	o.sent -= 25 // after the last
	bodies := done.bodies()
	wanted := 0
	for i := range o.sent {
		if c.mine(o, i) {
			wanted++
			assert.Equal(t, 1, bodies[fmt.Sprint("m", i)], "message %d", i)
		}
	}
	assert.Len(t, bodies, wanted)
	assert.Greater(t, wanted, 100)
	for room, ids := range done.ids() {
		assert.IsIncreasing(t, ids, "room %d", room)
	}
}

// A message that fails for a while holds up its conversation alone, also where so many wait behind
// it that the conversation is set aside and read by itself.
func TestAnAppConsumerGoesOnBesideAConversationThatIsSetAside(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, 5)
		app := o.open(t, storage.NewMemory())
		done, frees := newLedger(), time.Now().Add(10*time.Minute)
		ctx, cancel := context.WithCancel(t.Context())
		over := make(chan error)
		go func() {
			over <- app.Consume(ctx, "archive", func(_ context.Context, m *chat.Message) error {
				if m.Body == "stuck" && time.Now().Before(frees) {
					return errors.New("not yet")
				}
				done.add(m)
				return nil
			}, chat.StartAt(chat.FromNow), chat.UntilDone())
		}()
		time.Sleep(10 * time.Second)
		for i := range 1000 {
			body := fmt.Sprint("b", i)
			if i == 0 {
				body = "stuck"
			}
			o.AddRows(o.rooms[0], chat.M{"body": body, "fromUserId": "somebody", "guid": body})
		}
		o.send(100, time.Second)
		in0 := 0
		for i := range 100 {
			if o.room(i) == o.rooms[0] {
				in0++
			}
		}
		time.Sleep(time.Minute)
		assert.Equal(t, 100-in0, done.count(), "the others go on")
		time.Sleep(15 * time.Minute)
		assert.Equal(t, 1100, done.count())
		assert.IsIncreasing(t, done.ids()[o.rooms[0]])
		cancel()
		require.NoError(t, <-over)
		require.NoError(t, app.Close())
	})
}

// In a conversation in which others write nothing points to a deletion, and an App finds it hours
// later. One that was not found when the process ended is told by the next one, and what was told
// before is not told again.
func TestAnAppConsumerTellsEachDeletionOnceThatWasNotFoundWhenTheOneBeforeEnded(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		transactional, fails bool
		user                 bool // the consumer is that of a user of the App
		// stuck is how many messages wait behind one that fails for a while, so that the
		// conversation is set aside.
		stuck int
	}{
		"with transactions":                       {transactional: true},
		"without":                                 {},
		"when some reads fail":                    {fails: true},
		"in a conversation that is held up":       {transactional: true, stuck: 20},
		"in a conversation that is set aside":     {transactional: true, stuck: 400},
		"in one that is set aside, without these": {stuck: 400},
		"of a user, with transactions":            {user: true, transactional: true},
		"of a user, without":                      {user: true},
		"of a user, in one that is set aside":     {user: true, transactional: true, stuck: 400},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				o := newOffice(t, 8)
				base, done := storage.NewMemory().(storage.Transactional), newLedger()
				if c.user {
					o.person("me")
					o.set(o.rooms[1], "user-1", "me")
				}
				var frees time.Time
				// life consumes for as long as during takes, and is killed then.
				life := func(during func()) {
					store := &mortal{Transactional: base, done: done}
					var kept storage.Store = store
					if !c.transactional {
						kept = struct{ storage.Store }{store}
					}
					var who consumer
					if c.user {
						who = o.visit(t, kept, "me", false)
					} else {
						who = o.open(t, kept)
					}
					over := make(chan error)
					go func() {
						over <- who.Consume(t.Context(), "archive", func(ctx context.Context, m *chat.Message) error {
							if m.Body == "stuck" && time.Now().Before(frees) {
								return errors.New("not yet")
							}
							if c.transactional {
								write(ctx, m)
							} else {
								done.add(m)
							}
							return nil
						}, chat.StartAt(chat.FromBeginning))
					}()
					time.Sleep(10 * time.Second)
					during()
					store.dead.Store(true)
					require.NoError(t, who.Close())
					require.Error(t, <-over)
				}
				remove := func(room int64, ids ...int64) {
					for _, id := range ids {
						require.NoError(t, o.Client().Delete(t.Context(), room, id))
					}
				}
				lively, quiet := o.rooms[0], o.rooms[1]
				add := func(room int64, body string) int64 {
					return o.AddRows(room, chat.M{"body": body, "fromUserId": "somebody", "guid": body})[0]
				}
				var said, early []int64
				life(func() {
					for i := range 400 {
						said = append(said, add(lively, fmt.Sprint("m", i)))
						if i < 3 {
							early = append(early, add(quiet, fmt.Sprint("q", i)))
						}
						if i == 60 {
							remove(quiet, early[0])
						}
						if 20 <= i && i < 25 {
							remove(lively, said[i-10])
						}
						time.Sleep(3 * time.Second)
					}
					assert.Equal(t, map[int64]int{early[0]: 1}, done.deletions(), "or this test tries nothing")
				})
				remove(lively, said[100]) // while nobody consumes
				want := map[int64]int{early[0]: 1, said[100]: 1}
				for _, id := range said[10:15] {
					want[id] = 1
				}
				if c.fails {
					defer o.Sometimes(0.3, fliplettest.Query, fliplettest.Status(503)).Off()
				}
				if frees = time.Now().Add(10 * time.Minute); c.stuck > 0 {
					add(lively, "stuck")
				}
				for i := range c.stuck {
					add(lively, fmt.Sprint("behind", i))
				}
				life(func() {
					add(lively, "after")
					time.Sleep(20 * time.Minute)
					assert.Equal(t, want, done.deletions())
				})
				time.Sleep(time.Minute)
				life(func() { time.Sleep(3 * time.Hour) })
				life(func() { time.Sleep(10 * time.Minute) })
				assert.Equal(t, want, done.deletions(), "none is told again")
				assert.Equal(t, 404+c.stuck+min(c.stuck, 1), done.count())
			})
		})
	}
}

// One process has everything of many conversations that its token is no member of, with a bell
// and without. With CHAT_LONG=1 there are 2,000 of them and 20 messages a second.
func TestAnAppConsumerOfManyConversationsIsFastAndCheap(t *testing.T) {
	t.Parallel()
	rooms, messages, pause := 300, 400, 100*time.Millisecond
	if longtest.Enabled() {
		rooms, messages, pause = 2000, 6000, 50*time.Millisecond
	}
	for name, bell := range map[string]bool{"by the list": false, "by a bell": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				o := newOffice(t, rooms)
				app := o.in(t, func(opts *chat.AppOptions) { opts.Bell, opts.Storage = bell, storage.NewMemory() })
				if bell {
					o.rings = func(room int64) {
						r := httptest.NewRequest(http.MethodPost, fmt.Sprint("/?conversation=", room), http.NoBody)
						app.Bell().ServeHTTP(httptest.NewRecorder(), r)
					}
				}
				done, began := newLedger(), time.Now()
				var mu sync.Mutex
				var first time.Duration
				var waits []time.Duration
				ctx, cancel := context.WithCancel(t.Context())
				over := make(chan error)
				go func() {
					over <- app.Consume(ctx, "archive", func(_ context.Context, m *chat.Message) error {
						done.add(m)
						mu.Lock()
						defer mu.Unlock()
						if first == 0 {
							first = time.Since(began)
						}
						waits = append(waits, time.Since(m.CreatedAt))
						return nil
					}, chat.StartAt(chat.FromNow), chat.Parallel(8))
				}()
				time.Sleep(time.Second)
				before := o.requests.n.Load()
				o.send(messages, pause)
				spent, took := o.requests.n.Load()-before, time.Duration(messages)*pause
				time.Sleep(2 * time.Minute)
				cancel()
				require.ErrorIs(t, <-over, context.Canceled)
				require.NoError(t, app.Close())
				mu.Lock()
				defer mu.Unlock()
				require.Len(t, waits, messages)
				slices.Sort(waits)
				p95, worst := waits[messages*95/100], waits[messages-1]
				rate := float64(spent) / took.Seconds()
				t.Logf("%d conversations, %d messages: first after %v, p95 %v, worst %v, %.2f requests a second", rooms, messages, first, p95, worst, rate)
				assert.Equal(t, messages, done.count())
				assert.LessOrEqual(t, first, 30*time.Second)
				assert.LessOrEqual(t, worst, 30*time.Second)
				assert.LessOrEqual(t, rate, 2.0)
				if bell {
					assert.Less(t, p95, 2*time.Second)
				}
			})
		})
	}
}
