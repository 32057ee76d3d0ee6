package receive_test

import (
	"context"
	"log/slog"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/internal/life"
	"github.com/fliplet/fliplet-chat-go/internal/receive"
)

// Not parallel: it counts the goroutines of the process.
func TestALoopHasNoGoroutineBetweenPolls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		src, whole := &rows{}, life.New(context.Background())
		src.add(1)
		before := runtime.NumGoroutine()
		for range 100 {
			_, err := newReceiver(src, whole).Push(ctx, &handler{}, from(feed.FromNewest))
			require.NoError(t, err)
		}
		for range 3 {
			time.Sleep(10*time.Minute + 17*time.Millisecond)
			synctest.Wait()
			assert.Less(t, runtime.NumGoroutine(), before+10, "what ends and the runtime make it inexact")
		}
		asked := src.requests()
		time.Sleep(10 * time.Minute)
		assert.Greater(t, src.requests(), asked+100, "they poll")
		cancel()
		require.NoError(t, whole.Wait(t.Context()))
	})
}

// slowRows takes a second for each page.
type slowRows struct{ rows }

func (s *slowRows) Page(ctx context.Context, q feed.Query) (receive.Page, error) {
	select {
	case <-time.After(time.Second):
		return s.rows.Page(ctx, q)
	case <-ctx.Done():
		return receive.Page{}, context.Cause(ctx)
	}
}

func TestWhatFollowsALoopIsCalledOnceAndWaitedForWheneverItIsStopped(t *testing.T) {
	t.Parallel()
	for name, after := range map[string]time.Duration{
		"at once": 0, "in a request": 500 * time.Millisecond, "at rest": 1500 * time.Millisecond, "long after": time.Hour + 500*time.Millisecond,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var rested atomic.Int64
				r := receive.New(receive.Config{
					Source: &slowRows{}, Life: life.New(context.Background()), Log: slog.New(slog.DiscardHandler), Engines: receive.EngineFunc(newFeed),
					Judge: func(error) receive.Failure { return receive.Failure{} },
					Rested: func() {
						time.Sleep(time.Second)
						rested.Add(1)
					},
				})
				_, err := r.Push(t.Context(), &handler{}, from(feed.FromNewest))
				require.NoError(t, err)
				time.Sleep(after)
				began := time.Now()
				r.Stop(errEnd)
				require.NoError(t, r.Wait(t.Context()))
				assert.Equal(t, int64(1), rested.Load())
				assert.Equal(t, time.Second, time.Since(began), "a request under way ends at once")
			})
		})
	}
}

// asideRows leaves a read of each page behind, which ends with its context only.
type asideRows struct {
	rows
	beside func(func()) bool
	ended  atomic.Int64
}

func (s *asideRows) Page(ctx context.Context, q feed.Query) (receive.Page, error) {
	s.beside(func() {
		<-ctx.Done()
		s.ended.Add(1)
	})
	return s.rows.Page(ctx, q)
}

func TestAReadThatAPollHasLeftGoesOnBesideTheNextOnesAndEndsWithTheLoop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		src, whole := &asideRows{}, life.New(context.Background())
		r := receive.New(receive.Config{
			Source: src, Life: whole, Log: slog.New(slog.DiscardHandler), Engines: receive.EngineFunc(newFeed),
			Judge: func(error) receive.Failure { return receive.Failure{} },
		})
		src.beside = r.Aside
		_, err := r.Push(t.Context(), &handler{}, from(feed.FromNewest))
		require.NoError(t, err)
		time.Sleep(time.Hour)
		begun := int64(src.requests())
		assert.Greater(t, begun, int64(2))
		assert.Zero(t, src.ended.Load())
		r.Stop(errEnd)
		require.NoError(t, whole.Wait(t.Context()))
		assert.Equal(t, begun, src.ended.Load())
	})
}
