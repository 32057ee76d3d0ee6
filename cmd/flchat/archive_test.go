package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

// chats is an app with a conversation, for the commands of archives.
type chats struct {
	t        *testing.T
	server   *fliplettest.Server
	contacts int64
	conv     int64
	config   string
}

func newChats(t *testing.T) *chats {
	c := &chats{t: t, server: fliplettest.New(t), config: filepath.Join(t.TempDir(), "none.json")}
	c.contacts, _ = c.server.AddContacts(datasource.M{"Email": "jane@example.org", "Name": "Jane"}, datasource.M{"Email": "bob@example.org", "Name": "Bob"})
	t.Setenv("FLIPLET_TOKEN", c.server.Token)
	code, _, errs := c.run("conversations", "--as", "Email=bob@example.org") // so that Bob has an id
	require.Zero(t, code, errs)
	code, _, errs = c.run("conversations")
	require.Zero(t, code, errs)
	var people []any
	for _, row := range c.server.Rows(c.contacts) {
		people = append(people, row.Data["flUserId"])
	}
	c.conv = c.server.AddDataSource(datasource.M{"name": "Team", "type": "conversation", "definition": datasource.M{"participants": people}})
	for i := range 5 {
		c.server.AddRows(c.conv, datasource.M{"body": fmt.Sprint("message ", i), "fromUserId": people[i%2], "readBy": []any{people[i%2]}, "guid": fmt.Sprint("g", i)})
	}
	return c
}

// run runs a command as Jane.
func (c *chats) run(args ...string) (code int, out, errs string) {
	c.t.Helper()
	return c.runWith(c.t.Context(), args...)
}

func (c *chats) runWith(ctx context.Context, args ...string) (code int, out, errs string) {
	c.t.Helper()
	var o, e bytes.Buffer
	code = run(ctx, c.args(args), nil, &o, &e)
	assert.NotContains(c.t, o.String()+e.String(), c.server.Token)
	return code, o.String(), e.String()
}

// args adds what is not given.
func (c *chats) args(args []string) []string {
	for flag, value := range map[string]string{"--url": c.server.URL, "--contacts": fmt.Sprint(c.contacts), "--as": "Email=jane@example.org", "--config": c.config} {
		given := false
		for _, a := range args {
			given = given || a == flag
		}
		if flag == "--config" {
			require.NoError(c.t, os.WriteFile(value, []byte("{}"), 0o600))
		}
		if !given {
			args = append(args, flag, value)
		}
	}
	return args
}

