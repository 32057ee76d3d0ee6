package fleet

import "time"

// bells is the strategy whose index is [Fleet.Ring]: the web hooks of conversations. The list
// is read for new conversations, and for what was changed without a hook.
type bells struct {
	byJoins
	lister
}

// NewBells returns the strategy for an app whose conversations have hooks that ring.
func NewBells() Strategy { return &bells{lister: lister{every: 15 * time.Second, users: time.Minute}} }

func (*bells) Name() string { return "bell" }
func (*bells) Pace() Pace   { return Pace{Sweep: time.Minute, Share: 0.25} }
