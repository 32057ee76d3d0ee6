package feed

import (
	"runtime"
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
	assert.Zero(t, cap(e.queue.items)+cap(e.batch.news))
	assert.True(t, e.batch.seen == nil && e.batch.origins == nil)
	assert.Equal(t, len(rows), e.mem.rows.len(), "what it has had is known")
}

func TestAnEngineWithOneListenerIsTwoPiecesAndAPointer(t *testing.T) { // not parallel: it looks at the heap
	const engines = 500
	shared := Config{}.Share()
	now := time.Now()
	kept := make([]*Feed, engines)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range kept {
		kept[i] = shared.New()
		kept[i].Subscribe(now, FromNow)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	assert.Less(t, after.HeapObjects-before.HeapObjects, uint64(3*engines+100))
	assert.Less(t, after.HeapAlloc-before.HeapAlloc, uint64((896+416+8)*engines+20_000))
	runtime.KeepAlive(kept)
}

func TestAListenerThatHasLeftIsNotKeptByTheOthers(t *testing.T) {
	t.Parallel()
	f := New(Config{})
	now := time.Now()
	gone := make(chan struct{})
	func() {
		first := f.Subscribe(now, FromNow)
		f.Subscribe(now, FromNow)
		f.find(first).queue.push(Event{})
		m := f.Mark(first)
		runtime.AddCleanup(f.find(first), func(c chan struct{}) { close(c) }, gone)
		f.Unsubscribe(first)
		assert.False(t, m.Handled(), "as if it were there")
	}()
	require.Eventually(t, func() bool {
		runtime.GC()
		select {
		case <-gone:
			return true
		default:
			return false
		}
	}, time.Minute, time.Millisecond)
	third := f.Subscribe(now, FromNow)
	assert.Equal(t, third, f.find(third).id)
	assert.Len(t, f.readers, 2)
}

func TestANilDenseMapIsEmpty(t *testing.T) {
	t.Parallel()
	var d *dense[int64, int]
	_, ok := d.get(1)
	assert.False(t, ok || d.has(1))
	assert.Zero(t, d.len())
	d.drop(1)
	d.dropFunc(func(int64, int) bool { return true })
	d.clear()
	for range d.all() {
		t.Error("nothing is in it")
	}
	needed(&d).put(1, 2)
	assert.True(t, d.has(1))
}
