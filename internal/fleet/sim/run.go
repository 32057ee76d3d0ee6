package main

import (
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/budget"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/internal/fleet"
)

// Options are what a run is about.
type Options struct {
	Strategy                  string
	Seed                      uint64
	Users, Conversations, Bot int
	Rate, Sends, Edits        float64 // messages of others and of the process in a second; changes per message
	Deletes                   float64 // deletions per message
	Bursts                    int     // conversations that get Burst messages in 20 s
	Burst                     int
	Joins                     int // users who join a conversation within ten seconds
	Blocked                   int // listeners that take nothing for three minutes
	For                       time.Duration
	Limit                     int
	Per                       time.Duration
	Outage                    time.Duration // how long the server is down, Outages times
	Outages                   int
	Archive                   bool // one listener to everything, none for the users
	BellsLost, BellsDoubled   float64
	BellsForged               float64 // for each true one
	Flood                     float64 // forged bells in a second
	FloodOne                  bool    // in one conversation
	AuditLag                  time.Duration
	Stuck                     bool // the times in the list do not move
	Contents                  int  // entries whose content the log keeps
	Failing                   float64
	Behind                    float64 // share of reads that are so far behind
	Lag                       time.Duration
	Back, Stand               time.Duration // of the server's clock, in the middle
	Strangers                 int           // requests of another process that shares the limit, in 10 s
	Refuse                    time.Duration // how long joins and the audit log are refused, and half as long queries across
}

// errDown is why a request of the fleet fails.
var (
	errDown    = errors.New("the server is down")
	errRefused = errors.New("refused")
)

// listener is somebody who gets messages.
type listener struct {
	number  int32
	user    int32
	archive bool
	inbox   *fleet.Inbox
	engine  *feed.Feed
	id      feed.ID
	blocked time.Time
	waiting bool // for the server
	joining map[int64]bool
}

// convs are those of which the listener has to get everything.
func (l *listener) convs(w *world) []int32 {
	if !l.archive {
		return w.of[l.user]
	}
	all := make([]int32, len(w.convs))
	for i := range all {
		all[i] = int32(i)
	}
	return all
}

// run is a fleet that plays.
type run struct {
	queue
	opt       *Options
	fault     fault
	rnd       *rand.Rand
	world     *world
	oracle    *oracle
	budget    *budget.Budget[string, start]
	log       *fleet.Log
	fleet     *fleet.Fleet
	listeners []*listener
	byUser    map[int32]*listener
	asked     [8]bool // classes of the fleet with a ticket
	wakes     time.Time
	kinds     map[string]int
	sends     histogram
	after     histogram // of sends in the minute after an outage
	failed    int
	bells     int
	byArchive *listener
}

// strategies are those that can be chosen.
var strategies = map[string]func() fleet.Strategy{
	"sweep": fleet.NewSweep, "list": fleet.NewListTimes, "bell": fleet.NewBells,
	"audit": fleet.NewAudit, "cover": fleet.NewCover, "across": fleet.NewAcross, "single": fleet.NewSingle,
	"choose": func() fleet.Strategy {
		return fleet.NewChooser(fleet.Ways{Audit: true, Times: true, Joins: true, Across: true})
	},
}

// refuses reports whether the server refuses a request: in the second quarter of the run and on,
// for a while.
func (r *run) refuses(q *fleet.Request) bool {
	at := r.now.Sub(epoch) - r.opt.For/4
	switch q.Kind {
	case fleet.Audit:
		return at >= 0 && at < r.opt.Refuse
	case fleet.Look:
		return len(q.Conversations) > 1 && at >= 0 && at < r.opt.Refuse
	case fleet.Across:
		return at >= r.opt.Refuse/2 && at < r.opt.Refuse
	}
	return false
}

func newRun(opt Options, broken fault) *run {
	r := &run{opt: &opt, fault: broken, rnd: rand.New(rand.NewPCG(opt.Seed, 1)), byUser: map[int32]*listener{}, kinds: map[string]int{}}
	r.now = epoch
	r.world = newWorld(&opt, r.rnd)
	r.budget = budget.New[string, start](budget.Config{N: opt.Limit, Per: opt.Per, Held: true})
	r.log = fleet.NewLog(fleet.LogConfig{Contents: opt.Contents})
	cfg := fleet.Config{Since: stamp(epoch), Rate: 0.6 * float64(opt.Limit) / opt.Per.Seconds()}
	strategy := strategies[opt.Strategy]()
	switch broken {
	case noOverlap:
		cfg.Overlap = 1
	case noCollecting:
		cfg.Collect = 1
	case noSweep:
		strategy = &unswept{Strategy: strategy}
	}
	r.fleet = fleet.New(cfg, strategy, r.log)
	r.listen()
	r.oracle = newOracle(r.world, len(r.listeners))
	return r
}

