package chat

import (
	"context"
	"math/rand/v2"
	"time"
)

// shortestPause is what a pause lasts at least. Examples, which run on real time,
// shorten it.
var shortestPause = 40 * time.Millisecond

// pause waits one to two times as long as has passed since began: at least
// shortestPause and less than 2 s.
func pause(ctx context.Context, began time.Time) error {
	wait := min(max(time.Since(began), shortestPause), time.Second)
	return sleep(ctx, wait+rand.N(wait))
}

// sleep waits for d, or until the context ends.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
