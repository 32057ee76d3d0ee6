package feed

import (
	"maps"
	"slices"
)

// version is what a reader remembers of a row it delivered.
type version struct {
	created, updated Time
	hash, origin     uint64
	parts            Parts
	conversation     int64
	deleted          bool
	unreadable       bool
	duplicate        bool // another row of the same send was delivered
	// left is the send that the row was delivered as before it changed; 0 for none. The
	// send then lives in another row, if there is one.
	left uint64
}

func versionOf(r *Row) version {
	return version{
		created: r.Created, updated: r.Updated, hash: r.Hash, origin: r.Origin, parts: r.Parts,
		conversation: r.Conversation, deleted: r.Deleted, unreadable: r.Unreadable,
	}
}

// superseded reports whether row r is a later version than v. An older change time
// means a lagging replica; with an equal one the content decides. Deletion is final,
// and some tombstones have no time. A change from the future is followed by any other.
func (v version) superseded(r *Row, clock Time) bool {
	if r.Deleted && !v.deleted {
		return true
	}
	if future(v.updated, clock) && r.Updated != v.updated {
		return r.Deleted || !v.deleted
	}
	if r.Updated != v.updated {
		return r.Updated > v.updated
	}
	return r.Hash != v.hash || r.Deleted != v.deleted
}

type originKey struct {
	conversation int64
	origin       uint64
}

// memory is the set of delivered versions. Its size is bounded: versions that no
// re-read can return again are forgotten, oldest creation first, and the floor rises
// above them.
type memory struct {
	cfg     *Config
	rows    dense[int64, version]
	highest int64 // no row has a higher id: what is new need not be looked up
	origins dense[originKey, int64]
	// spares are duplicates whose row may take over when the one that was delivered
	// changes into something else: maxSpares at most.
	spares map[originKey]Row
	// floor: an unknown row whose creation key is not above it was delivered and
	// forgotten, or belongs to history that was never loaded.
	floor Key
	// floors are the same for conversations joined later. Where a history was delivered,
	// floorIDs has the highest id in it.
	floors   map[int64]Key
	floorIDs map[int64]int64
	// bands are floors with a lower end. A backlog leaves one until no row can appear
	// below it.
	bands []band
	// maxID is the highest id below the floor: a row with a higher one was created
	// in the past but stored later.
	maxID int64
	// gone is the newest creation key forgotten, by conversation, and goneIDs the highest id,
	// where conversations are read apart.
	gone    map[int64]Key
	goneIDs map[int64]int64
	// lost is the newest change forgotten.
	lost Time
	// kept is how many versions stayed when conversations were forgotten apart last.
	kept int
}

// band stands for the rows that one backlog delivered and forgot: created after From,
// up to a key. Of two rows of one timestamp it may have forgotten one and not read the
// other yet.
type band struct {
	From  Time
	To    Key
	MaxID int64
}

func (b band) has(r *Row) bool {
	return r.ID <= b.MaxID && r.Created > b.From && r.createdKey().Compare(b.To) <= 0
}

// widen adds forgotten rows to the band above from.
func widen(bands []band, from Time, to Key, maxID int64) []band {
	i := slices.IndexFunc(bands, func(b band) bool { return b.From == from })
	if i < 0 {
		return append(bands, band{from, to, maxID})
	}
	bands[i].To, bands[i].MaxID = later(bands[i].To, to), max(bands[i].MaxID, maxID)
	return bands
}

func newMemory(cfg *Config) memory {
	return memory{
		cfg:   cfg,
		floor: Key{Time: beginning}, lost: beginning,
	}
}

func (m *memory) lookup(id int64) (version, bool) {
	if id > m.highest {
		return version{}, false
	}
	return m.rows.get(id)
}

func (m *memory) has(id int64) bool { return id <= m.highest && m.rows.has(id) }

func (m *memory) put(r *Row) { m.set(r.ID, versionOf(r)) }

// set remembers a version. moved: the row was another send before.
func (m *memory) set(id int64, v version) (moved bool) {
	was, ok := m.lookup(id)
	if ok && !was.duplicate {
		if v.left = was.left; was.origin != 0 && was.origin != v.origin {
			if k := (originKey{was.conversation, was.left}); was.left != v.origin && m.holder(k) == id {
				m.origins.drop(k) // one is enough: a row could change forever
			}
			v.left = was.origin
		}
	}
	m.add(id, v)
	return ok && was.origin != v.origin
}

// add is set for a row that is not known.
func (m *memory) add(id int64, v version) {
	m.rows.put(id, v)
	m.highest = max(m.highest, id)
	m.claim(id, v)
}

// claim makes a row the one that its send was delivered in, unless another one is.
func (m *memory) claim(id int64, v version) {
	if v.origin == 0 || v.duplicate {
		return
	}
	k := originKey{v.conversation, v.origin}
	if other, taken := m.origins.getOrPut(k, id); taken {
		if first, _ := m.rows.get(other); first.origin != v.origin {
			m.origins.put(k, id)
		}
	}
}

