package chat_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/storage"
)

const proxyPage = "<html><body>Request blocked.</body></html>"

// logText is a log that can be read while it is written.
type logText struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logText) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *logText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// logged is withOutbox with a log.
func (w *world) logged(store storage.Store, log *logText, outbox chat.OutboxOptions) *chat.Chat {
	return w.login("jane", func(o *chat.Options) {
		o.Storage, o.EncryptMessages, o.Outbox = store, false, &outbox
		o.Logger = slog.New(slog.NewTextHandler(log, nil))
	})
}

func TestAProxyThatRefusesOnceCostsNoMessage(t *testing.T) {
	t.Parallel()
	for _, code := range []int{400, 401, 403, 404, 405, 409, 410, 413, 415, 418, 421, 422, 423, 424, 431, 451, 499} {
		for name, body := range map[string]string{"a page": proxyPage, "text": "blocked", "nothing": " ", "other JSON": `{"blocked":true}`, "a list": `["blocked"]`} {
			t.Run(fmt.Sprint(code, " ", name), func(t *testing.T) {
				inOutbox(t, func(t *testing.T, w *world, conv int64) {
					var seen changes
					log := &logText{}
					jane := w.logged(storage.NewMemory(), log, chat.OutboxOptions{OnChange: seen.add})
					attempts := 1
					if code == 401 || code == 403 { // a new login and one more try come first
						attempts = 2
					}
					w.Next(attempts, fliplettest.Insert, fliplettest.Answer(code, body))
					queue(t, jane, conv, "a")
					require.NoError(t, jane.Outbox().Flush(t.Context()))
					assert.Len(t, w.Rows(conv), 1)
					synctest.Wait()
					states, last := seen.of("a")
					assert.Equal(t, chat.SendStored, last.State)
					assert.NotContains(t, states, chat.SendFailed)
					assert.Contains(t, log.String(), "an attempt to send a message failed, and there will be another")
					assert.Regexp(t, fmt.Sprint("(status=|HTTP )", code), log.String())
				})
			})
		}
	}
}

func TestAProxyThatHidesAConversationCostsNoMessage(t *testing.T) {
	inOutbox(t, func(t *testing.T, w *world, conv int64) {
		jane := w.withOutbox(storage.NewMemory())
		lever := w.Always(fliplettest.AnyRoute, fliplettest.Answer(404, proxyPage))
		queue(t, jane, conv, "a")
		time.Sleep(10 * time.Minute)
		assert.Equal(t, 1, jane.Outbox().Len())
		lever.Off()
		require.NoError(t, jane.Outbox().Flush(t.Context()))
		assert.Len(t, w.Rows(conv), 1)
	})
}

func TestTheServicesOwnRefusalIsFinalAndLogged(t *testing.T) {
	t.Parallel()
	for body, code := range map[string]int{
		`{"message":"The security rules do not allow it.","type":"datasource.access"}`: 400, `{"type":"datasource.access"}`: 401,
		`{"error":{"message":"Refused.","type":"datasource.access"}}`: 403,
	} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			inOutbox(t, func(t *testing.T, w *world, conv int64) {
				var seen changes
				log := &logText{}
				jane := w.logged(storage.NewMemory(), log, chat.OutboxOptions{OnChange: seen.add})
				attempts := 1
				if code == 403 { // a new login and one more try come first
					attempts = 2
				}
				w.Next(attempts, fliplettest.Insert, fliplettest.Answer(code, body))
				queue(t, jane, conv, "a")
				require.NoError(t, jane.Outbox().Flush(t.Context()))
				synctest.Wait()
				_, last := seen.of("a")
				assert.Equal(t, chat.SendFailed, last.State)
				assert.Equal(t, "a", last.Message.Body)
				assert.Empty(t, w.Rows(conv))
				assert.Zero(t, jane.Outbox().Len(), "it is out of the outbox")
				assert.Contains(t, log.String(), "the server refused a message, and it is not sent")
			})
		})
	}
}

