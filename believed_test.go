package chat_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// emptySuccesses are answers with status 200 that anybody on the way may give.
var emptySuccesses = []string{``, `{}`, `null`, `[]`, `{"id":0}`, `{"entries":[]}`, `{"error":"no"}`}

// The insert does not reach the server, and is answered with success.
func TestASuccessWithoutTheRowIsNotTakenForASentMessage(t *testing.T) {
	t.Parallel()
	for _, body := range append([]string{`{"id":7}`, `{"id":7,"data":{}}`, `{"id":7,"data":{"guid":"another"}}`}, emptySuccesses...) {
		t.Run(body, func(t *testing.T) {
			inOutbox(t, func(t *testing.T, w *world, conv int64) {
				jane := w.login("jane")
				w.Next(1, fliplettest.Insert, fliplettest.Answer(200, body))
				_, err := jane.Message(t.Context(), conv, chat.Draft{Body: "hello", GUID: "g"})
				require.Error(t, err, body)
				assert.True(t, datasource.Doubtful(err), "%q: %v", body, err)
				time.Sleep(10 * time.Second)
				_, err = jane.Message(t.Context(), conv, chat.Draft{Body: "hello", GUID: "g"})
				require.NoError(t, err)
				assert.Len(t, w.Rows(conv), 1, body)
			})
		})
	}
}

func TestTheOutboxKeepsAMessageWhoseInsertWasAnsweredWithNothing(t *testing.T) {
	t.Parallel()
	for _, body := range append([]string{`{"id":7}`, `{"id":7,"data":{"guid":"another"}}`}, emptySuccesses...) {
		t.Run(body, func(t *testing.T) {
			inOutbox(t, func(t *testing.T, w *world, conv int64) {
				jane := w.withOutbox(storage.NewMemory())
				lever := w.Always(fliplettest.Insert, fliplettest.Answer(200, body))
				queue(t, jane, conv, "a", "b")
				time.Sleep(30 * time.Second)
				assert.Equal(t, 2, jane.Outbox().Len(), body)
				assert.Empty(t, w.Rows(conv))
				lever.Off()
				require.NoError(t, jane.Outbox().Flush(t.Context()))
				rows := w.Rows(conv)
				require.Len(t, rows, 2, body)
				assert.Equal(t, "a", rows[0].Data["guid"])
			})
		})
	}
}

// The insert arrives, its answer does not, and what the look-ups get does not come from
// the server.
func TestALookUpWithoutAListIsNoReasonToSendAgain(t *testing.T) {
	t.Parallel()
	for _, body := range []string{``, `{}`, `null`, `[]`, `{"id":0}`, `{"error":"no"}`} {
		t.Run(body, func(t *testing.T) {
			inOutbox(t, func(t *testing.T, w *world, conv int64) {
				jane := w.withOutbox(storage.NewMemory())
				w.Next(1, fliplettest.Insert, fliplettest.LoseAnswer())
				lever := w.Always(fliplettest.Query, fliplettest.Answer(200, body))
				queue(t, jane, conv, "a")
				time.Sleep(time.Minute)
				assert.Equal(t, 1, jane.Outbox().Len(), body)
				lever.Off()
				require.NoError(t, jane.Outbox().Flush(t.Context()))
				assert.Len(t, w.Rows(conv), 1, body)
			})
		})
	}
}

func TestAListThatIsNoneDoesNotEmptyTheConversations(t *testing.T) {
	t.Parallel()
	for _, body := range append([]string{`{"dataSources":[]}`, `{"dataSources":null}`}, emptySuccesses...) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, fliplettest.InProcess())
			jane, bob := w.login("jane"), w.login("bob", slowly)
			conv := w.converse(jane, "bob")
			for range 20 {
				w.say(jane, conv, "before")
			}
			time.Sleep(time.Minute)
			got := stream(t, bob)
			before := len(got.all())
			lever := w.Always(fliplettest.ListSources, fliplettest.Answer(200, body))
			_, err := bob.Conversations(t.Context())
			require.Error(t, err, body)
			time.Sleep(20 * time.Minute)
			lever.Off()
			time.Sleep(20 * time.Minute)
			assert.Len(t, got.all(), before, "%q: history came again", body)
			w.say(jane, conv, "after")
			time.Sleep(10 * time.Minute)
			assert.Len(t, got.all(), before+1, body)
		})
	}
}

// slowly polls as programs do.
func slowly(o *chat.Options) {
	o.PollInterval, o.LivePollInterval = 20*time.Second, 2*time.Second
}

func TestAPollWithoutAListIsAFailureAndNoMessageIsMissed(t *testing.T) {
	t.Parallel()
	for _, body := range []string{``, `{}`, `null`, `[]`, `{"error":"no"}`} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, fliplettest.InProcess())
			jane, bob := w.login("jane"), w.login("bob", slowly)
			conv := w.converse(jane, "bob")
			got := stream(t, bob)
			lever := w.Always(fliplettest.CrossSource, fliplettest.Answer(200, body))
			require.Error(t, bob.Poll(t.Context()), body)
			w.say(jane, conv, "hi")
			time.Sleep(5 * time.Minute)
			lever.Off()
			time.Sleep(5 * time.Minute)
			assert.Equal(t, []string{"hi"}, bodies(got.all()), body)
		})
	}
}

func TestALoginDoesNotTakeAnEmptyAnswerForAnUnknownContact(t *testing.T) {
	t.Parallel()
	for _, body := range []string{``, `{}`, `null`, `[]`, `{"error":"no"}`} {
		w := newWorld(t)
		c := w.connect()
		w.Always(fliplettest.Query, fliplettest.Answer(200, body))
		_, err := c.Login(context.Background(), chat.M{"Email": "jane@example.org"})
		require.ErrorContains(t, err, "no list of rows", body)
		require.NotErrorIs(t, err, chat.ErrNotFound)
	}
}

// A gateway passes an insert on and then refuses it in its own words. The new login that
// follows a 403 is no reason to believe that nothing was stored.
func TestARefusalOfAGatewayThatPassedTheInsertOnDoublesNothing(t *testing.T) {
	t.Parallel()
	for name, outbox := range map[string]*chat.OutboxOptions{"a call": nil, "the outbox": {}} {
		for _, code := range []int{401, 403} {
			t.Run(fmt.Sprint(name, " ", code), func(t *testing.T) {
				inOutbox(t, func(t *testing.T, w *world, conv int64) {
					refused := 0
					gateway := roundTripper(func(r *http.Request) (*http.Response, error) {
						resp, err := w.Transport().RoundTrip(r)
						if err == nil && refused == 0 && r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/data") {
							refused++
							assert.NoError(t, resp.Body.Close())
							resp.StatusCode, resp.Body, resp.ContentLength = code, io.NopCloser(strings.NewReader(proxyPage)), int64(len(proxyPage))
						}
						return resp, err
					})
					jane := w.login("jane", w.through(gateway), func(o *chat.Options) { o.EncryptMessages, o.Outbox = false, outbox })
					m, err := jane.Message(t.Context(), conv, chat.Draft{Body: "hello", GUID: "g"})
					require.NoError(t, err)
					assert.Equal(t, "g", m.GUID)
					assert.Equal(t, 1, refused)
					assert.Len(t, w.Rows(conv), 1)
				})
			})
		}
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
