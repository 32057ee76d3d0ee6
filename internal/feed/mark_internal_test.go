package feed

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWhatIsQueuedLaterDoesNotCountForAMark(t *testing.T) {
	t.Parallel()
	f := New(Config{})
	main, apart, other := &entry{id: 1, reader: &reader{}}, &entry{id: 2, reader: &reader{}}, &entry{id: 3, reader: &reader{}}
	apart.main = main
	f.readers = []*entry{main, apart, other}
	main.queue.push(Event{}, Event{})
	apart.queue.push(Event{})
	other.queue.push(Event{})
	m := f.Mark(1)
	require.False(t, m.Handled())
	main.queue.push(Event{}, Event{})
	for _, number := range []uint64{4, 2, 3} { // out of order, as those of several conversations
		require.True(t, main.queue.finish(number))
		require.False(t, m.Handled())
	}
	require.True(t, apart.queue.finish(1))
	require.False(t, m.Handled())
	main.queue.push(Event{})
	require.True(t, main.queue.finish(1))
	require.True(t, m.Handled(), "the last event has come since")
	require.True(t, f.Mark(4).Handled(), "nobody")
}
