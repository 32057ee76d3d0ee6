package outbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fliplet/fliplet-chat-go/storage"
)

// answerWithin is how long a look into the Store takes, and a change of the registry or a
// claim. Others may wait for it.
const answerWithin = 5 * time.Second

// promptStore is a Store of which a call that hangs fails.
type promptStore struct{ storage.Store }

// promptExclusive is one that one process at a time has open.
type promptExclusive struct {
	promptStore
	one storage.Exclusive
}

func (s promptExclusive) Exclusive() bool { return s.one.Exclusive() }

func prompt(s storage.Store) storage.Store {
	if one, ok := s.(storage.Exclusive); ok {
		return promptExclusive{promptStore{s}, one}
	}
	return promptStore{s}
}

func (s promptStore) Get(ctx context.Context, key string) ([]byte, error) {
	within, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	v, err := s.Store.Get(within, key)
	return v, late(ctx, err)
}

func (s promptStore) CompareAndSwap(ctx context.Context, key string, old, new []byte) (bool, error) {
	within, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	ok, err := s.Store.CompareAndSwap(within, key, old, new)
	return ok, late(ctx, err)
}

func late(ctx context.Context, err error) error {
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return fmt.Errorf("no answer within %v: %w", answerWithin, err)
	}
	return err
}
