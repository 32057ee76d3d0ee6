package handlebars

import (
	"context"
	"errors"
)

// What filling one template may cost, whatever a row holds.
const (
	maxOutput = 1 << 20 // bytes
	maxSteps  = 100_000 // see Budget
)

// The errors of a template that becomes too large or takes too long.
var (
	ErrTooLarge = errors.New("the template becomes larger than 1 MiB")
	ErrTooLong  = errors.New("the templates take too long to fill in")
)

// Budget is what several templates may cost together. A step is one look at a value, one
// round of a block or one piece of text, and every 64 bytes of it; each template has a bound
// of its own, too.
type Budget struct {
	Steps int
	Ctx   context.Context // ends the filling; nil does not
}

// stepsPerCheck is how many steps are between two looks at the context.
const stepsPerCheck = 1 << 10

// Spend takes steps away and says whether there were enough.
func (b *Budget) Spend(steps int) bool {
	if b.Steps -= steps; b.Steps < 0 {
		b.Steps = 0
		return false
	}
	return true
}

// Over says that nothing is left.
func (b *Budget) Over() bool { return b.Steps <= 0 }

// step counts steps of a template and of the budget. Once it has failed it always does.
func (r *renderer) step(n int) error {
	before := r.steps / stepsPerCheck
	r.steps += n
	switch b := r.budget; {
	case r.failed != nil:
	case r.steps > maxSteps, b != nil && !b.Spend(n):
		r.failed = ErrTooLong
	case b != nil && b.Ctx != nil && r.steps/stepsPerCheck != before && b.Ctx.Err() != nil:
		r.failed = b.Ctx.Err()
	}
	return r.failed
}
