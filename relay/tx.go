package relay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"strings"
	"sync"

	"github.com/fliplet/fliplet-chat-go/storage"
)

var (
	// errOver: a transaction is used after its function has returned.
	errOver = errors.New("relay: the transaction is over")
	// errOvertaken: what a transaction compared with was changed before it could be committed.
	errOvertaken = errors.New("relay: somebody else has changed what the transaction compared with")
)

// errElsewhere: there are events, and the position that moves with them is not in the stream.
var errElsewhere = errors.New("relay: the position of the consumer is not in the stream; give its name to NewStore, and the Store itself as Options.Storage: a wrapper such as storage.Encrypted goes around the Storage that NewStore gets")

// tx is a transaction: what is to be written, and what that rests on.
type tx struct {
	store *Store

	mu       sync.Mutex
	over     bool
	base     *state            // the position below its own writes
	writes   map[string][]byte // nil removes
	compared map[string][]byte // what swaps found below; nil is none
	events   []Event
}

// Update collects what fn writes through tx, and the events of [Publish] with its context, and
// commits them in one step. Nothing is sent before fn returns. Of the consumer of the Store tx takes
// keys of the position, and notes which deletions it has told, which are written after the step. What
// is of others goes to the other Storage, without events: in a transaction, if that has them.
// Transactions do not wait for each other; of two that swap the same key one fails.
//
// Errors: those of fn; those of [Relay.Commit] and of the other Storage; a swap that somebody else
// was faster with.
func (s *Store) Update(ctx context.Context, fn func(ctx context.Context, tx storage.Store) error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	base, err := s.seen(ctx)
	if err != nil {
		return err
	}
	t := &tx{store: s, base: base, writes: map[string][]byte{}, compared: map[string][]byte{}}
	inside, cancel := context.WithCancel(context.WithValue(ctx, txKey{}, t))
	defer cancel()
	defer t.finish()
	if err := fn(inside, t); err != nil {
		return err
	}
	t.finish()
	beside := map[string][]byte{}
	for key, v := range t.writes {
		if !s.owns(key) {
			beside[key] = v
			delete(t.writes, key)
		}
	}
	stream, foreign := len(t.writes) > 0 || len(t.events) > 0, false
	for key := range beside {
		_, same := s.part(key)
		foreign = foreign || !same
	}
	switch {
	case stream && foreign && ctx.Value(runKey{}) == s:
		return s.fatal(errElsewhere)
	case stream && foreign:
		return errElsewhere
	case stream:
		if err := s.commit(ctx, t); err != nil {
			return err
		}
		if len(beside) > 0 {
			_ = t.writeBeside(ctx, beside) // without a note a deletion may be told again, which is better than never
		}
		return nil
	case len(beside) > 0:
		return t.writeBeside(ctx, beside)
	}
	return nil
}

// writeBeside writes to the other Storage: what was compared comes last.
func (t *tx) writeBeside(ctx context.Context, writes map[string][]byte) error {
	write := func(ctx context.Context, to storage.Store) (err error) {
		for key, v := range writes {
			if _, swapped := t.compared[key]; swapped {
				continue
			}
			if v == nil {
				err = to.Delete(ctx, key)
			} else {
				err = to.Set(ctx, key, v)
			}
			if err != nil {
				return err
			}
		}
		for key, v := range writes {
			old, swapped := t.compared[key]
			if !swapped {
				continue
			}
			if ok, err := to.CompareAndSwap(ctx, key, old, v); err != nil {
				return err
			} else if !ok {
				return errOvertaken
			}
		}
		return nil
	}
	if inner, ok := t.store.inner.(storage.Transactional); ok {
		return inner.Update(ctx, write)
	}
	return write(ctx, t.store.inner)
}

func (t *tx) finish() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.over = true
}

