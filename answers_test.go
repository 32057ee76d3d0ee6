package chat_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
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

// A cache on the way takes the address of a query for all that it asks, and gives Bob for a
// while what it has given to Eve. What Bob gets meanwhile comes afterwards.
func TestAnAnswerThatWasMeantForSomebodyElseLosesNoMessage(t *testing.T) {
	t.Parallel()
	for i, lasts := range []time.Duration{time.Second, 10 * time.Second, time.Minute, 9 * time.Minute, time.Minute} {
		atOnce := i == 4 // from the first answer on
		t.Run(fmt.Sprint(lasts, atOnce), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, fliplettest.InProcess())
				jane, eve := w.login("jane"), w.login("eve")
				talk, others := w.converse(jane, "bob"), w.converse(eve, "jane")
				time.Sleep(time.Hour)
				cache := &sharedCache{next: w.Transport()}
				bob := w.login("bob", asUsual, func(o *chat.Options) { o.Client = w.over(cache) })
				if atOnce {
					w.say(eve, others, "for others")
					cache.keep(t, w, others.ID)
				}
				streamed, consumed := newRecorder(), newRecorder()
				_, err := bob.Stream(t.Context(), streamed.add, chat.StartAt(chat.FromNow))
				require.NoError(t, err)
				ctx, stop := context.WithCancel(t.Context())
				done := make(chan error, 1)
				go func() {
					done <- bob.Consume(ctx, "archive", func(_ context.Context, m *chat.Message) error {
						consumed.add(m)
						return nil
					}, chat.StartAt(chat.FromNow))
				}()
				time.Sleep(20 * time.Second)
				var want []string
				say := func(body string) {
					w.say(eve, others, "for others")
					w.say(jane, talk, body)
					want = append(want, body)
					time.Sleep(5 * time.Second)
				}
				for i := range 3 {
					say(fmt.Sprint("before ", i))
				}
				until := time.Now().Add(lasts)
				for i := 0; time.Now().Before(until); i++ {
					_, err := eve.Message(t.Context(), others.ID, chat.Draft{Body: "hers"})
					require.NoError(t, err)
					cache.keep(t, w, others.ID)
					say(fmt.Sprint("meanwhile ", i))
				}
				cache.drop()
				for i := range 3 {
					say(fmt.Sprint("after ", i))
				}
				time.Sleep(5 * time.Minute)
				assert.Equal(t, want, bodies(streamed.all()))
				assert.Equal(t, want, bodies(consumed.all()))
				stop()
				require.ErrorIs(t, <-done, context.Canceled)
				require.NoError(t, bob.Close())
			})
		})
	}
}

// sharedCache answers queries over all conversations with what it keeps.
type sharedCache struct {
	next http.RoundTripper
	mu   sync.Mutex
	kept string
}

// keep keeps the newest rows of a conversation, as another user's poll was answered.
func (c *sharedCache) keep(t *testing.T, w *world, conversation int64) {
	var rows []chat.M
	all := w.Rows(conversation)
	for _, r := range all[max(0, len(all)-3):] {
		rows = append(rows, chat.M{"id": r.ID, "dataSourceId": conversation, "data": r.Data, "createdAt": r.CreatedAt, "updatedAt": r.UpdatedAt})
	}
	body, err := json.Marshal(chat.M{"entries": rows})
	require.NoError(t, err)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kept = string(body)
}

func (c *sharedCache) drop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kept = ""
}

func (c *sharedCache) RoundTrip(r *http.Request) (*http.Response, error) {
	c.mu.Lock()
	kept := c.kept
	c.mu.Unlock()
	if kept == "" || r.Method != http.MethodPost || r.URL.Path != "/v1/data-sources/data" {
		return c.next.RoundTrip(r)
	}
	date := time.Now().UTC().Format(http.TimeFormat)
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Date": {date}}, Request: r, Body: io.NopCloser(strings.NewReader(kept))}, nil
}

// The first message of a conversation that is not known yet is shown to a caller, or the call
// fails, when its definition cannot be read: fewer would look like all there are.
func TestACallTellsOfNoFewerMessagesWhenAConversationCannotBeLookedAt(t *testing.T) {
	t.Parallel()
	for _, status := range []int{403, 500} {
		for _, body := range []string{proxyPage, "", `{"message":"Forbidden"}`} {
			for _, list := range []bool{true, false} {
				w := newWorld(t)
				jane := w.login("jane")
				w.say(jane, w.converse(jane, "bob"), "hi")
				for what, ask := range map[string]func(bob *chat.Chat) (int, error){
					"messages": func(bob *chat.Chat) (int, error) {
						msgs, err := bob.Messages(t.Context())
						return len(msgs), err
					},
					"unread": func(bob *chat.Chat) (int, error) { return bob.Unread().Count(t.Context()) },
				} {
					bob := w.login("bob")
					w.Always(fliplettest.GetSource, fliplettest.Answer(status, body))
					if !list {
						w.Always(fliplettest.ListSources, fliplettest.Answer(status, body))
					}
					n, err := ask(bob)
					if list {
						require.NoError(t, err, "%s, %d %q", what, status, body)
						assert.Equal(t, 1, n, "%s, %d %q", what, status, body)
					} else {
						require.Error(t, err, "%s, %d %q", what, status, body)
					}
					w.Release()
				}
			}
		}
	}
}

// renamed gives, while it is on, all rows of a query over all conversations as those of another one.
type renamed struct {
	next http.RoundTripper
	id   atomic.Int64
}

func (r *renamed) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := r.next.RoundTrip(req)
	id := r.id.Load()
	if err != nil || id == 0 || !strings.HasSuffix(req.URL.Path, "/data-sources/data") {
		return resp, err
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	body = regexp.MustCompile(`"dataSourceId":\d+`).ReplaceAll(body, fmt.Appendf(nil, `"dataSourceId":%d`, id))
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	resp.Header.Del("Content-Length")
	return resp, nil
}

// Some of the answers have as many rows as servers are known to cut answers at.
func TestAnswersOfAnotherConversationsRowsLoseNoMessageHoweverManyRowsTheyHave(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		jane, eve := w.login("jane"), w.login("eve")
		talk, others := w.converse(jane, "bob"), w.converse(eve, "jane")
		w.say(jane, talk, "known")
		time.Sleep(time.Hour)
		way := &renamed{next: w.Transport()}
		bob := w.login("bob", asUsual, func(o *chat.Options) { o.Client = w.over(way) })
		r := newRecorder()
		_, err := bob.Stream(t.Context(), r.add, chat.StartAt(chat.FromNow))
		require.NoError(t, err)
		time.Sleep(20 * time.Second)
		way.id.Store(others.ID)
		var want []string
		for i := range 45 {
			want = append(want, fmt.Sprint("message ", i))
			w.say(jane, talk, want[i])
			time.Sleep(2 * time.Second)
		}
		way.id.Store(0)
		time.Sleep(5 * time.Minute)
		assert.Equal(t, want, bodies(r.all()))
		require.NoError(t, bob.Close())
	})
}
