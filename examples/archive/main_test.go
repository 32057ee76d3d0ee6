package main

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

// victimEnv makes this program an archive in the directory that it names, until it is
// killed.
const victimEnv = "ARCHIVE_VICTIM"

func TestMain(m *testing.M) {
	if dir := os.Getenv(victimEnv); dir != "" {
		if err := account(context.Background(), dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func TestArchiveKeepsEditsAndDeletions(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	require.NoError(t, scene(t.Context(), &out))
	assert.Equal(t, `3 versions, 3 messages are left
  new The code is 1234
  new See you at 9
  new Good night
5 versions, 2 messages are left
  new The code is 1234
  deletion 
  new See you at 9
  edit See you at 10
  new Good night
`, out.String())
}

// talk is Jane in a conversation with Bob. The archive is nobody.
func talk(t *testing.T, s *fliplettest.Server) (chat.Options, *chat.Chat, *chat.Conversation) {
	t.Helper()
	contacts, ids := s.AddContacts(datasource.M{"Email": "jane@example.org"}, datasource.M{"Email": "bob@example.org"})
	opts := chat.Options{
		Client: s.Client(), DataSourceID: contacts, AppID: s.AppID, PrimaryKey: "Email", EncryptMessages: true,
	}
	jane, err := chat.Connect(t.Context(), opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, jane.Close()) })
	_, err = jane.Login(t.Context(), chat.M{"Email": "jane@example.org"})
	require.NoError(t, err)
	conv, err := jane.Create(t.Context(), chat.NewConversation{Participants: ids[1:]})
	require.NoError(t, err)
	return opts, jane, conv
}

// reader reads the archive beside the process that writes it.
func reader(t *testing.T, dir string) (count func(query string) int, db *sql.DB) {
	t.Helper()
	db, err := read(t.Context(), dir)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return func(query string) (n int) {
		require.NoError(t, db.QueryRowContext(t.Context(), query).Scan(&n))
		return n
	}, db
}

// A gateway that answers 404 has deleted nothing, whichever request it answers.
func TestArchiveTakesNoGatewaysWordForADeletion(t *testing.T) {
	t.Parallel()
	for name, route := range map[string]fliplettest.Route{"the conversations": fliplettest.ListSources, "the messages": fliplettest.Query} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := fliplettest.New(t, fliplettest.InProcess())
				opts, jane, conv := talk(t, s)
				m, err := jane.Message(t.Context(), conv.ID, chat.Draft{Body: "precious"})
				require.NoError(t, err)
				dir := t.TempDir()
				count, _ := reader(t, dir)
				run := func(during func()) {
					ctx, stop := context.WithCancel(t.Context())
					ended := make(chan error, 1)
					go func() { ended <- follow(ctx, dir, opts) }()
					time.Sleep(time.Second) // it has begun
					during()
					stop()
					require.NoError(t, <-ended)
				}
				run(func() { time.Sleep(5 * time.Minute) })
				require.Equal(t, 1, count(`SELECT count(*) FROM messages`))
				run(func() { // it asks what was deleted before it began, too
					gateway := s.Always(route, fliplettest.Answer(404, "<html>no such site</html>"))
					time.Sleep(5 * time.Minute)
					require.Positive(t, gateway.Hits())
					gateway.Off()
					time.Sleep(5 * time.Minute)
					assert.Equal(t, 1, count(`SELECT count(*) FROM versions`), "nothing was deleted")
					require.NoError(t, jane.DeleteMessage(t.Context(), conv.ID, m.ID))
					time.Sleep(5 * time.Minute)
					assert.Zero(t, count(`SELECT count(*) FROM messages`), "the service has said so")
				})
			})
		})
	}
}

// While others write, nothing points to a deletion, and an App finds it hours later.
func TestArchiveHearsOfDeletionsThatWereNotFoundWhenItEnded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := fliplettest.New(t, fliplettest.InProcess())
		opts, jane, conv := talk(t, s)
		dir := t.TempDir()
		count, _ := reader(t, dir)
		run := func(during func()) {
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- follow(ctx, dir, opts) }()
			time.Sleep(time.Minute)
			during()
			stop()
			require.NoError(t, <-ended)
		}
		const messages, deleted = 200, 5
		run(func() {
			var said []*chat.Message
			for i := range messages {
				m, err := jane.Message(t.Context(), conv.ID, chat.Draft{Body: fmt.Sprint(i)})
				require.NoError(t, err)
				said = append(said, m)
				if 10 <= i && i < 10+deleted {
					require.NoError(t, jane.DeleteMessage(t.Context(), conv.ID, said[i-10].ID)) // it is archived by now
				}
				time.Sleep(3 * time.Second)
			}
			assert.Zero(t, count(`SELECT count(*) FROM versions WHERE kind = 'deletion'`), "or this test tries nothing")
		})
		run(func() { time.Sleep(10 * time.Minute) })
		assert.Equal(t, deleted, count(`SELECT count(*) FROM versions WHERE kind = 'deletion'`))
		assert.Equal(t, messages-deleted, count(`SELECT count(*) FROM messages`))
	})
}

