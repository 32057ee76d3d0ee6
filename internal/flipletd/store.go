package flipletd

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// store is the state: data sources and their entries, indexed for what chats
// ask. Every field is guarded by mu. Writes go through a tx.
type store struct {
	mu      sync.RWMutex
	journal Journal
	random  *randomness

	sources map[int64]*source
	entries map[int64]*version // the newest version of every entry

	members    map[string]map[int64]*source  // flUserId → its conversations
	chatTokens map[string]map[int64]*version // flUserToken → the live rows that hold it

	files    map[int64]*mediaFile
	folders  map[int64]*mediaFolder
	versions map[int64][]*snapshot // per data source, oldest first
	widgets  map[widgetKey]*widget
	pushes   pushLog
	revision uint64 // counts the writes

	notifications []*notification // by id
	mediaRules    mediaRules
	audit         auditLog

	lastID map[string]int64 // per kind of record

	// lastVisible is the latest time at which anything becomes visible, and
	// history whether overtaken versions are kept: see version.asOf.
	lastVisible time.Time
	history     bool

	columns columnIndexer

	looked atomic.Int64 // rows that queries looked at
	plain  bool         // tests: queries look at every row
}

// The ids of each kind start in a range of their own, so that a mistaken kind
// of id finds nothing instead of something wrong.
func newStore(j Journal) *store {
	return &store{
		journal:    j,
		sources:    make(map[int64]*source),
		entries:    make(map[int64]*version),
		members:    make(map[string]map[int64]*source),
		chatTokens: make(map[string]map[int64]*version),
		files:      make(map[int64]*mediaFile),
		folders:    make(map[int64]*mediaFolder),
		versions:   make(map[int64][]*snapshot),
		widgets:    make(map[widgetKey]*widget),
		mediaRules: make(mediaRules),
		columns:    columnIndexer{most: mostBytes},
		lastID: map[string]int64{
			kindSource: 100, kindEntry: 5000, kindFile: 900, kindFolder: 800, kindVersion: 300, kindWidget: 700, kindNotification: 600,
		},
	}
}

// newID hands out the next id of a kind. A refused write leaves a gap, as a
// database sequence does.
func (st *store) newID(kind string) int64 {
	st.lastID[kind]++
	return st.lastID[kind]
}

// source is one data source with its entries.
type source struct {
	id      int64
	meta    *meta
	rows    []*version // newest versions in the order of id, tombstones included
	updated index
	created index
	live    int // entries that are not deleted
	ordered int // live entries with an order of their own

	columns map[string]*postings // indexes of columns
	asked   map[string]int       // queries that could have used one more
}

func newSource(m *meta) *source {
	return &source{
		id: m.id, meta: m,
		updated: index{key: byUpdated}, created: index{key: byCreated},
	}
}

// at is the meta a reader at t sees, nil when the source was not there yet.
func (s *source) at(t time.Time) *meta {
	m := s.meta
	for m != nil && m.visible.After(t) {
		m = m.prev
	}
	return m
}

// current says that a reader at t sees every newest version, which opens the
// way through the indexes.
func (st *store) current(t time.Time) bool { return !st.lastVisible.After(t) }

// find returns the live source with an id as a reader at t sees it.
func (st *store) find(id int64, t time.Time) (*source, *meta) {
	s := st.sources[id]
	if s == nil {
		return nil, nil
	}
	m := s.at(t)
	if m == nil || !m.deletedAt.IsZero() {
		return nil, nil
	}
	return s, m
}

// sorted returns all sources in the order of id.
func (st *store) sorted() []*source {
	all := make([]*source, 0, len(st.sources))
	for _, s := range st.sources {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b *source) int { return cmp.Compare(a.id, b.id) })
	return all
}

// each calls fn for the entries of a source as a reader at t sees them,
// tombstones included, in the order of id, until fn returns false.
func (st *store) each(s *source, t time.Time, fn func(*version) bool) {
	now := st.current(t)
	for _, v := range s.rows {
		if !now {
			if v = v.asOf(t); v == nil {
				continue
			}
		}
		if !fn(v) {
			return
		}
	}
}

// entry returns one entry of a source as a reader at t sees it.
func (st *store) entry(s *source, id int64, t time.Time) *version {
	v := st.entries[id]
	if v == nil || v.DataSourceID != s.id {
		return nil
	}
	return v.asOf(t)
}

