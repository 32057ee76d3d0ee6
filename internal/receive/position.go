package receive

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/claim"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/internal/wait"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// grace is how long a position may still be stored after its consumer has ended. A
// handled event whose position is not stored is delivered again.
const grace = 5 * time.Second

const (
	// segment is how many bytes are collected under one key before the next one is used.
	segment = 160
	// mostStoreBackoff bounds the wait before a Store that failed is asked again.
	mostStoreBackoff = 5 * time.Second
)

// storeError is what the Store said. The next attempt may succeed.
type storeError struct{ error }

func (e storeError) Unwrap() error { return e.error }

// failed makes an error of what the Store said. One that says that the values are not
// the consumer's own is not met again after a wait only.
func failed(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("no answer within %v: %w", grace, err)
	}
	err = fmt.Errorf("storage: %w", err)
	if errors.Is(err, storage.ErrWrongKey) || errors.Is(err, storage.ErrTampered) {
		return err
	}
	return storeError{err}
}

// position is the stored position of a consumer: a base, and a log of what was
// acknowledged since; see [feed.Commit]. The log is kept under numbered keys. Each value
// begins with a hash of the base that it belongs to, so those of an earlier base are not
// read, and are replaced one after the other.
//
// Who takes the position over closes it before anything is handled: first the value that
// the log ends with, then the next one, and then the base is replaced by one with another
// writer's name in it, and so with another hash. Everything is written with
// compare-and-swap. So a process that was suspended, and does not know that another one
// has taken over, finds that out with its first write, whatever that is, and what it wrote
// before was read by its successor.
type position struct {
	store storage.Store
	key   string
	told  func(error) // what the Store says, nil when it works; may be nil

	base  []byte   // as stored, nil for absent
	old   []byte   // what was acknowledged, in positions of earlier programs
	slots [][]byte // the values of the log as stored, as far as they are known
	used  int      // how many of them belong to base
	ours  bool     // the base is this process's

	pen    wait.Mutex // for whoever writes within a transaction; see transact
	unsure bool       // what is stored is not known
}

// take reads the stored position, and closes it to whoever wrote it.
func (p *position) take(ctx context.Context) (feed.Stored, error) {
	for {
		s, err := p.load(ctx)
		if err != nil || s.Base == nil {
			return s, err
		}
		if err = p.close(ctx); !errors.Is(err, claim.ErrLost) {
			return s, err
		}
		// Its writer has just added something.
		if ctx.Err() != nil {
			return s, context.Cause(ctx)
		}
	}
}

// load reads the stored position.
func (p *position) load(ctx context.Context) (feed.Stored, error) {
	s := feed.Stored{Writer: rand.Text()}
	p.slots, p.used = nil, 0
	var err error
	if p.base, err = p.get(ctx, "/base"); err != nil || p.base == nil {
		return s, err
	}
	s.Base = p.base
	if p.old, err = p.get(ctx, "/acked"); err != nil {
		return s, err
	}
	s.Acked = p.old
	for head := p.head(); ; p.used++ {
		v, err := p.get(ctx, slot(p.used))
		if err != nil {
			return s, err
		}
		p.slots = append(p.slots, v)
		if !bytes.HasPrefix(v, head) {
			return s, nil
		}
		if v = bytes.TrimSuffix(v[len(head):], closed(head)); len(v) > 0 {
			s.Log = append(s.Log, v)
		}
	}
}

// close sees to it that nobody adds to the log: to the last of its values, and in the
// one after it. The error is [claim.ErrLost] if somebody has.
func (p *position) close(ctx context.Context) error {
	head := p.head()
	if p.used > 0 {
		if last := &p.slots[p.used-1]; !bytes.HasSuffix(*last, closed(head)) {
			if err := p.swap(ctx, slot(p.used-1), last, bytes.Join([][]byte{*last, closed(head)}, nil)); err != nil {
				return err
			}
		}
	}
	return p.swap(ctx, slot(p.used), &p.slots[p.used], slices.Concat(head, closed(head)))
}

func slot(n int) string { return fmt.Sprintf("/log/%d", n) }

