package chat_test

import (
	"fmt"
	"net/http"
	"os"
	"strconv"
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

// counter counts requests on their way.
type counter struct {
	next    http.RoundTripper
	n       atomic.Int64
	refused atomic.Int64 // answers of 429
}

func (c *counter) RoundTrip(r *http.Request) (*http.Response, error) {
	c.n.Add(1)
	answer, err := c.next.RoundTrip(r)
	if err == nil && answer.StatusCode == http.StatusTooManyRequests {
		c.refused.Add(1)
	}
	return answer, err
}

// during counts the requests of a while, as a rate for each 10 s.
func (c *counter) during(d time.Duration) float64 {
	before := c.n.Load()
	time.Sleep(d)
	return float64(c.n.Load()-before) / (float64(d) / float64(10*time.Second))
}

// identities logs n accounts in, over one client, each in so many conversations of its
// own.
func identities(t *testing.T, w *world, n, conversations int) (c *counter, chats []*chat.Chat, rooms []int64) {
	t.Helper()
	c = &counter{next: w.Transport()}
	client := sure(datasource.NewClient(datasource.Config{
		Token: w.Token, BaseURL: w.URL, Limiter: datasource.Unlimited(), HTTPClient: &http.Client{Transport: c},
	}))
	for i := range n {
		id := fmt.Sprintf("bot-%d", i)
		w.AddRows(w.contacts, chat.M{"Email": id, "flUserId": id})
		for range conversations {
			rooms = append(rooms, w.AddDataSource(chat.M{"name": id, "type": "conversation", "definition": chat.M{"participants": []string{id, "somebody"}}}))
		}
		bot := w.connect(asUsual, func(o *chat.Options) {
			o.Client, o.Storage, o.Outbox = client, storage.NewMemory(), &chat.OutboxOptions{}
		})
		sure(bot.Login(t.Context(), chat.M{"flUserId": id}))
		_, err := bot.Stream(t.Context(), func(*chat.Message) {}, chat.StartAt(chat.FromNow))
		require.NoError(t, err)
		chats = append(chats, bot)
	}
	return c, chats, rooms
}

// writing lets somebody write in turn into conversations, until stop is called.
func writing(w *world, rooms []int64, every time.Duration) (stop func()) {
	end, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; ; i++ {
			select {
			case <-end:
				return
			case <-time.After(every):
				w.AddRows(rooms[i%len(rooms)], chat.M{"body": "x", "fromUserId": "somebody", "guid": fmt.Sprint(i)})
			}
		}
	}()
	return func() { close(end); <-done }
}

// TestCapacityOfServiceAccounts counts the requests that docs/service-accounts.md
// states, and compares them with the page.
func TestCapacityOfServiceAccounts(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("docs/service-accounts.md")
	require.NoError(t, err)
	stated := func(row string, got float64) {
		t.Helper()
		_, rest, found := strings.Cut(string(page), "| "+row+" | ")
		text, _, _ := strings.Cut(rest, " |")
		want, err := strconv.ParseFloat(text, 64)
		require.True(t, found && err == nil, "the page does not state: %s", row)
		assert.InEpsilon(t, want, got, 0.2, row) // waits have jitter
	}
	for _, n := range []int{1, 500} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, fliplettest.InProcess())
			c, _, rooms := identities(t, w, 1, n)
			time.Sleep(time.Minute)
			stop := writing(w, rooms, time.Second)
			time.Sleep(time.Minute)
			stated(fmt.Sprintf("one account in %d conversations, a message every second", n), c.during(5*time.Minute))
			stop()
			time.Sleep(time.Hour)
			stated(fmt.Sprintf("one account in %d conversations, nothing for an hour", n), c.during(30*time.Minute))
		})
	}
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		c, _, rooms := identities(t, w, 20, 5)
		time.Sleep(time.Minute)
		stop := writing(w, rooms, 50*time.Millisecond)
		time.Sleep(time.Minute)
		stated("20 accounts in one process, a message every second for each", c.during(5*time.Minute))
		stop()
		time.Sleep(time.Hour)
		stated("20 accounts in one process, nothing for an hour", c.during(30*time.Minute))
	})
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		c, chats, rooms := identities(t, w, 1, 1)
		require.NoError(t, chats[0].Logout(t.Context()))
		before := c.n.Load()
		sure(chats[0].Login(t.Context(), chat.M{"flUserId": "bot-0"}))
		stated("a login, the first of an account", float64(c.n.Load()-before))
		sure(chats[0].Message(t.Context(), rooms[0], chat.Draft{Body: "x"}))
		before = c.n.Load()
		for range 100 {
			sure(chats[0].Message(t.Context(), rooms[0], chat.Draft{Body: "x"}))
		}
		stated("a message, through the outbox or not", float64(c.n.Load()-before)/100)
		before = c.n.Load()
		for i := range 100 {
			sure(chats[0].Message(t.Context(), rooms[0], chat.Draft{Body: "x", GUID: fmt.Sprint("key-", i)}))
		}
		stated("a message with a GUID of your own, which is looked up first", float64(c.n.Load()-before)/100)
	})
}
