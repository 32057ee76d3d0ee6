package relay

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/url"
	"slices"
	"strings"
	"sync"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// Store is a Storage whose positions of one consumer are in a stream, and everything else in
// another Storage. It is safe for concurrent use. The [storage.Exclusive] of that other Storage is
// not passed on.
type Store struct {
	inner inner
	name  string
	relay Relay
	// owns says of a key whether it is one of the position, and part which part it is of what the
	// consumer has.
	owns func(key string) bool
	part func(key string) (part string, same bool)

	committing chan struct{} // has a place for the one who commits

	mu   sync.Mutex
	last *state // what was seen last, nil for nothing
	end  context.CancelCauseFunc
}

// inner is what the other Storage has to do.
type inner interface {
	storage.Store
	storage.Lister
}

var (
	_ storage.Transactional = (*Store)(nil)
	_ storage.Lister        = (*Store)(nil)
	_ storage.Scrubber      = (*Store)(nil)
	_ storage.Watcher       = (*Store)(nil)
)

// NewStore returns a Store for the consumer of a name, whose position goes to r. A Chat that
// uses it may have other consumers: their positions are in s, and their functions are called at
// least once, without a transaction of s, and only while the stream can be reached. Give them a Chat
// of their own with s to have one. To encrypt what is in s give a [storage.Encrypted]; what is in the
// stream is in the clear.
//
// Errors: an argument that is missing; an s that is no [storage.Lister].
func NewStore(s storage.Store, name string, r Relay) (*Store, error) {
	switch {
	case s == nil:
		return nil, errors.New("relay: s is nil; give a Storage that the replicas share")
	case r == nil:
		return nil, errors.New("relay: r is nil; give a Relay, such as natsrelay.Open returns")
	case strings.TrimSpace(name) == "" || len(name) > 200:
		return nil, errors.New("relay: name: want 1 to 200 characters that name the consumer")
	}
	listing, ok := s.(inner)
	if !ok {
		return nil, fmt.Errorf("relay: s: %T cannot list its keys; implement storage.Lister: %w", s, errors.ErrUnsupported)
	}
	within := "/consume/" + url.PathEscape(name) + "/"
	part := func(key string) (string, bool) {
		_, part, same := strings.Cut(key, within)
		return part, same
	}
	owns := func(key string) bool {
		part, same := part(key)
		return same && (part == "base" || strings.HasPrefix(part, "log/"))
	}
	return &Store{inner: listing, name: name, relay: r, owns: owns, part: part, committing: make(chan struct{}, 1)}, nil
}

// Run is [chat.Chat.Consume] with the Store's name, and a function that puts every message, change
// and deletion into the stream: none is lost, and none is there twice. It returns when Consume
// does, and also with [ErrNewer] and [ErrOtherStream], after which going on would lose or repeat.
// c must have the Store itself as its Options.Storage: with another one, or something around it, Run
// ends with an error that says so.
//
// With chat.Batch up to n messages that wait go into the stream in one step, 999 for JetStream.
// While nothing comes nothing is written to the stream.
//
// What cannot be read from Fliplet, such as a message of more than a megabyte, is no event but a gap:
// [chat.OnGap] tells of it.
func (s *Store) Run(ctx context.Context, c *chat.Chat, opts ...chat.ConsumeOption) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s.mu.Lock()
	s.end = cancel
	s.mu.Unlock()
	ctx = context.WithValue(ctx, runKey{}, s)
	return c.Consume(ctx, s.name, func(ctx context.Context, m *chat.Message) error {
		if t, ok := ctx.Value(txKey{}).(*tx); !ok || t.store != s {
			return s.fatal(errElsewhere)
		}
		e, err := EventOf(m)
		if err != nil {
			return err
		}
		return Publish(ctx, e)
	}, opts...)
}

// txKey is where a context has its transaction, and runKey the Store that runs in it.
type txKey struct{}
type runKey struct{}

// Publish puts events into the transaction that ctx, which the function of chat.Chat.Consume got,
// belongs to. They are in the stream when the position has moved, and never otherwise.
//
// Errors: a ctx without a transaction, because Options.Storage is no [Store], or the function has
// returned.
func Publish(ctx context.Context, events ...Event) error {
	t, ok := ctx.Value(txKey{}).(*tx)
	if !ok {
		return errors.New("relay: publish: there is no transaction; give the context of Consume's function, with a relay.Store as Options.Storage")
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over {
		return errOver
	}
	t.events = append(t.events, events...)
	return nil
}

// fatal ends Run where going on would lose or repeat messages.
func (s *Store) fatal(err error) error {
	if errors.Is(err, ErrNewer) || errors.Is(err, ErrOtherStream) || errors.Is(err, errElsewhere) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.end != nil {
			s.end(err)
		}
	}
	return err
}

