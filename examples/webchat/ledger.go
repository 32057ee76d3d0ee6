package main

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// ledger compares what people have sent with what the pages have shown. Pages report both,
// past the network whose faults are tried.
type ledger struct {
	mu    sync.Mutex
	pages map[string]*page
	lines map[line]*sentLine
	byID  map[string]*sent // by GUID
	took  []latency        // the newest
	// of messages that are settled and forgotten
	sentBefore, shownBefore int
	twice, disorder         int
}

// line is what has an order: what one page has sent to one conversation.
type line struct {
	page         string
	conversation int64
}

type sentLine struct{ messages []*sent }

// sent is one message that somebody has sent.
type sent struct {
	guid, as     string
	line         line
	at           int64
	dropped      bool
	arrived      time.Time // at the ledger
	expected     map[string]bool
	conversation int64
}

// page is one page that is open, or was.
type page struct {
	as      string
	seq     int
	seen    time.Time
	gone    bool
	watches map[int64]bool
	shown   map[string]showing // by GUID
	next    int                // of arrivals
	twice   int
}

type showing struct {
	times, order int
	live         bool
	at           int64
}

// report is what a page tells. seq counts the reports of a page, so that one that is
// repeated is taken once.
type report struct {
	Page   string  `json:"page"`
	As     string  `json:"as"`
	Seq    int     `json:"seq"`
	Events []event `json:"events"`
}

type event struct {
	Kind          string  `json:"kind"`
	GUID          string  `json:"guid"`
	Conversation  int64   `json:"conversation"`
	Conversations []int64 `json:"conversations"`
	From          string  `json:"from"`
	ID            int64   `json:"id"`
	Live          bool    `json:"live"`
	At            int64   `json:"at"` // ms by the page's clock
}

// latency is how long a message took from the key that was pressed to another page.
type latency struct {
	As string `json:"as"`
	MS int64  `json:"ms"`
}

// counters are what the drawer shows.
type counters struct {
	Sent     int `json:"sent"`
	Shown    int `json:"shown"`
	OnTheWay int `json:"onTheWay"`
	Lost     int `json:"lost"`
	Twice    int `json:"twice"`
	Disorder int `json:"disorder"`
}

const (
	mostPages     = 64
	mostLatencies = 240
	// away is how long a page may be silent: one that crashed says no goodbye.
	away = 90 * time.Second
	// longest is how long a message may be on its way before it counts as lost.
	longest = 3 * time.Minute
	// kept is how many messages of a line are compared; older ones that are settled are added up.
	keptMessages = 400
)

func newLedger() *ledger {
	return &ledger{pages: map[string]*page{}, lines: map[line]*sentLine{}, byID: map[string]*sent{}, took: []latency{}}
}

