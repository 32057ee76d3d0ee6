package fleet_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/budget"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/internal/fleet"
)

// logged is a fleet with an audit log.
type logged struct {
	*bench
	entries []fleet.Mark
	asked   int // requests for the log
	lists   int
	times   map[int64]feed.Time // those in the list
	answer  func(r fleet.Request, a *fleet.Answer)
	fail    func() error
}

func newLogged(t *testing.T, n int, s fleet.Strategy) *logged {
	l := &logged{bench: newBench(t, n, s), times: map[int64]feed.Time{}}
	for i := range n {
		l.times[int64(i+1)] = 1
	}
	l.run(2 * time.Second) // it begins
	return l
}

// note writes an entry.
func (l *logged) note(conversation int64, deleted bool) {
	l.entries = append(l.entries, fleet.Mark{Entry: int64(len(l.entries) + 1), Conversation: conversation, At: at(l.now), Deleted: deleted})
}

// run answers what the index asks for a while.
func (l *logged) run(d time.Duration) {
	for end := l.now.Add(d); l.now.Before(end); l.pass(50 * time.Millisecond) {
		if due := l.Due(l.now, budget.Index); due.IsZero() || due.After(l.now) {
			continue
		}
		r, ok := l.Next(l.now, budget.Index)
		if !ok {
			continue
		}
		a := fleet.Answer{Clock: at(l.now)}
		if r.Kind == fleet.List {
			l.lists++
			for c, changed := range l.times {
				a.Listed = append(a.Listed, fleet.Listing{Conversation: c, Created: 1, Changed: changed})
			}
		} else {
			l.asked++
			for _, e := range l.entries {
				if e.At >= r.Since {
					a.Marks = append(a.Marks, e)
				}
			}
			a.Marks = a.Marks[min(r.Offset, len(a.Marks)):]
			a.Marks = slices.Clone(a.Marks[:min(r.Limit, len(a.Marks))])
			a.Full = len(a.Marks) >= r.Limit
			if l.fail != nil {
				if err := l.fail(); err != nil {
					l.Fail(l.now, r, fleet.Failure{Refused: errors.Is(err, errRefused)}, err)
					continue
				}
			}
			if l.answer != nil {
				l.answer(r, &a)
			}
		}
		l.Take(l.now, r, a)
	}
}

var errRefused = errors.New("refused")

// named are the conversations that are to be read because of the index.
func (l *logged) named() int { return l.Dirty().Waiting(fleet.Listed) }

func TestTheAuditLogNamesEachConversationOnceWhateverItsEntriesAreLike(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(r fleet.Request, a *fleet.Answer){
		"as documented": nil,
		"in no order": func(_ fleet.Request, a *fleet.Answer) {
			rand.Shuffle(len(a.Marks), func(i, j int) { a.Marks[i], a.Marks[j] = a.Marks[j], a.Marks[i] })
		},
		"repeated": func(_ fleet.Request, a *fleet.Answer) { a.Marks = append(a.Marks, a.Marks...) },
		"of other data sources, too": func(r fleet.Request, a *fleet.Answer) {
			a.Marks = append(a.Marks, fleet.Mark{Entry: 1 << 40, Conversation: 77777, At: r.Since + 1})
		},
		"from the future": func(r fleet.Request, a *fleet.Answer) {
			for range 3 {
				a.Marks = append(a.Marks, fleet.Mark{Entry: 1 << 41, Conversation: 88888, At: 1 << 60})
			}
		},
		"from long ago": func(r fleet.Request, a *fleet.Answer) {
			a.Marks = append(a.Marks, fleet.Mark{Entry: 1 << 42, Conversation: 1, At: 1}, fleet.Mark{Entry: 1 << 43, Conversation: 2, At: -1 << 60})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLogged(t, 2000, fleet.NewAudit())
			l.answer = answer
			for c := range 1200 { // more than two pages, many at one time
				l.note(int64(c+1), false)
			}
			l.run(3 * time.Second)
			assert.Equal(t, 1200, l.named())
			for i := range 300 {
				l.note(int64(1300+i), false)
				l.run(100 * time.Millisecond)
			}
			l.run(3 * time.Second)
			assert.Equal(t, 1500, l.named())
		})
	}
}

