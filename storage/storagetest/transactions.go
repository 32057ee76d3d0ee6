package storagetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fliplet/fliplet-chat-go/storage"
)

// errUndo is an error of a transaction's function.
var errUndo = errors.New("undo it")

// transactional skips the test of a store without transactions.
func transactional(t *testing.T, s storage.Store) storage.Transactional {
	t.Helper()
	u, ok := s.(storage.Transactional)
	if !ok {
		t.Skip("the store is no storage.Transactional")
	}
	return u
}

// update runs a transaction that has to be committed.
func update(t *testing.T, s storage.Transactional, fn func(ctx context.Context, tx storage.Store)) {
	t.Helper()
	if err := s.Update(t.Context(), func(ctx context.Context, tx storage.Store) error { fn(ctx, tx); return nil }); err != nil {
		t.Fatalf("Update: %v", err)
	}
}

func transactionTogether(t *testing.T, s storage.Store) {
	u := transactional(t, s)
	set(t, s, "changed", []byte("1"))
	set(t, s, "deleted", []byte("1"))
	set(t, s, "swapped", []byte("1"))
	before := func() {
		t.Helper()
		want(t, s, "changed", []byte("1"))
		want(t, s, "deleted", []byte("1"))
		want(t, s, "swapped", []byte("1"))
		want(t, s, "new", nil)
	}
	calls := 0
	update(t, u, func(_ context.Context, tx storage.Store) {
		calls++
		set(t, tx, "changed", []byte("2"))
		if err := tx.Delete(t.Context(), "deleted"); err != nil {
			t.Errorf("Delete in a transaction: %v", err)
		}
		swap(t, tx, "swapped", []byte("1"), []byte("2"), true)
		swap(t, tx, "new", nil, []byte{}, true)
		before() // others see nothing of it yet
	})
	if calls != 1 {
		t.Fatalf("Update called its function %d times; want once", calls)
	}
	want(t, s, "changed", []byte("2"))
	want(t, s, "deleted", nil)
	want(t, s, "swapped", []byte("2"))
	want(t, s, "new", []byte{})
}

func transactionUndone(t *testing.T, s storage.Store) {
	u := transactional(t, s)
	set(t, s, "a", []byte("1"))
	write := func(tx storage.Store) {
		set(t, tx, "a", []byte("2"))
		set(t, tx, "b", []byte("2"))
		swap(t, tx, "a", []byte("2"), []byte("3"), true)
		if err := tx.Delete(t.Context(), "a"); err != nil {
			t.Errorf("Delete in a transaction: %v", err)
		}
	}
	if err := u.Update(t.Context(), func(_ context.Context, tx storage.Store) error { write(tx); return errUndo }); err != errUndo { //nolint:errorlint // as it is
		t.Fatalf("Update: %v; want the error of its function as it is", err)
	}
	want(t, s, "a", []byte("1"))
	want(t, s, "b", nil)
	func() {
		defer func() {
			if v := recover(); v != "boom" {
				t.Fatalf("the panic of Update's function became %v", v)
			}
		}()
		_ = u.Update(t.Context(), func(_ context.Context, tx storage.Store) error { write(tx); panic("boom") })
	}()
	want(t, s, "a", []byte("1"))
	want(t, s, "b", nil)
	set(t, s, "a", []byte("4")) // nothing is held any more
	update(t, u, func(_ context.Context, tx storage.Store) { swap(t, tx, "a", []byte("4"), []byte("5"), true) })
	want(t, s, "a", []byte("5"))
}

func transactionReadsItself(t *testing.T, s storage.Store) {
	u := transactional(t, s)
	set(t, s, "a/1", []byte("1"))
	set(t, s, "a/2", []byte("1"))
	long, large := strings.Repeat("k", 1024), bytes.Repeat([]byte("0123456789abcdef"), 1<<20/16)
	update(t, u, func(_ context.Context, tx storage.Store) {
		want(t, tx, "a/1", []byte("1"))
		want(t, tx, "missing", nil)
		set(t, tx, "a/1", []byte("2"))
		want(t, tx, "a/1", []byte("2"))
		swap(t, tx, "a/1", []byte("1"), []byte("3"), false)
		swap(t, tx, "a/1", []byte("2"), []byte("3"), true)
		swap(t, tx, "a/3", nil, nil, true)
		swap(t, tx, "a/3", nil, []byte("1"), true)
		swap(t, tx, "a/3", nil, []byte("2"), false)
		swap(t, tx, "a/2", []byte("1"), nil, true)
		want(t, tx, "a/2", nil)
		swap(t, tx, "a/2", nil, []byte("back"), true)
		if err := tx.Delete(t.Context(), "a/2"); err != nil {
			t.Errorf("Delete in a transaction: %v", err)
		}
		set(t, tx, "empty", nil)
		want(t, tx, "empty", []byte{})
		in := bytes.Clone(large)
		set(t, tx, long, in)
		clear(in)
		want(t, tx, long, large)
		if l, ok := tx.(storage.Lister); ok {
			wantList(t, l, "a/", "a/1", "a/3")
		}
	})
	want(t, s, "a/1", []byte("3"))
	want(t, s, "a/2", nil)
	want(t, s, "a/3", []byte("1"))
	want(t, s, long, large)
	if l, ok := s.(storage.Lister); ok {
		wantList(t, l, "a/", "a/1", "a/3")
	}
}

