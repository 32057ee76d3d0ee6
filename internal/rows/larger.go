package rows

import (
	"context"
	"sync"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/pages"
)

// An answer that may have been cut is whole if the server gives a larger one. Where people
// write all the time, each poll may have as many rows as any other, and would be followed by
// a request for what is behind it. So a page of the newest rows is asked for first: if it is
// larger, smaller answers are believed for ten minutes and more.

// largerAgain is how long no larger answer is asked for after one was not large enough.
const largerAgain = 15 * time.Second

// escapes is how many bytes an answer may have for one of a text.
const escapes = 6

// larger is what such requests have shown. The zero value is ready for use.
type larger struct {
	mu    sync.Mutex
	asked time.Time
	rows  int
}

// worth reports whether a larger answer than one with so many rows may be had. It notes that it
// is asked for.
func (l *larger) worth(now time.Time, rows int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Sub(l.asked) < largerAgain && l.rows <= rows {
		return false
	}
	l.asked, l.rows = now, 0
	return true
}

func (l *larger) note(rows int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rows = rows
}

// exceeded reports whether the server gives larger answers than one that has fewer rows than
// were wanted. newest asks for the newest rows. What fails shows nothing.
func (l *larger) exceeded(pace *pages.Pace, page int, rows []datasource.Entry, size int64, newest func(limit int) (unchecked, error)) bool {
	limit := pace.Limit(page)
	if limit <= len(rows) || !l.worth(time.Now(), len(rows)) {
		return false
	}
	found, err := newest(limit)
	if err != nil {
		return false
	}
	l.note(len(found.rows))
	widest := 0
	for _, some := range [][]datasource.Entry{rows, found.rows} {
		for i := range some {
			widest = max(widest, rowWeight(&some[i]))
		}
	}
	return len(found.rows) > len(rows) && found.size > size+escapes*int64(widest)
}

// whole reports whether an answer that may have been cut is whole.
func (s *Source) whole(ctx context.Context, w want, u unchecked) bool {
	if w.newest && w.unbounded() || w.limit < s.PageSize {
		return false // there is no larger page than this one
	}
	e := s.Endpoint
	return e.larger.Get().exceeded(&e.across, s.PageSize, u.rows, u.size, func(limit int) (unchecked, error) {
		return s.across(light(ctx, limit), want{column: createdAt, newest: true, limit: limit})
	})
}

// wholeOne is whole for an answer of one conversation.
func (s *Source) wholeOne(ctx context.Context, id int64, w want, answer *datasource.Result) bool {
	if w.unbounded() && w.unreadBy == "" && w.above == 0 || w.limit < s.PageSize {
		return false
	}
	e := s.Endpoint
	return e.other.Get().exceeded(&e.one, s.PageSize, answer.Entries, answer.Size, func(limit int) (unchecked, error) {
		found, err := s.Client.Select(light(ctx, limit), id, datasource.Query{
			Type: "select", Limit: limit, Order: []datasource.Order{{Column: createdAt, Direction: datasource.Desc}, {Column: "id", Direction: datasource.Desc}},
		})
		if err != nil {
			return unchecked{}, err
		}
		return unchecked{rows: found.Entries, size: found.Size}, nil
	})
}
