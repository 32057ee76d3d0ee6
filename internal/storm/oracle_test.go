package storm_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/internal/storm"
)

// place is where a message stands in its conversation.
type place struct {
	at time.Time
	id int64
}

func (p place) before(q place) bool { return p.at.Before(q.at) || p.at.Equal(q.at) && p.id < q.id }

// view is what a listener was given.
type view struct {
	s       *story
	name    string
	durable bool // a consumer: after a death it gets again what was in flight

	mu       sync.Mutex
	lives    int
	news     map[string][]int      // by guid: the lives in which it came as new
	last     map[int64]place       // by conversation
	live     map[int64]string      // bodies, by id
	again    map[int]map[int64]int // by life and conversation: what had come before
	inverted []string
}

func newView(s *story, name string) *view {
	return &view{
		s: s, name: name, news: map[string][]int{}, last: map[int64]place{}, live: map[int64]string{}, again: map[int]map[int64]int{},
	}
}

// lived notes that a life is over.
func (v *view) lived() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.lives++
}

func (v *view) take(m *chat.Message) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if m.Err != nil && !m.IsDeleted {
		v.s.wrong("%s: message %d of %d: %v", v.name, m.ID, m.ConversationID, m.Err)
	}
	switch {
	case m.IsDeleted:
		delete(v.live, m.ID)
	case m.IsReplay:
	case m.IsUpdate:
		v.live[m.ID] = m.Body
	default:
		v.live[m.ID] = m.Body
		if before := v.news[m.GUID]; len(before) > 0 && v.durable && before[len(before)-1] != v.lives {
			if v.again[v.lives] == nil {
				v.again[v.lives] = map[int64]int{}
			}
			v.again[v.lives][m.ConversationID]++
		}
		v.news[m.GUID] = append(v.news[m.GUID], v.lives)
		here := place{m.CreatedAt, m.ID}
		if here.before(v.last[m.ConversationID]) {
			v.inverted = append(v.inverted, fmt.Sprintf("%s: %s (%d) came after %d", v.name, m.GUID, m.ID, v.last[m.ConversationID].id))
		} else {
			v.last[m.ConversationID] = here
		}
	}
}

// doubled are the messages that came as new more often than the contract allows: once, and
// once more in each life of a consumer.
func (v *view) doubled() (out []string) {
	for guid, lives := range v.news {
		if distinct := len(slices.Compact(slices.Clone(lives))); len(lives) > distinct || distinct > 1 && !v.durable {
			out = append(out, fmt.Sprintf("%s: %s came %d times", v.name, guid, len(lives)))
		}
	}
	for life, convs := range v.again {
		sum := 0
		for conv, n := range convs {
			if sum += n; n > 1 {
				out = append(out, fmt.Sprintf("%s: %d messages of conversation %d came again in life %d", v.name, n, conv, life))
			}
		}
		if sum > 2*parallel {
			out = append(out, fmt.Sprintf("%s: %d messages came again in life %d", v.name, sum, life))
		}
	}
	return out
}

// repeats counts what came again after deaths.
func (v *view) repeats() (n int) {
	for _, convs := range v.again {
		for _, k := range convs {
			n += k
		}
	}
	return n
}

// stored is what the server has of one message.
type stored struct {
	rows  int
	first int64 // the lowest id
	live  bool  // that row is not deleted
}

// rows reads what the server has, by guid. s.mu is held.
func (s *story) rows() map[string]*stored {
	out := map[string]*stored{}
	for _, conv := range s.convs {
		for _, row := range s.srv.Rows(conv) { // ascending by id
			guid, _ := row.Data["guid"].(string)
			if out[guid] == nil {
				out[guid] = &stored{first: row.ID, live: row.DeletedAt == nil}
			}
			out[guid].rows++
		}
	}
	return out
}

// network is how often the network itself has delivered inserts.
func (s *story) network() map[string]int {
	all := map[string]int{}
	for _, net := range s.nets {
		for guid, n := range net.Doubled() {
			all[guid] += n
		}
	}
	return all
}

// missing says what has not arrived yet.
func (s *story) missing() (out []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rows, network := s.rows(), s.network()
	for _, m := range s.sents {
		row := rows[m.guid]
		if row == nil {
			out = append(out, m.guid+" is not stored")
			continue
		}
		if m.deleted && row.live && network[m.guid] == 0 {
			out = append(out, m.guid+" was deleted, and is there")
		}
		for _, v := range s.views {
			v.mu.Lock()
			body, has := v.live[row.first]
			switch {
			case row.live && len(v.news[m.guid]) == 0:
				out = append(out, v.name+": "+m.guid+" did not come")
			case network[m.guid] > 0 || m.open: // which of two rows was changed is not asked
			case row.live && body != m.body:
				out = append(out, fmt.Sprintf("%s: %s came with %q at last, not %q", v.name, m.guid, body, m.body))
			case !row.live && has:
				out = append(out, v.name+": "+m.guid+" was deleted, and that did not come")
			}
			v.mu.Unlock()
		}
	}
	return out
}

