package marks_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/life"
	"github.com/fliplet/fliplet-chat-go/internal/marks"
)

// counting counts for users of which each is in one conversation with the next, with one
// message that nobody has read.
type counting struct {
	*marks.Counter
	work    *life.Life
	lists   atomic.Int64
	looks   atomic.Int64
	alone   atomic.Int64
	err     error
	unread  int // in the first conversation
	perUser int // conversations
}

func newCounting(t *testing.T) *counting {
	c := &counting{work: life.New(context.Background()), unread: 1, perUser: 1}
	t.Cleanup(func() { c.work.Stop(errClosed) })
	c.Counter = &marks.Counter{
		Life: c.work, Window: 100 * time.Millisecond, Shared: func(err error) bool { return errors.Is(err, errDown) },
		Members: func(_ context.Context, users []string) (map[string][]int64, error) {
			c.lists.Add(1)
			of := map[string][]int64{}
			for i, u := range users {
				for n := range c.perUser {
					of[u] = append(of[u], int64(i*c.perUser+n+1))
				}
			}
			return of, c.err
		},
		Unread: func(_ context.Context, conversations []int64, _ map[int64][]string, limit int) (map[int64][][]string, error) {
			c.looks.Add(1)
			found := map[int64][][]string{}
			for _, id := range conversations {
				n := 1
				if id == 1 {
					n = min(c.unread, limit)
				}
				for range n {
					found[id] = append(found[id], []string{"author"})
				}
			}
			return found, nil
		},
	}
	return c
}

// all lets users count at the same time. Those who do so by themselves get -1.
func (c *counting) all(t *testing.T, users int) (counts []int, errs []error) {
	counts, errs = make([]int, users), make([]error, users)
	var wg sync.WaitGroup
	for u := range users {
		wg.Go(func() {
			counts[u], errs[u] = c.Count(t.Context(), fmt.Sprintf("user-%03d", u), func(context.Context) (int, error) {
				c.alone.Add(1)
				return -1, nil
			})
		})
	}
	wg.Wait()
	return counts, errs
}

func TestCountsOfManyUsersTakeARequestForAHundredConversations(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCounting(t)
		counts, errs := c.all(t, 250)
		require.NoError(t, errors.Join(errs...))
		for _, n := range counts {
			assert.Equal(t, 1, n)
		}
		assert.Equal(t, []int64{1, 3, 0}, []int64{c.lists.Load(), c.looks.Load(), c.alone.Load()})
	})
}

func TestCountsAreMadeByThemselvesWhereSharingSavesNothingOrDoesNotTell(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*counting)
		users  int
		alone  int64
	}{
		"few users":                           {func(*counting) {}, 3, 3},
		"very many conversations":             {func(c *counting) { c.perUser = 200 }, 10, 10},
		"one has very many that are not read": {func(c *counting) { c.unread = 5000 }, 10, 1},
		"an error that may be of one":         {func(c *counting) { c.err = errRefused }, 10, 10},
		"it is over":                          {func(c *counting) { c.work.Stop(errClosed) }, 10, 10},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := newCounting(t)
				test.change(c)
				counts, errs := c.all(t, test.users)
				require.NoError(t, errors.Join(errs...))
				for u, n := range counts {
					want := -1
					if int64(u) >= test.alone {
						want = 1
					}
					assert.Equal(t, want, n)
				}
				assert.Equal(t, test.alone, c.alone.Load())
			})
		})
	}
}

func TestAnOutageIsToldToAllWhoCount(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCounting(t)
		c.err = errDown
		_, errs := c.all(t, 50)
		for _, err := range errs {
			require.ErrorIs(t, err, errDown)
		}
		assert.Equal(t, []int64{1, 0}, []int64{c.lists.Load(), c.alone.Load()})
		ctx, cancel := context.WithCancelCause(t.Context())
		reason := errors.New("enough")
		time.AfterFunc(50*time.Millisecond, func() { cancel(reason) })
		_, err := c.Count(ctx, "user-000", nil)
		require.ErrorIs(t, err, reason)
		time.Sleep(time.Second)
	})
}
