package wait_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/wait"
)

func TestCallersShareWhatIsUnderWayAndItsError(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var s wait.Shared
		var calls atomic.Int32
		failed := errors.New("failed")
		var running sync.WaitGroup
		for range 20 {
			running.Go(func() {
				err := s.Do(t.Context(), func() (bool, error) { return false, nil }, func(context.Context) error {
					calls.Add(1)
					time.Sleep(time.Second)
					return failed
				})
				assert.ErrorIs(t, err, failed)
			})
		}
		running.Wait()
		assert.Equal(t, int32(1), calls.Load())
	})
}

func TestWhatACallerHasAbandonedIsDoneByAnother(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var s wait.Shared
		var calls atomic.Int32
		never := func() (bool, error) { return false, nil }
		do := func(ctx context.Context) error {
			calls.Add(1)
			return wait.Sleep(ctx, time.Minute)
		}
		ctx, cancel := context.WithCancel(t.Context())
		first, second := make(chan error, 1), make(chan error, 1)
		go func() { first <- s.Do(ctx, never, do) }()
		synctest.Wait()
		go func() { second <- s.Do(t.Context(), never, do) }()
		impatient, end := context.WithTimeout(t.Context(), time.Second)
		defer end()
		require.ErrorIs(t, s.Do(impatient, never, do), context.DeadlineExceeded, "who waits may give up")
		cancel()
		require.ErrorIs(t, <-first, context.Canceled)
		require.NoError(t, <-second)
		assert.Equal(t, int32(2), calls.Load())
		require.NoError(t, s.Do(t.Context(), func() (bool, error) { return true, nil }, do), "there is nothing to do")
		require.ErrorIs(t, s.Do(t.Context(), func() (bool, error) { return true, context.Canceled }, do), context.Canceled)
		assert.Equal(t, int32(2), calls.Load())
	})
}
