package chat_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// brokenStore fails with an address when it is told to.
type brokenStore struct {
	storage.Store
	broken chan struct{}
}

func (s *brokenStore) CompareAndSwap(ctx context.Context, key string, old, value []byte) (bool, error) {
	select {
	case <-s.broken:
		return false, errors.New("dial postgres://me:hunter2@db")
	default:
		return s.Store.CompareAndSwap(ctx, key, old, value)
	}
}

func debugPage(t *testing.T, c interface{ DebugHandler() http.Handler }, accept string) string {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/?token=abc", nil)
	r.Header.Set("Accept", accept)
	w := httptest.NewRecorder()
	c.DebugHandler().ServeHTTP(w, r)
	require.Equal(t, http.StatusOK, w.Code)
	return w.Body.String()
}

func TestTheDebugPageOfAnAppShowsItsOwnListenersAndTheOutboxOfThoseWhomItSendsFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		conv := w.converse(w.login("jane"), "bob")
		app, err := chat.OpenApp(t.Context(), chat.AppOptions{Strategy: chat.StrategySweep, Options: chat.Options{
			Client: w.Client(), DataSourceID: w.contacts, AppID: w.AppID, Outbox: &chat.OutboxOptions{},
		}})
		require.NoError(t, err)
		_, err = app.User(t.Context(), chat.M{"Email": "bob@example.org"})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() {
			ended <- app.Consume(ctx, "archive", func(context.Context, *chat.Message) error { return errors.New("the secret words") })
		}()
		hang := make(chan struct{})
		_, err = app.Stream(t.Context(), func(*chat.Message) { <-hang })
		require.NoError(t, err)
		time.Sleep(time.Minute)
		as := chat.M{"Email": "jane@example.org"}
		for _, body := range []string{"the secret words", "more of them"} {
			_, err = app.Send(t.Context(), as, conv.ID, chat.Draft{Body: body})
			require.NoError(t, err)
		}
		time.Sleep(time.Minute)
		w.Always(fliplettest.Insert, fliplettest.Status(503))
		_, err = app.Queue(t.Context(), as, conv.ID, chat.Draft{Body: "the secret words"})
		require.NoError(t, err)
		time.Sleep(time.Minute)

		h := app.Health().Own
		assert.Empty(t, h.User)
		assert.Equal(t, 2, h.Listeners)
		assert.Positive(t, h.Waiting, "of the stream")
		assert.Zero(t, h.FailedPolls)
		assert.WithinDuration(t, time.Now(), h.LastPoll, time.Minute)
		assert.Equal(t, []int{1, 0}, []int{h.Outbox, h.OutboxKept})
		require.Len(t, h.Consumers, 1)
		assert.Equal(t, "archive", h.Consumers[0].Name)
		assert.Equal(t, 2, h.Consumers[0].Lag)
		require.Len(t, h.Consumers[0].Failing, 1)

		text := debugPage(t, app, "application/json")
		var s struct {
			App struct {
				Strategy string
				Users    int
			}
			Listeners []struct{ Kind, Consumer string }
			Consumers []struct{ Lag, Failing int }
			Outbox    struct{ Pending int }
			Errors    []struct{ Where, Text string }
		}
		require.NoError(t, json.Unmarshal([]byte(text), &s))
		assert.Equal(t, string(chat.StrategySweep), s.App.Strategy)
		assert.Equal(t, 2, s.App.Users, "Bob, and Jane whom it sends for")
		assert.Len(t, s.Listeners, 2)
		assert.Equal(t, []struct{ Lag, Failing int }{{2, 1}}, s.Consumers)
		assert.Equal(t, 1, s.Outbox.Pending)
		assert.Len(t, s.Errors, 2, "of the consumer and the outbox: %v", s.Errors)
		page := debugPage(t, app, "text/html")
		assert.Contains(t, page, "archive")
		for _, shown := range []string{text, page} {
			assert.NotContains(t, shown, "secret")
			assert.NotContains(t, shown, w.Token)
		}
		close(hang)
		cancel()
		<-ended
		require.NoError(t, app.Close())
	})
}

