package fleet

import (
	"cmp"
	"container/heap"
	"slices"
	"time"
)

// covers is the strategy that asks across the conversations of users where one such request
// shows more than a look: those of bots and moderators, who are in very many. The index is
// the list of conversations.
type covers struct {
	byJoins
	lister
}

// NewCover returns the strategy for an app with users who are in hundreds of conversations.
func NewCover() Strategy {
	return &covers{lister: lister{every: listEach, users: time.Minute}}
}

func (*covers) Name() string { return "cover" }
func (*covers) Pace() Pace   { return Pace{Sweep: time.Minute, Share: 0.25} }

func (s *covers) Plan(now time.Time, v *View) (Request, bool) {
	best, most := int32(-1), min(v.Batch(), v.Urgent())
	v.Users(now, func(user int32, conversations int, dirty func() int) {
		if conversations <= most || most == 0 {
			return
		}
		if n := dirty(); n > most || n == most && user < best {
			best, most = user, n
		}
	})
	if best >= 0 {
		if r, ok := v.Across(now, best); ok {
			return r, true
		}
	}
	return s.byJoins.Plan(now, v)
}

// acrosses is the strategy for a server that refuses joins: it asks across the conversations
// of a cover, which are few users whose conversations are all there are, and of those users
// first who have the most dirty ones. A conversation that no such user is in is read by itself.
type acrosses struct {
	lister
	cover []int32
	rest  []int64 // conversations that are in none of theirs
	hand  int
	alone bool
}

// NewAcross returns the strategy without joins.
func NewAcross() Strategy {
	return &acrosses{lister: lister{every: listEach, users: time.Minute}}
}

func (*acrosses) Name() string { return "across" }

func (s *acrosses) Pace() Pace {
	if len(s.cover) == 0 {
		return Pace{Sweep: time.Minute, Share: 0.5, Requests: -1}
	}
	return Pace{Sweep: time.Minute, Share: 1, Requests: len(s.cover) + len(s.rest)}
}

func (s *acrosses) Indexed(now time.Time, r Request, a Answer, err error, v *View) {
	s.lister.Indexed(now, r, a, err, v)
	if err == nil && r.Users {
		sets := map[int32][]int64{}
		v.Users(now, func(user int32, _ int, _ func() int) { sets[user] = v.Conversations(user) })
		s.cover = Cover(sets)
		covered := map[int64]bool{}
		for _, user := range s.cover {
			for _, c := range sets[user] {
				covered[c] = true
			}
		}
		s.rest = s.rest[:0]
		for _, l := range a.Listed {
			if !covered[l.Conversation] {
				s.rest = append(s.rest, l.Conversation)
			}
		}
	}
}

func (s *acrosses) Plan(now time.Time, v *View) (Request, bool) {
	if s.alone = !s.alone; s.alone { // what no query across has shown
		if r, ok := v.ReadLarge(now); ok {
			return r, ok
		}
	}
	if v.Urgent() > 0 {
		best, most := int32(-1), 0
		v.Users(now, func(user int32, conversations int, dirty func() int) {
			if conversations < most {
				return
			}
			if n := dirty(); n > most || n == most && n > 0 && user < best {
				best, most = user, n
			}
		})
		if best < 0 {
			return v.Read(now)
		}
		if r, ok := v.Across(now, best); ok {
			return r, true
		}
	}
	for range len(s.cover) + len(s.rest) {
		var r Request
		var ok bool
		if s.hand = (s.hand + 1) % (len(s.cover) + len(s.rest)); s.hand < len(s.cover) {
			r, ok = v.Across(now, s.cover[s.hand])
		} else {
			r, ok = v.ReadThis(now, s.rest[s.hand-len(s.cover)])
		}
		if ok {
			return r, ok
		}
	}
	return v.Read(now)
}

// Cover returns few of the sets that together have everything that all have. It takes
// the one that adds most, again and again, which is at most a logarithm worse than the
// best.
func Cover(sets map[int32][]int64) []int32 {
	var q gains
	for set, items := range sets {
		q = append(q, gain{set, len(items)})
	}
	slices.SortFunc(q, func(a, b gain) int { return cmp.Or(cmp.Compare(b.n, a.n), cmp.Compare(a.set, b.set)) })
	covered := map[int64]bool{}
	var out []int32
	for len(q) > 0 && q[0].n > 0 {
		n := 0
		for _, item := range sets[q[0].set] {
			if !covered[item] {
				n++
			}
		}
		if n < q[0].n { // it was more before others were taken
			q[0].n = n
			heap.Fix(&q, 0)
			continue
		}
		out = append(out, q[0].set)
		for _, item := range sets[q[0].set] {
			covered[item] = true
		}
		heap.Pop(&q)
	}
	return out
}

// gain is what a set adds at most.
type gain struct {
	set int32
	n   int
}

type gains []gain

func (g gains) Len() int           { return len(g) }
func (g gains) Less(i, j int) bool { return g[i].n > g[j].n || g[i].n == g[j].n && g[i].set < g[j].set }
func (g gains) Swap(i, j int)      { g[i], g[j] = g[j], g[i] }
func (g *gains) Push(x any)        { *g = append(*g, x.(gain)) }
func (g *gains) Pop() any {
	last := (*g)[len(*g)-1]
	*g = (*g)[:len(*g)-1]
	return last
}
