package hub_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/internal/fleet"
	"github.com/fliplet/fliplet-chat-go/internal/fleet/hub"
	"github.com/fliplet/fliplet-chat-go/internal/rows"
)

// listener is a Watch with its engine.
type listener struct {
	t      *testing.T
	watch  *hub.Watch
	engine *feed.Feed
	id     feed.ID
	poked  atomic.Bool
	joined atomic.Bool
	news   map[string]int
	ids    map[int64][]int64
	gone   map[int64]int
	asked  int // queries
}

// open opens a hub over rooms that keeps little, and runs it.
func open(t *testing.T, srv *fliplettest.Server, keeps fleet.LogConfig) *hub.Hub {
	return run(t, hub.Config{Client: srv.Client(), Apps: []int64{srv.AppID}, Log: slog.New(slog.DiscardHandler), Keeps: keeps})
}

// run opens a hub and runs it.
func run(t *testing.T, cfg hub.Config) *hub.Hub {
	h, err := hub.Open(t.Context(), cfg)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { h.Run(ctx); close(done) }()
	t.Cleanup(func() { cancel(); <-done })
	return h
}

func listen(t *testing.T, h *hub.Hub, from feed.Start) *listener {
	l := &listener{t: t, news: map[string]int{}, ids: map[int64][]int64{}, gone: map[int64]int{}, engine: feed.New(feed.Config{})}
	l.watch = h.Watch(hub.WatchConfig{Size: 200, Log: slog.New(slog.DiscardHandler)})
	l.watch.Enter(l)
	l.id = l.engine.Subscribe(time.Now(), from)
	l.watch.Start()
	return l
}

func (l *listener) Poke()                  { l.poked.Store(true) }
func (l *listener) Joined()                { l.joined.Store(true) }
func (l *listener) Aside(read func()) bool { go read(); return true }

// run lets the engine work for a while.
func (l *listener) run(d time.Duration) {
	for end := time.Now().Add(d); ; {
		now := time.Now()
		if l.joined.Swap(false) {
			l.engine.Joined(now)
		}
		if l.poked.Swap(false) {
			l.engine.Poke(now)
		}
		for l.engine.Pending(l.id) > 0 {
			l.take()
		}
		switch q := l.engine.Next(now).Query; q.Kind {
		case 0:
			if !now.Before(end) {
				return
			}
			time.Sleep(100 * time.Millisecond)
		case feed.Members:
			members, err := l.watch.Members(l.t.Context())
			require.NoError(l.t, err)
			l.engine.Members(now, members)
		default:
			l.asked++
			a, err := l.watch.Page(l.t.Context(), q)
			if err != nil {
				l.engine.Failed(time.Now(), 0)
				continue
			}
			if !a.Asked.IsZero() {
				l.engine.Earlier(a.Asked, a.Since)
			}
			switch {
			case a.Partial:
				l.engine.PartialPage(time.Now(), a.Rows, a.Clock, a.Without, a.Short)
			case a.Short:
				l.engine.ShortPage(time.Now(), a.Rows, a.Clock, a.Upto)
			default:
				l.engine.PageUpto(time.Now(), a.Rows, a.Clock, a.Upto)
			}
		}
	}
}

func (l *listener) take() {
	e, _ := l.engine.Take(l.id)
	switch {
	case e.Deleted:
		l.gone[e.Row.ID]++
	case !e.Update:
		row, _ := rows.Row(&e.Row)
		body, _ := row.Data["body"].(string)
		l.news[body]++
		l.ids[e.Row.Conversation] = append(l.ids[e.Row.Conversation], e.Row.ID)
	}
	l.engine.Ack(l.id)
}

func (l *listener) has(n int) {
	l.t.Helper()
	assert.Len(l.t, l.news, n)
	for body, times := range l.news {
		assert.Equal(l.t, 1, times, body)
	}
	for room, ids := range l.ids {
		assert.IsIncreasing(l.t, ids, "room %d", room)
	}
}

func roomsOf(srv *fliplettest.Server, n int) (ids []int64) {
	for i := range n {
		ids = append(ids, srv.AddDataSource(datasource.M{"name": fmt.Sprint("room ", i), "type": "conversation", "definition": datasource.M{"participants": []string{"a", "b"}}}))
	}
	return ids
}

func add(srv *fliplettest.Server, rooms []int64, from, n int) {
	for i := from; i < from+n; i++ {
		srv.AddRows(rooms[i%len(rooms)], datasource.M{"body": fmt.Sprint(i), "guid": fmt.Sprint(i), "fromUserId": "a"})
		time.Sleep(50 * time.Millisecond)
	}
}

// Nothing is lost to whoever takes nothing while the log forgets far more than it keeps.
func TestAListenerThatHasFallenBehindTheLogReadsOnFromTheServer(t *testing.T) {
	t.Parallel()
	for name, from := range map[string]feed.Start{"from now": feed.FromNow, "from the newest": feed.FromNewest, "from the beginning": feed.FromBeginning} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				srv := fliplettest.New(t, fliplettest.InProcess())
				rooms := roomsOf(srv, 25)
				time.Sleep(10 * time.Second)
				l := listen(t, open(t, srv, fleet.LogConfig{Contents: 40, Keys: 60}), from)
				l.run(20 * time.Second)
				add(srv, rooms, 0, 100)
				l.run(30 * time.Second)
				l.has(100)
				for behind := range 3 {
					add(srv, rooms, 100+behind*400, 400) // nothing is taken meanwhile
					l.run(2 * time.Minute)
					l.has(500 + behind*400)
				}
				before := srv.Count(fliplettest.Query)
				add(srv, rooms, 1300, 20)
				l.run(time.Minute)
				l.has(1320)
				assert.Less(t, srv.Count(fliplettest.Query)-before, 60, "it lives from the log again")
			})
		})
	}
}

