package feed

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"
)

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
	if v.deleted && v.origin == 0 {
		v.origin = v.left // a tombstone does not say of which send it was
	}
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
	Top           int64           `json:"top,omitempty"`
	Gone          map[int64]Key   `json:"gone,omitempty"`
	Conversations []int64         `json:"conversations"`
	Joins         []int64         `json:"joins,omitempty"`   // of versions that stored no more of them
	Joining       []savedJoin     `json:"joining,omitempty"` // in place of Joins
	Joined        map[int64]Time  `json:"joined,omitempty"`
	Subscribed    Time            `json:"subscribed,omitempty"` // by the clock of the program
	Began         *Time           `json:"began,omitempty"`
	Polled        *Time           `json:"polled,omitempty"`
	Known         []savedVersion  `json:"known,omitempty"` // in version 1
	Packed        []byte          `json:"packed,omitempty"`
}

// savedJoin is a join that is not over.
type savedJoin struct {
	Conversation int64 `json:"c"`
	Created      Time  `json:"created"`
	Until        Time  `json:"until"`
	At           Key   `json:"at"`
	Paging       bool  `json:"paging,omitempty"`
	Told         bool  `json:"told,omitempty"`
	// Ids is missing where times tell what came before the join.
	Ids *savedIds `json:"ids,omitempty"`
}

// savedIds is what a join knows of the server's clock and of ids, see [join].
type savedIds struct {
	Asked     int64 `json:"asked,omitempty"` // on the owner's clock
	Answered  int64 `json:"answered,omitempty"`
	Back      bool  `json:"back,omitempty"`
	Otherwise Time  `json:"otherwise"`
	Ahead     Time  `json:"ahead"`
	AheadTo   Time  `json:"aheadTo"`
	Bound     int64 `json:"bound,omitempty"`
	Seen      int64 `json:"seen,omitempty"`
	Blind     bool  `json:"blind,omitempty"`
	Looked    bool  `json:"looked,omitempty"`
}

// cursorVersion is the format of a stored cursor.
const cursorVersion = 2

// SubscribeDurable is Subscribe for a listener whose position is stored. Without a
// Base the listener begins at start; otherwise it resumes where the position is, and
// acknowledged events do not come again.
func (f *Feed) SubscribeDurable(now time.Time, start Start, s Stored) (ID, error) {
	e := newEntry(f.cfg, now, start)
	r := e.reader
	r.ledger = &ledger{journal: &journal{writer: s.Writer, whole: s.Writer != "" && s.Base != nil}}
	if s.Base != nil {
		if err := r.open(s); err != nil {
			return 0, err
		}
	}
	f.nextID++
	e.id = f.nextID
	f.readers = append(f.readers, e)
	if now.Before(f.roster.again) {
		e.membership(now, f.roster.members, nil)
		f.settle()
		f.schedule(now)
	}
	return f.nextID, nil
}

