package chat_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
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

// lists are answers to a query that do not say what is there.
var lists = []string{
	``, `{}`, `null`, `[]`, `{"id":0}`, `{"error":"no"}`, `[{"status":"ok"}]`, `[{"name":"x"}]`, `{"entries":[{"status":"ok"}]}`, `{"entries":[null]}`,
	`{"entries":[],"error":"upstream"}`, `{"entries":[],"message":"upstream"}`,
}

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
	for _, body := range lists {
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
	for _, body := range lists {
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
	for _, body := range lists {
		w := newWorld(t)
		c := w.connect()
		w.Always(fliplettest.Query, fliplettest.Answer(200, body))
		_, err := c.Login(context.Background(), chat.M{"Email": "jane@example.org"})
		require.ErrorContains(t, err, "the answer ", body)
		require.NotErrorIs(t, err, chat.ErrNotFound, body)
	}
}

// Nobody on the way can say that people are not there, or that there are no messages.
func TestNoCallTakesAListThatIsNoneForNothing(t *testing.T) {
	t.Parallel()
	for _, body := range lists {
		t.Run(body, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			jane := w.login("jane")
			conv := w.converse(jane, "bob")
			for _, route := range []fliplettest.Route{fliplettest.Query, fliplettest.CrossSource, fliplettest.ListSources} {
				w.Always(route, fliplettest.Answer(200, body))
			}
			for name, call := range map[string]func() error{
				"ContactByUserID": func() error { _, err := jane.ContactByUserID(t.Context(), "nobody"); return err },
				"Contacts":        func() error { _, err := jane.Contacts(t.Context()); return err },
				"Create": func() error {
					_, err := jane.Create(t.Context(), chat.NewConversation{Participants: []int64{w.ids["eve"]}})
					return err
				},
				"Add":              func() error { return conv.Participants().Add(t.Context(), w.ids["eve"]) },
				"Messages":         func() error { _, err := jane.Messages(t.Context()); return err },
				"Fetch":            func() error { _, err := conv.Messages().Fetch(t.Context()); return err },
				"Channels":         func() error { _, err := jane.Channels().List(t.Context()); return err },
				"JoinConversation": func() error { _, err := jane.JoinConversation(t.Context(), "abc"); return err },
			} {
				err := call()
				require.Error(t, err, name)
				require.NotErrorIs(t, err, chat.ErrNotFound, name)
			}
		})
	}
}

// A row that has neither its id nor what was sent may come from somebody on the way.
func TestAnObjectThatIsCalledDataIsNotTakenForARow(t *testing.T) {
	t.Parallel()
	for _, body := range []string{`{"data":{}}`, `{"data":{"message":"maintenance"}}`, `{"entry":{"data":{}}}`} {
		t.Run(body, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			jane := w.login("jane")
			conv := w.converse(jane, "bob")
			m := w.say(jane, conv, "hello")
			f := &forger{next: w.Transport()}
			eve := w.login("jane", w.through(f))
			f.answer = func(r *http.Request) string {
				if strings.Contains(r.URL.Path, "/data/") && r.Method != http.MethodPost {
					return body
				}
				return ""
			}
			_, err := eve.UpdateMessage(t.Context(), conv.ID, m.ID, chat.M{"x": 1})
			assert.True(t, datasource.Doubtful(err), "%v", err)
			v, err := eve.Conversation(t.Context(), conv.ID)
			require.NoError(t, err)
			_, err = v.Messages().Get(t.Context(), m.ID)
			require.Error(t, err)
			require.NotErrorIs(t, err, chat.ErrNotFound)
			require.Error(t, eve.Logout(t.Context()))
			assert.NotEmpty(t, w.Rows(w.contacts)[0].Data["flUserToken"])

			// The write arrives, and only its answer comes from somebody else: the row is read.
			eve = w.login("jane", w.through(f))
			f.answer = func(r *http.Request) string {
				if !strings.Contains(r.URL.Path, "/data/") || r.Method != http.MethodPut {
					return ""
				}
				resp, err := f.next.RoundTrip(r)
				if assert.NoError(t, err) {
					assert.NoError(t, resp.Body.Close())
				}
				return body
			}
			got, err := eve.UpdateMessage(t.Context(), conv.ID, m.ID, chat.M{"x": 1})
			require.NoError(t, err)
			assert.Equal(t, "hello", got.Body)
		})
	}
}

