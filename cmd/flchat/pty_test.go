//go:build linux

package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

// screen is flchat on a terminal.
type screen struct {
	t    testing.TB
	cmd  *exec.Cmd
	tty  *os.File
	done chan struct{} // closed when all has been read

	mu   sync.Mutex
	text strings.Builder
}

// onTerminal starts flchat on a terminal of a width. env comes after a plain environment.
func onTerminal(t testing.TB, width int, env []string, args ...string) *screen {
	t.Helper()
	path, err := program()
	require.NoError(t, err)
	s := &screen{t: t, cmd: exec.CommandContext(t.Context(), path, args...), done: make(chan struct{})}
	s.cmd.Env = append([]string{"TERM=xterm-256color", "TZ=UTC", "HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH")}, env...)
	s.tty, err = pty.StartWithSize(s.cmd, &pty.Winsize{Rows: 24, Cols: uint16(width)})
	require.NoError(t, err)
	go func() {
		defer close(s.done)
		buf := make([]byte, 4096)
		for {
			n, err := s.tty.Read(buf)
			s.mu.Lock()
			s.text.Write(buf[:n])
			s.mu.Unlock()
			if err != nil { // EIO, when the program has ended
				return
			}
		}
	}()
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
		s.tty.Close()
		<-s.done
	})
	return s
}

func (s *screen) raw() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.ReplaceAll(s.text.String(), "\r\n", "\n")
}

// waitFor waits until a text is on the screen.
func (s *screen) waitFor(text string) {
	s.t.Helper()
	require.Eventually(s.t, func() bool { return strings.Contains(s.raw(), text) }, patience, 5*time.Millisecond, "%q does not come", text)
}

func (s *screen) press(keys string) {
	s.t.Helper()
	_, err := s.tty.WriteString(keys)
	require.NoError(s.t, err)
}

// end waits for the program, and returns its status and everything that it wrote.
func (s *screen) end() (int, string) {
	s.t.Helper()
	ended := make(chan error, 1)
	go func() { ended <- s.cmd.Wait() }()
	select {
	case <-ended:
	case <-time.After(patience):
		s.t.Fatalf("it does not end; so far it has said:\n%s", s.raw())
	}
	select {
	case <-s.done:
	case <-time.After(patience):
		s.t.Fatal("the terminal stays open")
	}
	return s.cmd.ProcessState.ExitCode(), s.raw()
}

var (
	escapes = regexp.MustCompile("\x1b\\[[0-9]*m") // the ones that flchat writes
	ports   = regexp.MustCompile(`127\.0\.0\.1:[0-9]+`)
)

// readable shows escape sequences, and takes out what differs from run to run.
func readable(text string) string {
	return ports.ReplaceAllString(strings.ReplaceAll(text, "\x1b", "<ESC>"), "127.0.0.1:PORT")
}

// TestScreens compares what is on a terminal with what it should be.
func TestScreens(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		width int
		args  []string
		env   string
		code  int
	}{
		{"tail", 80, []string{"tail", "--no-follow"}, "", 0},
		{"tail-narrow", 32, []string{"tail", "--no-follow"}, "", 0},
		{"tail-no-color", 80, []string{"tail", "--no-follow"}, "NO_COLOR=1", 0},
		{"tail-dumb", 80, []string{"tail", "--no-follow", "-n", "1"}, "TERM=dumb", 0},
		{"tail-tokyo", 80, []string{"tail", "--no-follow", "-n", "1"}, "TZ=Asia/Tokyo", 0},
		{"tail-of-a-conversation", 80, []string{"tail", "--no-follow", "-c", "102", "-n", "2"}, "", 0},
		{"unread", 80, []string{"unread"}, "", 0},
		{"conversations", 80, []string{"conversations"}, "", 0},
		{"conversations-narrow", 40, []string{"conversations"}, "", 0},
		{"contacts", 80, []string{"contacts"}, "", 0},
		{"contacts-narrow", 30, []string{"contacts"}, "", 0},
		{"doctor", 80, []string{"doctor"}, "", 2},
		{"doctor-narrow", 36, []string{"doctor", "--no-color"}, "", 2},
		{"mistake", 80, []string{"tail", "--since", "yesterday"}, "", 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t).chatter()
			args := append(tt.args, w.flags()...)
			if strings.HasPrefix(tt.name, "doctor") { // the clocks differ by weeks, and nobody is called so
				w.srv.ThawClock()
				args[len(args)-1] = "Email=nobody@example.org"
			}
			code, text := onTerminal(t, tt.width, []string{"FLIPLET_TOKEN=" + w.srv.Token, tt.env}, args...).end()
			assert.Equal(t, tt.code, code)
			for l := range strings.Lines(escapes.ReplaceAllString(text, "")) {
				assert.LessOrEqual(t, columns(strings.TrimSuffix(l, "\n")), tt.width, l)
			}
			if tt.env == "NO_COLOR=1" || tt.env == "TERM=dumb" || strings.HasSuffix(strings.Join(tt.args, " "), "--no-color") {
				assert.NotContains(t, text, "\x1b")
			}
			golden(t, tt.name, readable(text))
		})
	}
}

