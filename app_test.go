package chat_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"sync"
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

// inbox keeps what a stream got.
type inbox struct {
	mu   sync.Mutex
	got  map[string]int
	late time.Duration
}

func (b *inbox) take(m *chat.Message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.got == nil {
		b.got = map[string]int{}
	}
	if !m.IsUpdate && !m.IsDeleted {
		b.got[m.Body]++
		b.late = max(b.late, time.Since(m.CreatedAt))
	}
}

func (b *inbox) bodies() map[string]int {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := map[string]int{}
	for k, n := range b.got {
		out[k] = n
	}
	return out
}

// openApp makes contacts and conversations of pairs of them, and an App.
func openApp(t *testing.T, users int, opts ...fliplettest.Option) (w *world, app *chat.App, requests *counter, rooms []int64) {
	t.Helper()
	w = newWorld(t, append(opts, fliplettest.InProcess())...)
	requests = &counter{next: w.Transport()}
	client := sure(datasource.NewClient(datasource.Config{Token: w.Token, BaseURL: w.URL, HTTPClient: &http.Client{Transport: requests}}))
	for i := range users {
		id := fmt.Sprint("user-", i)
		w.AddRows(w.contacts, chat.M{"Email": id, "flUserId": id, "flUserToken": "token-" + id})
	}
	for i := range users {
		people := []string{fmt.Sprint("user-", i), fmt.Sprint("user-", (i+1)%users)}
		rooms = append(rooms, w.AddDataSource(chat.M{"name": "room", "type": "conversation", "definition": chat.M{"participants": people}}))
	}
	time.Sleep(10 * time.Second)
	app, err := chat.OpenApp(t.Context(), chat.AppOptions{Options: chat.Options{Client: client, DataSourceID: w.contacts}})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, app.Close()) })
	return w, app, requests, rooms
}

func TestAnAppServesManyUsersWithTheRequestsOfOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const users = 40
		w, app, requests, rooms := openApp(t, users)
		streams := make([]*inbox, users)
		for i := range users {
			streams[i] = &inbox{}
			c, err := app.User(t.Context(), chat.M{"flUserId": fmt.Sprint("user-", i)})
			require.NoError(t, err)
			defer c.Close() //nolint:errcheck // the test is over
			_, err = c.Stream(t.Context(), streams[i].take, chat.StartAt(chat.FromNow))
			require.NoError(t, err)
		}
		time.Sleep(time.Minute)
		before := requests.n.Load()
		for i := range 200 {
			w.AddRows(rooms[i%users], chat.M{"body": fmt.Sprint(i), "fromUserId": "somebody", "guid": fmt.Sprint(i)})
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(40 * time.Second)
		assert.Less(t, requests.n.Load()-before, int64(100), "40 pollers would make 600 in this minute")
		for i, s := range streams {
			want := map[string]int{}
			for n := range 200 {
				if room := n % users; room == i || (room+1)%users == i {
					want[fmt.Sprint(n)] = 1
				}
			}
			assert.Equal(t, want, s.bodies(), "user %d", i)
			assert.Less(t, s.late, 10*time.Second)
		}
	})
}

func TestAnAppStreamsConversationsThatItsTokenIsNoMemberOf(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, app, _, rooms := openApp(t, 30)
		w.AddRows(rooms[0], chat.M{"body": "before", "fromUserId": "somebody", "guid": "before"})
		time.Sleep(10 * time.Second)
		var all inbox
		sub, err := app.Stream(t.Context(), all.take)
		require.NoError(t, err)
		time.Sleep(10 * time.Second)
		for i := range 90 {
			w.AddRows(rooms[i%30], chat.M{"body": fmt.Sprint(i), "fromUserId": "somebody", "guid": fmt.Sprint(i)})
		}
		late := w.AddDataSource(chat.M{"name": "new", "type": "conversation", "definition": chat.M{"participants": []string{"user-1", "user-2"}}})
		w.AddRows(late, chat.M{"body": "new", "fromUserId": "somebody", "guid": "new"})
		time.Sleep(2 * time.Minute)
		got := all.bodies()
		assert.Len(t, got, 91)
		for body, n := range got {
			assert.Equal(t, 1, n, body)
		}
		_, err = app.Stream(t.Context(), nil)
		require.ErrorIs(t, err, chat.ErrInvalid)
		require.NoError(t, app.Close())
		<-sub.Done()
	})
}

