package chat_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/internal/longtest"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// scale counts what is written to positions, without the leases.
type scale struct {
	storage.Store
	mu                     sync.Mutex
	writes, bytes, largest int
}

func (s *scale) CompareAndSwap(ctx context.Context, key string, old, new []byte) (bool, error) {
	if strings.Contains(key, "/consume/") && !strings.HasSuffix(key, "/lease") {
		s.mu.Lock()
		s.writes++
		s.bytes += len(new)
		s.largest = max(s.largest, len(new))
		s.mu.Unlock()
	}
	return s.Store.CompareAndSwap(ctx, key, old, new)
}

// Exclusive is that of the store.
func (s *scale) Exclusive() bool {
	x, ok := s.Store.(storage.Exclusive)
	return ok && x.Exclusive()
}

// read returns what was counted.
func (s *scale) read() (writes, bytes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.writes, s.bytes
}

// reset returns what was counted since the last time.
func (s *scale) reset() (writes, bytes, largest int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	writes, bytes, largest = s.writes, s.bytes, s.largest
	s.writes, s.bytes, s.largest = 0, 0, 0
	return writes, bytes, largest
}

func TestAPositionCostsLittle(t *testing.T) {
	burst := longtest.Size(5000, 20_000)
	for name, tc := range map[string]struct {
		messages, at int // at once
		every        time.Duration
	}{
		"one at a time": {300, 1, 3 * time.Second},
		"ten at a time": {1000, 10, 3 * time.Second},
		"a burst":       {burst, burst, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, fliplettest.InProcess())
				jane := w.login("jane")
				conv := w.converse(jane, "bob")
				store := &scale{Store: storage.NewMemory()}
				bob := w.login("bob", storing(store), unhurried)
				r := newRecorder()
				stop := consume(bob, "n", func(_ context.Context, m *chat.Message) error { r.add(m); return nil })
				time.Sleep(time.Minute)
				store.reset()
				time.Sleep(time.Hour)
				idle, _, _ := store.reset()
				for sent := 0; sent < tc.messages; sent += tc.at {
					w.AddRows(conv.ID, textRows(jane, tc.at)...)
					time.Sleep(tc.every)
				}
				time.Sleep(time.Minute)
				require.Len(t, r.all(), tc.messages)
				require.ErrorIs(t, stop(), context.Canceled)
				writes, bytes, largest := store.reset()
				t.Logf("%s: %.2f writes and %.0f bytes a message, the largest of %d bytes; %d in an idle hour",
					name, float64(writes)/float64(tc.messages), float64(bytes)/float64(tc.messages), largest, idle)
				assert.Zero(t, idle, "writes of an idle consumer")
				assert.LessOrEqual(t, writes, tc.messages+tc.messages/1000)
				assert.LessOrEqual(t, bytes, 200*tc.messages)
				require.NoError(t, jane.Close())
				require.NoError(t, bob.Close())
			})
		})
	}
}
