package storagetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/fliplet/fliplet-chat-go/storage"
)

func set(t *testing.T, s storage.Store, key string, value []byte) {
	t.Helper()
	if err := s.Set(t.Context(), key, value); err != nil {
		t.Fatalf("Set(%.40q): %v", key, err)
	}
}

// want checks the value of a key; nil means that there is none.
func want(t *testing.T, s storage.Store, key string, value []byte) {
	t.Helper()
	got, err := s.Get(t.Context(), key)
	switch {
	case value == nil && !errors.Is(err, storage.ErrNotFound):
		t.Fatalf("Get(%.40q) of a missing key: error %v; want one that matches storage.ErrNotFound", key, err)
	case value == nil:
	case err != nil:
		t.Fatalf("Get(%.40q): %v", key, err)
	case !bytes.Equal(got, value):
		t.Fatalf("Get(%.40q) = %.60q; want %.60q", key, got, value)
	}
}

func swap(t *testing.T, s storage.Store, key string, old, new []byte, should bool) {
	t.Helper()
	did, err := s.CompareAndSwap(t.Context(), key, old, new)
	if err != nil {
		t.Fatalf("CompareAndSwap(%.40q): %v", key, err)
	}
	if did != should {
		t.Fatalf("CompareAndSwap(%.40q, %s, %s) = %t; want %t", key, show(old), show(new), did, should)
	}
}

func show(v []byte) string {
	if v == nil {
		return "nil"
	}
	return fmt.Sprintf("%.40q", v)
}

func roundTrip(t *testing.T, s storage.Store) {
	binary := make([]byte, 256)
	for i := range binary {
		binary[i] = byte(i)
	}
	for _, v := range [][]byte{[]byte("one"), []byte("another, longer one"), binary, []byte("short")} {
		set(t, s, "key", v)
		want(t, s, "key", v)
	}
}

func missingKey(t *testing.T, s storage.Store) {
	want(t, s, "nobody", nil)
	set(t, s, "nobody else", []byte("v"))
	want(t, s, "nobody", nil)
}

func deleting(t *testing.T, s storage.Store) {
	set(t, s, "a", []byte("1"))
	set(t, s, "b", []byte("2"))
	for range 2 {
		if err := s.Delete(t.Context(), "a"); err != nil {
			t.Fatalf("Delete: %v", err)
		}
		want(t, s, "a", nil)
	}
	want(t, s, "b", []byte("2"))
	set(t, s, "a", []byte("3"))
	want(t, s, "a", []byte("3"))
}

func distinctKeys(t *testing.T, s storage.Store) {
	keys := []string{
		"key", "Key", "key ", " key", "key/", "key/a", "key.a", "k", "..", "../key", "%2e", "a\x00b", "a\x00c",
		"naïve", "nai\u0308ve", "🙂", "fl-chat/eu/1/u%2F1/user", "fl-chat/eu/1/u/1/user",
	}
	for i, k := range keys {
		set(t, s, k, fmt.Append(nil, i))
	}
	for i, k := range keys {
		want(t, s, k, fmt.Append(nil, i))
	}
}

func emptyValue(t *testing.T, s storage.Store) {
	for _, v := range [][]byte{{}, nil} {
		set(t, s, "key", v)
		want(t, s, "key", []byte{})
		swap(t, s, "key", nil, []byte("x"), false) // there is a value
		swap(t, s, "key", []byte{}, []byte("x"), true)
		swap(t, s, "key", []byte("x"), []byte{}, true)
		want(t, s, "key", []byte{})
	}
}

func longKeysAndValues(t *testing.T, s storage.Store) {
	long, other := strings.Repeat("k", 1024), strings.Repeat("k", 1023)+"l"
	large := bytes.Repeat([]byte("0123456789abcdef"), 4<<20/16)
	set(t, s, long, large)
	set(t, s, other, []byte("small"))
	want(t, s, long, large)
	want(t, s, other, []byte("small"))
	changed := bytes.Clone(large)
	changed[len(changed)-1] = '!'
	swap(t, s, long, changed, []byte("x"), false) // differs in the last byte only
	swap(t, s, long, large, changed, true)
	want(t, s, long, changed)
}

func copies(t *testing.T, s storage.Store) {
	in := []byte("stored")
	set(t, s, "key", in)
	copy(in, "broken")
	want(t, s, "key", []byte("stored"))
	out, err := s.Get(t.Context(), "key")
	if err != nil {
		t.Fatalf("Get: %v", err)
	}
	copy(out, "broken")
	want(t, s, "key", []byte("stored"))

	next := []byte("second")
	swap(t, s, "key", []byte("stored"), next, true)
	copy(next, "broken")
	want(t, s, "key", []byte("second"))
}

func compareAndSwap(t *testing.T, s storage.Store) {
	set(t, s, "key", []byte("1"))
	swap(t, s, "key", []byte("2"), []byte("3"), false)
	want(t, s, "key", []byte("1"))
	swap(t, s, "key", []byte("1"), []byte("2"), true)
	want(t, s, "key", []byte("2"))
	swap(t, s, "key", []byte("1"), []byte("2"), false)
	swap(t, s, "key", []byte("2"), []byte("2"), true) // equal is equal
	swap(t, s, "key", []byte{}, []byte("3"), false)
	want(t, s, "key", []byte("2"))
	swap(t, s, "missing", []byte("1"), []byte("2"), false)
	swap(t, s, "missing", []byte{}, []byte("2"), false)
	want(t, s, "missing", nil)
}

func swapFromNothing(t *testing.T, s storage.Store) {
	swap(t, s, "key", nil, []byte("1"), true)
	want(t, s, "key", []byte("1"))
	swap(t, s, "key", nil, []byte("2"), false)
	want(t, s, "key", []byte("1"))
}

func swapToNothing(t *testing.T, s storage.Store) {
	swap(t, s, "key", nil, nil, true)
	want(t, s, "key", nil)
	set(t, s, "key", []byte("1"))
	swap(t, s, "key", nil, nil, false)
	swap(t, s, "key", []byte("2"), nil, false)
	want(t, s, "key", []byte("1"))
	swap(t, s, "key", []byte("1"), nil, true)
	want(t, s, "key", nil)
}

func endedContext(t *testing.T, s storage.Store) {
	set(t, s, "key", []byte("1"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, getErr := s.Get(ctx, "key")
	swapped, swapErr := s.CompareAndSwap(ctx, "key", []byte("1"), []byte("2"))
	for call, err := range map[string]error{
		"Get": getErr, "Set": s.Set(ctx, "key", []byte("2")), "Delete": s.Delete(ctx, "key"), "CompareAndSwap": swapErr,
	} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s with an ended context: %v; want one that matches context.Canceled", call, err)
		}
	}
	if swapped {
		t.Error("CompareAndSwap with an ended context reports a swap")
	}
	want(t, s, "key", []byte("1"))
}

// survival writes, reopens, and looks.
func (x *suite) survival(t *testing.T) {
	s := x.open(t)
	set(t, s, "kept", []byte("1"))
	set(t, s, "changed", []byte("1"))
	set(t, s, "deleted", []byte("1"))
	set(t, s, "empty", nil)
	s = x.reopen(t, s)
	swap(t, s, "changed", []byte("1"), []byte("2"), true)
	if err := s.Delete(t.Context(), "deleted"); err != nil {
		t.Fatalf("Delete: %v", err)
	}
	s = x.reopen(t, s)
	want(t, s, "kept", []byte("1"))
	want(t, s, "changed", []byte("2"))
	want(t, s, "deleted", nil)
	want(t, s, "empty", []byte{})
}
