package rows_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
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
	assert.NotZero(t, got[0].Origin)
	assert.NotEqual(t, got[0].Origin, got[1].Origin, "they have two senders")
	for i := range got {
		rows.Stable(&got[i])
	}
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

// What is forgotten with the process has hashes of its own.
func TestHashesTellWhichPartOfARowHasChanged(t *testing.T) {
	t.Parallel()
	read := func(columns string) feed.Row {
		var m map[string]any
		dec := json.NewDecoder(strings.NewReader(columns))
		dec.UseNumber()
		require.NoError(t, dec.Decode(&m))
		got := rows.Feed(t.Context(), []datasource.Entry{{ID: 1, DataSourceID: 7, Data: m}}, nil, slog.New(slog.DiscardHandler))
		require.Len(t, got, 1)
		return got[0]
	}
	const before = `{"body":"hello","readBy":["a","b"],"file":null,"guid":"g","fromUserId":"u","n":1,"o":{"x":[true,{"y":"z"}]}}`
	was := read(before)
	for _, c := range []struct {
		old, changed string
		parts        []int // of which the hash is another one
	}{
		{`"n":1`, `"n":1`, nil},
		{`"body":"hello",`, ``, []int{0}},
		{`"hello"`, `"hellp"`, []int{0}},
		{`"hello"`, `null`, []int{0}},
		{`"hello"`, `["hello"]`, []int{0}},
		{`["a","b"]`, `["b","a"]`, []int{1}},
		{`["a","b"]`, `["ab"]`, []int{1}},
		{`["a","b"]`, `["a",["b"]]`, []int{1}},
		{`"file":null`, `"file":[]`, []int{2}},
		{`"file":null`, `"file":false`, []int{2}},
		{`"n":1`, `"n":"1"`, []int{3}},
		{`"n":1`, `"n":1.0`, []int{3}},
		{`"n":1`, `"m":1`, []int{3}},
		{`true`, `false`, []int{3}},
		{`{"y":"z"}`, `{"z":"y"}`, []int{3}},
		{`"hello"`, `"a"`, []int{0}},
		{`"body":"hello","readBy":["a","b"]`, `"body":["a","b"],"readBy":"hello"`, []int{0, 1}},
	} {
		require.Equal(t, 1, strings.Count(before, c.old), c.old)
		after := read(strings.Replace(before, c.old, c.changed, 1))
		assert.Equal(t, c.parts == nil, was.Hash == after.Hash, c.changed)
		var parts []int
		for i := range was.Parts {
			if was.Parts[i] != after.Parts[i] {
				parts = append(parts, i)
			}
		}
		assert.Equal(t, c.parts, parts, c.changed)
	}
	other := read(`{"o":{"x":[true,{"y":"z"}]},"n":1,"fromUserId":"u","guid":"g","file":null,"readBy":["a","b"],"body":"hello"}`)
	assert.Equal(t, was.Hash, other.Hash, "the order of keys means nothing")
	assert.Equal(t, was.Origin, other.Origin)
}
