package receive

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
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
	p := &position{store: s, key: "k", log: slog.New(slog.DiscardHandler)}
	stored, err := p.load(t.Context())
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
			_, s := open(t, store)
			require.Equal(t, want, text(s))
		}
		require.NoError(t, p.save(t.Context(), log(strings.Repeat("long", 100))))
		want += strings.Repeat("long", 100)
		_, s := open(t, store)
		require.Equal(t, want, text(s))
		p, _ = open(t, store)
	}
	for _, k := range keys(t, store) {
		v, err := store.Get(t.Context(), k)
		require.NoError(t, err)
		assert.LessOrEqual(t, len(v), 408, k)
	}
	assert.Less(t, len(keys(t, store)), 10, "small entries share a key")
}

func TestASuspendedProcessWritesOverNothingOfTheNextOne(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("large", 1000)
	for name, tc := range map[string]struct {
		base  string
		stale feed.Commit
	}{
		"a base over a small one": {"a", base("stale")}, "a log to a small one": {"a", log("stale")},
		"a base over a large one": {large, base("stale")}, "a log to a large one": {large, log(strings.Repeat("stale", 40))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := storage.NewMemory()
			first, _ := open(t, store)
			require.NoError(t, first.save(t.Context(), base(tc.base)))
			require.NoError(t, first.save(t.Context(), log("b")))
			next, s := open(t, store)
			assert.Equal(t, tc.base+"b", text(s))
			want := tc.base + "bc"
			if next.whole() {
				want = "c"
				require.NoError(t, next.save(t.Context(), base("c")))
			} else {
				require.NoError(t, next.save(t.Context(), log("c")))
			}
			err := first.save(t.Context(), tc.stale)
			if tc.stale.Base != nil || tc.base == large {
				require.ErrorIs(t, err, claim.ErrLost)
			}
			require.NoError(t, next.save(t.Context(), log("d")), "what the other one wrote is not in the way")
			_, s = open(t, store)
			assert.Equal(t, want+"d", text(s))
			require.ErrorIs(t, errors.Join(first.save(t.Context(), log(large)), first.save(t.Context(), base("f"))), claim.ErrLost)
			_, s = open(t, store)
			assert.Equal(t, want+"d", text(s))
		})
	}
}

// A process may be suspended between sealing a log and replacing its base.
func TestASealedLogIsFollowedByABase(t *testing.T) {
	t.Parallel()
	store := storage.NewMemory()
	first, _ := open(t, store)
	require.NoError(t, first.save(t.Context(), base(strings.Repeat("large", 1000))))
	require.NoError(t, first.save(t.Context(), log("a")))
	require.NoError(t, first.begin(t.Context(), nil))
	next, _ := open(t, store)
	require.True(t, next.whole())
	require.NoError(t, next.save(t.Context(), base("next")))
	require.ErrorIs(t, first.swap(t.Context(), "/base", &first.base, []byte("stale")), claim.ErrLost)
	_, s := open(t, store)
	assert.Equal(t, "next", text(s))
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
	assert.Equal(t, []string{"k/base"}, keys(t, store))
}
