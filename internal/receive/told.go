package receive

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/internal/wait"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// Told is which deletions a consumer was told of, in its Store beside the position. A position
// knows that of the last seconds only. Whoever looks for deletions that are older than a position,
// since nobody had found them when it was stored, needs it to tell none twice.
//
// Each takes a key of its own, so that transactions that run at the same time do not meet.
type Told struct {
	Store storage.Store
	Key   string // that of the position
}

func (t *Told) of(row int64) string { return t.prefix() + strconv.FormatInt(row, 10) }
func (t *Told) prefix() string      { return t.Key + "/deleted/" }

// Begin begins a search for deletions that were not told, and returns since when they have to be
// looked for: earliest, unless what was told is noted from a later time on only, as from now when
// nothing was noted so far, or a search from an earlier time has not ended.
func (t *Told) Begin(ctx context.Context, now, earliest feed.Time) (since feed.Time, err error) {
	noted, some, err := t.time(ctx, "/deletions")
	if err == nil && !some {
		noted, err = now, t.Store.Set(ctx, t.Key+"/deletions", number(now))
	}
	if err != nil {
		return 0, err
	}
	before, some, err := t.time(ctx, "/search")
	if err != nil {
		return 0, err
	}
	if some {
		earliest = min(earliest, before)
	}
	since = max(noted, earliest)
	return since, t.Store.Set(ctx, t.Key+"/search", number(since))
}

// time reads a time. A value that is none counts as none.
func (t *Told) time(ctx context.Context, name string) (at feed.Time, some bool, err error) {
	v, err := t.Store.Get(ctx, t.Key+name)
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return 0, false, err
	}
	n, bad := strconv.ParseInt(string(v), 10, 64)
	return feed.Time(n), bad == nil, nil
}

func number(t feed.Time) []byte { return strconv.AppendInt(nil, int64(t), 10) }

// Has reports whether the deletion of a row was told.
func (t *Told) Has(ctx context.Context, row int64) (bool, error) {
	_, err := t.Store.Get(ctx, t.of(row))
	if errors.Is(err, storage.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// End ends a search. What was told before a time is forgotten in a Store that lists its keys.
func (t *Told) End(ctx context.Context, before feed.Time) error {
	if list, ok := t.Store.(storage.Lister); ok {
		for key, err := range list.List(ctx, t.prefix()) {
			if err != nil {
				return err
			}
			at, some, err := t.time(ctx, strings.TrimPrefix(key, t.Key))
			if err == nil && (!some || at < before) {
				err = t.Store.Delete(ctx, key)
			}
			if err != nil {
				return err
			}
		}
	}
	return t.Store.Delete(ctx, t.Key+"/search")
}

// forgetTold says that what is told from now on is not noted.
func (p *position) forgetTold(ctx context.Context) error {
	noted, err := p.get(ctx, "/deletions")
	if err != nil || noted == nil {
		return err
	}
	within, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	if err := p.store.Delete(within, p.key+"/deletions"); err != nil {
		return failed(err)
	}
	return nil
}

// note notes the deletions among events, through a Store or its transaction.
func (c *Consumer) note(ctx context.Context, store storage.Store, events []tried) error {
	if c.Begins == nil {
		return nil
	}
	t := Told{Store: store, Key: c.Key}
	for i := range events {
		if row := &events[i].Row; events[i].Deleted {
			if err := store.Set(ctx, t.of(row.ID), number(row.Updated)); err != nil {
				return failed(err)
			}
		}
	}
	return nil
}

// noted notes the deletions among events that were handled outside of a transaction. A Store that
// fails is asked again until ctx ends; then they are told again after a restart.
func (d *dispatcher) noted(ctx context.Context, t *turn) {
	for backoff := 10 * time.Millisecond; ; backoff = min(2*backoff, mostStoreBackoff) {
		within, cancel := context.WithTimeout(ctx, grace)
		err := d.note(within, d.Store, t.events)
		cancel()
		if err == nil || ctx.Err() != nil {
			return
		}
		d.told(err)
		if wait.Sleep(ctx, backoff) != nil {
			return
		}
	}
}
