package chat

import (
	"context"
	"math/rand/v2"
	"time"
)

// pause waits one to two times as long as has passed since began: at least 40 ms and
// less than 2 s.
func pause(ctx context.Context, began time.Time) error {
	wait := min(max(time.Since(began), 40*time.Millisecond), time.Second)
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