func TestTheDebugPageShowsCursorsLagBuffersLimiterAndErrorsButNoSecret(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		store := &brokenStore{storage.NewMemory(), make(chan struct{})}
		jane := w.login("jane", func(o *chat.Options) { o.Outbox, o.Storage = &chat.OutboxOptions{}, store })
		conv := w.converse(jane, "bob")
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() {
			ended <- jane.Consume(ctx, "<i>archive</i>", func(_ context.Context, m *chat.Message) error {
				return errors.New("cannot archive " + m.Body)
			}, chat.OnError(func(error) {}))
		}()
		sub, err := jane.Stream(t.Context(), func(*chat.Message) {})
		require.NoError(t, err)
		said := w.say(jane, conv, "the secret words")
		time.Sleep(time.Second)
		w.Next(1, fliplettest.CrossSource, fliplettest.Status(503), fliplettest.Header("Retry-After", "0"))
		w.Next(3, fliplettest.CrossSource, fliplettest.Status(500))
		time.Sleep(30 * time.Second)
		close(store.broken)
		time.Sleep(30 * time.Second)

		text := debugPage(t, jane, "application/json")
		var s struct {
			Host      string
			User      string
			Polls     struct{ Last, Next time.Time }
			Limiter   struct{ Of int }
			Listeners []struct {
				Kind, Consumer, Doing string
				Newest                time.Time
				Queued                int
				Handled               int
			}
			Consumers []struct {
				Name         string
				Lag, Failing int
				Storage      string
			}
			Errors []struct {
				Where, Text string
				MessageID   int64
				Attempts    int
			}
		}
		require.NoError(t, json.Unmarshal([]byte(text), &s))
		assert.Equal(t, w.URL, s.Host)
		assert.Equal(t, jane.User().UserID, s.User)
		assert.False(t, s.Polls.Last.IsZero())
		require.Len(t, s.Consumers, 1)
		assert.Equal(t, "<i>archive</i>", s.Consumers[0].Name)
		assert.Equal(t, 1, s.Consumers[0].Failing)
		assert.NotEmpty(t, s.Consumers[0].Storage)
		kinds := map[string]int{}
		for _, l := range s.Listeners {
			kinds[l.Kind]++
			assert.Equal(t, "following", l.Doing)
			assert.True(t, said.UpdatedAt.Equal(l.Newest), "the cursor is where the message is")
			if l.Kind == "stream" {
				assert.Equal(t, 1, l.Handled)
				assert.Zero(t, l.Queued)
			} else {
				assert.Equal(t, 1, l.Queued)
			}
		}
		assert.Equal(t, map[string]int{"stream": 1, "consume": 1}, kinds)
		where := map[string]int{}
		for _, e := range s.Errors {
			where[e.Where]++
			if e.MessageID == said.ID {
				assert.Equal(t, "*errors.errorString", e.Text)
				assert.Greater(t, e.Attempts, 1)
			}
		}
		assert.Positive(t, where["poll"], "failures of polls stay after the next success: %v", s.Errors)
		assert.Equal(t, 1, where["consumer <i>archive</i>"])

		page := debugPage(t, jane, "text/html")
		assert.Contains(t, page, "&lt;i&gt;archive&lt;/i&gt;")
		for _, shown := range []string{text, page} {
			for _, secret := range []string{
				"secret words", "hunter2", "<i>archive", w.Token, conv.EncryptionKey(), jane.User().Data["flUserToken"].(string), "abc",
			} {
				if secret == "<i>archive" && shown == text {
					continue
				}
				assert.NotContains(t, shown, secret)
			}
		}
		sub.Stop()
		cancel()
		<-ended
	})
}

func TestTheDebugPageWorksBeforeALoginAfterCloseAndOfNoChat(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		jane := w.connect()
		assert.Contains(t, debugPage(t, jane, "text/html"), "Nobody is logged in")
		jane = w.login("jane")
		require.NoError(t, jane.Close())
		assert.Contains(t, debugPage(t, jane, "application/json"), `"listeners": []`)
		var none *chat.Chat
		assert.Contains(t, debugPage(t, none, "application/json"), "no chat")
	})
}
