package feed

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
)

// Stored is what the owner of a durable listener has stored of it.
type Stored struct {
	Base []byte   // the Base of the last [Commit] that had one
	Log  [][]byte // the Log of each Commit since, in order; several may be joined to one
	// Acked is what positions of version 1 have beside their Base.
	Acked []byte
	// Writer names who stores the position from now on. It is a part of every Base, so that
	// no two writers store the same one, and where there is a Base the first Commit is one.
	// "" is nobody in particular.
	Writer string
}

// Commit is what the owner of a durable listener has to store: either a Base, which
// replaces all that is stored, or a Log, which is added to it. A Base holds where
// reading stands, and grows with the traffic of an overlap window. A Log holds what was
// acknowledged, in about 30 bytes an event. The engine gives a Base so seldom that it
// adds little to the bytes of an event.
type Commit struct{ Base, Log []byte }

const (
	// rebase is after how many events there is a new Base, at the least.
	rebase = 128
	// share is how many bytes of a Base an event may cost.
	share = 40
)

// ledger follows what a durable listener has acknowledged.
type ledger struct {
	*journal
	base  []byte // everything before it is acknowledged, unless it is set aside
	acked []acknowledged
	// marks are positions that become the base when everything queued before them is
	// acknowledged.
	marks []mark
	// joined is what was set aside, and is part of the listener again since the last mark.
	joined []*part
	// shape and marked are those of the last mark: what the reader looked like, and how
	// many events had been queued, less those that a log had when it was restored.
	shape  shape
	marked int64
	// polled is when the listener had polled last, as long as it had the conversations of
	// the base, whose members have this sum.
	polled  Time
	members uint64
	stepped bool // a clock was set back since the last mark
}

// journal is what has to be stored of a listener and of what it has set aside.
type journal struct {
	pending []savedVersion // acknowledged, and in no Commit yet
	size    int            // of the last Base
	whole   bool           // the next Commit is a Base
	writer  string         // see Stored
	parts   map[int64]*part
}

type acknowledged struct {
	number uint64
	savedVersion
}

type mark struct {
	after   uint64
	base    []byte
	members uint64
	joined  []*part
}

// shape is what of a reader has to be stored soon after it has changed: from an older
// position it could not be found out again.
type shape struct {
	backlog bool
	members uint64
}

func (r *reader) shape() shape {
	s := shape{backlog: r.phase != live}
	for _, id := range r.conversations {
		s.members += mix(uint64(id)) //nolint:gosec // any number does
	}
	for id, until := range r.joined {
		s.members += mix(mix(uint64(id)) + uint64(until)) //nolint:gosec // any number does
	}
	return s
}

// mix is the finaliser of SplitMix64.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// checkpoint records a position to store when everything queued is acknowledged, if
// the last one is out of date.
func (r *reader) checkpoint() {
	l := r.ledger
	if l == nil {
		return
	}
	// A position in a backlog may be old, but one that is behind it spares reading it again.
	now := r.shape()
	queued := int64(r.queue.last) - l.marked //nolint:gosec // a count
	first := l.base == nil && len(l.marks) == 0
	changed := l.stepped || now.members != l.shape.members || l.shape.backlog && !now.backlog && r.only == 0
	if first || changed || queued >= rebase && queued >= int64(r.weight()/share) {
		r.mark()
	}
}

// weight is about how many bytes a Base takes now.
func (r *reader) weight() int {
	if r.only != 0 {
		return r.ledger.size
	}
	n := 0
	for _, v := range r.mem.rows.all() {
		if v.updated > r.firm || v.created > r.firm {
			n += 36
		}
	}
	for _, p := range r.ledger.parts {
		n += len(p.ledger.base)
	}
	return n + 512 + 8*len(r.conversations) + 64*len(r.mem.gone)
}

func (r *reader) mark() {
	l := r.ledger
	l.shape, l.marked = r.shape(), int64(r.queue.last) //nolint:gosec // a count
	l.marks = append(l.marks, mark{after: r.queue.last, base: r.snapshot(), members: l.shape.members, joined: l.joined})
	l.joined, l.stepped = nil, false
	r.advance()
}

