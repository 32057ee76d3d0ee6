package relay_test

import (
	"sync"
	"testing"

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