// An id alone does not say that a conversation was created.
func TestAConversationIsCreatedWhenTheAnswerNamesIt(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"5", "contacts", "conversation"} {
		for _, arrives := range []bool{false, true} {
			t.Run(fmt.Sprint(id, " ", arrives), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				f := &forger{next: w.Transport()}
				jane := w.login("jane", w.through(f))
				other := w.converse(jane, "bob")
				body := `{"dataSource":{"id":` + map[string]string{"5": "5", "contacts": fmt.Sprint(w.contacts), "conversation": fmt.Sprint(other.ID)}[id] + `}}`
				f.answer = func(r *http.Request) string {
					if r.Method != http.MethodPost || r.URL.Path != "/v1/data-sources" {
						return ""
					}
					if arrives {
						resp, err := f.next.RoundTrip(r)
						if assert.NoError(t, err) {
							assert.NoError(t, resp.Body.Close())
						}
					}
					return body
				}
				_, err := jane.Create(t.Context(), chat.NewConversation{Participants: []int64{w.ids["eve"]}})
				assert.True(t, datasource.Doubtful(err), "%v", err)
				_, err = jane.Channels().Create(t.Context(), "News")
				assert.True(t, datasource.Doubtful(err), "%v", err)
				f.answer = nil
				v, err := jane.Create(t.Context(), chat.NewConversation{Participants: []int64{w.ids["eve"]}})
				require.NoError(t, err)
				assert.Equal(t, !arrives, v.IsNew)
			})
		}
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

// What answers about something else says nothing about a conversation: it is there, once
// the server answers again.
func TestAnAnswerAboutSomethingElseIsNoAbsence(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		`{"id":5,"dataSourceId":7,"data":{"body":"x","guid":"x"},"createdAt":"2026-01-01T00:00:00.000Z","updatedAt":"2026-01-01T00:00:00.000Z"}`,
		`{"dataSource":{"id":4,"name":"x"}}`,
	} {
		servers(t, func(t *testing.T, w *world) {
			jane := w.login("jane", asUsual)
			conv := w.converse(jane, "bob")
			w.say(jane, conv, "hi")
			var sick atomic.Bool
			bob := w.login("bob", asUsual, func(o *chat.Options) { o.Storage, o.Outbox = storage.NewMemory(), &chat.OutboxOptions{} }, w.through(roundTripper(func(r *http.Request) (*http.Response, error) {
				if sick.Load() && r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/v1/data-sources") {
					return sickAnswer{status: 200, body: body}.give(r)
				}
				return w.Transport().RoundTrip(r)
			})))
			calls := map[string]func() error{
				"Conversation":  func() error { _, err := bob.Conversation(t.Context(), conv.ID); return err },
				"Conversations": func() error { _, err := bob.Conversations(t.Context()); return err },
				"Messages":      func() error { _, err := bob.Messages(t.Context(), chat.In(conv.ID)); return err },
				"Outbox": func() error {
					_, err := bob.Outbox().Add(t.Context(), conv.ID, chat.Draft{Body: "later"})
					return err
				},
			}
			sick.Store(true)
			for name, call := range calls {
				err := call()
				if name != "Outbox" { // what cannot be asked about yet is accepted
					require.Error(t, err, "%s %s", name, body)
				}
				require.NotErrorIs(t, err, chat.ErrNotFound, "%s %s", name, body)
			}
			sick.Store(false)
			for name, call := range calls {
				require.NoError(t, call(), "%s %s", name, body)
			}
			require.NoError(t, bob.Close())
		})
	}
}
