package chat_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
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
	"github.com/fliplet/fliplet-chat-go/internal/longtest"
)

// What cannot be read holds up nobody else, and is not taken for read.

// sickAnswer is what something on the way says in place of the service.
type sickAnswer struct {
	name   string
	status int // 0 hangs
	body   string
}

var sickAnswers = []sickAnswer{
	{"hangs", 0, ""}, {"an empty list", 200, `{"entries":[]}`}, {"no list", 200, `{}`}, {"a failure", 500, `{"message":"no"}`}, {"a page of a proxy", 404, "<html>no</html>"},
	{"a refusal in JSON", 404, `{"error":"gone","message":"No such upstream."}`},
}

func (a sickAnswer) give(r *http.Request) (*http.Response, error) {
	if a.status == 0 {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	return &http.Response{StatusCode: a.status, Header: http.Header{"Content-Type": {"application/json"}}, Request: r, Body: io.NopCloser(strings.NewReader(a.body))}, nil
}

func TestAConversationThatCannotBeReadHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	for _, answer := range sickAnswers {
		for _, conversations := range []int{2, 12} { // asked for each, and after a look at the newest of all
			t.Run(fmt.Sprint(answer.name, ", ", conversations), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, fliplettest.InProcess())
					w.Always(fliplettest.CrossSource, fliplettest.Status(404))
					jane, bobID := w.login("jane"), w.login("bob").User().UserID
					var talks []*chat.Conversation
					for i := range conversations {
						id := w.AddDataSource(datasource.M{"name": fmt.Sprint(i), "type": "conversation", "appId": w.AppID,
							"definition": chat.M{"participants": []string{jane.User().UserID, bobID}}})
						conv, err := jane.Conversation(t.Context(), id)
						require.NoError(t, err)
						talks = append(talks, conv)
						w.say(jane, conv, "before")
					}
					var sick atomic.Bool
					way := fmt.Sprintf("/%d/data/query", talks[0].ID)
					bob := w.login("bob", asUsual, w.through(roundTripper(func(r *http.Request) (*http.Response, error) {
						if sick.Load() && strings.HasSuffix(r.URL.Path, way) {
							return answer.give(r)
						}
						return w.Transport().RoundTrip(r)
					})))
					time.Sleep(time.Hour)
					listeners := listening(t, bob, chat.FromNewest)
					settle()
					sick.Store(true)
					var want []string
					for i := range 10 {
						w.say(jane, talks[0], fmt.Sprint("sick ", i))
						w.say(jane, talks[1], fmt.Sprint(i))
						want = append(want, fmt.Sprint(i))
						time.Sleep(time.Minute)
						if i == 8 && answer.body != `{"entries":[]}` { // an empty list is believed in the end
							for way, h := range listeners {
								_, got, _ := h.in(talks[1])
								assert.Equal(t, want, got, way)
								_, got, _ = h.in(talks[0])
								assert.Empty(t, got, way)
							}
						}
						if answer.body == `{"entries":[]}` && i == 0 {
							sick.Store(false)
						}
					}
					sick.Store(false)
					settle()
					for way, h := range listeners {
						_, got, _ := h.in(talks[1])
						assert.Equal(t, want, got, way)
						_, got, _ = h.in(talks[0])
						assert.Len(t, got, 10, "%s: what could not be read comes in the end", way)
						for i, body := range got {
							assert.Equal(t, fmt.Sprint("sick ", i), body, way)
						}
					}
					require.NoError(t, bob.Close())
				})
			})
		}
	}
}