// transactionListing: a Store that lists does so in a transaction, too.
func transactionListing(t *testing.T, s storage.Store) {
	u := transactional(t, s)
	l := lister(t, s)
	keys := fill(t, s)
	update(t, u, func(_ context.Context, tx storage.Store) {
		inside, ok := tx.(storage.Lister)
		if !ok {
			t.Error("the store lists, and its transactions do not")
			return
		}
		wantList(t, inside, "many/", keys...)
		n := 0
		for key, err := range inside.List(t.Context(), "many/") {
			if err != nil {
				t.Errorf("List in a transaction: %v", err)
				return
			}
			if n++; n%2 == 0 { // the loop may use the transaction
				if err := tx.Delete(t.Context(), key); err != nil {
					t.Errorf("Delete in a transaction: %v", err)
				}
			}
		}
		if got := list(t, inside, "many/"); len(got) != many/2 {
			t.Errorf("List in a transaction: %d keys are left; want %d", len(got), many/2)
		}
		for _, err := range inside.List(t.Context(), "many/") {
			if err != nil {
				t.Errorf("List in a transaction: %v", err)
			}
			break
		}
		set(t, tx, "many/x", nil)
	})
	if got := list(t, l, "many/"); len(got) != many/2+1 || !slices.Contains(got, "many/x") {
		t.Fatalf("List: %d keys after the transaction; want %d", len(got), many/2+1)
	}
}

// transactionHolds: a swap that was true is not overtaken by somebody else, through other,
// which is another handle where there is one.
func transactionHolds(t *testing.T, s, other storage.Store) {
	u := transactional(t, s)
	for i := range rounds {
		key := fmt.Sprint("key ", i)
		set(t, s, key, []byte("0"))
		var swapped, taken bool
		var wg sync.WaitGroup
		begin, done := make(chan struct{}), make(chan struct{})
		wg.Go(func() {
			defer close(done)
			<-begin
			var err error
			if taken, err = other.CompareAndSwap(t.Context(), key, []byte("0"), []byte("other")); err != nil {
				t.Errorf("CompareAndSwap beside a transaction: %v", err)
			}
		})
		err := u.Update(t.Context(), func(ctx context.Context, tx storage.Store) error {
			early := i%3 == 0
			if early {
				close(begin)
			}
			var err error
			if swapped, err = tx.CompareAndSwap(ctx, key, []byte("0"), []byte("mine")); err != nil {
				return err
			}
			if !early {
				close(begin)
				select { // where the other one need not wait, it comes first
				case <-done:
				case <-time.After(20 * time.Millisecond):
				}
			}
			if !swapped {
				return errUndo
			}
			return nil
		})
		wg.Wait()
		committed := err == nil
		if committed == taken {
			t.Fatalf("round %d: the transaction swapped: %v, error %v; the other one swapped: %v; want one of them", i, swapped, err, taken)
		}
		value := "mine"
		if taken {
			value = "other"
		}
		want(t, s, key, []byte(value))
		want(t, other, key, []byte(value))
	}
}

// transactionSeesOthers: what somebody else has committed meanwhile is what a swap compares.
func transactionSeesOthers(t *testing.T, s, other storage.Store) {
	u := transactional(t, s)
	for _, reads := range []bool{false, true} {
		set(t, s, "key", []byte("0"))
		overtaken := false
		err := u.Update(t.Context(), func(ctx context.Context, tx storage.Store) error {
			if reads {
				want(t, tx, "key", []byte("0"))
			}
			// Where one transaction writes at a time the other one waits for this one.
			short, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			overtaken = other.Set(short, "key", []byte("other")) == nil
			if ok, err := tx.CompareAndSwap(ctx, "key", []byte("0"), []byte("mine")); err != nil || !ok {
				return errors.Join(err, errUndo)
			}
			return nil
		})
		switch {
		case overtaken && err == nil:
			t.Fatalf("a transaction swapped a value that was not there any more (it had read it: %v)", reads)
		case overtaken:
			want(t, s, "key", []byte("other"))
		case err == nil:
			want(t, s, "key", []byte("mine"))
		}
	}
}

