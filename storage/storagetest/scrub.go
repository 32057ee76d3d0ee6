package storagetest

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/fliplet/fliplet-chat-go/storage"
)

func scrubbing(t *testing.T, s storage.Store) {
	scrubber, ok := s.(storage.Scrubber)
	if !ok {
		t.Skip("the store has no Scrub")
	}
	for i := range 20 {
		set(t, s, fmt.Sprint("kept ", i), []byte("before"))
		set(t, s, fmt.Sprint("kept ", i), fmt.Append(nil, "value ", i))
		set(t, s, fmt.Sprint("gone ", i), []byte("gone"))
		if err := s.Delete(t.Context(), fmt.Sprint("gone ", i)); err != nil {
			t.Fatalf("Delete: %v", err)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	err := scrubber.Scrub(ended)
	if err == nil {
		t.Error("Scrub with an ended context: no error")
	}
	for range 2 {
		if err := scrubber.Scrub(t.Context()); errors.Is(err, errors.ErrUnsupported) {
			t.Skip("the store cannot scrub")
		} else if err != nil {
			t.Fatalf("Scrub: %v", err)
		}
		for i := range 20 {
			want(t, s, fmt.Sprint("kept ", i), fmt.Append(nil, "value ", i))
			want(t, s, fmt.Sprint("gone ", i), nil)
		}
	}
	set(t, s, "later", []byte("1"))
	want(t, s, "later", []byte("1"))
}
