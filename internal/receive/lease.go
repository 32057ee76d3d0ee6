package receive

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/fliplet/fliplet-chat-go/storage"
)

// A lease keeps two consumers of one name from receiving at once. Its holder beats;
// whoever waits takes it when it has not beaten for leaseTTL by the waiter's own
// clock, so clocks need not agree.
const (
	leaseTTL  = 20 * time.Second
	leaseBeat = 5 * time.Second
	leasePoll = time.Second
)

// errLeaseLost: another process holds the lease now.
var errLeaseLost = errors.New("another process took over")

// processID tells this process from others that used the same store.
var processID = sync.OnceValue(uuid.NewString)

type leaseRecord struct {
	Owner   string `json:"owner"`
	Process string `json:"process"`
	Beat    uint64 `json:"beat"`
}

type lease struct {
	store  storage.Store
	key    string
	record leaseRecord

	mu   sync.Mutex
	held []byte // as stored
}

// acquire waits for the lease.
func acquire(ctx context.Context, store storage.Store, key string) (*lease, error) {
	l := &lease{store: store, key: key, record: leaseRecord{Owner: uuid.NewString(), Process: processID()}}
	var seen []byte
	var since time.Time
	for {
		now, err := store.Get(ctx, key)
		if errors.Is(err, storage.ErrNotFound) {
			now, err = nil, nil
		}
		if err != nil {
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			return nil, fmt.Errorf("storage: %w", err)
		}
		if string(now) != string(seen) || since.IsZero() {
			seen, since = now, time.Now()
		}
		if now == nil || l.orphaned(now) || time.Since(since) >= leaseTTL {
			ok, err := l.beat(ctx, now)
			if err != nil {
				return nil, err
			}
			if ok {
				return l, nil
			}
			continue
		}
		if err := sleep(ctx, leasePoll); err != nil {
			return nil, err
		}
	}
}

// orphaned reports whether the holder is certainly gone: the store belongs to one
// process at a time, and the holder was another one.
func (l *lease) orphaned(now []byte) bool {
	one, ok := l.store.(storage.Exclusive)
	if !ok || !one.Exclusive() {
		return false
	}
	var r leaseRecord
	return json.Unmarshal(now, &r) != nil || r.Process != processID()
}

// beat writes the lease over what is stored.
func (l *lease) beat(ctx context.Context, old []byte) (bool, error) {
	l.record.Beat++
	b, err := json.Marshal(l.record)
	if err != nil {
		return false, err
	}
	ok, err := l.store.CompareAndSwap(ctx, l.key, old, b)
	if err != nil {
		return false, fmt.Errorf("storage: %w", err)
	}
	if ok {
		l.held = b
	}
	return ok, nil
}

// Keep beats until the returned function is called, and ends ctx with errLeaseLost
// when the lease is another's.
func (l *lease) Keep(ctx context.Context, cancel context.CancelCauseFunc) (stop func()) {
	ctx, end := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		for sleep(ctx, leaseBeat) == nil {
			l.mu.Lock()
			ok, err := l.beat(ctx, l.held)
			l.mu.Unlock()
			if err == nil && !ok {
				cancel(errLeaseLost)
				return
			}
		}
	})
	return func() {
		end()
		wg.Wait()
	}
}

// Release gives the lease back, so that the next one need not wait.
func (l *lease) Release() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = l.store.CompareAndSwap(ctx, l.key, l.held, nil) // lost already, or it runs out
}
