package archive_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"modernc.org/sqlite"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/cmd/flchat/internal/archive"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// childEnv makes this program an export, which is told of its job in JSON.
const childEnv = "FLCHAT_TEST_CHILD"

// job is what a child does.
type job struct {
	Path, URL, Token string
	Contacts, App    int64
	Late             bool // the guard is switched off
	Pages            int  // what there is room for; 0 for no bound
	Blocks           int  // of 512 or 1,024 bytes that a file may have; 0 for no bound
	Halt             int  // it goes no further than this line, and waits there to be killed; 0 for no such line
}

func TestMain(m *testing.M) {
	if text := os.Getenv(childEnv); text != "" {
		if err := child(text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// child exports, and writes a line after every few messages and each file.
func child(text string) error {
	var j job
	if err := json.Unmarshal([]byte(text), &j); err != nil {
		return err
	}
	client, err := datasource.NewClient(datasource.Config{Token: j.Token, BaseURL: j.URL, Limiter: datasource.Unlimited()})
	if err != nil {
		return err
	}
	n, lines := 0, 1
	o := archive.Options{
		Path: j.Path, API: j.URL, Contacts: j.Contacts, PrimaryKey: "Email",
		Connect: func(ctx context.Context, store storage.Store) (*chat.Chat, error) {
			return connect(ctx, client, j.Contacts, j.App, "jane", store)
		},
		Progress: func(p archive.Progress) {
			if n++; n%20 == 0 || p.Phase == archive.Attachments {
				fmt.Println(p.Phase, p.Messages, p.Files)
				if lines++; lines == j.Halt {
					select {}
				}
			}
		},
	}
	o.Eager()
	if j.Late {
		o.Late()
	}
	fmt.Println("begun")
	if j.Pages > 0 {
		sqlite.RegisterConnectionHook(func(conn sqlite.ExecQuerierContext, _ string) error {
			_, err := conn.ExecContext(context.Background(), fmt.Sprintf("PRAGMA max_page_count = %d", j.Pages), nil)
			return err
		})
	}
	r, err := archive.Export(context.Background(), o)
	var usage *archive.UsageError
	if errors.As(err, &usage) {
		fmt.Println(usage)
		return nil
	}
	if err == nil {
		fmt.Println(r.Seal)
	}
	return err
}

// start starts a child, and returns what it writes.
func (w *world) start(j job) (*exec.Cmd, *bufio.Scanner) {
	w.t.Helper()
	j.URL, j.Token, j.Contacts, j.App = w.server.URL, w.server.Token, w.contacts, w.server.AppID
	text, err := json.Marshal(j)
	require.NoError(w.t, err)
	cmd := exec.CommandContext(w.t.Context(), os.Args[0]) //nolint:gosec // this program
	if j.Blocks > 0 {
		cmd = exec.CommandContext(w.t.Context(), "sh", "-c", fmt.Sprintf(`ulimit -f %d && exec "$0"`, j.Blocks), os.Args[0]) //nolint:gosec // this program
	}
	cmd.Env = append(os.Environ(), childEnv+"="+string(text))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(w.t, err)
	require.NoError(w.t, cmd.Start())
	return cmd, bufio.NewScanner(out)
}

// kill runs an export that is killed after so many lines, and reports whether it was.
func (w *world) kill(j job, lines int, wait time.Duration) bool {
	w.t.Helper()
	cmd, out := w.start(j)
	for range lines {
		if !out.Scan() {
			break
		}
	}
	time.Sleep(wait) // anywhere between two lines
	_ = cmd.Process.Kill()
	_, _ = io.Copy(io.Discard, readerOf(out))
	return cmd.Wait() != nil
}

// readerOf lets the rest of a child's lines be read.
func readerOf(s *bufio.Scanner) io.Reader {
	for s.Scan() { //nolint:revive // until it ends
	}
	return eof{}
}

type eof struct{}

func (eof) Read([]byte) (int, error) { return 0, io.EOF }

// finish runs an export to its end.
func (w *world) finish(j job) {
	w.t.Helper()
	cmd, out := w.start(j)
	readerOf(out)
	require.NoError(w.t, cmd.Wait())
}

// busy is an app in which much has happened.
func busy(t *testing.T, messages int) (*world, *chat.Conversation, []*chat.Message) {
	w := newWorld(t)
	conv, said := w.story()
	for i := range 4 {
		w.people = append(w.people[:3:3], fmt.Sprint("somebody ", i)) // other people, so another conversation
		w.talk(fmt.Sprint("Talk ", i), messages/4)
	}
	w.people = w.people[:3]
	return w, conv, said
}

func TestAnExportThatIsKilledAgainAndAgainHasTheContentOfAnUndisturbedOne(t *testing.T) {
	kills := trials(t, "FLCHAT_KILLS", 6)
	w, conv, said := busy(t, scaled(300*kills+1000))
	killed, undisturbed := file(t), file(t)
	r := rand.New(rand.NewPCG(5, 6))
	hit := 0
	harass := func(kills, lines int) {
		for range kills {
			if w.kill(job{Path: killed}, r.IntN(lines), time.Duration(r.IntN(30))*time.Millisecond) {
				hit++
			}
			if a, err := archive.Open(t.Context(), killed); err == nil { // else it was killed before there were tables
				found, err := a.Verify(t.Context())
				require.NoError(t, err)
				require.Empty(t, found.Damage)
				require.NoError(t, a.Close())
			}
		}
	}
	harass(kills-kills/3, 1+scaled(40))
	left := filepath.Join(filepath.Dir(killed), ".chat.flchat.part-1")
	require.NoError(t, os.WriteFile(left, []byte("half a picture"), 0o600))
	w.finish(job{Path: killed})
	assert.NoFileExists(t, left)
	w.finish(job{Path: undisturbed})
	same(t, undisturbed, killed)

	w.server.ShiftClock(time.Hour)
	for i, m := range said[:3] {
		_, err := w.jane.UpdateMessage(t.Context(), conv.ID, m.ID, chat.M{"body": fmt.Sprint("edited ", i), "isEdited": true})
		require.NoError(t, err)
	}
	require.NoError(t, w.jane.DeleteMessage(t.Context(), conv.ID, said[4].ID))
	w.talk("Later", scaled(120*kills+500))
	harass(kills/3, 1+scaled(25))
	w.finish(job{Path: killed})
	w.finish(job{Path: undisturbed})
	same(t, undisturbed, killed)
	t.Logf("%d of %d exports were killed before their end", hit, kills)
	assert.Positive(t, hit)
}

// same requires that two archives have the same content.
func same(t testing.TB, want, got string) {
	t.Helper()
	a, err := content(t, want)
	require.NoError(t, err)
	b, err := content(t, got)
	require.NoError(t, err)
	require.Empty(t, unlike(a, b))
	require.Empty(t, verify(t, got).Damage)
}

// unlike is the first line that differs, of each of two texts.
func unlike(a, b string) string {
	if a == b {
		return ""
	}
	as, bs := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(as), len(bs)) {
		if as[i] != bs[i] {
			return as[i] + "\n" + bs[i]
		}
	}
	return fmt.Sprintf("%d lines and %d", len(as), len(bs))
}

// When records are written after the position instead of with it, the test above sees it.
func TestTheKillsNoticeRecordsThatAreNotWrittenWithThePosition(t *testing.T) {
	w, _, _ := busy(t, 800)
	killed, undisturbed := file(t), file(t)
	const lines = 36
	w.kill(job{Path: killed, Late: true, Halt: lines}, lines, 0) // 720 messages: more than the first transaction has
	w.finish(job{Path: killed, Late: true})
	w.finish(job{Path: undisturbed})
	want, err := content(t, undisturbed)
	require.NoError(t, err)
	got, err := content(t, killed)
	require.NoError(t, err)
	assert.NotEmpty(t, unlike(want, got))
}

// recovers checks an export that met something, and goes on afterwards: it must have been told in a sentence,
// be consistent, and end with the content of an undisturbed one.
func (w *world) recovers(path string, err error) {
	w.t.Helper()
	require.Error(w.t, err)
	w.t.Log(err)
	require.Empty(w.t, verify(w.t, path).Damage)
	undisturbed := file(w.t)
	w.finish(job{Path: path})
	w.finish(job{Path: undisturbed})
	same(w.t, undisturbed, path)
}

func TestAnExportThatTheServiceLeavesIsConsistentAndGoesOn(t *testing.T) {
	t.Parallel()
	for name, route := range map[string]fliplettest.Route{"while it reads messages": fliplettest.CrossSource, "while it fetches a file": fliplettest.Contents} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, _, _ := busy(t, scaled(2000))
			before := 2 // requests that are answered
			if route == fliplettest.Contents {
				before = 1
			}
			away := w.server.After(before, 1_000_000, route, fliplettest.Status(503))
			path := file(t)
			o := w.options(path)
			o.Patience = 100 * time.Millisecond
			_, err := archive.Export(t.Context(), o)
			require.ErrorIs(t, err, chat.ErrOffline)
			away.Off()
			w.recovers(path, err)
		})
	}
}