func TestAnArchiveIsExportedVerifiedViewedAndImported(t *testing.T) {
	c := newChats(t)
	dir := t.TempDir()
	file, page := filepath.Join(dir, "chat.flchat"), filepath.Join(dir, "chat.html")

	code, out, errs := c.run("export", file, "-o", "text")
	require.Zero(t, code, errs)
	assert.Contains(t, out, "is up to date: 8 new records in 1 conversation, with 2 contacts.")
	assert.Contains(t, errs, "flchat: messages\n", "plain lines, since it is no terminal")
	_, seal, _ := strings.Cut(out, "Seal: ")
	seal, _, _ = strings.Cut(seal, "\n")
	code, out, _ = c.run("export", file)
	require.Zero(t, code)
	var said map[string]any
	require.NoError(t, json.Unmarshal([]byte(out), &said), out)
	assert.Equal(t, seal, said["seal"])

	code, out, errs = c.run("verify", file, "--seal", seal, "-o", "text")
	require.Zero(t, code, errs)
	assert.Contains(t, out, "intact: 8 records")
	code, out, _ = c.run("verify", file, "--seal", "0123", "-o", "text")
	assert.Equal(t, exitOther, code)
	assert.Contains(t, out, "not the archive of that seal")

	code, out, errs = c.run("view", file)
	require.Zero(t, code, errs)
	assert.Equal(t, 5, strings.Count(out, "\n"))
	assert.Contains(t, out, `"from":"Bob"`)
	code, _, errs = c.run("view", file, "--html", page)
	require.Zero(t, code, errs)
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	assert.Contains(t, string(text), "message 3")

	other := fliplettest.New(t)
	contacts, _ := other.AddContacts(datasource.M{"Email": "bob@example.org"}, datasource.M{"Email": "jane@example.org"})
	t.Setenv("FLIPLET_TOKEN", other.Token)
	into := []string{"import", file, "--url", other.URL, "--contacts", fmt.Sprint(contacts), "-o", "text"}
	code, out, errs = c.run(into...)
	require.Zero(t, code, errs)
	assert.Contains(t, out, "Nothing was written: give --write for that.")
	assert.Len(t, other.Sources(), 1)
	code, out, errs = c.run(append(into, "--write")...)
	require.Zero(t, code, errs)
	assert.Contains(t, out, "5 messages and 0 files were written, 1 conversation made; 0 messages were there already.")
	code, out, errs = c.run(append(into, "--write")...)
	require.Zero(t, code, errs)
	assert.Contains(t, out, "0 messages and 0 files were written, 0 conversations made; 5 messages were there already.")

	raw, err := os.ReadFile(file)
	require.NoError(t, err)
	at := bytes.LastIndex(raw, []byte("message 3"))
	require.Positive(t, at)
	raw[at+8] = '4'
	require.NoError(t, os.WriteFile(file, raw, 0o600))
	code, out, _ = c.run("verify", file, "-o", "text")
	assert.Equal(t, exitOther, code)
	assert.Contains(t, out, "damaged: message ")
	assert.Contains(t, out, "byte 8 of column body is 0x34 and was 0x33")
}

func TestEachMistakeWithAnArchiveGetsASentenceAndStatus2(t *testing.T) {
	c := newChats(t)
	dir := t.TempDir()
	good, text, foreign, newer := filepath.Join(dir, "good"), filepath.Join(dir, "text"), filepath.Join(dir, "foreign"), filepath.Join(dir, "newer")
	for _, path := range []string{good, newer} {
		code, _, errs := c.run("export", path)
		require.Zero(t, code, errs)
	}
	require.NoError(t, os.WriteFile(text, []byte(strings.Repeat("a letter to somebody\n", 50)), 0o600))
	for path, statement := range map[string]string{foreign: `CREATE TABLE recipes (id INTEGER)`, newer: `PRAGMA user_version = 3`} {
		db, err := sql.Open("sqlite", path)
		require.NoError(t, err)
		_, err = db.Exec(statement)
		require.NoError(t, err)
		require.NoError(t, db.Close())
	}
	before := map[string][]byte{}
	for _, path := range []string{good, text, foreign, newer} {
		raw, err := os.ReadFile(path)
		require.NoError(t, err)
		before[path] = raw
	}
	twoContacts, _ := c.server.AddContacts(datasource.M{"Email": "jane@example.org"})
	unwritable := "/proc/chat.flchat"
	if runtime.GOOS != "linux" {
		unwritable = filepath.Join(dir, "no", "folder")
	}
	for _, m := range []struct {
		name string
		args []string
		want string
	}{
		{"a file of something else", []string{"export", text}, "is no archive of flchat"},
		{"a view of something else", []string{"view", text}, "is no archive of flchat"},
		{"somebody's database", []string{"export", foreign}, "is a database, but no archive"},
		{"somebody's database to verify", []string{"verify", foreign}, "is a database, but no archive"},
		{"a newer format", []string{"export", newer}, "newer flchat"},
		{"a newer format to view", []string{"view", newer}, "newer flchat"},
		{"a newer format to import", []string{"import", newer}, "newer flchat"},
		{"no archive", []string{"verify", filepath.Join(dir, "nothing")}, "there is no archive here"},
		{"no folder", []string{"export", filepath.Join(dir, "no", "chat")}, "does not exist; make it"},
		{"a folder that cannot be written", []string{"export", unwritable}, "chat"},
		{"a folder", []string{"export", dir}, "is no file"},
		{"another app's archive", []string{"export", good, "--contacts", fmt.Sprint(twoContacts)}, "the archive of another app"},
		{"another person's archive", []string{"export", good, "--as", "Email=bob@example.org"}, "the archive of another person"},
		{"an import into the same app", []string{"import", good}, "came from this very app"},
		{"a conversation that is not there", []string{"view", good, "-c", "7"}, "conversation 7 is not in"},
		{"a day that is none", []string{"view", good, "--since", "yesterday"}, "is no day"},
		{"a zone that is none", []string{"view", good, "--zone", "Nowhere"}, "is no time zone"},
		{"a page that cannot be written", []string{"view", good, "--html", filepath.Join(dir, "no", "page.html")}, "cannot be written"},
		{"no patience", []string{"export", good, "--patience", "0s"}, "--patience"},
	} {
		t.Run(m.name, func(t *testing.T) {
			code, out, errs := c.run(m.args...)
			assert.Equal(t, exitUsage, code, errs)
			assert.Empty(t, out)
			assert.Contains(t, errs, m.want)
			assert.NotContains(t, errs, "goroutine")
		})
	}
	for path, raw := range before {
		now, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.Equal(t, raw, now, "nothing was written into %s", path)
	}
}

