package receive

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
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
	// small is how large a base is that is replaced rather than sealed.
	small = 4096
)

// position is the stored position of a consumer: a base, and a log of what was
// acknowledged since; see [feed.Commit]. The log is kept under numbered keys. Each value
// begins with a hash of the base that it belongs to, so those of an earlier base are not
// read, and are replaced one after the other.
//
// Everything is written with compare-and-swap, so that a process that was suspended, and
// does not know that another one has taken over, writes over nothing of the other's. If
// the base is small the other one has begun with a new base. If not, it has begun with a
// new value of the log; that is where the end of the log has to be sealed before a large
// base is replaced. Whoever finds a sealed log begins with a new base.
type position struct {
	store storage.Store
	key   string
	name  string
	log   *slog.Logger

	base  []byte   // as stored, nil for absent
	old   []byte   // what was acknowledged, in positions of earlier programs
	slots [][]byte // the values of the log as stored, as far as they are known
	used  int      // how many of them belong to base

	ours   bool // this process has written something
	sealed bool // the last value of the log is empty
}

// whole reports whether the next commit has to be a base.
func (p *position) whole() bool { return p.sealed || !p.ours && len(p.base) <= small }

// load reads the stored position.
func (p *position) load(ctx context.Context) (feed.Stored, error) {
	var err error
	if p.base, err = p.get(ctx, "/base"); err != nil || p.base == nil {
		return feed.Stored{}, err
	}
	s := feed.Stored{Base: p.base}
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
		p.sealed = len(v) == len(head)
		s.Log = append(s.Log, v[len(head):])
	}
}

func slot(n int) string { return fmt.Sprintf("/log/%d", n) }

// head is what values of the log begin with.
func (p *position) head() []byte {
	h := fnv.New64a()
	h.Write(p.base) //nolint:errcheck // never returns an error
	return binary.LittleEndian.AppendUint64(nil, h.Sum64())
}

func (p *position) get(ctx context.Context, name string) ([]byte, error) {
	v, err := p.store.Get(ctx, p.key+name)
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("storage: %w", err)
	}
	return v, nil
}

// save stores a commit. It retries until it succeeds, or until grace has passed after
// the end of ctx.
func (p *position) save(ctx context.Context, c feed.Commit) error {
	if c.Base != nil {
		if len(p.base) > small && !p.sealed {
			if err := p.begin(ctx, nil); err != nil {
				return err
			}
			p.sealed = true
		}
		if err := p.swap(ctx, "/base", &p.base, c.Base); err != nil {
			return err
		}
		p.used, p.ours, p.sealed = 0, true, false
		if p.old != nil {
			return p.swap(ctx, "/acked", &p.old, nil)
		}
		return nil
	}
	if p.ours && p.used > 0 {
		if last := &p.slots[p.used-1]; len(*last)+len(c.Log) <= segment {
			return p.swap(ctx, slot(p.used-1), last, bytes.Join([][]byte{*last, c.Log}, nil))
		}
	}
	return p.begin(ctx, c.Log)
}

// begin begins the next value of the log. What is there may be of an earlier base, also
// what a process has just added to that base that does not know of this one.
func (p *position) begin(ctx context.Context, log []byte) error {
	within, cancel := outlive(ctx, grace)
	defer cancel()
	head := p.head()
	if p.used == len(p.slots) {
		p.slots = append(p.slots, nil)
	}
	for {
		err := p.swap(ctx, slot(p.used), &p.slots[p.used], append(head, log...))
		if err == nil {
			p.used++
			p.ours = true
		}
		if !errors.Is(err, claim.ErrLost) {
			return err
		}
		v, failed := p.get(within, slot(p.used))
		if failed != nil {
			return failed
		}
		if v == nil || bytes.HasPrefix(v, head) || bytes.Equal(v, p.slots[p.used]) {
			return err
		}
		p.slots[p.used] = v
	}
}

// swap replaces a stored value. If another process changed it, the lease is lost.
func (p *position) swap(ctx context.Context, name string, old *[]byte, new []byte) error {
	within, cancel := outlive(ctx, grace)
	defer cancel()
	var failed bool
	for backoff := 10 * time.Millisecond; ; backoff = min(2*backoff, time.Second) {
		ok, err := p.try(within, name, *old, new)
		if err == nil && !ok && failed {
			// A write that failed may have happened.
			var now []byte
			now, err = p.get(within, name)
			ok = err == nil && bytes.Equal(now, new)
		}
		switch {
		case err == nil && ok:
			*old = new
			return nil
		case err == nil:
			return claim.ErrLost
		}
		failed = true
		if within.Err() == nil {
			p.log.Warn("storing a consumer's position failed", "name", p.name, "error", err)
		}
		if wait.Sleep(within, backoff) != nil {
			return fmt.Errorf("storage: %w", err)
		}
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
