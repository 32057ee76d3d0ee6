package hub

import (
	"context"
	"sync"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/fleet"
	"github.com/fliplet/fliplet-chat-go/internal/fleet/ask"
)

// trouble is what the requests of a hub have met since the last one that was answered.
type trouble struct {
	mu    sync.Mutex
	since time.Time // the first failure; zero: the last request was answered
	told  error     // what the desks are told; nil: nothing
	over  bool      // told is final
	rows  bool      // a request for rows has failed, so that the list of conversations says nothing
	asks  sync.Mutex
}

const (
	// down is how long requests have to fail until those who listen are told.
	down = 10 * time.Second
	// overWait is the wait between requests while none can succeed.
	overWait = time.Minute
)

// Ask makes a request of the fleet, and tells the desks when requests fail for long, when no
// later one can succeed, and when they are answered again.
func (h *Hub) Ask(ctx context.Context, r fleet.Request) (fleet.Answer, error) {
	a, err := h.source.Ask(ctx, r)
	if err != nil && ask.Aside(r, err) {
		return a, err // it says nothing about the others
	}
	if ctx.Err() == nil && r.Kind != fleet.Audit && h.met(ctx, r.Kind, err) {
		h.pokeAll()
	}
	return a, err
}

// met notes what a request has met. It reports whether desks are to be told something else.
func (h *Hub) met(ctx context.Context, kind fleet.Kind, err error) (changed bool) {
	t := &h.trouble
	t.mu.Lock()
	over := t.over
	t.mu.Unlock()
	var final error
	if err != nil && !over && h.cfg.Final != nil && t.asks.TryLock() { // one goroutine finds out
		final = h.cfg.Final(ctx, err)
		t.asks.Unlock()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rows = t.rows || err != nil && kind != fleet.List
	switch {
	case err == nil && kind == fleet.List && t.rows && !t.over:
	case err == nil:
		changed = t.told != nil
		t.since, t.told, t.over, t.rows = time.Time{}, nil, false, false
	case final != nil:
		changed = !t.over
		t.told, t.over = final, true
	case t.since.IsZero():
		t.since = time.Now()
	case !t.over && time.Since(t.since) >= down:
		changed = t.told == nil
		t.told = err
	}
	return changed
}

// judge says what a failure means for the fleet.
func (h *Hub) judge(err error) fleet.Failure {
	h.trouble.mu.Lock()
	defer h.trouble.mu.Unlock()
	if h.trouble.over {
		return fleet.Failure{Wait: overWait}
	}
	return ask.Judge(err)
}

func (h *Hub) pokeAll() {
	for _, d := range h.everyDesk() {
		d.to.Poke()
	}
}

// everyDesk are the desks that have been entered.
func (h *Hub) everyDesk() (all []*Desk) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, desks := range h.desks {
		for d := range desks {
			all = append(all, d)
		}
	}
	return all
}

// Down is why nothing comes: the requests that are made for all fail, since 10 s, or for good.
// nil: they do not. It makes no request.
func (d *Desk) Down() error { return d.h.Err() }
