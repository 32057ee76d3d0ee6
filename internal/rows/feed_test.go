package rows_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/rows"
)

func TestRowsForTheEngine(t *testing.T) {
	t.Parallel()
	at := time.UnixMicro(5_000_000)
	entries := []datasource.Entry{
		{ID: 1, DataSourceID: 7, CreatedAt: at, UpdatedAt: at.Add(time.Second), Data: datasource.M{"guid": "6f1c", "fromUserId": "u-jane"}},
		{ID: 2, Data: datasource.M{"conversationId": "7", "guid": "6f1c"}, CreatedAt: at},
		{ID: 3, DataSourceID: 7, DeletedAt: &at},
		{ID: 4, Data: datasource.M{"body": "a secret"}},
		{DataSourceID: 7},
	}
	var log bytes.Buffer
	got := rows.Feed(t.Context(), entries, nil, slog.New(slog.NewTextHandler(&log, nil)))
	require.Len(t, got, 3)
	assert.EqualValues(t, 5_000_000, got[0].Created)
	assert.EqualValues(t, 6_000_000, got[0].Updated)
	assert.Equal(t, rows.Hash(entries[0].Data), got[0].Hash)
	assert.EqualValues(t, 0x7d20c6d060f254b5, got[0].Origin, "positions hold origins, too")
	assert.EqualValues(t, 0x1bdfc493b1a69ae5, got[1].Origin)
	assert.Same(t, &entries[0], got[0].Payload)
	assert.EqualValues(t, 7, got[1].Conversation, "the row may say it itself")
	assert.Equal(t, got[1].Created, got[1].Updated)
	assert.True(t, got[2].Deleted)
	assert.Equal(t, got[1].Updated, got[2].Updated, "a row without times is where the one before is")
	assert.Zero(t, got[2].Origin)
	assert.Equal(t, 2, strings.Count(log.String(), "left out"))
	assert.NotContains(t, log.String(), "secret")
}