// checkpointInitial records the position before the first page. If the program ends
// in the middle of the page, the rest is read as a backlog, in the same order, even
// if messages were sent meanwhile.
func (r *reader) checkpointInitial(p page) {
	oldest := r.before // of earlier pages
	if len(p.rows) > 0 {
		oldest = p.rows[0].createdKey()
	}
	if r.ledger == nil || oldest == (Key{}) || r.start == FromNow {
		return
	}
	was := *r
	mem := *r.mem
	r.phase, r.at = catching, Key{oldest.Time, oldest.ID - 1}
	r.settled, r.createdFrom, r.end, r.endSeen = beginning, beginning, r.pos, r.pos
	r.checkpoint()
	l := r.ledger
	*r, *r.mem = was, mem
	r.ledger = l
}

// advance makes the base the newest position before which everything is acknowledged.
func (r *reader) advance() {
	l, low := r.ledger, r.queue.low()
	for len(l.marks) > 0 && l.marks[0].after <= low {
		m := l.marks[0]
		l.base, l.members, l.whole, l.marks = m.base, m.members, true, l.marks[1:]
		l.acked = slices.DeleteFunc(l.acked, func(a acknowledged) bool { return a.number <= m.after })
		for _, p := range m.joined {
			l.drop(p)
		}
	}
}

// ack records that an event was handled.
func (l *ledger) ack(e *Event) {
	if v, ok := e.saved(); ok {
		l.acked = append(l.acked, acknowledged{e.number, v})
		l.pending = append(l.pending, v)
	}
}

// saved is what is stored of an event that was handled.
func (e *Event) saved() (savedVersion, bool) {
	if (e.Gap == nil || e.Gap.Row != 0) && !e.Replay {
		return save(e.Row.ID, versionOf(&e.Row)), true
	}
	return savedVersion{}, false
}

// Commit returns what is to be stored of a durable listener, and takes it for stored.
// base: it has to be a Base. It reports false if nothing has changed since the last
// time. Before the first event there is always a Commit.
func (f *Feed) Commit(id ID, base bool) (Commit, bool) {
	e := f.find(id)
	if e == nil || e.ledger == nil || e.ledger.base == nil {
		return Commit{}, false
	}
	l := e.ledger
	if (l.whole || len(l.pending) > 0) && e.shape().members == l.members {
		l.polled = e.polled
	}
	switch {
	case l.whole || base && len(l.pending) > 0:
		c := Commit{Base: l.encode()}
		l.whole, l.size, l.pending = false, len(c.Base), nil
		return c, true
	case len(l.pending) > 0:
		c := Commit{Log: l.log(l.pending)}
		l.pending = l.pending[:0]
		return c, true
	}
	return Commit{}, false
}

// log makes a Log.
func (l *ledger) log(versions []savedVersion) []byte {
	return binary.AppendVarint(pack(nil, versions), l.polled.milliseconds())
}

// CommitWith is [Feed.Commit] for what is stored together with the effects of events that
// Pull has handed out and that are not finished yet: it says that they are. So there always
// is something to store, for a listener that has stored its first Base. After it is stored
// the events are finished by [Feed.FinishStored]; if it is not, [Feed.Uncommit] takes it back.
func (f *Feed) CommitWith(id ID, done ...Event) (Commit, bool) {
	e := f.find(id)
	if e == nil || e.ledger == nil || e.ledger.base == nil {
		return Commit{}, false
	}
	l := e.ledger
	var versions []savedVersion
	for _, ev := range done {
		if v, ok := ev.saved(); ok {
			versions = append(versions, v)
		}
	}
	if e.shape().members == l.members {
		l.polled = e.polled
	}
	if l.whole {
		c := Commit{Base: l.encode(versions...)}
		l.whole, l.size, l.pending = false, len(c.Base), nil
		return c, true
	}
	c := Commit{Log: l.log(slices.Concat(l.pending, versions))}
	l.pending = l.pending[:0]
	return c, true
}

// FinishStored is [Feed.Finish] for an event of which a stored Commit says already that it
// is done with.
func (f *Feed) FinishStored(id ID, ev Event) (more bool) {
	e := f.find(id)
	if e == nil || e.ledger == nil {
		return false
	}
	stored := len(e.ledger.pending)
	more = f.Finish(id, ev)
	e.ledger.pending = e.ledger.pending[:min(stored, len(e.ledger.pending))]
	return more
}

// Uncommit says that the last Commit was not stored. The next one is a Base, which has all
// that is acknowledged.
func (f *Feed) Uncommit(id ID) {
	if e := f.find(id); e != nil && e.ledger != nil {
		e.ledger.whole = true
	}
}

