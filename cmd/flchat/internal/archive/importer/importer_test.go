package importer_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/cmd/flchat/internal/archive"
	"github.com/fliplet/fliplet-chat-go/cmd/flchat/internal/archive/importer"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// app is one of two: where messages come from, or where they go.
type app struct {
	t        testing.TB
	server   *fliplettest.Server
	contacts int64
	ids      []int64
	key      string
}

func newApp(t testing.TB, key string, people ...string) *app {
	a := &app{t: t, server: fliplettest.New(t), key: key}
	var rows []datasource.M
	for _, name := range people {
		rows = append(rows, datasource.M{key: name + "@example.org", "Name": name})
	}
	a.contacts, a.ids = a.server.AddContacts(rows...)
	return a
}

func (a *app) options(store storage.Store) chat.Options {
	return chat.Options{
		Client: a.server.Client(), DataSourceID: a.contacts, AppID: a.server.AppID, PrimaryKey: a.key, EncryptMessages: true, Storage: store,
		LivePollInterval: 20 * time.Millisecond, Logger: slog.New(slog.DiscardHandler),
	}
}

func (a *app) connect(ctx context.Context, name string, store storage.Store) (*chat.Chat, error) {
	c, err := chat.Connect(ctx, a.options(store))
	if err == nil {
		_, err = c.Login(ctx, chat.M{a.key: name + "@example.org"})
	}
	return c, err
}

func (a *app) login(name string) *chat.Chat {
	a.t.Helper()
	c, err := a.connect(a.t.Context(), name, nil)
	require.NoError(a.t, err)
	a.t.Cleanup(func() { _ = c.Close() })
	return c
}

