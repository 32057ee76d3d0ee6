package main

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/budget"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/internal/fleet"
)

// own are the classes in which the fleet asks by itself.
var own = []budget.Class{budget.Live, budget.Index, budget.Backfill}

// step lets everything begin that may.
func (r *run) step() {
	var next time.Time
	sooner := func(at time.Time) {
		if !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	for {
		for _, class := range own {
			if r.asked[class] {
				continue
			}
			at := r.fleet.Due(r.now, class)
			if at.IsZero() || at.After(r.now) {
				sooner(at)
				continue
			}
			r.asked[class] = true
			r.line(class, "", func(t *ticket) {
				r.asked[class] = false
				if q, ok := r.fleet.Next(r.now, class); ok {
					r.ask(t, q)
				} else {
					r.budget.Unused(t)
				}
			})
		}
		t, at, ok := r.budget.Next(r.now)
		if !ok {
			sooner(at)
			break
		}
		t.Value(t)
	}
	if next.IsZero() || !r.wakes.IsZero() && !next.Before(r.wakes) && r.wakes.After(r.now) {
		return
	}
	r.wakes = next
	r.when(next, func() {
		if r.wakes.Equal(r.now) {
			r.wakes = time.Time{}
			r.step()
		}
	})
}

// ticket is a request that waits, with what it does when it may start.
type ticket = budget.Ticket[string, start]

type start func(*ticket)

// line queues a request.
func (r *run) line(class budget.Class, user string, do start) {
	r.budget.Ask(r.now, user, class, true, do)
}

// way is how long a request or an answer is under way.
func (r *run) way(slow bool) time.Duration {
	d := 20 + 40*r.rnd.ExpFloat64()
	if slow {
		d += 100 + 60*r.rnd.ExpFloat64()
	}
	return time.Duration(d * float64(time.Millisecond))
}

// request makes a request of any kind: serve at the server, then done, or failed.
func (r *run) request(t *ticket, kind string, slow bool, serve, done func(), failed func(wait time.Duration)) {
	if r.now.Sub(epoch) < r.opt.For {
		r.kinds[kind]++
	}
	begun := r.now
	if r.fault == earlySlots {
		r.budget.Ended(r.now, t)
	}
	r.in(r.way(false), func() {
		until, ok := r.world.admit(r.now)
		down := r.world.down(r.now)
		if ok && !down {
			serve()
		}
		r.in(r.way(slow), func() {
			if r.fault != earlySlots {
				r.budget.Ended(r.now, t)
			}
			switch {
			case !ok:
				r.budget.Refused(r.now, until)
				failed(until.Sub(r.now))
			case down:
				r.budget.Unanswered(r.now)
				failed(0)
			default:
				r.budget.Answered(r.now, begun)
				r.fleet.Awake()
				done()
			}
			r.step()
		})
	})
}

// ask makes a request of the fleet.
func (r *run) ask(t *ticket, q fleet.Request) {
	var a fleet.Answer
	refused := false
	kind := q.Kind.String()
	if q.Class == budget.Backfill {
		kind = "deletions"
	}
	r.request(t, kind, q.Kind == fleet.Look || q.Kind == fleet.List, func() {
		if refused = r.refuses(&q); !refused {
			a = r.world.seen(r.now, &q)
		}
	}, func() {
		if refused {
			r.failed++
			r.fleet.Fail(r.now, q, fleet.Failure{Refused: true}, errRefused)
			return
		}
		r.fault.answer(&q, &a)
		touched := r.fleet.Take(r.now, q, a)
		seen := map[int32]bool{}
		if r.byArchive != nil && len(touched) > 0 {
			r.drain(r.byArchive)
			touched = nil
		}
		for _, c := range touched {
			for _, u := range r.fleet.Users(c) {
				if l := r.byUser[u]; l != nil && !seen[u] {
					seen[u] = true
					r.drain(l)
				}
			}
		}
		for _, u := range slices.Sorted(maps.Keys(r.fleet.Moved())) {
			r.joined(r.byUser[u])
		}
	}, func(wait time.Duration) {
		r.failed++
		r.fleet.Fail(r.now, q, fleet.Failure{Wait: wait}, errDown)
	})
}

// send sends a message of the process's own.
func (r *run) send(asked time.Time) {
	u := int32(r.rnd.IntN(r.opt.Users))
	if len(r.world.of[u]) == 0 {
		return
	}
	r.sendTo(asked, u, r.world.of[u][r.rnd.IntN(len(r.world.of[u]))])
}

func (r *run) sendTo(asked time.Time, u, conv int32) {
	r.line(budget.Sends, strconv.Itoa(int(u)), func(t *ticket) {
		r.request(t, "sends", false, func() {
			r.world.say(r.now, conv)
			r.rings(conv)
		}, func() {
			r.sends.add(r.now.Sub(asked))
			if r.world.afterOutage(asked) {
				r.after.add(r.now.Sub(asked))
			}
			r.fleet.Sent(r.now, int64(conv)+1)
		}, func(time.Duration) {
			r.in(2*time.Second, func() { r.sendTo(asked, u, conv) })
		})
	})
	r.step()
}

// history reads the newest page of a conversation that a user has joined.
func (r *run) history(l *listener, id int64) {
	var rows []feed.Row
	r.later(l, "histories", func() {
		rows = byCreation(r.world.newest(r.now, int32(id-1), 1<<30, nil), 200)
	}, func() {
		delete(l.joining, id)
		r.drain(l) // what is before the join is told by the last poll
		l.inbox.Joined(id, rows, r.fleet.Settled)
		l.engine.Joined(r.now)
		r.drain(l)
	})
}

// elsewhere asks the server what the log cannot answer.
func (r *run) elsewhere(l *listener, q feed.Query) {
	l.waiting = true
	var rows []feed.Row
	r.later(l, "histories", func() {
		if rows = rows[:0]; q.Conversation == 0 {
			for _, c := range l.convs(r.world) {
				rows = r.world.changes(r.now, c, q.After, q.Limit, rows)
			}
			slices.SortFunc(rows, byChange)
			rows = rows[:min(len(rows), q.Limit)]
			return
		}
		if conv := int32(q.Conversation - 1); q.Kind == feed.Newest {
			rows = byCreation(r.world.newest(r.now, conv, 1<<30, nil), q.Limit)
			return
		}
		for _, row := range r.world.changes(r.now, int32(q.Conversation-1), feed.Key{}, 0, nil) {
			if !row.Deleted && (feed.Key{Time: row.Created, ID: row.ID}).Compare(q.After) > 0 {
				rows = append(rows, row)
			}
		}
		sortCreated(rows)
		rows = rows[:min(len(rows), q.Limit)]
	}, func() {
		l.waiting = false
		n, clock := len(rows), feed.Clock{Earliest: r.log.Now(), Latest: r.log.Now()}
		if rows = l.inbox.Translate(rows, r.fleet.Settled); n >= q.Limit {
			l.engine.ShortPage(r.now, rows, clock, 0)
		} else {
			l.inbox.Caught()
			l.engine.Page(r.now, rows, clock)
		}
		r.drain(l)
	})
}

// later makes a request that nobody waits for, until it succeeds.
func (r *run) later(l *listener, kind string, serve, done func()) {
	r.line(budget.Backfill, strconv.Itoa(int(l.user)), func(t *ticket) {
		r.request(t, kind, false, serve, done, func(time.Duration) {
			r.in(5*time.Second, func() { r.later(l, kind, serve, done) })
		})
	})
	r.step()
}

// contents asks the server for what the log has forgotten.
func (r *run) contents(l *listener, p fleet.Page) {
	l.waiting = true
	r.later(l, "contents", func() {}, func() {
		if r.rnd.Float64() < r.opt.Failing {
			r.in(time.Second, func() { // the engine asks again, perhaps further back
				l.waiting = false
				r.drain(l)
			})
			return
		}
		for _, i := range p.Without {
			p.Rows[i].Payload = &r.world.vers[p.Rows[i].Hash-1]
		}
		l.waiting = false
		l.engine.Page(r.now, p.Rows, p.Clock)
		if p.More {
			r.in(time.Microsecond, func() { r.drain(l) })
		}
		r.drain(l)
	})
}

// strangers lets another process share the limit.
func (r *run) strangers() {
	if r.opt.Strangers > 0 {
		r.every(float64(r.opt.Strangers)/10, func() {
			if _, ok := r.world.admit(r.now); !ok {
				r.world.refused--
			}
		})
	}
}