// Gateways give messages, types and codes in JSON, too. One answer of that kind is no
// refusal; three in a row are, and the message is kept.
func TestAGatewaysMessageIsNoRefusalOfTheService(t *testing.T) {
	t.Parallel()
	for _, code := range []int{400, 403, 404, 422} {
		for _, body := range []string{`{"entries":[]}`, `{"message":"Forbidden"}`, `{"message":"no Route matched with those values"}`, `{"error":"Forbidden"}`,
			`{"timestamp":"2026-01-01T00:00:00.000+00:00","status":404,"error":"Not Found","path":"/v1/x"}`,
			`{"type":"about:blank","title":"Forbidden","status":403,"detail":"blocked"}`, `{"error":{"code":403,"message":"no","status":"PERMISSION_DENIED"}}`,
			`{"code":"AccessDenied","message":"Access Denied"}`, `{"error":"malformed","message":"Malformed."}`, `{"error":{"message":"Refused.","type":"upload"}}`} {
			t.Run(fmt.Sprint(code, body), func(t *testing.T) {
				inOutbox(t, func(t *testing.T, w *world, conv int64) {
					var seen changes
					log := &logText{}
					jane := w.logged(storage.NewMemory(), log, chat.OutboxOptions{OnChange: seen.add})
					attempts := 1
					if code == 403 { // a new login and one more try come first
						attempts = 2
					}
					w.Next(attempts, fliplettest.Insert, fliplettest.Answer(code, body))
					queue(t, jane, conv, "a")
					require.NoError(t, jane.Outbox().Flush(t.Context()))
					require.Len(t, w.Rows(conv), 1)
					lever := w.Always(fliplettest.Insert, fliplettest.Answer(code, body))
					began := time.Now()
					queue(t, jane, conv, "b")
					require.NoError(t, jane.Outbox().Flush(t.Context()))
					assert.Less(t, time.Since(began), 10*time.Minute)
					if strings.Contains(body, "message") {
						assert.Less(t, time.Since(began), time.Minute)
					}
					synctest.Wait()
					_, last := seen.of("b")
					assert.Equal(t, chat.SendFailed, last.State)
					require.ErrorContains(t, last.Err, fmt.Sprint("HTTP ", code))
					kept := jane.Outbox().Pending()
					require.Len(t, kept, 1, "for somebody to decide")
					assert.Equal(t, chat.SendFailed, kept[0].State)
					assert.Contains(t, log.String(), "kept in the outbox")
					lever.Off()
					queue(t, jane, conv, "b")
					require.NoError(t, jane.Outbox().Flush(t.Context()))
					assert.Len(t, w.Rows(conv), 2)
				})
			})
		}
	}
}

// An insert that is always answered with a success without the row is given up after the
// stated attempts, and not before.
func TestAMessageWhoseInsertsAreAnsweredWithNothingIsGivenUp(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"", "{}", `{"id":7}`, "[]", "OK"} {
		t.Run(body, func(t *testing.T) {
			inOutbox(t, func(t *testing.T, w *world, conv int64) {
				var seen changes
				jane := w.logged(storage.NewMemory(), &logText{}, chat.OutboxOptions{OnChange: seen.add, MaxAttempts: 6})
				lever := w.Always(fliplettest.Insert, fliplettest.Answer(200, body))
				queue(t, jane, conv, "a")
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				require.NoError(t, jane.Outbox().Flush(ctx), "it is tried for ever")
				synctest.Wait()
				_, last := seen.of("a")
				assert.Equal(t, chat.SendFailed, last.State)
				require.ErrorContains(t, last.Err, "given up after 6 attempts")
				require.Len(t, jane.Outbox().Pending(), 1)
				lever.Off()
				queue(t, jane, conv, "a")
				require.NoError(t, jane.Outbox().Flush(t.Context()))
				assert.Len(t, w.Rows(conv), 1)
			})
		})
	}
}

// unanswered are answers that speak of no message, and none at all.
var unanswered = map[string]func(*http.Request) (*http.Response, error){
	"a redirect": status(302), "101": status(101), "300": status(300), "304": status(304), "401": status(401), "408": status(408), "425": status(425),
	"429":     status(429),
	"dropped": func(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF },
	"hangs":   func(r *http.Request) (*http.Response, error) { <-r.Context().Done(); return nil, r.Context().Err() },
}

