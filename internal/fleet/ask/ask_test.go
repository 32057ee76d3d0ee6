package ask_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/internal/fleet"
	"github.com/fliplet/fliplet-chat-go/internal/fleet/ask"
	"github.com/fliplet/fliplet-chat-go/internal/rows"
)

// archive listens to everything in an app.
type archive struct {
	*fleet.Driver
	source *ask.Source
	mu     sync.Mutex
	inbox  *fleet.Inbox
	engine *feed.Feed
	id     feed.ID
	rooms  []int64
	news   map[string]int // by body
	gone   int
	moved  int
}

// watch starts a fleet that watches these conversations.
func watch(t *testing.T, srv *fliplettest.Server, rooms []int64, wanted func(*datasource.DataSource) bool) *archive {
	t.Helper()
	log := fleet.NewLog(fleet.LogConfig{})
	since := rows.Micros(srv.Now())
	w := &archive{inbox: fleet.NewArchive(log, since), engine: feed.New(fleet.EngineConfig(feed.Config{})), rooms: rooms, news: map[string]int{}}
	w.id = w.engine.Subscribe(time.Now(), feed.FromNow)
	w.source = ask.New(ask.Config{Client: srv.Client(), Apps: []int64{srv.AppID}, Wanted: wanted, Log: slog.New(slog.DiscardHandler)})
	w.Driver = fleet.NewDriver(fleet.DriverConfig{
		Fleet: fleet.Config{Since: since}, Log: log, Source: w.source, Judge: ask.Judge, Strategy: fleet.NewListTimes(),
		Changed: func([]int64) { w.drain(t) }, Moved: func(users map[int32]bool) { w.moved += len(users) },
	})
	w.drain(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { w.Run(ctx); close(done) }()
	t.Cleanup(func() { cancel(); <-done })
	return w
}

func (w *archive) drain(t *testing.T) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	w.engine.Poke(now)
	for {
		for w.engine.Pending(w.id) > 0 {
			e, _ := w.engine.Take(w.id)
			switch {
			case e.Deleted:
				w.gone++
			case !e.Update:
				w.news[e.Row.Payload.(*datasource.Entry).Data["body"].(string)]++
			}
			w.engine.Ack(w.id)
		}
		switch q := w.engine.Next(now).Query; q.Kind {
		case 0:
			return
		case feed.Members:
			var list []feed.Member
			for _, id := range w.rooms {
				list = append(list, feed.Member{Conversation: id, Created: 1})
			}
			w.engine.Members(now, list)
		default:
			p := w.Answer(w.inbox, q)
			assert.False(t, p.Elsewhere || p.Lost)
			w.engine.Page(now, p.Rows, p.Clock)
			if p.More {
				w.engine.Poke(now)
			}
		}
	}
}

// rooms makes conversations that the token is no member of.
func rooms(srv *fliplettest.Server, n int) (ids []int64) {
	for i := range n {
		ids = append(ids, srv.AddDataSource(datasource.M{
			"name": fmt.Sprint("room ", i), "type": "conversation",
			"definition": datasource.M{"participants": []string{fmt.Sprint("user-", i), "somebody"}},
		}))
	}
	return ids
}

