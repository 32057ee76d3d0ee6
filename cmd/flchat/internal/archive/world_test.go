package archive_test

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/cmd/flchat/internal/archive"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// world is an app with chats.
type world struct {
	t        testing.TB
	server   *fliplettest.Server
	contacts int64
	ids      []int64 // of the contacts: Jane, Bob, Eve
	jane     *chat.Chat
	people   []string // their flUserIds
}

func newWorld(t testing.TB, opts ...fliplettest.Option) *world {
	t.Helper()
	w := &world{t: t, server: fliplettest.New(t, opts...)}
	w.contacts, w.ids = w.server.AddContacts(
		datasource.M{"Email": "jane@example.org", "Name": "Jane <b>Doe</b>"},
		datasource.M{"Email": "bob@example.org", "Name": "Bob"},
		datasource.M{"Email": "eve@example.org", "Name": "Eve"},
	)
	for _, name := range []string{"jane", "bob", "eve"} {
		c := w.login(t.Context(), name, nil)
		w.people = append(w.people, c.User().UserID)
		if name == "jane" {
			w.jane = c
		}
	}
	return w
}

func (w *world) login(ctx context.Context, name string, store storage.Store) *chat.Chat {
	w.t.Helper()
	c, err := connect(ctx, w.server.Client(), w.contacts, w.server.AppID, name, store)
	require.NoError(w.t, err)
	w.t.Cleanup(func() { _ = c.Close() })
	return c
}

func connect(ctx context.Context, client *datasource.Client, contacts, app int64, name string, store storage.Store) (*chat.Chat, error) {
	c, err := chat.Connect(ctx, chat.Options{
		Client: client, DataSourceID: contacts, AppID: app, PrimaryKey: "Email", Storage: store, EncryptMessages: true,
		LivePollInterval: 20 * time.Millisecond, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, err
	}
	if _, err := c.Login(ctx, chat.M{"Email": name + "@example.org"}); err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

// options are those of an export of Jane's.
func (w *world) options(path string) archive.Options {
	return archive.Options{
		Path: path, API: w.server.URL, Contacts: w.contacts, PrimaryKey: "Email",
		Connect: func(ctx context.Context, store storage.Store) (*chat.Chat, error) {
			return connect(ctx, w.server.Client(), w.contacts, w.server.AppID, "jane", store)
		},
	}
}

func (w *world) export(path string) archive.Result {
	w.t.Helper()
	r, err := archive.Export(w.t.Context(), w.options(path))
	require.NoError(w.t, err)
	return r
}

func (w *world) open(path string) *archive.Archive {
	w.t.Helper()
	a, err := archive.Open(w.t.Context(), path)
	require.NoError(w.t, err)
	w.t.Cleanup(func() { require.NoError(w.t, a.Close()) })
	return a
}

// talk makes a conversation of everybody with so many messages, by turns.
func (w *world) talk(name string, messages int) (id int64, rows []int64) {
	id = w.server.AddDataSource(datasource.M{"name": name, "type": "conversation", "definition": datasource.M{"participants": w.people, "group": datasource.M{"name": name}}})
	const page = 1000
	for first := 0; first < messages; first += page {
		list := make([]datasource.M, min(page, messages-first))
		for i := range list {
			author := w.people[(first+i)%len(w.people)]
			list[i] = datasource.M{"body": fmt.Sprintf("%s: message number %d of the talk", name, first+i), "fromUserId": author, "readBy": []any{author}, "guid": fmt.Sprintf("%s-%d", name, first+i)}
		}
		rows = append(rows, w.server.AddRows(id, list...)...)
		w.server.ShiftClock(37 * time.Minute)
	}
	return id, rows
}

// say sends a message with everything that can be in one.
func (w *world) story() (conv *chat.Conversation, said []*chat.Message) {
	t := w.t
	conv, err := w.jane.Create(t.Context(), chat.NewConversation{Name: "Story", Participants: w.ids[1:], Group: chat.M{"name": "Story"}})
	require.NoError(t, err)
	say := func(d chat.Draft) {
		m, err := w.jane.Message(t.Context(), conv.ID, d)
		require.NoError(t, err)
		said = append(said, m)
	}
	say(chat.Draft{Body: "First <script>alert(1)</script>", Data: chat.M{"mood": "good", "n": 12345678901234567}})
	say(chat.Draft{Body: "Second"})
	say(chat.Draft{Body: "Third"})
	say(chat.Draft{Body: "A picture", Files: []chat.File{{Name: "dot.png", Content: dot, ContentType: "image/png"}}})
	say(chat.Draft{Body: "The same picture", Files: []chat.File{{Name: "again.png", Content: dot, ContentType: "image/png"}}})
	say(chat.Draft{Body: "A page of somebody's", Files: []chat.File{{URL: "https://example.org/page.html"}}})
	return conv, said
}

// dot is a picture of one pixel.
var dot = []byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\b\x06\x00\x00\x00\x1f\x15\xc4\x89\x00\x00\x00\rIDATx\x9cc\xf8\xcf\xc0\xf0\x1f\x00\x05\x00\x01\xff\x89\x99=\x1d\x00\x00\x00\x00IEND\xaeB`\x82")

func file(t testing.TB) string { return filepath.Join(t.TempDir(), "chat.flchat") }

// execute changes a file past the package.
func execute(t testing.TB, path, statement string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	require.NoError(t, err)
	_, err = db.Exec(statement)
	require.NoError(t, err)
	require.NoError(t, db.Close())
}
