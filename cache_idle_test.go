package chat_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// weighed is a Store that counts what is set, by the last part of the key.
type weighed struct {
	storage.Store
	mu    sync.Mutex
	bytes map[string]int
}

func (s *weighed) Set(ctx context.Context, key string, value []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bytes == nil {
		s.bytes = map[string]int{}
	}
	s.bytes[key[strings.LastIndexByte(key, '/')+1:]] += len(value)
	return s.Store.Set(ctx, key, value)
}

func (s *weighed) CompareAndSwap(ctx context.Context, key string, old, new []byte) (bool, error) {
	return s.Store.CompareAndSwap(ctx, key, old, new)
}

// take is what was counted since the last time.
func (s *weighed) take() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.bytes
	s.bytes = map[string]int{}
	return out
}

func TestTheListOfConversationsIsNotWrittenWhileItIsTheSame(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		jane := w.login("jane")
		for i := range 20 {
			w.addTalk(fmt.Sprint("talk ", i))
		}
		store := &weighed{Store: storage.NewMemory()}
		bob := w.login("bob", unhurried, storing(store))
		stop := consume(bob, "bot", func(context.Context, *chat.Message) error { return nil })
		time.Sleep(10 * time.Minute)
		whole := store.take()["conversations"]
		assert.Greater(t, whole, 20*100)

		before := len(w.Requests())
		time.Sleep(6 * time.Hour)
		assert.Greater(t, len(w.Requests()), before+100, "it is read")
		assert.Empty(t, store.take(), "nothing comes")

		w.addTalk("another")
		time.Sleep(10 * time.Minute)
		assert.Greater(t, store.take()["conversations"], whole/2)
		cached, err := bob.Conversations(t.Context(), chat.Offline())
		require.NoError(t, err)
		assert.Len(t, cached, 21)
		require.ErrorIs(t, stop(), context.Canceled)
		require.NoError(t, bob.Close())
		require.NoError(t, jane.Close())
	})
}
