package world

import (
	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"strings"
)

// listener is what one listener was told, and what it may still expect.
type listener struct {
	id      feed.ID
	start   feed.Start
	durable bool
	alive   bool
	pending int
	parked  bool
	queued  []push // what is in its queue, in pushes
	// rested is when it had been at rest last, by conversation.
	rested [mostConversations]feed.Time
	polled feed.Time // when the last poll began that it had at rest
	reset  int       // the pushes before the last reset

	since  feed.Time // when it subscribed
	opened feed.Time // when it did so last
	limit  int       // rows of the first page
	before feed.Key  // where it ends
	loaded feed.Time // when its first page was read, 0 for not yet
	// doubted: the first page was empty, and is asked for again. What was created after empty
	// is certainly no history for a listener from now.
	doubted bool
	empty   feed.Time
	// late: what was created after it came since a start whose first page came late. slow: that
	// page took too long to tell, and was asked for again.
	late  feed.Time
	slow  bool
	first feed.Key // of the oldest row of that page, if there may be older ones
	had   []had    // by row
	heard []bool   // by version
	talks [mostConversations]talk

	consumer
	stored bool
	undo   []handled // since the position was stored
}

// had is what a listener knows of a row.
type had struct {
	version int32 // plus one; 0: nothing
	shown   bool  // it came as new
	push    int   // when it was queued as new
	gone    bool  // its end came
}

// talk is what a listener had of one conversation.
type talk struct {
	news, updates mark
	gap           feed.Time // history created before it was not loaded
	polled        feed.Time // what polled was when the user joined or left last
}

// mark is the farthest event of a kind.
type mark struct {
	key    feed.Key
	rested feed.Time // when its listener had been at rest before it was queued
	push   int
}

// push is a run of events queued at once.
type push struct {
	events int
	number int
	rested [mostConversations]feed.Time
}

// handled is how to take back what a crash undoes.
type handled struct {
	row, version int32
	conv         int
	had          had
	talk         talk
}

// listener returns an empty listener.
func (r *Runner) listener() *listener {
	if n := len(r.spare); n > 0 {
		l := r.spare[n-1]
		r.spare = r.spare[:n-1]
		*l = listener{queued: l.queued[:0], had: l.had[:0], heard: l.heard[:0], undo: l.undo[:0], consumer: consumer{lanes: l.lanes}}
		return l
	}
	return &listener{}
}

// forget makes a listener new.
func (l *listener) forget() {
	clear(l.had)
	clear(l.heard)
	l.first, l.loaded, l.before, l.doubted = feed.Key{Time: beginning}, 0, feed.Key{}, false
	l.late, l.slow = 0, false
	for i := range l.talks {
		none := mark{key: feed.Key{Time: beginning}, rested: beginning, push: -1}
		l.talks[i] = talk{news: none, updates: none, gap: beginning, polled: beginning}
	}
}

func (l *listener) of(row int32) *had {
	for len(l.had) <= int(row) {
		l.had = append(l.had, had{})
	}
	return &l.had[row]
}

func (l *listener) heardOf(version int32) *bool {
	for len(l.heard) <= int(version) {
		l.heard = append(l.heard, false)
	}
	return &l.heard[version]
}

// rollback takes back what was handled but not stored when the process died.
func (l *listener) rollback() {
	for i := len(l.undo) - 1; i >= 0; i-- {
		u := &l.undo[i]
		l.talks[u.conv] = u.talk
		if u.row >= 0 { // else it was a gap
			l.had[u.row], l.heard[u.version] = u.had, false
		}
	}
	l.undo = l.undo[:0]
}

