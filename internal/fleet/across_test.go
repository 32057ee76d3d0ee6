package fleet_test

import (
	"cmp"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/fliplet/fliplet-chat-go/internal/budget"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/internal/fleet"
)

// served is a fleet and a server that answers what it asks.
type served struct {
	*fleet.Fleet
	log     *fleet.Log
	now     time.Time
	rows    []feed.Row
	members map[int64][]int32
	times   map[int64]feed.Time // those in the list; nil: it shows none
	kinds   map[fleet.Kind]int
	fail    func(r fleet.Request) (fleet.Failure, error)
	omit    func(r fleet.Request, row feed.Row) bool // of queries across
	quiet   int64                                    // a conversation whose time in the list does not move
	back    time.Duration                            // by which the server's clock was set back
	read    int                                      // rows in answers
}

func serve(s fleet.Strategy, members map[int64][]int32) *served {
	v := &served{log: fleet.NewLog(fleet.LogConfig{}), now: epoch, members: members, kinds: map[fleet.Kind]int{}, times: map[int64]feed.Time{}}
	v.Fleet = fleet.New(fleet.Config{Since: at(epoch)}, s, v.log)
	return v
}

// clock is the server's.
func (v *served) clock() time.Time { return v.now.Add(-v.back) }

// write writes a row.
func (v *served) write(conversation int64) int64 {
	id := int64(len(v.rows) + 1)
	v.rows = append(v.rows, row(id, conversation, v.clock()))
	if v.times != nil && conversation != v.quiet {
		v.times[conversation] = at(v.clock())
	}
	return id
}

// run lets the fleet ask for a while.
func (v *served) run(d time.Duration) {
	for end := v.now.Add(d); v.now.Before(end); v.now = v.now.Add(50 * time.Millisecond) {
		for _, class := range []budget.Class{budget.Index, budget.Live} {
			if due := v.Due(v.now, class); due.IsZero() || due.After(v.now) {
				continue
			}
			r, ok := v.Next(v.now, class)
			if !ok {
				continue
			}
			v.kinds[r.Kind]++
			if v.fail != nil {
				if why, err := v.fail(r); err != nil {
					v.Fail(v.now, r, why, err)
					continue
				}
			}
			v.Take(v.now, r, v.answer(r))
		}
	}
}

func (v *served) answer(r fleet.Request) fleet.Answer {
	a := fleet.Answer{Clock: at(v.clock())}
	switch r.Kind {
	case fleet.List:
		for c, users := range v.members {
			l := fleet.Listing{Conversation: c, Created: 1, Changed: max(1, v.times[c])}
			if r.Users {
				l.Users = append([]int32{}, users...)
			}
			a.Listed = append(a.Listed, l)
		}
	case fleet.Look:
		for i, c := range r.Conversations {
			n := 0
			for j := len(v.rows) - 1; j >= 0 && n < r.Limits[i]; j-- {
				if v.rows[j].Conversation == c {
					a.Rows = append(a.Rows, v.rows[j])
					n++
				}
			}
		}
	default:
		for _, row := range v.rows {
			in := r.Kind == fleet.Read && row.Conversation == r.Conversations[0] ||
				r.Kind == fleet.Across && slices.Contains(v.members[row.Conversation], r.User) && (v.omit == nil || !v.omit(r, row))
			if in && row.UpdatedKey().Compare(r.After) > 0 {
				a.Rows = append(a.Rows, row)
			}
		}
		slices.SortStableFunc(a.Rows, func(x, y feed.Row) int { return cmp.Compare(x.Updated, y.Updated) })
		if a.Full = len(a.Rows) >= r.Limit; a.Full {
			a.Rows = a.Rows[:r.Limit]
			a.Last = a.Rows[r.Limit-1].UpdatedKey()
		}
		v.read += len(a.Rows)
	}
	return a
}

