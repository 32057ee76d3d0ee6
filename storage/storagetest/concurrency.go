package storagetest

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fliplet/fliplet-chat-go/storage"
)

const (
	writers = 8
	rounds  = 10
	// busy is how long fast stores are tested: a swap of two steps is found only
	// when another writer comes in between. In slow stores that happens in the
	// first rounds.
	busy = 150 * time.Millisecond
	// slow is the average time of a swap that waits for a disk.
	slow = 100 * time.Microsecond
)

func concurrentIncrements(t *testing.T, s storage.Store) {
	increment := func() error {
		for {
			old, err := s.Get(t.Context(), "counter")
			n := 0
			switch {
			case errors.Is(err, storage.ErrNotFound):
				old = nil
			case err != nil:
				return err
			default:
				if n, err = strconv.Atoi(string(old)); err != nil {
					return err
				}
			}
			if ok, err := s.CompareAndSwap(t.Context(), "counter", old, strconv.AppendInt(nil, int64(n+1), 10)); ok || err != nil {
				return err
			}
		}
	}
	var wg sync.WaitGroup
	var done atomic.Int64
	began := time.Now()
	more := func(round int) bool {
		return round < rounds || time.Since(began) < min(busy, time.Duration(round*writers)*slow)
	}
	for range writers {
		wg.Go(func() {
			for i := 0; more(i); i++ {
				if err := increment(); err != nil {
					t.Error(err)
					return
				}
				done.Add(1)
			}
		})
	}
	wg.Wait()
	want(t, s, "counter", strconv.AppendInt(nil, done.Load(), 10))
}

func concurrentCreation(t *testing.T, s storage.Store) {
	for i := range rounds {
		key := fmt.Sprint("key ", i)
		var won atomic.Int32
		var winner atomic.Value
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				mine := fmt.Sprint("writer ", w)
				ok, err := s.CompareAndSwap(t.Context(), key, nil, []byte(mine))
				if err != nil {
					t.Error(err)
				}
				if ok {
					won.Add(1)
					winner.Store(mine)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 {
			t.Fatalf("%d of %d writers created one key", won.Load(), writers)
		}
		want(t, s, key, []byte(winner.Load().(string)))
	}
}

func wholeValues(t *testing.T, s storage.Store) {
	value := func(w int) []byte { return bytes.Repeat([]byte{byte('a' + w)}, 1000*(w+1)) }
	set(t, s, "key", value(0))
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for range rounds {
				if err := s.Set(t.Context(), "key", value(w)); err != nil {
					t.Error(err)
				}
				got, err := s.Get(t.Context(), "key")
				if err != nil || len(got) == 0 || !bytes.Equal(got, value(int(got[0]-'a'))) {
					t.Errorf("a reader got %d bytes that nobody wrote, error %v", len(got), err)
				}
			}
		})
	}
	wg.Wait()
}

func manyKeys(t *testing.T, s storage.Store) {
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			key := fmt.Sprint("key ", w)
			for i := range rounds {
				v := fmt.Appendf(nil, "%d of %d", i, w)
				if err := s.Set(t.Context(), key, v); err != nil {
					t.Error(err)
				}
				got, err := s.Get(t.Context(), key)
				if err != nil || !bytes.Equal(got, v) {
					t.Errorf("%s: got %q, error %v; want %q", key, got, err, v)
				}
				if i%3 == 0 {
					if err := s.Delete(t.Context(), key); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	for w := range writers {
		v := fmt.Appendf(nil, "%d of %d", rounds-1, w)
		if (rounds-1)%3 == 0 {
			v = nil
		}
		want(t, s, fmt.Sprint("key ", w), v)
	}
}