// savedPosition is a Base.
type savedPosition struct {
	Version int                       `json:"v"`
	Base    json.RawMessage           `json:"base"`
	Apart   map[int64]json.RawMessage `json:"apart,omitempty"` // by conversation
	Acked   []byte                    `json:"acked,omitempty"`
	Polled  int64                     `json:"polled,omitempty"`
	Writer  string                    `json:"writer,omitempty"`
}

// milliseconds is a time that is stored whenever something is: 0 is none.
func (t Time) milliseconds() int64 {
	if t == beginning {
		return 0
	}
	return int64(t / millisecond)
}

// encode makes a Base, which says of more versions that they are acknowledged.
func (l *ledger) encode(more ...savedVersion) []byte {
	s := savedPosition{Version: cursorVersion, Base: l.base, Polled: l.polled.milliseconds(), Writer: l.writer}
	acked := l.acked
	for id, p := range l.parts {
		if s.Apart == nil {
			s.Apart = map[int64]json.RawMessage{}
		}
		s.Apart[id] = p.ledger.base
		acked = slices.Concat(p.ledger.acked, acked)
	}
	for _, v := range more {
		acked = append(slices.Clip(acked), acknowledged{savedVersion: v})
	}
	newest := map[int64]savedVersion{}
	for _, a := range acked {
		v := a.savedVersion
		if v.Deleted && v.Origin == 0 { // a tombstone does not say of which send it was
			v.Origin = newest[v.ID].Origin
		}
		newest[v.ID] = v
	}
	versions := make([]savedVersion, 0, len(newest))
	for _, v := range newest {
		versions = append(versions, v)
	}
	s.Acked = packSorted(versions)
	b, err := json.Marshal(s)
	if err != nil { // numbers and bytes always marshal
		panic("feed: a position does not marshal: " + err.Error())
	}
	return b
}

// savedAcks is what was acknowledged, in positions of version 1.
type savedAcks struct {
	Generation uint64         `json:"g"`
	Known      []savedVersion `json:"known"`
}

// open makes the reader one that goes on at a stored position.
func (r *reader) open(s Stored) error {
	var saved savedPosition
	if err := json.Unmarshal(s.Base, &saved); err != nil {
		return damaged(err)
	}
	if saved.Version < 1 || saved.Version > cursorVersion {
		return fmt.Errorf("feed: the stored cursor has version %d, which this program does not know", saved.Version)
	}
	var acked []savedVersion
	if saved.Version == 1 {
		saved.Base = s.Base
		var header, acks savedAcks
		if err := json.Unmarshal(s.Base, &header); err != nil {
			return damaged(err)
		}
		if s.Acked != nil {
			if err := json.Unmarshal(s.Acked, &acks); err != nil {
				return damaged(err)
			}
		}
		if acks.Generation == header.Generation {
			acked = acks.Known
		}
	} else {
		var err error
		if acked, err = unpackAll(saved.Acked); err != nil {
			return damaged(err)
		}
		for _, log := range s.Log {
			if acked, saved.Polled, err = unpackLog(acked, saved.Polled, log); err != nil {
				return damaged(err)
			}
		}
	}
	r.ledger.size = len(s.Base)
	if err := r.restore(saved.Base, acked, func(v savedVersion) bool { return saved.Apart[v.Conversation] == nil }); err != nil {
		return err
	}
	if saved.Polled != 0 {
		r.polled = max(r.polled, Time(saved.Polled)*millisecond)
	}
	r.ledger.polled = r.polled
	for id, base := range saved.Apart {
		if err := r.restoreAside(id, base, acked); err != nil {
			return err
		}
	}
	return nil
}

// unpackAll reads a pack that may be missing.
func unpackAll(b []byte) (versions []savedVersion, err error) {
	if len(b) > 0 {
		versions, b, err = unpack(b)
	}
	if err == nil && len(b) > 0 {
		err = errPack
	}
	return versions, err
}

// unpackLog adds what logs say that are joined.
func unpackLog(acked []savedVersion, polled int64, b []byte) ([]savedVersion, int64, error) {
	for len(b) > 0 {
		versions, rest, err := unpack(b)
		if err != nil {
			return nil, 0, err
		}
		u := unpacker{rest}
		at := u.varint()
		if u.b == nil {
			return nil, 0, errPack
		}
		acked, b = append(acked, versions...), u.b
		if at != 0 {
			polled = at
		}
	}
	return acked, polled, nil
}

func damaged(err error) error { return fmt.Errorf("feed: the stored cursor is damaged: %w", err) }