// had checks that the log has each row once.
func (v *served) had(t *testing.T) {
	t.Helper()
	n, _ := v.log.Len()
	assert.Equal(t, len(v.rows), n, "each row once")
}

// talk writes rows for a while.
func (v *served) talk(n int, pause time.Duration, conversations ...int64) {
	for i := range n {
		v.write(conversations[i%len(conversations)])
		v.run(pause)
	}
}

func crowd(n int) map[int64][]int32 {
	m := map[int64][]int32{}
	for i := range n {
		m[int64(i+1)] = []int32{0, int32(1 + i%5)}
	}
	return m
}

// A query across lacks the rows of a conversation that the user has left, which the list shows up
// to a minute later.
func TestAMemberWhoIsRemovedCostsNobodyARow(t *testing.T) {
	t.Parallel()
	for name, quiet := range map[string]int64{"the list shows what has changed": 0, "the list shows nothing of it": 2} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := serve(fleet.NewAcross(), crowd(20))
			v.quiet = quiet
			v.run(2 * time.Minute)
			v.talk(40, time.Second, 1, 2, 3, 4)
			v.members[2] = []int32{3} // user 0, who is in all, is not any more
			v.talk(70, time.Second, 1, 2, 3, 4)
			v.run(3 * time.Minute)
			v.had(t)
			assert.Greater(t, v.kinds[fleet.Across], v.kinds[fleet.Read])
		})
	}
}

// Queries across go back to where the clock was set to, each once, and what they lack is read
// by itself, once.
func TestAQueryAcrossGoesBackWithTheServersClockOnlyOnce(t *testing.T) {
	t.Parallel()
	for name, leaves := range map[string]bool{"": false, "somebody leaves and comes back": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := serve(fleet.NewAcross(), crowd(20))
			v.run(2 * time.Minute)
			v.talk(90, time.Second, 1, 2, 3, 4)
			v.run(time.Minute)
			v.back = time.Hour
			clear(v.kinds)
			v.read = 0
			v.talk(90, time.Second, 1, 2, 3, 4)
			if leaves {
				v.members[2] = []int32{3} // user 0 is in all others
				v.talk(120, time.Second, 1, 2, 3, 4)
				v.members[2] = []int32{0, 2}
				v.talk(120, time.Second, 1, 2, 3, 4)
			}
			v.talk(90, time.Second, 1, 2, 3, 4)
			v.run(3 * time.Minute)
			v.had(t)
			assert.LessOrEqual(t, v.kinds[fleet.Read], 2)
			assert.Less(t, v.read, 28*len(v.rows), "rows in answers")
		})
	}
}

func TestWhatAUserHasMissedWhoComesBackIsRead(t *testing.T) {
	t.Parallel()
	for name, back := range map[string]time.Duration{"": 0, "the clock is set back": time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := serve(fleet.NewAcross(), crowd(20))
			v.quiet = 2
			v.run(2 * time.Minute)
			v.talk(40, time.Second, 1, 2, 3, 4)
			v.back = back
			v.members[2] = nil
			v.run(2 * time.Minute)
			for range 20 {
				v.talk(4, time.Second, 1, 2, 3, 4)
			}
			v.members[2] = []int32{0}
			v.talk(80, time.Second, 1, 2, 3, 4)
			v.run(3 * time.Minute)
			v.had(t)
		})
	}
}

func TestAUserWhoCannotBeAskedAcrossIsReplacedByOthersAndByReads(t *testing.T) {
	t.Parallel()
	v := serve(fleet.NewAcross(), crowd(20))
	v.members[21] = []int32{0} // nobody else is in it
	refused := errors.New("no token")
	v.fail = func(r fleet.Request) (fleet.Failure, error) {
		if r.Kind == fleet.Across && r.User == 0 {
			return fleet.Failure{Refused: true, User: true}, refused
		}
		return fleet.Failure{}, nil
	}
	v.run(2 * time.Minute)
	v.talk(60, time.Second, 1, 2, 3, 21)
	v.run(2 * time.Minute)
	v.had(t)
	assert.Positive(t, v.kinds[fleet.Across])
	v.times = nil
	v.talk(10, time.Second, 21)
	v.run(2 * time.Minute)
	v.had(t)
}