// TestArchiveThatIsKilledGoesOn kills the archive at many moments, while messages are
// written, edited and deleted, and compares the file with the server.
func TestArchiveThatIsKilledGoesOn(t *testing.T) {
	t.Parallel()
	const messages, kills = 300, 3
	s := fliplettest.New(t)
	opts, jane, conv := talk(t, s)
	contacts := opts.DataSourceID
	dir := t.TempDir()
	start := func() (kill func()) {
		victim := exec.CommandContext(t.Context(), os.Args[0])
		victim.Env = append(os.Environ(), victimEnv+"="+dir, "FLIPLET_TOKEN="+s.Token, "FLIPLET_API_URL="+s.URL,
			fmt.Sprintf("FLIPLET_CONTACTS=%d", contacts))
		require.NoError(t, victim.Start())
		return func() {
			_ = victim.Process.Kill()
			_ = victim.Wait()
		}
	}
	count, db := reader(t, dir)
	until := func(query string, n int) {
		for began := time.Now(); count(query) < n; time.Sleep(5 * time.Millisecond) {
			require.Less(t, time.Since(began), 3*time.Minute, "%s: %d of %d", query, count(query), n)
		}
	}
	want := map[int64]string{}
	var said []*chat.Message
	for round := range kills {
		for i := range messages / kills {
			m, err := jane.Message(t.Context(), conv.ID, chat.Draft{Body: fmt.Sprint(round, "/", i)})
			require.NoError(t, err)
			said = append(said, m)
			want[m.ID] = m.Body
		}
		kill := start()
		until(`SELECT count(*) FROM versions WHERE kind = 'new'`, len(said)-messages/kills/2) // in the middle of it
		kill()
		for i, m := range said[len(said)-messages/kills:] { // while nobody archives
			switch i % 10 {
			case 0:
				require.NoError(t, jane.DeleteMessage(t.Context(), conv.ID, m.ID))
				delete(want, m.ID)
			case 1:
				_, err := jane.UpdateMessage(t.Context(), conv.ID, m.ID, chat.M{"body": m.Body + ", edited"})
				require.NoError(t, err)
				want[m.ID] = m.Body + ", edited"
			}
		}
	}
	kill := start()
	defer kill()
	until(`SELECT count(*) FROM messages WHERE body LIKE '%, edited'`, messages/10)
	for began := time.Now(); count(`SELECT count(*) FROM messages`) != len(want); time.Sleep(5 * time.Millisecond) {
		require.Less(t, time.Since(began), 3*time.Minute)
	}
	got := map[int64]string{}
	rows, err := db.QueryContext(t.Context(), `SELECT message, body FROM messages`)
	require.NoError(t, err)
	defer rows.Close()
	for rows.Next() {
		var id int64
		var body string
		require.NoError(t, rows.Scan(&id, &body))
		got[id] = body
	}
	require.NoError(t, rows.Err())
	assert.Equal(t, want, got)
	assert.Equal(t, count(`SELECT count(DISTINCT message) FROM versions WHERE kind = 'new'`), count(`SELECT count(*) FROM versions WHERE kind = 'new'`),
		"what came again after a kill was not stored again")
}

// What cannot be stored holds up nothing behind it.
func TestArchivePutsAsideWhatItCannotStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := fliplettest.New(t, fliplettest.InProcess())
		opts, jane, conv := talk(t, s)
		dir := t.TempDir()
		count, db := reader(t, dir)
		_, err := db.ExecContext(t.Context(), `CREATE TRIGGER full BEFORE INSERT ON versions WHEN new.body = 'b' BEGIN SELECT RAISE(FAIL, 'no room'); END`)
		require.NoError(t, err)
		for _, body := range []string{"a", "b", "c"} {
			_, err := jane.Message(t.Context(), conv.ID, chat.Draft{Body: body})
			require.NoError(t, err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- follow(ctx, dir, opts) }()
		time.Sleep(time.Hour)
		stop()
		require.NoError(t, <-ended)
		assert.Equal(t, 2, count(`SELECT count(*) FROM messages`))
		var why string
		require.NoError(t, db.QueryRowContext(t.Context(), `SELECT error FROM aside`).Scan(&why))
		assert.Contains(t, why, "no room")
	})
}
