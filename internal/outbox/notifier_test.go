package outbox_test

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/outbox"
)

// heard records what it is told, and that it is told one thing at a time.
type heard struct {
	t    *testing.T
	mu   sync.Mutex
	list []string
	busy bool
	slow time.Duration
}

func (h *heard) hear(c outbox.Change) {
	h.mu.Lock()
	assert.False(h.t, h.busy, "one call at a time")
	h.busy = true
	h.list = append(h.list, fmt.Sprint(c.Record.GUID, " ", c.State))
	h.mu.Unlock()
	time.Sleep(h.slow)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.busy = false
}

func TestChangesAreToldInOrderAcrossSessions(t *testing.T) {
	virtual(t, func(t *testing.T) {
		srv, store := newServer(), newStore()
		h := &heard{t: t}
		n := outbox.NewNotifier(slog.New(slog.DiscardHandler))
		listen := func(c *outbox.Config) { c.Notifier, c.OnChange = n, h.hear }
		first := srv.box(store, listen)
		srv.failing(errOutage, false)
		queue(t, first, 7, "a")
		synctest.Wait()
		first.Stop(errEnd)
		srv.failing(nil, false)
		second := srv.box(store, listen)
		queue(t, second, 7, "b")
		require.NoError(t, second.Flush(t.Context()))
		require.NoError(t, n.Wait(t.Context()))
		assert.Equal(t, outbox.Stored, outbox.State(2))
		assert.Equal(t, "b 2", h.list[len(h.list)-1])
		assert.Contains(t, h.list, "a 2")
		end(t, first, second)
	})
}

func TestASlowListenerMissesStepsButNoOutcome(t *testing.T) {
	virtual(t, func(t *testing.T) {
		srv := newServer()
		h := &heard{t: t, slow: time.Minute}
		n := outbox.NewNotifier(slog.New(slog.DiscardHandler))
		b := srv.box(newStore(), func(c *outbox.Config) { c.Notifier, c.OnChange = n, h.hear })
		queue(t, b, 7, names(20)...)
		require.NoError(t, b.Flush(t.Context()))
		end(t, b)
		require.NoError(t, n.Wait(t.Context()))
		for _, guid := range names(20) {
			assert.Contains(t, h.list, guid+" 2")
		}
		assert.Less(t, len(h.list), 30)
	})
}

func TestAListenerThatDoesNotKeepUpFillsTheOutbox(t *testing.T) {
	virtual(t, func(t *testing.T) {
		srv := newServer()
		n := outbox.NewNotifier(slog.New(slog.DiscardHandler))
		stuck := make(chan struct{})
		b := srv.box(newStore(), func(c *outbox.Config) {
			c.Limit, c.Notifier, c.OnChange = 2, n, func(outbox.Change) { <-stuck }
		})
		var err error
		for i := 0; err == nil && i < 100; i++ {
			_, err = b.Add(t.Context(), message(t, 7, fmt.Sprint(i)), false)
			synctest.Wait()
		}
		require.ErrorIs(t, err, outbox.ErrFull)
		require.ErrorContains(t, err, "OnChange does not keep up")
		close(stuck)
		end(t, b)
		require.NoError(t, n.Wait(t.Context()))
	})
}

func TestAListenerMayPanicAndStopTheOutbox(t *testing.T) {
	virtual(t, func(t *testing.T) {
		srv := newServer()
		var logged strings.Builder
		n := outbox.NewNotifier(slog.New(slog.NewTextHandler(&logged, nil)))
		var b *outbox.Outbox
		b = srv.box(newStore(), func(c *outbox.Config) {
			c.Notifier, c.OnChange = n, func(ch outbox.Change) {
				if ch.State == outbox.Stored {
					b.Stop(errEnd)
					assert.NoError(t, b.Wait(t.Context()), "also from inside")
					panic("secret")
				}
			}
		})
		s := queue(t, b, 7, "a")
		ended(t, s.Done())
		require.NoError(t, n.Wait(t.Context()))
		assert.Contains(t, logged.String(), "panicked")
		assert.NotContains(t, logged.String(), "secret")
	})
}
