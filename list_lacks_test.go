package chat_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

// omitting is a way to the server on which the next lists of conversations lack one.
type omitting struct {
	next http.RoundTripper
	mu   sync.Mutex
	id   int64
	n    int // how many lists; negative: all
}

func (o *omitting) omit(id int64, n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.id, o.n = id, n
}

func (o *omitting) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := o.next.RoundTrip(r)
	if err != nil || r.Method != http.MethodGet || r.URL.Path != "/v1/data-sources" {
		return answer, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.n == 0 {
		return answer, nil
	}
	o.n--
	var list struct {
		DataSources []map[string]any `json:"dataSources"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&list); err != nil {
		return nil, err
	}
	list.DataSources = slices.DeleteFunc(list.DataSources, func(ds map[string]any) bool { return ds["id"] == float64(o.id) })
	text, err := json.Marshal(list)
	if err != nil {
		return nil, err
	}
	answer.Body, answer.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
	answer.Header.Del("Content-Length")
	return answer, nil
}

// Where each conversation is read by itself, it is the list that says which there are.
func TestListsThatLackAConversationCostNoMessageWithoutTheEndpoint(t *testing.T) {
	t.Parallel()
	for _, conversations := range []int{2, 12} {
		for _, lists := range []int{1, 2, 3, 6, -1} {
			for _, quiet := range []time.Duration{10 * time.Second, 10 * time.Minute} {
				t.Run(fmt.Sprintf("%d of %d conversations, %v", lists, conversations, quiet), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						w := newWorld(t, fliplettest.InProcess())
						w.Always(fliplettest.CrossSource, fliplettest.Status(404))
						ids := many(w, conversations)
						time.Sleep(25 * time.Hour)
						way := &omitting{next: w.Transport()}
						bob := w.login("bob", asUsual, func(o *chat.Options) { o.Client = w.over(way) })
						listeners := map[chat.From]*arrivals{}
						for _, start := range []chat.From{chat.FromNow, chat.FromNewest, chat.FromBeginning} {
							got := newArrivals()
							listeners[start] = got
							_, err := bob.Stream(t.Context(), got.live, chat.StartAt(start))
							require.NoError(t, err)
						}
						settle()
						send := func(id int64, body string) {
							w.AddRows(id, chat.M{"body": body, "fromUserId": "somebody", "guid": body})
						}
						send(ids[0], "before")
						send(ids[1], "before elsewhere")
						time.Sleep(quiet)
						way.omit(ids[0], lists)
						send(ids[0], "meanwhile")
						var others []string
						for i := range 20 {
							time.Sleep(4 * time.Second)
							others = append(others, fmt.Sprint("other ", i))
							send(ids[1], others[i])
						}
						settle()
						send(ids[0], "afterwards")
						settle()
						for start, got := range listeners {
							assert.Equal(t, []string{"before", "meanwhile", "afterwards"}, got.of(ids[0]), start)
							assert.Equal(t, append([]string{"before elsewhere"}, others...), got.of(ids[1]), start)
						}
						require.NoError(t, bob.Close())
					})
				})
			}
		}
	}
}

// live is add for what is new.
func (a *arrivals) live(m *chat.Message) {
	if !m.IsHistory && !m.IsUpdate {
		a.add(m)
	}
}

// A list that lacks a conversation because the user has left costs one request more.
func TestAConversationThatTheUserHasLeftIsAskedAboutOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		w.Always(fliplettest.CrossSource, fliplettest.Status(404))
		jane, bob := w.login("jane", asUsual), w.login("bob", asUsual)
		conv, other := w.converse(jane, "bob", "eve"), w.converse(jane, "bob")
		w.say(jane, conv, "old")
		got := newArrivals()
		_, err := bob.Stream(t.Context(), got.live, chat.StartAt(chat.FromNow))
		require.NoError(t, err)
		settle()
		require.NoError(t, conv.Participants().Remove(t.Context(), w.ids["bob"]))
		before := w.Count(fliplettest.GetSource)
		for i := range 20 {
			w.AddRows(conv.ID, chat.M{"body": "not for bob", "fromUserId": "somebody", "guid": fmt.Sprint(i)})
			w.AddRows(other.ID, chat.M{"body": fmt.Sprint(i), "fromUserId": "somebody", "guid": fmt.Sprint("other ", i)})
			time.Sleep(20 * time.Second)
		}
		settle()
		assert.Len(t, got.of(other.ID), 20)
		assert.Empty(t, got.of(conv.ID))
		assert.LessOrEqual(t, w.Count(fliplettest.GetSource)-before, 1) // a poll may have asked before the call returned
		require.NoError(t, bob.Close())
	})
}
