package hub

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/internal/rows"
	"github.com/fliplet/fliplet-chat-go/internal/wait"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
	"github.com/fliplet/fliplet-chat-go/profile"
)

// A deletion may be found hours after it was made, and by then the position of a consumer has
// passed it. In the process that finds it the log has it with the time at which that was. But
// when the process ends before, the next one reads what has changed since the position, and what
// was deleted before it is not among that. So a consumer that goes on asks once more for what was
// deleted in the hours before its position. What it was told of is noted in its Store.

// Told is what a consumer was told of.
type Told interface {
	// Begin returns since when deletions have to be looked for: earliest, unless what was told
	// is known from a later time on only, or a search from an earlier one has not ended.
	Begin(ctx context.Context, now, earliest feed.Time) (since feed.Time, err error)
	// Has reports whether the deletion of a row was told.
	Has(ctx context.Context, row int64) (bool, error)
	// End ends the search. What was told before a time may be forgotten.
	End(ctx context.Context, before feed.Time) error
}

const (
	// longestFind is how long it takes until a deletion is found, with a margin: each conversation
	// is asked for deleted rows in three hours. With more than 10,800 of them it takes as much
	// longer as eachFind says.
	longestFind = 4 * time.Hour
	eachFind    = 4 * time.Second / 3
	// searchAgain is the wait before what has failed is asked for again, and searchPace that between
	// two conversations.
	searchAgain = 30 * time.Second
	searchPace  = 500 * time.Millisecond
	// listBehind is how far the time of a data source may be behind that of a row.
	listBehind = 10 * time.Second
)

// late has the deletions from before the position of a consumer.
type late struct {
	h    *Hub
	log  *slog.Logger
	to   Reader                                                 // nil until it has entered
	list func(context.Context) ([]datasource.DataSource, error) // the conversations of the consumer

	mu     sync.Mutex
	search *search    // nil: there is none, or it has ended
	rows   []feed.Row // what was found; Updated is when it was given out first, 0: it was not
}

// search is one look for them.
type search struct {
	told Told

	// Guarded by the mu of late:
	begun, running bool
	upto           feed.Time // the position

	// Of whoever runs:
	since feed.Time // 0: it is not known yet
	left  []int64   // conversations that were not asked for
}

// Late makes the next query of changes look for deletions from before its position, too: a consumer
// begins to receive.
func (w *Watch) Late(told Told) { w.late.begin(told) }

// Late is [Watch.Late] for the consumer of a user.
func (d *Desk) Late(told Told) { d.late.begin(told) }

func (l *late) begin(told Told) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.search, l.rows = &search{told: told}, nil
}

// seek looks for deletions from before a position, beside what is new, unless that is done or under
// way. The first query of changes of an engine begins at its position.
func (l *late) seek(ctx context.Context, after feed.Key) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.search
	if s == nil || s.running {
		return
	}
	if !s.begun {
		s.begun, s.upto = true, after.Time
	}
	s.running = l.to.Aside(func() {
		done := l.run(datasource.InClass(ctx, datasource.ClassBackground), s)
		l.mu.Lock()
		s.running = false
		if done && l.search == s {
			l.search = nil
		}
		l.mu.Unlock()
		if !done {
			l.to.Poke() // the next query lets it go on
		}
	})
}

// run looks until nothing is left. It reports false if it has ended before.
func (l *late) run(ctx context.Context, s *search) (done bool) {
	for ctx.Err() == nil {
		err := l.pass(ctx, s)
		if err == nil {
			return true
		}
		if ctx.Err() == nil {
			l.log.Debug("not all deletions from before could be asked for, which is tried again", "error", err)
		}
		_ = wait.Sleep(ctx, searchAgain) // the loop looks at ctx
	}
	return false
}

