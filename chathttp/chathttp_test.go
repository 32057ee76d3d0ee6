package chathttp_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/chathttp"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// world is a local Fliplet with a handler before it. Who asks is in a header, where a
// program has a cookie.
type world struct {
	*fliplettest.Server
	t        testing.TB
	contacts int64
	ids      map[string]int64
	chats    map[string]*chat.Chat
	handler  *chathttp.Handler
	net      *network
	client   *http.Client

	mu      sync.Mutex
	expired map[string]*chat.Chat // who has whose Chat now; nil: nobody's
}

// expire ends the login of a page. It may have another Chat now.
func (w *world) expire(who string, other *chat.Chat) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.expired[who] = other
}

const asking = "X-Asking"

var people = []string{"jane", "bob", "eve"}

// newWorld starts everything in the process, so that it works on virtual time, too.
func newWorld(t testing.TB, opts chathttp.Options, change ...func(*chat.Options)) *world {
	t.Helper()
	w := &world{Server: fliplettest.New(t, fliplettest.InProcess()), t: t, ids: map[string]int64{}, chats: map[string]*chat.Chat{}, net: newNetwork(), expired: map[string]*chat.Chat{}}
	var rows []datasource.M
	for _, name := range people {
		rows = append(rows, datasource.M{"Email": name + "@example.org", "Full name": strings.ToUpper(name[:1]) + name[1:], "password": "secret of " + name})
	}
	var ids []int64
	w.contacts, ids = w.AddContacts(rows...)
	for i, name := range people {
		w.ids[name] = ids[i]
		w.chats[name] = w.login(name, change...)
	}
	var err error
	w.handler, err = chathttp.New(func(r *http.Request) (*chat.Chat, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		name := r.Header.Get(asking)
		if other, ok := w.expired[name]; ok {
			return other, nil
		}
		if c := w.chats[name]; c != nil {
			return c, nil
		}
		return nil, chat.ErrNotLoggedIn
	}, opts)
	require.NoError(t, err)
	server := &http.Server{ // its limits of time are not those of streams
		Handler: http.StripPrefix("/chat", w.net.record(w.handler)), ReadTimeout: 20 * time.Second, WriteTimeout: 5 * time.Minute,
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(w.net)
	}()
	transport := &http.Transport{DialContext: w.net.dial}
	w.client = &http.Client{Transport: transport}
	t.Cleanup(func() {
		require.NoError(t, w.handler.Close())
		_ = server.Close()
		transport.CloseIdleConnections()
		w.net.cut()
		<-served
		for _, c := range w.chats {
			require.NoError(t, c.Shutdown(context.Background()))
		}
	})
	return w
}

func (w *world) login(name string, change ...func(*chat.Options)) *chat.Chat {
	w.t.Helper()
	opts := chat.Options{Client: w.Client(), DataSourceID: w.contacts, AppID: w.AppID, PrimaryKey: "Email", EncryptMessages: true}
	for _, c := range change {
		c(&opts)
	}
	c, err := chat.Connect(context.Background(), opts)
	require.NoError(w.t, err)
	_, err = c.Login(context.Background(), chat.M{"Email": name + "@example.org"})
	require.NoError(w.t, err)
	return c
}

// request makes a request of a person's page.
func (w *world) request(who, method, path, body string, change ...func(*http.Request)) (*http.Response, []byte) {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), method, "http://chat.example.org/chat/"+path, strings.NewReader(body))
	require.NoError(w.t, err)
	r.Header.Set(asking, who)
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Origin", "http://chat.example.org")
	}
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	for _, c := range change {
		c(r)
	}
	res, err := w.client.Do(r)
	require.NoError(w.t, err)
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	require.NoError(w.t, err)
	return res, raw
}

// call calls a method, and decodes what it returns into out.
func (w *world) call(who, method string, out any, args ...any) {
	w.t.Helper()
	raw, err := json.Marshal(append([]any{}, args...))
	require.NoError(w.t, err)
	res, body := w.request(who, http.MethodPost, "call/"+method, string(raw))
	require.Equal(w.t, http.StatusOK, res.StatusCode, "%s: %s", method, body)
	if out != nil {
		require.NoError(w.t, json.Unmarshal(body, out), "%s: %s", method, body)
	}
}

// refused calls a method that fails.
func (w *world) refused(who, method string, args ...any) (status int, message string) {
	w.t.Helper()
	raw, err := json.Marshal(append([]any{}, args...))
	require.NoError(w.t, err)
	res, body := w.request(who, http.MethodPost, "call/"+method, string(raw))
	var told struct {
		Code, Status int
		Message      string
	}
	require.NoError(w.t, json.Unmarshal(body, &told), "%s: %s", method, body)
	require.Equal(w.t, res.StatusCode, told.Status)
	require.NotZero(w.t, told.Code)
	require.NotEmpty(w.t, told.Message)
	return told.Status, told.Message
}

