package main

import (
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/internal/fleet"
)

// fault is something that is done wrong, to see whether the oracle notices.
type fault int

const (
	none         fault = iota
	noOverlap          // what becomes visible late is not waited for
	noCollecting       // pages go into the log one by one
	noSweep            // only the index says what is read
	serverTimes        // listeners get the server's times in place of the log's stamps
	shortLooks         // the server leaves out a row and says that there are no more
	lostPages          // of a page that is not the last one only the last row comes
	pastDeleted        // a page ends with a deleted row from beyond it
	earlySlots         // a slot is free before its request has reached the server
	noPosition         // a listener begins again without its position
	oneFloor           // what a listener forgets of one conversation it takes for old in all
)

// engine is the configuration of a listener's engine.
func (f fault) engine(draw func(int64) int64) feed.Config {
	cfg := fleet.EngineConfig(feed.Config{Draw: draw})
	if f == oneFloor {
		cfg.Apart, cfg.Remember = 0, 20
	}
	return cfg
}

// answer breaks an answer.
func (f fault) answer(q *fleet.Request, a *fleet.Answer) {
	switch {
	case f == lostPages && q.Kind == fleet.Read && a.Full:
		a.Rows = a.Rows[len(a.Rows)-1:]
	case f == pastDeleted && q.Kind == fleet.Read && a.Full:
		a.Last = a.Rows[len(a.Rows)-1].UpdatedKey()
	case f == shortLooks && q.Kind == fleet.Look:
		// The oldest row of those that are as many as were asked for is gone, so there seem to
		// be no more.
		had := map[int64]int{}
		kept := a.Rows[:0]
		limit := map[int64]int{}
		for i, c := range q.Conversations {
			limit[c] = q.Limits[i]
		}
		for _, row := range a.Rows {
			if had[row.Conversation]++; had[row.Conversation] < limit[row.Conversation] {
				kept = append(kept, row)
			}
		}
		a.Rows = kept
	}
}

// unswept is a strategy that trusts in its signs.
type unswept struct {
	fleet.Strategy
	listed bool
}

func (*unswept) Pace() fleet.Pace { return fleet.Pace{Sweep: 1000 * time.Hour, Share: 1} }

func (s *unswept) Index(now time.Time) (fleet.Request, time.Time) {
	if s.listed {
		return fleet.Request{}, now
	}
	return s.Strategy.Index(now)
}

func (s *unswept) Indexed(now time.Time, r fleet.Request, a fleet.Answer, err error, v *fleet.View) {
	s.listed = s.listed || err == nil
	s.Strategy.Indexed(now, r, a, err, v)
}
