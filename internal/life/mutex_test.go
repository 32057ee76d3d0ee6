package life

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAMutexIsNotWaitedForLongerThanTheContext(t *testing.T) {
	t.Parallel()
	m, cause := NewMutex(), errors.New("enough")
	require.NoError(t, m.Lock(t.Context()))
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	require.ErrorIs(t, m.Lock(ctx), cause)
	m.Unlock()
	require.NoError(t, m.Lock(t.Context()))
	m.Unlock()
}
