package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestMain is also the process with the chats, as the program itself is.
func TestMain(m *testing.M) {
	if os.Getenv(serverVariable) != "" {
		if err := serve(context.Background(), os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// started runs the program and returns the line that it prints.
func started(t *testing.T) string {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	read, write := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, []string{"-addr", "127.0.0.1:0"}, env{get: func(string) string { return "" }, in: strings.NewReader(""), out: write, errs: io.Discard})
		write.CloseWithError(err)
		ended <- err
	}()
	lines := bufio.NewReader(read)
	line, err := lines.ReadString('\n')
	require.NoError(t, err)
	t.Cleanup(func() {
		cancel()
		rest, _ := io.ReadAll(lines)
		require.NoError(t, <-ended)
		assert.Empty(t, string(rest), "one line is all that it prints")
	})
	return strings.TrimSpace(line)
}

// ask makes a request and returns the answer's status and body.
func ask(t *testing.T, method, url, body string, header ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
		if header[i] == "Host" {
			req.Host = header[i+1]
		}
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(raw)
}

func TestThePageGoesOnWhenTheServerBehindItIsKilled(t *testing.T) {
	t.Parallel()
	site := started(t)
	user := func() string {
		status, body := ask(t, "POST", site+"chat/jane/call/user", "[]")
		require.Equal(t, http.StatusOK, status, body)
		return body
	}
	before := user()
	assert.Contains(t, before, "jane@example.org")
	assert.NotContains(t, before, "flUserToken")

	// A message that is sent again with its GUID after a restart is there once.
	var list []struct{ ID int64 }
	_, body := ask(t, "POST", site+"chat/jane/call/conversations", "[]")
	require.NoError(t, json.Unmarshal([]byte(body), &list))
	require.NotEmpty(t, list)
	call := fmt.Sprintf(`[%d,{"body":"once","guid":"0c0ffee0-0000-4000-8000-000000000001"}]`, list[0].ID)
	var ids [2]struct{ ID int64 }
	for i := range ids {
		status, body := ask(t, "POST", site+"chat/jane/call/message", call)
		require.Equal(t, http.StatusOK, status, body)
		require.NoError(t, json.Unmarshal([]byte(body), &ids[i]))
		status, body = ask(t, "POST", site+"lab/restart", "{}")
		require.Equal(t, http.StatusNoContent, status, body)
	}
	assert.Equal(t, ids[0], ids[1])
	assert.Equal(t, before, user(), "the same person")
	_, body = ask(t, "GET", site+"lab/state", "")
	assert.Contains(t, body, `"restarts":2`)
	assert.Contains(t, body, `"up":true`)
}

func TestPagesLoadNothingFromElsewhere(t *testing.T) {
	t.Parallel()
	f := newFront(&world{}, nil, slog.New(slog.DiscardHandler))
	total := 0
	for name, p := range f.pages {
		total += len(p.text)
		text := strings.NewReplacer("http://www.w3.org/2000/svg", "", `/(https?:\/\/`, "").Replace(string(p.text))
		assert.NotRegexp(t, `https?://[a-z]`, text, name)
		assert.NotEmpty(t, p.kind, name)
		assert.NotRegexp(t, `(innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\()`, text, "%s: what people write must not become markup", name)
	}
	assert.LessOrEqual(t, total, 200<<10, "bytes of all files; a browser gets headers beside them")
}

func TestStrangersAreRefused(t *testing.T) {
	t.Parallel()
	site := started(t)
	for name, tc := range map[string]struct {
		method, path, body string
		header             []string
		want               int
	}{
		"another name of this machine":      {"GET", "", "", []string{"Host", "evil.example"}, http.StatusForbidden},
		"a page of another origin restarts": {"POST", "lab/restart", "{}", []string{"Origin", "https://evil.example"}, http.StatusForbidden},
		"a page of another origin sends":    {"POST", "chat/jane/call/message", "[]", []string{"Origin", "https://evil.example"}, http.StatusForbidden},
		"a page of another origin listens":  {"GET", "chat/jane/stream", "", []string{"Sec-Fetch-Site", "cross-site"}, http.StatusForbidden},
		"nobody":                            {"POST", "chat/nobody/call/user", "[]", nil, http.StatusNotFound},
		"the bot has no page":               {"POST", "chat/robo/call/user", "[]", nil, http.StatusNotFound},
		"faults out of range":               {"POST", "lab/faults", `{"lose":51,"where":"both"}`, nil, http.StatusBadRequest},
		"faults nowhere":                    {"POST", "lab/faults", `{"lose":1}`, nil, http.StatusBadRequest},
		"faults that are none":              {"POST", "lab/faults", `{"burn":1}`, nil, http.StatusBadRequest},
		"faults of another type":            {"POST", "lab/faults", `{"lose":"x","where":"both"}`, nil, http.StatusBadRequest},
		"a report that is none":             {"POST", "lab/report", `[]`, nil, http.StatusBadRequest},
		"a file that is none":               {"GET", "main.go", "", nil, http.StatusNotFound},
	} {
		status, body := ask(t, tc.method, site+tc.path, tc.body, tc.header...)
		assert.Equal(t, tc.want, status, "%s: %s", name, body)
		assert.NotRegexp(t, `\bGo\b|main\.|json:|int64|struct`, body, name)
	}
}

func TestUnusableOptionsAreRefusedBeforeAnythingStarts(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		args  []string
		token string
		want  string
	}{
		"an argument":         {[]string{"jane"}, "", `"jane": webchat takes flags only`},
		"contacts, no token":  {[]string{"-contacts", "7", "-as", "a"}, "", "FLIPLET_TOKEN: not set"},
		"a token, no id":      {[]string{"-token", "eu--x", "-as", "a"}, "", "-contacts: 0 is not an id"},
		"nobody":              {[]string{"-contacts", "7", "-as", " , "}, "eu--x", "-as: names nobody"},
		"all of the network":  {[]string{"-addr", ":8099"}, "", "can be reached by others"},
		"another machine":     {[]string{"-addr", "192.0.2.1:80"}, "", "can be reached by others"},
		"no port":             {[]string{"-addr", "localhost"}, "", "is no host and port"},
		"a name, not a local": {[]string{"-addr", "example.org:80"}, "", "can be reached by others"},
	} {
		get := func(name string) string { return map[string]string{"FLIPLET_TOKEN": tc.token}[name] }
		err := run(t.Context(), tc.args, env{get: get, in: strings.NewReader("yes\n"), out: io.Discard, errs: io.Discard})
		assert.ErrorContains(t, err, tc.want, name)
	}
}

