package chat_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// world is a local Fliplet with three contacts: Jane, Bob and Eve.
type world struct {
	*fliplettest.Server
	t        testing.TB
	contacts int64
	ids      map[string]int64
}

var people = []string{"jane", "bob", "eve"}

func newWorld(t testing.TB, opts ...fliplettest.Option) *world {
	w := &world{Server: fliplettest.New(t, opts...), t: t, ids: map[string]int64{}}
	var rows []datasource.M
	for _, name := range people {
		rows = append(rows, datasource.M{"Email": name + "@example.org", "Full name": name})
	}
	var ids []int64
	w.contacts, ids = w.AddContacts(rows...)
	for i, name := range people {
		w.ids[name] = ids[i]
	}
	return w
}

// inTime runs a test by a clock of its own: what depends on how long something takes, as
// what a login waits for to be stored does, is then the same on a busy machine.
func inTime(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { test(t, newWorld(t, fliplettest.InProcess())) })
}

// connect returns a Chat with options of the test's own.
func (w *world) connect(change ...func(*chat.Options)) *chat.Chat {
	w.t.Helper()
	opts := chat.Options{
		Client: w.Client(), DataSourceID: w.contacts, AppID: w.AppID, PrimaryKey: "Email",
		EncryptMessages: true, LivePollInterval: 5 * time.Millisecond, PollInterval: 20 * time.Millisecond,
	}
	for _, c := range change {
		c(&opts)
	}
	c, err := chat.Connect(context.Background(), opts)
	require.NoError(w.t, err)
	w.t.Cleanup(func() { require.NoError(w.t, c.Close()) })
	return c
}

// login returns the Chat of a contact who has logged in.
func (w *world) login(name string, change ...func(*chat.Options)) *chat.Chat {
	w.t.Helper()
	c := w.connect(change...)
	_, err := c.Login(context.Background(), chat.M{"Email": name + "@example.org"})
	require.NoError(w.t, err)
	return c
}

// ended waits until something has ended, and fails when it does not: a bare receive would
// hold up the whole suite.
func ended(t testing.TB, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		require.FailNow(t, "it does not end")
	}
}

// converse makes a conversation of c's user and the named contacts.
func (w *world) converse(c *chat.Chat, names ...string) *chat.Conversation {
	w.t.Helper()
	var ids []int64
	for _, name := range names {
		ids = append(ids, w.ids[name])
	}
	conv, err := c.Create(context.Background(), chat.NewConversation{Participants: ids})
	require.NoError(w.t, err)
	return conv
}

// addTalk stores a conversation of Jane's and Bob's, who need not have logged in.
func (w *world) addTalk(name string) int64 {
	members := []string{wire.DeriveUserID(w.contacts, "jane@example.org"), wire.DeriveUserID(w.contacts, "bob@example.org")}
	return w.AddDataSource(datasource.M{"name": name, "type": "conversation", "definition": datasource.M{"participants": members}})
}

// say sends a text.
func (w *world) say(c *chat.Chat, conv *chat.Conversation, body string) *chat.Message {
	w.t.Helper()
	m, err := c.Message(context.Background(), conv.ID, chat.Draft{Body: body})
	require.NoError(w.t, err)
	return m
}

// recorder is a stream function that keeps what it got.
type recorder struct {
	mu   sync.Mutex
	got  []*chat.Message
	more chan struct{}
}

func newRecorder() *recorder { return &recorder{more: make(chan struct{}, 1)} }

func (r *recorder) add(m *chat.Message) {
	r.mu.Lock()
	r.got = append(r.got, m)
	r.mu.Unlock()
	select {
	case r.more <- struct{}{}:
	default:
	}
}

func (r *recorder) all() []*chat.Message {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]*chat.Message(nil), r.got...)
}

// wait blocks until n messages have arrived.
func (r *recorder) wait(t testing.TB, n int) []*chat.Message {
	t.Helper()
	for {
		if got := r.all(); len(got) >= n {
			return got
		}
		select {
		case <-r.more:
		case <-t.Context().Done():
			require.FailNow(t, "the test ended before the messages came")
		case <-time.After(10 * time.Second):
			require.FailNow(t, "messages missing", "%d of %d came", len(r.all()), n)
		}
	}
}

// stream records what a Chat receives, from now on until the test ends.
func stream(t testing.TB, c *chat.Chat, opts ...chat.StreamOption) *recorder {
	t.Helper()
	r := newRecorder()
	_, err := c.Stream(context.Background(), r.add, opts...)
	require.NoError(t, err)
	require.NoError(t, c.Poll(t.Context()))
	return r
}

func bodies(msgs []*chat.Message) []string {
	out := []string{}
	for _, m := range msgs {
		out = append(out, m.Body)
	}
	return out
}
