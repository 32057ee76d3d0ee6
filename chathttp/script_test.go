package chathttp_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/chathttp"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

// stage is the server of testdata/story.js, which tells it what is to go wrong.
type stage struct {
	*world
	mu     sync.Mutex
	conns  map[net.Conn]bool
	front  *chathttp.Handler
	gone   bool // nobody is logged in
	down   bool
	ahead  bool // the clock of this server, before that of Fliplet
	lose   int  // answers of sends that are lost on their way to the page
	spoil  int  // answers that are spoiled, whatever they are to: how tells the way
	how    string
	levers []*fliplettest.Lever
}

func (s *stage) mount() *chathttp.Handler {
	h, err := chathttp.New(func(r *http.Request) (*chat.Chat, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		name, _, _ := strings.Cut(strings.TrimPrefix(r.RequestURI, "/"), "/")
		if c := s.chats[name]; c != nil && !s.gone {
			return c, nil
		}
		return nil, chat.ErrNotLoggedIn
	}, chathttp.Options{Calls: 100_000})
	require.NoError(s.t, err)
	return h
}

func (s *stage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if command, ok := strings.CutPrefix(r.URL.Path, "/control/"); ok {
		s.control(command)
		return
	}
	s.mu.Lock()
	front, down, ahead, how := s.front, s.down, s.ahead, ""
	if s.spoil > 0 && !down {
		s.spoil--
		how = s.how
	}
	s.mu.Unlock()
	if down {
		panic(http.ErrAbortHandler)
	}
	if ahead {
		w.Header().Set("Date", time.Now().Add(3*time.Minute).UTC().Format(http.TimeFormat))
	}
	if how == "portal" {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<html>Log in to the network</html>")
		return
	}
	name, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	lost := strings.HasSuffix(r.URL.Path, "/call/message") && s.loses()
	if lost {
		w = httptest.NewRecorder()
	}
	half := httptest.NewRecorder()
	if how == "half" {
		http.StripPrefix("/"+name, front).ServeHTTP(half, r)
		w.Header().Set("Content-Length", strconv.Itoa(half.Body.Len()))
		_, _ = w.Write(half.Body.Bytes()[:half.Body.Len()/2])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	http.StripPrefix("/"+name, front).ServeHTTP(w, r)
	if lost {
		panic(http.ErrAbortHandler)
	}
}

func (s *stage) loses() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lose--
	return s.lose >= 0
}

func (s *stage) control(command string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch command {
	case "faults":
		s.levers = append(s.levers, s.Sometimes(0.2, fliplettest.Insert, fliplettest.LoseAnswer()), s.Sometimes(0.03, fliplettest.AnyRead, fliplettest.Status(503)))
	case "lose":
		s.lose = 3
	case "calm":
		for _, l := range s.levers {
			l.Off()
		}
	case "cut":
		for c := range s.conns {
			_ = c.Close()
		}
	case "down":
		s.down = true
	case "up":
		s.down = false
	case "stop":
		s.down = true
		_ = s.front.Close()
	case "restart":
		s.down, s.front = false, s.mount()
	case "write":
		s.write("written", 300)
	case "together": // as read marks of many messages change them
		s.FreezeClock()
		s.write("together", 450)
		s.ThawClock()
	case "ahead":
		s.ahead = true
	case "portal", "half":
		s.spoil, s.how = 1, command
	case "forget":
		s.gone = true
		for c := range s.conns {
			_ = c.Close()
		}
	}
}

// write writes messages into Jane's conversation, each at a time of its own.
func (s *stage) write(text string, n int) {
	list, err := s.chats["jane"].Conversations(context.Background())
	if !assert.NoError(s.t, err) || !assert.NotEmpty(s.t, list) {
		return
	}
	rows := make([]datasource.M, n)
	for i := range rows {
		rows[i] = s.row("jane", list[0].ID, text+" "+strconv.Itoa(i))
	}
	s.AddRows(list[0].ID, rows...)
}

func (s *stage) connection(c net.Conn, state http.ConnState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch state {
	case http.StateNew:
		s.conns[c] = true
	case http.StateClosed, http.StateHijacked:
		delete(s.conns, c)
	}
}

func TestTheScriptOffersTheMethodsOfFlipletChat(t *testing.T) {
	t.Parallel()
	play(t, "testdata/story.js")
}

func TestTheScriptLosesNothingInBadNetworks(t *testing.T) {
	t.Parallel()
	play(t, "testdata/trouble.js")
}

// play runs a script in Node against a stage of its own.
func play(t *testing.T, script string) {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("there is no node to run chat.js")
	}
	s := &stage{world: newWorld(t, chathttp.Options{}, func(o *chat.Options) {
		o.LivePollInterval, o.PollInterval = 20*time.Millisecond, 50*time.Millisecond
	}), conns: map[net.Conn]bool{}}
	s.front = s.mount()
	server := httptest.NewUnstartedServer(s)
	server.Config.ConnState = s.connection
	server.Start()
	t.Cleanup(func() {
		assert.NoError(t, s.front.Close())
		server.Close()
	})
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, node, script, server.URL).CombinedOutput() //nolint:gosec // the test's own script
	require.NoError(t, err, "%s", out)
}

func TestTheScriptIsShortAndServed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, chathttp.Options{})
	res, body := w.request("nobody", http.MethodGet, "chat.js", "")
	assert.Equal(t, http.StatusOK, res.StatusCode, "it is no secret")
	assert.Equal(t, "text/javascript; charset=utf-8", res.Header.Get("Content-Type"))
	assert.Equal(t, string(chathttp.Script()), string(body))
	assert.Less(t, strings.Count(string(body), "\n"), 300)
	res, _ = w.request("nobody", http.MethodGet, "chat.js", "", func(r *http.Request) { r.Header.Set("If-None-Match", res.Header.Get("ETag")) })
	assert.Equal(t, http.StatusNotModified, res.StatusCode)
	res, _ = w.request("nobody", http.MethodPost, "chat.js", "")
	assert.Equal(t, http.StatusMethodNotAllowed, res.StatusCode)
}