// A deletion that is found hours later is told nevertheless, once.
func TestADeletionThatIsFoundLateIsTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := fliplettest.New(t, fliplettest.InProcess())
		srv.Always(fliplettest.ListSources, fliplettest.NullFields("updatedAt")) // nothing points to it
		rooms := roomsOf(srv, 3)
		time.Sleep(10 * time.Second)
		l := listen(t, open(t, srv, fleet.LogConfig{}), feed.FromNow)
		l.run(20 * time.Second)
		row := srv.AddRows(rooms[1], datasource.M{"body": "x", "guid": "x", "fromUserId": "a"})[0]
		add(srv, rooms, 0, 10)
		l.run(3 * time.Minute)
		l.has(11)
		require.NoError(t, srv.Client().Delete(t.Context(), rooms[1], row))
		for i := range 8 { // the position goes on
			l.run(30 * time.Minute)
			add(srv, rooms, 10+i, 1)
		}
		l.run(5 * time.Minute)
		assert.Equal(t, map[int64]int{row: 1}, l.gone)
		l.has(19)
	})
}

// While the server is down a listener hears of it, although the log answers it.
func TestAnOutageOfTheFleetIsToldToListeners(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := fliplettest.New(t, fliplettest.InProcess())
		rooms := roomsOf(srv, 3)
		time.Sleep(10 * time.Second)
		h := open(t, srv, fleet.LogConfig{})
		l := listen(t, h, feed.FromNow)
		l.run(20 * time.Second)
		add(srv, rooms, 0, 5)
		l.run(time.Minute)
		q := feed.Query{Kind: feed.Changes, Partial: true, First: true, Limit: 200, After: feed.Key{Time: feed.Time(time.Now().Add(-3 * time.Second).UnixMicro()), ID: 1<<63 - 1}}
		_, err := l.watch.Page(t.Context(), q)
		require.NoError(t, err)
		down := srv.Always(fliplettest.AnyRoute, fliplettest.Status(503))
		time.Sleep(time.Minute)
		_, err = l.watch.Page(t.Context(), q)
		require.Error(t, err)
		down.Off()
		add(srv, rooms, 5, 5)
		l.run(3 * time.Minute)
		l.has(10)
		l.watch.Leave()
		l.poked.Store(false)
		add(srv, rooms, 10, 5)
		time.Sleep(time.Minute)
		assert.False(t, l.poked.Load(), "it has left")
	})
}

func TestKeptValuesAreMadeOnceAndTheLeastRecentAreDropped(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	made, dropped := map[string]int{}, map[string]int{}
	k := hub.Kept[string]{Most: 8, Drop: func(v string) { mu.Lock(); dropped[v]++; mu.Unlock() }}
	use := func(ctx context.Context, key string, err error) (func(), error) {
		_, done, got := k.Use(ctx, key, func(context.Context) (string, error) {
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				made[key]++
			}
			return key, err
		})
		return done, got
	}
	var running sync.WaitGroup
	for range 50 {
		running.Go(func() {
			done, err := use(t.Context(), "a", nil)
			if assert.NoError(t, err) {
				done()
			}
		})
	}
	running.Wait()
	assert.Equal(t, 1, made["a"])
	held, err := use(t.Context(), "held", nil)
	require.NoError(t, err)
	for i := range 20 {
		done, err := use(t.Context(), fmt.Sprint(i), nil)
		require.NoError(t, err)
		done()
	}
	assert.Empty(t, dropped["held"], "it is in use")
	assert.Equal(t, 1, dropped["a"])
	assert.Empty(t, dropped["19"])
	broken := errors.New("broken")
	_, err = use(t.Context(), "bad", broken)
	require.ErrorIs(t, err, broken)
	done, err := use(t.Context(), "bad", nil)
	require.NoError(t, err, "a failure is not kept")
	done()
	held()
	all := k.All()
	assert.Contains(t, all, "held")
	assert.Contains(t, all, "bad")
	assert.LessOrEqual(t, len(all), 9)
	assert.Empty(t, k.All())
}

// Who is not complete yet is told nothing, and who has entered is told at once.
func TestListenersAreToldFromWhenTheyEnterOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := fliplettest.New(t, fliplettest.InProcess())
		rooms := roomsOf(srv, 2)
		time.Sleep(10 * time.Second)
		h := open(t, srv, fleet.LogConfig{})
		busy := listen(t, h, feed.FromNow) // so that the hub reads
		busy.run(time.Minute)
		l := &listener{t: t}
		desk := h.Listen("a", 0, func(*datasource.Entry) bool { return true })
		watch := h.Watch(hub.WatchConfig{Size: 200, Log: slog.New(slog.DiscardHandler)})
		more := func() {
			rooms = append(rooms, roomsOf(srv, 1)...)
			add(srv, rooms, 0, len(rooms))
			time.Sleep(3 * time.Minute)
		}
		busy.joined.Store(false)
		more()
		require.True(t, busy.joined.Load(), "a list came")
		assert.False(t, l.joined.Load())
		assert.False(t, l.poked.Load())
		for name, enter := range map[string]func() (leave func()){
			"a watch": func() func() { watch.Enter(l); return watch.Leave },
			"a desk":  func() func() { desk.Enter(l); return desk.Leave },
		} {
			leave := enter()
			more()
			assert.True(t, l.joined.Swap(false), name)
			assert.True(t, l.poked.Swap(false), name)
			leave()
			more()
			assert.False(t, l.joined.Load(), name)
			assert.False(t, l.poked.Load(), name)
		}
	})
}