func status(code int) func(*http.Request) (*http.Response, error) {
	return func(r *http.Request) (*http.Response, error) {
		header := http.Header{}
		if code == 302 {
			header.Set("Location", "https://blocked.example.org/")
		}
		return &http.Response{StatusCode: code, Header: header, Body: io.NopCloser(strings.NewReader(proxyPage)), Request: r}, nil
	}
}

// The inserts of one message are answered so, and the server stores others.
func TestAMessageThatAloneIsNeverTakenIsGivenUp(t *testing.T) {
	t.Parallel()
	for name, answer := range unanswered {
		t.Run(name, func(t *testing.T) {
			inOutbox(t, func(t *testing.T, w *world, conv int64) {
				var tries atomic.Int64
				gate := roundTripper(func(r *http.Request) (*http.Response, error) {
					if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, fmt.Sprint("/", conv, "/data")) {
						body, err := io.ReadAll(r.Body)
						if err != nil {
							return nil, err
						}
						if r.Body = io.NopCloser(bytes.NewReader(body)); bytes.Contains(body, []byte(`"guid":"bad"`)) {
							tries.Add(1)
							return answer(r)
						}
					}
					return w.Transport().RoundTrip(r)
				})
				var seen changes
				jane := w.login("jane", w.through(gate), func(o *chat.Options) {
					o.EncryptMessages, o.Storage, o.Outbox = false, storage.NewMemory(), &chat.OutboxOptions{MaxAttempts: 4, OnChange: seen.add}
				})
				other := w.converse(jane, "bob", "eve")
				queue(t, jane, conv, "bad", "behind")
				last, sent := chat.SendChange{}, 0
				for ; sent < 24*6 && last.State != chat.SendFailed; sent++ {
					queue(t, jane, other.ID, fmt.Sprint(sent))
					time.Sleep(10 * time.Minute)
					_, last = seen.of("bad")
				}
				assert.Equal(t, chat.SendFailed, last.State)
				require.ErrorContains(t, last.Err, "given up after ")
				assert.Len(t, w.Rows(conv), 1, "it holds nothing back")
				assert.Len(t, w.Rows(other.ID), sent)
				kept := jane.Outbox().Pending()
				require.Len(t, kept, 1, "for somebody to decide")
				assert.Equal(t, "bad", kept[0].GUID)
				assert.LessOrEqual(t, tries.Load(), int64(400))
			})
		})
	}
}

// Everything is answered so: that is an outage, and says nothing of a message.
func TestAnOutageOfAnyKindCostsNoMessage(t *testing.T) {
	t.Parallel()
	for name, answer := range unanswered {
		t.Run(name, func(t *testing.T) {
			inOutbox(t, func(t *testing.T, w *world, conv int64) {
				var out atomic.Bool
				gate := roundTripper(func(r *http.Request) (*http.Response, error) {
					if out.Load() {
						return answer(r)
					}
					return w.Transport().RoundTrip(r)
				})
				jane := w.login("jane", w.through(gate), func(o *chat.Options) {
					o.EncryptMessages, o.Storage, o.Outbox = false, storage.NewMemory(), &chat.OutboxOptions{MaxAttempts: 2}
				})
				other := w.converse(jane, "bob", "eve")
				queue(t, jane, other.ID, "before")
				require.NoError(t, jane.Outbox().Flush(t.Context()))
				out.Store(true)
				queue(t, jane, conv, "a", "b")
				queue(t, jane, other.ID, "c")
				time.Sleep(2 * time.Hour)
				assert.Equal(t, 3, jane.Outbox().Len())
				out.Store(false)
				require.NoError(t, jane.Outbox().Flush(t.Context()))
				assert.Len(t, w.Rows(conv), 2)
				assert.Len(t, w.Rows(other.ID), 2)
			})
		})
	}
}