// converse makes a conversation.
func (w *world) converse(who string, names ...string) *chat.Conversation {
	w.t.Helper()
	var ids []int64
	for _, name := range names {
		ids = append(ids, w.ids[name])
	}
	conv, err := w.chats[who].Create(context.Background(), chat.NewConversation{Participants: ids})
	require.NoError(w.t, err)
	return conv
}

// event is an event of a stream.
type event struct{ kind, id, data string }

func (e event) message(t testing.TB) *chat.Message {
	t.Helper()
	m := &chat.Message{}
	require.NoError(t, json.Unmarshal([]byte(e.data), m), e.data)
	return m
}

// stream is a connection of a page's stream.
type stream struct {
	t      testing.TB
	res    *http.Response
	lines  *bufio.Reader
	cancel context.CancelFunc
}

// open opens a stream after an event.
func (w *world) open(who, after, query string) *stream {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://chat.example.org/chat/stream?"+query, nil)
	require.NoError(w.t, err)
	r.Header.Set(asking, who)
	if after != "" {
		r.Header.Set("Last-Event-ID", after)
	}
	res, err := w.client.Do(r)
	require.NoError(w.t, err)
	s := newStream(w.t, res)
	s.cancel = cancel
	w.t.Cleanup(s.close)
	return s
}

func newStream(t testing.TB, res *http.Response) *stream {
	return &stream{t: t, res: res, lines: bufio.NewReader(res.Body), cancel: func() {}}
}

func (s *stream) close() {
	s.cancel()
	_ = s.res.Body.Close()
}

// next is the next event. It reports false when the connection is over.
func (s *stream) next() (e event, ok bool) {
	for {
		line, err := s.lines.ReadString('\n')
		if err != nil {
			return e, false
		}
		line = strings.TrimSuffix(line, "\n")
		name, value, _ := strings.Cut(line, ": ")
		switch name {
		case "event":
			e.kind = value
		case "id":
			e.id = value
		case "data":
			e.data = value
		case "":
			if e.data != "" {
				return e, true
			}
		}
	}
}

// want is the next event of a kind.
func (s *stream) want(kind string) event {
	s.t.Helper()
	e, ok := s.next()
	require.True(s.t, ok, "the stream has ended, want %q", kind)
	require.Equal(s.t, kind, e.kind, e.data)
	return e
}

// network carries connections within the process. What was written and not read is lost
// when it is cut, as what lies in the buffers of a machine.
type network struct {
	dialled chan net.Conn
	closed  chan struct{}
	conns   *conns

	mu   sync.Mutex
	urls []string
}

// record keeps the addresses that are asked for.
func (n *network) record(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.mu.Lock()
		n.urls = append(n.urls, r.URL.String())
		n.mu.Unlock()
		h.ServeHTTP(w, r)
	})
}

func (n *network) requested() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]string(nil), n.urls...)
}

func newNetwork() *network {
	return &network{dialled: make(chan net.Conn), closed: make(chan struct{}), conns: &conns{}}
}

func (n *network) Accept() (net.Conn, error) {
	select {
	case c := <-n.dialled:
		return c, nil
	case <-n.closed:
		return nil, net.ErrClosed
	}
}

func (n *network) Close() error {
	select {
	case <-n.closed:
	default:
		close(n.closed)
	}
	return nil
}

func (n *network) Addr() net.Addr { return &net.IPAddr{} }

func (n *network) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	mine, theirs := n.conns.pair()
	select {
	case n.dialled <- theirs:
		return mine, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-n.closed:
		return nil, net.ErrClosed
	}
}

// cut breaks all connections.
func (n *network) cut() { n.conns.cut() }

// cuts counts the connections that were cut.
func (n *network) cuts() int {
	n.conns.mu.Lock()
	defer n.conns.mu.Unlock()
	return n.conns.cuts
}

func TestAPageTalksAndStreams(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, chathttp.Options{})
		conv := w.converse("jane", "bob")
		s := w.open("bob", "", "")
		require.NotEmpty(t, s.want("open").id)
		var sent chat.Message
		w.call("jane", "message", &sent, conv.ID, map[string]any{"body": "Hello", "guid": "g1"})
		require.Equal(t, "Hello", sent.Body)
		e := s.want("")
		require.Equal(t, "Hello", e.message(t).Body)
		s.close()
		w.call("jane", "message", nil, conv.ID, map[string]any{"body": "again"})
		s = w.open("bob", e.id, "")
		require.Equal(t, "again", s.want("").message(t).Body)
	})
}

func TestFailuresAreRejections(t *testing.T) {
	t.Parallel()
	w := newWorld(t, chathttp.Options{})
	status, message := w.refused("jane", "conversations.get", 999999)
	require.Equal(t, http.StatusNotFound, status)
	require.Contains(t, message, "no such conversation")
	status, _ = w.refused("nobody", "user")
	require.Equal(t, http.StatusUnauthorized, status)
}
