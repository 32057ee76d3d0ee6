package datasource

import (
	"context"
	"math/rand/v2"
	"time"
)

// wait returns how long to wait before the next attempt, when attempt attempts have failed. named is the wait that the
// server asked for, 0 if it asked for none. Half of any other wait is random, so that clients which failed together do
// not come back together. A named wait up to MaxWait is never shortened; up to a tenth of it is added for the same reason.
func (p RetryPolicy) wait(attempt int, named time.Duration) time.Duration {
	if named > 0 {
		named = min(named, p.MaxWait)
		return min(named+rand.N(named/10+1), p.MaxWait)
	}
	d := p.BaseDelay
	for range attempt - 1 {
		if d >= p.MaxDelay {
			break
		}
		d *= 2
	}
	d = min(d, p.MaxDelay)
	return d - rand.N(d/2+1)
}

// sleep waits for d, or returns false at once when ctx ends or would end before that.
func sleep(ctx context.Context, d time.Duration) bool {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < d {
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