// listen makes the listeners.
func (r *run) listen() {
	if r.opt.Archive {
		l := &listener{archive: true, inbox: fleet.NewArchive(r.log, stamp(epoch))}
		r.byArchive = l
		r.begin(l)
		return
	}
	for u := range r.opt.Users {
		mine := make([]int64, len(r.world.of[u]))
		for i, c := range r.world.of[u] {
			mine[i] = int64(c) + 1
		}
		l := &listener{user: int32(u), inbox: fleet.NewInbox(r.log, stamp(epoch), mine)}
		r.byUser[l.user] = l
		r.begin(l)
	}
}

func (r *run) begin(l *listener) {
	l.number = int32(len(r.listeners))
	l.engine = feed.New(r.fault.engine(r.rnd.Int64N))
	l.id = l.engine.Subscribe(r.now, feed.FromNow)
	r.listeners = append(r.listeners, l)
}

// play runs to the end, and a while longer without anything new.
func (r *run) play() {
	for _, l := range r.listeners {
		r.drain(l)
	}
	r.every(r.opt.Rate, func() { r.others(r.world.pick()) })
	r.every(r.opt.Sends, func() { r.send(r.now) })
	r.every(r.opt.Flood, func() {
		conv := victim
		if !r.opt.FloodOne {
			conv = int32(r.rnd.IntN(len(r.world.convs)))
		}
		r.bells++
		r.fleet.Ring(r.now, int64(conv)+1)
		r.step()
	})
	if r.opt.FloodOne {
		r.every(1, func() { r.others(victim) })
	}
	for i := range r.opt.Bursts {
		r.when(epoch.Add(r.opt.For*time.Duration(i+1)/time.Duration(r.opt.Bursts+1)), r.burst)
	}
	for i := range r.opt.Joins {
		at := epoch.Add(r.opt.For / 3).Add(time.Duration(r.rnd.Int64N(int64(10 * time.Second))))
		r.when(at, func() { r.join(i%2 == 0) })
	}
	for range r.opt.Blocked {
		at := epoch.Add(time.Duration(r.rnd.Int64N(int64(r.opt.For/2) + 1)))
		r.when(at, func() { r.block(r.listeners[r.rnd.IntN(len(r.listeners))]) })
	}
	if r.fault == noPosition {
		r.when(epoch.Add(r.opt.For/2), func() { r.restart(r.listeners[0]) })
	}
	r.strangers()
	r.step()
	end := epoch.Add(r.opt.For)
	r.until(end)
	r.opt.Rate, r.opt.Sends, r.opt.Flood = 0, 0, 0
	// What is not there in time may still come.
	for range 10 {
		r.until(r.now.Add(3 * time.Minute))
		if r.oracle.judge(r.now, r.listeners); r.oracle.Lost+r.oracle.Stale == 0 {
			return
		}
	}
}

// every lets something happen so often in a second on average, while the run lasts.
func (r *run) every(rate float64, do func()) {
	if rate <= 0 {
		return
	}
	wait := time.Duration(r.rnd.ExpFloat64() / rate * float64(time.Second))
	r.in(wait, func() {
		if r.now.Sub(epoch) >= r.opt.For {
			return
		}
		do()
		r.every(rate, do)
	})
}

// others lets somebody elsewhere write a message, who may change it later.
func (r *run) others(conv int32) {
	row := r.world.say(r.now, conv)
	r.rings(conv)
	switch x := r.rnd.Float64(); {
	case x < r.opt.Edits:
		r.in(time.Duration(r.rnd.Int64N(int64(time.Minute))), func() { r.change(row, false) })
	case x < r.opt.Edits+r.opt.Deletes:
		r.in(time.Duration(r.rnd.Int64N(int64(time.Minute))), func() { r.change(row, true) })
	}
}

func (r *run) change(row int32, deleted bool) {
	if r.world.change(r.now, row, deleted) && !deleted {
		r.rings(r.world.rows[row].conv)
	}
}

func (r *run) burst() {
	conv := r.world.pick()
	for range r.opt.Burst {
		r.in(time.Duration(r.rnd.Int64N(int64(20*time.Second))), func() { r.others(conv) })
	}
}