// settle waits until everything has arrived, and a little longer.
func (s *story) settle() {
	s.wait(func() bool { return len(s.missing()) == 0 })
	time.Sleep(2 * time.Second)
}

// wait waits for a condition, for as long as all may take to settle.
func (s *story) wait(ok func() bool) {
	for until := time.Now().Add(*settles); time.Now().Before(until) && !ok(); {
		time.Sleep(200 * time.Millisecond)
	}
}

// result is what became of a seed.
type result struct {
	seed                    uint64
	lasts, took             time.Duration
	messages, requests      int
	faults                  map[string]int
	kills, stops, repeats   int
	network                 int // inserts that the network doubled
	lost, doubled, inverted []string
	other                   []string
	events                  []storm.Event
}

func (s *story) judge(began time.Time) *result {
	r := &result{seed: s.seed, lasts: s.lasts, took: time.Since(began), faults: map[string]int{}}
	if s.srv == nil {
		return r
	}
	r.lost = s.missing()
	s.mu.Lock()
	defer s.mu.Unlock()
	r.messages, r.kills, r.stops = len(s.sents), s.kills, s.stops
	rows, network := s.rows(), s.network()
	for _, n := range network {
		r.network += n
	}
	last := map[int64]*sent{}
	for _, m := range s.sents {
		row := rows[m.guid]
		if row == nil {
			continue
		}
		if row.rows > 1+network[m.guid] {
			r.doubled = append(r.doubled, fmt.Sprintf("%s is stored %d times, and the network doubled it %d times", m.guid, row.rows, network[m.guid]))
		}
		if m.by != "jane" {
			continue
		}
		if before := last[m.conv]; before != nil && row.first < rows[before.guid].first {
			r.inverted = append(r.inverted, fmt.Sprintf("%s was accepted after %s, and stored before it", m.guid, before.guid))
		}
		last[m.conv] = m
	}
	for _, v := range s.views {
		v.mu.Lock()
		r.doubled = append(r.doubled, v.doubled()...)
		r.inverted = append(r.inverted, v.inverted...)
		r.repeats += v.repeats()
		v.mu.Unlock()
	}
	for _, net := range s.nets {
		faults, requests := net.Counts()
		for name, n := range faults {
			r.faults[name] += n
		}
		r.requests += requests
		r.events = append(r.events, net.Events()...)
	}
	slices.SortFunc(r.events, func(a, b storm.Event) int { return a.At.Compare(b.At) })
	return r
}

func (r *result) failed() bool { return len(r.lost)+len(r.doubled)+len(r.inverted)+len(r.other) > 0 }

func (r *result) add(o *result) {
	r.lasts, r.took = max(r.lasts, o.lasts), max(r.took, o.took)
	r.messages, r.requests, r.network = r.messages+o.messages, r.requests+o.requests, r.network+o.network
	r.kills, r.stops, r.repeats = r.kills+o.kills, r.stops+o.stops, r.repeats+o.repeats
	r.lost, r.doubled, r.inverted = append(r.lost, o.lost...), append(r.doubled, o.doubled...), append(r.inverted, o.inverted...)
	r.other = append(r.other, o.other...)
	for name, n := range o.faults {
		r.faults[name] += n
	}
}

func (r *result) String() string {
	sum := 0
	for n := range maps.Values(r.faults) {
		sum += n
	}
	return fmt.Sprintf("seed %d, %v: %d requests, %d faults of %d kinds, %d messages, %d kills and %d stops with %d messages handled again, %d inserts doubled by the network; %d lost, %d doubled, %d inverted, %d other failures; %v in all",
		r.seed, r.lasts, r.requests, sum, len(r.faults), r.messages, r.kills, r.stops, r.repeats, r.network,
		len(r.lost), len(r.doubled), len(r.inverted), len(r.other), r.took.Round(time.Second/10))
}

// story tells what happened, within limits.
func (r *result) story() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v\nto play it again: go test ./internal/storm -run TestStorm -storm.seed %d -storm.for %v\n", r, r.seed, r.lasts)
	for _, list := range []struct {
		name  string
		lines []string
	}{{"lost", r.lost}, {"doubled", r.doubled}, {"inverted", r.inverted}, {"otherwise", r.other}} {
		for i, line := range list.lines {
			if i == 20 {
				fmt.Fprintf(&b, "%s: and %d more\n", list.name, len(list.lines)-i)
				break
			}
			fmt.Fprintf(&b, "%s: %s\n", list.name, line)
		}
	}
	about := strings.Join(slices.Concat(r.lost, r.doubled, r.inverted, r.other), " ") + " "
	concerned := slices.DeleteFunc(slices.Clone(r.events), func(e storm.Event) bool { return e.GUID == "" || !strings.Contains(about, e.GUID+" ") })
	some := func(what string, events []storm.Event, most int) {
		fmt.Fprintf(&b, "%s:\n", what)
		for _, e := range events[max(0, len(events)-most):] {
			fmt.Fprintln(&b, " ", e)
		}
	}
	some("what happened to their requests", concerned, 60)
	some("the last of all faults", r.events, 60)
	return b.String()
}
