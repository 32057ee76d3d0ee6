package chat_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// uncommitting is a Store that refuses to commit what a function wrote that asked for it, as
// databases do with constraints that are checked then.
type uncommitting struct{ storage.Transactional }

type uncommitKey struct{}

func uncommit(ctx context.Context) { *ctx.Value(uncommitKey{}).(*bool) = true }

func (s uncommitting) Update(ctx context.Context, fn func(ctx context.Context, tx storage.Store) error) error {
	errConstraint := errors.New("a constraint")
	err := s.Transactional.Update(ctx, func(ctx context.Context, tx storage.Store) error {
		refused := false
		if err := fn(context.WithValue(ctx, uncommitKey{}, &refused), tx); err != nil {
			return err
		}
		if refused {
			return errConstraint
		}
		return nil
	})
	if errors.Is(err, errConstraint) {
		return fmt.Errorf("%w: %w", storage.ErrRolledBack, err)
	}
	return err
}

// A message whose commit is refused fails like one whose function does: its conversation waits,
// no other one does, and it is given up.
func TestAMessageWhoseCommitIsRefusedFailsAlone(t *testing.T) {
	for _, batch := range []int{1, 10} {
		t.Run(fmt.Sprint("batch ", batch), func(t *testing.T) {
			inTalks(t, 2, func(t *testing.T, w *talks) {
				bob := w.login("bob", storing(uncommitting{storage.NewMemory().(storage.Transactional)}), unhurried)
				seen := newWitness()
				var mu sync.Mutex
				dead := map[string]error{}
				start := time.Now()
				var others time.Duration // until the last message of the other conversation
				stop := consume(bob, "archive", func(ctx context.Context, m *chat.Message) error {
					if m.Body == "a1" {
						uncommit(ctx)
					}
					if m.Body == "b3" {
						mu.Lock()
						others = time.Since(start)
						mu.Unlock()
					}
					seen.add(m)
					return nil
				}, chat.Batch(batch), chat.MaxAttempts(3), chat.RetryBackoff(20*time.Second, 20*time.Second), chat.DeadLetter(func(_ context.Context, m *chat.Message, err error) error {
					mu.Lock()
					defer mu.Unlock()
					dead[m.Body] = err
					return nil
				}))
				for i := range 4 {
					w.write(0, fmt.Sprint("a", i))
					w.write(1, fmt.Sprint("b", i))
				}
				time.Sleep(5 * time.Minute)
				mu.Lock()
				defer mu.Unlock()
				require.Len(t, dead, 1)
				require.ErrorIs(t, dead["a1"], storage.ErrRolledBack)
				assert.GreaterOrEqual(t, seen.count("a3"), 1)
				assert.Less(t, others, 30*time.Second, "the other conversation did not wait")
				require.ErrorIs(t, stop(), context.Canceled)
			})
		})
	}
}
