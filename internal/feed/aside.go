package feed

import (
	"slices"
	"time"
)

// A conversation whose event is not done with holds up a durable listener: it fills the
// queue, and nothing behind it can be forgotten. It can be set aside. The listener then
// goes on as if the rest of the conversation were done, and the conversation gets a
// reader of its own, at the stored position: as if the process had crashed, for one
// conversation. That reader asks for nothing before the event is done with. When it has
// caught up with the listener the conversation becomes a part of it again.

// mostAside is how many conversations that are set aside are read at the same time.
const mostAside = 8

// part is a conversation that is set aside.
type part struct {
	*reader
	held   bool   // its event is not done with, so nothing is read
	entry  *entry // while it is read
	joined bool   // a part of the listener again, but not of the stored position
	// told is the position after the event that is not done with, nil unless that is a gap:
	// from the one before it a join would find the gap again.
	told []byte
	// missing is when the conversation was first not in a list, and was in none since.
	missing time.Time
}

// apart reports whether a conversation is set aside.
func (j *journal) apart(conversation int64) bool {
	p := j.parts[conversation]
	return p != nil && !p.joined
}

func (j *journal) drop(p *part) {
	if j.parts[p.only] == p {
		delete(j.parts, p.only)
	}
}

// skips reports whether rows of a conversation are another reader's.
func (r *reader) skips(conversation int64) bool {
	if r.only != 0 {
		return r.only != conversation
	}
	return r.ledger != nil && r.ledger.apart(conversation)
}

// want is the reader's next query, if it has one.
func (r *reader) want() (Query, bool) {
	q, ok := r.query()
	if ok && r.only != 0 {
		q.Conversation = r.only
	}
	return q, ok
}

// SetAside sets a conversation aside. held: one of its events was taken and is not done
// with; [Feed.Finish] is still to be called for it. The others that were taken come
// again.
func (f *Feed) SetAside(id ID, conversation int64, held bool) bool {
	e := f.find(id)
	if e == nil || e.ledger == nil || e.ledger.base == nil {
		return false
	}
	l := e.ledger
	var base []byte
	var acked []savedVersion
	p := l.parts[conversation]
	if p != nil {
		base = p.ledger.base
		for _, a := range p.ledger.acked {
			acked = append(acked, a.savedVersion)
		}
	} else {
		var err error
		if base, err = restrict(l.base, conversation); err != nil {
			return false
		}
	}
	l.acked = slices.DeleteFunc(l.acked, func(a acknowledged) bool {
		if a.Conversation == conversation {
			acked = append(acked, a.savedVersion)
		}
		return a.Conversation == conversation
	})
	if p != nil && p.entry != nil {
		f.remove(p.entry)
	}
	fresh := p == nil
	var told []byte
	switch {
	case !held:
	case fresh || p.joined:
		told = e.toldGap(conversation)
	case p.held:
		told = p.told
	default:
		told = p.toldGap(conversation)
	}
	if err := e.restoreAside(conversation, base, acked); err != nil {
		return false
	}
	p = l.parts[conversation]
	if p.held, p.told = held, told; fresh {
		p.polled = max(p.polled, l.polled)
	}
	if until, ok := e.joined[conversation]; ok { // it was joined after the position, and may be joined again from there
		p.polled = max(p.polled, until)
	}
	e.mem.leave(conversation)
	e.batch.leave(conversation)
	e.queue.remove(conversation)
	e.advance()
	return true
}

// toldGap is the position of a conversation when its oldest event is acknowledged, if that
// is the gap of a join.
func (r *reader) toldGap(conversation int64) []byte {
	i := slices.IndexFunc(r.queue.items[r.queue.head:], func(it item) bool { return !it.done && it.Conversation() == conversation })
	if i < 0 {
		return nil
	}
	ev := r.queue.items[r.queue.head+i]
	if ev.Gap == nil || ev.Gap.Row != 0 {
		return nil
	}
	at := slices.IndexFunc(r.ledger.marks, func(m mark) bool { return m.after == ev.number })
	if at < 0 {
		return nil
	}
	base, err := restrict(r.ledger.marks[at].base, conversation)
	if err != nil {
		return nil
	}
	return base
}

// restrict leaves of a reader's position what concerns one conversation.
func restrict(base []byte, conversation int64) ([]byte, error) {
	s, err := decodeReader(base)
	if err != nil {
		return nil, err
	}
	other := func(id int64) bool { return id != conversation }
	known := slices.DeleteFunc(s.Known, func(v savedVersion) bool { return other(v.Conversation) })
	s.Version, s.Known, s.Packed = cursorVersion, nil, packSorted(known)
	s.Conversations = slices.DeleteFunc(s.Conversations, other)
	s.Joins = slices.DeleteFunc(s.Joins, other)
	s.Joining = slices.DeleteFunc(s.Joining, func(j savedJoin) bool { return other(j.Conversation) })
	s.Floors, s.Gone = only(s.Floors, conversation), only(s.Gone, conversation)
	s.FloorIDs, s.Joined = only(s.FloorIDs, conversation), only(s.Joined, conversation)
	return s.encode(), nil
}

