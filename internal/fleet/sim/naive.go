package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"time"
)

// naive is what the same app costs with a poller for each user, which is what there was
// before: each polls 2 s after something has come, and after up to 20 s while nothing does.
// All share the limit, in the order in which they ask.
type naive struct {
	queue
	opt     *Options
	rnd     *rand.Rand
	world   *world
	waiting []func() // for a slot
	starts  []time.Time
	timer   bool
	unread  [][]time.Time // of each user, when it was written
	wait    []time.Duration
	polls   int
	delays  histogram
	sends   histogram
}

// playNaive plays for a while, with a limit or without one.
func playNaive(opt Options, limited bool) *naive {
	n := &naive{opt: &opt, rnd: rand.New(rand.NewPCG(opt.Seed, 1)), unread: make([][]time.Time, opt.Users), wait: make([]time.Duration, opt.Users)}
	if !limited {
		opt.Limit = 0
	}
	n.now = epoch
	n.world = newWorld(&opt, n.rnd)
	for u := range opt.Users {
		n.wait[u] = 2 * time.Second
		n.in(time.Duration(n.rnd.Int64N(int64(2*time.Second))), func() { n.poll(int32(u)) })
	}
	n.every(opt.Rate, func() { n.say(n.world.pick()) })
	n.every(opt.Sends, func() {
		asked, conv := n.now, n.world.pick()
		n.ask(func() { n.sends.add(n.now.Sub(asked) + 100*time.Millisecond); n.say(conv) })
	})
	n.until(epoch.Add(opt.For))
	for _, unread := range n.unread { // what is still to come is at least as late
		for _, at := range unread {
			n.delays.add(n.now.Sub(at))
		}
	}
	return n
}

func (n *naive) every(rate float64, do func()) {
	if rate > 0 {
		n.in(time.Duration(n.rnd.ExpFloat64()/rate*float64(time.Second)), func() { do(); n.every(rate, do) })
	}
}

func (n *naive) say(conv int32) {
	for _, u := range n.world.convs[conv].users {
		n.unread[u] = append(n.unread[u], n.now)
	}
}

func (n *naive) poll(u int32) {
	n.ask(func() {
		n.polls++
		n.in(200*time.Millisecond, func() {
			n.wait[u] = min(n.wait[u]*3/2, 20*time.Second)
			for _, at := range n.unread[u] {
				n.delays.add(n.now.Sub(at))
				n.wait[u] = 2 * time.Second
			}
			n.unread[u] = n.unread[u][:0]
			n.in(n.wait[u], func() { n.poll(u) })
		})
	})
}

// ask waits for a slot.
func (n *naive) ask(do func()) {
	n.waiting = append(n.waiting, do)
	n.serve()
}

func (n *naive) serve() {
	for len(n.waiting) > 0 {
		for len(n.starts) > 0 && n.now.Sub(n.starts[0]) >= n.opt.Per {
			n.starts = n.starts[1:]
		}
		if n.opt.Limit > 0 && len(n.starts) >= n.opt.Limit {
			if !n.timer {
				n.timer = true
				n.when(n.starts[0].Add(n.opt.Per), func() { n.timer = false; n.serve() })
			}
			return
		}
		if n.opt.Limit > 0 {
			n.starts = append(n.starts, n.now)
		}
		do := n.waiting[0]
		n.waiting = n.waiting[1:]
		do()
	}
}

// reportNaive prints both.
func reportNaive(out io.Writer, opt Options) {
	opt.For = min(opt.For, 20*time.Minute)
	free, held := playNaive(opt, false), playNaive(opt, true)
	seconds := opt.For.Seconds()
	fmt.Fprintf(out, "%-34s %.0f requests in 10 s without a limit of %d; p95 %s\n", "a poller for each user", 10*float64(free.polls)/seconds, opt.Limit, round(free.delays.at(.95)))
	fmt.Fprintf(out, "%-34s delivery p50, p95 %s, %s; sends p50, p99 %s, %s\n", "  under the limit, in "+opt.For.String(), round(held.delays.at(.5)), round(held.delays.at(.95)), round(held.sends.at(.5)), round(held.sends.at(.99)))
}
