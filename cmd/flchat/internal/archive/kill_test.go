package archive_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/cmd/flchat/internal/archive"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// childEnv makes this program an export, which is told of its job in JSON.
const childEnv = "FLCHAT_TEST_CHILD"

// job is what a child does.
type job struct {
	Path, URL, Token string
	Contacts, App    int64
	Late             bool // the guard is switched off
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
	n := 0
	o := archive.Options{
		Path: j.Path, API: j.URL, Contacts: j.Contacts, PrimaryKey: "Email",
		Connect: func(ctx context.Context, store storage.Store) (*chat.Chat, error) {
			return connect(ctx, client, j.Contacts, j.App, "jane", store)
		},
		Progress: func(p archive.Progress) {
			if n++; n%20 == 0 || p.Phase == archive.Attachments {
				fmt.Println(p.Phase, p.Messages, p.Files)
			}
		},
	}
	o.Eager()
	if j.Late {
		o.Late()
	}
	fmt.Println("begun")
	r, err := archive.Export(context.Background(), o)
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
	cmd := exec.Command(os.Args[0]) //nolint:gosec // this program
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
	w, conv, said := busy(t, 300*kills+1000)
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
	harass(kills-kills/3, 40)
	w.finish(job{Path: killed})
	w.finish(job{Path: undisturbed})
	same(t, undisturbed, killed)

	w.server.ShiftClock(time.Hour)
	for i, m := range said[:3] {
		_, err := w.jane.UpdateMessage(t.Context(), conv.ID, m.ID, chat.M{"body": fmt.Sprint("edited ", i), "isEdited": true})
		require.NoError(t, err)
	}
	require.NoError(t, w.jane.DeleteMessage(t.Context(), conv.ID, said[4].ID))
	w.talk("Later", 120*kills+500)
	harass(kills/3, 25)
	w.finish(job{Path: killed})
	w.finish(job{Path: undisturbed})
	same(t, undisturbed, killed)
	t.Logf("%d of %d exports were killed before their end", hit, kills)
	assert.Positive(t, hit)
}

// same requires that two archives have the same content.
func same(t *testing.T, want, got string) {
	t.Helper()
	a, err := content(t, want)
	require.NoError(t, err)
	b, err := content(t, got)
	require.NoError(t, err)
	require.Equal(t, a, b)
	require.Empty(t, verify(t, got).Damage)
}

// When records are written after the position instead of with it, the test above sees it.
func TestTheKillsNoticeRecordsThatAreNotWrittenWithThePosition(t *testing.T) {
	w, _, _ := busy(t, 1500)
	killed, undisturbed := file(t), file(t)
	w.kill(job{Path: killed, Late: true}, 60, 0)
	w.finish(job{Path: killed, Late: true})
	w.finish(job{Path: undisturbed})
	want, err := content(t, undisturbed)
	require.NoError(t, err)
	got, err := content(t, killed)
	require.NoError(t, err)
	assert.NotEqual(t, want, got)
}