func TestAUserOfAnAppStartsFromTheNewestMessagesAndGoesOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, app, _, rooms := openApp(t, 4)
		for i := range 5 {
			w.AddRows(rooms[1], chat.M{"body": fmt.Sprint("old ", i), "fromUserId": "somebody", "guid": fmt.Sprint("old", i)})
		}
		time.Sleep(20 * time.Second)
		for name, from := range map[string]chat.From{"newest": chat.FromNewest, "beginning": chat.FromBeginning} {
			var s inbox
			c, err := app.User(t.Context(), chat.M{"flUserId": "user-1"})
			require.NoError(t, err)
			_, err = c.Stream(t.Context(), s.take, chat.StartAt(from))
			require.NoError(t, err)
			time.Sleep(10 * time.Second)
			_, err = c.Message(t.Context(), rooms[1], chat.Draft{Body: "mine " + name})
			require.NoError(t, err)
			w.AddRows(rooms[0], chat.M{"body": "yours " + name, "fromUserId": "somebody", "guid": "yours" + name})
			time.Sleep(time.Minute)
			got := s.bodies()
			for _, body := range []string{"old 0", "old 4", "mine " + name, "yours " + name} {
				assert.Equal(t, 1, got[body], "%s: %s", name, body)
			}
			require.ErrorContains(t, c.Consume(t.Context(), "x", nil), "")
			require.NoError(t, c.Shutdown(t.Context()))
		}
	})
}

func TestABellOfAnAppBringsAMessageWithinTwoSeconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, app, _, rooms := openApp(t, 4)
		var s inbox
		_, err := app.Stream(t.Context(), s.take)
		require.NoError(t, err)
		time.Sleep(time.Minute + 100*time.Millisecond) // between two lists
		bell := app.Bell()
		w.AddRows(rooms[2], chat.M{"body": "ring", "fromUserId": "somebody", "guid": "ring"})
		for _, target := range []string{fmt.Sprint("/bell?conversation=", rooms[2]), "/bell", "/bell?conversation=x", "/bell?conversation=999999"} {
			answer := httptest.NewRecorder()
			bell.ServeHTTP(answer, httptest.NewRequest(http.MethodPost, target, nil))
			assert.Equal(t, http.StatusNoContent, answer.Code)
		}
		time.Sleep(2 * time.Second)
		assert.Equal(t, map[string]int{"ring": 1}, s.bodies())
	})
}

// With CHAT_LONG=1 it takes a minute; CHAT_APP_MESSAGES=6000 makes it ten.
func TestAnAppServesManyUsersOverTCPUnderTheLimit(t *testing.T) {
	t.Parallel()
	users, messages, pause := 60, 120, 20*time.Millisecond
	if longtest.Enabled() {
		users, messages, pause = 500, 600, 100*time.Millisecond
	}
	if n, err := strconv.Atoi(os.Getenv("CHAT_APP_MESSAGES")); err == nil {
		messages = n
	}
	w := newWorld(t, fliplettest.WithLimit(fliplettest.DataSourceCalls, fliplettest.PerApp, 200, 10*time.Second))
	requests := &counter{next: http.DefaultTransport}
	client := sure(datasource.NewClient(datasource.Config{Token: w.Token, BaseURL: w.URL, HTTPClient: &http.Client{Transport: requests}}))
	var rooms []int64
	for i := range users {
		id := fmt.Sprint("user-", i)
		w.AddRows(w.contacts, chat.M{"Email": id, "flUserId": id, "flUserToken": "token-" + id})
		people := []string{id, fmt.Sprint("user-", (i+1)%users)}
		rooms = append(rooms, w.AddDataSource(chat.M{"name": "room", "type": "conversation", "definition": chat.M{"participants": people}}))
	}
	app, err := chat.OpenApp(t.Context(), chat.AppOptions{Options: chat.Options{Client: client, DataSourceID: w.contacts}})
	require.NoError(t, err)
	defer app.Close() //nolint:errcheck // it does not fail
	var mu sync.Mutex
	got, total, waits := map[string]int{}, 0, []time.Duration(nil)
	for i := range users {
		c, err := app.User(t.Context(), chat.M{"flUserId": fmt.Sprint("user-", i)})
		require.NoError(t, err)
		defer c.Close() //nolint:errcheck // it does not fail
		_, err = c.Stream(t.Context(), func(m *chat.Message) {
			mu.Lock()
			defer mu.Unlock()
			if !m.IsUpdate {
				got[fmt.Sprint(i, " ", m.Body)]++
				total++
				waits = append(waits, time.Since(m.CreatedAt))
			}
		}, chat.StartAt(chat.FromNow))
		require.NoError(t, err)
	}
	for i := range messages {
		w.AddRows(rooms[i%users], chat.M{"body": fmt.Sprint(i), "fromUserId": "somebody", "guid": fmt.Sprint(i)})
		time.Sleep(pause)
	}
	require.Eventually(t, func() bool {
		mu.Lock()
		defer mu.Unlock()
		return total >= 2*messages
	}, time.Minute, 50*time.Millisecond)
	mu.Lock()
	defer mu.Unlock()
	assert.Len(t, got, 2*messages)
	for key, n := range got {
		assert.Equal(t, 1, n, key)
	}
	slices.Sort(waits)
	at := func(percent int) time.Duration { return waits[(len(waits)-1)*percent/100].Round(time.Millisecond) }
	t.Logf("%d users, %d messages, %d requests, %d answers of 429; delivery p50 %v, p95 %v, p99 %v, worst %v",
		users, messages, requests.n.Load(), requests.refused.Load(), at(50), at(95), at(99), at(100))
}
