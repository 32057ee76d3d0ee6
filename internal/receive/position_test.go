package receive

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/claim"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/storage"
)

func open(t *testing.T, s storage.Store) (*position, feed.Stored) {
	t.Helper()
	p := &position{store: s, key: "k"}
	stored, err := p.take(t.Context())
	require.NoError(t, err)
	return p, stored
}

func base(text string) feed.Commit { return feed.Commit{Base: []byte(text)} }
func log(text string) feed.Commit  { return feed.Commit{Log: []byte(text)} }

// text is what a position holds.
func text(s feed.Stored) string {
	out := string(s.Base)
	for _, l := range s.Log {
		out += string(l)
	}
	return out
}

func keys(t *testing.T, s storage.Store) (out []string) {
	t.Helper()
	for k, err := range s.(storage.Lister).List(t.Context(), "") {
		require.NoError(t, err)
		out = append(out, k)
	}
	return out
}

func TestAPositionIsReadAsItWasStored(t *testing.T) {
	t.Parallel()
	store := storage.NewMemory()
	p, s := open(t, store)
	assert.Nil(t, s.Base)
	for round := range 3 {
		want := fmt.Sprintf("base %d;", round)
		require.NoError(t, p.save(t.Context(), base(want)))
		for i := range 40 - 15*round { // so that values of earlier bases are left behind
			entry := fmt.Sprintf("%d of round %d;", i, round)
			want += entry
			require.NoError(t, p.save(t.Context(), log(entry)))
			s, err := (&position{store: store, key: "k"}).load(t.Context())
			require.NoError(t, err)
			require.Equal(t, want, text(s))
		}
		require.NoError(t, p.save(t.Context(), log(strings.Repeat("long", 100))))
		want += strings.Repeat("long", 100)
		p, s = open(t, store)
		require.Equal(t, want, text(s))
	}
	for _, k := range keys(t, store) {
		v, err := store.Get(t.Context(), k)
		require.NoError(t, err)
		assert.LessOrEqual(t, len(v), 416, k)
	}
	assert.Less(t, len(keys(t, store)), 10, "small entries share a key")
}

// Whatever the first write of a process is after another one has taken the position
// over, it fails.
func TestASuspendedProcessWritesOverNothingOfTheNextOne(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("large", 1000)
	for _, first := range []string{"a", large} {
		for _, entries := range []int{0, 1, 3, 40} {
			for _, stale := range []feed.Commit{base("stale"), log("stale"), log(strings.Repeat("stale", 40))} {
				for _, progress := range []bool{false, true} {
					t.Run(fmt.Sprintf("base of %d, %d entries, stale %d %d, progress %v", len(first), entries, len(stale.Base), len(stale.Log), progress), func(t *testing.T) {
						t.Parallel()
						store := storage.NewMemory()
						former, _ := open(t, store)
						require.NoError(t, former.save(t.Context(), base(first)))
						want := first
						for i := range entries {
							want += fmt.Sprint(i)
							require.NoError(t, former.save(t.Context(), log(fmt.Sprint(i))))
						}
						next, s := open(t, store)
						require.Equal(t, want, text(s), "nothing of what was stored is lost")
						if stale.Log != nil {
							require.ErrorIs(t, former.save(t.Context(), stale), claim.ErrLost, "its log ends")
						}
						require.NoError(t, next.save(t.Context(), base("next")))
						want = "next"
						require.ErrorIs(t, former.save(t.Context(), stale), claim.ErrLost, "its first write fails")
						if progress {
							want = "nextd"
							require.NoError(t, next.save(t.Context(), log("d")))
						}
						require.ErrorIs(t, former.save(t.Context(), base("stale")), claim.ErrLost)
						require.NoError(t, next.save(t.Context(), log("e")), "what the other one wrote is not in the way")
						_, s = open(t, store)
						assert.Equal(t, want+"e", text(s))
					})
				}
			}
		}
	}
}