// only is a map with no other entry than that of a conversation.
func only[V any](m map[int64]V, conversation int64) map[int64]V {
	if v, ok := m[conversation]; ok {
		return map[int64]V{conversation: v}
	}
	return nil
}

// restoreAside makes a part that goes on at a position.
func (r *reader) restoreAside(conversation int64, base []byte, acked []savedVersion) error {
	p := &part{reader: newEntry(r.cfg, r.subscribed, r.start).reader}
	p.only, p.ledger = conversation, &ledger{journal: r.ledger.journal}
	if err := p.restore(base, acked, func(v savedVersion) bool { return v.Conversation == conversation }); err != nil {
		return err
	}
	if r.ledger.parts == nil {
		r.ledger.parts = map[int64]*part{}
	}
	r.ledger.parts[conversation] = p
	return nil
}

// leave forgets a conversation without a trace.
func (m *memory) leave(conversation int64) {
	m.rows.dropFunc(func(_ int64, v version) bool { return v.conversation == conversation })
	m.origins.dropFunc(func(k originKey, _ int64) bool {
		if k.conversation == conversation {
			delete(m.spares, k)
		}
		return k.conversation == conversation
	})
}

// leave drops what was found of a conversation.
func (b *batch) leave(conversation int64) {
	of := func(e Event) bool { return e.Conversation() == conversation }
	b.news, b.updates, b.gaps = slices.DeleteFunc(b.news, of), slices.DeleteFunc(b.updates, of), slices.DeleteFunc(b.gaps, of)
	delete(b.held, conversation)
	b.seen.dropFunc(func(_ int64, v version) bool { return v.conversation == conversation })
	b.origins.dropFunc(func(k originKey, _ int64) bool { return k.conversation == conversation })
}

// remove removes a reader from those that are asked for queries.
func (f *Feed) remove(e *entry) {
	f.readers = slices.DeleteFunc(f.readers, func(other *entry) bool { return other == e })
}

// beginAside starts polls of what is set aside, each after that of its listener, so that
// it settles as much.
func (f *Feed) beginAside(now time.Time) {
	for _, e := range f.readers {
		if e.main == nil || !e.missed || !e.idle() || !e.room() {
			continue
		}
		if l := e.main; l.phase == live && l.polling && l.room() {
			continue
		}
		e.begin(now)
		e.promise = e.main.settled
	}
}

// keepPromise settles what the listener had settled when a poll began that is complete:
// no earlier change of any conversation could become visible any more.
func (r *reader) keepPromise() {
	if r.only != 0 && r.phase == live && !r.polling && r.promise != 0 {
		r.settle(r.promise)
		r.promise = 0
	}
}

// revive begins to read conversations whose event is done with.
func (f *Feed) revive(now time.Time) {
	for _, e := range f.readers { // as they are now: there may come others
		if e.ledger == nil || e.only != 0 || len(e.ledger.parts) == 0 {
			continue
		}
		var due []*part
		reading := 0
		for _, p := range e.ledger.parts {
			switch {
			case p.entry != nil:
				reading++
			case !p.held && !p.joined && !f.left(p):
				due = append(due, p)
			}
		}
		slices.SortFunc(due, func(a, b *part) int { return int(a.only - b.only) })
		for _, p := range due[:max(0, min(len(due), mostAside-reading))] {
			f.nextID++
			p.entry = &entry{id: f.nextID, reader: p.reader, main: e}
			f.readers = append(f.readers, p.entry)
			if f.roster.loaded {
				p.membership(now, f.roster.members, nil)
			}
		}
	}
}

// left reports whether the user has left a conversation for longer than lists may be out
// of date.
func (f *Feed) left(p *part) bool {
	return !p.missing.IsZero() && f.roster.read.Sub(p.missing) >= f.cfg.Roster
}

// listed notes which of the conversations that a listener has set aside are in a list.
func (r *reader) listed(now time.Time, members roll) {
	if r.ledger == nil || r.only != 0 {
		return
	}
	for id, p := range r.ledger.parts {
		if _, ok := members.find(id); ok {
			p.missing = time.Time{}
		} else if p.missing.IsZero() {
			p.missing = now
		}
	}
}

// rejoin makes conversations that have caught up a part of their listener again.
func (f *Feed) rejoin() {
	for _, s := range slices.Clone(f.readers) {
		if s.main == nil {
			continue
		}
		if p := s.main.ledger.parts[s.only]; f.left(p) && s.queue.len() == 0 {
			f.remove(s) // nothing is read of it unless the user comes back
			p.entry = nil
			continue
		}
		if !s.main.level(s.reader) {
			continue
		}
		f.remove(s)
		p := s.main.ledger.parts[s.only]
		s.main.join(s.reader)
		p.entry, p.joined = nil, true
		s.main.ledger.joined = append(s.main.ledger.joined, p)
		p.reader = &reader{only: s.only, ledger: s.ledger} // the rest is not needed any more
	}
}

