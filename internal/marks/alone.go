package marks

import (
	"context"
	"sync"
)

// turns are the conversations whose lists of readers somebody in this process is about to
// replace, by client.
var turns = struct {
	mu sync.Mutex
	of map[turn]*place
}{of: map[turn]*place{}}

type turn struct {
	client       any
	conversation int64
}

type place struct {
	taken chan struct{}
	users int
}

// Alone lets the stores that share a client replace the lists of a conversation one after the
// other. Their requests wait for slots of one limit, for so long that no pause would do. The
// client has to be the key of a map.
func Alone(client any) func(ctx context.Context, conversation int64) (done func(), err error) {
	return func(ctx context.Context, conversation int64) (func(), error) {
		at := turn{client, conversation}
		turns.mu.Lock()
		p := turns.of[at]
		if p == nil {
			p = &place{taken: make(chan struct{}, 1)}
			turns.of[at] = p
		}
		p.users++
		turns.mu.Unlock()
		leave := func() {
			turns.mu.Lock()
			defer turns.mu.Unlock()
			if p.users--; p.users == 0 {
				delete(turns.of, at)
			}
		}
		select {
		case p.taken <- struct{}{}:
			return func() { <-p.taken; leave() }, nil
		case <-ctx.Done():
			leave()
			return nil, context.Cause(ctx)
		}
	}
}
