package storagetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/fliplet/fliplet-chat-go/storage"
)

// Faulty is a store whose connection can be cut.
type Faulty struct {
	// Store reaches its values through what can be cut. After a cut it has to work again by
	// itself, with a new connection.
	Store storage.Store
	// Sound reaches the same values, and is never cut.
	Sound storage.Store
	// Cut cuts the connection of Store when so many steps more have been made: with 0 the
	// next step is not made any more. What a step is, is up to whoever makes a Faulty, as long
	// as a call makes the same steps each time, or nearly: for [Proxy] it is what one side has
	// sent at once. A step may also be done and its answer lost. A negative number cuts
	// nothing. It replaces what was said before.
	Cut func(after int)
	// Hit reports whether a connection was cut since Cut was called last.
	Hit func() bool
}

// mostSteps is how many steps a call may take, and mostRetries how often a store may need
// another call to notice that its connection is gone.
const (
	mostSteps   = 200
	mostRetries = 50
)

// RunFaults checks what a store does whose connection is cut at every moment of every call,
// also when the call was done and its answer is lost: an error may mean either, a value is
// whole or not there, a transaction is there as a whole or not at all, and a look at the key
// tells which. Those of transactions are skipped for a store without. It is called from one
// goroutine at a time.
func RunFaults(t *testing.T, open func(t *testing.T) Faulty) {
	t.Helper()
	for _, c := range []struct {
		name  string
		check func(*testing.T, Faulty)
	}{
		{"a value is set whole or not at all", cutSet},
		{"a swap whose answer is lost is in force or not, and a look tells", cutSwap},
		{"a deletion is done or not", cutDelete},
		{"a reading fails or is right", cutGet},
		{"a listing that does not fail is complete", cutList},
		{"a transaction is there as a whole or not at all", cutUpdate},
		{"increments by transactions are counted once", cutCounter},
	} {
		t.Run(c.name, func(t *testing.T) { c.check(t, open(t)) })
	}
}

// everywhere calls fn with a cut at each of its steps, until one comes after its end.
func (f Faulty) everywhere(t *testing.T, fn func(t *testing.T, step int) error) {
	t.Helper()
	hits := 0
	for step := 0; ; step++ {
		if step > mostSteps {
			t.Fatalf("the call is not over after %d steps", step)
		}
		f.heal(t)
		f.Cut(step)
		err := fn(t, step)
		hit := f.Hit()
		f.Cut(-1)
		if t.Failed() {
			t.Fatalf("with a cut after %d steps (it was reached: %v); the call returned %v", step, hit, err)
		}
		if hit {
			hits++
			continue
		}
		if err != nil {
			t.Fatalf("without a cut: %v", err)
		}
		if hits == 0 {
			t.Fatal("no cut was ever reached")
		}
		return
	}
}

// heal waits until the store has noticed that its connection is gone, and has a new one.
func (f Faulty) heal(t *testing.T) {
	t.Helper()
	f.Cut(-1)
	var err error
	for range mostRetries {
		if _, err = f.Store.Get(t.Context(), "nothing is here"); errors.Is(err, storage.ErrNotFound) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("the store does not come back after its connection was cut: %v", err)
}

// settled reads what is stored. A server may still be busy with what was sent before the
// cut, so it reads until fn, which compares, is content.
func (f Faulty) settled(t *testing.T, what string, fn func() bool) {
	t.Helper()
	for began := time.Now(); !fn(); time.Sleep(10 * time.Millisecond) {
		if time.Since(began) > toldWithin {
			t.Errorf("%s", what)
			return
		}
	}
}

// value is what Sound has, nil for nothing.
func (f Faulty) value(t *testing.T, key string) []byte {
	t.Helper()
	v, err := f.Sound.Get(t.Context(), key)
	if errors.Is(err, storage.ErrNotFound) {
		return nil
	}
	if err != nil {
		t.Errorf("Get(%q): %v", key, err)
	}
	return v
}

// short bounds a call: a store that waits for an answer that does not come may hang as long
// as its context.
func short(t *testing.T) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), time.Minute)
}

func cutSet(t *testing.T, f Faulty) {
	small, large := []byte("small"), bytes.Repeat([]byte("0123456789abcdef"), 512<<10/16)
	f.everywhere(t, func(t *testing.T, step int) error {
		key := fmt.Sprint("key ", step)
		set(t, f.Sound, key, small)
		ctx, end := short(t)
		defer end()
		err := f.Store.Set(ctx, key, large)
		f.settled(t, "the value is neither the old one nor the new one", func() bool {
			v := f.value(t, key)
			return bytes.Equal(v, large) || bytes.Equal(v, small) && err != nil
		})
		return err
	})
}

