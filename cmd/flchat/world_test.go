package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

// program is flchat, built once for all tests as it is given away: one file, without cgo.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "flchat-")
	if err != nil {
		return "", err
	}
	builtIn = dir
	path := filepath.Join(dir, "flchat")
	cmd := exec.Command("go", "build", "-ldflags=-s -w", "-o", path, ".")
	cmd.Env = append(developer, "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

// developer is the environment before the tests change it, with the caches of the go command.
var developer = os.Environ()

var builtIn string // the directory of program, "" when no test needed it

func TestMain(m *testing.M) {
	for _, e := range os.Environ() { // what a developer has set is none of the tests' business
		if name, _, _ := strings.Cut(e, "="); strings.HasPrefix(name, "FLIPLET_") || strings.HasPrefix(name, "FLCHAT_") || name == "NO_COLOR" || name == "COLUMNS" {
			os.Unsetenv(name)
		}
	}
	home, err := os.MkdirTemp("", "flchat-home-")
	if err != nil {
		panic(err)
	}
	os.Setenv("HOME", home) //nolint:usetesting // for all tests
	os.Setenv("XDG_CONFIG_HOME", filepath.Join(home, ".config"))
	code := m.Run()
	os.RemoveAll(home)
	if builtIn != "" {
		os.RemoveAll(builtIn)
	}
	os.Exit(code)
}

// canaryToken and canaryKey must appear nowhere.
const (
	canaryToken = "eu--canary-token-5a1f"
	canaryKey   = "canary-key-77c2"
)

// world is a local Fliplet on which time stands still, with three people.
type world struct {
	t        testing.TB
	srv      *fliplettest.Server
	contacts int64
	talk     int64 // of Jane and Bob
	group    int64 // of all, with a name
}

var sixOClock = time.Date(2026, 1, 30, 18, 0, 0, 0, time.UTC)

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, srv: fliplettest.New(t, fliplettest.WithToken(canaryToken), fliplettest.WithSeed(1))}
	w.srv.FreezeClockAt(sixOClock)
	rules := []any{datasource.M{"type": []any{"select", "insert", "update", "delete"}, "allow": "all"}}
	w.contacts = w.srv.AddDataSource(datasource.M{
		"name": "People", "columns": []string{"Email", "Full name", "flUserId", "flUserToken"}, "accessRules": []any{datasource.M{"type": []any{"select", "update"}, "allow": "all"}},
		"entries": []any{
			datasource.M{"Email": "jane@example.org", "Full name": "Jane Doe", "flUserId": "u-jane"},
			datasource.M{"Email": "bob@example.org", "Full name": "Bob Roe", "flUserId": "u-bob"},
			datasource.M{"Email": "eve@example.org", "Full name": "Eve 伊芙 Moe-Longname", "flUserId": "u-eve"},
		},
	})
	w.talk = w.srv.AddDataSource(datasource.M{
		"name": "6f0d3a52-97a5-4d3c-8b1a-3f0c1d2e4b5a", "type": "conversation", "accessRules": rules,
		"definition": datasource.M{"participants": []string{"u-jane", "u-bob"}, "encryptionKey": canaryKey},
	})
	w.group = w.srv.AddDataSource(datasource.M{
		"name": "Launch of the Phoenix", "type": "conversation", "accessRules": rules,
		"definition": datasource.M{"participants": []string{"u-jane", "u-bob", "u-eve"}, "group": datasource.M{"public": false}},
	})
	return w
}

// say adds a message a minute later than the one before.
func (w *world) say(conversation int64, from, body string, readBy ...string) int64 {
	w.t.Helper()
	w.srv.ShiftClock(time.Minute)
	return w.srv.AddRows(conversation, datasource.M{
		"body": body, "fromUserId": from, "readBy": append([]string{from}, readBy...), "conversationId": conversation,
		"guid": fmt.Sprintf("00000000-0000-4000-8000-%012d", len(w.srv.Rows(conversation))),
	})[0]
}

// chatter is what the screens show.
func (w *world) chatter() *world {
	w.say(w.talk, "u-bob", "Hello Jane, are we ready for the launch?", "u-jane")
	w.say(w.talk, "u-jane", "Almost 👋")
	w.say(w.group, "u-eve", "A longer message, which has to be broken into several lines on most terminals, between its words where that is possible.\n\tAnd a second paragraph: 这是一条很长的消息没有空格所以必须在某处断开才能放进窄窄的终端里.")
	w.say(w.group, "u-bob", "The checklist is at https://example.org/a-very-long-address-without-any-space-that-is-wider-than-narrow-terminals/checklist")
	w.srv.ShiftClock(24 * time.Hour)
	w.say(w.talk, "u-bob", "Good morning!")
	return w
}

// flags are those of a command as Jane.
func (w *world) flags() []string {
	return []string{"--url", w.srv.URL, "--contacts", fmt.Sprint(w.contacts), "--as", "Email=jane@example.org"}
}

// person is a Chat of somebody in the world.
func (w *world) person(email string) *chat.Chat {
	w.t.Helper()
	c, err := chat.Connect(w.t.Context(), chat.Options{Client: w.srv.Client(), DataSourceID: w.contacts, PrimaryKey: "Email"})
	require.NoError(w.t, err)
	w.t.Cleanup(func() { c.Close() })
	_, err = c.Login(w.t.Context(), chat.M{"Email": email})
	require.NoError(w.t, err)
	return c
}

// result is how a call of flchat has ended.
type result struct {
	code      int
	out, errs string
}

// patience is for what will happen, on a machine that does much else.
const patience = 5 * time.Minute

// call runs flchat in this process, with pipes. The token is in the environment.
func (w *world) call(args ...string) result {
	w.t.Helper()
	return callWith(w.t, strings.NewReader(""), append(args, w.flags()...)...)
}

func callWith(t testing.TB, stdin io.Reader, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var out, errs bytes.Buffer
	code := run(ctx, args, stdin, &out, &errs)
	return result{code, out.String(), errs.String()}
}

// objects are the lines of an output, each of which has to be one JSON object.
func (r result) objects(t testing.TB) (out []map[string]any) {
	t.Helper()
	for l := range strings.Lines(r.out) {
		var o map[string]any
		require.NoError(t, json.Unmarshal([]byte(l), &o), l)
		out = append(out, o)
	}
	return out
}

func (w *world) token(t *testing.T) { t.Setenv("FLIPLET_TOKEN", w.srv.Token) }

// golden compares with a file in testdata. With FLCHAT_GOLDEN=write it writes the file.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".txt")
	if os.Getenv("GOLDEN") == "write" {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, []byte(got), 0o600))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, string(want), got, "GOLDEN=write go test writes the screens")
}

func datasourceRow(pairs ...any) map[string]any {
	row := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		row[pairs[i].(string)] = pairs[i+1]
	}
	return row
}