func TestTailFollowsUntilCtrlC(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.say(w.talk, "u-bob", "before")
	w.srv.ThawClock()
	s := onTerminal(t, 80, []string{"FLIPLET_TOKEN=" + w.srv.Token, "NO_COLOR=1"}, append([]string{"tail", "--poll", "100ms", "--reads"}, w.flags()...)...)
	s.waitFor("before")
	bob := w.person("bob@example.org")
	m, err := bob.Message(t.Context(), w.talk, chat.Draft{Body: "comes later"})
	require.NoError(t, err)
	s.waitFor("comes later")
	_, err = bob.UpdateMessage(t.Context(), w.talk, m.ID, chat.M{"body": "edited since"})
	require.NoError(t, err)
	s.waitFor(fmt.Sprintf("(edited message %d) edited since", m.ID))
	jane := w.person("jane@example.org")
	seen, err := jane.Unread().Get(t.Context())
	require.NoError(t, err)
	require.NoError(t, jane.MarkMessagesAsRead(t.Context(), seen...))
	s.waitFor(fmt.Sprintf("(message %d is read by Jane Doe)", m.ID))
	require.NoError(t, bob.DeleteMessage(t.Context(), w.talk, m.ID))
	s.waitFor(fmt.Sprintf("(deleted message %d)", m.ID))
	s.press("\x03")
	code, text := s.end()
	assert.Equal(t, 0, code)
	assert.Regexp(t, `stopped; to go on: flchat tail --poll 100ms --reads --url http:.* --as Email=jane@example.org --since 20\d\d-\d\d-\d\dT[0-9:.]+Z`, text)
	assert.Equal(t, 1, strings.Count(text, "comes later"))
	assert.Equal(t, 1, strings.Count(text, "before"), "what was there is not shown again when the stream begins with it")
}

func TestTailGoesOnAfterAnOutage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.say(w.talk, "u-bob", "before")
	w.srv.ThawClock()
	s := onTerminal(t, 80, []string{"FLIPLET_TOKEN=" + w.srv.Token, "NO_COLOR=1"}, append([]string{"tail", "--poll", "100ms"}, w.flags()...)...)
	s.waitFor("before")
	lever := w.srv.Always(fliplettest.AnyRead, fliplettest.Status(501))
	s.waitFor("trying again")
	lever.Off()
	w.srv.AddRows(w.talk, datasourceRow("body", "after the outage", "fromUserId", "u-bob", "conversationId", w.talk))
	s.waitFor("after the outage")
	s.press("\x03")
	code, text := s.end()
	assert.Equal(t, 0, code)
	assert.Equal(t, 1, strings.Count(text, "trying again"), "it is not said again and again")
}

func TestCtrlCEndsEveryQuestionAndEveryWait(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	end := make(chan struct{})
	var asked = map[string]*atomic.Int64{}
	serve := func(h http.HandlerFunc) *httptest.Server {
		n := new(atomic.Int64)
		srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { n.Add(1); h(rw, r) }))
		asked[srv.URL] = n
		t.Cleanup(srv.Close)
		return srv
	}
	hangs := serve(func(_ http.ResponseWriter, _ *http.Request) { <-end })
	down := serve(func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusServiceUnavailable) })
	t.Cleanup(func() { close(end) }) // before the servers
	for name, tt := range map[string]struct {
		args []string
		wait string
		env  string
	}{
		"the token":             {[]string{"unread"}, "it is not shown", ""},
		"standard input":        {[]string{"send", "-c", fmt.Sprint(w.talk)}, "Ctrl-D", "FLIPLET_TOKEN=" + w.srv.Token},
		"a server that hangs":   {[]string{"conversations", "--url", hangs.URL}, "", "FLIPLET_TOKEN=" + w.srv.Token},
		"a server that is down": {[]string{"conversations", "--url", down.URL}, "", "FLIPLET_TOKEN=" + w.srv.Token},
		"the local server":      {[]string{"local", "-addr", "127.0.0.1:0"}, "fliplet-local: http", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := tt.args
			if args[0] != "local" { // what is given last counts
				args = append(append([]string{args[0]}, w.flags()...), args[1:]...)
			}
			s := onTerminal(t, 80, []string{tt.env}, args...)
			s.waitFor(tt.wait)
			if tt.wait == "" {
				require.Eventually(t, func() bool { return asked[args[len(args)-1]].Load() > 0 }, patience, time.Millisecond)
			}
			s.press("\x03")
			code, text := s.end()
			if args[0] == "local" {
				assert.Equal(t, 0, code, text)
				return
			}
			assert.Equal(t, exitInterrupted, code, text)
			assert.Contains(t, text, "interrupted")
		})
	}
}

