package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

func TestEveryMistakeSaysWhatToDo(t *testing.T) {
	w := newWorld(t)
	w.token(t)
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{}, "flchat -h says what there is"},
		{[]string{"tale"}, "unexpected argument tale"},
		{[]string{"tail", "--colour"}, "unknown flag --colour"},
		{[]string{"tail", "--token=eu--x"}, "unknown flag --token"},
		{[]string{"tail", "-n", "201"}, "-n: give a number from 0 to 200"},
		{[]string{"tail", "-n", "many"}, "flchat tail -h says what there is"},
		{[]string{"tail", "--since", "yesterday"}, "neither an age such as"},
		{[]string{"tail", "--since=-1h"}, "neither an age such as"},
		{[]string{"tail", "--count=-1"}, "--count: give a number above 0"},
		{[]string{"tail", "--poll", "1ms"}, "--poll: give 100ms or more"},
		{[]string{"tail", "-o", "xml"}, "--output must be one of"},
		{[]string{"tail", "--region", "mars"}, "--region must be one of"},
		{[]string{"tail", "--region", "us", "--url="}, "the token belongs to eu"},
		{[]string{"tail", "--url", "ftp://x"}, "--url or --region"},
		{[]string{"tail", "--contacts", "0"}, "--contacts: give the id"},
		{[]string{"tail", "--contacts", "999"}, "Check the id"},
		{[]string{"tail", "--as", ""}, "--as: say who you are"},
		{[]string{"tail", "--as", "jane"}, "--as: say who you are"},
		{[]string{"tail", "--as", "Email="}, "--as: say who you are"},
		{[]string{"tail", "--as", "Email=x@example.org"}, "Nobody in the contacts matches --as"},
		{[]string{"tail", "-c", "999"}, "flchat conversations lists"},
		{[]string{"tail", "--token-file", filepath.Join(dir, "none")}, "--token-file: open "},
		{[]string{"tail", "--token-file", file("empty", " \n")}, "is empty; write the token into it"},
		{[]string{"tail", "--token-file", file("huge", strings.Repeat("x", maxSmallFile+1))}, "is larger than"},
		{[]string{"tail", "--token-file", file("bad", "eu--a b\x01")}, "the token from"},
		{[]string{"tail", "--config", filepath.Join(dir, "none")}, "--config: open "},
		{[]string{"tail", "--config", file("c1", "token = x")}, "write a JSON object such as"},
		{[]string{"tail", "--config", file("c2", `{"contact": 1}`)}, `there is no setting "contact"; there are app, as, contacts,`},
		{[]string{"tail", "--config", file("c3", `{"contacts": [1]}`)}, "has to be a text, a number, true or false"},
		{[]string{"tail", "--config", file("c4", `{"contacts": 1} trailing`)}, "there is something behind the object, at byte "},
		{[]string{"tail", "--config", file("c5", `{"contacts": 1}{}`)}, "there is something behind the object, at byte "},
		{[]string{"tail", "--config", file("c6", "null")}, "write a JSON object such as"},
		{[]string{"send", "hello"}, "missing flags: --conversation"},
		{[]string{"send", "-c", "0", "hello"}, "-c: give the id"},
		{[]string{"send", "-c", "102"}, "there is nothing to send"},
		{[]string{"send", "-c", "102", "  "}, "there is nothing to send"},
		{[]string{"send", "-c", "102", "\xff"}, "is no UTF-8 text"},
		{[]string{"send", "-c", "102", "--guid", "1", "hello"}, "--guid: give a UUID such as"},
		{[]string{"send", "-c", "102", "--file", filepath.Join(dir, "none")}, "--file: open "},
		{[]string{"send", "-c", "102", "--file", dir}, "is no file"},
		{[]string{"send", "-c", "999", "hello"}, "flchat conversations lists"},
		{[]string{"completion", "tcsh"}, "must be one of"},
	} {
		args := tt.args
		if len(args) > 1 && args[0] != "completion" { // what is said later counts
			args = append(append([]string{args[0]}, w.flags()...), args[1:]...)
		}
		r := callWith(t, strings.NewReader(""), args...)
		assert.Equal(t, exitUsage, r.code, "%v: %s", tt.args, r.errs)
		assert.Contains(t, r.errs, tt.want, "%v", tt.args)
		assert.Empty(t, r.out, "%v", tt.args)
	}
	t.Setenv("FLIPLET_CONTACTS", "many")
	r := callWith(t, nil, "tail")
	assert.Equal(t, exitUsage, r.code)
	assert.Contains(t, r.errs, "FLIPLET_CONTACTS: give a number")
	t.Setenv("FLIPLET_TOKEN", "")
	r = callWith(t, nil, "tail", "--contacts", "1")
	assert.Equal(t, exitUsage, r.code)
	assert.Contains(t, r.errs, "no token: put it into FLIPLET_TOKEN")
}