// A process may die, or be suspended, at each step of taking a position over.
func TestATakeOverThatIsInterruptedLosesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for steps := range 4 {
			store := storage.NewMemory()
			former, _ := open(t, store)
			require.NoError(t, former.save(t.Context(), base("a")))
			require.NoError(t, former.save(t.Context(), log("b")))
			dying := &position{store: &limited{store, steps}, key: "k"}
			ctx, cancel := context.WithCancel(t.Context())
			cancel() // it does not try again
			if _, err := dying.take(ctx); err == nil {
				_ = dying.save(ctx, base("ab"))
			}
			_, s := open(t, store)
			assert.Equal(t, "ab", text(s), "%d writes", steps)
			next, s := open(t, store)
			assert.Equal(t, "ab", text(s), "%d writes", steps)
			require.NoError(t, next.save(t.Context(), base("abc")))
			require.ErrorIs(t, former.save(t.Context(), log("stale")), claim.ErrLost)
		}
	})
}

// limited is a store that makes a few writes.
type limited struct {
	storage.Store
	left int
}

func (s *limited) Get(ctx context.Context, key string) ([]byte, error) {
	return s.Store.Get(context.WithoutCancel(ctx), key)
}

func (s *limited) CompareAndSwap(ctx context.Context, key string, old, new []byte) (bool, error) {
	if s.left--; s.left < 0 {
		return false, errors.New("the power is gone")
	}
	return s.Store.CompareAndSwap(context.WithoutCancel(ctx), key, old, new)
}

// unsure is a store whose writes fail after they were made.
type unsure struct{ storage.Store }

func (s unsure) CompareAndSwap(ctx context.Context, key string, old, new []byte) (bool, error) {
	if ok, err := s.Store.CompareAndSwap(ctx, key, old, new); err != nil || ok {
		return false, errors.New("the answer is lost")
	}
	return false, nil
}

func TestAPositionThatWasStoredAlthoughTheStoreFailedIsNotSomebodyElses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := storage.NewMemory()
		p, _ := open(t, unsure{store})
		require.NoError(t, p.save(t.Context(), base("a")))
		require.NoError(t, p.save(t.Context(), log("b")))
		require.NoError(t, p.save(t.Context(), log("c")))
		_, s := open(t, store)
		assert.Equal(t, "abc", text(s))
	})
}

func TestAPositionOfAnEarlierVersionIsReplaced(t *testing.T) {
	t.Parallel()
	store := storage.NewMemory()
	require.NoError(t, store.Set(t.Context(), "k/base", []byte("old base")))
	require.NoError(t, store.Set(t.Context(), "k/acked", []byte("old acks")))
	p, s := open(t, store)
	assert.Equal(t, "old base", string(s.Base))
	assert.Equal(t, "old acks", string(s.Acked))
	assert.Empty(t, s.Log)
	require.NoError(t, p.save(t.Context(), base("new")))
	assert.NotContains(t, keys(t, store), "k/acked")
}

// deaf is a store that cannot be read for a while.
type deaf struct {
	storage.Store
	now bool
}

func (s *deaf) Get(ctx context.Context, key string) ([]byte, error) {
	if s.now {
		return nil, errors.New("the store is deaf")
	}
	return s.Store.Get(ctx, key)
}

// What an earlier base left in the place of a log has to be known to be replaced.
func TestALogThatCannotBeBegunIsTheStoresFailureAndNoLossOfTheLease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &deaf{Store: storage.NewMemory()}
		large := strings.Repeat("large", 80) // one value each
		former, _ := open(t, store)
		require.NoError(t, former.save(t.Context(), base("a")))
		require.NoError(t, former.save(t.Context(), log(large)))
		require.NoError(t, former.save(t.Context(), log(large)))
		require.NoError(t, former.save(t.Context(), base("b")))
		p, _ := open(t, store)
		require.NoError(t, p.save(t.Context(), base("c")))
		require.NoError(t, p.save(t.Context(), log(large)))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		store.now = true
		err := p.save(ctx, log(large))
		require.ErrorContains(t, err, "the store is deaf")
		require.NotErrorIs(t, err, claim.ErrLost)
		store.now = false
		require.NoError(t, p.save(t.Context(), log(large)))
		_, s := open(t, store)
		assert.Equal(t, "c"+large+large, text(s))
	})
}