// output is what a program prints, while it does.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

func TestAnAccountIsLeftAloneWithoutAYes(t *testing.T) {
	t.Parallel()
	asked := false
	server := newListener(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	for _, answer := range []string{"", "no\n", "\n"} {
		var out, errs output
		err := run(t.Context(), []string{"-contacts", "7", "-as", "jane@example.org", "-api", server}, env{
			get: func(string) string { return "eu--canary" }, in: strings.NewReader(answer), out: &out, errs: &errs,
		})
		require.ErrorContains(t, err, "nothing was written")
		assert.Contains(t, errs.String(), "data source 7")
		assert.NotContains(t, errs.String(), "canary")
		assert.Empty(t, out.String())
	}
	assert.False(t, asked)
}

// TestAnAccountIsUsedAfterAYes takes another local Fliplet for the account.
func TestAnAccountIsUsedAfterAYes(t *testing.T) {
	t.Parallel()
	w, err := newLocalWorld(t.Context())
	require.NoError(t, err)
	defer w.close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var errs output
	read, write := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		args := []string{"-addr", "127.0.0.1:0", "-contacts", fmt.Sprint(w.config.Contacts), "-as", "jane@example.org, BOB@example.org", "-api", w.config.URL}
		ended <- run(ctx, args, env{get: func(string) string { return w.config.Token }, in: strings.NewReader("yes\n"), out: write, errs: &errs})
		write.Close()
	}()
	line, err := bufio.NewReader(read).ReadString('\n')
	require.NoError(t, err, errs.String())
	site := strings.TrimSpace(line)
	status, body := ask(t, "POST", site+"chat/2/call/user", "[]")
	require.Equal(t, http.StatusOK, status, body)
	assert.Contains(t, body, "Bob Roe")
	status, body = ask(t, "POST", site+"lab/faults", `{"where":"both","lose":10}`)
	assert.Equal(t, http.StatusBadRequest, status, body)
	_, body = ask(t, "GET", site+"lab/setup", "")
	assert.NotContains(t, body, w.config.Token)
	cancel()
	require.NoError(t, <-ended)
}

func TestTheBotAnswersTheSameToTheSameQuestion(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 5, 4, 12, 30, 0, 0, time.UTC)
	for text, want := range map[string]string{
		"/sum 1 2 3": "That is 6", "/sum 0.1 0.2": "That is 0.3", "/sum": "That is 0", "/sum -1 x": `"x" is no number that I can add`,
		"/sum 1e999999999": `"1e999999999" is no number that I can add`, "/time": "It was 12:30:00 UTC when you asked ⏰",
		"hello robo": "👋", "/fly": "I do not know /fly. Try /help",
	} {
		got, ok := reply(text, 7, at)
		assert.True(t, ok, text)
		assert.Equal(t, want, got, text)
	}
	one, _ := reply("/roll", 7, at)
	other, _ := reply("/roll", 7, at.Add(time.Hour))
	assert.Equal(t, one, other)
	for _, text := range []string{"", "  ", "hello"} {
		_, ok := reply(text, 7, at)
		assert.False(t, ok, text)
	}
}

func newListener(t *testing.T, h http.Handler) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}
