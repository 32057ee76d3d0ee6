package fleet_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/budget"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/internal/fleet"
)

// shore is a fleet of two conversations that are read at different times, and an engine in the
// server's own times that reads its log.
type shore struct {
	t      *testing.T
	now    time.Time
	since  feed.Time
	log    *fleet.Log
	fleet  *fleet.Fleet
	plan   *plan
	engine *feed.Feed
	id     feed.ID
	rows   map[int64][]feed.Row // what the server has, by conversation
	got    []int64
	guard  bool // the engine is told from when the answers are
}

// plan reads the conversation that it is told to.
type plan struct {
	fleet.Strategy
	next int64
}

func (p *plan) Plan(now time.Time, v *fleet.View) (fleet.Request, bool) {
	return v.Look(now, func(id int64) bool { return id != p.next })
}
func (p *plan) Index(time.Time) (fleet.Request, time.Time) { return fleet.Request{}, time.Time{} }

func server(t time.Time) feed.Time { return feed.Time(t.UnixMicro()) }

func newShore(t *testing.T, guard bool, cfg fleet.LogConfig) *shore {
	s := &shore{
		t: t, now: time.UnixMilli(1e12), log: fleet.NewLog(cfg), plan: &plan{Strategy: fleet.NewSweep()},
		rows: map[int64][]feed.Row{}, guard: guard,
	}
	s.since = server(s.now)
	s.fleet = fleet.New(fleet.Config{Since: s.since}, s.plan, s.log)
	s.fleet.List(s.now, []fleet.Listing{{Conversation: 1, Created: 1, Users: []int32{}}, {Conversation: 2, Created: 1, Users: []int32{}}})
	s.begin(nil)
	return s
}

// begin begins with a stored position, or from now.
func (s *shore) begin(position *feed.Stored) {
	s.engine = feed.New(feed.Config{})
	stored := feed.Stored{}
	if position != nil {
		stored = *position
	}
	var err error
	s.id, err = s.engine.SubscribeDurable(s.now, feed.FromNow, stored)
	require.NoError(s.t, err)
}

func (s *shore) send(conversation, id int64) {
	s.rows[conversation] = append(s.rows[conversation], feed.Row{
		ID: id, Conversation: conversation, Created: server(s.now), Updated: server(s.now), Hash: uint64(id), Payload: id,
	})
}

// read reads a conversation now.
func (s *shore) read(conversation int64) {
	s.plan.next = conversation
	s.fleet.Ring(s.now, conversation)
	r, ok := s.fleet.Next(s.now, budget.Live)
	require.True(s.t, ok)
	var rows []feed.Row
	for i := len(s.rows[conversation]) - 1; i >= 0; i-- {
		rows = append(rows, s.rows[conversation][i])
	}
	s.fleet.Take(s.now, r, fleet.Answer{Rows: rows, Clock: server(s.now)})
}

// poll lets the engine read the log, and takes what it has. It stores the position if there is one.
func (s *shore) poll(position *feed.Stored) {
	s.engine.Poke(s.now)
	for range 50 {
		s.take(position)
		q := s.engine.Next(s.now).Query
		at := feed.Clock{Earliest: server(s.now), Latest: server(s.now)}
		switch {
		case q.Kind == 0:
			return
		case q.Kind == feed.Members:
			s.engine.Members(s.now, []feed.Member{{Conversation: 1, Created: 1}, {Conversation: 2, Created: 1}})
		case q.Kind == feed.Newest:
			s.engine.Page(s.now, []feed.Row{{ID: 1 << 40, Created: server(s.now), Updated: server(s.now), Foreign: true}}, at)
		default:
			if q.After.Time < s.since { // before the log there was nothing
				q.After = feed.Key{Time: s.since, ID: 1<<63 - 1}
			}
			a, ok := s.fleet.Recent(s.now, q.After, []int64{1, 2})
			require.True(s.t, ok)
			if s.guard {
				s.engine.Earlier(a.Asked, a.Since)
			}
			s.engine.Page(s.now, a.Rows, at)
		}
	}
}

func (s *shore) take(position *feed.Stored) {
	for {
		e, ok := s.engine.Pull(s.id)
		if ok {
			s.got = append(s.got, e.Row.ID)
			s.engine.Finish(s.id, e)
		}
		if c, some := s.engine.Commit(s.id, false); some && position != nil {
			if c.Base != nil {
				*position = feed.Stored{Base: c.Base}
			} else {
				position.Log = append(position.Log, c.Log)
			}
		}
		if !ok {
			return
		}
	}
}

func (s *shore) pass(d time.Duration) { s.now = s.now.Add(d) }

// One conversation is read each second, and the other once a minute. A consumer that is killed
// in between and goes on with its position must get what the other had, and does only because
// its engine is told how old the answers of the log are.
func TestAPositionIsNotAheadOfTheOldestReadOfTheLog(t *testing.T) {
	t.Parallel()
	for guard, want := range map[bool]bool{true: true, false: false} {
		t.Run(fmt.Sprint("guarded: ", guard), func(t *testing.T) {
			t.Parallel()
			var position feed.Stored
			s := newShore(t, guard, fleet.LogConfig{})
			s.poll(&position)
			s.pass(10 * time.Second)
			s.read(1)
			s.read(2)
			s.pass(time.Second)
			s.send(2, 100) // nobody reads it for a minute
			for i := range 40 {
				s.pass(time.Second)
				s.send(1, int64(101+i))
				s.read(1)
				s.poll(&position)
			}
			assert.NotContains(t, s.got, int64(100))
			s.begin(&position) // the process was killed
			s.poll(&position)
			s.pass(time.Second)
			s.read(2)
			s.poll(&position)
			seen := map[int64]int{}
			for _, id := range s.got {
				seen[id]++
			}
			assert.Equal(t, want, seen[100] == 1, "the message that was read late")
			for i := range 40 {
				assert.Equal(t, 1, seen[int64(101+i)], "message %d", 101+i)
			}
		})
	}
}

// The log says that it does not have what it has forgotten, or what is from before it.
func TestTheLogAnswersForWhatItHasOnly(t *testing.T) {
	t.Parallel()
	s := newShore(t, true, fleet.LogConfig{Contents: 5, Keys: 5})
	began := server(s.now)
	var times []feed.Time
	for i := range 20 {
		s.pass(time.Second)
		s.send(1, int64(100+i))
		times = append(times, server(s.now))
		s.read(1)
	}
	at := func(t feed.Time) bool {
		a, ok := s.fleet.Recent(s.now, feed.Key{Time: t, ID: 1<<63 - 1}, []int64{1, 2})
		for i := 1; i < len(a.Rows); i++ {
			assert.Less(s.t, a.Rows[i-1].Updated, a.Rows[i].Updated)
		}
		return ok
	}
	assert.False(t, at(began-1), "before the fleet")
	assert.False(t, at(times[13]), "forgotten")
	assert.True(t, at(times[14]), "the last five")
	a, ok := s.fleet.Recent(s.now, feed.Key{Time: times[16], ID: 116}, []int64{1, 2, 3})
	require.True(t, ok)
	assert.Len(t, a.Rows, 3)
	assert.Equal(t, []int64{3}, a.Without, "one that no list has had yet")
	assert.Equal(t, began, a.Since, "the other was not read yet")
	a, _ = s.fleet.Recent(s.now, feed.Key{Time: times[16], ID: 116}, []int64{2})
	assert.Empty(t, a.Rows, "conversations that are not asked for")
}
