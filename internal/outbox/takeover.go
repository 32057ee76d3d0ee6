package outbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/claim"
	"github.com/fliplet/fliplet-chat-go/internal/wait"
	"github.com/fliplet/fliplet-chat-go/storage"
)

const (
	// version1For is how long a claim of version 1 lasts that is not renewed.
	version1For = 30 * time.Second
	// tidyFor bounds the work on the Store that is left to do at the end.
	tidyFor = 2 * time.Second
)

// sighting is what was seen of a claim of version 1.
type sighting struct {
	beat    uint64
	since   time.Time
	renewed bool
}

// synced is what making the journal and the registry agree has brought.
type synced struct {
	adopted []segment      // to be loaded
	foreign []segment      // that others have
	rank    map[string]int // of each segment by age
}

// sync takes over the segments that nobody has, writes down which slots of ours are
// in use, and reserves new ones if wanted. changes is held.
func (j *journal) sync(ctx context.Context, reserve bool) (synced, error) {
	taken := map[string]*claim.Lease{} // of owners that are gone, for as long as this takes
	defer func() { j.release(ctx, taken) }()
	for range changeAttempts {
		old, reg, err := j.read(ctx)
		if err != nil {
			return synced{}, err
		}
		free, err := j.inspect(ctx, reg, taken)
		if err != nil {
			return synced{}, err
		}
		if reserve || len(free) > 0 || j.holding() {
			if err := j.hold(ctx); err != nil {
				return synced{}, err
			}
		}
		p, err := j.plan(reg, free, reserve)
		if err != nil {
			return synced{}, err
		}
		ok, err := j.write(ctx, old, reg, p.registry)
		if err != nil {
			return synced{}, err
		}
		if ok {
			return j.commit(p), nil
		}
	}
	return synced{}, errChanging
}

func (j *journal) release(ctx context.Context, taken map[string]*claim.Lease) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tidyFor)
	defer cancel()
	for _, lease := range taken {
		_ = lease.Release(ctx) // nobody has a segment by this name any more
	}
}

// inspect finds the segments whose owners are gone, and takes the claims of these
// owners. The values say which segments are settled.
func (j *journal) inspect(ctx context.Context, reg registry, taken map[string]*claim.Lease) (free map[string]bool, err error) {
	free = map[string]bool{}
	others, version1 := map[string]*claim.Claim{}, map[string]sighting{}
	for _, s := range reg.Segments {
		gone, settled := s.Owner == "", false
		switch {
		case gone, s.Owner == j.owner:
		case s.claimedByVersion1():
			version1[s.ID] = j.sight(&s)
			gone = j.deadInVersion1(version1[s.ID])
		default:
			if others[s.Owner] == nil {
				if others[s.Owner], err = j.watch(ctx, s.Owner, taken); err != nil {
					return nil, err
				}
			}
			lease := taken[s.Owner]
			gone, settled = lease != nil, lease != nil && lease.Late()
		}
		if gone {
			free[s.ID] = settled
		}
	}
	j.others, j.version1 = others, version1
	return free, nil
}

// watch looks at the claim of another owner, and takes it if it is free.
func (j *journal) watch(ctx context.Context, owner string, taken map[string]*claim.Lease) (*claim.Claim, error) {
	other := j.others[owner]
	if other == nil {
		other = j.claimOf(owner)
	}
	if taken[owner] != nil {
		return other, nil
	}
	lease, ok, err := other.TryAcquire(ctx)
	if ok {
		taken[owner] = lease
	}
	return other, err
}

// sight notes what is seen of a claim of version 1.
func (j *journal) sight(s *segment) sighting {
	before, known := j.version1[s.ID]
	if known && before.beat == s.Beat {
		return before
	}
	return sighting{beat: s.Beat, since: time.Now(), renewed: known}
}

func (j *journal) deadInVersion1(seen sighting) bool {
	if one, ok := j.store.(storage.Exclusive); ok && one.Exclusive() {
		return true // this process never wrote one
	}
	return time.Since(seen.since) >= version1For // whatever the clock of its process says
}

// maybeAbandoned reports whether a segment that another process has claimed may
// have been left behind by a crash: the claim was never seen renewed.
func (j *journal) maybeAbandoned(s segment) bool {
	if s.claimedByVersion1() {
		return !j.version1[s.ID].renewed
	}
	watch := j.others[s.Owner]
	return watch != nil && !watch.Renewed()
}

