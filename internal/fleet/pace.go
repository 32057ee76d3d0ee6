package fleet

import (
	"math"
	"time"
)

// leastTrust is that in bells of which none has proved true lately: one that does must not
// wait for the sweep.
const leastTrust = 0.25

const (
	// doubts is how many bells of a conversation in a row bring nothing until they are doubted.
	doubts = 2
	// bellWait is how long what was rung waits at most, if the budget allows.
	bellWait = 400 * time.Millisecond
	// doubtedRate is how many live reads in a second there are at least while somebody rings
	// whose bells are doubted: they may be true again.
	doubtedRate = 0.8
	// steady is how many live reads in a second bells are worth where they ring all the time:
	// more would bring each message a little earlier, and fewer messages in each read. After
	// a quiet time so many more are made at the rate of Config.Brisk.
	steady    = 1.4
	mostSpare = 20
)

// recent is how far back the pace looks.
const recent = 2 * time.Second

// pacer measures what reads bring.
type pacer struct {
	last  time.Time // of the last live read
	sum   float64   // hits, fading
	at    time.Time
	trust float64 // the share of bells that proved true, fading
	spare float64 // reads that were not made, at the steady rate
}

// took notes that a live read is made now, and what has been spared since the last one.
func (p *pacer) took(now time.Time) {
	p.spare, p.last = max(0, p.spared(now)-1), now
}

// spared is how many live reads were not made that the steady rate has room for.
func (p *pacer) spared(now time.Time) float64 {
	return min(mostSpare, p.spare+steady*max(0, now.Sub(p.last).Seconds()))
}

// bells is how many live reads in a second are worth it while something was rung.
func (p *pacer) bells(now time.Time, brisk float64) float64 {
	if p.spared(now) < 1 {
		brisk = min(brisk, steady)
	}
	return p.trust * brisk
}

// saw notes the read of a conversation.
func (p *pacer) saw(now time.Time, sign Reason, hit bool) {
	if hit {
		p.fade(now)
		p.sum++
	}
	if sign != Rung {
		return
	}
	const weight = 1. / 64
	p.trust *= 1 - weight
	if hit {
		p.trust += weight
	}
	p.trust = max(p.trust, leastTrust)
}

func (p *pacer) fade(now time.Time) {
	if d := now.Sub(p.at); d > 0 {
		p.sum *= math.Exp(-float64(d) / float64(recent))
		p.at = now
	}
}

// hits is in how many conversations a second something new was found.
func (p *pacer) hits(now time.Time) float64 {
	p.fade(now)
	return p.sum / recent.Seconds()
}