func TestAFleetReadsConversationsOfOthersThroughTheAPI(t *testing.T) {
	t.Parallel()
	for name, faults := range map[string][]fliplettest.Fault{
		"as documented":           nil,
		"with at most 20 joins":   {fliplettest.MaxJoins(20)},
		"with replicas that lag":  {fliplettest.Lag(3 * time.Second)},
		"without times of rows":   {fliplettest.OmitDeletedAt()},
		"with answers that break": nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				srv := fliplettest.New(t, fliplettest.InProcess())
				ids := rooms(srv, 60)
				for _, id := range ids {
					srv.AddRows(id, datasource.M{"body": "before", "guid": "g"})
				}
				time.Sleep(10 * time.Second)
				if len(faults) > 0 {
					srv.Always(fliplettest.AnyRead, faults...)
				}
				if name == "with answers that break" {
					srv.Sometimes(0.2, fliplettest.AnyRead, fliplettest.Cut())
				}
				w := watch(t, srv, ids, nil)
				time.Sleep(5 * time.Second)
				var gone []int64
				for i := range 300 {
					id := ids[i*i%len(ids)]
					row := srv.AddRows(id, datasource.M{"body": fmt.Sprint(i), "guid": fmt.Sprint(i), "fromUserId": "somebody"})[0]
					if i == 7 {
						gone = []int64{id, row}
					}
					time.Sleep(50 * time.Millisecond)
				}
				time.Sleep(time.Minute)
				require.NoError(t, srv.Client().Delete(t.Context(), gone[0], gone[1]))
				time.Sleep(4 * time.Minute)
				w.mu.Lock()
				defer w.mu.Unlock()
				assert.Zero(t, w.news["before"])
				require.Len(t, w.news, 300)
				for body, n := range w.news {
					assert.Equal(t, 1, n, body)
				}
				assert.Equal(t, 1, w.gone, "the deletion")
				assert.GreaterOrEqual(t, w.moved, 60)
			})
		})
	}
}

func TestAConversationThatIsNotWantedIsNotRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := fliplettest.New(t, fliplettest.InProcess())
		ids := rooms(srv, 4)
		w := watch(t, srv, ids, func(ds *datasource.DataSource) bool { return ds.ID != ids[2] })
		time.Sleep(10 * time.Second)
		for _, id := range ids {
			srv.AddRows(id, datasource.M{"body": fmt.Sprint(id), "guid": "g"})
		}
		time.Sleep(5 * time.Minute)
		w.mu.Lock()
		defer w.mu.Unlock()
		assert.Len(t, w.news, 3)
		assert.Zero(t, w.news[fmt.Sprint(ids[2])])
	})
}

// A server whose rows do not say whose they are cannot be looked at with joins: that is
// refused, and nothing is taken for somebody else's.
func TestALookWhoseRowsAreNobodysIsRefused(t *testing.T) {
	t.Parallel()
	srv := fliplettest.New(t)
	ids := rooms(srv, 3)
	srv.AddRows(ids[1], datasource.M{"body": "x"})
	srv.Always(fliplettest.AnyRead, fliplettest.OmitFields("dataSourceId"))
	s := ask.New(ask.Config{Client: srv.Client(), Apps: []int64{srv.AppID}, Log: slog.New(slog.DiscardHandler)})
	_, err := s.Ask(t.Context(), fleet.Request{Kind: fleet.Look, Conversations: ids, Limits: []int{2, 2, 2}})
	require.ErrorIs(t, err, ask.ErrJoins)
	assert.True(t, ask.Judge(err).Refused)
	_, err = s.Ask(t.Context(), fleet.Request{})
	require.ErrorIs(t, err, ask.ErrKind)
}

func TestRowsSayHowLargeTheyAreSoThatALogIsBounded(t *testing.T) {
	t.Parallel()
	srv := fliplettest.New(t, fliplettest.InProcess())
	room := srv.AddDataSource(datasource.M{"name": "room", "type": "conversation", "definition": datasource.M{"participants": []string{"a"}}})
	srv.AddRows(room, datasource.M{"body": "small"}, datasource.M{"body": strings.Repeat("x", 50_000)})
	source := ask.New(ask.Config{Client: srv.Client(), Apps: []int64{srv.AppID}, Log: slog.New(slog.DiscardHandler)})
	answer, err := source.Ask(t.Context(), fleet.Request{Kind: fleet.Read, Conversations: []int64{room}, Limit: 10})
	require.NoError(t, err)
	require.Len(t, answer.Rows, 2)
	small, large := answer.Rows[0].Size, answer.Rows[1].Size
	if small > large {
		small, large = large, small
	}
	assert.Positive(t, small)
	assert.Less(t, small, 1000)
	assert.Greater(t, large, 50_000)
}