// plan is a change of the registry that is not made yet.
type plan struct {
	registry registry
	synced   synced
	own      string
	end      uint64
	reserved bool
}

// plan says what the registry should be.
func (j *journal) plan(reg registry, free map[string]bool, reserve bool) (plan, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	p := plan{own: j.own, end: j.end, reserved: reserve}
	ours := map[string]bool{}
	for _, s := range reg.Segments {
		u := j.held[s.ID]
		mine := j.owner != "" && s.Owner == j.owner
		settled, gone := free[s.ID]
		switch {
		case mine && u != nil:
			ours[s.ID] = true
			if len(u.used) == 0 && s.ID != j.own {
				continue // all sent
			}
			u.describe(&s)
			if s.ID == j.own {
				s.First, s.Next, s.Used = min(s.First, j.next), u.next, nil
			}
		case mine, gone:
			s.Owner, s.Beat, s.Until, s.settled = j.owner, 0, time.Time{}, settled
			p.synced.adopted = append(p.synced.adopted, s)
		default:
			p.synced.foreign = append(p.synced.foreign, s)
		}
		p.registry.Segments = append(p.registry.Segments, s)
	}
	for id := range j.held {
		if !ours[id] {
			return plan{}, errLost
		}
	}
	if !reserve {
		return p, nil
	}
	if p.own == "" {
		p.own, p.end = j.owner, 0
		p.registry.Segments = append(p.registry.Segments, segment{ID: p.own, Owner: j.owner})
	}
	if j.own == "" || j.next == j.end {
		p.end += slotBlock
	}
	for i := range p.registry.Segments {
		if s := &p.registry.Segments[i]; s.ID == p.own {
			s.Next = p.end
		}
	}
	return p, nil
}

// commit makes a plan that was written down the state of the journal.
func (j *journal) commit(p plan) synced {
	j.mu.Lock()
	defer j.mu.Unlock()
	held := map[string]*usage{}
	res := p.synced
	res.rank = map[string]int{}
	for i, s := range p.registry.Segments {
		res.rank[s.ID] = i
		if u := j.held[s.ID]; u != nil {
			held[s.ID] = u
		}
	}
	for _, s := range res.adopted {
		held[s.ID] = &usage{next: s.Next, used: map[uint64]struct{}{}}
	}
	j.held = held
	if !p.reserved {
		return res
	}
	if j.own != p.own {
		j.own, j.next = p.own, 0
		j.held[p.own] = &usage{used: map[uint64]struct{}{}}
	}
	j.end = p.end
	j.held[p.own].next = p.end
	return res
}

func (j *journal) read(ctx context.Context) (raw []byte, reg registry, err error) {
	raw, err = j.store.Get(ctx, j.prefix)
	if errors.Is(err, storage.ErrNotFound) {
		raw, err = nil, nil
	}
	if err != nil {
		return nil, registry{}, fmt.Errorf("storage: %w", wait.Because(ctx, err))
	}
	if reg, err = parseRegistry(raw); err != nil {
		return nil, registry{}, fmt.Errorf("storage: the registry of the outbox, under %q, cannot be read", j.prefix)
	}
	return raw, reg, nil
}

// write replaces a registry, unless it stays as it is.
func (j *journal) write(ctx context.Context, old []byte, before, after registry) (bool, error) {
	before.Version, after.Version = registryVersion, registryVersion
	was, err := before.encode()
	if err != nil {
		return false, err
	}
	next, err := after.encode()
	if err != nil {
		return false, err
	}
	if bytes.Equal(was, next) {
		return true, nil
	}
	ok, err := j.store.CompareAndSwap(ctx, j.prefix, old, next)
	if err != nil {
		return false, fmt.Errorf("storage: %w", wait.Because(ctx, err))
	}
	return ok, nil
}

// found is a message that was left behind.
type found struct {
	at  slot
	raw []byte
}

// load reads what is in a segment.
func (j *journal) load(ctx context.Context, s segment) ([]found, error) {
	var out []found
	for n := range s.slots() {
		at := slot{s.ID, n}
		raw, err := j.store.Get(ctx, j.key(at))
		if errors.Is(err, storage.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("storage: %w", wait.Because(ctx, err))
		}
		out = append(out, found{at, raw})
	}
	return out, nil
}