// dot is a picture of one pixel.
var dot = []byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\b\x06\x00\x00\x00\x1f\x15\xc4\x89\x00\x00\x00\rIDATx\x9cc\xf8\xcf\xc0\xf0\x1f\x00\x05\x00\x01\xff\x89\x99=\x1d\x00\x00\x00\x00IEND\xaeB`\x82")

// exported is an archive of two conversations.
func exported(t testing.TB) *archive.Archive {
	a := newApp(t, "Email", "jane", "bob", "eve")
	jane, bob, eve := a.login("jane"), a.login("bob"), a.login("eve")
	team, err := jane.Create(t.Context(), chat.NewConversation{Name: "Team", Participants: a.ids[1:], Group: chat.M{"name": "Team"}})
	require.NoError(t, err)
	var said []*chat.Message
	say := func(c *chat.Chat, conv int64, d chat.Draft) {
		m, err := c.Message(t.Context(), conv, d)
		require.NoError(t, err)
		said = append(said, m)
		a.server.ShiftClock(time.Minute)
	}
	for i := range 250 {
		say([]*chat.Chat{jane, bob, eve}[i%3], team.ID, chat.Draft{Body: fmt.Sprint("message ", i), Data: chat.M{"n": i}})
	}
	say(bob, team.ID, chat.Draft{Body: "a picture", Files: []chat.File{{Name: "dot.png", Content: dot}}})
	two, err := jane.Create(t.Context(), chat.NewConversation{Participants: a.ids[1:2]})
	require.NoError(t, err)
	say(bob, two.ID, chat.Draft{Body: "between us"})
	require.NoError(t, jane.MarkMessagesAsRead(t.Context(), said[1], said[4]))
	require.NoError(t, jane.DeleteMessage(t.Context(), team.ID, said[0].ID))
	_, err = eve.UpdateMessage(t.Context(), team.ID, said[2].ID, chat.M{"body": "edited", "isEdited": true})
	require.NoError(t, err)

	path := filepath.Join(t.TempDir(), "chat.flchat")
	_, err = archive.Export(t.Context(), archive.Options{
		Path: path, API: a.server.URL, Contacts: a.contacts, PrimaryKey: "Email",
		Connect: func(ctx context.Context, store storage.Store) (*chat.Chat, error) {
			return a.connect(ctx, "jane", store)
		},
	})
	require.NoError(t, err)
	open, err := archive.Open(t.Context(), path)
	require.NoError(t, err)
	t.Cleanup(func() { _ = open.Close() })
	return open
}

// rows are those of the conversations of an app, as JSON, without what changes with each run.
func (a *app) rows() map[string]int {
	all := map[string]int{}
	for _, s := range a.server.Sources() {
		if s.Type != "conversation" {
			continue
		}
		for _, r := range a.server.Rows(s.ID) {
			if r.DeletedAt != nil {
				continue
			}
			text, err := json.Marshal([]any{s.ID, r.ID, r.Data, r.UpdatedAt})
			require.NoError(a.t, err)
			all[string(text)]++
		}
	}
	return all
}

func (a *app) prepare(from *archive.Archive, change ...func(*importer.Options)) (*importer.Plan, error) {
	o := importer.Options{Archive: from, To: a.options(nil)}
	for _, c := range change {
		c(&o)
	}
	return importer.Prepare(a.t.Context(), o)
}

func TestAnImportKeepsAuthorsOrderReadersFilesAndTimes(t *testing.T) {
	t.Parallel()
	from := exported(t)
	to := newApp(t, "Mail", "zoe", "eve", "JANE", "bob") // other ids, another column
	plan, err := to.prepare(from)
	require.NoError(t, err)
	assert.EqualValues(t, 251, plan.Total(), "without the one that was deleted")
	assert.Empty(t, to.rows(), "a plan writes nothing")
	writes := to.server.Count(fliplettest.CreateSource) + to.server.Count(fliplettest.Commit)
	assert.Zero(t, writes)
	result, err := plan.Run(t.Context())
	require.NoError(t, err)
	assert.Equal(t, importer.Result{Made: 2, Written: 251, Files: 1}, result)
	assert.Empty(t, to.server.HookCalls(), "no hook has run")
	assert.Empty(t, to.server.Pushes())

	bob, eve := to.login("bob"), to.login("eve")
	jane, err := chat.Connect(t.Context(), to.options(nil))
	require.NoError(t, err)
	t.Cleanup(func() { _ = jane.Close() })
	_, err = jane.Login(t.Context(), chat.M{"Mail": "JANE@example.org"})
	require.NoError(t, err)
	talks, err := jane.Conversations(t.Context())
	require.NoError(t, err)
	require.Len(t, talks, 2)
	var team *chat.Conversation
	for _, c := range talks {
		if c.Definition.Group["name"] == "Team" {
			team = c
		}
	}
	require.NotNil(t, team)
	list, err := team.Messages().Fetch(t.Context())
	require.NoError(t, err)
	require.Len(t, list, 250)
	people := []string{jane.User().UserID, bob.User().UserID, eve.User().UserID}
	for i, m := range list[:249] {
		n := i + 1
		body := fmt.Sprint("message ", n)
		if n == 2 {
			body = "edited"
		}
		require.Equal(t, body, m.Body, "the order, and the text")
		require.Equal(t, people[n%3], m.FromUserID, "the author")
		require.Equal(t, json.Number(fmt.Sprint(n)), m.Data["n"])
		require.Equal(t, chat.Encrypted, m.Protection)
		readers := []string{people[n%3]}
		if n == 1 || n == 4 {
			readers = append(readers, people[0])
		}
		require.Equal(t, readers, m.ReadBy)
	}
	sent, err := time.Parse(time.RFC3339Nano, list[248].Data["sentAt"].(string))
	require.NoError(t, err)
	next, err := time.Parse(time.RFC3339Nano, list[249].Data["sentAt"].(string))
	require.NoError(t, err)
	assert.InDelta(t, time.Minute, next.Sub(sent), float64(30*time.Second), "the times are those of then")
	var picture bytes.Buffer
	_, _, err = jane.Download(t.Context(), list[249], 0, &picture)
	require.NoError(t, err)
	assert.Equal(t, dot, picture.Bytes())
}

func TestAnImportThatIsRunTwiceOrInterruptedIsOneImport(t *testing.T) {
	t.Parallel()
	from := exported(t)
	to := newApp(t, "Email", "jane", "bob", "eve")
	for interruptions := 0; ; interruptions++ {
		require.Less(t, interruptions, 20)
		// Each run makes a little progress, and loses the answer to its last write.
		lever := to.server.After(1, 1, fliplettest.Commit, fliplettest.LoseAnswer())
		plan, err := to.prepare(from)
		require.NoError(t, err)
		_, err = plan.Run(t.Context())
		hit := lever.Hits() > 0
		lever.Off()
		if err == nil && !hit {
			break
		}
	}
	once := to.rows()
	assert.Len(t, once, 251)
	plan, err := to.prepare(from)
	require.NoError(t, err)
	for _, c := range plan.Conversations {
		assert.True(t, c.Imported)
	}
	result, err := plan.Run(t.Context())
	require.NoError(t, err)
	assert.Equal(t, importer.Result{There: 251}, result)
	assert.Equal(t, once, to.rows(), "the second import changes nothing")

	whole := newApp(t, "Email", "jane", "bob", "eve")
	plan, err = whole.prepare(from)
	require.NoError(t, err)
	_, err = plan.Run(t.Context())
	require.NoError(t, err)
	assert.Len(t, whole.rows(), len(once))
}

func TestACommitThatIsAppliedInPartIsNoSuccess(t *testing.T) {
	t.Parallel()
	from := exported(t)
	to := newApp(t, "Email", "jane", "bob", "eve")
	to.server.Next(1, fliplettest.Commit, fliplettest.Partial(40))
	plan, err := to.prepare(from)
	require.NoError(t, err)
	_, err = plan.Run(t.Context())
	require.Error(t, err)
	plan, err = to.prepare(from)
	require.NoError(t, err)
	result, err := plan.Run(t.Context())
	require.NoError(t, err)
	assert.EqualValues(t, 40, result.There)
	assert.Len(t, to.rows(), 251)
}

func TestWhatCannotBeImportedIsRefusedBeforeAnythingIsWritten(t *testing.T) {
	t.Parallel()
	from := exported(t)
	for _, c := range []struct {
		name   string
		to     *app
		change func(*importer.Options)
		want   string
	}{
		{"an author who is not there", newApp(t, "Email", "jane", "bob"), nil, "eve (83 messages)"},
		{"a column that nobody has", newApp(t, "Email", "jane", "bob", "eve"), func(o *importer.Options) { o.To.PrimaryKey = "Phone" }, "no contact of data source"},
		{"no primary key", newApp(t, "Email", "jane", "bob", "eve"), func(o *importer.Options) { o.To.PrimaryKey = "" }, "--primary-key"},
		{"a conversation that is not in the archive", newApp(t, "Email", "jane", "bob", "eve"), func(o *importer.Options) { o.Conversations = []int64{7} }, "conversation 7 is not in"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var changes []func(*importer.Options)
			if c.change != nil {
				changes = append(changes, c.change)
			}
			_, err := c.to.prepare(from, changes...)
			var usage *archive.UsageError
			require.ErrorAs(t, err, &usage)
			assert.Contains(t, usage.Text, c.want)
			assert.Empty(t, c.to.rows())
		})
	}
}
