package feed

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Cursor is the position of a durable listener, in a form that can be stored.
//
// Base is the position between two pages, Acked what was acknowledged since. Acked is
// small and changes with every event; Base grows with the traffic of an overlap
// window, but changes only once a page. A stored Acked is valid only with the Base of
// the same Generation, so the two can be stored one after the other, Base first.
type Cursor struct {
	Generation uint64
	Base       []byte
	Acked      []byte
}

// savedVersion is a version in a stored cursor.
type savedVersion struct {
	ID           int64  `json:"i"`
	Conversation int64  `json:"c,omitempty"`
	Created      Time   `json:"t"`
	Updated      Time   `json:"u"`
	Hash         uint64 `json:"h,omitempty"`
	Origin       uint64 `json:"o,omitempty"`
	Deleted      bool   `json:"d,omitempty"`
	Duplicate    bool   `json:"w,omitempty"`
}

func save(id int64, v version) savedVersion {
	return savedVersion{id, v.conversation, v.created, v.updated, v.hash, v.origin, v.deleted, v.duplicate}
}

func (s savedVersion) version() version {
	return version{
		created: s.Created, updated: s.Updated, hash: s.Hash, origin: s.Origin,
		conversation: s.Conversation, deleted: s.Deleted, duplicate: s.Duplicate,
	}
}

// savedReader is a reader's position. Zero times are omitted, so they carry an offset.
type savedReader struct {
	Version       int             `json:"v"`
	Generation    uint64          `json:"g"`
	Phase         phase           `json:"phase"`
	Settled       Time            `json:"settled"`
	Firm          Time            `json:"firm"`
	Pos           Time            `json:"pos"`
	Created       Time            `json:"created"`
	At            Key             `json:"at"`
	From          Time            `json:"from"`
	End           Time            `json:"end"`
	EndSeen       *Time           `json:"endSeen,omitempty"` // unless it is End
	CreatedFrom   Time            `json:"createdFrom"`
	Floor         Key             `json:"floor"`
	Floors        map[int64]Key   `json:"floors,omitempty"`
	FloorIDs      map[int64]int64 `json:"floorIds,omitempty"`
	Bands         []band          `json:"bands,omitempty"`
	MaxID         int64           `json:"maxId"`
	Gone          map[int64]Key   `json:"gone,omitempty"`
	Conversations []int64         `json:"conversations"`
	Joins         []int64         `json:"joins,omitempty"`   // of versions that stored no more of them
	Joining       []savedJoin     `json:"joining,omitempty"` // in place of Joins
	Joined        map[int64]Time  `json:"joined,omitempty"`
	Subscribed    Time            `json:"subscribed,omitempty"` // by the clock of the program
	Began         *Time           `json:"began,omitempty"`
	Polled        *Time           `json:"polled,omitempty"`
	Known         []savedVersion  `json:"known"`
}

// savedJoin is a join that is not over.
type savedJoin struct {
	Conversation int64 `json:"c"`
	Created      Time  `json:"created"`
	Until        Time  `json:"until"`
	At           Key   `json:"at"`
	Paging       bool  `json:"paging,omitempty"`
	Told         bool  `json:"told,omitempty"`
}

type savedAcks struct {
	Generation uint64         `json:"g"`
	Known      []savedVersion `json:"known"`
}

// ledger follows what a durable listener has acknowledged.
type ledger struct {
	generation uint64
	base       []byte
	acked      []savedVersion
	// marks are positions that become the base when everything queued before them is
	// acknowledged.
	marks []mark
	// queued and done count events, ever.
	queued, done uint64
}

type mark struct {
	after uint64
	base  []byte
	gen   uint64
}

// cursorVersion is the format of a stored cursor.
const cursorVersion = 1