// Every insert is refused by a firewall, and everything else is answered.
func TestAMessageThatAProxyNeverLetsThroughIsKeptForAPersonToDecide(t *testing.T) {
	t.Parallel()
	for name, decide := range map[string]func(t *testing.T, w *world, jane *chat.Chat, store storage.Store, conv int64) int{
		"it is added again": func(t *testing.T, _ *world, jane *chat.Chat, _ storage.Store, conv int64) int {
			queue(t, jane, conv, "a")
			require.NoError(t, jane.Outbox().Flush(t.Context()))
			return 1
		},
		"it is discarded": func(t *testing.T, _ *world, jane *chat.Chat, _ storage.Store, conv int64) int {
			ok, err := jane.Outbox().Discard(t.Context(), conv, "a")
			require.NoError(t, err)
			assert.True(t, ok)
			return 0
		},
		"the program begins again": func(t *testing.T, w *world, jane *chat.Chat, store storage.Store, _ int64) int {
			require.NoError(t, jane.Close())
			again := w.withOutbox(store)
			require.NoError(t, again.Outbox().Flush(t.Context()))
			assert.Zero(t, again.Outbox().Len())
			return 1
		},
	} {
		t.Run(name, func(t *testing.T) {
			inOutbox(t, func(t *testing.T, w *world, conv int64) {
				var seen changes
				log, store := &logText{}, storage.NewMemory()
				jane := w.logged(store, log, chat.OutboxOptions{OnChange: seen.add, MaxAttempts: 5})
				lever := w.Always(fliplettest.Insert, fliplettest.Answer(451, proxyPage))
				queue(t, jane, conv, "a")
				require.NoError(t, jane.Outbox().Flush(t.Context()))
				synctest.Wait()
				_, last := seen.of("a")
				assert.Equal(t, chat.SendFailed, last.State)
				require.ErrorContains(t, last.Err, "given up after 5 attempts")
				require.ErrorContains(t, last.Err, "HTTP 451")
				assert.Equal(t, "a", last.Message.Body)
				assert.Contains(t, log.String(), "a message could not be sent, and is kept in the outbox")
				kept := jane.Outbox().Pending()
				require.Len(t, kept, 1)
				assert.Equal(t, "a", kept[0].GUID)
				assert.Equal(t, chat.SendFailed, kept[0].State)
				assert.ErrorContains(t, kept[0].Err, "HTTP 451")
				lever.Off()
				queue(t, jane, conv, "b")
				require.NoError(t, jane.Outbox().Flush(t.Context()))
				require.Len(t, w.Rows(conv), 1, "it holds nothing back")
				rows := decide(t, w, jane, store, conv)
				assert.Len(t, w.Rows(conv), 1+rows)
				assert.Zero(t, jane.Outbox().Len())
			})
		})
	}
}

// refusing plays a gateway that refuses everything for a time, also every login. It ends
// nothing: a message comes afterwards. then is what the test does with the listener.
func refusing(t *testing.T, code int, body string, howLong time.Duration, then func(t *testing.T, w *world, jane *chat.Chat, ended <-chan error)) {
	t.Run(fmt.Sprint(code, " ", body), func(t *testing.T) {
		throughDoors(t, func(t *testing.T, w *world, run func(*chat.Chat, func(*chat.Message), func(error)) <-chan error) {
			jane, bob := w.login("jane", atLeisure), w.login("bob")
			conv := w.converse(bob, "jane")
			var errs errorList
			got := newRecorder()
			ended := run(jane, got.add, errs.add)
			time.Sleep(time.Minute)
			off := w.Always(fliplettest.AnyRoute, fliplettest.Answer(code, body))
			time.Sleep(howLong)
			off.Off()
			assert.NotEmpty(t, errs.all(), "it is told")
			w.say(bob, conv, "still here")
			time.Sleep(time.Hour)
			assert.Equal(t, []string{"still here"}, bodies(got.all()))
			then(t, w, jane, ended)
		})
	})
}