// delivered returns the row that a send was delivered in.
func (m *memory) delivered(conversation int64, origin uint64) (int64, bool) {
	if origin == 0 {
		return 0, false
	}
	return m.origins.get(originKey{conversation, origin})
}

// holder is the row that a send was delivered in, 0 for none.
func (m *memory) holder(k originKey) int64 {
	id, _ := m.origins.get(k)
	return id
}

// maxSpares bounds the duplicates that are kept, with their payload.
const maxSpares = 16

// spare keeps a duplicate.
func (m *memory) spare(r *Row) {
	k := originKey{r.Conversation, r.Origin}
	if m.spares == nil {
		m.spares = map[originKey]Row{}
	}
	if had, ok := m.spares[k]; ok && had.ID < r.ID {
		return // the one with the lower id was stored first
	}
	for other := range m.spares {
		if len(m.spares) < maxSpares {
			break
		}
		delete(m.spares, other)
	}
	m.spares[k] = *r
}

// unspare drops what is kept of a duplicate.
func (m *memory) unspare(id int64) {
	maps.DeleteFunc(m.spares, func(_ originKey, r Row) bool { return r.ID == id })
}

// old reports whether an unknown row is history, not new.
func (m *memory) old(r *Row) bool {
	if slices.ContainsFunc(m.bands, func(b band) bool { return b.has(r) }) {
		return true
	}
	return m.skipped(r) || r.ID <= m.maxID && r.createdKey().Compare(m.floor) <= 0 || m.forgot(r) ||
		r.First != 0 && r.First <= m.floor.Time // it was shown before the listener began
}

// forgot reports whether an unknown row was delivered and forgotten apart. What the source has shown
// first after everything that was forgotten was not, whatever the clock says that has dated it.
func (m *memory) forgot(r *Row) bool {
	return (r.First == 0 || r.First <= m.lost) && r.ID <= m.goneIDs[r.Conversation] && r.createdKey().Compare(m.gone[r.Conversation]) <= 0
}

// skipped reports whether an unknown row was left out, or delivered, when the user joined
// its conversation.
func (m *memory) skipped(r *Row) bool {
	f, ok := m.floors[r.Conversation]
	if !ok || r.createdKey().Compare(f) > 0 {
		return false
	}
	highest, some := m.floorIDs[r.Conversation]
	return !some || r.ID <= highest
}

func (m *memory) setFloor(conversation int64, k Key) {
	if m.floors == nil {
		m.floors = map[int64]Key{}
	}
	m.floors[conversation] = k
}

// read makes the rows of a conversation up to a key history that was delivered. rows are
// the last of them.
func (m *memory) read(conversation int64, upto Key, rows []Row) {
	m.setFloor(conversation, later(m.floors[conversation], upto))
	m.idsUpto(conversation, rows, upto)
}

// idsUpto notes the highest id of rows up to a key: what has a higher one came later,
// whatever its time is.
func (m *memory) idsUpto(conversation int64, rows []Row, upto Key) {
	if m.floorIDs == nil {
		m.floorIDs = map[int64]int64{}
	}
	highest := m.floorIDs[conversation]
	for i := range rows {
		if rows[i].createdKey().Compare(upto) <= 0 {
			highest = max(highest, rows[i].ID)
		}
	}
	m.floorIDs[conversation] = highest
}

// idsSeen notes the ids of a joined conversation of which nothing was left out.
func (m *memory) idsSeen(conversation int64, rows []Row) {
	if _, floored := m.floors[conversation]; !floored {
		m.idsUpto(conversation, rows, afterAll(1<<62))
	}
}

// had is the key up to which a conversation's rows were delivered and forgotten, or
// skipped as history: the zero Key for a conversation that the user was never in.
func (m *memory) had(conversation int64) Key {
	return later(m.gone[conversation], m.floors[conversation])
}

// idsBelow notes that what was skipped has lower ids than the rows of a page, whose times
// are later.
func (m *memory) idsBelow(conversation int64, p page) {
	var lowest int64
	for i := range p.rows {
		if row := &p.rows[i]; !future(row.Created, p.clock) && (lowest == 0 || row.ID < lowest) {
			lowest = row.ID
		}
	}
	if lowest == 0 {
		return
	}
	if m.floorIDs == nil {
		m.floorIDs = map[int64]int64{}
	}
	m.floorIDs[conversation] = max(m.floorIDs[conversation], lowest-1)
}

// forget drops versions beyond the limit that are not needed, and raises the floor
// above them.
func (m *memory) forget(needed func(id int64, v version) bool) {
	if m.full() {
		for _, was := range m.shrink(m.cfg.Remember, needed) {
			m.raise(was.Key, was.ID)
		}
	}
}

