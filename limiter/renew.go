package limiter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// run renews the share until ctx ends.
func (l *Limiter) run(ctx context.Context) {
	defer close(l.done)
	for {
		began := time.Now()
		within, cancel := context.WithTimeout(ctx, l.beat)
		err := l.renew(within, false)
		if err != nil && ctx.Err() == nil && errors.Is(within.Err(), context.DeadlineExceeded) {
			err = fmt.Errorf("the store has not answered within %s: %w", l.beat, err)
		}
		cancel()
		if ctx.Err() != nil {
			return
		}
		l.mu.Lock()
		l.met = err
		l.mu.Unlock()
		l.tell()
		// A quarter is random, so that replicas do not write at the same moment for ever.
		next, soon := l.beat*7/8+rand.N(l.beat/4+1), l.beat/2
		if _, _, waiting := l.window.Load(); waiting > 0 || err != nil && !errors.Is(err, ErrTooMany) {
			next = soon
		}
		if !l.pause(ctx, began.Add(next), began.Add(min(next, soon))) {
			return
		}
	}
}

// pause waits until the next renewal, which is sooner when there is less than is wanted. It is false when ctx has ended.
func (l *Limiter) pause(ctx context.Context, next, soon time.Time) bool {
	timer := time.NewTimer(time.Until(next))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	case <-l.short:
		timer.Reset(time.Until(soon))
	}
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// tries is how often a record is read again that others have changed meanwhile.
const tries = 10

// renew writes what this replica wants and holds, and takes the share that it finds. A replica that leaves gives it back.
func (l *Limiter) renew(ctx context.Context, leave bool) error {
	for range tries {
		ok, err := l.once(ctx, leave)
		if ok || err != nil {
			return err
		}
		pause := time.NewTimer(rand.N(20 * time.Millisecond))
		select {
		case <-ctx.Done():
			pause.Stop()
			return context.Cause(ctx)
		case <-pause.C:
		}
	}
	return errors.New("others have changed the record each time")
}

// once is one attempt; ok is false when somebody else has changed the record.
func (l *Limiter) once(ctx context.Context, leave bool) (ok bool, err error) {
	read := time.Now()
	raw, err := l.store.Get(ctx, l.key)
	if errors.Is(err, storage.ErrNotFound) {
		raw, err = nil, nil
	}
	if err != nil {
		return false, fmt.Errorf("storage: %w", err)
	}
	r, err := l.judge(raw, read)
	if err != nil {
		return false, err
	}
	me := r.member(l.id)
	if me == nil {
		if leave { // it has no share
			return true, nil
		}
		me = &member{ID: l.id}
		r.Members = append(r.Members, me)
	}
	used, _, waiting := l.window.Load()
	me.Want, me.Left = min(used+waiting, r.N), leave
	share := 0
	if !leave {
		share = min(r.share(l.id), r.room(l.id))
	}
	l.mu.Lock()
	if over(l.until, time.Now()) {
		l.share = 0
	}
	l.share = min(l.share, share) // more only when it is written, less before
	used = l.apply()
	own := l.own()
	l.mu.Unlock()
	l.beats++
	me.Beat, me.Hold = l.beats, min(max(share, used-own, 0), r.N)
	written, err := json.Marshal(r)
	if err != nil {
		return false, err
	}
	from := time.Now()
	ok, err = l.store.CompareAndSwap(ctx, l.key, raw, written)
	if err != nil {
		return false, fmt.Errorf("storage: %w", err)
	}
	if !ok || leave {
		return ok, nil
	}
	l.mu.Lock()
	l.share, l.until, l.alive = share, from.Add(l.valid), r.living()
	l.apply()
	l.mu.Unlock()
	l.watchdog.Reset(l.valid + time.Millisecond)
	if l.alive > l.replicas {
		return true, fmt.Errorf("%w: %d run, and it is %d", ErrTooMany, l.alive, l.replicas)
	}
	return true, nil
}

// judge reads the record, and removes those that are gone. read is before it was asked for: what is not seen to change
// counts from the end of one look to the beginning of another, since a process may be suspended in either.
func (l *Limiter) judge(raw []byte, read time.Time) (*record, error) {
	if raw == nil {
		return newRecord(l.settings), nil
	}
	r, err := decode(raw)
	if errors.Is(err, errDamaged) {
		return newRecord(l.settings), nil
	}
	if err != nil {
		return nil, err
	}
	now := time.Now()
	there := map[string]bool{}
	r.Members = slices.DeleteFunc(r.Members, func(m *member) bool {
		there[m.ID] = true
		s, known := l.seen[m.ID]
		if !known || s.beat != m.Beat || s.left != m.Left {
			s = sight{m.Beat, m.Left, now}
			l.seen[m.ID] = s
		}
		unseen := read.Sub(s.since)
		// A share ends after l.valid by the clock of its replica, and then its last window has to pass. What a lease has
		// beyond that is for clocks that run at another speed, and for the time until the last renewal, and its end, is seen. Those
		// that have left start nothing more.
		return m.ID != l.id && (unseen >= l.lease-l.beat*3/2 || m.Left && unseen >= l.per+l.per/10)
	})
	for id := range l.seen {
		if !there[id] {
			delete(l.seen, id)
		}
	}
	if theirs := (settings{r.N, r.Replicas, r.Fallback, r.Per}); theirs != l.settings {
		if len(r.Members) > 0 {
			return nil, fmt.Errorf("%w: %v here, %v there", ErrSettings, l.settings, theirs)
		}
		r = &record{Version: version, N: l.n, Per: l.per, Replicas: l.replicas, Fallback: l.fallback}
	}
	return r, nil
}

// own is the fallback, which begins a window after the process, since the one before it may have used it. All that has been
// started until then is of the share.
func (l *Limiter) own() int {
	if time.Since(l.born) < l.span {
		return 0
	}
	return l.fallback
}

// apply tells the window what this replica may start, and returns what it has started in the window that ends now. mu is
// held.
func (l *Limiter) apply() (used int) {
	fallback := l.own()
	return l.window.Resize(datasource.Capacity{
		N: l.share + fallback, Until: l.until, Then: fallback, Hope: l.n - (l.replicas-1)*l.fallback,
	})
}

// tell tells whoever wants to know when there is no share any more, and when there is one again.
func (l *Limiter) tell() {
	l.telling.Lock()
	defer l.telling.Unlock()
	l.mu.Lock()
	err := l.err()
	l.mu.Unlock()
	if errors.Is(err, ErrClosed) || (err == nil) == (l.told == nil) {
		return
	}
	if l.told = err; err != nil {
		l.opts.Logger.Warn("limiter: this replica has to do with less than its share", "fallback", l.fallback, "per", l.per)
	} else {
		l.opts.Logger.Info("limiter: this replica has a share again")
	}
	if l.opts.OnChange != nil {
		l.opts.OnChange(err)
	}
}
