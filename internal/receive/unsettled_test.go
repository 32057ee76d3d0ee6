package receive_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/internal/life"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// forgetful is a Store whose transactions run at the same time, and undo nothing. The answer to the first of
// them is lost, after a second.
type forgetful struct {
	storage.Store
	lost atomic.Bool
}

func (s *forgetful) Update(ctx context.Context, fn func(context.Context, storage.Store) error) error {
	err := fn(context.WithValue(ctx, txKey{}, s.Store), s.Store)
	if err == nil && s.lost.CompareAndSwap(false, true) {
		time.Sleep(time.Second) // meanwhile the others wait to write the position
		return errCut
	}
	return err
}

// Others wait while the answer to a transaction is lost, and are settled before it. That ends
// no consumer, which reads the position and goes on.
func TestATransactionOfWhichNothingIsKnownEndsNoConsumer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		src := &archive{conversations: 4, asks: map[int64]int{}}
		for c := range src.conversations {
			src.add(c+1, 3)
		}
		store := &forgetful{Store: storage.NewMemory()}
		r := newReceiver(src, life.New(context.Background()))
		c := consumer(src, r, nil)
		c.Store, c.Parallel = store, 4
		var mu sync.Mutex
		handled := map[int64]bool{}
		c.Handle = func(_ context.Context, e feed.Event) error {
			mu.Lock()
			defer mu.Unlock()
			handled[e.Row.ID] = true
			return nil
		}
		c.Undone = func(context.Context, feed.Event, error) { time.Sleep(time.Second) } // whoever is told takes its time
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- c.Run(ctx) }()
		time.Sleep(10 * time.Minute)
		require.True(t, store.lost.Load())
		mu.Lock()
		assert.Len(t, handled, 12)
		mu.Unlock()
		stop()
		assert.ErrorIs(t, <-ended, context.Canceled)
		r.Stop(nil)
	})
}
