package storagetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/fliplet/fliplet-chat-go/storage"
)

// toldWithin is how long a store has to tell of a change, and for what else comes by itself.
// It may come late, so this is only where a test gives up.
var toldWithin = time.Minute

// watch begins a watch, or skips the test of a store that has none.
func watch(ctx context.Context, t *testing.T, s storage.Store, key string) <-chan struct{} {
	t.Helper()
	w, ok := s.(storage.Watcher)
	if !ok {
		t.Skip("the store is no storage.Watcher")
	}
	told, err := w.Watch(ctx, key)
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip("the store cannot watch")
	}
	if err != nil {
		t.Fatalf("Watch(%.40q): %v", key, err)
	}
	return told
}

// wantTold reads the key after each value of the channel, until it is as it should be.
func wantTold(t *testing.T, s storage.Store, told <-chan struct{}, key string, value []byte) {
	t.Helper()
	late := time.NewTimer(toldWithin)
	defer late.Stop()
	for {
		got, err := s.Get(t.Context(), key)
		switch {
		case errors.Is(err, storage.ErrNotFound) && value == nil, err == nil && value != nil && string(got) == string(value):
			return
		case err != nil && !errors.Is(err, storage.ErrNotFound):
			t.Fatalf("Get(%.40q): %v", key, err)
		}
		select {
		case _, open := <-told:
			if !open {
				t.Fatal("the channel of a watch was closed")
			}
		case <-late.C:
			t.Fatalf("no watch told within %v that %.40q is %s", toldWithin, key, show(value))
		}
	}
}

func watching(t *testing.T, s storage.Store) {
	const key = "watched"
	first, second := watch(t.Context(), t, s, key), watch(t.Context(), t, s, key)
	other := watch(t.Context(), t, s, "other")
	for i, change := range []struct {
		value []byte
		do    func() error
	}{
		{[]byte("1"), func() error { return s.Set(t.Context(), key, []byte("1")) }},
		{[]byte("2"), func() error { return swapped(s.CompareAndSwap(t.Context(), key, []byte("1"), []byte("2"))) }},
		{nil, func() error { return s.Delete(t.Context(), key) }},
		{[]byte("3"), func() error { return swapped(s.CompareAndSwap(t.Context(), key, nil, []byte("3"))) }},
		{nil, func() error { return swapped(s.CompareAndSwap(t.Context(), key, []byte("3"), nil)) }},
	} {
		for _, told := range []<-chan struct{}{first, second} {
			drain(told)
		}
		if err := change.do(); err != nil {
			t.Fatalf("change %d: %v", i, err)
		}
		for _, told := range []<-chan struct{}{first, second} {
			wantNews(t, told, change.value)
			wantTold(t, s, told, key, change.value)
		}
	}
	set(t, s, "other", nil)
	wantTold(t, s, other, "other", []byte{})
}

// wantNews waits until a watch tells.
func wantNews(t *testing.T, told <-chan struct{}, of []byte) {
	t.Helper()
	select {
	case <-told:
	case <-time.After(toldWithin):
		t.Fatalf("a watch did not tell of a change to %s", show(of))
	}
}

// drain takes what a watch has told until now.
func drain(told <-chan struct{}) {
	select {
	case <-told:
	default:
	}
}

func swapped(ok bool, err error) error {
	if err == nil && !ok {
		err = errors.New("it was not swapped")
	}
	return err
}

func unreadWatch(t *testing.T, s storage.Store) {
	told := watch(t.Context(), t, s, "key")
	for i := range 50 {
		set(t, s, "key", fmt.Append(nil, i)) // nobody reads what is told
	}
	wantTold(t, s, told, "key", []byte("49"))
	drain(told)
	set(t, s, "key", []byte("last"))
	wantNews(t, told, []byte("last"))
	wantTold(t, s, told, "key", []byte("last"))
}

func endedWatch(t *testing.T, s storage.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	told := watch(ctx, t, s, "key")
	lasting := watch(t.Context(), t, s, "key")
	cancel()
	if _, err := s.(storage.Watcher).Watch(ctx, "key"); !errors.Is(err, context.Canceled) {
		t.Errorf("Watch with an ended context: %v; want one that matches context.Canceled", err)
	}
	set(t, s, "key", []byte("1"))
	wantTold(t, s, lasting, "key", []byte("1"))
	for {
		select {
		case _, open := <-told:
			if !open {
				t.Fatal("the channel of an ended watch was closed")
			}
			continue
		default:
		}
		return
	}
}