// began notes which listeners a first page belongs to.
func (r *Runner) began(q feed.Query) {
	ascending, descending := true, true
	oldest := feed.Key{Time: beginning}
	for i := range r.rows {
		k := feed.Key{Time: r.rows[i].Created, ID: r.rows[i].ID}
		if i == 0 || k.Compare(oldest) < 0 {
			oldest = k
		}
		if i > 0 {
			c := k.Compare(feed.Key{Time: r.rows[i-1].Created, ID: r.rows[i-1].ID})
			ascending, descending = ascending && c >= 0, descending && c <= 0
		}
	}
	full := len(r.rows) >= q.Limit || r.short
	for _, l := range r.listeners[:r.asking] {
		if !l.alive || l.loaded != 0 || l.limit != q.Limit || l.before != q.Before {
			continue
		}
		if full && !descending {
			l.limit *= 2 // the engine asks for a page that holds everything
			continue
		}
		if l.start == feed.FromNow && !l.doubted && l.before == (feed.Key{}) && r.late(l) {
			continue
		}
		if len(r.rows) == 0 && !l.doubted && r.members > 0 && q.Before == (feed.Key{}) {
			l.doubted, l.empty = true, r.clock-micros(r.story.Config.Overlap) // it asks again
			continue
		}
		if full && (r.future(oldest.Time) || l.came(oldest.Time)) {
			l.limit, l.before = r.story.Config.PageSize, oldest // real times come with the next one
			continue
		}
		l.loaded = r.fetched
		switch {
		case l.start == feed.FromNow && len(r.rows) > 0:
			newest := feed.Key{Time: beginning}
			for i := range r.rows {
				k := feed.Key{Time: r.rows[i].Created, ID: r.rows[i].ID}
				if k.Compare(newest) > 0 && !r.future(k.Time) && !l.came(k.Time) {
					newest = k
				}
			}
			l.first = feed.Key{Time: newest.Time, ID: newest.ID + 1}
		case full:
			l.first = oldest
		}
	}
}

// late dates the start of a listener whose first page comes late, and reports whether that is
// asked for again.
func (r *Runner) late(l *listener) bool {
	if t := r.newest(); !l.slow && r.srv.now-r.handed > 2*tick && t > r.clock-(r.srv.now-l.since) && !r.future(t) {
		l.slow, l.late = true, t
		return true
	}
	if before := r.handed - l.since; before > 2*tick {
		if at := r.clock + tick - before; l.late == 0 || at < l.late {
			l.late = at
		}
	}
	return false
}

// newest is the latest creation in the answer.
func (r *Runner) newest() feed.Time {
	newest := beginning
	for i := range r.rows {
		newest = max(newest, r.rows[i].Created)
	}
	return newest
}

// came reports whether a row came after the empty first page of a listener from now, or after
// its start.
func (l *listener) came(created feed.Time) bool {
	return l.start == feed.FromNow && (l.doubted && created > l.empty || l.late != 0 && created > l.late)
}

// future reports whether a time is later than that of the last answer.
func (r *Runner) future(t feed.Time) bool {
	return r.srv.future(t) || r.srv.traits.Shifts && t > r.clock+tick
}

// pushed notes what an answer put into the queues.
func (r *Runner) pushed() {
	r.pushes++
	cfg := &r.story.Config
	for i, l := range r.listeners {
		if !l.alive {
			continue
		}
		n := r.feed.Pending(l.id)
		if n > l.pending {
			l.queued = append(l.queued, push{n - l.pending, r.pushes, l.rested})
		}
		l.pending = n
		most := cfg.Queue + cfg.Collect + r.page*(3+len(r.srv.convs))
		if l.durable {
			r.pull(l)
			most *= 1 + r.feed.Aside(l.id)
		}
		if n > most {
			r.fail("queue", "%d events wait for listener %d, more than %d", n, i, most)
		}
	}
}

