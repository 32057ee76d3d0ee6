package chat_test

import (
	"net/http"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

// exiting is a transport of a program's own, which calls FailNow of a test, say, in a write.
type exiting struct {
	http.RoundTripper
	exits atomic.Int32 // how often it still does
	after bool         // the server has stored the row by then
}

func (e *exiting) RoundTrip(r *http.Request) (*http.Response, error) {
	exits := r.Method == http.MethodPut && e.exits.Add(-1) >= 0
	if exits && !e.after {
		runtime.Goexit()
	}
	res, err := e.RoundTripper.RoundTrip(r)
	if exits {
		_ = res.Body.Close()
		runtime.Goexit()
	}
	return res, err
}

// exitingLogin logs Jane in over such a transport, with hooks, and makes a conversation.
func exitingLogin(t *testing.T, after bool, change ...func(*chat.Options)) (*world, *exiting, *observer, *chat.Chat, *chat.Conversation) {
	w := newWorld(t, fliplettest.InProcess())
	way, seen := &exiting{RoundTripper: w.Transport(), after: after}, &observer{}
	client, err := datasource.NewClient(datasource.Config{Token: w.Token, BaseURL: w.URL, HTTPClient: &http.Client{Transport: way}})
	require.NoError(t, err)
	jane := w.login("jane", append(change, watched(seen), func(o *chat.Options) { o.Client = client })...)
	return w, way, seen, jane, w.converse(jane, "bob")
}

func TestHooksAreToldNoSuccessOfASendWhoseTransportEndsItsGoroutine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, way, seen, jane, conv := exitingLogin(t, false)
		writes := len(seen.told("request PUT"))
		way.exits.Store(1)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_, _ = jane.Message(t.Context(), conv.ID, chat.Draft{Body: "hello"})
			t.Error("the call has returned")
		}()
		<-ended
		assert.Equal(t, []string{"same=true failed=true"}, seen.told("send"))
		told := seen.told("request PUT")
		require.Len(t, told, writes+1)
		assert.Contains(t, told[writes], "status=0 failed=true")
		require.NoError(t, jane.Shutdown(t.Context()), "nothing of the call is left")
	})
}

func TestAnOutboxGoesOnWhenATransportEndsItsGoroutine(t *testing.T) {
	t.Parallel()
	for name, after := range map[string]bool{"before the row is stored": false, "after the row is stored": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				_, way, seen, jane, conv := exitingLogin(t, after, func(o *chat.Options) { o.Outbox = &chat.OutboxOptions{} })
				way.exits.Store(1)
				m, err := jane.Message(t.Context(), conv.ID, chat.Draft{Body: "hello"})
				require.NoError(t, err)
				assert.Equal(t, "hello", m.Body)
				assert.Contains(t, seen.told("send"), "same=true failed=true")
				list := messages(t, jane, conv.ID)
				require.Len(t, list, 1, "it is looked up before it is sent again")
				time.Sleep(time.Minute)
				assert.Empty(t, jane.Outbox().Pending())
			})
		})
	}
}