func TestAnExportThatIsStoppedIsConsistentAndGoesOn(t *testing.T) {
	t.Parallel()
	for _, after := range []int64{1, int64(scaled(1200))} {
		t.Run(fmt.Sprint("after ", after), func(t *testing.T) {
			t.Parallel()
			w, _, _ := busy(t, scaled(2000))
			path := file(t)
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			o := w.options(path)
			o.Eager()
			o.Progress = func(p archive.Progress) {
				if p.Messages >= after {
					stop()
				}
			}
			_, err := archive.Export(ctx, o)
			require.ErrorIs(t, err, context.Canceled)
			w.recovers(path, err)
		})
	}
}

func TestAnExportOntoAFullDiskIsConsistentAndGoesOn(t *testing.T) {
	t.Parallel()
	w, _, _ := busy(t, max(400, scaled(3000)))
	for _, pages := range []int{30, 130} {
		if race && pages > 30 {
			continue // there is not that much
		}
		path := file(t)
		cmd, out := w.start(job{Path: path, Pages: pages})
		var said string
		for out.Scan() {
			said = out.Text()
		}
		require.NoError(t, cmd.Wait())
		require.Contains(t, said, "the disk is full")
		w.recovers(path, errors.New(said))
	}
}

// A quota and a faulty disk look like this, too: SQLite knows only a full disk by name.
func TestAnExportThatMayNotWriteOnEndsAndGoesOn(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("there is no ulimit")
	}
	w, _, _ := busy(t, 400)
	path := file(t)
	cmd, out := w.start(job{Path: path, Blocks: 200})
	stuck := time.AfterFunc(2*time.Minute, func() { _ = cmd.Process.Kill() })
	defer stuck.Stop()
	var said string
	for out.Scan() {
		said = out.Text()
	}
	_ = cmd.Wait()
	require.Contains(t, said, "ulimit -f")
	w.recovers(path, errors.New(said))
}
