package chat_test

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
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

// timed notes when requests start.
type timed struct {
	next http.RoundTripper
	mu   sync.Mutex
	at   []time.Time
}

func (t *timed) RoundTrip(r *http.Request) (*http.Response, error) {
	t.mu.Lock()
	t.at = append(t.at, time.Now())
	t.mu.Unlock()
	return t.next.RoundTrip(r)
}

// within checks that no more than the documented number of requests started in 10 s.
func (t *timed) within(tb testing.TB) {
	tb.Helper()
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := 200; i < len(t.at); i++ {
		require.GreaterOrEqual(tb, t.at[i].Sub(t.at[i-200]), 10*time.Second, "request %d", i)
	}
}

// neighbours are people who share a client with the documented limit.
func neighbours(t *testing.T, names ...string) (w *world, way *timed, chats []*chat.Chat) {
	w = newWorld(t, fliplettest.InProcess())
	way = &timed{next: w.Transport()}
	client := w.over(way, datasource.NewLimiter(200, 10*time.Second))
	for _, name := range names {
		chats = append(chats, w.login(name, asUsual, func(o *chat.Options) { o.Client = client }))
	}
	return w, way, chats
}

// hurry sends n messages at once and returns a function that waits for them.
func hurry(t *testing.T, c *chat.Chat, conv *chat.Conversation, n int, ctx context.Context) (wait func()) { //nolint:revive // as a goroutine
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			_, err := c.Message(ctx, conv.ID, chat.Draft{Body: strconv.Itoa(i)})
			assert.NoError(t, err)
		})
	}
	return wg.Wait
}

func TestABulkOfSendsDoesNotStarveTheNeighbours(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 100, 1000} {
		t.Run(fmt.Sprintf("%d sends", n), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w, way, chats := neighbours(t, "jane", "bob", "eve")
				jane, bob, eve := chats[0], chats[1], chats[2]
				bulk, talk := w.converse(jane, "eve"), w.converse(eve, "bob")
				var mu sync.Mutex
				arrived := map[string]time.Time{}
				_, err := bob.Stream(t.Context(), func(m *chat.Message) {
					mu.Lock()
					defer mu.Unlock()
					arrived[m.Body] = time.Now()
				}, chat.StartAt(chat.FromNow))
				require.NoError(t, err)
				for range 5 { // they are in the middle of it, so that polls are at the live pace
					time.Sleep(5 * time.Second)
					w.say(eve, talk, "before")
				}
				began := time.Now()
				wait := hurry(t, jane, bulk, n, t.Context())
				var slowest, late time.Duration
				for i := range 12 {
					sent := time.Now()
					w.say(eve, talk, fmt.Sprint("to bob ", i))
					slowest = max(slowest, time.Since(sent))
					time.Sleep(5*time.Second - time.Since(sent))
					synctest.Wait()
					mu.Lock()
					at, there := arrived[fmt.Sprint("to bob ", i)]
					mu.Unlock()
					require.True(t, there, "message %d has not come within 5 s", i)
					late = max(late, at.Sub(sent))
				}
				wait()
				t.Logf("all sent after %s; the neighbour's sends took %s, and came after %s at most", time.Since(began), slowest, late)
				assert.LessOrEqual(t, slowest, time.Second, "a person's send comes before a bulk")
				assert.Len(t, w.Rows(bulk.ID), n)
				way.within(t)
			})
		})
	}
}

func TestCallsWithADeadlineAreMadeBesideABulk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, way, chats := neighbours(t, "jane", "bob")
		jane, bob := chats[0], chats[1]
		bulk := w.converse(jane, "eve")
		time.Sleep(time.Minute)
		wait := hurry(t, jane, bulk, 1000, t.Context())
		var wg sync.WaitGroup
		for i := range 60 {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * 500 * time.Millisecond)
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				_, err := bob.Conversations(ctx)
				assert.NoError(t, err, "call %d", i)
			})
		}
		wg.Wait()
		time.Sleep(20 * time.Second)
		for range 60 { // all at once
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				_, err := bob.Conversations(ctx)
				assert.NoError(t, err)
			})
		}
		wg.Wait()
		wait()
		way.within(t)
	})
}

