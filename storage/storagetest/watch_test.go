package storagetest_test

import (
	"context"
	"sync"

	"github.com/fliplet/fliplet-chat-go/storage"
)

// telling is a store that tells of changes, but for what a field breaks.
type telling struct {
	storage.Store
	mute    func(key string, old, new []byte) bool // changes that are not told
	endless bool                                   // watches do not ask for their context
	closes  bool                                   // the channel of an ended watch is closed
	drops   bool                                   // who does not read is told nothing more

	mu      sync.Mutex
	watches []*toldOf
}

type toldOf struct {
	ctx             context.Context
	key             string
	told            chan struct{}
	closed, dropped bool
}

func (t *telling) Watch(ctx context.Context, key string) (<-chan struct{}, error) {
	if ctx.Err() != nil && !t.endless {
		return nil, ctx.Err()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	w := &toldOf{ctx: ctx, key: key, told: make(chan struct{}, 1)}
	t.watches = append(t.watches, w)
	return w.told, nil
}

func (t *telling) tell(key string, old, new []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, w := range t.watches {
		if w.ctx.Err() != nil {
			if t.closes && !w.closed {
				close(w.told)
				w.closed = true
			}
			continue
		}
		if w.key != key || w.dropped || t.mute != nil && t.mute(key, old, new) {
			continue
		}
		select {
		case w.told <- struct{}{}:
		default:
			w.dropped = t.drops
		}
	}
}

func (t *telling) Set(ctx context.Context, key string, value []byte) error {
	err := t.Store.Set(ctx, key, value)
	t.tell(key, []byte{}, append([]byte{}, value...))
	return err
}

func (t *telling) Delete(ctx context.Context, key string) error {
	err := t.Store.Delete(ctx, key)
	t.tell(key, []byte{}, nil)
	return err
}

func (t *telling) CompareAndSwap(ctx context.Context, key string, old, new []byte) (bool, error) {
	ok, err := t.Store.CompareAndSwap(ctx, key, old, new)
	if ok {
		t.tell(key, old, new)
	}
	return ok, err
}

// tells makes a store that tells of changes, with a fault.
func tells(fault func(*telling)) func() storage.Store {
	return func() storage.Store {
		t := &telling{Store: storage.NewMemory()}
		fault(t)
		return t
	}
}