func cutSwap(t *testing.T, f Faulty) {
	for _, c := range []struct{ old, new []byte }{{nil, []byte("new")}, {[]byte("old"), []byte("new")}, {[]byte("old"), nil}} {
		f.everywhere(t, func(t *testing.T, step int) error {
			key := fmt.Sprintf("%s %s %d", c.old, c.new, step)
			if c.old != nil {
				set(t, f.Sound, key, c.old)
			}
			ctx, end := short(t)
			defer end()
			swapped, err := f.Store.CompareAndSwap(ctx, key, c.old, c.new)
			if err == nil && !swapped {
				t.Errorf("CompareAndSwap(%s, %s) = false, and nobody else writes", show(c.old), show(c.new))
			}
			if err != nil && swapped {
				t.Error("CompareAndSwap reports a swap and an error")
			}
			// A swap by somebody else comes after it, or before it and then it has failed.
			took, other := f.Sound.CompareAndSwap(t.Context(), key, c.old, []byte("other"))
			if other != nil {
				t.Errorf("CompareAndSwap by another one: %v", other)
			}
			if err == nil && took {
				t.Error("the same value was swapped twice")
			}
			v := f.value(t, key)
			if took && string(v) != "other" || !took && !bytes.Equal(v, c.new) {
				t.Errorf("the value is %s; the swap returned %v, that of another one %v", show(v), err, took)
			}
			return err
		})
	}
}

func cutDelete(t *testing.T, f Faulty) {
	f.everywhere(t, func(t *testing.T, step int) error {
		key := fmt.Sprint("key ", step)
		set(t, f.Sound, key, []byte("value"))
		ctx, end := short(t)
		defer end()
		err := f.Store.Delete(ctx, key)
		f.settled(t, "the value is changed", func() bool {
			v := f.value(t, key)
			return v == nil || string(v) == "value" && err != nil
		})
		return err
	})
}

func cutGet(t *testing.T, f Faulty) {
	large := bytes.Repeat([]byte("0123456789abcdef"), 512<<10/16)
	set(t, f.Sound, "key", large)
	f.everywhere(t, func(t *testing.T, _ int) error {
		ctx, end := short(t)
		defer end()
		v, err := f.Store.Get(ctx, "key")
		if err == nil && !bytes.Equal(v, large) {
			t.Errorf("Get: %d bytes that are not the value", len(v))
		}
		if errors.Is(err, storage.ErrNotFound) {
			t.Error("Get: a value is not found because the connection was cut")
		}
		return err
	})
}

func cutList(t *testing.T, f Faulty) {
	lister(t, f.Store)
	keys := fill(t, f.Sound)
	f.everywhere(t, func(t *testing.T, _ int) error {
		ctx, end := short(t)
		defer end()
		n := 0
		for key, err := range f.Store.(storage.Lister).List(ctx, "many/") {
			if err != nil {
				return err
			}
			if n >= len(keys) || key != keys[n] {
				t.Errorf("List: %q after %d keys", key, n)
				return nil
			}
			n++
		}
		if n != len(keys) {
			t.Errorf("List: %d keys and no error; want %d", n, len(keys))
		}
		return nil
	})
}

// must makes an error of a swap that was not made.
func must(swapped bool, err error) error {
	if err == nil && !swapped {
		return errUndo
	}
	return err
}

func cutUpdate(t *testing.T, f Faulty) {
	transactional(t, f.Store)
	f.everywhere(t, func(t *testing.T, step int) error {
		a, b, c := fmt.Sprint("a ", step), fmt.Sprint("b ", step), fmt.Sprint("c ", step)
		set(t, f.Sound, b, []byte("old"))
		ctx, end := short(t)
		defer end()
		err := f.Store.(storage.Transactional).Update(ctx, func(ctx context.Context, tx storage.Store) error {
			if err := tx.Set(ctx, a, []byte("new")); err != nil {
				return err
			}
			if err := must(tx.CompareAndSwap(ctx, b, []byte("old"), nil)); err != nil {
				return err
			}
			return must(tx.CompareAndSwap(ctx, c, nil, []byte("new")))
		})
		if errors.Is(err, errUndo) {
			t.Error("a swap failed, and nobody else writes")
		}
		f.settled(t, "a part of the transaction is there, and a part is not", func() bool {
			x, y, z := f.value(t, a), f.value(t, b), f.value(t, c)
			all := string(x) == "new" && y == nil && string(z) == "new"
			return all || err != nil && x == nil && string(y) == "old" && z == nil
		})
		return err
	})
}

// cutCounter counts by transactions of which each leaves a mark: who has lost an answer
// looks for it, by a swap that waits for whatever is still under way.
func cutCounter(t *testing.T, f Faulty) {
	transactional(t, f.Store)
	done := 0
	f.everywhere(t, func(t *testing.T, step int) error {
		mark := fmt.Sprint("mark ", step)
		ctx, end := short(t)
		defer end()
		err := f.Store.(storage.Transactional).Update(ctx, func(ctx context.Context, tx storage.Store) error {
			old, err := tx.Get(ctx, "counter")
			if errors.Is(err, storage.ErrNotFound) {
				old, err = nil, nil
			}
			if err != nil {
				return err
			}
			if err := must(tx.CompareAndSwap(ctx, "counter", old, append(old, 'x'))); err != nil {
				return err
			}
			return must(tx.CompareAndSwap(ctx, mark, nil, []byte("done")))
		})
		undone, other := f.Sound.CompareAndSwap(t.Context(), mark, nil, []byte("undone"))
		switch {
		case other != nil:
			t.Errorf("CompareAndSwap: %v", other)
		case undone && err == nil:
			t.Error("a transaction was committed, and is not there")
		case !undone:
			done++
		}
		if got := len(f.value(t, "counter")); got != done {
			t.Errorf("the counter is %d; want %d", got, done)
		}
		return err
	})
}
