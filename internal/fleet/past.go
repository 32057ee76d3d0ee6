package fleet

import (
	"github.com/fliplet/fliplet-chat-go/internal/feed"
)

// A listener remembers little of what it was told. The log remembers for all of them: each
// entry says what was there before it.

// send stands for a send in a conversation; 0 for none.
type send uint64

func sendOf(row *feed.Row) send {
	if row.Origin == 0 {
		return 0
	}
	return send(uint64(row.Conversation)*0x9e3779b97f4a7c15 ^ row.Origin) //nolint:gosec // any number does
}

// recall says in a new entry what was there before it.
func (l *Log) recall(e *Entry) {
	row := &e.Row
	e.send = sendOf(row)
	var past feed.Past
	if was := l.find(row.ID); was != nil {
		past.Version, row.First = bare(&was.Row), was.Row.First
		if row.Deleted {
			e.send = was.send // not all tombstones say it
		}
	} else if past.Version = l.shown.get(row.ID); past.Version != nil || l.early(e) {
		row.First = 1
	} else {
		row.First = row.Updated
	}
	if row.Created > l.first && (l.oldest == 0 || row.ID < l.oldest) && row.First != 1 {
		l.oldest = row.ID
	}
	if e.send != 0 {
		past.Send = l.sender(e)
		row.Copy = past.Send != nil && past.Send.Origin == row.Origin
	}
	if past != (feed.Past{}) {
		row.Past = &past
	}
}

// sender is the row that a send is in, unless it is that of the entry. A row that has become
// something else makes room for the one of the entry.
func (l *Log) sender(e *Entry) *feed.Row {
	first, ok := l.sends[e.send]
	if !ok && !e.Row.Deleted {
		l.sends[e.send] = e.Row.ID
	}
	if !ok || first == e.Row.ID {
		return nil
	}
	holder := l.find(first)
	if holder == nil {
		return nil
	}
	if holder.send != e.send && !e.Row.Deleted {
		l.sends[e.send] = e.Row.ID
	}
	return bare(&holder.Row)
}

// bare is a row without its content and its past.
func bare(row *feed.Row) *feed.Row {
	was := *row
	was.Payload, was.Past = nil, nil
	return &was
}

// early reports whether a row that the log has not had was there before the log began. What is
// stored late, or by a clock that was set back, is not changed in that moment, and has a higher id
// than others.
func (l *Log) early(e *Entry) bool {
	row := &e.Row
	return row.Created < l.first-doubtful && (row.Deleted || e.Changed > row.Created) && (l.oldest == 0 || row.ID < l.oldest)
}

// leave forgets of an entry that is forgotten which send it was.
func (l *Log) leave(e *Entry) {
	if l.sends[e.send] != e.Row.ID {
		return
	}
	if now := l.find(e.Row.ID); now == nil || now.send != e.send {
		delete(l.sends, e.send)
	}
}

// mostShown is how many rows are kept, twice, that the server has shown to a listener and that
// the log has not had since.
const mostShown = 10_000

// shown are such rows: the newer ones and those before.
type shown struct{ newer, older map[int64]*feed.Row }

func (s *shown) get(id int64) *feed.Row {
	if row := s.newer[id]; row != nil {
		return row
	}
	return s.older[id]
}

func (s *shown) put(row *feed.Row) {
	if s.get(row.ID) != nil {
		return
	}
	if len(s.newer) >= mostShown {
		s.newer, s.older = nil, s.newer
	}
	if s.newer == nil {
		s.newer = map[int64]*feed.Row{}
	}
	s.newer[row.ID] = bare(row)
}