// told holds one event against what the listener knows.
func (r *Runner) told(l *listener, e *feed.Event, from push) {
	if r.Trace != nil {
		r.note("  listener %d: %v", r.number(l), r.describeEvent(e))
	}
	s := &r.srv
	if unreadable := e.Row.Unreadable && !e.Row.Deleted; unreadable != (e.Gap != nil && e.Gap.Row == e.Row.ID && e.Row.ID != 0) {
		r.fail("unreadable", "%v, row %d: only a row that cannot be read is such a gap", r.describeEvent(e), e.Row.ID)
		return
	}
	if e.Gap != nil && e.Gap.Row == 0 {
		c := int(e.Gap.Conversation) - 1
		if c < 0 || c >= len(s.convs) {
			r.fail("gap", "a gap in conversation %d, which does not exist", c+1)
			return
		}
		switch {
		case l.start == feed.FromBeginning:
			r.fail("gap", "a gap in conversation %d, but listener %d wants all of it", c+1, r.number(l))
		case l.start == feed.FromNewest && !strings.HasPrefix(e.Gap.Reason, "the first answer hid") && s.ever(c) < s.page && !s.traits.Doubles && !s.traits.Poison:
			r.fail("gap", "a gap in conversation %d, whose history fits into a page", c+1)
		case l.start == feed.FromNow && s.ever(c) == 0:
			r.fail("gap", "a gap in conversation %d, which has no history", c+1)
		}
		if l.durable {
			l.undo = append(l.undo, handled{row: -1, conv: c, talk: l.talks[c]})
		}
		l.talks[c].gap = max(l.talks[c].gap, e.Gap.Before.Time)
		return
	}
	at := int32(e.Row.Hash) - 1
	if at < 0 || int(at) >= len(s.versions) || s.shown(at, l.durable) != e.Row {
		r.fail("content", "the row delivered is not the server's: %+v", e.Row)
		return
	}
	v := &s.versions[at]
	row := &s.rows[v.row]
	h := l.of(v.row)
	talk := &l.talks[row.conv]
	history := r.history(l, v.row)
	if e.Replay {
		known := h.version == at+1 || h.version == 0 && (history || r.forgets(l)) || r.forgets(l) && h.version != 0 && h.version <= at+1
		switch {
		case e.Update || e.Deleted || h.gone || !known:
			r.fail("replay", "%v was not what listener %d had last", r.describeEvent(e), r.number(l))
		case h.shown && h.push > l.reset:
			r.fail("replay", "%v has been new since the reset", r.describeEvent(e))
		}
		return
	}
	if l.durable {
		l.undo = append(l.undo, handled{v.row, at, row.conv, *h, *talk})
		if len(l.heard) <= int(at) {
			l.heardOf(at)
		}
	}
	heard := l.heardOf(at)
	if *heard && e.Update && s.traits.Shifts && r.forgets(l) {
		return // of what is read again nobody knows whether the change was told
	}
	key := feed.Key{Time: row.created, ID: int64(v.row + 1)}
	m := &talk.news
	switch {
	case *heard:
		r.fail("once", "%v came twice", r.describeEvent(e))
	case h.gone:
		r.fail("tombstone", "%v came after the message was deleted", r.describeEvent(e))
	case at+1 < h.version:
		r.fail("stale", "%v came after a newer version", r.describeEvent(e))
	case e.Deleted != v.deleted:
		r.fail("flags", "%v has the wrong deletion flag", r.describeEvent(e))
	case e.Update || e.Deleted:
		// Of a row that is neither known nor new the engine cannot tell whether it was
		// delivered, or was deleted or hidden as a repetition before.
		ends := s.traits.Lag > 0 && s.versions[row.head].deleted
		forgotten := r.forgets(l) && (e.Deleted || ends || r.anyDuplicateShown(l, v.row))
		if !e.Deleted && h.version == 0 && v.prev < 0 && !row.imported && !s.future(v.updated) {
			r.fail("unchanged", "%v is an update of a message that nobody has changed", r.describeEvent(e))
		}
		// It may have ended before the join, or have been imported into what was read.
		joined := (e.Deleted || row.imported && r.forgets(l)) && s.convs[row.conv].changed >= l.since
		if !e.Deleted && h.version == 0 && v.visible < s.convs[row.conv].changed && v.updated < r.certainly(l, row, talk) {
			r.fail("unchanged", "%v changed before the user joined", r.describeEvent(e))
		}
		if h.version == 0 && !history && !forgotten && !joined {
			r.fail("flags", "%v is an update of a message listener %d never had", r.describeEvent(e), r.number(l))
		}
		key.Time = v.updated
		m = &talk.updates
		away := s.convs[row.conv].joins > 1 && v.visible <= s.convs[row.conv].changed+s.traits.Late
		if (h.version != 0 || !e.Deleted) && !(away && l.durable) {
			r.inOrder(l, e, m, key, v.visible, row.conv, from)
		}
	default:
		switch {
		case h.version != 0:
			r.fail("flags", "%v is new, but listener %d had it already", r.describeEvent(e), r.number(l))
		case key.Compare(l.first) < 0 && !row.backdated && r.everybody(row.visible, row.conv) <= l.loaded && s.convs[row.conv].listed != 0 &&
			s.convs[row.conv].listed < l.since && s.convs[row.conv].joins == 1:
			r.fail("flags", "%v is new, but it is history that was not loaded", r.describeEvent(e))
		case r.duplicateShown(l, v.row):
			r.fail("duplicates", "%v is a repeated send that was shown already", r.describeEvent(e))
		}
		if c := &s.convs[row.conv]; row.created < talk.gap && row.visible < c.changed && !row.imported && !row.backdated && row.visible-row.created < ms && c.joins == 1 && s.traits.Lag == 0 {
			r.fail("gap", "%v is new, but a gap stands for it", r.describeEvent(e))
		}
		h.shown, h.push = true, from.number
		r.marked(l, e, row, talk)
		visible := row.visible
		if s.traits.Lag > 0 {
			visible = v.visible // it may have slipped between reads of lagging replicas
		}
		c := &s.convs[row.conv]
		switch {
		case row.backdated && key.Compare(l.first) < 0: // in history
		case c.joins > 1 && row.visible <= c.changed+s.traits.Late: // the user was away
		default:
			r.inOrder(l, e, m, key, visible, row.conv, from)
		}
	}
	*heard = true
	h.version, h.gone = at+1, v.deleted
}