// pass asks once for each conversation that is left. The error is the first one.
func (l *late) pass(ctx context.Context, s *search) (failed error) {
	list, err := l.list(ctx)
	if err == nil && s.since == 0 {
		err = l.beginSearch(ctx, s, list)
	}
	if err != nil {
		return err
	}
	there := make(map[int64]bool, len(list))
	for i := range list {
		there[list[i].ID] = true
	}
	s.left = slices.DeleteFunc(s.left, func(id int64) bool {
		if ctx.Err() != nil || !l.runs(s) {
			return false
		}
		if !there[id] {
			return true // there is none any more
		}
		err := l.findIn(ctx, s, id)
		failed = cmp.Or(failed, err)
		_ = wait.Sleep(ctx, searchPace)
		return err == nil
	})
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case failed != nil || !l.runs(s):
		return failed
	}
	return s.told.End(ctx, s.since-feed.Time((24*time.Hour).Microseconds()))
}

// runs reports whether a search is the one of the consumer that receives now.
func (l *late) runs(s *search) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.search == s
}

// beginSearch says since when deletions may not have been told, and of which conversations.
func (l *late) beginSearch(ctx context.Context, s *search, list []datasource.DataSource) error {
	all, _ := l.h.all() // they take turns
	longest := max(longestFind, eachFind*time.Duration(len(all)))
	since, err := s.told.Begin(ctx, l.h.now(), max(s.upto, 0)-feed.Time(longest.Microseconds()))
	if err != nil {
		return err
	}
	s.since = max(since, 1)
	for i := range list {
		changed := rows.Micros(list[i].UpdatedAt.Add(listBehind))
		if quiet := l.h.cfg.Profile.ListTimes != profile.Avoid && !list[i].UpdatedAt.IsZero() && changed < s.since; s.since < s.upto && !quiet {
			s.left = append(s.left, list[i].ID)
		}
	}
	return nil
}

// findIn asks for what was deleted in a conversation before the position.
func (l *late) findIn(ctx context.Context, s *search, id int64) error {
	// Of the live rows none is wanted. The deleted ones come all, whatever the limit is.
	answer, err := l.h.cfg.Client.Select(ctx, id, datasource.Query{
		UpdatedAt: datasource.M{"$gte": wire.Timestamp(time.UnixMicro(int64(s.since)))}, Limit: 1,
	})
	if err != nil {
		return err
	}
	var gone []datasource.Entry
	for _, e := range answer.Deleted {
		at := e.UpdatedAt
		if e.DeletedAt == nil {
			e.DeletedAt = new(time.Time)
		}
		if at.IsZero() {
			at = *e.DeletedAt
		}
		if !at.IsZero() && rows.Micros(at) > s.upto+overlap || e.ID <= 0 {
			continue // what comes after the position is told with it
		}
		has, err := s.told.Has(ctx, e.ID)
		if err != nil {
			return err
		}
		if !has {
			e.DataSourceID = id
			gone = append(gone, e)
		}
	}
	found := rows.Feed(ctx, gone, l.h.cfg.Genuine, l.log)
	for i := range found {
		if gone[i].CreatedAt.IsZero() {
			found[i].Created = 1 // it is from before the position
		}
		found[i].Updated = 0
	}
	if l.add(s, found) {
		l.to.Poke()
	}
	return nil
}

// add keeps what a search has found.
func (l *late) add(s *search, found []feed.Row) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.search != s || len(found) == 0 {
		return false
	}
	l.rows = append(l.rows, found...)
	return true
}

// with adds to rows, which are in order of change, those that were found from before in some
// conversations. What is given out first has the time of this moment.
func (l *late) with(found []feed.Row, after feed.Key, now feed.Time, conversations []int64) []feed.Row {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.rows) == 0 {
		return found
	}
	out := slices.Clone(found)
	for i := range l.rows {
		row := &l.rows[i]
		if !slices.Contains(conversations, row.Conversation) {
			continue
		}
		if row.Updated == 0 {
			row.Updated = max(now, after.Time+1)
		}
		if row.UpdatedKey().Compare(after) > 0 {
			out = append(out, *row)
		}
	}
	slices.SortStableFunc(out, func(a, b feed.Row) int { return a.UpdatedKey().Compare(b.UpdatedKey()) })
	return out
}