// So many conversations are looked at together, and one that spoils the look at others
// is found.
func TestAConversationThatSpoilsTheLookAtManyHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	for _, answer := range append(slices.Clone(sickAnswers), sickAnswer{"no access", 403, `{"message":"no","type":"datasource.access"}`}) {
		for conversations, sickOnes := range map[int]int{150: 1, 500: 3} {
			if answer.body == `{"entries":[]}` {
				continue // it spoils no look: a hundred conversations are asked for, each
			}
			if conversations == 500 && answer.status != 0 && answer.status != 500 {
				continue
			}
			t.Run(fmt.Sprint(answer.name, ", ", sickOnes, " of ", conversations), func(t *testing.T) {
				t.Parallel()
				if conversations > 150 || answer.status != 0 && answer.status != 500 {
					longtest.Only(t, "it plays many conversations")
				}
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, fliplettest.InProcess())
					w.Always(fliplettest.CrossSource, fliplettest.Status(404))
					jane, bobID := w.login("jane"), w.login("bob").User().UserID
					var ids []int64
					for i := range conversations {
						ids = append(ids, w.AddDataSource(datasource.M{"name": fmt.Sprint(i), "type": "conversation", "appId": w.AppID,
							"definition": chat.M{"participants": []string{jane.User().UserID, bobID}}}))
						w.AddRows(ids[i], textRows(jane, 1)...)
					}
					talk := func(i int) *chat.Conversation {
						conv, err := jane.Conversation(t.Context(), ids[i])
						require.NoError(t, err)
						return conv
					}
					sickTalks, healthy := []*chat.Conversation{talk(40), talk(41), talk(conversations - 1)}[:sickOnes], talk(42)
					var sick atomic.Bool
					var asked atomic.Int32
					bob := w.login("bob", asUsual, w.through(roundTripper(func(r *http.Request) (*http.Response, error) {
						asked.Add(1)
						if sick.Load() && strings.HasSuffix(r.URL.Path, "/data/query") {
							body, err := io.ReadAll(r.Body)
							if err != nil {
								return nil, err
							}
							r.Body = io.NopCloser(bytes.NewReader(body))
							for _, conv := range sickTalks {
								if strings.HasSuffix(r.URL.Path, fmt.Sprintf("/%d/data/query", conv.ID)) || bytes.Contains(body, fmt.Appendf(nil, `"dataSourceId":%d`, conv.ID)) {
									return answer.give(r)
								}
							}
						}
						return w.Transport().RoundTrip(r)
					})))
					time.Sleep(time.Hour)
					r := newRecorder()
					_, err := bob.Stream(t.Context(), r.add, chat.StartAt(chat.FromNow))
					require.NoError(t, err)
					time.Sleep(30 * time.Minute)
					sick.Store(true)
					var want, late []string
					for i := range 5 {
						for k, conv := range sickTalks {
							w.say(jane, conv, fmt.Sprint("sick ", k, ", ", i))
							late = append(late, fmt.Sprint("sick ", k, ", ", i))
						}
						want = append(want, fmt.Sprint(i))
						w.say(jane, healthy, want[i])
						settle()
						assert.Equal(t, want, bodies(r.all()))
					}
					before := asked.Load()
					time.Sleep(10 * time.Minute)
					polls := int32(10*60/16) + 1
					assert.Less(t, asked.Load()-before, polls*int32(conversations/100+6), "a poll costs hardly more than before")
					sick.Store(false)
					settle()
					if answer.status == 403 {
						late = nil // given up: what it got is not told
					}
					assert.ElementsMatch(t, append(want, late...), bodies(r.all()), "what could not be read comes in the end")
					require.NoError(t, bob.Close())
				})
			})
		}
	}
}

func TestAListOfConversationsThatFailsHoldsUpNobody(t *testing.T) {
	t.Parallel()
	for _, answer := range sickAnswers {
		if answer.body == `{"entries":[]}` {
			continue // it says nothing about conversations
		}
		t.Run(answer.name, func(t *testing.T) {
			t.Parallel()
			servers(t, func(t *testing.T, w *world) {
				jane := w.login("jane")
				conv := w.converse(jane, "bob")
				w.say(jane, conv, "before")
				var sick atomic.Bool
				bob := w.login("bob", asUsual, w.through(roundTripper(func(r *http.Request) (*http.Response, error) {
					if sick.Load() && r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/v1/data-sources") {
						return answer.give(r)
					}
					return w.Transport().RoundTrip(r)
				})))
				listeners := listening(t, bob, chat.FromNow)
				settle()
				sick.Store(true)
				var want []string
				for i := range 20 {
					body := fmt.Sprint(i)
					want = append(want, body)
					w.say(jane, conv, body)
					time.Sleep(time.Minute)
				}
				for way, h := range listeners {
					_, got, _ := h.in(conv)
					assert.Equal(t, want, got, way)
				}
				fresh := w.converse(jane, "bob", "eve")
				w.say(jane, fresh, "new")
				w.say(jane, conv, "beside it")
				time.Sleep(2 * time.Minute)
				for way, h := range listeners {
					_, got, _ := h.in(conv)
					assert.Equal(t, append(want[:20:20], "beside it"), got, way)
				}
				sick.Store(false)
				time.Sleep(10 * time.Minute)
				for way, h := range listeners {
					_, got, _ := h.in(fresh)
					assert.Equal(t, []string{"new"}, got, way)
				}
				require.NoError(t, bob.Close())
			})
		})
	}
}