// head is what values of the log begin with.
func (p *position) head() []byte {
	h := fnv.New64a()
	h.Write(p.base) //nolint:errcheck // never returns an error
	return binary.LittleEndian.AppendUint64(nil, h.Sum64())
}

// closed is what a value of the log ends with that nothing is added to.
func closed(head []byte) []byte {
	out := bytes.Clone(head)
	for i := range out {
		out[i] = ^out[i]
	}
	return out
}

func (p *position) get(ctx context.Context, name string) ([]byte, error) {
	within, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	v, err := p.store.Get(within, p.key+name)
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return nil, nil
	case err != nil && ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil:
		return nil, failed(err)
	}
	return v, nil
}

// save stores a commit. It retries until it succeeds, or until grace has passed after
// the end of ctx.
func (p *position) save(ctx context.Context, c feed.Commit) error {
	if c.Base != nil {
		if err := p.swap(ctx, "/base", &p.base, c.Base); err != nil {
			return err
		}
		p.used, p.ours = 0, true
		if p.old != nil {
			return p.swap(ctx, "/acked", &p.old, nil)
		}
		return nil
	}
	if p.used > 0 {
		if last := &p.slots[p.used-1]; len(*last)+len(c.Log) <= segment {
			return p.swap(ctx, slot(p.used-1), last, bytes.Join([][]byte{*last, c.Log}, nil))
		}
	}
	return p.begin(ctx, c.Log)
}

// begin begins the next value of the log, in the place of one that belongs to an earlier
// base.
func (p *position) begin(ctx context.Context, log []byte) error {
	if p.used == len(p.slots) {
		v, err := p.stale(ctx, slot(p.used))
		if err != nil {
			return err
		}
		p.slots = append(p.slots, v)
	}
	err := p.swap(ctx, slot(p.used), &p.slots[p.used], append(p.head(), log...))
	if err == nil {
		p.used++
	}
	return err
}

// stale reads a value of the log that is not known yet. As long as the base is this
// process's it is no successor's: that one replaces the base before it adds to the log.
func (p *position) stale(ctx context.Context, name string) ([]byte, error) {
	within, cancel := outlive(ctx, grace)
	defer cancel()
	for backoff := 10 * time.Millisecond; ; backoff = min(2*backoff, mostStoreBackoff) {
		v, err := p.get(within, name)
		var base []byte
		if err == nil {
			base, err = p.get(within, "/base")
		}
		if err == nil && (!bytes.Equal(base, p.base) || bytes.HasPrefix(v, p.head())) {
			return nil, claim.ErrLost // or about to be: it was closed
		}
		if err == nil {
			return v, nil
		}
		if within.Err() == nil {
			p.tell(err)
		}
		if wait.Sleep(within, backoff) != nil {
			return nil, err
		}
	}
}

// swap replaces a stored value. If another process changed it, the lease is lost.
func (p *position) swap(ctx context.Context, name string, old *[]byte, new []byte) error {
	within, cancel := outlive(ctx, grace)
	defer cancel()
	var unsure bool
	for backoff := 10 * time.Millisecond; ; backoff = min(2*backoff, mostStoreBackoff) {
		ok, err := p.try(within, name, *old, new)
		if err == nil && !ok && unsure {
			// A write that failed may have happened.
			var now []byte
			now, err = p.get(within, name)
			ok = err == nil && bytes.Equal(now, new)
		}
		switch {
		case err == nil && ok:
			*old = new
			p.tell(nil)
			return nil
		case err == nil:
			return claim.ErrLost
		}
		unsure = true
		if within.Err() == nil {
			p.tell(failed(err))
		}
		if wait.Sleep(within, backoff) != nil {
			return failed(err)
		}
	}
}

// tell says how the Store does.
func (p *position) tell(err error) {
	if p.told != nil {
		p.told(err)
	}
}

// try makes one attempt, bounded in case the store hangs.
func (p *position) try(ctx context.Context, name string, old, new []byte) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	return p.store.CompareAndSwap(ctx, p.key+name, old, new)
}

// outlive returns a context that ends d after ctx has.
func outlive(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		t := time.AfterFunc(d, cancel)
		context.AfterFunc(longer, func() { t.Stop() })
	})
	return longer, func() { stop(); cancel() }
}
