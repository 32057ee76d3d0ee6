package fleet

import "time"

// listTimes is the strategy whose index is the times of change in the list of conversations.
// That they move with their rows is not documented, so all are swept, too.
type listTimes struct {
	byJoins
	lister
}

// NewListTimes returns the strategy that reads the list every few seconds.
func NewListTimes() Strategy {
	return &listTimes{lister: lister{every: listEach, users: time.Minute}}
}

func (*listTimes) Name() string { return "list" }
func (*listTimes) Pace() Pace   { return Pace{Sweep: time.Minute, Share: 0.25} }