// put makes v the newest version of its entry.
func (st *store) put(s *source, v *version) {
	old := st.entries[v.ID]
	st.entries[v.ID] = v
	if v.visible.After(st.lastVisible) {
		st.lastVisible = v.visible
	}
	if old == nil {
		if n := len(s.rows); n == 0 || s.rows[n-1].ID < v.ID {
			s.rows = append(s.rows, v)
		} else {
			s.rows = slices.Insert(s.rows, s.position(v.ID), v)
		}
		s.updated.add(v)
		s.created.add(v)
	} else {
		old.replaced = true
		if st.history || v.late {
			v.prev = old
		}
		s.rows[s.position(v.ID)] = v
		s.updated.replace(old, v)
		s.created.replace(old, v)
		s.count(old, -1)
		st.indexToken(s, old, false)
	}
	s.count(v, +1)
	st.indexColumns(s, old, v)
	st.indexToken(s, v, true)
	st.lastID[kindEntry] = max(st.lastID[kindEntry], v.ID)
}

// fill puts entries into an empty store: each index is sorted once, which takes no longer
// when rows were written in another order than they were created.
func (st *store) fill(rows []*version) {
	slices.SortFunc(rows, func(a, b *version) int { return cmp.Compare(a.ID, b.ID) })
	for _, v := range rows {
		s := st.sources[v.DataSourceID]
		if s == nil {
			continue
		}
		st.entries[v.ID] = v
		s.rows = append(s.rows, v)
		s.count(v, +1)
		st.indexToken(s, v, true)
		st.lastID[kindEntry] = max(st.lastID[kindEntry], v.ID)
	}
	for _, s := range st.sources {
		s.updated.fill(s.rows)
		s.created.fill(s.rows)
	}
}

func (s *source) position(id int64) int {
	i, _ := slices.BinarySearchFunc(s.rows, id, func(v *version, id int64) int { return cmp.Compare(v.ID, id) })
	return i
}

func (s *source) count(v *version, by int) {
	if !v.live() {
		return
	}
	s.live += by
	if v.Order != nil {
		s.ordered += by
	}
}

// indexToken keeps chatTokens true. Tokens live on contact rows; messages are
// never asked for one.
func (st *store) indexToken(s *source, v *version, add bool) {
	token, _ := v.data()["flUserToken"].(string)
	if token == "" || !v.live() || s.meta.kind == conversationType {
		return
	}
	rows := st.chatTokens[token]
	switch {
	case add && rows == nil:
		st.chatTokens[token] = map[int64]*version{v.ID: v}
	case add:
		rows[v.ID] = v
	case rows[v.ID] == v:
		if delete(rows, v.ID); len(rows) == 0 {
			delete(st.chatTokens, token)
		}
	}
}

// putMeta makes m the description of its source, which it creates if need be.
func (st *store) putMeta(m *meta) {
	s := st.sources[m.id]
	if m.visible.After(st.lastVisible) {
		st.lastVisible = m.visible
	}
	if s == nil {
		s = newSource(m)
		st.sources[m.id] = s
	} else {
		if st.history || m.late {
			m.prev = s.meta
		}
		if !sameMembers(s.meta, m) {
			st.indexMembers(s, s.meta, false)
		}
		s.meta = m
	}
	st.indexMembers(s, m, true)
	st.lastID[kindSource] = max(st.lastID[kindSource], m.id)
}

func sameMembers(a, b *meta) bool {
	return a.listsMembers() == b.listsMembers() && slices.Equal(a.participants, b.participants)
}

func (st *store) indexMembers(s *source, m *meta, add bool) {
	if !m.listsMembers() {
		return
	}
	for _, u := range m.participants {
		switch of := st.members[u]; {
		case add && of == nil:
			st.members[u] = map[int64]*source{s.id: s}
		case add:
			of[s.id] = s
		default:
			if delete(of, s.id); len(of) == 0 {
				delete(st.members, u)
			}
		}
	}
}

// purge forgets a source for good.
func (st *store) purge(s *source) {
	st.indexMembers(s, s.meta, false)
	for _, v := range s.rows {
		st.indexToken(s, v, false)
		delete(st.entries, v.ID)
	}
	for _, p := range s.columns {
		st.columns.drop(p)
	}
	delete(st.versions, s.id)
	delete(st.sources, s.id)
}