func TestFailuresOfTheServiceHaveAStatusOfTheirOwn(t *testing.T) {
	w := newWorld(t).chatter()
	w.token(t)
	closed, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	closed.Close()
	all := [][]string{{"tail"}, {"unread"}, {"conversations"}, {"contacts"}, {"send", "-c", "102", "hello"}, {"doctor"}}
	for _, args := range all {
		r := callWith(t, nil, append(append([]string{args[0]}, append(w.flags(), "--url", "http://"+closed.Addr().String())...), args[1:]...)...)
		assert.Equal(t, exitService, r.code, "%v: %s", args, r.errs)
		assert.Contains(t, r.errs+r.out, "check the network", "%v", args)
	}
	lever := w.srv.Always(fliplettest.AnyRoute, fliplettest.Status(501))
	for _, args := range all {
		assert.Equal(t, exitService, w.call(args...).code, "%v", args)
	}
	lever.Off()
	w.srv.RevokeToken(w.srv.Token)
	r := w.call("tail")
	assert.Equal(t, exitUsage, r.code)
	assert.Contains(t, r.errs, "make a new one in Fliplet Studio")
}

func TestStatusOfErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		err  error
		want int
	}{
		{nil, 0}, {usagef("x"), 2}, {fmt.Errorf("x: %w", usagef("y")), 2}, {errors.New("disk full"), 1}, {exitError(7), 7},
		{context.Canceled, 130}, {fmt.Errorf("x: %w", context.DeadlineExceeded), 3}, {chat.ErrOffline, 3}, {chat.ErrContactNotFound, 2},
		{&datasource.Error{StatusCode: 401}, 2}, {&datasource.Error{StatusCode: 403}, 2}, {&datasource.Error{StatusCode: 500}, 3}, {&datasource.Error{StatusCode: 418}, 3},
	} {
		assert.Equal(t, tt.want, status(tt.err), "%v", tt.err)
	}
}

func TestSettingsComeFromFlagsThenTheEnvironmentThenTheFile(t *testing.T) {
	w := newWorld(t).chatter()
	path := filepath.Join(t.TempDir(), "config.json")
	write := func(contacts int64, more string) {
		require.NoError(t, os.WriteFile(path, fmt.Appendf(nil, `{"token": %q, "url": %q, "contacts": %d, "as": "Email=jane@example.org"%s}`, w.srv.Token, w.srv.URL, contacts, more), 0o600))
	}
	t.Setenv("FLCHAT_CONFIG", path)
	write(w.contacts, "")
	assert.Equal(t, "{\"unread\":3}\n", callWith(t, nil, "unread", "--count").out, "everything from the file")
	write(w.contacts, `, "output": "text"`)
	assert.Equal(t, "3\n", callWith(t, nil, "unread", "--count").out)
	t.Setenv("FLCHAT_OUTPUT", "json")
	assert.Equal(t, "{\"unread\":3}\n", callWith(t, nil, "unread", "--count").out, "the environment comes before the file")
	assert.Equal(t, "3\n", callWith(t, nil, "unread", "--count", "-o", "text").out, "flags come before both")
	write(999, "")
	assert.Equal(t, exitUsage, callWith(t, nil, "unread", "--count").code)
	t.Setenv("FLIPLET_CONTACTS", fmt.Sprint(w.contacts))
	assert.Equal(t, 0, callWith(t, nil, "unread", "--count").code)
	t.Setenv("FLIPLET_TOKEN", "eu--another")
	assert.Equal(t, exitUsage, callWith(t, nil, "unread", "--count").code, "the token of the environment, too")
	good := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(good, []byte(w.srv.Token+"\n"), 0o600))
	assert.Equal(t, 0, callWith(t, nil, "unread", "--count", "--token-file", good).code, "and the file that a flag names comes before that")
	t.Setenv("FLIPLET_TOKEN", "")
	for _, name := range []string{good, "token-beside"} { // a relative one is beside the configuration
		require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(path), "token-beside"), []byte(w.srv.Token), 0o600))
		require.NoError(t, os.WriteFile(path, fmt.Appendf(nil, `{"token-file": %q, "url": %q, "as": "Email=jane@example.org"}`, name, w.srv.URL), 0o600))
		assert.Equal(t, 0, callWith(t, nil, "unread", "--count").code)
	}
	write(w.contacts, "")
	assert.Equal(t, 0, callWith(t, nil, "unread", "-count").code, "one dash, as in Go's programs")
}