// More entries than the log gives in ten seconds' requests do not end the reading.
func TestTheAuditLogIsReadOnWhereALotHasTheSameTime(t *testing.T) {
	t.Parallel()
	l := newLogged(t, 4000, fleet.NewAudit())
	for c := range 3000 {
		l.note(int64(c+1), false)
	}
	l.run(4 * time.Second)
	assert.Equal(t, 3000, l.named())
	before := l.asked
	l.run(10 * time.Second)
	assert.LessOrEqual(t, l.asked-before, 29, "its own limit is 30 in 10 s")
}

func TestAnEntryThatAppearsLateIsTaken(t *testing.T) {
	t.Parallel()
	l := newLogged(t, 100, fleet.NewAudit())
	for i := range 20 {
		l.note(int64(i+1), false)
		l.run(time.Second)
	}
	l.entries = append(l.entries, fleet.Mark{Entry: 999, Conversation: 60, At: at(l.now.Add(-4 * time.Second))})
	l.run(2 * time.Second)
	assert.Equal(t, 21, l.named())
}

// The list is read seldom only once the log was seen to tell what it shows.
func TestTheListIsReadOftenUntilTheAuditLogHasProvedItself(t *testing.T) {
	t.Parallel()
	l := newLogged(t, 100, fleet.NewAudit())
	minute := func(notes bool) int {
		before := l.lists
		for i := range 6 {
			c := int64(10 + i)
			l.times[c] = at(l.now)
			if notes {
				l.note(c, false)
			}
			l.run(10 * time.Second)
		}
		return l.lists - before
	}
	assert.GreaterOrEqual(t, minute(false), 13, "every 4 s")
	minute(true)
	l.run(12 * time.Minute) // what it had lacked is long ago
	minute(true)
	assert.LessOrEqual(t, minute(true), 2)
	minute(false)
	assert.GreaterOrEqual(t, minute(false), 10, "it lacks something again")
	minute(true)
	l.run(15 * time.Minute)
	minute(true)
	assert.LessOrEqual(t, minute(true), 2)
	l.answer = func(_ fleet.Request, a *fleet.Answer) {
		a.Marks = slices.DeleteFunc(a.Marks, func(m fleet.Mark) bool { return m.At > at(l.now.Add(-20*time.Second)) })
	}
	minute(true)
	minute(true)
	assert.GreaterOrEqual(t, minute(true), 10, "it lags more than the list")
}

func TestAFleetGoesOnWithTheListWhenTheAuditLogIsOfNoUse(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fail   func() error
		answer func(r fleet.Request, a *fleet.Answer)
		why    string
	}{
		"refused":          {func() error { return errRefused }, nil, "refused"},
		"fails":            {func() error { return errors.New("teapot") }, nil, "teapot"},
		"lacks everything": {nil, func(_ fleet.Request, a *fleet.Answer) { a.Marks, a.Full = nil, false }, "lacks changes"},
		"the same page again and again": {nil, func(r fleet.Request, a *fleet.Answer) {
			a.Marks, a.Full = nil, true
			for i := range r.Limit {
				a.Marks = append(a.Marks, fleet.Mark{Entry: int64(i + 1), Conversation: 1, At: 1})
			}
		}, "does not begin where"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := fleet.NewChooser(fleet.Ways{Audit: true, Times: true, Joins: true, Across: true})
			l := newLogged(t, 50, s)
			require.Equal(t, "audit", s.Choice().Strategy, s.Choice().Why)
			l.fail, l.answer = c.fail, c.answer
			for i := range 300 {
				l.times[int64(1+i%50)] = at(l.now)
				l.run(time.Second)
			}
			got := s.Choice()
			assert.Equal(t, "list", got.Strategy, got.Why)
			assert.Contains(t, got.Why, c.why)
			asked := l.asked
			l.run(30 * time.Minute)
			assert.LessOrEqual(t, l.asked-asked, 1, "it is let alone")
			l.fail, l.answer = nil, nil
			l.run(40 * time.Minute)
			assert.Equal(t, "audit", s.Choice().Strategy, s.Choice().Why)
		})
	}
}