func transactionEndedContext(t *testing.T, s storage.Store) {
	u := transactional(t, s)
	set(t, s, "key", []byte("1"))
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	err := u.Update(ended, func(context.Context, storage.Store) error {
		t.Error("Update with an ended context called its function")
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Update with an ended context: %v; want one that matches context.Canceled", err)
	}
	update(t, u, func(_ context.Context, tx storage.Store) {
		_, getErr := tx.Get(ended, "key")
		swapped, swapErr := tx.CompareAndSwap(ended, "key", []byte("1"), []byte("2"))
		for call, err := range map[string]error{
			"Get": getErr, "Set": tx.Set(ended, "key", []byte("2")), "Delete": tx.Delete(ended, "key"), "CompareAndSwap": swapErr,
		} {
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%s in a transaction, with an ended context: %v; want one that matches context.Canceled", call, err)
			}
		}
		if swapped {
			t.Error("CompareAndSwap with an ended context reports a swap")
		}
	})
	want(t, s, "key", []byte("1"))
	// One that ends in the middle ends that of the function, too, and nothing is half done.
	for _, withError := range []bool{false, true} {
		if t.Failed() {
			return
		}
		ctx, cancel := context.WithCancel(t.Context())
		err := u.Update(ctx, func(ctx context.Context, tx storage.Store) error {
			set(t, tx, "key", []byte("2"))
			set(t, tx, "beside", []byte("2"))
			cancel()
			select {
			case <-ctx.Done():
			case <-time.After(toldWithin):
				t.Error("the context of a transaction does not end with that of Update")
				withError = true
			}
			if withError {
				return errUndo
			}
			return nil
		})
		if withError && !errors.Is(err, errUndo) {
			t.Errorf("Update: %v; want the error of its function", err)
		}
		_, first := s.Get(t.Context(), "beside")
		if in := first == nil; in && withError || !in && err == nil {
			t.Fatalf("Update: %v, and what it wrote is there: %v", err, in)
		} else if in {
			want(t, s, "key", []byte("2"))
		} else {
			want(t, s, "key", []byte("1"))
		}
		cancel()
	}
}

func transactionOver(t *testing.T, s storage.Store) {
	u := transactional(t, s)
	var kept storage.Store
	var inside context.Context
	update(t, u, func(ctx context.Context, tx storage.Store) {
		set(t, tx, "key", []byte("1"))
		kept, inside = tx, ctx
	})
	if inside.Err() == nil {
		t.Error("the context of a transaction that is over has not ended")
	}
	_, getErr := kept.Get(t.Context(), "key")
	swapped, swapErr := kept.CompareAndSwap(t.Context(), "key", []byte("1"), []byte("2"))
	for call, err := range map[string]error{
		"Get": getErr, "Set": kept.Set(t.Context(), "key", []byte("2")), "Delete": kept.Delete(t.Context(), "key"), "CompareAndSwap": swapErr,
	} {
		if err == nil || errors.Is(err, storage.ErrNotFound) {
			t.Errorf("%s after the transaction was over: %v; want an error", call, err)
		}
	}
	if swapped {
		t.Error("CompareAndSwap after the transaction was over reports a swap")
	}
	if l, ok := kept.(storage.Lister); ok {
		for key, err := range l.List(t.Context(), "") {
			if err == nil {
				t.Errorf("List after the transaction was over yields %q", key)
			}
		}
	}
	want(t, s, "key", []byte("1"))
}

// transactionCounter: of what many transactions add at the same time nothing is lost.
func transactionCounter(t *testing.T, s, other storage.Store) {
	handles := []storage.Transactional{transactional(t, s), transactional(t, other)}
	var wg sync.WaitGroup
	var tries atomic.Int64
	for w := range writers {
		wg.Go(func() {
			for done := 0; done < rounds; {
				err := handles[w%2].Update(t.Context(), func(ctx context.Context, tx storage.Store) error {
					old, err := tx.Get(ctx, "counter")
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
					if ok, err := tx.CompareAndSwap(ctx, "counter", old, strconv.AppendInt(nil, int64(n+1), 10)); err != nil || !ok {
						return errors.Join(err, errUndo)
					}
					return tx.Set(ctx, fmt.Sprintf("done/%d/%d", w, done), old)
				})
				if err == nil {
					done++
				}
				if tries.Add(1) > 1_000*writers*rounds {
					t.Errorf("transactions do not succeed: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
	want(t, s, "counter", strconv.AppendInt(nil, writers*rounds, 10))
	for w := range writers {
		for i := range rounds {
			if _, err := s.Get(t.Context(), fmt.Sprintf("done/%d/%d", w, i)); err != nil {
				t.Fatalf("what was written beside the counter: %v", err)
			}
		}
	}
}

// transactionMisuse: whoever uses the store, or begins another transaction, with the context
// of a transaction gets an answer, and the store goes on.
func transactionMisuse(t *testing.T, s storage.Store) {
	u := transactional(t, s)
	set(t, s, "key", []byte("1"))
	_ = u.Update(t.Context(), func(ctx context.Context, tx storage.Store) error {
		set(t, tx, "key", []byte("2"))
		_ = u.Update(ctx, func(ctx context.Context, tx storage.Store) error { return tx.Set(ctx, "nested", []byte("1")) })
		_ = s.Set(ctx, "outside", []byte("1"))
		_, _ = s.CompareAndSwap(ctx, "outside", []byte("1"), []byte("2"))
		if _, err := s.Get(ctx, "missing"); err == nil {
			t.Error("Get of a missing key inside a transaction: no error")
		}
		return errUndo
	})
	want(t, s, "key", []byte("1"))
	set(t, s, "key", []byte("3"))
	update(t, u, func(_ context.Context, tx storage.Store) { swap(t, tx, "key", []byte("3"), []byte("4"), true) })
	want(t, s, "key", []byte("4"))
}
