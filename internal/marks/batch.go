package marks

import (
	"context"
	"sync"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/life"
)

// Batcher merges the marks of many users. It starts a goroutine for a conversation while there
// is something to mark in it. It is safe for concurrent use.
type Batcher struct {
	Store Store
	Life  *life.Life
	// Window is how long a mark waits for others.
	Window time.Duration
	// Shared reports whether an error would meet each of several marks by itself, too.
	// Otherwise they are stored one by one after it, so that nobody gets the error of another one.
	Shared func(error) bool
	// Closed is what marks fail with when Life is over.
	Closed error

	mu    sync.Mutex
	rooms map[int64][]*job // that wait; there is one as long as its goroutine runs
}

// most is how many messages are marked in one request.
const most = 500

// job is a mark that waits.
type job struct {
	mark Mark
	over chan struct{} // closed when the rest is set
	// Readers and err are the result.
	readers map[int64][]string
	err     error

	gone  bool   // nobody waits for it any more
	leave func() // tells the batch; nil before
}

// Mark is [Store.Mark] for one user, together with what others mark meanwhile. An error is the
// caller's own, or one that all of them have. After one of ctx the mark may be stored all the
// same.
func (b *Batcher) Mark(ctx context.Context, conversation int64, user string, ids []int64) (map[int64][]string, error) {
	j := &job{mark: Mark{user, ids}, over: make(chan struct{})}
	b.mu.Lock()
	waiting, runs := b.rooms[conversation]
	if !runs && !b.Life.Go(func() { b.run(b.Life.Context(), conversation) }) {
		b.mu.Unlock()
		return nil, b.Closed
	}
	if b.rooms == nil {
		b.rooms = map[int64][]*job{}
	}
	b.rooms[conversation] = append(waiting, j)
	b.mu.Unlock()
	select {
	case <-j.over:
		return j.readers, j.err
	case <-ctx.Done():
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if j.gone = true; j.leave != nil {
		j.leave()
	}
	return nil, context.Cause(ctx)
}

// run stores the marks of a conversation until there are none.
func (b *Batcher) run(ctx context.Context, conversation int64) {
	timer := time.NewTimer(b.Window)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
		within, cancel := context.WithCancel(ctx)
		batch := b.take(conversation, cancel)
		if batch == nil {
			cancel()
			return
		}
		b.store(within, conversation, batch)
		cancel()
		timer.Reset(b.Window)
	}
}

// take takes the marks of the next batch; nil: there are none, and the caller has to end.
func (b *Batcher) take(conversation int64, cancel func()) (batch []*job) {
	b.mu.Lock()
	defer b.mu.Unlock()
	waiting := b.rooms[conversation]
	ids := 0
	for len(waiting) > 0 {
		j := waiting[0]
		if !j.gone {
			if ids += len(j.mark.IDs); len(batch) > 0 && ids > most {
				break
			}
			batch = append(batch, j)
		}
		waiting = waiting[1:]
	}
	if b.rooms[conversation] = waiting; batch == nil {
		delete(b.rooms, conversation)
	}
	left := len(batch)
	for _, j := range batch {
		j.leave = func() {
			if left--; left == 0 {
				cancel() // nobody wants it any more
			}
		}
	}
	return batch
}

// store stores the marks of a batch, together or else one by one.
func (b *Batcher) store(ctx context.Context, conversation int64, batch []*job) {
	all := make([]Mark, len(batch))
	for i, j := range batch {
		all[i] = j.mark
	}
	readers, err := b.Store.Mark(ctx, conversation, all...)
	alone := err != nil && len(batch) > 1 && ctx.Err() == nil && !b.Shared(err)
	for _, j := range batch {
		if alone {
			readers, err = b.Store.Mark(ctx, conversation, j.mark)
		}
		if err != nil && ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		j.readers, j.err = readers, err
		close(j.over)
	}
}
