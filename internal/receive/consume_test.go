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
//
// A test holds its turn while it looks at what the function that handles messages
// writes, and lets go of it while it sleeps: the function runs in other goroutines.
type archive struct {
	turn          sync.Mutex
	mu            sync.Mutex
	conversations int64
	list          []feed.Row
	given         []weak.Pointer[[64]byte]
	asks          map[int64]int // by the conversation of the query
}

// sleep lets time go by for everybody else.
func (s *archive) sleep(d time.Duration) {
	s.turn.Unlock()
	defer s.turn.Lock()
	time.Sleep(d)
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

// consumer returns a consumer of what an archive has. Its function has the turn.
func consumer(src *archive, r *receive.Receiver, handle func(feed.Event) error) *receive.Consumer {
	return &receive.Consumer{
		Receiver: r, Store: storage.NewMemory(), Key: "k", Name: "n", Start: feed.FromBeginning, Parallel: 1,
		Handle: func(_ context.Context, e feed.Event) error {
			src.turn.Lock()
			defer src.turn.Unlock()
			return handle(e)
		},
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
		c := consumer(src, r, func(e feed.Event) error {
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
		src.turn.Lock()
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- c.Run(ctx) }()
		src.sleep(time.Second)
		src.add(1, 5000)
		for range each {
			for i := range int64(others) {
				src.add(i+2, 1)
			}
			src.add(1, 5)
		}
		src.sleep(10 * time.Minute)
		assert.Equal(t, others*each, done, "those that do not fail")
		assert.Less(t, src.inUse(), 1000, "of %d messages that wait", 10_000)
		src.mu.Lock()
		asked := src.asks[1]
		src.mu.Unlock()
		assert.Less(t, asked, 5, "a conversation that waits is not asked for")
		healed = true
		src.sleep(10 * time.Minute)
		assert.Len(t, poison, 10_000)
		assert.True(t, slices.IsSorted(poison))
		src.mu.Lock()
		asked = src.asks[1] - asked
		src.mu.Unlock()
		assert.Less(t, asked, 80, "it is read in pages of 200, and then with the others again")
		src.turn.Unlock()
		stop()
		require.ErrorIs(t, <-ended, context.Canceled)
		r.Stop(nil)
	})
}

func TestWhatIsGivenUpFailsNoMore(t *testing.T) {
	src := &archive{conversations: 2}
	src.add(1, 2)
	src.add(2, 2)
	calls := map[int64]int{}
	var k *receive.Consumer
	played(t, src, func(e feed.Event) error {
		calls[e.Row.ID]++
		switch e.Row.ID {
		case 1:
			k.Failing.Note(e, errPoison)
			return receive.Permanent(errPoison)
		case 3:
			k.Failing.Note(e, errPoison)
			return errPoison
		}
		return nil
	}, func(c *receive.Consumer) { k = c }, func(storage.Store) {
		src.sleep(time.Hour)
		assert.Equal(t, 1, calls[1])
		assert.Equal(t, 1, calls[2], "the next message follows")
		assert.Greater(t, calls[3], 50)
		assert.Zero(t, calls[4])
		failing := k.Failing.All()
		require.Len(t, failing, 1)
		assert.EqualValues(t, 3, failing[0].Row)
		assert.Equal(t, calls[3], failing[0].Attempts)
	})
}

// played runs a consumer of an archive on virtual time until the story is over.
func played(t *testing.T, src *archive, handle func(feed.Event) error, change func(*receive.Consumer), story func(store storage.Store)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		src.asks = map[int64]int{}
		r := newReceiver(src, life.New(context.Background()))
		c := consumer(src, r, handle)
		if change != nil {
			change(c)
		}
		src.turn.Lock()
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- c.Run(ctx) }()
		src.sleep(time.Second)
		story(c.Store)
		src.turn.Unlock()
		stop()
		require.ErrorIs(t, <-ended, context.Canceled)
		r.Stop(nil)
	})
}

// When everything fails, nothing is gained by setting conversations aside, and each one
// costs requests afterwards.
func TestInAnOutageFewConversationsAreSetAside(t *testing.T) {
	const n = 100
	src := &archive{conversations: n}
	var up bool
	handled := map[int64][]int64{}
	played(t, src, func(e feed.Event) error {
		if !up {
			return errPoison
		}
		handled[e.Row.Conversation] = append(handled[e.Row.Conversation], e.Row.ID)
		return nil
	}, nil, func(storage.Store) {
		for range 30 {
			for i := range int64(n) {
				src.add(i+1, 1)
			}
		}
		src.sleep(5 * time.Minute)
		up = true
		src.sleep(10 * time.Minute)
		src.mu.Lock()
		defer src.mu.Unlock()
		delete(src.asks, 0)
		assert.LessOrEqual(t, len(src.asks), 16+5+1, "sixteen, and one a minute")
		for i := range int64(n) {
			assert.Len(t, handled[i+1], 30)
			assert.True(t, slices.IsSorted(handled[i+1]))
		}
	})
}

// A position is bounded although its oldest message is never done with.
func TestAPositionDoesNotGrowWhileAMessageFails(t *testing.T) {
	src := &archive{conversations: 2}
	played(t, src, func(e feed.Event) error {
		if e.Row.Conversation == 1 {
			return errPoison
		}
		return nil
	}, nil, func(store storage.Store) {
		src.add(1, 1)
		for range 5000 {
			src.add(2, 1)
			src.sleep(5 * time.Second)
		}
		keys, bytes := 0, 0
		for key, err := range store.(storage.Lister).List(t.Context(), "") {
			require.NoError(t, err)
			v, err := store.Get(t.Context(), key)
			require.NoError(t, err)
			keys, bytes = keys+1, bytes+len(v)
		}
		assert.Less(t, keys, 450)
		assert.Less(t, bytes, 80_000)
	})
}

func TestTheNewestMessageIsNotHeldUpByOneThatFailsWhileItArrives(t *testing.T) {
	src := &archive{conversations: 1}
	var calls []int64
	played(t, src, func(e feed.Event) error {
		calls = append(calls, e.Row.ID)
		if e.Row.ID == 1 {
			src.sleep(time.Minute)
			return errPoison
		}
		return nil
	}, func(c *receive.Consumer) { c.Policy = receive.Policy{Newest: true} }, func(storage.Store) {
		src.add(1, 1)
		src.sleep(30 * time.Second)
		src.add(1, 1)
		src.sleep(time.Hour)
		assert.Equal(t, []int64{1, 2}, calls)
	})
}
