package receive

import (
	"context"
	"errors"
	"fmt"
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

// position is the stored position of a consumer. It has two parts, each with a key:
// the base, and what was acknowledged since; see [feed.Cursor].
type position struct {
	store storage.Store
	key   string
	name  string
	log   *slog.Logger

	base, acked []byte // as stored, nil for absent
	generation  uint64
}

func (p *position) cursor() feed.Cursor {
	return feed.Cursor{Base: p.base, Acked: p.acked, Generation: p.generation}
}

// load reads the stored position.
func (p *position) load(ctx context.Context) error {
	for name, into := range map[string]*[]byte{"/base": &p.base, "/acked": &p.acked} {
		v, err := p.store.Get(ctx, p.key+name)
		if errors.Is(err, storage.ErrNotFound) {
			v, err = nil, nil
		}
		if err != nil {
			return fmt.Errorf("storage: %w", err)
		}
		*into = v
	}
	return nil
}

// save stores a position, first the base, then what was acknowledged since. It
// retries until it succeeds, or until grace has passed after the end of ctx.
func (p *position) save(ctx context.Context, c feed.Cursor) error {
	if c.Base == nil {
		return nil
	}
	if c.Generation != p.generation || p.base == nil {
		if err := p.swap(ctx, "/base", &p.base, c.Base); err != nil {
			return err
		}
		p.generation = c.Generation
	}
	return p.swap(ctx, "/acked", &p.acked, c.Acked)
}

// swap replaces a stored value. If another process changed it, the lease is lost.
func (p *position) swap(ctx context.Context, name string, old *[]byte, new []byte) error {
	within, cancel := outlive(ctx, grace)
	defer cancel()
	for backoff := 10 * time.Millisecond; ; backoff = min(2*backoff, time.Second) {
		ok, err := p.try(within, name, *old, new)
		switch {
		case err == nil && ok:
			*old = new
			return nil
		case err == nil:
			return claim.ErrLost
		}
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
