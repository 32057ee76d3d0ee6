package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/storage/pgstore/pgtest"
)

func TestMain(m *testing.M) {
	if said := os.Getenv(replicaEnv); said != "" {
		fmt.Fprintln(os.Stderr, replica(context.Background(), said))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func TestEveryMessageIsArchivedOnceAlthoughAReplicaIsKilledInTheMiddle(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	var out strings.Builder
	require.NoError(t, scene(t.Context(), &out, server.DSN(), 100), out.String())
	assert.Regexp(t, `^a replica was killed in the middle of its message 26; \d+ are archived
another one took over after (\d+m)?\d+s
ok: 100 messages, 100 rows, 0 lost, 0 twice
$`, out.String())
	t.Log(out.String())
}

func TestEditsDeletionsAndOddTextsAreArchived(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	a, err := openArchive(t.Context(), server.Database(t), "", slog.Default())
	require.NoError(t, err)
	t.Cleanup(a.close)
	local := fliplettest.New(t)
	contacts, ids := local.AddContacts(datasource.M{"Email": "jane@example.org"}, datasource.M{"Email": "archive@example.org"})
	opts := options(local.Client(), contacts, local.AppID)
	jane, err := chat.Connect(t.Context(), opts)
	require.NoError(t, err)
	defer jane.Close()
	_, err = jane.Login(t.Context(), chat.M{"Email": "jane@example.org"})
	require.NoError(t, err)
	conv, err := jane.Create(t.Context(), chat.NewConversation{Participants: ids[1:]})
	require.NoError(t, err)

	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- login(ctx, a, "archive@example.org", opts) }()
	defer func() {
		cancel()
		assert.NoError(t, <-ended)
	}()
	kinds := func() (said string) {
		require.NoError(t, a.pool.QueryRow(t.Context(), "SELECT coalesce(string_agg(kind || ' ' || body, ', ' ORDER BY n), '') FROM archive").Scan(&said))
		return said
	}
	until := func(want string) {
		t.Helper()
		require.Eventually(t, func() bool { return kinds() == want }, 3*time.Minute, 10*time.Millisecond, "%s", want)
	}
	m, err := jane.Message(t.Context(), conv.ID, chat.Draft{Body: "a\x00b"})
	require.NoError(t, err)
	until("new a\uFFFDb")
	_, err = jane.UpdateMessage(t.Context(), conv.ID, m.ID, chat.M{"body": "c", "isEdited": true})
	require.NoError(t, err)
	until("new a\uFFFDb, edit c")
	require.NoError(t, jane.DeleteMessage(t.Context(), conv.ID, m.ID))
	until("new a\uFFFDb, edit c, deletion ")
}

func TestAPasswordIsNotPrinted(t *testing.T) {
	t.Parallel()
	_, err := openArchive(t.Context(), "postgres://u:secret%zz@h/d", "", slog.Default())
	require.Error(t, err)
	assert.NotContains(t, err.Error(), "secret")
	require.ErrorContains(t, account(t.Context(), ""), "-database")
}