// load reads the position from the stream.
func (s *Store) load(ctx context.Context) (*state, error) {
	st, err := s.look(ctx)
	if errors.Is(err, ErrOtherStream) {
		// Another process may have begun the stream between the two that were compared. The id is
		// kept after the first position is there, so one that is read now has it.
		st, err = s.look(ctx)
	}
	if err != nil {
		return nil, s.fatal(err)
	}
	s.saw(st)
	return st, nil
}

// look reads the position, and compares it with what is known of its stream.
func (s *Store) look(ctx context.Context) (*state, error) {
	p, err := s.relay.Load(ctx)
	if err != nil {
		return nil, err
	}
	st, err := decode(p)
	if err == nil {
		err = s.verify(ctx, st)
	}
	return st, err
}

func (s *Store) saw(st *state) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == nil || st.at >= s.last.at {
		s.last = st
	}
}

// seen is the position that was seen last, which may not be the last one any more.
func (s *Store) seen(ctx context.Context) (*state, error) {
	s.mu.Lock()
	last := s.last
	s.mu.Unlock()
	if last != nil {
		return last, nil
	}
	return s.load(ctx)
}

// Get returns a value, one of the position from the stream.
func (s *Store) Get(ctx context.Context, key string) ([]byte, error) {
	if !s.owns(key) {
		return s.inner.Get(ctx, key)
	}
	st, err := s.load(ctx)
	if err != nil {
		return nil, err
	}
	return value(st.keys[key])
}

func value(v []byte) ([]byte, error) {
	if v == nil {
		return nil, storage.ErrNotFound
	}
	return append([]byte{}, v...), nil
}

// Set stores a value.
func (s *Store) Set(ctx context.Context, key string, value []byte) error {
	if !s.owns(key) {
		return s.inner.Set(ctx, key, value)
	}
	return s.Update(ctx, func(ctx context.Context, tx storage.Store) error { return tx.Set(ctx, key, value) })
}

// Delete removes a key.
func (s *Store) Delete(ctx context.Context, key string) error {
	if !s.owns(key) {
		return s.inner.Delete(ctx, key)
	}
	return s.Update(ctx, func(ctx context.Context, tx storage.Store) error { return tx.Delete(ctx, key) })
}

// CompareAndSwap stores new if the present value is old.
func (s *Store) CompareAndSwap(ctx context.Context, key string, old, new []byte) (swapped bool, err error) {
	if !s.owns(key) {
		return s.inner.CompareAndSwap(ctx, key, old, new)
	}
	for {
		if _, err := s.load(ctx); err != nil {
			return false, err
		}
		err = s.Update(ctx, func(ctx context.Context, tx storage.Store) error {
			swapped, err = tx.CompareAndSwap(ctx, key, old, new)
			return err
		})
		if !errors.Is(err, errOvertaken) {
			return swapped && err == nil, err
		}
	}
}

// List yields the keys of both.
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		st, err := s.load(ctx)
		if err != nil {
			yield("", err)
			return
		}
		merge(ctx, s, prefix, st.keys, nil, yield)
	}
}

// merge lists the inner Storage, but for the keys that were written, with other keys in between.
func merge(ctx context.Context, s *Store, prefix string, keys, written map[string][]byte, yield func(string, error) bool) {
	var own []string
	for key := range keys {
		if strings.HasPrefix(key, prefix) {
			own = append(own, key)
		}
	}
	slices.Sort(own)
	give := func(key string) bool {
		if ctx.Err() != nil {
			yield("", context.Cause(ctx))
			return false
		}
		return yield(key, nil)
	}
	for key, err := range s.inner.List(ctx, prefix) {
		if err != nil {
			yield("", err)
			return
		}
		for len(own) > 0 && own[0] < key {
			if !give(own[0]) {
				return
			}
			own = own[1:]
		}
		if _, here := written[key]; !here && !s.owns(key) && key != s.idKey() && !give(key) {
			return
		}
	}
	for _, key := range own {
		if !give(key) {
			return
		}
	}
}

// Watch watches a key of the other Storage, if that can do it. Keys of the position are the
// consumer's, and not watched.
func (s *Store) Watch(ctx context.Context, key string) (<-chan struct{}, error) {
	watcher, ok := s.inner.(storage.Watcher)
	if !ok || s.owns(key) {
		return nil, fmt.Errorf("relay: %T: watch %.100q: %w", s.inner, key, errors.ErrUnsupported)
	}
	return watcher.Watch(ctx, key)
}

// Scrub scrubs the other Storage. What the stream keeps of old positions is no secret: ids
// and times of messages.
func (s *Store) Scrub(ctx context.Context) error {
	scrubber, ok := s.inner.(storage.Scrubber)
	if !ok {
		return fmt.Errorf("relay: %T: %w", s.inner, errors.ErrUnsupported)
	}
	return scrubber.Scrub(ctx)
}
