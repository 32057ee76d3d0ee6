package chat_test

import (
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
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// unknownToken is what Fliplet documents for a token that belongs to nobody.
const unknownToken = `{"error":"not authorised","message":"The auth_token provided doesn't belong to any user."}`

// gatewayWords are what gateways refuse with: an error beside a message, or a message alone.
var gatewayWords = []string{
	`{"error":"RBAC","message":"RBAC: access denied"}`, `{"message":"Forbidden"}`, `{"message":"no Route matched with those values"}`,
	`{"error":true,"error_code":1020,"error_name":"access_denied","message":"Access denied"}`, `{"error":"invalid_token","message":"The access token expired"}`,
}

func says(r *http.Request, code int, body string) *http.Response {
	return &http.Response{StatusCode: code, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)), Request: r}
}

// Something refuses polls and logins word by word as the service does, and something else
// answers the request about the token itself, without knowing anything of it.
func TestNobodyButTheServiceSaysThatATokenWasRevoked(t *testing.T) {
	answers := []answer{{200, proxyPage}, {200, ""}, {200, "{}"}, {200, `{"user":{}}`}, {200, `{"message":"ok"}`}, {204, ""}, {403, proxyPage}, {404, `{"message":"gone"}`}, {400, `{"message":"no"}`}}
	for _, words := range gatewayWords {
		answers = append(answers, answer{401, words}, answer{403, words})
	}
	for _, a := range answers {
		t.Run(fmt.Sprint(a.code, a.body), func(t *testing.T) {
			throughDoors(t, func(t *testing.T, w *world, run func(*chat.Chat, func(*chat.Message), func(error)) <-chan error) {
				var refusing atomic.Bool
				jane, bob := w.login("jane", atLeisure, w.through(roundTripper(func(r *http.Request) (*http.Response, error) {
					switch {
					case !refusing.Load():
						return w.Transport().RoundTrip(r)
					case r.URL.Path == "/v1/user":
						return says(r, a.code, a.body), nil
					}
					return says(r, 401, unknownToken), nil
				}))), w.login("bob")
				conv := w.converse(bob, "jane")
				got := newRecorder()
				ended := run(jane, got.add, func(error) {})
				refusing.Store(true)
				time.Sleep(9 * time.Minute)
				refusing.Store(false)
				w.say(bob, conv, "still here")
				time.Sleep(time.Hour)
				assert.Equal(t, []string{"still here"}, bodies(got.all()))
				w.Always(fliplettest.AnyRoute, fliplettest.Answer(401, unknownToken))
				began := time.Now()
				require.ErrorIs(t, <-ended, chat.ErrUnauthorized)
				assert.Less(t, time.Since(began), 5*time.Minute)
			})
		})
	}
}

// A gateway has words of its own, and not those of the service.
func TestTheWordsOfAGatewayEndNoStreamAtOnce(t *testing.T) {
	for _, code := range []int{401, 403} {
		for _, body := range gatewayWords {
			refusing(t, code, body, 9*time.Minute, func(t *testing.T, _ *world, jane *chat.Chat, ended <-chan error) {
				require.NoError(t, jane.Close())
				require.ErrorIs(t, <-ended, chat.ErrClosed)
			})
		}
	}
}

