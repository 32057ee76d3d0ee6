package fleet

import "time"

// singles is the strategy for a server with neither joins nor queries across: one request
// for each conversation that the list shows to have changed.
type singles struct{ lister }

// NewSingle returns the strategy that reads each conversation by itself.
func NewSingle() Strategy {
	return &singles{lister: lister{every: 4 * time.Second, users: time.Minute}}
}

func (*singles) Name() string { return "single" }
func (*singles) Pace() Pace   { return Pace{Sweep: time.Hour, Share: 0.5, Requests: -1} }

func (*singles) Plan(now time.Time, v *View) (Request, bool) { return v.Read(now) }