// snapshot encodes the reader's position, with the versions that a read from there can
// return again. The others raise the floor as if they were forgotten.
func (r *reader) snapshot() []byte {
	s := savedReader{
		Version: cursorVersion, Phase: r.phase, Settled: r.settled, Firm: r.firm, Pos: r.pos,
		Created: r.created, At: r.at, From: r.from, End: r.end, CreatedFrom: r.createdFrom,
		Floor: r.mem.floor, Floors: r.mem.floors, FloorIDs: r.mem.floorIDs, Bands: slices.Clone(r.mem.bands), Joined: r.joined,
		MaxID: r.mem.maxID, Top: r.top, Gone: map[int64]Key{},
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
	end := r.endSettled()
	maps.Copy(s.Gone, r.mem.gone)
	var known []savedVersion
	gone := func(id int64, v version) {
		s.Gone[v.conversation] = later(s.Gone[v.conversation], Key{v.created, id})
	}
	for id, v := range r.mem.rows.all() {
		switch {
		case backlog && v.created > r.createdFrom && v.created <= r.endSeen && v.updated <= end && !r.unread(id, v):
			s.Bands = widen(s.Bands, r.createdFrom, Key{v.created, id}, id)
			gone(id, v)
		case v.updated > r.firm || v.created > r.firm:
			known = append(known, save(id, v))
		default:
			s.Floor, s.MaxID = later(s.Floor, Key{v.created, id}), max(s.MaxID, id)
			gone(id, v)
		}
	}
	for _, id := range r.conversations {
		s.Conversations = append(s.Conversations, id)
	}
	for _, j := range r.joins {
		s.Joining = append(s.Joining, j.save())
	}
	slices.Sort(s.Conversations)
	s.Packed = packSorted(known)
	return s.encode()
}

func (s *savedReader) encode() []byte {
	b, err := json.Marshal(s)
	if err != nil { // numbers and flags always marshal
		panic("feed: a position does not marshal: " + err.Error())
	}
	return b
}

// decodeReader is the reverse of encode.
func decodeReader(base []byte) (s savedReader, err error) {
	if err := json.Unmarshal(base, &s); err != nil {
		return s, damaged(err)
	}
	if s.Version < 1 || s.Version > cursorVersion || s.Phase < live || s.Phase > mending || s.Phase == measuring {
		return s, fmt.Errorf("feed: the stored cursor has version %d and phase %d, which this program does not know", s.Version, s.Phase)
	}
	packed, err := unpackAll(s.Packed)
	if err != nil {
		return s, damaged(err)
	}
	s.Known, s.Packed = append(s.Known, packed...), nil
	return s, nil
}

// restore is the reverse of snapshot. acked is what was acknowledged since, as far as
// it is mine.
func (r *reader) restore(base []byte, acked []savedVersion, mine func(savedVersion) bool) error {
	s, err := decodeReader(base)
	if err != nil {
		return err
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
		if s.Phase == catching && s.Settled == beginning {
			r.began -= r.cfg.overlap() // a replica that lags may show the first page as it was before
		}
	}
	if s.Subscribed != 0 {
		r.subscribed = time.UnixMicro(int64(s.Subscribed))
	}
	if s.Polled != nil {
		r.polled = *s.Polled
	}
	r.shown = max(r.settled, r.pos, r.polled)
	r.conversations = make(idSet, 0, len(s.Conversations))
	for _, id := range s.Conversations {
		r.conversations.add(id)
	}
	for _, id := range s.Joins {
		r.joins = append(r.joins, r.newJoin(id, r.joinedBy(Member{})))
	}
	for _, j := range s.Joining {
		r.joins = append(r.joins, r.restoreJoin(j))
	}
	for _, k := range s.Known {
		if mine(k) {
			r.mem.set(k.ID, k.version())
		}
	}
	r.top, r.gauged = s.Top, true
	if r.top == 0 { // of an earlier version
		r.top = s.MaxID
		for _, k := range s.Known {
			r.top = max(r.top, k.ID)
		}
	}
	l := r.ledger
	for _, k := range acked {
		if mine(k) {
			r.mem.set(k.ID, k.version())
			r.created = max(r.created, k.Created)
			l.acked = append(l.acked, acknowledged{savedVersion: k})
		}
	}
	l.base, l.shape, l.marked = base, r.shape(), -int64(len(l.acked))
	l.members, l.polled = l.shape.members, r.polled
	r.ahead = r.phase == mending && r.mem.after(r.endSeen)
	r.missed, r.stored, r.unmet = r.phase == live, true, true
	r.blank = r.start == FromBeginning && r.phase == live && r.pos == beginning // from elsewhere a clock set back meanwhile would cost rows
	r.limit = r.cfg.PageSize
	return nil
}

// Durable reports whether a listener's position is stored.
func (f *Feed) Durable(id ID) bool {
	e := f.find(id)
	return e != nil && e.ledger != nil
}