// level reports whether nothing is known by r alone, or by a part of it alone: neither
// would read again what the other one has forgotten, nor take for forgotten what the
// other one has still to read.
func (r *reader) level(s *reader) bool {
	if !r.idle() || !r.batch.empty() || !s.caughtUp() || s.queue.len() > 0 {
		return false
	}
	if s.settled < r.settled || s.firm > r.settled {
		return false
	}
	return (s.firm >= r.mem.top() || s.mem.covers(r.mem)) && (r.firm >= s.mem.top() || r.mem.covers(s.mem))
}

// covers reports whether m takes for old whatever another memory does.
func (m *memory) covers(o *memory) bool {
	return len(o.bands) == 0 && m.floor.Compare(o.floor) >= 0 && m.maxID >= o.maxID
}

// top is the newest creation of what was forgotten.
func (m *memory) top() Time {
	top := m.floor.Time
	for _, b := range m.bands {
		top = max(top, b.To.Time)
	}
	return top
}

// join takes over what a part knows.
func (r *reader) join(s *reader) {
	c := s.only
	r.mem.leave(c)
	for id, v := range s.mem.rows.all() {
		if v.conversation == c {
			r.mem.set(id, v)
		}
	}
	r.mem.raise(s.mem.floor, s.mem.maxID)
	for _, b := range s.mem.bands {
		r.mem.raise(b.To, b.MaxID)
	}
	adopt(&r.mem.floors, s.mem.floors, c)
	adopt(&r.mem.floorIDs, s.mem.floorIDs, c)
	adopt(&r.mem.gone, s.mem.gone, c)
	adopt(&r.mem.goneIDs, s.mem.goneIDs, c)
	adopt(&r.joined, s.joined, c)
	for k, row := range s.mem.spares {
		if k.conversation == c {
			r.mem.spare(&row)
		}
	}
	r.created = max(r.created, s.created)
}

// adopt makes the entry of a conversation that of another map.
func adopt[V any](into *map[int64]V, from map[int64]V, conversation int64) {
	delete(*into, conversation)
	if v, ok := from[conversation]; ok {
		if *into == nil {
			*into = map[int64]V{}
		}
		(*into)[conversation] = v
	}
}

// Pull hands out the next event of a durable listener: the next one in order that was
// not handed out yet, although others may not be done with. Of what was set aside, it
// hands out what has been read. [Feed.Take] and Pull do not go together.
func (f *Feed) Pull(id ID) (Event, bool) {
	e := f.find(id)
	if e == nil {
		return Event{}, false
	}
	if ev, ok := e.queue.take(); ok {
		return ev, true
	}
	for _, s := range f.readers {
		if s.main == e {
			if ev, ok := s.queue.take(); ok {
				return ev, true
			}
		}
	}
	return Event{}, false
}

// Finish acknowledges an event that Pull handed out. It reports whether there may be
// something to ask for.
func (f *Feed) Finish(id ID, ev Event) (more bool) {
	e := f.find(id)
	if e == nil || e.ledger == nil {
		return false
	}
	p := e.ledger.parts[ev.Conversation()]
	r := ev.from
	if r == e.reader || p != nil && r == p.reader {
		full := !r.room()
		if r.queue.finish(ev.number) {
			r.ledger.ack(&ev)
			r.advance()
			f.rejoin()
			return full && r.room()
		}
	}
	if p == nil || p.joined || p.entry != nil {
		return false
	}
	p.held = false
	if p.told != nil && e.restoreAside(p.only, p.told, nil) == nil {
		after := e.ledger.parts[p.only]
		after.polled, e.ledger.whole = max(p.polled, after.polled), true
		return true
	}
	if ev.Gap == nil || ev.Gap.Row != 0 {
		p.mem.put(&ev.Row)
		p.created = max(p.created, ev.Row.Created)
	}
	ev.number = 0
	p.ledger.ack(&ev)
	return true
}

// Straggler returns a conversation that should be set aside, because more events than
// a poll brings were done with since the listener's oldest one.
func (f *Feed) Straggler(id ID) (conversation int64, ok bool) {
	e := f.find(id)
	if e == nil || e.queue.overtaken() < e.cfg.Queue+e.cfg.Collect {
		return 0, false
	}
	oldest := e.queue.peek()
	if oldest == nil {
		return 0, false
	}
	return oldest.Conversation(), true
}

// Full reports whether a durable listener reads nothing because of what is not done
// with.
func (f *Feed) Full(id ID) bool {
	e := f.find(id)
	return e != nil && !e.room()
}

// Apart reports whether a conversation is set aside.
func (f *Feed) Apart(id ID, conversation int64) bool {
	e := f.find(id)
	return e != nil && e.ledger != nil && e.ledger.apart(conversation)
}

// Aside counts the conversations that are set aside.
func (f *Feed) Aside(id ID) (n int) {
	if e := f.find(id); e != nil && e.ledger != nil {
		for _, p := range e.ledger.parts {
			if !p.joined {
				n++
			}
		}
	}
	return n
}
