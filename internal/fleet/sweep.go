package fleet

import "time"

// sweeps is the strategy that trusts in nothing: it looks at all conversations, as fast
// as the budget allows. The list is read only for those that are new.
type sweeps struct {
	byJoins
	lister
}

// NewSweep returns the strategy without an index.
func NewSweep() Strategy { return &sweeps{lister: lister{every: time.Minute, users: time.Minute}} }

func (*sweeps) Name() string { return "sweep" }
func (*sweeps) Pace() Pace   { return Pace{Sweep: 5 * time.Second, Share: 1} }
