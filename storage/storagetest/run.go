package storagetest

import (
	"testing"

	"github.com/fliplet/fliplet-chat-go/storage"
)

// Option adds to what [Run] checks.
type Option func(*suite)

// Reopen says how to close a store and open the same data again. With it Run also
// checks that values outlive the store they were written through.
func Reopen(reopen func(t *testing.T, s storage.Store) storage.Store) Option {
	return func(s *suite) { s.reopen = reopen }
}

// Beside says how to open the same data once more, beside a store that stays open. With it
// Run checks transactions through two of them.
func Beside(open func(t *testing.T, s storage.Store) storage.Store) Option {
	return func(s *suite) { s.beside = open }
}

type suite struct {
	open   func(t *testing.T) storage.Store
	reopen func(t *testing.T, s storage.Store) storage.Store
	beside func(t *testing.T, s storage.Store) storage.Store
}

// two is a check with another handle on the same data, or the same one.
func (x *suite) two(check func(t *testing.T, s, other storage.Store)) func(*testing.T, storage.Store) {
	return func(t *testing.T, s storage.Store) {
		other := s
		if x.beside != nil {
			other = x.beside(t, s)
		}
		check(t, s, other)
	}
}

// Run checks a store in parallel subtests, each named for what it proves. open
// returns an empty store and has to close it, usually with t.Cleanup. It is called
// from several goroutines.
//
// A store that has a List method is checked as a [storage.Lister], too; for others
// those checks are skipped. One that has an Update method is checked as a
// [storage.Transactional], one that has a Watch method as a [storage.Watcher], and one that
// has a Scrub method as a [storage.Scrubber], as far as that shows from outside.
func Run(t *testing.T, open func(t *testing.T) storage.Store, opts ...Option) {
	t.Helper()
	s := &suite{open: open}
	for _, o := range opts {
		if o != nil {
			o(s)
		}
	}
	checks := []struct {
		name  string
		check func(*testing.T, storage.Store)
	}{
		{"a value is returned as it was set", roundTrip},
		{"a missing key is not found", missingKey},
		{"deleting removes one key and is not an error twice", deleting},
		{"keys are told apart byte by byte", distinctKeys},
		{"an empty value is a value", emptyValue},
		{"long keys and values are kept", longKeysAndValues},
		{"values are copied in and out", copies},
		{"compare and swap changes only what it expects", compareAndSwap},
		{"a nil old value stands for none", swapFromNothing},
		{"a nil new value removes the key", swapToNothing},
		{"an ended context is refused and changes nothing", endedContext},
		{"concurrent swaps lose no increment", concurrentIncrements},
		{"of many that create a key one succeeds", concurrentCreation},
		{"readers see whole values", wholeValues},
		{"writers of different keys do not disturb each other", manyKeys},
		{"a listing has the keys with a prefix in order", listing},
		{"a long listing has every key once, also when its loop uses the store", longListing},
		{"a listing ends where its loop ends", brokenListing},
		{"a listing ends with its context", endedListing},
		{"a listing has what stays while others write", busyListing},
		{"what a transaction writes takes effect together, and is seen by nobody before", transactionTogether},
		{"a transaction whose function fails or panics changes nothing", transactionUndone},
		{"a transaction reads what it wrote, and swaps compare with it", transactionReadsItself},
		{"a transaction lists what it wrote", transactionListing},
		{"a swap in a transaction is not overtaken by another writer", s.two(transactionHolds)},
		{"a swap in a transaction compares with what others have written", s.two(transactionSeesOthers)},
		{"a transaction ends with its context, whole or not at all", transactionEndedContext},
		{"a transaction that is over does nothing", transactionOver},
		{"concurrent transactions lose no increment", s.two(transactionCounter)},
		{"misuse inside a transaction gets an answer", transactionMisuse},
		{"scrubbing changes no value", scrubbing},
		{"a watch tells of every kind of change", watching},
		{"a watch that nobody reads keeps nobody from writing, and goes on", unreadWatch},
		{"a watch ends with its context, and no other does", endedWatch},
	}
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.check(t, s.open(t))
		})
	}
	if s.reopen != nil {
		t.Run("values and deletions outlive the store", func(t *testing.T) {
			t.Parallel()
			s.survival(t)
		})
	}
}