// marked holds a new message against the mark of history, and against the promise that
// a listener from now gets none.
func (r *Runner) marked(l *listener, e *feed.Event, row *row, t *talk) {
	if r.srv.traits.Shifts {
		return // times do not tell
	}
	c := &r.srv.convs[row.conv]
	latest := l.opened + tick
	if c.changed >= l.since {
		latest = max(latest, c.changed)
	}
	certain := row.visible < c.changed && row.created < r.certainly(l, row, t)
	switch {
	case e.History && row.created > latest:
		r.fail("history", "%v is marked as history, but is younger than listener %d and the join", r.describeEvent(e), r.number(l))
	case !e.History && certain:
		r.fail("history", "%v is not marked as history", r.describeEvent(e))
	case l.start == feed.FromNow && (certain || r.before(l, row)):
		r.fail("flood", "%v is new to listener %d, which began later", r.describeEvent(e), r.number(l))
	}
}

// before reports whether a row could be seen before a listener began that no empty page has
// misled.
func (r *Runner) before(l *listener, row *row) bool {
	c := &r.srv.convs[row.conv]
	return !l.doubted && r.srv.traits.Lag == 0 && r.everybody(row.visible, row.conv) < l.since && c.listed != 0 && c.listed < l.since && row.created < l.since && c.changed < l.since && c.joins == 1 && !row.imported && !row.backdated
}

// certainly is a time before which a conversation that the user joined later is certainly
// history for a listener: that of the last poll before the join, or of the join itself if
// it was the user's own call.
func (r *Runner) certainly(l *listener, row *row, t *talk) feed.Time {
	c := &r.srv.convs[row.conv]
	if !c.member || c.changed < l.since || c.joins != 1 || r.srv.traits.Undated || r.srv.traits.Lag != 0 || row.imported || row.backdated || r.srv.traits.Shifts {
		return beginning
	}
	switch {
	case t.polled == beginning: // it had not begun
		return beginning
	case c.own:
		return c.joined()
	}
	return min(c.changed, t.polled) - tick
}