// rings lets the hook of a conversation ring, somehow.
func (r *run) rings(conv int32) {
	if r.opt.Strategy != "bell" {
		return
	}
	ring := func(conv int32) {
		r.in(50*time.Millisecond+time.Duration(r.rnd.Int64N(int64(350*time.Millisecond))), func() {
			r.bells++
			r.fleet.Ring(r.now, int64(conv)+1)
			r.step()
		})
	}
	if r.rnd.Float64() >= r.opt.BellsLost {
		ring(conv)
		if r.rnd.Float64() < r.opt.BellsDoubled {
			ring(conv)
		}
	}
	for n := r.opt.BellsForged; r.rnd.Float64() < n; n-- {
		ring(int32(r.rnd.IntN(len(r.world.convs))))
	}
}

// block lets a listener take nothing for a while.
func (r *run) block(l *listener) {
	l.blocked = r.now.Add(3 * time.Minute)
	r.when(l.blocked, func() { r.drain(l) })
	r.in(30*time.Second, func() { l.engine.Park(l.id, func(payload any) any { return payload }) })
}

// join lets a user into a conversation: by a call of this process, or somebody else's.
func (r *run) join(own bool) {
	u, c := int32(r.rnd.IntN(r.opt.Users)), int32(r.rnd.IntN(len(r.world.convs)))
	conv := &r.world.convs[c]
	if slices.Contains(conv.users, u) || r.opt.Archive {
		return
	}
	conv.users = append(slices.Clone(conv.users), u)
	slices.Sort(conv.users)
	if conv.joined == nil {
		conv.joined = map[int32]feed.Time{}
	}
	conv.joined[u], conv.changed = stamp(r.now), stamp(r.now)
	r.world.of[u] = append(r.world.of[u], c)
	if own {
		r.fleet.Join(int64(c)+1, u)
		r.joined(r.byUser[u])
	}
}

// joined tells a listener that its conversations are others.
func (r *run) joined(l *listener) {
	if l == nil {
		return
	}
	for _, id := range r.fleet.Conversations(l.user) {
		if !l.inbox.Has(id) && !l.joining[id] {
			if l.joining == nil {
				l.joining = map[int64]bool{}
			}
			l.joining[id] = true
			r.oracle.noticed[[2]int32{l.number, int32(id - 1)}] = stamp(r.now)
			r.history(l, id)
		}
	}
}

// members are the conversations of a listener.
func (r *run) members(l *listener) []feed.Member {
	var out []feed.Member
	for _, c := range l.convs(r.world) {
		conv := &r.world.convs[c]
		if !l.joining[int64(c)+1] && l.inbox.Has(int64(c)+1) {
			out = append(out, feed.Member{Conversation: int64(c) + 1, Created: conv.created, Changed: conv.joined[l.user]})
		}
	}
	return out
}

// restart makes a listener's engine anew, without what it knew.
func (r *run) restart(l *listener) {
	l.inbox = fleet.NewInbox(r.log, stamp(epoch), l.inbox.Conversations())
	l.engine = feed.New(r.fault.engine(r.rnd.Int64N))
	l.id = l.engine.Subscribe(r.now, feed.FromBeginning)
	r.drain(l)
}

// drain gives a listener what the log has for it.
func (r *run) drain(l *listener) {
	if l.waiting {
		return
	}
	l.engine.Poke(r.now)
	for {
		for l.engine.Pending(l.id) > 0 && r.now.Compare(l.blocked) >= 0 {
			e, _ := l.engine.Take(l.id)
			r.oracle.deliver(r.now, l.number, &e)
			l.engine.Ack(l.id)
		}
		a := l.engine.Next(r.now)
		switch {
		case a.Query.Kind == feed.Members:
			l.engine.Members(r.now, r.members(l))
			continue
		case a.Query.Kind == 0:
			return
		}
		r.fleet.Tick(r.now)
		p := l.inbox.Answer(a.Query)
		switch {
		case p.Elsewhere || p.Lost:
			r.elsewhere(l, a.Query)
			return
		case len(p.Without) > 0:
			r.contents(l, p)
			return
		}
		if r.fault == serverTimes {
			for i := range p.Rows {
				if v, ok := p.Rows[i].Payload.(*wver); ok {
					p.Rows[i].Updated = v.updated
				}
			}
		}
		l.engine.Page(r.now, p.Rows, p.Clock)
		if p.More {
			r.in(time.Microsecond, func() { r.drain(l) }) // no two polls begin at one moment
		}
	}
}
