package storagetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/fliplet/fliplet-chat-go/storage"
)

// many is how many keys a long listing has, so that a store needs several pages.
const many = 128

// lister skips the test of a store that cannot list.
func lister(t *testing.T, s storage.Store) storage.Lister {
	t.Helper()
	l, ok := s.(storage.Lister)
	if !ok {
		t.Skip("the store is no storage.Lister")
	}
	return l
}

// list returns the keys with a prefix.
func list(t *testing.T, l storage.Lister, prefix string) []string {
	t.Helper()
	keys := []string{}
	for key, err := range l.List(t.Context(), prefix) {
		if err != nil {
			t.Fatalf("List(%q): %v", prefix, err)
		}
		keys = append(keys, key)
	}
	return keys
}

func wantList(t *testing.T, l storage.Lister, prefix string, keys ...string) {
	t.Helper()
	if got := list(t, l, prefix); !slices.Equal(got, keys) {
		t.Fatalf("List(%q) = %.200q; want %.200q", prefix, got, keys)
	}
}

func listing(t *testing.T, s storage.Store) {
	l := lister(t, s)
	wantList(t, l, "")
	wantList(t, l, "a")
	all := []string{"A", "a", "a%b", "a.b", "a/", "a/1", "a/10", "a/2", "a_b", "ab", "b", "b/a/1", "na\u00efve", "\U0001F642"}
	for i, key := range []int{3, 12, 0, 7, 10, 1, 4, 11, 9, 2, 13, 8, 6, 5} {
		set(t, s, all[key], fmt.Append(nil, i))
	}
	wantList(t, l, "", all...)
	wantList(t, l, "a/", "a/", "a/1", "a/10", "a/2")
	wantList(t, l, "a/1", "a/1", "a/10")
	wantList(t, l, "a%", "a%b") // no pattern
	wantList(t, l, "a_", "a_b")
	wantList(t, l, "a.", "a.b")
	wantList(t, l, "A", "A")
	wantList(t, l, "na\u00ef", "na\u00efve")
	wantList(t, l, "ac")
	wantList(t, l, "\U0001F643")
	wantList(t, l, strings.Repeat("a", 1024))

	set(t, s, "a/1", nil)
	swap(t, s, "a/3", nil, []byte("new"), true)
	swap(t, s, "a/10", []byte("12"), nil, true)
	if err := s.Delete(t.Context(), "a/2"); err != nil {
		t.Fatalf("Delete: %v", err)
	}
	wantList(t, l, "a/", "a/", "a/1", "a/3")
}

// fill stores many keys below "many/" and some around them.
func fill(t *testing.T, s storage.Store) (keys []string) {
	t.Helper()
	for i := range many {
		keys = append(keys, fmt.Sprintf("many/%04d", i))
	}
	var wg sync.WaitGroup
	for part := range slices.Chunk(append([]string{"many", "many0", "zebra"}, keys...), many/writers+1) {
		wg.Go(func() {
			for _, key := range part {
				if err := s.Set(t.Context(), key, []byte("value")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	return keys
}

func longListing(t *testing.T, s storage.Store) {
	l := lister(t, s)
	keys := fill(t, s)
	wantList(t, l, "many/", keys...)
	// The same sequence lists again, and its loop uses the store.
	seq, n := l.List(t.Context(), "many/"), 0
	for _, err := range seq {
		if err != nil {
			t.Fatalf("List: %v after %d keys", err, n)
		}
		n++
	}
	if n != many {
		t.Fatalf("List: %d keys; want %d", n, many)
	}
	n = 0
	for key, err := range seq {
		if err != nil || n >= many || key != keys[n] {
			t.Fatalf("List: got %q, error %v after %d keys", key, err, n)
		}
		want(t, s, key, []byte("value"))
		if n%32 == 0 {
			swap(t, s, key, []byte("value"), []byte("changed"), true)
			wantList(t, l, key, key)
			if err := s.Delete(t.Context(), key); err != nil {
				t.Fatalf("Delete: %v", err)
			}
		}
		n++
	}
	if n != many {
		t.Fatalf("List: %d keys while its loop deletes some; want %d", n, many)
	}
	if got := list(t, l, "many/"); len(got) != many-many/32 {
		t.Fatalf("List: %d keys are left; want %d", len(got), many-many/32)
	}
}

func brokenListing(t *testing.T, s storage.Store) {
	l := lister(t, s)
	for _, key := range []string{"a", "b", "c"} {
		set(t, s, key, []byte("1"))
	}
	for _, stop := range []string{"a", "b", "c"} {
		last := ""
		for key, err := range l.List(t.Context(), "") {
			if err != nil {
				t.Fatalf("List: %v", err)
			}
			if last = key; key == stop {
				break
			}
		}
		if last != stop {
			t.Fatalf("List ended at %q; want %q", last, stop)
		}
		set(t, s, stop, []byte("2")) // nothing is held any more
		want(t, s, stop, []byte("2"))
	}
	wantList(t, l, "", "a", "b", "c")
}

func endedListing(t *testing.T, s storage.Store) {
	l := lister(t, s)
	for _, key := range []string{"a", "b", "c"} {
		set(t, s, key, []byte("1"))
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	wantEnd := func(before int) {
		t.Helper()
		keys, errs := 0, 0
		for key, err := range l.List(ctx, "") {
			switch {
			case errs > 0:
				t.Fatal("List goes on after its first error")
			case err == nil:
				if keys++; keys == before {
					cancel()
				}
			case key != "" || !errors.Is(err, context.Canceled):
				t.Fatalf("List with an ended context: key %q, error %v; want one that matches context.Canceled", key, err)
			default:
				errs++
			}
		}
		if keys != before || errs != 1 {
			t.Fatalf("List: %d keys and %d errors; want %d and 1", keys, errs, before)
		}
	}
	wantEnd(1) // ended by the loop
	wantEnd(0) // ended before
	wantList(t, l, "", "a", "b", "c")
}

func busyListing(t *testing.T, s storage.Store) {
	l := lister(t, s)
	var stay []string
	for i := range writers {
		stay = append(stay, fmt.Sprintf("key %d", i))
		set(t, s, stay[i], []byte("stays"))
	}
	var wg sync.WaitGroup
	for w := range writers / 2 {
		wg.Go(func() {
			for i := range rounds {
				key := fmt.Sprintf("key %d/%d", w, i)
				if err := s.Set(t.Context(), key, []byte("comes")); err != nil {
					t.Error(err)
				}
				if err := s.Delete(t.Context(), key); err != nil {
					t.Error(err)
				}
			}
		})
		wg.Go(func() {
			for range rounds {
				var got []string
				for key, err := range l.List(t.Context(), "key ") {
					if err != nil {
						t.Error(err)
						return
					}
					got = append(got, key)
				}
				if !slices.IsSortedFunc(got, ascending) {
					t.Errorf("List: %.200q is not ascending, or has a key twice", got)
				}
				got = slices.DeleteFunc(got, func(key string) bool { return strings.Contains(key, "/") })
				if !slices.Equal(got, stay) {
					t.Errorf("List: %.200q stay; want %.200q", got, stay)
				}
			}
		})
	}
	wg.Wait()
	wantList(t, l, "key ", stay...)
}

// ascending compares keys so that a key which comes twice is out of order.
func ascending(a, b string) int {
	if a < b {
		return -1
	}
	return 1
}