func TestLocalTakesNoSettingsOfAnAccount(t *testing.T) {
	for name, value := range map[string]string{
		"FLIPLET_TOKEN": "eu--another", "FLIPLET_AS": "Email=me@example.org", "FLIPLET_CONTACTS": "7", "FLIPLET_API_URL": "http://127.0.0.1:1",
		"FLIPLET_REGION": "us", "FLIPLET_APP_ID": "9", "FLIPLET_PRIMARY_KEY": "Phone", "FLCHAT_OUTPUT": "text",
	} {
		t.Setenv(name, value)
	}
	r := callWith(t, nil, "unread", "--local", "--as", "Email=bob@example.org")
	assert.Equal(t, 0, r.code, r.errs)
	assert.Contains(t, r.out, "See you at /, then.")
	r = callWith(t, nil, "doctor", "--local")
	assert.Contains(t, r.out, "11 green")
}

func TestFilesWithSecretsThatOthersCanReadAreNamed(t *testing.T) {
	w := newWorld(t)
	path := filepath.Join(t.TempDir(), "token")
	for mode, warns := range map[os.FileMode]bool{0o600: false, 0o400: false, 0o640: true, 0o604: true, 0o620: true} {
		os.Remove(path)
		require.NoError(t, os.WriteFile(path, []byte(w.srv.Token), 0o600))
		require.NoError(t, os.Chmod(path, mode))
		r := w.call("unread", "--token-file", path)
		assert.Equal(t, 0, r.code, r.errs)
		assert.Equal(t, warns, strings.Contains(r.errs, "chmod 600 "+path), "%o: %s", mode, r.errs)
		require.NoError(t, os.Chmod(path, 0o600))
		require.NoError(t, os.WriteFile(path, []byte(`{"contacts": 1}`), 0o600))
		require.NoError(t, os.Chmod(path, mode))
		r = w.call("unread", "--config", path)
		assert.Equal(t, warns, strings.Contains(r.errs, "chmod 600 "+path), "%o: %s", mode, r.errs)
	}
}

func TestPipesGetOneObjectALine(t *testing.T) {
	w := newWorld(t).chatter()
	w.token(t)
	for _, tt := range []struct {
		args  []string
		lines int
		keys  []string
	}{
		{[]string{"tail", "--no-follow"}, 5, []string{"event", "id", "conversationId", "conversation", "from", "sender", "body", "createdAt", "read"}},
		{[]string{"tail", "--count", "2"}, 2, nil},
		{[]string{"unread"}, 3, []string{"id", "body", "sender"}},
		{[]string{"unread", "-c", "103"}, 2, nil},
		{[]string{"unread", "--count"}, 1, []string{"unread"}},
		{[]string{"conversations"}, 2, []string{"id", "name", "participants", "members", "group", "channel", "muted"}},
		{[]string{"contacts"}, 3, []string{"id", "userId", "name", "key"}},
		{[]string{"contacts", "bob"}, 1, nil},
		{[]string{"send", "-c", "102", "hello", "there"}, 1, []string{"event", "id", "guid"}},
		{[]string{"doctor"}, 11, []string{"check", "status", "text"}},
	} {
		r := w.call(tt.args...)
		assert.Equal(t, 0, r.code, "%v: %s", tt.args, r.errs)
		assert.NotContains(t, r.out+r.errs, "\x1b")
		objects := r.objects(t)
		assert.Len(t, objects, tt.lines, "%v", tt.args)
		for _, o := range objects {
			for _, key := range tt.keys {
				assert.Contains(t, o, key, "%v", tt.args)
			}
		}
	}
	last := w.call("tail", "--no-follow", "-n", "1").objects(t)[0]
	assert.Equal(t, "hello there", last["body"])
	assert.Equal(t, "Jane Doe", last["sender"])
	assert.Equal(t, "Bob Roe", last["conversation"])
}

