package relay_test

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/relay"
	"github.com/fliplet/fliplet-chat-go/storage"
	"github.com/fliplet/fliplet-chat-go/storage/storagetest"
)

func newStore(t *testing.T, s storage.Store, r relay.Relay) *relay.Store {
	t.Helper()
	store, err := relay.NewStore(s, "name", r)
	require.NoError(t, err)
	return store
}

// What is not of the position is in the other Storage.
func TestWhatIsOfOthersIsInAStoreWithTransactions(t *testing.T) {
	t.Parallel()
	var opened sync.Map
	stream := relay.NewMemory()
	make := func(t *testing.T, inner storage.Store) storage.Store {
		s := newStore(t, inner, stream)
		opened.Store(s, inner)
		return s
	}
	again := func(t *testing.T, s storage.Store) storage.Store {
		inner, _ := opened.Load(s)
		return make(t, inner.(storage.Store))
	}
	storagetest.Run(t, func(t *testing.T) storage.Store { return make(t, storage.NewMemory()) }, storagetest.Reopen(again), storagetest.Beside(again))
}

func TestAPositionInARelayIsAStoreWithTransactions(t *testing.T) {
	t.Parallel()
	type parts struct {
		s storage.Store
		r relay.Relay
	}
	var opened sync.Map
	make := func(t *testing.T, p parts) storage.Store {
		s := newStore(t, p.s, p.r)
		s.OwnAll()
		opened.Store(s, p)
		return s
	}
	again := func(t *testing.T, s storage.Store) storage.Store {
		p, _ := opened.Load(s)
		return make(t, p.(parts))
	}
	storagetest.Run(t, func(t *testing.T) storage.Store {
		return make(t, parts{storage.NewMemory(), relay.NewMemory()})
	}, storagetest.Reopen(again), storagetest.Beside(again))
}

// meanwhile is a Relay of which somebody else makes use right after its position was read.
type meanwhile struct {
	relay.Relay
	fn func()
}

func (m *meanwhile) Load(ctx context.Context) (relay.Position, error) {
	p, err := m.Relay.Load(ctx)
	if fn := m.fn; fn != nil {
		m.fn = nil
		fn()
	}
	return p, err
}

// Two processes begin with one stream. What the one has read of it before the other's first
// position is no sign of another stream.
func TestAStreamThatSomebodyElseBeginsMeanwhileIsNoOther(t *testing.T) {
	t.Parallel()
	const mine, theirs = "a/consume/name/base", "b/consume/name/base"
	for name, c := range map[string]struct {
		before, during bool // when the other begins: after this one has looked, or while it looks
	}{
		"after a look": {before: true}, "during a look": {during: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			shared, stream := storage.NewMemory(), relay.NewMemory()
			way := &meanwhile{Relay: stream}
			here, there := newStore(t, shared, way), newStore(t, shared, stream)
			begin := func() { require.NoError(t, there.Set(t.Context(), theirs, []byte("1"))) }
			if c.during {
				way.fn = begin
			}
			if c.before {
				_, err := here.Get(t.Context(), mine)
				require.ErrorIs(t, err, storage.ErrNotFound)
				begin()
			}
			require.NoError(t, here.Set(t.Context(), mine, []byte("2")))
			for key, want := range map[string]string{mine: "2", theirs: "1"} {
				for _, s := range []*relay.Store{here, there} {
					got, err := s.Get(t.Context(), key)
					require.NoError(t, err)
					assert.Equal(t, want, string(got))
				}
			}
		})
	}
}
