package fleet_test

import (
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/internal/fleet"
)

// listener is an engine that reads conversations 1 and 2 from a log.
type listener struct {
	log    *fleet.Log
	inbox  *fleet.Inbox
	engine *feed.Feed
	now    time.Time
}

// newListener returns one that has had a message a second in conversation 1 for an hour: rows
// 1001 to 4600, of the sends 1001 to 4600.
func newListener(t *testing.T) *listener {
	t.Helper()
	l := &listener{log: fleet.NewLog(fleet.LogConfig{}), engine: feed.New(fleet.EngineConfig(feed.Config{})), now: epoch}
	l.log.Tick(at(l.now))
	l.inbox = fleet.NewInbox(l.log, at(l.now), []int64{1, 2})
	l.engine.Subscribe(l.now, feed.FromNow)
	require.Empty(t, drain(l.engine, l.inbox, l.now, []int64{1, 2}))
	for id := int64(1001); id <= 4600; id++ {
		events := l.pass(time.Second, message(id, 1, l.now.Add(time.Second)))
		require.Len(t, events, 1)
		require.False(t, events[0].Update)
	}
	return l
}

// message is a row of a send of its own.
func message(id, conversation int64, t time.Time) feed.Row {
	m := row(id, conversation, t)
	m.Origin, m.Parts = uint64(id), feed.Parts{uint32(id), 2, 3, 4}
	return m
}

// pass lets time pass, and returns what rows that come then are to the listener.
func (l *listener) pass(d time.Duration, rows ...feed.Row) []feed.Event {
	l.now = l.now.Add(d)
	l.log.Append(at(l.now), rows)
	return drain(l.engine, l.inbox, l.now, []int64{1, 2})
}

// What a listener was told long ago it has forgotten. Of what comes then it still knows what
// it is: the log says what a row has to do with those before.
func TestWhatIsForgottenIsStillToldFromWhatIsNew(t *testing.T) {
	t.Parallel()
	changed := func(m feed.Row, t time.Time) feed.Row {
		m.Updated, m.Hash = at(t), m.Hash+1
		m.Parts[1]++
		return m
	}
	sent := epoch.Add(10 * time.Minute)
	old := message(1600, 1, sent)
	for name, c := range map[string]struct {
		rows  func(now time.Time) []feed.Row
		wants []feed.Event
	}{
		"a row of another conversation that was found very late": {
			func(time.Time) []feed.Row { return []feed.Row{message(7, 2, sent)} },
			[]feed.Event{{}},
		},
		"a row of the same one that a clock that was set back has dated": {
			func(time.Time) []feed.Row { return []feed.Row{message(4601, 1, sent)} },
			[]feed.Event{{}},
		},
		"a change of a part": {
			func(now time.Time) []feed.Row { return []feed.Row{changed(old, now)} },
			[]feed.Event{{Update: true, Changed: 1 << 1}},
		},
		"a deletion": {
			func(now time.Time) []feed.Row {
				return []feed.Row{{ID: old.ID, Conversation: 1, Created: old.Created, Updated: at(now), Deleted: true}}
			},
			[]feed.Event{{Update: true, Deleted: true, Changed: feed.AllParts}},
		},
		"a change and another": {
			func(now time.Time) []feed.Row {
				first := changed(old, now)
				return []feed.Row{first, changed(first, now.Add(time.Second))}
			},
			[]feed.Event{{Update: true, Changed: 1 << 1}, {Update: true, Changed: 1 << 1}},
		},
		"another row of a send": {
			func(now time.Time) []feed.Row {
				again := message(4602, 1, now)
				again.Origin = old.Origin
				return []feed.Row{again}
			},
			nil,
		},
		"another row of a send whose row was deleted": {
			func(now time.Time) []feed.Row {
				again := message(4602, 1, now)
				again.Origin = old.Origin
				return []feed.Row{{ID: old.ID, Conversation: 1, Created: old.Created, Updated: at(now), Deleted: true}, again}
			},
			[]feed.Event{{Update: true, Deleted: true, Changed: feed.AllParts}},
		},
		"another row of a send whose row is of another one now": {
			func(now time.Time) []feed.Row {
				other, again := changed(old, now), message(4602, 1, now)
				other.Origin, again.Origin = 99, old.Origin
				return []feed.Row{other, again}
			},
			[]feed.Event{{Update: true, Changed: 1 << 1}, {Update: true, Changed: feed.AllParts}},
		},
		"the same number of a send in another conversation": {
			func(now time.Time) []feed.Row {
				again := message(4602, 2, now)
				again.Origin = old.Origin
				return []feed.Row{again}
			},
			[]feed.Event{{}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newListener(t)
			var got []feed.Event
			for _, row := range c.rows(l.now.Add(time.Second)) {
				got = append(got, l.pass(time.Second, row)...)
			}
			require.Len(t, got, len(c.wants))
			for i, ev := range got {
				assert.Equal(t, c.wants[i], feed.Event{Update: ev.Update, Deleted: ev.Deleted, Changed: ev.Changed})
			}
			assert.Empty(t, l.pass(time.Second))
		})
	}
}

