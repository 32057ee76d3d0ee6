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
		m := wait.NewMutex()
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