// What the list shows and a query across does not is read by itself.
func TestAConversationThatQueriesAcrossLeaveOutIsReadByItself(t *testing.T) {
	t.Parallel()
	v := serve(fleet.NewAcross(), crowd(20))
	v.omit = func(_ fleet.Request, row feed.Row) bool { return row.Conversation == 7 }
	v.run(2 * time.Minute)
	v.talk(60, time.Second, 6, 7)
	v.run(time.Minute)
	v.had(t)
}

func TestAChooserGoesOnWithoutJoinsAndTriesThemAgain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		refuses map[fleet.Kind]bool
		why     fleet.Failure
		then    string
	}{
		"joins are refused":                    {map[fleet.Kind]bool{fleet.Look: true}, fleet.Failure{Refused: true}, "across"},
		"and queries across":                   {map[fleet.Kind]bool{fleet.Look: true, fleet.Across: true}, fleet.Failure{Refused: true}, "single"},
		"and queries across fail all the time": {map[fleet.Kind]bool{fleet.Look: true, fleet.Across: true}, fleet.Failure{}, "single"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := fleet.NewChooser(fleet.Ways{Times: true, Joins: true, Across: true})
			v := serve(s, crowd(30))
			v.run(time.Minute)
			v.talk(20, time.Second, 1, 2, 3, 4, 5)
			assert.Equal(t, "list", s.Choice().Strategy)
			v.fail = func(r fleet.Request) (fleet.Failure, error) {
				if c.refuses[r.Kind] && (r.Kind != fleet.Look || len(r.Conversations) > 1) {
					if r.Kind == fleet.Look {
						return fleet.Failure{Refused: true}, errors.New("too many joins")
					}
					return c.why, errors.New("not here")
				}
				return fleet.Failure{}, nil
			}
			v.talk(60, time.Second, 1, 2, 3, 4, 5)
			v.run(time.Minute)
			assert.Equal(t, c.then, s.Choice().Strategy, s.Choice().Why)
			v.had(t)
			looks := v.kinds[fleet.Look]
			v.talk(130, time.Minute, 1, 2, 3, 4, 5, 6, 7)
			v.run(time.Minute)
			assert.Equal(t, c.then, s.Choice().Strategy, s.Choice().Why)
			assert.LessOrEqual(t, v.kinds[fleet.Look]-looks, 6, "it is tried a few times an hour")
			v.had(t)
			v.fail = nil
			v.talk(70, time.Minute, 1, 2, 3, 4, 5, 6, 7)
			v.run(time.Minute)
			assert.Equal(t, "list", s.Choice().Strategy, s.Choice().Why)
			v.had(t)
		})
	}
}

// One conversation after the other that spoils its looks is not taken for a server without joins.
func TestAConversationThatCannotBeReadIsNotTakenForAServerWithoutJoins(t *testing.T) {
	t.Parallel()
	s := fleet.NewChooser(fleet.Ways{Times: true, Joins: true, Across: true})
	v := serve(s, crowd(30))
	bad := int64(0)
	v.fail = func(r fleet.Request) (fleet.Failure, error) {
		if slices.Contains(r.Conversations, bad) {
			return fleet.Failure{Refused: true}, errors.New("not allowed")
		}
		return fleet.Failure{}, nil
	}
	v.run(time.Minute)
	for i := range 60 {
		bad = int64(9 + i/6)
		v.talk(5, time.Second, 1, 2, 3, 8, bad)
	}
	bad = 0
	v.run(10 * time.Minute)
	v.had(t)
	assert.Equal(t, "list", s.Choice().Strategy, s.Choice().Why)
}