// A row may become visible after later ones were read. The next read brings it, and that may be
// much later.
func TestARowThatTheLastReadOfAConversationDidNotShowYetIsNewHoweverLongAgoThatWas(t *testing.T) {
	t.Parallel()
	l := newListener(t)
	sent := l.now
	require.Len(t, l.pass(time.Second, message(5002, 2, sent)), 1)
	for id := int64(6000); id < 9600; id++ {
		require.Len(t, l.pass(time.Second, message(id, 1, l.now)), 1)
	}
	late := l.pass(time.Second, message(5001, 2, sent.Add(-time.Second)), message(9999, 2, l.now))
	require.Len(t, late, 2)
	for _, ev := range late {
		assert.False(t, ev.Update)
	}
}

// What was told last of a conversation is forgotten soon when a clock that was set back has dated it.
func TestARowThatTheLastReadDidNotShowYetIsNewAlsoWhenTheClockWasSetBack(t *testing.T) {
	t.Parallel()
	l := newListener(t)
	before, back := l.now, l.now.Add(-10*time.Minute)
	require.Len(t, l.pass(time.Second, message(5000, 2, before)), 1)
	require.Len(t, l.pass(time.Second, message(5002, 2, back)), 1)
	for id := int64(6000); id < 6200; id++ {
		require.Len(t, l.pass(time.Second, message(id, 1, back.Add(l.now.Sub(before)))), 1)
	}
	late := l.pass(time.Second, message(5001, 2, back.Add(-time.Second)), message(9999, 2, back.Add(l.now.Sub(before))))
	require.Len(t, late, 2)
	for _, ev := range late {
		assert.False(t, ev.Update)
	}
}

// Not parallel: it measures the heap.
func TestWhatAListenerRemembersDoesNotGrowWithWhatItWasTold(t *testing.T) {
	const listeners = 300
	log := fleet.NewLog(fleet.LogConfig{Keys: 2 * listeners, Contents: listeners})
	log.Tick(at(epoch))
	all, now, id := make([]*listener, listeners), epoch, int64(0)
	for i := range all {
		l := &listener{log: log, engine: feed.New(fleet.EngineConfig(feed.Config{}))}
		l.inbox = fleet.NewInbox(log, at(epoch), []int64{int64(i)})
		l.engine.Subscribe(now, feed.FromNow)
		require.Empty(t, drain(l.engine, l.inbox, now, []int64{int64(i)}))
		all[i] = l
	}
	// A message in ten seconds for each.
	tell := func(n int) (heap uint64) {
		for range n {
			now = now.Add(10 * time.Second)
			for i, l := range all {
				id++
				log.Append(at(now), []feed.Row{message(id, int64(i), now)})
				require.Len(t, drain(l.engine, l.inbox, now, []int64{int64(i)}), 1)
			}
		}
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	few := tell(60)
	many := tell(300)
	growth := (int64(many) - int64(few)) / listeners
	t.Logf("300 messages more make each listener %d bytes larger", growth)
	assert.Less(t, growth, int64(2000))
	runtime.KeepAlive(all)
}
