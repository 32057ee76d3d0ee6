package chat

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/fliplet/fliplet-chat-go/storage"
)

const (
	// claimFor is how long a claim on a lane lasts without being renewed.
	claimFor = 30 * time.Second
	// claimRenew is what is left of a claim when it is renewed.
	claimRenew = 20 * time.Second
	// laneBlock is how many places of a lane are reserved at once.
	laneBlock = 16
	// laneSkew is how wrong clocks may be: a claim that ended longer ago is dead
	// whoever looks at it.
	laneSkew = 10 * time.Minute
)

// place is where a message is stored.
type place struct {
	lane string
	n    uint64
}

// journal is a user's lanes as one process sees them.
type journal struct {
	store  storage.Store
	prefix string
	me     string

	// changing serialises changes of the registry and acceptance, so that places
	// are taken in the order of acceptance. mu guards the fields below it.
	changing sync.Mutex

	mu         sync.Mutex
	own        string // the lane for new messages
	next, end  uint64 // its reserved places
	held       map[string]*heldLane
	sightings  map[string]sighting
	claimUntil time.Time
}

// heldLane is a lane of ours: where it ends, and the places in use.
type heldLane struct {
	next uint64
	used map[uint64]struct{}
}

type sighting struct {
	beat  uint64
	since time.Time
	alive bool // it has changed
}

func newJournal(store storage.Store, prefix string) *journal {
	return &journal{store: store, prefix: prefix, me: uuid.NewString(), held: map[string]*heldLane{}, sightings: map[string]sighting{}}
}

func (j *journal) key(p place) string { return fmt.Sprintf("%s/%s/%d", j.prefix, p.lane, p.n) }

// fill says which places are in use.
func (h *heldLane) fill(l *lane) {
	l.First, l.Next, l.Used = h.next, h.next, slices.Sorted(maps.Keys(h.used))
	if n := len(l.Used); n > 0 {
		l.First, l.Next = l.Used[0], l.Used[n-1]+1
	}
}

// claimed is what a change of the registry brought.
type claimed struct {
	adopted []lane         // to be loaded
	foreign []lane         // that others have claimed
	lost    bool           // somebody took over a lane of ours
	rank    map[string]int // of each lane by age
}

// claim renews our claims, takes over lanes that nobody has, and reserves places
// if wanted. changing is held.
func (j *journal) claim(ctx context.Context, now time.Time, reserve bool) (claimed, error) {
	for range changeAttempts {
		old, reg, err := j.read(ctx)
		if err != nil {
			return claimed{}, err
		}
		j.mu.Lock()
		next, res, own, end := j.plan(reg, now, reserve)
		j.mu.Unlock()
		if res.lost {
			return res, nil
		}
		ok, err := j.write(ctx, old, next)
		if err != nil {
			return claimed{}, err
		}
		if !ok {
			continue
		}
		j.mu.Lock()
		defer j.mu.Unlock()
		j.claimUntil = now.Add(claimFor)
		mine := map[string]*heldLane{}
		for _, l := range next.Lanes {
			if h := j.held[l.ID]; h != nil && l.Owner == j.me {
				mine[l.ID] = h
			}
		}
		j.held = mine
		for _, l := range res.adopted {
			j.held[l.ID] = &heldLane{next: l.Next, used: map[uint64]struct{}{}}
		}
		res.rank = map[string]int{}
		for i, l := range next.Lanes {
			res.rank[l.ID] = i
		}
		if reserve {
			if j.own != own {
				j.own, j.next = own, 0
				j.held[own] = &heldLane{used: map[uint64]struct{}{}}
			}
			j.end = end
			j.held[own].next = end
		}
		return res, nil
	}
	return claimed{}, errors.New("storage: the registry of the outbox keeps changing")
}

// plan is the registry as it should be. mu is held; nothing of the journal changes
// but what was seen of others.
func (j *journal) plan(reg registry, now time.Time, reserve bool) (next registry, res claimed, own string, end uint64) {
	next.Version = 1
	own, end = j.own, j.end
	until := now.Add(claimFor)
	ours := map[string]bool{}
	seen := map[string]sighting{}
	for _, l := range reg.Lanes {
		h := j.held[l.ID]
		switch {
		case l.Owner == j.me && h != nil:
			ours[l.ID] = true
			if len(h.used) == 0 && l.ID != j.own {
				continue // all sent
			}
			h.fill(&l)
			if l.ID == j.own {
				l.First, l.Next, l.Used = min(l.First, j.next), h.next, nil
			}
		case l.Owner == j.me, l.Owner == "", j.dead(l, now):
			l.Owner = j.me
			res.adopted = append(res.adopted, l)
		default:
			s, known := j.sightings[l.ID]
			if !known || s.beat != l.Beat {
				s = sighting{beat: l.Beat, since: now, alive: known}
			}
			seen[l.ID] = s
			res.foreign = append(res.foreign, l)
			next.Lanes = append(next.Lanes, l)
			continue
		}
		l.Beat++
		l.Until = until
		next.Lanes = append(next.Lanes, l)
	}
	j.sightings = seen
	for id := range j.held {
		res.lost = res.lost || !ours[id]
	}
	if !reserve {
		return next, res, own, end
	}
	if own == "" {
		own, end = uuid.NewString(), 0
		next.Lanes = append(next.Lanes, lane{ID: own, Owner: j.me, Until: until})
	}
	if j.own == "" || j.next == j.end {
		end += laneBlock
	}
	for i := range next.Lanes {
		if next.Lanes[i].ID == own {
			next.Lanes[i].Next = end
		}
	}
	return next, res, own, end
}