// commit takes one step at a time. A step that is refused because the position has moved is
// taken again if all that it compared with is still there.
func (s *Store) commit(ctx context.Context, t *tx) error {
	select {
	case s.committing <- struct{}{}:
		defer func() { <-s.committing }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	base, err := s.seen(ctx)
	if err != nil {
		return err
	}
	for {
		for key, v := range t.compared {
			if s.owns(key) && !equal(base.keys[key], v) {
				s.forget()
				return errOvertaken
			}
		}
		if base.id == "" {
			id, err := s.begin(ctx)
			if err != nil {
				return err
			}
			if id == "" { // what was seen is from before somebody else began the stream
				if base, err = s.load(ctx); err != nil {
					return err
				}
				continue
			}
			base = &state{id: id, keys: base.keys}
		}
		next := base.with(t.writes)
		text, err := next.encode()
		if err != nil {
			return err
		}
		next.at, err = s.relay.Commit(ctx, base.at, text, t.events)
		if err == nil {
			s.saw(next)
			if base.at == 0 {
				// A later look does it otherwise.
				_, _ = s.inner.CompareAndSwap(ctx, s.idKey(), []byte(begun+next.id), []byte(next.id))
			}
			return nil
		}
		s.forget()
		if !errors.Is(err, ErrFenced) {
			return err
		}
		if base, err = s.load(ctx); err != nil {
			return err
		}
	}
}

// forget makes the next transaction read the position.
func (s *Store) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = nil
}

// enter checks a call, and holds mu if it is nil.
func (t *tx) enter(ctx context.Context, key string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if part, same := t.store.part(key); same && !t.store.owns(key) && !strings.HasPrefix(part, "deleted/") || key == t.store.idKey() {
		return fmt.Errorf("relay: the key %.100q is none of the position of %q; write it outside of the transaction", key, t.store.name)
	}
	t.mu.Lock()
	if t.over {
		t.mu.Unlock()
		return errOver
	}
	return nil
}

// value is what a key has here, nil for none. mu is held.
func (t *tx) value(ctx context.Context, key string) ([]byte, error) {
	if v, ok := t.writes[key]; ok {
		return v, nil
	}
	if t.store.owns(key) {
		return t.base.keys[key], nil
	}
	v, err := t.store.inner.Get(ctx, key)
	if errors.Is(err, storage.ErrNotFound) {
		return nil, nil
	}
	return v, err
}

// Get reads what was written here, or else the position that was seen last.
func (t *tx) Get(ctx context.Context, key string) ([]byte, error) {
	if err := t.enter(ctx, key); err != nil {
		return nil, err
	}
	defer t.mu.Unlock()
	v, err := t.value(ctx, key)
	if err != nil {
		return nil, err
	}
	return value(v)
}

// Set implements [storage.Store].
func (t *tx) Set(ctx context.Context, key string, value []byte) error {
	if err := t.enter(ctx, key); err != nil {
		return err
	}
	defer t.mu.Unlock()
	t.writes[key] = append([]byte{}, value...)
	return nil
}

// Delete implements [storage.Store].
func (t *tx) Delete(ctx context.Context, key string) error {
	if err := t.enter(ctx, key); err != nil {
		return err
	}
	defer t.mu.Unlock()
	t.writes[key] = nil
	return nil
}

// CompareAndSwap compares with what was seen, and when that differs with what is there now.
func (t *tx) CompareAndSwap(ctx context.Context, key string, old, new []byte) (bool, error) {
	if err := t.enter(ctx, key); err != nil {
		return false, err
	}
	defer t.mu.Unlock()
	v, err := t.value(ctx, key)
	if err != nil {
		return false, err
	}
	if _, written := t.writes[key]; !written && !equal(v, old) && t.store.owns(key) {
		now, err := t.store.load(ctx)
		if err != nil {
			return false, err
		}
		t.base, v = now, now.keys[key]
	}
	if !equal(v, old) {
		return false, nil
	}
	if _, written := t.writes[key]; !written {
		t.compared[key] = bytes.Clone(old)
	}
	t.writes[key] = nil
	if new != nil {
		t.writes[key] = append([]byte{}, new...)
	}
	return true, nil
}

// List implements [storage.Lister].
func (t *tx) List(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		t.mu.Lock()
		over, keys, written := t.over, maps.Clone(t.base.keys), maps.Clone(t.writes)
		t.mu.Unlock()
		if over {
			yield("", errOver)
			return
		}
		for key, v := range written {
			if keys[key] = v; v == nil {
				delete(keys, key)
			}
		}
		merge(ctx, t.store, prefix, keys, written, yield)
	}
}