// While everything is down the log is not to blame, and it does not say that the rest is up.
func TestAnOutageIsNotTheAuditLogsFault(t *testing.T) {
	t.Parallel()
	s := fleet.NewChooser(fleet.Ways{Audit: true, Times: true, Joins: true})
	l := newLogged(t, 50, s)
	for i := range 12 { // the log proves itself, so that it is asked more often than the list
		c := int64(10 + i)
		l.times[c] = at(l.now)
		l.note(c, false)
		l.run(10 * time.Second)
	}
	for before := l.lists; l.lists == before; {
		l.run(50 * time.Millisecond)
	}
	down := errors.New("down")
	for range 1100 { // 55 s
		l.pass(50 * time.Millisecond)
		for _, class := range []budget.Class{budget.Index, budget.Live} {
			if due := l.Due(l.now, class); due.IsZero() || due.After(l.now) {
				continue
			}
			if r, ok := l.Next(l.now, class); ok {
				l.Fail(l.now, r, fleet.Failure{}, down)
			}
		}
	}
	assert.Equal(t, "audit", s.Choice().Strategy, s.Choice().Why)
}

// Bells that do not ring any more leave the list, until they do.
func TestBellsThatAreMuteAreNotReliedOn(t *testing.T) {
	t.Parallel()
	s := fleet.NewChooser(fleet.Ways{Bell: true, Times: true, Joins: true})
	l := newLogged(t, 50, s)
	minutes := func(n int, rings bool) string {
		for i := range 6 * n {
			c := int64(1 + i%50)
			l.times[c] = at(l.now)
			if l.run(time.Second); rings {
				l.Ring(l.now, c)
			}
			l.run(9 * time.Second)
		}
		return s.Choice().Strategy
	}
	assert.Equal(t, "bell", minutes(10, true))
	before := l.lists
	l.run(10 * time.Minute)
	assert.LessOrEqual(t, l.lists-before, 41, "each 15 s")
	assert.Equal(t, "list", minutes(5, false))
	assert.Contains(t, s.Choice().Why, "no bell rings")
	l.Ring(l.now, 999) // nobody knows it
	for range 20 {
		l.Ring(l.now, 7) // nothing has happened in it
		l.run(time.Second)
	}
	assert.Equal(t, "list", s.Choice().Strategy)
	assert.Equal(t, "bell", minutes(3, true))
}

// A limit of the log's own holds up the log, and nothing else.
func TestTheWaitThatTheAuditLogAsksForIsItsOwn(t *testing.T) {
	t.Parallel()
	l := newLogged(t, 50, fleet.NewAudit())
	l.run(5 * time.Second)
	var r fleet.Request
	for r.Kind != fleet.Audit {
		l.pass(100 * time.Millisecond)
		if due := l.Due(l.now, budget.Index); !due.IsZero() && !due.After(l.now) {
			if r, _ = l.Next(l.now, budget.Index); r.Kind == fleet.List {
				l.Fail(l.now, r, fleet.Failure{}, errors.New("not now"))
			}
		}
	}
	l.Fail(l.now, r, fleet.Failure{Wait: 20 * time.Second}, errors.New("too many"))
	asked := l.asked
	l.times[7] = at(l.now)
	l.run(19 * time.Second)
	assert.Equal(t, asked, l.asked)
	assert.Positive(t, l.named(), "the list is read meanwhile")
	l.run(3 * time.Second)
	assert.Greater(t, l.asked, asked)
}

func TestADeletionInTheAuditLogIsLookedForOnce(t *testing.T) {
	t.Parallel()
	l := newLogged(t, 50, fleet.NewAudit())
	l.note(5, true)
	looked := 0
	for range 20 {
		l.run(time.Second)
		if due := l.Due(l.now, budget.Backfill); due.IsZero() || due.After(l.now) {
			continue
		}
		if r, ok := l.Next(l.now, budget.Backfill); ok {
			if r.Conversations[0] == 5 {
				looked++
			}
			l.Take(l.now, r, fleet.Answer{Clock: at(l.now)})
		}
	}
	assert.Equal(t, 1, looked)
}