// Something on the way answers the very first question with an empty list.
// What a listener gets is what it would have got from honest answers.
func TestEmptyFirstAnswersAreNotBelieved(t *testing.T) {
	t.Parallel()
	const old = 700
	for name, c := range map[string]struct {
		from    chat.From
		history int
	}{"now": {chat.FromNow, 0}, "newest": {chat.FromNewest, 200}, "the beginning": {chat.FromBeginning, old}} {
		for way, route := range map[string]fliplettest.Route{"one query": fliplettest.CrossSource, "a query each": fliplettest.Query} {
			for lies := range 5 {
				t.Run(fmt.Sprint("from ", name, ", ", way, ", ", lies, " of them"), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						w := newWorld(t, fliplettest.InProcess())
						jane, bob := w.login("jane"), w.login("bob", asUsual)
						conv := w.converse(jane, "bob")
						w.AddRows(conv.ID, textRows(jane, old)...)
						time.Sleep(24 * time.Hour)
						if route == fliplettest.Query {
							w.Always(fliplettest.CrossSource, fliplettest.Status(404))
						}
						if lies > 0 {
							w.Next(lies, route, fliplettest.Answer(200, `{"entries":[]}`))
						}
						r := newRecorder()
						gaps := 0
						_, err := bob.Stream(t.Context(), r.add, chat.StartAt(c.from), chat.OnGap(func(chat.Gap) { gaps++ }))
						require.NoError(t, err)
						time.Sleep(time.Second)
						w.say(jane, conv, "live")
						settle()
						history, live := 0, []string{}
						for _, m := range r.all() {
							if m.IsHistory {
								history++
							} else {
								live = append(live, m.Body)
							}
						}
						if want := c.history; c.from == chat.FromNewest && lies > 1 {
							assert.Equal(t, want-1, history, "the message that came meanwhile is on the page")
						} else {
							assert.Equal(t, want, history)
						}
						assert.Equal(t, []string{"live"}, live)
						require.NoError(t, bob.Close())
						synctest.Wait()
						switch {
						case c.from == chat.FromBeginning:
							assert.Zero(t, gaps)
						case c.from == chat.FromNewest && lies > 1: // of what is older than the newest page
							assert.Equal(t, 1, gaps)
						}
					})
				})
			}
		}
	}
}

// The row of a new conversation comes although the first look at the conversation failed.
func TestANewConversationThatCannotBeLookedAtAtOnceComesSoon(t *testing.T) {
	t.Parallel()
	comesDespite(t, fliplettest.Status(500))
}

// comesDespite plays a fault of the first looks at a new conversation. Its message comes.
func comesDespite(t *testing.T, looks fliplettest.Fault) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		jane, bob := w.login("jane"), w.login("bob", asUsual)
		w.say(jane, w.converse(jane, "bob"), "before")
		r := newRecorder()
		_, err := bob.Stream(t.Context(), r.add, chat.StartAt(chat.FromNow))
		require.NoError(t, err)
		settle()
		w.Next(2, fliplettest.GetSource, looks)
		fresh := w.converse(jane, "bob", "eve")
		w.say(jane, fresh, "new")
		time.Sleep(time.Minute)
		assert.Equal(t, []string{"new"}, bodies(r.all()))
		require.NoError(t, bob.Close())
	})
}

func TestAFailureOfAConversationIsToldAndOthersAreNotBlamed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		w.Always(fliplettest.CrossSource, fliplettest.Status(404))
		jane := w.login("jane")
		first, second := w.converse(jane, "bob"), w.converse(jane, "bob", "eve")
		w.say(jane, first, "a")
		w.say(jane, second, "b")
		var sick atomic.Bool
		way := fmt.Sprintf("/%d/data/query", first.ID)
		bob := w.login("bob", asUsual, w.through(roundTripper(func(r *http.Request) (*http.Response, error) {
			if sick.Load() && strings.HasSuffix(r.URL.Path, way) {
				return sickAnswers[3].give(r)
			}
			return w.Transport().RoundTrip(r)
		})))
		var told atomic.Int32
		ctx, cancel := context.WithCancel(t.Context())
		_, err := bob.Stream(ctx, func(*chat.Message) {}, chat.OnError(func(error) { told.Add(1) }))
		require.NoError(t, err)
		settle()
		sick.Store(true)
		var refused *datasource.Error
		require.ErrorAs(t, bob.Poll(t.Context()), &refused, "a poll says what it lacks")
		time.Sleep(10 * time.Minute)
		assert.Positive(t, told.Load())
		assert.Less(t, told.Load(), int32(30), "once for each attempt, a minute apart in the end")
		cancel()
		require.NoError(t, bob.Close())
	})
}
