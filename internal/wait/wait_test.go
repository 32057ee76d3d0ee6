package wait_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/wait"
)

func TestWaitsEndWithTheirContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cause := errors.New("out of patience")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, cause)
		defer cancel()
		var m wait.Mutex
		require.NoError(t, m.Lock(ctx))
		began := time.Now()
		require.ErrorIs(t, m.Lock(ctx), cause)
		assert.Equal(t, time.Second, time.Since(began))
		require.ErrorIs(t, wait.Sleep(ctx, time.Hour), cause)
		m.Unlock()
		require.NoError(t, m.Lock(t.Context()))
		require.NoError(t, wait.Sleep(t.Context(), time.Minute))
		assert.Equal(t, time.Second+time.Minute, time.Since(began))
	})
}

func TestAContextOfTwoEndsWithTheFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		first, second := errors.New("first"), errors.New("second")
		for _, c := range []struct{ one, other time.Duration }{{time.Second, time.Minute}, {time.Minute, time.Second}} {
			one, stopOne := context.WithTimeoutCause(t.Context(), c.one, first)
			other, stopOther := context.WithTimeoutCause(t.Context(), c.other, second)
			both, end := wait.Both(one, other)
			<-both.Done()
			if c.one < c.other {
				assert.Equal(t, first, context.Cause(both))
			} else {
				assert.Equal(t, second, context.Cause(both))
			}
			end()
			stopOne()
			stopOther()
		}
		both, end := wait.Both(t.Context(), t.Context())
		end()
		assert.ErrorIs(t, both.Err(), context.Canceled)
	})
}
