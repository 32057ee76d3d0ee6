package chat_test

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/fliplet/fliplet-chat-go/storage"
)

// inspected is a Store in memory whose contents a test can look at.
type inspected struct {
	storage.Store
	mu   sync.Mutex
	keys map[string]bool
}

func newInspected() *inspected {
	return &inspected{Store: storage.NewMemory(), keys: map[string]bool{}}
}

func (s *inspected) note(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys[key] = true
}

func (s *inspected) Set(ctx context.Context, key string, value []byte) error {
	s.note(key)
	return s.Store.Set(ctx, key, value)
}

func (s *inspected) CompareAndSwap(ctx context.Context, key string, old, new []byte) (bool, error) {
	s.note(key)
	return s.Store.CompareAndSwap(ctx, key, old, new)
}

// each calls fn with every key and value.
func (s *inspected) each(fn func(key string, value []byte)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key := range s.keys {
		if v, err := s.Get(context.Background(), key); err == nil {
			fn(key, v)
		}
	}
}

// dump is everything in one text.
func (s *inspected) dump() string {
	var b strings.Builder
	s.each(func(key string, value []byte) { fmt.Fprintf(&b, "%s = %s\n", key, value) })
	return b.String()
}
