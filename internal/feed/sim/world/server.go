package world

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/feed"
)

// epoch is when stories begin, on the client's clock, in microseconds.
const epoch feed.Time = 1_700_000_000_000_000

const ms feed.Time = 1000

// tick is how coarse the time of an answer is.
const tick = 1000 * ms

// aeon is how far ahead rows are that come from the future.
const aeon = 70 * 365 * 86_400_000 * ms

func micros(d time.Duration) feed.Time { return feed.Time(d.Microseconds()) }

// server is the other side: rows with all their versions, and when each becomes
// visible to a read.
type server struct {
	traits   Traits
	rnd      *rand.Rand
	page     int // the page size asked for, to know how much history a join shows
	now      feed.Time
	shift    feed.Time // of the clock that stamps rows and answers
	noticed  bool      // an answer has shown its last move
	latest   feed.Time // that it has been
	convs    []conversation
	rows     []row
	versions []version
	origins  uint64
	lives    uint64    // processes that have read rows
	newest   feed.Time // creation there has been

	found []found
	out   []feed.Row
	short bool // out ends early
	sick  int  // the conversation that cannot be read now, from 1 on; 0 for none
	list  []feed.Member
}

// row is a message. Its id is its place in server.rows, plus one.
type row struct {
	conv      int
	created   feed.Time
	made      feed.Time // when it was inserted, whatever the clock said
	visible   feed.Time // of its first version
	origin    uint64
	head      int32 // the newest version
	backdated bool  // older than one with a lower id
	imported  bool  // created long before it was inserted
}

// version is a state of a row. Its hash is its place in server.versions, plus one.
type version struct {
	row     int32
	prev    int32 // the version before it, -1 for none
	updated feed.Time
	visible feed.Time // from when on a read can show it
	deleted bool
	made    feed.Time // when it was written, whatever the clock said
	// passed: its time was passed when it was written, and secret: no answer had shown that.
	passed, secret bool
}

type conversation struct {
	created feed.Time
	member  bool
	changed feed.Time // when the user joined or left last
	stamped feed.Time // what the clock said then
	joins   int
	// listed is when a list first showed it after the last join, 0 for not yet.
	listed  feed.Time
	hidden  bool      // a list of a lagging replica has not shown it after one that has
	own     bool      // the user joined it with a call of their own
	entered time.Time // when that was, on the client's clock
	stuck   bool      // consumers fail to handle what comes from it
}

// defined is when the definition was changed, as far as the server says it.
func (c *conversation) defined(t Traits) feed.Time {
	if t.Undated {
		return 0
	}
	return c.stamped / ms * ms
}

// joined is when the user joined, if the answer to a call of theirs said so.
func (c *conversation) joined() feed.Time {
	if !c.own {
		return 0
	}
	return c.stamped / ms * ms
}

type found struct {
	key     feed.Key
	version int32
}

func (s *server) reset(t Traits, page int, rnd *rand.Rand) {
	s.traits, s.page, s.rnd = t, page, rnd
	s.convs, s.rows, s.versions = s.convs[:0], s.rows[:0], s.versions[:0]
	s.newest = beginning
	s.origins, s.lives, s.now, s.shift = 0, 0, epoch+micros(t.Skew), 0
	s.noticed, s.latest = true, beginning
	for i := range t.Conversations {
		c := conversation{created: s.now - 3_600_000*ms, changed: s.now - 3_600_000*ms, stamped: s.now - 3_600_000*ms}
		if i < t.Joined {
			c.member, c.joins = true, 1
		}
		s.convs = append(s.convs, c)
	}
}

// ahead counts the rows that were created in the future.
func (s *server) ahead() (n int) {
	if !s.traits.Future {
		return 0
	}
	for i := range s.rows {
		if s.future(s.rows[i].created) {
			n++
		}
	}
	return n
}

// future reports whether a stamp lies many years ahead.
func (s *server) future(t feed.Time) bool { return t > s.now+aeon/2 }

// stamp is the server's time as it prints it.
func (s *server) stamp() feed.Time { return s.clock() / ms * ms }

// clock is what the server takes for the time.
func (s *server) clock() feed.Time { return s.now + s.shift }

// insert stores a row stamped at created and updated, visible from a time on.
func (s *server) insert(conv int, created, updated, visible feed.Time, origin uint64) int {
	id := len(s.rows)
	backdated := id > 0 && created < s.newest
	if !s.future(created) {
		s.newest = max(s.newest, created)
	}
	s.rows = append(s.rows, row{
		conv: conv, created: created, made: s.now, visible: max(visible, s.now), origin: origin, head: -1, backdated: backdated, imported: created != updated,
	})
	s.write(id, updated, visible, false)
	return id
}

// write adds a version. Two of one instant become visible together: a reader has
// no way to tell which of them came first.
func (s *server) write(id int, updated, visible feed.Time, deleted bool) {
	r := &s.rows[id]
	if r.head >= 0 {
		head := &s.versions[r.head]
		switch {
		case s.future(head.updated) && s.traits.Lag > 0:
			return // an old version would come back with every replica that is behind
		case s.future(head.updated) && !s.future(updated):
			visible = max(visible, head.visible)
		case head.updated > updated && s.traits.Shifts:
			visible = max(visible, head.visible)
		case head.updated >= updated:
			updated, visible = head.updated, head.visible
		}
	}
	visible = max(visible, s.now) // a stamp may be a little older than its write
	passed := updated < s.latest
	s.versions = append(s.versions, version{
		row: int32(id), prev: r.head, updated: updated, visible: visible, deleted: deleted, made: s.now, passed: passed, secret: passed && !s.noticed,
	})
	r.head = int32(len(s.versions) - 1)
}