// TestTailSinceLeavesNothingOut has more messages of one moment than a page, and more than a page before.
func TestTailSinceLeavesNothingOut(t *testing.T) {
	w := newWorld(t)
	w.token(t)
	w.say(w.talk, "u-bob", "too old")
	w.srv.ShiftClock(time.Hour)
	since := w.srv.Now()
	add := func(n int) {
		var rows []datasource.M
		for i := range n {
			rows = append(rows, datasource.M{"body": fmt.Sprint("m", i), "fromUserId": "u-bob", "conversationId": w.talk})
		}
		w.srv.AddRows(w.talk, rows...)
	}
	add(450)
	w.srv.ShiftClock(time.Second)
	add(250)
	r := w.call("tail", "--no-follow", "--since", since.Format(time.RFC3339Nano))
	seen := map[any]bool{}
	for _, o := range r.objects(t) {
		seen[o["id"]] = true
	}
	assert.Len(t, seen, 700)
	assert.Len(t, r.objects(t), 700, "each once")
	assert.NotContains(t, r.out, "too old")
}

func TestSendTakesTextFromAnywhereAndArrivesOnce(t *testing.T) {
	w := newWorld(t)
	w.token(t)
	path := filepath.Join(t.TempDir(), "notes.txt")
	require.NoError(t, os.WriteFile(path, []byte("attached"), 0o600))
	guid := "0b0c1a52-97a5-4d3c-8b1a-3f0c1d2e4b5a"
	for _, tt := range []struct {
		args  []string
		stdin string
		body  any
	}{
		{[]string{"hello", "Bob"}, "", "hello Bob"},
		{[]string{`well, "hello", \n`}, "", `well, "hello", \n`},
		{[]string{"--", "-n", "is no flag"}, "", "-n is no flag"},
		{nil, "from a pipe\n  indented\n\n", "from a pipe\n  indented"},
		{[]string{"-"}, "the same", "the same"},
		{[]string{"--guid", guid, "once"}, "", "once"},
		{[]string{"--guid", guid, "once"}, "", "once"},
		{[]string{"--file", path}, "not read", nil},
	} {
		r := callWith(t, strings.NewReader(tt.stdin), append(append([]string{"send", "-c", fmt.Sprint(w.talk)}, w.flags()...), tt.args...)...)
		require.Equal(t, 0, r.code, r.errs)
		if tt.body != nil {
			assert.Equal(t, tt.body, r.objects(t)[0]["body"])
		} else {
			assert.Len(t, r.objects(t)[0]["files"], 1)
		}
	}
	assert.Len(t, w.srv.Rows(w.talk), 7, "the one with a GUID arrived once")
	r := callWith(t, strings.NewReader(""), append([]string{"send", "-c", fmt.Sprint(w.talk), "--encrypt", "-o", "text", "secret words"}, w.flags()...)...)
	assert.Equal(t, 0, r.code, r.errs)
	assert.Regexp(t, `^Message \d+ was sent to Bob Roe\.\n$`, r.out)
	rows := w.srv.Rows(w.talk)
	assert.NotContains(t, fmt.Sprint(rows[len(rows)-1].Data), "secret words", "it is stored encrypted")
	assert.Contains(t, w.call("tail", "--no-follow", "-n", "1").out, "secret words")
}