// take adds a report.
func (l *ledger) take(r report, now time.Time) error {
	if r.Page == "" || len(r.Page) > 64 || len(r.As) > 200 || len(r.Events) > 5000 {
		return errors.New("page: give the page's id, and at most 5000 events")
	}
	for i, e := range r.Events {
		if len(e.GUID) > 200 || len(e.Conversations) > 5000 {
			return fmt.Errorf("events[%d]: too long", i)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.pages[r.Page]
	if p == nil {
		if err := l.makeRoom(); err != nil {
			return err
		}
		p = &page{as: r.As, watches: map[int64]bool{}, shown: map[string]showing{}}
		l.pages[r.Page] = p
	}
	p.seen = now
	if r.Seq < p.seq {
		return nil // it was taken; the answer got lost
	}
	p.seq = r.Seq + 1
	p.gone = false
	for _, e := range r.Events {
		l.event(r.Page, p, e, now)
	}
	return nil
}

// makeRoom forgets a page that is gone when there are too many.
func (l *ledger) makeRoom() error {
	if len(l.pages) < mostPages {
		return nil
	}
	for id, p := range l.pages {
		if p.gone {
			l.twice += p.twice
			for _, s := range l.lines {
				l.disorder += s.disorder(p)
			}
			delete(l.pages, id)
			return nil
		}
	}
	return errors.New("page: too many are open")
}

func (l *ledger) event(id string, p *page, e event, now time.Time) {
	switch e.Kind {
	case "watches":
		p.watches = map[int64]bool{}
		for _, c := range e.Conversations {
			p.watches[c] = true
		}
	case "bye":
		p.gone = true
	case "dropped":
		if s := l.byID[e.GUID]; s != nil {
			s.dropped = true
		}
	case "sent":
		if l.byID[e.GUID] != nil {
			return
		}
		key := line{id, e.Conversation}
		s := &sent{guid: e.GUID, as: p.as, line: key, at: e.At, arrived: now, conversation: e.Conversation, expected: map[string]bool{}}
		for other, o := range l.pages {
			if !l.absent(o, now) && o.watches[e.Conversation] {
				s.expected[other] = true
			}
			if had, ok := o.shown[e.GUID]; ok {
				l.arrived(other, o, s, had)
			}
		}
		if l.lines[key] == nil {
			l.lines[key] = &sentLine{}
		}
		l.byID[e.GUID] = s
		l.lines[key].messages = append(l.lines[key].messages, s)
		l.settle(l.lines[key], now)
	case "shown":
		had, again := p.shown[e.GUID]
		if again {
			had.times++
			p.twice++
		} else {
			p.next++
			had = showing{times: 1, order: p.next, live: e.Live, at: e.At}
			if s := l.byID[e.GUID]; s != nil {
				l.arrived(id, p, s, had)
			}
		}
		p.shown[e.GUID] = had
	}
}

// arrived keeps how long it took to a page that was there: one that is opened later shows
// what was sent long before.
func (l *ledger) arrived(id string, p *page, s *sent, had showing) {
	if p.as == s.as || !s.expected[id] {
		return
	}
	l.took = append(l.took, latency{p.as, max(0, had.at-s.at)})
	if n := len(l.took) - mostLatencies; n > 0 {
		l.took = slices.Delete(l.took, 0, n)
	}
}

func (l *ledger) absent(p *page, now time.Time) bool { return p.gone || now.Sub(p.seen) > away }

// disorder is how many messages of a line a page has shown after one that was sent later.
func (s *sentLine) disorder(p *page) (n int) {
	newest := 0
	for _, m := range s.messages {
		had, ok := p.shown[m.guid]
		if !ok || !had.live {
			continue
		}
		if had.order < newest {
			n++
		}
		newest = max(newest, had.order)
	}
	return n
}

// read compares.
func (l *ledger) read(now time.Time) (counters, []latency) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := counters{Sent: l.sentBefore, Shown: l.shownBefore, Twice: l.twice, Disorder: l.disorder}
	for _, p := range l.pages {
		c.Twice += p.twice
	}
	for _, s := range l.lines {
		c.Sent += len(s.messages)
		for _, p := range l.pages {
			c.Disorder += s.disorder(p)
		}
		for id := range l.pages {
			overtaken := false // by one of the same line, seen from the newest
			for _, m := range slices.Backward(s.messages) {
				_, shown := l.pages[id].shown[m.guid]
				switch {
				case shown:
					overtaken = true
					c.Shown++
				case m.dropped || !m.expected[id] || l.absent(l.pages[id], now):
				case overtaken || now.Sub(m.arrived) > longest:
					c.Lost++
				default:
					c.OnTheWay++
				}
			}
		}
	}
	return c, slices.Clone(l.took)
}

// settle adds up the oldest messages of a long line that every page has shown.
func (l *ledger) settle(s *sentLine, now time.Time) {
	if len(s.messages) < 2*keptMessages {
		return
	}
	n := 0
	for ; n < keptMessages; n++ {
		m := s.messages[n]
		for id := range m.expected {
			if p := l.pages[id]; p != nil && !l.absent(p, now) && !m.dropped {
				if _, ok := p.shown[m.guid]; !ok {
					return // it is still on its way
				}
			}
		}
	}
	for _, p := range l.pages {
		all := s.disorder(p)
		rest := &sentLine{messages: s.messages[n:]}
		l.disorder += all - rest.disorder(p)
		for _, m := range s.messages[:n] {
			if _, ok := p.shown[m.guid]; ok {
				l.shownBefore++
			}
		}
	}
	for _, m := range s.messages[:n] {
		delete(l.byID, m.guid)
	}
	l.sentBefore += n
	s.messages = slices.Clone(s.messages[n:])
}