// everybody is when something visible from a time on is shown by every read.
func (r *Runner) everybody(visible feed.Time, conv int) feed.Time {
	c := &r.srv.convs[conv]
	if c.joins > 1 || c.changed > epoch+micros(r.story.Traits.Skew) {
		visible = max(visible, c.changed)
	}
	return visible + r.srv.traits.Lag
}

// inOrder: what could be seen before the listener's last rest does not come after
// what was found later and belongs behind it.
func (r *Runner) inOrder(l *listener, e *feed.Event, m *mark, key feed.Key, visible feed.Time, conv int, from push) {
	if r.srv.future(key.Time) {
		return // it is behind all others for ever, and comes when it is found
	}
	if r.srv.traits.Shifts { // times do not tell
		if e.Update || e.Deleted {
			return // of what is read again nobody knows whether it changed later
		}
		key.Time = r.srv.rows[e.Row.ID-1].made
		if r.backlog(l) || m.push == from.number {
			if key.Compare(m.key) > 0 {
				*m = mark{key, from.rested[conv], from.number}
			}
			return
		}
	}
	if key.Compare(m.key) < 0 {
		// A backlog is read by creation, and so is a joined conversation: what was imported
		// comes when it is found.
		imported := !e.Update && r.srv.rows[e.Row.ID-1].imported && (r.backlog(l) || r.srv.convs[conv].changed >= l.since)
		// One that was stamped before the join and stored after it is not part of what a
		// join reads by creation.
		if row := &r.srv.rows[e.Row.ID-1]; row.visible > row.created && row.created < r.srv.convs[conv].changed && r.srv.convs[conv].changed >= l.since {
			imported = imported || !e.Update
		}
		// One that has changed again may slip between two reads of lagging replicas.
		moving := r.srv.traits.Lag > 0 && r.srv.rows[e.Row.ID-1].head+1 != int32(e.Row.Hash)
		if m.push == from.number || !imported && !moving && r.everybody(visible, conv) < m.rested {
			r.fail("order", "%v came after one that belongs behind it", r.describeEvent(e))
		}
		return
	}
	*m = mark{key, from.rested[conv], from.number}
}

// history reports whether a row may be older than what was loaded for a listener.
func (r *Runner) history(l *listener, id int32) bool {
	row := &r.srv.rows[id]
	c := &r.srv.convs[row.conv]
	passed := l.start == feed.FromNow || r.srv.ahead() > r.story.Config.Collect // not held, but for the first ones
	if r.srv.future(row.created) && passed && l.loaded != 0 && r.srv.at(row, l.loaded) >= 0 {
		return true
	}
	if r.srv.traits.Shifts { // times do not tell
		return l.start != feed.FromBeginning && row.made <= l.loaded || c.changed >= l.since && (row.made <= c.changed || row.created <= c.stamped || row.imported || row.created <= l.talks[row.conv].gap) && l.start != feed.FromBeginning ||
			l.start != feed.FromBeginning && row.created <= l.talks[row.conv].gap || c.joins > 1 && row.visible <= c.changed+r.srv.traits.Late
	}
	if l.start == feed.FromNow && c.changed >= l.since && row.created < c.changed {
		return true
	}
	return row.created <= l.first.Time || row.created <= l.talks[row.conv].gap || c.joins > 1 && row.visible <= c.changed+r.srv.traits.Late
}

// duplicateShown reports whether a repeated send has another row that the listener
// sees, and that the engine must remember.
func (r *Runner) duplicateShown(l *listener, id int32) bool {
	row := &r.srv.rows[id]
	for other := range l.had {
		o := &r.srv.rows[other]
		if o.origin != row.origin || other == int(id) || !l.had[other].shown {
			continue
		}
		near := row.created-o.created < micros(r.story.Config.Overlap) && o.created <= row.created
		if near && !r.backlog(l) && r.srv.convs[row.conv].joins == 1 && r.srv.convs[row.conv].changed < l.since || !r.forgets(l) {
			return true
		}
	}
	return false
}

