package feed_test

import (
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/feed"
)

// fakeServer answers the engine's queries from rows in memory.
type fakeServer struct {
	rows    map[int64]feed.Row
	visible map[int64]feed.Time // not before; absent: at once
	members map[int64]feed.Time
	leaks   bool // it answers with rows of other conversations, too
	noLimit bool // pages have all rows
	nextID  int64
	now     feed.Time
	asked   []feed.Query
	keys    []feed.Key // of answer
}

func newFakeServer(conversations ...int64) *fakeServer {
	s := &fakeServer{rows: map[int64]feed.Row{}, visible: map[int64]feed.Time{}, members: map[int64]feed.Time{}, now: 1_000_000_000}
	for _, c := range conversations {
		s.members[c] = 1
	}
	return s
}

func (s *fakeServer) tick(d time.Duration) { s.now += feed.Time(d.Microseconds()) }

func (s *fakeServer) send(conversation int64) int64 {
	s.nextID++
	s.rows[s.nextID] = feed.Row{ID: s.nextID, Conversation: conversation, Created: s.now, Updated: s.now, Hash: 1}
	return s.nextID
}

func (s *fakeServer) edit(id int64) {
	r := s.rows[id]
	r.Updated, r.Hash = s.now, r.Hash+1
	s.rows[id] = r
}

func (s *fakeServer) remove(id int64) {
	r := s.rows[id]
	r.Updated, r.Deleted = s.now, true
	s.rows[id] = r
}

// answer returns the rows a query asks for. It keeps the keys of the best rows so
// far in order, because random histories ask thousands of times.
func (s *fakeServer) answer(q feed.Query) []feed.Row {
	s.asked = append(s.asked, q)
	if s.noLimit {
		q.Limit = len(s.rows) + 1
	}
	s.keys = s.keys[:0]
	newestFirst := q.Kind == feed.Newest || q.Kind == feed.Latest
	for id, r := range s.rows {
		created, updated := feed.Key{Time: r.Created, ID: id}, feed.Key{Time: r.Updated, ID: id}
		keep, key := true, updated
		switch q.Kind {
		case feed.Newest:
			key = created
			keep = !r.Deleted && (q.Conversation == 0 || q.Conversation == r.Conversation) &&
				(q.Before == feed.Key{} || created.Compare(q.Before) < 0)
		case feed.Changes:
			keep = updated.Compare(q.After) > 0 && (q.UpdatedTo == 0 || r.Updated <= q.UpdatedTo) &&
				(q.CreatedTo == 0 || r.Created <= q.CreatedTo)
		case feed.Created:
			key = created
			keep = !r.Deleted && created.Compare(q.After) > 0
		}
		if !keep || s.visible[id] > s.now {
			continue
		}
		if _, in := s.members[r.Conversation]; !in && !s.leaks {
			continue
		}
		at, _ := slices.BinarySearchFunc(s.keys, key, func(x, y feed.Key) int {
			if newestFirst {
				return y.Compare(x)
			}
			return x.Compare(y)
		})
		if at < q.Limit {
			s.keys = slices.Insert(s.keys[:min(len(s.keys), q.Limit-1)], at, key)
		}
	}
	out := make([]feed.Row, 0, len(s.keys))
	for _, k := range s.keys {
		r := s.rows[k.ID]
		if _, in := s.members[r.Conversation]; !in {
			r = feed.Row{ID: r.ID, Conversation: r.Conversation, Created: r.Created, Updated: r.Updated, Foreign: true}
		}
		out = append(out, r)
	}
	return out
}

func (s *fakeServer) roster() []feed.Member {
	var out []feed.Member
	for c, t := range s.members {
		out = append(out, feed.Member{Conversation: c, Created: t})
	}
	return out
}

// byID iterates a map in order of its keys, so that a seed is a history.
func byID[V any](m map[feed.ID]V) iter.Seq2[feed.ID, V] {
	return func(yield func(feed.ID, V) bool) {
		for _, id := range slices.Sorted(maps.Keys(m)) {
			if !yield(id, m[id]) {
				return
			}
		}
	}
}

// harness drives one engine against one server on a clock of its own.
type harness struct {
	*fakeServer
	feed *feed.Feed
	now  time.Time
	// dated: answers carry the server's time, in whole seconds.
	dated  bool
	stored *feed.Stored // of the one durable listener, if a test keeps it
	// change runs before each answer, to disturb a poll that is under way.
	change func(feed.Query)
}

func newHarness(cfg feed.Config, conversations ...int64) *harness {
	return &harness{fakeServer: newFakeServer(conversations...), feed: feed.New(cfg), now: time.Unix(1_800_000_000, 0)}
}

func (h *harness) pass(d time.Duration) {
	h.now = h.now.Add(d)
	h.tick(d)
}

// poll pokes and answers until the engine only waits.
func (h *harness) poll() {
	h.pass(300 * time.Millisecond)
	h.feed.Poke(h.now)
	h.run()
}

func (h *harness) run() {
	for range 100_000 {
		a := h.feed.Next(h.now)
		switch a.Query.Kind {
		case 0:
			return
		case feed.Members:
			h.feed.Members(h.now, h.roster())
		default:
			if h.change != nil {
				h.change(a.Query)
			}
			var clock feed.Time
			if h.dated {
				clock = h.fakeServer.now / 1e6 * 1e6
			}
			h.feed.Page(h.now, h.answer(a.Query), feed.Clock{Earliest: clock, Latest: clock})
		}
	}
	panic("the engine never came to rest")
}

// drain takes everything queued, letting the engine read on as room appears.
func (h *harness) drain(id feed.ID) []feed.Event {
	var out []feed.Event
	for {
		e, ok := h.feed.Take(id)
		if !ok {
			return out
		}
		out = append(out, e)
		if h.feed.Ack(id) {
			h.run()
		}
	}
}

func ids(events []feed.Event) []int64 {
	out := []int64{}
	for _, e := range events {
		out = append(out, e.Row.ID)
	}
	return out
}

func kinds(events []feed.Event) string {
	out := ""
	for _, e := range events {
		switch {
		case e.Gap != nil:
			out += "g"
		case e.Replay:
			out += "r"
		case e.Deleted:
			out += "d"
		case e.Update:
			out += "u"
		default:
			out += "n"
		}
	}
	return out
}