// Something refuses polls, and answers the logins that follow with an empty list, or as if
// there were no such contact.
func TestALoginThatSomethingElseAnswersWithNobodyEndsNoStream(t *testing.T) {
	type lie struct {
		list, row string // answers; "": the service's
		howLong   time.Duration
	}
	for name, l := range map[string]lie{
		"an empty list":                {list: `{"entries":[]}`, howLong: 3 * time.Hour},
		"an empty list, and no row":    {list: `{"entries":[]}`, row: `{"message":"no Route matched with those values"}`, howLong: 50 * time.Second},
		"an empty list, and a page":    {list: `{"entries":[]}`, row: proxyPage, howLong: time.Hour},
		"an empty list, and the words": {list: `{"entries":[]}`, row: gatewayWords[0], howLong: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			throughDoors(t, func(t *testing.T, w *world, run func(*chat.Chat, func(*chat.Message), func(error)) <-chan error) {
				var lying atomic.Bool
				jane, bob := w.login("jane", atLeisure, w.through(roundTripper(func(r *http.Request) (*http.Response, error) {
					switch path := r.URL.Path; {
					case !lying.Load():
					case strings.HasSuffix(path, "/data-sources/data"):
						return says(r, 403, proxyPage), nil
					case strings.HasSuffix(path, fmt.Sprint("/", w.contacts, "/data/query")):
						return says(r, 200, l.list), nil
					case l.row != "" && strings.HasSuffix(path, fmt.Sprint("/", w.contacts, "/data/", w.ids["jane"])):
						return says(r, 404, l.row), nil
					}
					return w.Transport().RoundTrip(r)
				}))), w.login("bob")
				conv := w.converse(bob, "jane")
				got := newRecorder()
				ended := run(jane, got.add, func(error) {})
				lying.Store(true)
				time.Sleep(l.howLong)
				lying.Store(false)
				w.say(bob, conv, "still here")
				time.Sleep(time.Hour)
				assert.Equal(t, []string{"still here"}, bodies(got.all()))
				w.remove(w.contacts, w.ids["jane"])
				began := time.Now()
				require.ErrorIs(t, <-ended, chat.ErrContactNotFound)
				assert.Less(t, time.Since(began), 5*time.Minute)
			})
		})
	}
}

// A message of a new conversation comes, and something answers the look at it as if it were
// not there.
func TestAGatewaysWordsHideNoNewConversation(t *testing.T) {
	t.Parallel()
	for _, body := range gatewayWords {
		t.Run(body, func(t *testing.T) { comesDespite(t, fliplettest.Answer(404, body)) })
	}
}

// Two lists in a row lack a conversation, and something says for it that it is not there.
func TestAGatewaysWordsTakeNoConversationThatAListLacks(t *testing.T) {
	t.Parallel()
	for _, body := range gatewayWords {
		t.Run(body, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, fliplettest.InProcess())
				w.Always(fliplettest.CrossSource, fliplettest.Status(404))
				way := &omitting{next: w.Transport()}
				jane, bob := w.login("jane"), w.login("bob", asUsual, w.through(way))
				first, second := w.converse(jane, "bob"), w.converse(jane, "bob", "eve")
				w.say(jane, first, "a")
				w.say(jane, second, "b")
				r := newRecorder()
				_, err := bob.Stream(t.Context(), r.add, chat.StartAt(chat.FromNow))
				require.NoError(t, err)
				settle()
				way.omit(first.ID, 3)
				w.Next(2, fliplettest.GetSource, fliplettest.Answer(404, body))
				var want []string
				for i := range 6 {
					want = append(want, fmt.Sprint(i))
					w.say(jane, first, want[i])
					time.Sleep(10 * time.Second)
				}
				time.Sleep(10 * time.Minute)
				assert.Equal(t, want, bodies(r.all()))
				require.NoError(t, bob.Close())
			})
		})
	}
}

// An insert is refused, and a list is behind: the data source itself has the last word.
func TestA404AndAListThatLacksAConversationCostNoMessage(t *testing.T) {
	t.Parallel()
	for _, body := range append([]string{proxyPage}, gatewayWords...) {
		t.Run(body, func(t *testing.T) {
			inOutbox(t, func(t *testing.T, w *world, conv int64) {
				way := &omitting{next: w.Transport()}
				jane := w.login("jane", w.through(way), func(o *chat.Options) {
					o.EncryptMessages, o.Storage, o.Outbox = false, storage.NewMemory(), &chat.OutboxOptions{}
				})
				w.converse(jane, "eve", "bob") // so that the list is not empty
				way.omit(conv, -1)
				w.Next(1, fliplettest.Insert, fliplettest.Answer(404, body))
				queue(t, jane, conv, "a")
				require.NoError(t, jane.Outbox().Flush(t.Context()))
				assert.Len(t, w.Rows(conv), 1)
			})
		})
	}
}
