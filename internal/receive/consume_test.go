package receive_test

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/internal/life"
	"github.com/fliplet/fliplet-chat-go/internal/receive"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// archive is a source of many conversations. It knows which of the payloads that it
// gave out are still in use.
type archive struct {
	mu            sync.Mutex
	conversations int64
	list          []feed.Row
	given         []weak.Pointer[[64]byte]
	asks          map[int64]int // by the conversation of the query
}

func (s *archive) add(conversation int64, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range n {
		id := int64(len(s.list) + 1)
		t := feed.Time(1_000_000_000 + id*1000)
		s.list = append(s.list, feed.Row{ID: id, Conversation: conversation, Created: t, Updated: t})
	}
}

func (s *archive) Page(_ context.Context, q feed.Query) (receive.Page, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asks[q.Conversation]++
	var out []feed.Row
	for _, r := range s.list {
		key := feed.Key{Time: r.Updated, ID: r.ID}
		if (q.Kind == feed.Changes || q.Kind == feed.Created) && key.Compare(q.After) <= 0 || q.Conversation != 0 && q.Conversation != r.Conversation ||
			q.UpdatedTo != 0 && r.Updated > q.UpdatedTo || q.CreatedTo != 0 && r.Created > q.CreatedTo {
			continue
		}
		out = append(out, r)
	}
	if q.Kind == feed.Newest || q.Kind == feed.Latest {
		slices.SortFunc(out, func(a, b feed.Row) int { return cmp.Compare(b.ID, a.ID) })
	}
	out = out[:min(len(out), q.Limit)]
	for i := range out {
		body := new([64]byte)
		out[i].Payload = body
		s.given = append(s.given, weak.Make(body))
	}
	return receive.Page{Rows: out}, nil
}

func (s *archive) Members(context.Context) (out []feed.Member, _ error) {
	for id := range s.conversations {
		out = append(out, feed.Member{Conversation: id + 1, Created: 1})
	}
	return out, nil
}

// inUse counts the payloads that something still refers to.
func (s *archive) inUse() (n int) {
	runtime.GC()
	runtime.GC()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.given {
		if p.Value() != nil {
			n++
		}
	}
	return n
}

var errPoison = errors.New("cannot")

// consumer returns a consumer of what an archive has.
func consumer(r *receive.Receiver, handle func(feed.Event) error) *receive.Consumer {
	return &receive.Consumer{
		Receiver: r, Store: storage.NewMemory(), Key: "k", Name: "n", Start: feed.FromBeginning, Parallel: 1,
		Handle:      func(_ context.Context, e feed.Event) error { return handle(e) },
		MaxAttempts: 10, MinBackoff: time.Second, MaxBackoff: time.Minute, Log: slog.New(slog.DiscardHandler),
	}
}

func TestMemoryIsBoundedHoweverManyMessagesWait(t *testing.T) {
	const others, each = 10, 1000
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		src := &archive{conversations: others + 1, asks: map[int64]int{}}
		r := newReceiver(src, life.New(context.Background()))
		done, healed := 0, false
		var poison []int64
		c := consumer(r, func(e feed.Event) error {
			if e.Row.Conversation == 1 {
				if !healed {
					return errPoison
				}
				poison = append(poison, e.Row.ID)
				return nil
			}
			done++
			return nil
		})
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- c.Run(ctx) }()
		time.Sleep(time.Second)
		src.add(1, 5000)
		for range each {
			for i := range int64(others) {
				src.add(i+2, 1)
			}
			src.add(1, 5)
		}
		time.Sleep(10 * time.Minute)
		assert.Equal(t, others*each, done, "those that do not fail")
		assert.Less(t, src.inUse(), 1000, "of %d messages that wait", 10_000)
		src.mu.Lock()
		asked := src.asks[1]
		src.mu.Unlock()
		assert.Less(t, asked, 5, "a conversation that waits is not asked for")
		healed = true
		time.Sleep(10 * time.Minute)
		assert.Len(t, poison, 10_000)
		assert.True(t, slices.IsSorted(poison))
		src.mu.Lock()
		asked = src.asks[1] - asked
		src.mu.Unlock()
		assert.Less(t, asked, 80, "it is read in pages of 200, and then with the others again")
		stop()
		require.ErrorIs(t, <-ended, context.Canceled)
		r.Stop(nil)
	})
}

func TestWhatIsGivenUpOrKeepsFailingIsToldToOnError(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		src := &archive{conversations: 2, asks: map[int64]int{}}
		src.add(1, 2)
		src.add(2, 2)
		r := newReceiver(src, life.New(context.Background()))
		calls := map[int64]int{}
		var told []error
		c := consumer(r, func(e feed.Event) error {
			calls[e.Row.ID]++
			switch e.Row.ID {
			case 1:
				return receive.Permanent(errPoison)
			case 3:
				return errPoison
			}
			return nil
		})
		c.OnError = func(err error) { told = append(told, err) }
		ctx, stop := context.WithTimeout(t.Context(), time.Hour)
		defer stop()
		require.ErrorIs(t, c.Run(ctx), context.DeadlineExceeded)
		assert.Equal(t, 1, calls[1])
		assert.Equal(t, 1, calls[2], "the next message follows")
		assert.Greater(t, calls[3], 50)
		assert.Zero(t, calls[4])
		require.Len(t, told, 2, "once for each")
		for i, want := range []string{"message 1 of conversation 1 was given up", "message 3 of conversation 2 keeps failing"} {
			require.ErrorIs(t, told[i], errPoison)
			assert.ErrorContains(t, told[i], want)
		}
		r.Stop(nil)
	})
}