// TestAGUIDThatIsInUseIsRefused: sent with another text, the message would come beside the first one.
func TestAGUIDThatIsInUseIsRefused(t *testing.T) {
	w := newWorld(t)
	w.token(t)
	send := func(guid string, text ...string) result {
		return w.call(append([]string{"send", "-c", fmt.Sprint(w.talk), "--guid", guid}, text...)...)
	}
	guid := "0b0c1a52-97a5-4d3c-8b1a-3f0c1d2e4b5a"
	first := send(guid, "one", "thing")
	require.Equal(t, 0, first.code, first.errs)
	r := send(strings.ToUpper(guid), "another")
	assert.Equal(t, exitUsage, r.code)
	assert.Contains(t, r.errs, fmt.Sprintf("--guid: message %v has this id and another text; leave --guid out", first.objects(t)[0]["id"]))
	assert.Empty(t, r.out)
	assert.Len(t, w.srv.Rows(w.talk), 1)
	r = send(guid, "one", "thing", "--encrypt")
	assert.Equal(t, exitUsage, r.code)
	assert.Contains(t, r.errs, "is not encrypted; leave --encrypt out")
	require.Equal(t, 0, send(guid, "one", "thing").code)
	assert.Len(t, w.srv.Rows(w.talk), 1)
	sealed := "0b0c1a52-97a5-4d3c-8b1a-3f0c1d2e4b5c"
	for _, args := range [][]string{{"sealed", "--encrypt"}, {"sealed", "--encrypt"}, {"sealed"}} {
		require.Equal(t, 0, send(sealed, args...).code, args)
	}
	assert.Equal(t, exitUsage, send(sealed, "other", "--encrypt").code)
	assert.Len(t, w.srv.Rows(w.talk), 2, "what was encrypted is found, too")
	foreign := "0b0c1a52-97a5-4d3c-8b1a-3f0c1d2e4b5b"
	w.srv.AddRows(w.talk, datasource.M{"body": "of somebody else", "fromUserId": "u-bob", "conversationId": w.talk, "guid": foreign})
	assert.Equal(t, 0, send(foreign, "mine").code, "what others write is no reason")
}

func TestADoubtfulSendSaysHowToGoOn(t *testing.T) {
	w := newWorld(t)
	w.token(t)
	w.srv.Always(fliplettest.Insert, fliplettest.LoseAnswer())
	w.srv.After(2, 100, fliplettest.Query, fliplettest.Status(501)) // the login and the first look work
	r := w.call("send", "-c", fmt.Sprint(w.talk), "hello")
	assert.Equal(t, exitService, r.code, r.errs)
	assert.Regexp(t, `--guid [0-9a-f-]{36}`, r.errs)
}

func TestAFullDiskIsNoSuccess(t *testing.T) {
	w := newWorld(t).chatter()
	w.token(t)
	for _, args := range [][]string{{"tail", "--no-follow"}, {"tail", "--no-follow", "-o", "json"}, {"contacts", "-o", "text"}, {"doctor"}, {"man"}} {
		full := &brokenWriter{}
		var errs strings.Builder
		code := run(t.Context(), append(args, w.flags()...), nil, full, &errs)
		assert.Equal(t, exitOther, code, "%v", args)
		assert.Contains(t, errs.String(), "the output cannot be written: no space", "%v", args)
	}
}

func TestAMessageThatWasSentIsSaidToBeWhenTheOutputIsLost(t *testing.T) {
	w := newWorld(t).chatter()
	w.token(t)
	for _, output := range []string{"json", "text"} {
		var errs strings.Builder
		code := run(t.Context(), append([]string{"send", "-c", fmt.Sprint(w.talk), "-o", output, "hello"}, w.flags()...), nil, &brokenWriter{}, &errs)
		assert.Equal(t, exitOther, code, output)
		assert.Regexp(t, `the output cannot be written: no space; message \d+ was sent`, strings.Join(strings.Fields(errs.String()), " "), output)
	}
}

type brokenWriter struct{}

func (*brokenWriter) Write([]byte) (int, error) { return 0, errors.New("no space") }

func TestLocalIsFlipletLocal(t *testing.T) {
	t.Parallel()
	r := callWith(t, nil, "local", "-h")
	assert.Equal(t, 0, r.code)
	assert.Contains(t, r.errs, "-seed-demo")
	r = callWith(t, nil, "local", "-port", "1")
	assert.Equal(t, 2, r.code)
	assert.Contains(t, r.errs, "flag provided but not defined: -port")
}

// TestCommandsMakeFewRequests counts what docs/flchat.md says, for somebody who has logged in before.
func TestCommandsMakeFewRequests(t *testing.T) {
	w := newWorld(t).chatter()
	w.token(t)
	w.person("jane@example.org")
	for _, tt := range []struct {
		args []string
		want int
	}{
		{[]string{"doctor"}, 9}, {[]string{"tail", "--no-follow"}, 5}, {[]string{"send", "-c", "102", "hello"}, 6}, {[]string{"unread"}, 5},
		{[]string{"unread", "--count"}, 4}, {[]string{"conversations"}, 3}, {[]string{"contacts"}, 1},
	} {
		before := len(w.srv.Requests())
		assert.Equal(t, 0, w.call(tt.args...).code)
		assert.Equal(t, tt.want, len(w.srv.Requests())-before, "%v", tt.args)
	}
}