// SubscribeDurable is Subscribe for a listener whose position is stored. Without a
// Base the listener begins at s; otherwise it resumes at the cursor, and acknowledged
// events do not come again.
func (f *Feed) SubscribeDurable(now time.Time, s Start, c Cursor) (ID, error) {
	r := newReader(&f.cfg, now, s)
	r.ledger = &ledger{}
	if c.Base != nil {
		if err := r.restore(c); err != nil {
			return 0, err
		}
	}
	f.nextID++
	f.readers = append(f.readers, &entry{id: f.nextID, reader: r})
	return f.nextID, nil
}

// Cursor returns the position of a durable listener as of its last [Feed.Ack].
// ok is false while there is nothing to store.
func (f *Feed) Cursor(id ID) (_ Cursor, ok bool) {
	e := f.find(id)
	if e == nil || e.ledger == nil || e.ledger.base == nil {
		return Cursor{}, false
	}
	l := e.ledger
	acked, err := json.Marshal(savedAcks{l.generation, l.acked})
	if err != nil { // numbers and flags always marshal
		return Cursor{}, false
	}
	return Cursor{Generation: l.generation, Base: l.base, Acked: acked}, true
}

// checkpoint records a position to store when everything queued is acknowledged.
func (r *reader) checkpoint() {
	l := r.ledger
	if l == nil {
		return
	}
	gen := l.generation + uint64(len(l.marks)) + 1
	l.marks = append(l.marks, mark{after: l.queued, base: r.snapshot(gen), gen: gen})
	l.advance()
}

// checkpointInitial records the position before the first page. If the program ends
// in the middle of the page, the rest is read as a backlog, in the same order, even
// if messages were sent meanwhile.
func (r *reader) checkpointInitial(p page) {
	if r.ledger == nil || len(p.rows) == 0 || r.start == FromNow {
		return
	}
	was := *r
	mem := *r.mem
	oldest := p.rows[0]
	r.phase, r.at = catching, Key{oldest.Created, oldest.ID - 1}
	r.settled, r.createdFrom, r.end, r.endSeen = beginning, beginning, r.pos, r.pos
	r.checkpoint()
	l := r.ledger
	*r, *r.mem = was, mem
	r.ledger = l
}

// advance makes the base the newest position before which everything is acknowledged.
func (l *ledger) advance() {
	for len(l.marks) > 0 && l.marks[0].after <= l.done {
		l.base, l.generation = l.marks[0].base, l.marks[0].gen
		l.acked = nil
		l.marks = l.marks[1:]
	}
}

// ack records that an event was handled.
func (l *ledger) ack(e Event) {
	l.done++
	if (e.Gap == nil || e.Gap.Row != 0) && !e.Replay {
		l.acked = append(l.acked, save(e.Row.ID, versionOf(&e.Row)))
	}
	l.advance()
}

// snapshot encodes the reader's position, with the versions that a read from there can
// return again. The others raise the floor as if they were forgotten.
func (r *reader) snapshot(generation uint64) []byte {
	s := savedReader{
		Version: cursorVersion, Generation: generation, Phase: r.phase, Settled: r.settled, Firm: r.firm, Pos: r.pos,
		Created: r.created, At: r.at, From: r.from, End: r.end, CreatedFrom: r.createdFrom,
		Floor: r.mem.floor, Floors: r.mem.floors, FloorIDs: r.mem.floorIDs, Bands: slices.Clone(r.mem.bands), Joined: r.joined,
		MaxID: r.mem.maxID, Gone: map[int64]Key{},
		Conversations: make([]int64, 0, len(r.conversations)),
	}
	if r.endSeen != r.end {
		s.EndSeen = &r.endSeen
	}
	if r.began != beginning {
		s.Began = &r.began
	} else {
		s.Subscribed = Time(r.subscribed.UnixMicro())
	}
	if r.polled != beginning {
		s.Polled = &r.polled
	}
	backlog := r.phase == catching || r.phase == mending
	end := r.endSeen - r.cfg.overlap()
	maps.Copy(s.Gone, r.mem.gone)
	gone := func(id int64, v version) {
		s.Gone[v.conversation] = later(s.Gone[v.conversation], Key{v.created, id})
	}
	for id, v := range r.mem.rows {
		switch {
		case backlog && v.created > r.createdFrom && v.created <= r.endSeen && v.updated <= end && !r.unread(id, v):
			s.Bands = widen(s.Bands, r.createdFrom, Key{v.created, id}, id)
			gone(id, v)
		case v.updated > r.firm || v.created > r.firm:
			s.Known = append(s.Known, save(id, v))
		default:
			s.Floor, s.MaxID = later(s.Floor, Key{v.created, id}), max(s.MaxID, id)
			gone(id, v)
		}
	}
	for _, id := range r.conversations {
		s.Conversations = append(s.Conversations, id)
	}
	for _, j := range r.joins {
		s.Joining = append(s.Joining, savedJoin{j.conversation, j.created, j.until, j.at, j.paging, j.told})
	}
	slices.Sort(s.Conversations)
	slices.SortFunc(s.Known, func(a, b savedVersion) int { return int(a.ID - b.ID) })
	b, err := json.Marshal(s)
	if err != nil { // numbers and flags always marshal
		panic("feed: a position does not marshal: " + err.Error())
	}
	return b
}

