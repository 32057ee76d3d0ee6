package feed

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAQuietListenerKeepsNoRoomForTheNewsThatItHasHad(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	f := New(Config{})
	id := f.Subscribe(now, FromNewest)
	rows := make([]Row, 150)
	for i := range rows {
		n := int64(len(rows) - i) // the newest first
		at := Time(now.Add(-time.Hour).UnixMicro() + n)
		rows[i] = Row{ID: n, Conversation: 7, Created: at, Updated: at, Origin: uint64(n)} //nolint:gosec // small
	}
	for range 10 {
		switch f.Next(now).Query.Kind {
		case Members:
			f.Members(now, []Member{{Conversation: 7, Created: 1}})
		case Newest:
			f.Page(now, rows, Clock{})
		case 0:
		default:
			f.Page(now, nil, Clock{})
		}
	}
	e := f.find(id)
	require.Equal(t, len(rows), f.Pending(id))
	f.Slim()
	require.Equal(t, len(rows), f.Pending(id), "what waits stays")
	assert.NotZero(t, cap(e.batch.news), "the next page of a backlog needs it")
	for want := range int64(len(rows)) {
		event, ok := f.Take(id)
		require.True(t, ok)
		require.Equal(t, want+1, event.Row.ID)
		f.Ack(id)
	}
	require.NotZero(t, cap(e.queue.items))
	f.Slim()
	assert.Zero(t, cap(e.queue.items)+cap(e.batch.news)+cap(e.batch.seen.chunks)+len(e.batch.seen.cells)+len(e.batch.origins.cells))
	assert.Equal(t, len(rows), e.mem.rows.len(), "what it has had is known")
}