// backlog reports whether a listener may have read a backlog: more than a poll collects,
// or more than a page when it began with everything.
func (r *Runner) backlog(l *listener) bool {
	rows, cfg := len(r.srv.rows), &r.story.Config
	return rows > cfg.Collect || rows >= cfg.PageSize && l.start == feed.FromBeginning && !l.durable
}

// forgets reports whether a listener may have to forget what it had. A stored
// position holds no more than an overlap window.
func (r *Runner) forgets(l *listener) bool {
	return r.story.Config.Remember < mostRows || r.story.Config.Apart > 0 || l.durable
}

// ever counts the rows a conversation has had.
func (s *server) ever(conv int) (n int) {
	for i := range s.rows {
		if s.rows[i].conv == conv {
			n++
		}
	}
	return n
}

// compare holds what a listener knows against what the server showed at a time.
// Conversations joined before must be complete.
func (r *Runner) compare(l *listener, asOf, joined feed.Time) {
	s := &r.srv
	for i := range s.rows {
		row := &s.rows[i]
		c := &s.convs[row.conv]
		at := s.at(row, asOf)
		if at < 0 || !c.member || l.durable && c.stuck {
			continue
		}
		v := &s.versions[at]
		if v.prev >= 0 && v.passed && (v.secret || l.opened >= v.visible || s.versions[v.prev].updated <= s.clock()+2*tick) ||
			v.prev >= 0 && s.traits.Shifts && r.backlog(l) {
			continue // nothing tells of it, it looks like the older version, or it fell into a backlog
		}
		h := *l.of(int32(i))
		if h.version > at+1 {
			continue // it knows better
		}
		if c.joins > 1 && (v.visible <= c.changed+s.traits.Late || row.visible <= c.changed+s.traits.Late) {
			continue // written while the user was away
		}
		if c.changed >= l.since && v.visible <= c.changed && (c.listed == 0 || c.listed > joined) {
			continue // not known to have been joined
		}
		if c.listed == 0 && r.elapsed < r.unlisted {
			continue // the list that would show it could not be read
		}
		if s.at(row, s.now) != at {
			continue // changed since
		}
		switch {
		case v.deleted:
			if h.version != 0 && !h.gone && !c.hidden { // what ended in an absence is not told
				r.fail("tombstone", "listener %d was not told of the end of %v", r.number(l), r.describeVersion(at))
			}
		case h.version == at+1:
		case h.version != 0:
			r.fail("lost update", "listener %d was not told of %v", r.number(l), r.describeVersion(at))
		case s.future(row.created) && !s.future(v.updated) && c.changed >= l.since:
			// Of a conversation that is found through a message, the history before that
			// message is loaded, and this row is neither before it nor a change.
		case r.anyDuplicateShown(l, int32(i)):
		case r.history(l, int32(i)):
			if v.updated != row.created && v.updated > l.loaded && !s.traits.Shifts && !(r.srv.future(v.updated) && v.visible <= l.loaded) && c.changed <= l.loaded && c.joins == 1 && c.listed < l.since && c.listed > 0 {
				r.fail("lost update", "listener %d was not told of %v, a change of its history", r.number(l), r.describeVersion(at))
			}
		default:
			r.fail("lost", "listener %d never had %v", r.number(l), r.describeVersion(at))
		}
		if r.violation != nil {
			return
		}
	}
}

func (r *Runner) anyDuplicateShown(l *listener, id int32) bool {
	row := &r.srv.rows[id]
	for other := range l.had {
		if r.srv.rows[other].origin == row.origin && (l.had[other].shown || other != int(id) && r.history(l, int32(other))) {
			return true
		}
	}
	return false
}

func (r *Runner) number(l *listener) int {
	for i := range r.listeners {
		if r.listeners[i] == l {
			return i
		}
	}
	return -1
}
