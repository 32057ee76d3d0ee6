package pgtest_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/storage/pgstore/pgtest"
)

func TestAServerKeepsWhatWasCommittedWhenItIsKilled(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	dsn := server.Database(t)
	query := func(sql string) (n int) {
		conn, err := pgx.Connect(t.Context(), dsn)
		require.NoError(t, err)
		defer conn.Close(t.Context())
		require.NoError(t, conn.QueryRow(t.Context(), sql).Scan(&n))
		return n
	}
	conn, err := pgx.Connect(t.Context(), dsn)
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), "CREATE TABLE t AS SELECT 7 AS n")
	require.NoError(t, err)
	for _, end := range []func() error{server.Kill, server.Stop} {
		require.NoError(t, end())
		_, err = pgx.Connect(t.Context(), dsn)
		require.Error(t, err)
		require.NoError(t, server.Start(t.Context()))
		assert.Equal(t, 7, query("SELECT n FROM t"))
	}
	require.Error(t, server.Start(t.Context()), "it is running")
	require.NoError(t, server.Close())
	require.NoError(t, server.Close())
}