func TestATokenThatIsTypedIsNotShown(t *testing.T) {
	t.Parallel()
	w := newWorld(t).chatter()
	s := onTerminal(t, 80, nil, append([]string{"unread", "--count"}, w.flags()...)...)
	s.waitFor("it is not shown")
	// The question comes before the terminal stops to show what is typed.
	require.Eventually(t, func() bool { return !echoes(t, s.tty) }, patience, time.Millisecond)
	s.press(canaryToken + "\n")
	code, text := s.end()
	assert.Equal(t, 0, code)
	assert.Contains(t, text, "3\n")
	assert.NotContains(t, text, "canary")
}

func TestAMessageIsTypedOnATerminal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := onTerminal(t, 80, []string{"FLIPLET_TOKEN=" + w.srv.Token}, append([]string{"send", "-c", fmt.Sprint(w.talk)}, w.flags()...)...)
	s.waitFor("Ctrl-D")
	s.press("first line\nsecond line\n\x04")
	code, text := s.end()
	assert.Equal(t, 0, code)
	assert.Regexp(t, `Message \d+ was sent to Bob Roe\.`, text)
	rows := w.srv.Rows(w.talk)
	require.Len(t, rows, 1)
	assert.Equal(t, "first line\nsecond line", rows[0].Data["body"])
}

// TestNothingThatOthersWriteMovesTheTerminal plants sequences that retitle a window, clear it,
// answer with text, hide or turn round what follows.
func TestNothingThatOthersWriteMovesTheTerminal(t *testing.T) {
	t.Parallel()
	evil := "a\x1b]0;owned\x07b\x1b[2Jc\u009b31md\r\x08e\u202egnp.exe\u2066f\x7fg\x1bPq\x1b\\\u2028h\x00"
	w := newWorld(t)
	w.srv.AddRows(w.contacts, datasourceRow("Email", evil+"@example.org", "Full name", "Mallory "+evil, "flUserId", "u-"+evil))
	w.srv.AddDataSource(map[string]any{"name": "Talk " + evil, "type": "conversation", "definition": map[string]any{"participants": []string{"u-jane", "u-" + evil}}})
	w.say(w.talk, "u-"+evil, evil)
	w.say(w.talk, "u-bob", "two\r\nlines\n12:00  Bob Roe  not a line of its own")
	w.srv.AddRows(w.talk, datasourceRow("body", "x", "fromUserId", "u-bob", "file", []any{"https://example.org/" + evil}))
	for _, args := range [][]string{
		{"tail", "--no-follow"}, {"tail", "--no-follow", "-o", "json"}, {"unread"}, {"conversations"}, {"conversations", "-o", "json"}, {"contacts"}, {"contacts", "-o", "json"},
		{"doctor", "--primary-key", evil[:2] + "\u009b2J"}, {"doctor", "-o", "json"}, {"tail", "--since", evil[:20]},
	} {
		for _, width := range []int{80, 30} {
			_, text := onTerminal(t, width, []string{"FLIPLET_TOKEN=" + w.srv.Token}, append(args, w.flags()...)...).end()
			require.NotEmpty(t, text)
			for _, r := range escapes.ReplaceAllString(text, "") {
				assert.False(t, r != '\n' && obeyed(r), "%v writes %U:\n%q", args, r, text)
			}
			if args[0] == "tail" && width == 80 && len(args) == 2 {
				assert.Contains(t, escapes.ReplaceAllString(text, ""), "\n                       12:00  Bob Roe  not a line", "it is indented, so it is part of the message")
			}
		}
	}
}

func TestAnInterruptEndsATailInAPipe(t *testing.T) {
	t.Parallel()
	w := newWorld(t).chatter()
	path, err := program()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), path, append([]string{"tail"}, w.flags()...)...)
	cmd.Env = append(os.Environ(), "FLIPLET_TOKEN="+w.srv.Token)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	var text strings.Builder
	buf := make([]byte, 4096)
	for strings.Count(text.String(), "\n") < 5 {
		n, err := out.Read(buf)
		text.Write(buf[:n])
		require.NoError(t, err)
	}
	require.NoError(t, cmd.Process.Signal(syscall.SIGINT))
	require.NoError(t, cmd.Wait(), "status 0")
	assert.Len(t, result{out: text.String()}.objects(t), 5)
	assert.NotContains(t, text.String(), "\x1b")
}