func TestARefusalOfAGatewayEndsNoStream(t *testing.T) {
	for _, code := range []int{401, 403} {
		for _, body := range []string{proxyPage, " ", `{"blocked":true}`} {
			refusing(t, code, body, time.Hour, func(t *testing.T, _ *world, jane *chat.Chat, ended <-chan error) {
				require.NoError(t, jane.Close())
				require.ErrorIs(t, <-ended, chat.ErrClosed)
			})
		}
	}
}

// Other JSON could be that of the service: after ten minutes of it nothing else is expected.
func TestARefusalInJSONEndsAStreamAfterTenMinutes(t *testing.T) {
	for _, code := range []int{401, 403} {
		for _, body := range []string{`{"message":"Forbidden"}`, `{"message":"Unauthorized"}`, `{"error":"Forbidden"}`, `{"code":"denied","message":"no route"}`} {
			refusing(t, code, body, 9*time.Minute, func(t *testing.T, w *world, _ *chat.Chat, ended <-chan error) {
				began := time.Now()
				w.Always(fliplettest.AnyRoute, fliplettest.Answer(code, body))
				require.ErrorIs(t, <-ended, chat.ErrUnauthorized)
				assert.Less(t, time.Since(began), 20*time.Minute)
			})
		}
	}
}

// Something refuses polls and the logins after them, in the words of the service or in other
// JSON, while requests with the same token are accepted elsewhere: it was not revoked.
func TestAStreamGoesOnWhileItsTokenIsAcceptedElsewhere(t *testing.T) {
	words := map[string]string{
		"the service's words": `{"error":"not authorised","message":"The auth_token provided doesn't belong to any user."}`, "other JSON": `{"message":"Forbidden"}`,
	}
	for name, body := range words {
		for _, code := range []int{401, 403} {
			for _, where := range []string{"in a send", "in a login of the poll", "in another call"} {
				if where == "in a login of the poll" && code == 401 {
					continue // there is none
				}
				t.Run(fmt.Sprint(name, ", ", code, ", ", where), func(t *testing.T) {
					throughDoors(t, func(t *testing.T, w *world, run func(*chat.Chat, func(*chat.Message), func(error)) <-chan error) {
						var refusing atomic.Bool
						var logins atomic.Int64
						jane, bob := w.login("jane", atLeisure, w.through(roundTripper(func(r *http.Request) (*http.Response, error) {
							poll, login := strings.HasSuffix(r.URL.Path, "/data-sources/data"), strings.HasSuffix(r.URL.Path, fmt.Sprint("/", w.contacts, "/data/query"))
							asked := body == words["other JSON"] && strings.HasSuffix(r.URL.Path, "/v1/user")
							if refusing.Load() && (poll || asked || login && (where != "in a login of the poll" || logins.Add(1)%2 == 0)) {
								return &http.Response{StatusCode: code, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
							}
							return w.Transport().RoundTrip(r)
						}))), w.login("bob")
						conv := w.converse(bob, "jane")
						mine, err := jane.Conversation(t.Context(), conv.ID)
						require.NoError(t, err)
						var errs errorList
						got := newRecorder()
						ended := run(jane, got.add, errs.add)
						refusing.Store(true)
						before := 0
						for range 12 {
							for range 10 {
								switch where {
								case "in a send":
									w.say(jane, mine, "mine")
								case "in another call":
									_, err := jane.Conversations(t.Context())
									require.NoError(t, err)
								}
								require.Error(t, jane.Poll(t.Context()))
								time.Sleep(time.Minute)
							}
							select {
							case err := <-ended:
								require.NoError(t, err, "it has ended")
							default:
							}
							now := len(errs.all())
							require.Greater(t, now, before, "it is told all the time")
							before = now
						}
						assert.Positive(t, jane.Health().FailedPolls)
						refusing.Store(false)
						w.say(bob, conv, "still here")
						time.Sleep(time.Hour)
						assert.Contains(t, bodies(got.all()), "still here")
						w.Always(fliplettest.AnyRoute, fliplettest.Answer(code, body))
						require.ErrorIs(t, <-ended, chat.ErrUnauthorized)
					})
				})
			}
		}
	}
}
