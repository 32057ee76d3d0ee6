package fleet

import "time"

// singles is the strategy for a server with neither joins nor queries across: one request
// for each conversation that the list shows to have changed.
type singles struct {
	lister
	sweep time.Duration
}

// NewSingle returns the strategy that reads each conversation by itself.
func NewSingle() Strategy {
	return &singles{lister: lister{every: listEach, users: time.Minute}, sweep: time.Hour}
}

func (*singles) Name() string { return "single" }
func (s *singles) Pace() Pace { return Pace{Sweep: s.sweep, Share: 0.5, Requests: -1} }

func (*singles) Plan(now time.Time, v *View) (Request, bool) { return v.Read(now) }