// restore is the reverse of snapshot.
func (r *reader) restore(c Cursor) error {
	var s savedReader
	if err := json.Unmarshal(c.Base, &s); err != nil {
		return fmt.Errorf("feed: the stored cursor is damaged: %w", err)
	}
	if s.Version != cursorVersion || s.Phase < live || s.Phase > mending || s.Phase == measuring {
		return fmt.Errorf("feed: the stored cursor has version %d and phase %d, which this program does not know", s.Version, s.Phase)
	}
	r.phase, r.settled, r.firm, r.pos, r.created = s.Phase, s.Settled, s.Firm, s.Pos, s.Created
	r.at, r.from, r.end, r.endSeen, r.createdFrom = s.At, s.From, s.End, s.End, s.CreatedFrom
	if s.EndSeen != nil {
		r.endSeen = *s.EndSeen
	}
	r.mem.floor, r.mem.bands, r.mem.maxID = s.Floor, s.Bands, s.MaxID
	r.mem.gone = s.Gone
	r.mem.floors, r.mem.floorIDs = s.Floors, s.FloorIDs
	r.joined = s.Joined
	if s.Began != nil {
		r.began = *s.Began
	}
	if s.Subscribed != 0 {
		r.subscribed = time.UnixMicro(int64(s.Subscribed))
	}
	if s.Polled != nil {
		r.polled = *s.Polled
	}
	r.conversations = make(idSet, 0, len(s.Conversations))
	for _, id := range s.Conversations {
		r.conversations.add(id)
	}
	for _, id := range s.Joins {
		r.joins = append(r.joins, join{conversation: id, until: r.joinedBy(Member{}), at: Key{Time: beginning}, limit: r.cfg.PageSize})
	}
	for _, j := range s.Joining {
		r.joins = append(r.joins, join{
			conversation: j.Conversation, created: j.Created, until: j.Until, at: j.At, paging: j.Paging, told: j.Told, limit: r.cfg.PageSize,
		})
	}
	for _, k := range s.Known {
		r.mem.set(k.ID, k.version())
	}
	r.ledger.base, r.ledger.generation = c.Base, s.Generation
	var acks savedAcks
	if c.Acked != nil {
		if err := json.Unmarshal(c.Acked, &acks); err != nil {
			return fmt.Errorf("feed: the stored cursor is damaged: %w", err)
		}
	}
	if acks.Generation == s.Generation {
		r.ledger.acked = acks.Known
		for _, k := range acks.Known {
			r.mem.set(k.ID, k.version())
			r.created = max(r.created, k.Created)
		}
	}
	r.ahead = r.phase == mending && r.mem.after(r.endSeen)
	r.missed, r.stored = r.phase == live, true
	r.limit = r.cfg.PageSize
	return nil
}