// at returns the version of a row that a read of the server as of t shows, -1 for
// none.
func (s *server) at(r *row, t feed.Time) int32 {
	v := r.head
	for v >= 0 && s.versions[v].visible > t {
		v = s.versions[v].prev
	}
	return v
}

// lag draws how far behind the replica is that answers the next read.
func (s *server) lag() feed.Time {
	if s.traits.Lag == 0 || s.rnd.IntN(3) == 0 {
		return 0
	}
	return feed.Time(s.rnd.Int64N(int64(s.traits.Lag) + 1))
}

// members answers feed.Members.
func (s *server) members() []feed.Member {
	asOf := s.now - s.lag()
	s.list = s.list[:0]
	for i := range s.convs {
		c := &s.convs[i]
		member := c.member
		if c.changed > asOf {
			member = !member
		}
		if !member {
			if c.member && c.listed != 0 {
				c.hidden = true // it looks as if the user had left
			}
			continue
		}
		if c.member && c.listed == 0 {
			c.listed = s.now
		}
		s.list = append(s.list, feed.Member{Conversation: int64(i + 1), Created: c.created, Changed: c.defined(s.traits), Joined: c.joined(), Asked: c.entered, Answered: c.entered})
	}
	return s.list
}

// answer reads a page, with the habits of this server.
func (s *server) answer(q feed.Query) []feed.Row {
	asOf := s.now - s.lag()
	s.found = s.found[:0]
	for i := range s.rows {
		r := &s.rows[i]
		if !s.convs[r.conv].member || r.conv+1 == s.sick || q.Conversation != 0 && q.Conversation != int64(r.conv+1) {
			continue
		}
		at := s.at(r, asOf)
		if at < 0 {
			continue
		}
		v := &s.versions[at]
		created, updated := feed.Key{Time: r.created, ID: int64(i + 1)}, feed.Key{Time: v.updated, ID: int64(i + 1)}
		switch q.Kind {
		case feed.Newest:
			if !v.deleted && (q.Before == feed.Key{} || created.Compare(q.Before) < 0) {
				s.found = append(s.found, found{created, at})
			}
		case feed.Created:
			if !v.deleted && created.Compare(q.After) > 0 {
				s.found = append(s.found, found{created, at})
			}
		case feed.Changes:
			if (updated.Compare(q.After) > 0 || q.Beyond != 0 && created.ID > q.Beyond && (q.From == feed.Key{} || updated.Compare(q.From) > 0)) && (q.UpdatedTo == 0 || v.updated <= q.UpdatedTo) && (q.CreatedTo == 0 || r.created <= q.CreatedTo) {
				s.found = append(s.found, found{updated, at})
			}
		case feed.Latest:
			s.found = append(s.found, found{updated, at})
		}
	}
	direction := 1
	if q.Kind == feed.Newest || q.Kind == feed.Latest || s.traits.Backwards {
		direction = -1
	}
	slices.SortFunc(s.found, func(a, b found) int {
		return direction * cmp.Or(cmp.Compare(a.key.Time, b.key.Time), cmp.Compare(a.key.ID, b.key.ID))
	})
	s.out = s.out[:0]
	capped := s.traits.Cap > 0 && q.Kind != feed.Newest // of these the owner puts a page together
	for _, f := range s.found {
		if len(s.out) >= q.Limit && !s.traits.NoLimit || capped && len(s.out) >= s.traits.Cap {
			break
		}
		row := s.render(f.version)
		s.out = append(s.out, row)
		if s.traits.Doubles && s.rnd.IntN(3) == 0 && len(s.out) < q.Limit {
			s.out = append(s.out, row)
		}
	}
	if s.short = s.traits.Poison && len(s.out) > 1 && s.rnd.IntN(4) == 0; s.short {
		s.out = s.out[:1+s.rnd.IntN(len(s.out)-1)]
	}
	if s.traits.Shuffle {
		s.rnd.Shuffle(len(s.out), func(i, j int) { s.out[i], s.out[j] = s.out[j], s.out[i] })
	}
	return s.out
}

// life is the part of hashes that is another one in each process.
func (s *server) life() uint64 { return s.lives << 32 }

// stable makes the hashes of a row those of every process.
func stable(row *feed.Row) {
	row.Hash &= math.MaxUint32
	row.Origin &= math.MaxUint32
}

// shown is a version as a listener gets it.
func (s *server) shown(at int32, durable bool) feed.Row {
	row := s.render(at)
	if durable {
		stable(&row)
	}
	return row
}

func (s *server) render(at int32) feed.Row {
	v := &s.versions[at]
	r := &s.rows[v.row]
	row := feed.Row{
		ID: int64(v.row + 1), Conversation: int64(r.conv + 1), Created: r.created, Updated: v.updated,
		Deleted: v.deleted, Hash: s.life() | uint64(at+1), Origin: r.origin,
	}
	if s.traits.Poison && at%3 == 2 && !v.deleted {
		row.Unreadable, row.Origin = true, 0
	}
	if v.deleted && v.row%2 == 0 {
		row.Origin = 0 // a tombstone has lost its columns, one that is marked as deleted has them
	}
	if row.Origin != 0 {
		row.Origin |= s.life()
	}
	return row
}