// unband makes floors of the bands below which no row can appear any more.
func (m *memory) unband(firm Time) {
	m.bands = slices.DeleteFunc(m.bands, func(b band) bool {
		if firm >= b.From {
			m.raise(b.To, b.MaxID)
		}
		return firm >= b.From
	})
}

// aFew versions are remembered, however old they are.
const aFew = 20

// forgetApart is forget where conversations are read one by one: each has a floor of its own.
func (m *memory) forgetApart(needed func(id int64, v version) bool) {
	limit := min(aFew, m.cfg.Remember)
	if m.rows.len() <= max(limit, m.kept)*3/2 {
		return
	}
	last := m.last()
	gone := m.shrink(limit, func(id int64, v version) bool {
		l := last[v.conversation]
		return v.updated > l.found && v.created > l.created || needed(id, v)
	})
	m.rows, m.origins = m.rows.clone(), m.origins.clone() // without the room for what is gone
	m.kept = m.rows.len()
	if m.goneIDs == nil && len(gone) > 0 {
		m.goneIDs = map[int64]int64{}
	}
	for _, was := range gone {
		m.goneIDs[was.conversation] = max(m.goneIDs[was.conversation], was.ID)
	}
}

// since is what was found, and created, after two moments.
type since struct{ found, created Time }

// last is what was found last of each conversation. Its next reading may bring what was not
// visible yet in this one, however long ago that is.
func (m *memory) last() map[int64]since {
	last, apart := map[int64]since{}, Time(m.cfg.Apart.Microseconds())
	for _, v := range m.rows.all() {
		l := last[v.conversation]
		last[v.conversation] = since{found: max(l.found, v.updated-apart)}
	}
	for _, v := range m.rows.all() {
		if l := last[v.conversation]; v.updated > l.found { // else a clock may have been set back since
			l.created = max(l.created, v.created-apart)
			last[v.conversation] = l
		}
	}
	return last
}

// raise lifts the floor above rows up to a key and an id.
func (m *memory) raise(k Key, maxID int64) {
	m.floor, m.maxID = later(m.floor, k), max(m.maxID, maxID)
}

// atMost makes the ids of a page that history lies below the highest of history.
func (m *memory) atMost(rows []Row) {
	for i := range rows {
		m.maxID = max(m.maxID, rows[i].ID)
	}
}

// forgetAbove is forget while a backlog is read: it drops only rows created after
// from, and earlier rows may still appear as new.
func (m *memory) forgetAbove(from Time, needed func(id int64, v version) bool) {
	if m.full() {
		for _, was := range m.shrink(m.cfg.Remember, needed) {
			m.bands = widen(m.bands, from, was.Key, was.ID)
		}
	}
}

// full reports whether the set is half over its limit. To wait for that makes the cost of
// forgetting a row constant.
func (m *memory) full() bool { return m.rows.len() > m.cfg.Remember+m.cfg.Remember/2 }

// forgotten is a row whose version was dropped.
type forgotten struct {
	Key          // of its creation
	conversation int64
}

// shrink drops the oldest versions beyond a limit.
func (m *memory) shrink(limit int, needed func(id int64, v version) bool) []forgotten {
	var out []forgotten
	for id, v := range m.rows.all() {
		if !needed(id, v) {
			out = append(out, forgotten{Key{v.created, id}, v.conversation})
		}
	}
	slices.SortFunc(out, func(a, b forgotten) int { return a.Compare(b.Key) })
	out = out[:min(len(out), m.rows.len()-limit)]
	if len(out) == 0 {
		return nil
	}
	last := out[len(out)-1].Key
	m.rows.dropFunc(func(id int64, v version) bool {
		if (Key{v.created, id}).Compare(last) > 0 || needed(id, v) {
			return false
		}
		m.dropped(id, v)
		return true
	})
	return out
}

// forgetOne is drop for a row that may not be there.
func (m *memory) forgetOne(id int64) {
	if _, ok := m.rows.get(id); ok {
		m.drop(id)
	}
}

func (m *memory) drop(id int64) {
	v, _ := m.rows.get(id)
	m.rows.drop(id)
	m.dropped(id, v)
}

// dropped notes that a version is forgotten.
func (m *memory) dropped(id int64, v version) {
	m.lost = max(m.lost, v.updated)
	if m.gone == nil {
		m.gone = map[int64]Key{}
	}
	m.gone[v.conversation] = later(m.gone[v.conversation], Key{v.created, id})
	for _, origin := range [...]uint64{v.origin, v.left} {
		if origin == 0 {
			continue
		}
		if k := (originKey{v.conversation, origin}); m.holder(k) == id {
			m.origins.drop(k)
			if m.cfg.Apart == 0 {
				delete(m.spares, k)
			}
		}
	}
}
