package chat_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// ill is a Store that hangs, or fails, for a while.
type ill struct {
	storage.Store
	how atomic.Pointer[string] // nil: it is well
}

var errIll = errors.New("the disk is gone")

func (s *ill) fall(how string) { s.how.Store(&how) }
func (s *ill) recover()        { s.how.Store(nil) }

func (s *ill) call(ctx context.Context) error {
	switch how := s.how.Load(); {
	case how == nil:
		return nil
	case *how == "hangs":
		<-ctx.Done()
		return ctx.Err()
	}
	return errIll
}

func (s *ill) Get(ctx context.Context, key string) ([]byte, error) {
	if err := s.call(ctx); err != nil {
		return nil, err
	}
	return s.Store.Get(ctx, key)
}

func (s *ill) Set(ctx context.Context, key string, value []byte) error {
	if err := s.call(ctx); err != nil {
		return err
	}
	return s.Store.Set(ctx, key, value)
}

func (s *ill) Delete(ctx context.Context, key string) error {
	if err := s.call(ctx); err != nil {
		return err
	}
	return s.Store.Delete(ctx, key)
}

func (s *ill) CompareAndSwap(ctx context.Context, key string, old, new []byte) (bool, error) {
	if err := s.call(ctx); err != nil {
		return false, err
	}
	return s.Store.CompareAndSwap(ctx, key, old, new)
}

// A consumer waits for a Store that hangs or fails, at its beginning and in between, says
// so, and leaves nothing out.
func TestConsumeWaitsForAStoreThatHangsOrFails(t *testing.T) {
	for _, how := range []string{"hangs", "fails"} {
		t.Run(how, func(t *testing.T) {
			inTalks(t, 1, func(t *testing.T, w *talks) {
				disk := &ill{Store: storage.NewMemory()}
				bob := w.login("bob", storing(disk), unhurried)
				seen := newWitness()
				var mu sync.Mutex
				var told []error
				disk.fall(how)
				stop := consume(bob, "archive", func(_ context.Context, m *chat.Message) error { seen.add(m); return nil },
					chat.OnError(func(err error) { mu.Lock(); defer mu.Unlock(); told = append(told, err) }))
				complaints := func() []error {
					mu.Lock()
					defer mu.Unlock()
					out := told
					told = nil
					return out
				}
				var want []string
				for round := range 3 {
					time.Sleep(3 * time.Minute)
					health := bob.Health().Consumers
					require.Len(t, health, 1, "it has not ended")
					require.Error(t, health[0].Storage)
					errs := complaints()
					require.NotEmpty(t, errs, "round %d", round)
					assert.Less(t, len(errs), 60)
					var named *chat.Error
					require.ErrorAs(t, errs[0], &named)
					assert.ErrorContains(t, errs[0], "storage")
					disk.recover()
					text := fmt.Sprint("round ", round)
					want = append(want, text)
					w.write(0, text)
					time.Sleep(time.Minute)
					assert.Equal(t, want, seen.all())
					require.NoError(t, bob.Health().Consumers[0].Storage)
					complaints()
					disk.fall(how)
					text = fmt.Sprint("in the dark ", round)
					want = append(want, text)
					w.write(0, text)
				}
				disk.recover()
				time.Sleep(time.Minute)
				assert.Equal(t, want, seen.all())
				for _, text := range want {
					assert.LessOrEqual(t, seen.count(text), 1, text)
				}
				require.ErrorIs(t, stop(), context.Canceled)
			})
		})
	}
}
