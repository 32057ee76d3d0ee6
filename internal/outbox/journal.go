package outbox

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/fliplet/fliplet-chat-go/hooks"
	"github.com/fliplet/fliplet-chat-go/internal/claim"
	"github.com/fliplet/fliplet-chat-go/internal/life"
	"github.com/fliplet/fliplet-chat-go/internal/wait"
	"github.com/fliplet/fliplet-chat-go/storage"
)

const (
	// slotBlock is how many slots of a segment are reserved at once.
	slotBlock = 16
	// attemptMargin is what must be left of a claim for an attempt to begin.
	attemptMargin = 5 * time.Second
	// changeAttempts is how often a change is made again when another process has
	// changed the registry meanwhile.
	changeAttempts = 12
	// claims is where the claims are stored, beside the segments.
	claims = "owners"
)

// errLost: another process took over what was ours, since our claim had run out.
var errLost = errors.New("another process took over the outbox")

// slot is where a message is stored.
type slot struct {
	segment string
	n       uint64
}

// journal is what is stored for a user, as one process sees it.
type journal struct {
	store   storage.Store
	prefix  string
	process string
	settle  time.Duration
	in      *life.Life // where the claim is kept
	lost    func()
	told    *watch

	// changes is held by whoever changes the registry or gives out slots, so that slots
	// are in the order of acceptance. It guards the watches.
	changes    wait.Mutex
	wanted     *claim.Claim // the claim that is being acquired, and its name
	wantedName string
	others     map[string]*claim.Claim // the claims of the other owners
	version1   map[string]sighting     // those in the registry

	mu        sync.Mutex
	lease     *claim.Lease // the claim that is held; nil when none is
	owner     string       // its name
	own       string       // the segment for new messages
	next, end uint64       // its reserved slots
	held      map[string]*usage
}

// usage is a segment of ours: where it ends, and the slots in use.
type usage struct {
	next uint64
	used map[uint64]struct{}
}

// describe says which slots are in use.
func (u *usage) describe(s *segment) {
	s.First, s.Next, s.Used = u.next, u.next, slices.Sorted(maps.Keys(u.used))
	if n := len(s.Used); n > 0 {
		s.First, s.Next = s.Used[0], s.Used[n-1]+1
	}
}

func newJournal(cfg *Config, in *life.Life, lost func()) *journal {
	return &journal{
		store: prompt(cfg.Store), prefix: cfg.Key, process: cfg.Process, settle: cfg.Settle, in: in, lost: lost,
		others: map[string]*claim.Claim{}, version1: map[string]sighting{}, held: map[string]*usage{},
	}
}

func (j *journal) key(at slot) string { return fmt.Sprintf("%s/%s/%d", j.prefix, at.segment, at.n) }

// claimOf is the claim of an owner. That of another one is taken when what it was sending
// last is visible if it was stored, since no request outlives the claim.
func (j *journal) claimOf(owner string) *claim.Claim {
	return claim.New(claim.Config{Store: j.store, Key: j.prefix + "/" + claims + "/" + owner, Process: j.process, Extra: j.settle})
}

// hold sees to it that we have a claim that is good for a while. changes is held.
func (j *journal) hold(ctx context.Context) error {
	j.mu.Lock()
	lease := j.lease
	j.mu.Unlock()
	if lease != nil {
		if time.Until(lease.Until()) > claim.TTL/2 {
			return nil
		}
		err := lease.Renew(ctx)
		if errors.Is(err, claim.ErrLost) {
			return errLost
		}
		return err
	}
	if j.wanted == nil {
		j.wantedName = rand.Text()
		j.wanted = j.claimOf(j.wantedName)
	}
	lease, ok, err := j.wanted.TryAcquire(ctx)
	if err != nil {
		return err
	}
	if !ok {
		return errLost // hardly possible, since nobody knows the name yet
	}
	if !lease.Keep(j.in, j.lost) {
		<-j.in.Context().Done()
		return errors.Join(context.Cause(j.in.Context()), lease.Release(ctx))
	}
	j.mu.Lock()
	j.lease, j.owner = lease, j.wantedName
	j.wanted = nil
	j.mu.Unlock()
	j.told.leased(hooks.LeaseAcquired, nil)
	return nil
}

// until is when the claim runs out; the zero time when none is held.
func (j *journal) until() time.Time {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.lease == nil {
		return time.Time{}
	}
	return j.lease.Until()
}

// fence looks whether the claim is still ours, right before something is sent: a process
// that was suspended may not know what time it is.
func (j *journal) fence(ctx context.Context) error {
	j.mu.Lock()
	lease := j.lease
	j.mu.Unlock()
	if lease == nil {
		return errLost
	}
	within, cancel := context.WithTimeout(ctx, claim.Beat)
	defer cancel()
	err := lease.Held(within)
	if errors.Is(err, claim.ErrLost) {
		return errLost
	}
	return err
}

// holding reports whether there is a claim.
func (j *journal) holding() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.lease != nil
}

// unused reports whether no slot of ours is in use.
func (j *journal) unused() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, u := range j.held {
		if len(u.used) > 0 {
			return false
		}
	}
	return true
}

// fresh reports whether a message can be accepted as it is.
func (j *journal) fresh(now time.Time) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.lease != nil && j.own != "" && j.next < j.end && j.lease.Until().Sub(now) >= claim.TTL/2
}

// take gives out the next slot. changes is held, and the journal is fresh.
func (j *journal) take() slot {
	j.mu.Lock()
	defer j.mu.Unlock()
	at := slot{j.own, j.next}
	j.held[j.own].used[j.next] = struct{}{}
	j.next++
	return at
}

// free gives a slot back.
func (j *journal) free(at slot) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if u := j.held[at.segment]; u != nil {
		delete(u.used, at.n)
	}
}

// keep notes that a slot is in use.
func (j *journal) keep(at slot) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if u := j.held[at.segment]; u != nil {
		u.used[at.n] = struct{}{}
	}
}

// disown forgets a segment that could not be read: it is taken up again later.
func (j *journal) disown(s segment) {
	j.mu.Lock()
	defer j.mu.Unlock()
	delete(j.held, s.ID)
}

// giveUp gives up the claim and all segments, so that whoever comes next need not
// wait. What is stored stays. changes is held.
func (j *journal) giveUp(ctx context.Context) error {
	j.mu.Lock()
	lease, owner, held := j.lease, j.owner, j.held
	j.lease, j.owner, j.own, j.held = nil, "", "", map[string]*usage{}
	j.mu.Unlock()
	if lease == nil {
		return nil
	}
	// The claim first: a crash in between leaves no claim that nobody ever looks for.
	err := lease.Release(ctx)
	return errors.Join(err, j.change(ctx, func(reg registry) registry {
		var next registry
		for _, s := range reg.Segments {
			if u := held[s.ID]; u != nil && s.Owner == owner {
				if len(u.used) == 0 {
					continue
				}
				s.Owner = ""
				u.describe(&s)
			}
			next.Segments = append(next.Segments, s)
		}
		return next
	}))
}

// change changes the registry.
func (j *journal) change(ctx context.Context, to func(registry) registry) error {
	for range changeAttempts {
		old, reg, err := j.read(ctx)
		if err != nil {
			return err
		}
		if ok, err := j.write(ctx, old, reg, to(reg)); err != nil || ok {
			return err
		}
	}
	return errChanging
}

var errChanging = errors.New("storage: the registry of the outbox keeps changing")
