package marks_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/life"
	"github.com/fliplet/fliplet-chat-go/internal/marks"
)

var (
	errDown    = errors.New("the server is down")
	errRefused = errors.New("that row is refused")
	errClosed  = errors.New("closed")
)

// server keeps readers.
type server struct {
	mu            sync.Mutex
	readers       map[int64][]string
	reads, writes int
	down          bool
	refuses       string                   // a user
	others        func(map[int64][]string) // after a write
	takes         time.Duration
	contested     bool
}

func newServer(ids ...int64) *server {
	s := &server{readers: map[int64][]string{}, takes: 10 * time.Millisecond}
	for _, id := range ids {
		s.readers[id] = []string{"author"}
	}
	return s
}

func (s *server) store() marks.Store {
	return marks.Store{
		Read: func(ctx context.Context, _ int64, ids []int64) (map[int64][]string, error) {
			time.Sleep(s.takes)
			s.mu.Lock()
			defer s.mu.Unlock()
			s.reads++
			out := map[int64][]string{}
			for _, id := range ids {
				if list, ok := s.readers[id]; ok {
					out[id] = slices.Clone(list)
				}
			}
			if s.down {
				return nil, errDown
			}
			return out, context.Cause(ctx)
		},
		Write: func(ctx context.Context, _ int64, readers map[int64][]string) error {
			time.Sleep(s.takes)
			s.mu.Lock()
			defer s.mu.Unlock()
			s.writes++
			for _, list := range readers {
				if s.refuses != "" && slices.Contains(list, s.refuses) {
					return errRefused
				}
			}
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			maps.Copy(s.readers, readers)
			if s.others != nil {
				s.others(s.readers)
			}
			return nil
		},
		Contested: func(context.Context, int64) bool { return s.contested },
		Pause:     func(context.Context, time.Time) error { time.Sleep(time.Second); return nil },
		Attempts:  12,
	}
}

// batched are users of one process.
func batched(t *testing.T, s *server) (b *marks.Batcher, work *life.Life) {
	work = life.New(context.Background())
	t.Cleanup(func() { work.Stop(errClosed) })
	return &marks.Batcher{
		Store: s.store(), Life: work, Window: 100 * time.Millisecond, Closed: errClosed,
		Shared: func(err error) bool { return errors.Is(err, errDown) },
	}, work
}

// all lets each user mark, and returns what each was told.
func all(t *testing.T, b *marks.Batcher, users int, ids ...int64) (readers []map[int64][]string, errs []error) {
	readers, errs = make([]map[int64][]string, users), make([]error, users)
	var wg sync.WaitGroup
	for u := range users {
		wg.Go(func() { readers[u], errs[u] = b.Mark(t.Context(), 7, fmt.Sprint("user-", u), ids) })
	}
	wg.Wait()
	return readers, errs
}

func TestMarksOfManyUsersAreStoredWithOneReadAndOneWrite(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServer(1, 2, 3)
		b, _ := batched(t, s)
		began := time.Now()
		readers, errs := all(t, b, 100, 1, 2, 3, 99)
		assert.Equal(t, 120*time.Millisecond, time.Since(began))
		for u := range 100 {
			require.NoError(t, errs[u])
			assert.NotContains(t, readers[u], int64(99), "it is not there")
			for id := range int64(3) {
				assert.Contains(t, readers[u][id+1], fmt.Sprint("user-", u))
				assert.Contains(t, s.readers[id+1], fmt.Sprint("user-", u))
			}
		}
		assert.Equal(t, []int{1, 1}, []int{s.reads, s.writes})
	})
}

func TestWhoeverIsRefusedHasTheErrorAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServer(1)
		s.refuses = "user-3"
		b, _ := batched(t, s)
		_, errs := all(t, b, 10, 1)
		for u, err := range errs {
			if u == 3 {
				require.ErrorIs(t, err, errRefused)
				continue
			}
			require.NoError(t, err)
			assert.Contains(t, s.readers[1], fmt.Sprint("user-", u), "nil says that it is stored")
		}
		assert.NotContains(t, s.readers[1], "user-3")
	})
}

func TestAnOutageIsToldToAllWithoutAnAttemptForEach(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServer(1)
		s.down = true
		b, _ := batched(t, s)
		_, errs := all(t, b, 50, 1)
		for _, err := range errs {
			require.ErrorIs(t, err, errDown)
		}
		assert.Equal(t, 1, s.reads)
	})
}

func TestMarksThatOthersUndoAreMadeAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServer(1)
		s.contested = true
		n := 0
		s.others = func(readers map[int64][]string) {
			if n++; n <= 2 {
				readers[1] = []string{"author", "somebody else"} // read before the write
			}
		}
		b, _ := batched(t, s)
		_, errs := all(t, b, 20, 1)
		require.NoError(t, errors.Join(errs...))
		assert.Len(t, s.readers[1], 22)
		assert.Equal(t, 3, s.writes)
	})
}

func TestACallerThatLeavesLeavesTheOthersAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServer(1, 2)
		s.takes = time.Second
		b, _ := batched(t, s)
		reason := errors.New("enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := b.Mark(ctx, 7, "leaves in time", []int64{1})
			assert.ErrorIs(t, err, reason)
		})
		wg.Go(func() {
			_, err := b.Mark(t.Context(), 7, "stays", []int64{1})
			assert.NoError(t, err)
		})
		time.Sleep(50 * time.Millisecond)
		cancel(reason)
		wg.Wait()
		assert.Equal(t, []string{"author", "stays"}, s.readers[1])

		ctx, cancel = context.WithCancelCause(t.Context())
		wg.Go(func() {
			_, err := b.Mark(ctx, 7, "leaves later", []int64{2})
			assert.ErrorIs(t, err, reason)
		})
		time.Sleep(500 * time.Millisecond)
		cancel(reason)
		wg.Wait()
		time.Sleep(time.Minute)
		assert.Equal(t, []string{"author"}, s.readers[2], "a batch that nobody waits for ends")
	})
}

func TestABatcherThatIsOverSaysSo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServer(1)
		b, work := batched(t, s)
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := b.Mark(t.Context(), 7, "jane", []int64{1})
			assert.ErrorIs(t, err, errClosed)
		})
		synctest.Wait()
		work.Stop(errClosed)
		wg.Wait()
		_, err := b.Mark(t.Context(), 7, "jane", []int64{1})
		require.ErrorIs(t, err, errClosed)
		require.NoError(t, work.Wait(t.Context()))
		assert.Zero(t, s.writes)
	})
}

func TestManyMessagesAreMarkedInBatchesOfABoundedSize(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ids := make([]int64, 200)
		for i := range ids {
			ids[i] = int64(i + 1)
		}
		s := newServer(ids...)
		b, _ := batched(t, s)
		_, errs := all(t, b, 20, ids...)
		require.NoError(t, errors.Join(errs...))
		for _, list := range s.readers {
			assert.Len(t, list, 21)
		}
		assert.LessOrEqual(t, s.writes, 10)
	})
}
