package chat_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
)

// forger answers in the server's place where answer gives a text.
type forger struct {
	next   http.RoundTripper
	answer func(*http.Request) string
}

func (f *forger) RoundTrip(r *http.Request) (*http.Response, error) {
	if f.answer != nil {
		if body := f.answer(r); body != "" {
			return &http.Response{
				StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}},
				Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)), Request: r,
			}, nil
		}
	}
	return f.next.RoundTrip(r)
}

// rowCalls are those that answer with one row.
func rowCalls(r *http.Request) bool {
	return r.Method != http.MethodPost && strings.HasPrefix(r.URL.Path, "/v1/data-sources/") && strings.Contains(r.URL.Path, "/data")
}

func TestARowOfAnotherConversationIsNeverShownAsTheAnswerOfACall(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	plain := func(o *chat.Options) { o.EncryptMessages = false }
	jane := w.login("jane", plain)
	secret := w.converse(jane, "bob")
	hidden := w.say(jane, secret, "SECRET")
	f := &forger{next: w.Transport()}
	eve := w.login("eve", plain, w.through(f))
	own := w.converse(eve, "bob")
	m := w.say(eve, own, "mine")
	for name, row := range map[string]string{
		"another conversation":              fmt.Sprintf(`{"id":%d,"dataSourceId":%d,"data":{"body":"SECRET","guid":"g"}}`, hidden.ID, secret.ID),
		"another conversation, the same id": fmt.Sprintf(`{"id":%d,"dataSourceId":%d,"data":{"body":"SECRET","guid":%q}}`, m.ID, secret.ID, m.GUID),
		"another id, without conversation":  fmt.Sprintf(`{"id":%d,"data":{"body":"SECRET","guid":"g"}}`, hidden.ID),
	} {
		f.answer = func(r *http.Request) string {
			if rowCalls(r) {
				return row
			}
			return ""
		}
		got, err := own.Messages().Get(t.Context(), m.ID)
		require.Error(t, err, name)
		assert.Nil(t, got)
		assert.False(t, datasource.Doubtful(err))
		got, err = eve.UpdateMessage(t.Context(), own.ID, m.ID, chat.M{"x": "y"})
		require.Error(t, err, name)
		assert.Nil(t, got)
		assert.True(t, datasource.Doubtful(err), name)
		// The server did not store it, and says that it did.
		got, err = eve.Message(t.Context(), own.ID, chat.Draft{Body: "again"})
		if err != nil {
			assert.True(t, datasource.Doubtful(err), name)
			continue
		}
		assert.Equal(t, "again", got.Body, name)
		assert.NotEqual(t, hidden.ID, got.ID)
	}
}

func TestASendIsLookedUpWhenTheAnswerIsAnotherMessage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := &forger{next: w.Transport()}
	eve := w.login("eve", w.through(f))
	own := w.converse(eve, "bob")
	m := w.say(eve, own, "first")
	f.answer = func(r *http.Request) string {
		if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/data") {
			resp, err := f.next.RoundTrip(r) // it is stored
			if assert.NoError(t, err) {
				assert.NoError(t, resp.Body.Close())
			}
			return fmt.Sprintf(`{"id":%d,"data":{"body":"SECRET","guid":"g"}}`, m.ID)
		}
		return ""
	}
	got, err := eve.Message(t.Context(), own.ID, chat.Draft{Body: "second"})
	require.NoError(t, err)
	assert.Equal(t, "second", got.Body)
	assert.Greater(t, got.ID, m.ID)
	assert.Len(t, w.Rows(own.ID), 2)
}