// dead reports whether the claim on a lane has lapsed.
func (j *journal) dead(l lane, now time.Time) bool {
	s, known := j.sightings[l.ID]
	return known && s.beat == l.Beat && now.Sub(s.since) >= claimFor || now.Sub(l.Until) > laneSkew
}

func (j *journal) read(ctx context.Context) (raw []byte, reg registry, err error) {
	raw, err = j.store.Get(ctx, j.prefix)
	if errors.Is(err, storage.ErrNotFound) {
		return nil, registry{}, nil
	}
	if err != nil {
		return nil, registry{}, fmt.Errorf("storage: %w", err)
	}
	if err := json.Unmarshal(raw, &reg); err != nil || reg.Version != 1 {
		return nil, registry{}, fmt.Errorf("storage: the registry of the outbox, under %q, cannot be read", j.prefix)
	}
	return raw, reg, nil
}

func (j *journal) write(ctx context.Context, old []byte, reg registry) (bool, error) {
	var new []byte
	if len(reg.Lanes) > 0 {
		var err error
		if new, err = json.Marshal(reg); err != nil {
			return false, err
		}
	} else if old == nil {
		return true, nil
	}
	if old != nil && bytes.Equal(old, new) {
		return true, nil
	}
	ok, err := j.store.CompareAndSwap(ctx, j.prefix, old, new)
	if err != nil {
		return false, fmt.Errorf("storage: %w", err)
	}
	return ok, nil
}

// fresh reports whether new messages can be accepted without another claim.
func (j *journal) fresh(now time.Time) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.own != "" && j.next < j.end && j.claimUntil.Sub(now) >= claimRenew
}

// take gives the next place. changing is held, and the journal is fresh.
func (j *journal) take() place {
	j.mu.Lock()
	defer j.mu.Unlock()
	p := place{j.own, j.next}
	j.held[j.own].used[j.next] = struct{}{}
	j.next++
	return p
}

// free gives a place back.
func (j *journal) free(p place) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if h := j.held[p.lane]; h != nil {
		delete(h.used, p.n)
	}
}

func (j *journal) until() time.Time {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.claimUntil
}

// stillborn reports whether a lane that somebody has claimed may yet be a dead
// one: it was never seen renewed.
func (j *journal) stillborn(l lane) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return !j.sightings[l.ID].alive
}

type loaded struct {
	at  place
	raw []byte
}

// load reads what is in a lane.
func (j *journal) load(ctx context.Context, l lane) ([]loaded, error) {
	var out []loaded
	for n := range l.places() {
		p := place{l.ID, n}
		raw, err := j.store.Get(ctx, j.key(p))
		if errors.Is(err, storage.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("storage: %w", err)
		}
		out = append(out, loaded{p, raw})
	}
	return out, nil
}

// inUse reports whether there is anything in a lane.
func (j *journal) inUse(ctx context.Context, l lane) (bool, error) {
	for n := range l.places() {
		_, err := j.store.Get(ctx, j.key(place{l.ID, n}))
		if err == nil {
			return true, nil
		}
		if !errors.Is(err, storage.ErrNotFound) {
			return false, fmt.Errorf("storage: %w", err)
		}
	}
	return false, nil
}

// disown forgets a lane that could not be read: the next claim takes it up again.
func (j *journal) disown(l lane) {
	j.mu.Lock()
	defer j.mu.Unlock()
	delete(j.held, l.ID)
}

// keep notes that a place is in use.
func (j *journal) keep(p place) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if h := j.held[p.lane]; h != nil {
		h.used[p.n] = struct{}{}
	}
}

// release gives all lanes up, so that whoever comes next need not wait.
func (j *journal) release(ctx context.Context) error {
	j.changing.Lock()
	defer j.changing.Unlock()
	j.mu.Lock()
	held := len(j.held)
	j.mu.Unlock()
	if held == 0 {
		return nil
	}
	for range changeAttempts {
		old, reg, err := j.read(ctx)
		if err != nil {
			return err
		}
		next := registry{Version: 1}
		j.mu.Lock()
		for _, l := range reg.Lanes {
			if h := j.held[l.ID]; h != nil && l.Owner == j.me {
				if len(h.used) == 0 {
					continue
				}
				l.Owner = ""
				h.fill(&l)
			}
			next.Lanes = append(next.Lanes, l)
		}
		j.mu.Unlock()
		if ok, err := j.write(ctx, old, next); err != nil || ok {
			return err
		}
	}
	return errors.New("storage: the registry of the outbox keeps changing")
}