func TestAnExportWithoutTheServiceHasStatus3AndSaysHowToGoOn(t *testing.T) {
	c := newChats(t)
	file := filepath.Join(t.TempDir(), "chat.flchat")
	away := c.server.Always(fliplettest.AnyRoute, fliplettest.Status(503))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	code, _, errs := c.runWith(ctx, "export", file)
	assert.Equal(t, exitService, code, errs)
	assert.Contains(t, errs, "the same command goes on from here")
	away.Off()
	code, _, errs = c.run("export", file)
	require.Zero(t, code, errs)
}

func TestAnExportThatIsStoppedSaysHowToGoOn(t *testing.T) {
	c := newChats(t)
	file := filepath.Join(t.TempDir(), "chat.flchat")
	ctx, stop := context.WithCancel(t.Context())
	c.server.Always(fliplettest.CrossSource, fliplettest.Delay(time.Hour)) // it would last
	go func() {
		for c.server.Count(fliplettest.ListSources) < 3 { // two by newChats
			time.Sleep(time.Millisecond)
		}
		stop()
	}()
	code, _, errs := c.runWith(ctx, "export", file)
	assert.Equal(t, exitInterrupted, code, errs)
	assert.Contains(t, errs, "is consistent, and the same command goes on from here")
	c.server.Release()
	code, _, errs = c.run("export", file)
	require.Zero(t, code, errs)
	code, out, _ := c.run("verify", file, "-o", "text")
	assert.Zero(t, code, out)
}

func TestProgressIsABarOnATerminal(t *testing.T) {
	c := newChats(t)
	ours, theirs, err := pty.Open()
	require.NoError(t, err)
	defer ours.Close()
	require.NoError(t, pty.Setsize(ours, &pty.Winsize{Rows: 24, Cols: 100}))
	said := make(chan string)
	go func() {
		var all []byte
		for b := make([]byte, 4096); ; {
			n, err := ours.Read(b)
			all = append(all, b[:n]...)
			if err != nil {
				said <- string(all)
				return
			}
		}
	}()
	var out bytes.Buffer
	code := run(t.Context(), c.args([]string{"export", filepath.Join(t.TempDir(), "chat.flchat")}), nil, &out, theirs)
	require.NoError(t, theirs.Close())
	screen := <-said
	require.Zero(t, code, screen)
	assert.Contains(t, screen, "\r")
	assert.NotContains(t, screen, "flchat: messages\r\n", "no plain lines")
	assert.Contains(t, screen, "message")
}
