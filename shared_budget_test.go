package chat_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/limiter"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// Three programs with one token, each with a client of its own. The server enforces the documented limit.
func TestReplicasWithOneBudgetAreNeverRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		store := storage.NewMemory()
		var limits []*limiter.Limiter
		var chats []*chat.Chat
		for _, name := range []string{"jane", "bob", "eve"} {
			shared, err := limiter.New(store, "limit", 200, 10*time.Second, limiter.Options{})
			require.NoError(t, err)
			limits = append(limits, shared)
			chats = append(chats, w.login(name, func(o *chat.Options) { o.Client = w.over(w.Transport(), shared) }))
		}
		conv := w.converse(chats[0], "bob", "eve")
		time.Sleep(time.Minute)
		w.RateLimit(200, 10*time.Second)
		asked := len(w.Requests())
		r := newRecorder()
		for _, c := range chats {
			_, err := c.Stream(t.Context(), r.add)
			require.NoError(t, err)
		}
		time.Sleep(5 * time.Second)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for i, c := range chats { // the first has nearly the whole limit before the others want theirs
			for range 100 {
				wg.Go(func() {
					for ctx.Err() == nil {
						_, err := c.Message(ctx, conv.ID, chat.Draft{Body: fmt.Sprint(i)})
						assert.True(t, err == nil || ctx.Err() != nil, err)
					}
				})
			}
			time.Sleep(time.Minute)
		}
		cancel()
		wg.Wait()
		refused, made := 0, 0
		for _, q := range w.Requests()[asked:] {
			if made++; q.Status == http.StatusTooManyRequests {
				refused++
			}
		}
		assert.Zero(t, refused, "of %d requests", made)
		assert.Greater(t, made, 18*200*85/100)
		for i, c := range chats {
			require.NoError(t, c.Health().Limiter)
			require.NoError(t, c.Close())
			require.NoError(t, limits[i].Close())
		}
	})
}

type secretive struct{ storage.Store }

func (secretive) Get(context.Context, string) ([]byte, error) {
	return nil, errors.New("postgres://user:password@db is down")
}

func TestHealthAndTheDebugPageTellOfALimiterWithoutItsStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		shared, err := limiter.New(secretive{storage.NewMemory()}, "limit", 200, 10*time.Second, limiter.Options{})
		require.NoError(t, err)
		jane := w.login("jane", func(o *chat.Options) { o.Client = w.over(w.Transport(), shared) })
		require.ErrorIs(t, jane.Health().Limiter, datasource.ErrImpaired)
		text := debugPage(t, jane, "application/json")
		assert.Contains(t, text, datasource.ErrImpaired.Error())
		assert.Contains(t, text, `"of": 5`)
		assert.NotContains(t, text, "password")
		require.NoError(t, jane.Close())
		require.Error(t, shared.Close())
	})
}