func TestASendWhoseDeadlineCannotBeMetFailsAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, way, chats := neighbours(t, "jane", "bob")
		bulk := w.converse(chats[0], "eve")
		time.Sleep(time.Minute)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second+20*time.Millisecond)
		defer cancel()
		began := time.Now()
		var made, refused, overdue atomic.Int64
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() {
				_, err := chats[0].Message(ctx, bulk.ID, chat.Draft{Body: "x"})
				switch {
				case err == nil:
					made.Add(1)
				case time.Since(began) == 0:
					assert.ErrorIs(t, err, datasource.ErrNoSlot)
					assert.ErrorIs(t, err, context.DeadlineExceeded)
					assert.False(t, datasource.Doubtful(err))
					refused.Add(1)
				default:
					assert.ErrorIs(t, err, context.DeadlineExceeded)
					overdue.Add(1)
				}
			})
		}
		wg.Wait()
		t.Logf("%d made, %d refused at once, %d at their deadline", made.Load(), refused.Load(), overdue.Load())
		assert.GreaterOrEqual(t, made.Load(), int64(175))
		assert.GreaterOrEqual(t, refused.Load(), int64(750))
		assert.Len(t, w.Rows(bulk.ID), int(made.Load()))
		way.within(t)
	})
}

// A bulk in the outbox of one, and the polls of the same Chat.
func TestPollsAndSendsOfOneChatTakeTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		way := &timed{next: w.Transport()}
		jane := w.login("jane", asUsual, func(o *chat.Options) {
			o.Client, o.Storage = w.over(way, datasource.NewLimiter(200, 10*time.Second)), storage.NewMemory()
			o.Outbox = &chat.OutboxOptions{}
		})
		bob := w.login("bob", asUsual)
		talk := w.converse(bob, "jane")
		var mu sync.Mutex
		arrived := map[string]time.Time{}
		_, err := jane.Stream(t.Context(), func(m *chat.Message) {
			mu.Lock()
			defer mu.Unlock()
			arrived[m.Body] = time.Now()
		}, chat.StartAt(chat.FromNow))
		require.NoError(t, err)
		for range 300 {
			conv := w.talk()
			for i := range 3 {
				_, err := jane.Outbox().Add(t.Context(), conv, chat.Draft{Body: strconv.Itoa(i)})
				require.NoError(t, err)
			}
		}
		for i := range 8 {
			w.say(bob, talk, fmt.Sprint("to jane ", i))
			time.Sleep(5 * time.Second)
			synctest.Wait()
			mu.Lock()
			at := arrived[fmt.Sprint("to jane ", i)]
			mu.Unlock()
			require.False(t, at.IsZero(), "message %d has not come within 5 s", i)
		}
		require.NoError(t, jane.Outbox().Flush(t.Context()))
		way.within(t)
	})
}

// An export reads everything, and comes after a person.
func TestUnhurriedCallsComeLast(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, way, chats := neighbours(t, "jane", "bob")
		jane, bob := chats[0], chats[1]
		conv := w.converse(jane, "bob")
		archive(w, conv, 10_000, 10)
		time.Sleep(time.Minute)
		var wg sync.WaitGroup
		read := 0
		wg.Go(func() {
			for _, err := range jane.History(datasource.Unhurried(t.Context()), conv.ID, chat.PageSize(20)) {
				assert.NoError(t, err)
				read++
			}
		})
		var slowest time.Duration
		for range 40 {
			began := time.Now()
			w.say(bob, conv, "a person's")
			slowest = max(slowest, time.Since(began))
			time.Sleep(500 * time.Millisecond)
		}
		wg.Wait()
		assert.Zero(t, slowest)
		assert.GreaterOrEqual(t, read, 10_000)
		way.within(t)
	})
}

// Plain Chats that share a client ask for more polls than there is room for.
func TestSendsOfChatsThatShareAClientDoNotWaitBehindTheirPolls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const many = 200
		people := []string{"jane", "eve"}
		for range many {
			people = append(people, "bob")
		}
		w, way, chats := neighbours(t, people...)
		conv := w.converse(chats[0], "bob", "eve")
		var got atomic.Int64
		var late atomic.Int64
		for _, c := range chats[2:] {
			_, err := c.Stream(t.Context(), func(m *chat.Message) {
				got.Add(1)
				late.Store(max(late.Load(), int64(time.Since(m.CreatedAt))))
			}, chat.StartAt(chat.FromNow))
			require.NoError(t, err)
		}
		time.Sleep(time.Minute)
		var slowest time.Duration
		for i := range 120 {
			began := time.Now()
			w.say(chats[i%2], conv, "to all")
			slowest = max(slowest, time.Since(began))
			time.Sleep(500 * time.Millisecond)
		}
		time.Sleep(time.Minute)
		t.Logf("sends took %s at most, messages %s", slowest, time.Duration(late.Load()))
		assert.Less(t, slowest, 100*time.Millisecond)
		assert.EqualValues(t, 120*many, got.Load())
		way.within(t)
	})
}
