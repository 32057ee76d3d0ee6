package limiter

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// record is what the replicas agree in. Each changes its own member only, and removes those that are gone.
type record struct {
	Version  int           `json:"version"`
	N        int           `json:"n"`
	Per      time.Duration `json:"per"`
	Replicas int           `json:"replicas"`
	Fallback int           `json:"fallback"`
	Members  []*member     `json:"members"`
}

// member is a replica.
type member struct {
	ID string `json:"id"`
	// Beat grows with every write, so that no record comes twice.
	Beat uint64 `json:"beat"`
	// Want is how many requests it would start in a window.
	Want int `json:"want"`
	// Hold is how many more than the fallback it may have started in any window that ends from now on.
	Hold int `json:"hold"`
	// Left: it has closed, and only what it has started counts.
	Left bool `json:"left,omitempty"`
}

const (
	version    = 1
	maxRecord  = 256 << 10
	maxMembers = 1000
	// unknown is the member who may have what a record said that nobody can read any more. It never renews.
	unknown = "unknown"
)

var errDamaged = errors.New("the record is damaged")

// newRecord is one that replaces a record that is missing or damaged.
func newRecord(s settings) *record {
	return &record{
		Version: version, N: s.n, Per: s.per, Replicas: s.replicas, Fallback: s.fallback,
		Members: []*member{{ID: unknown, Beat: rand.Uint64(), Hold: s.n - s.replicas*s.fallback}}, // another one each time
	}
}

// decode reads a record. What is not one of a known version is errDamaged, or ErrSettings when a newer one has made it.
func decode(raw []byte) (*record, error) {
	r := new(record)
	if len(raw) > maxRecord || json.Unmarshal(raw, r) != nil || r.Version < version {
		return nil, errDamaged
	}
	if r.Version > version {
		return nil, fmt.Errorf("%w: a newer version of this package, %d, has made the record, and this one knows %d", ErrSettings, r.Version, version)
	}
	if r.N < 1 || r.Per < 1 || r.Replicas < 1 || r.Fallback < 1 || len(r.Members) > maxMembers {
		return nil, errDamaged
	}
	seen := map[string]bool{}
	for _, m := range r.Members {
		if m == nil || m.ID == "" || len(m.ID) > 64 || seen[m.ID] || m.Want < 0 || m.Hold < 0 || m.Hold > r.N {
			return nil, errDamaged
		}
		seen[m.ID] = true
		m.Want = min(m.Want, r.N)
	}
	return r, nil
}

func (r *record) member(id string) *member {
	if i := slices.IndexFunc(r.Members, func(m *member) bool { return m.ID == id }); i >= 0 {
		return r.Members[i]
	}
	return nil
}

// living is how many replicas there are, as far as is known.
func (r *record) living() (n int) {
	for _, m := range r.Members {
		if m.ID != unknown && !m.Left {
			n++
		}
	}
	return n
}

// pool is how many slots there are to share beside the fallbacks. More replicas than were expected have theirs, too.
func (r *record) pool() int { return max(0, r.N-max(r.Replicas, r.living())*r.Fallback) }

// room is how many slots nobody but one holds.
func (r *record) room(id string) int {
	n := r.pool()
	for _, m := range r.Members {
		if m.ID != id {
			n -= m.Hold
		}
	}
	return max(0, n)
}

// share is how many slots of the pool a replica should have: what it wants and a little more, if there are enough for
// all, and otherwise as many as anybody else who wants that many. Of what is left half is shared out equally, and half
// stays free for whoever comes next.
func (r *record) share(id string) int {
	var open []*member
	needs := map[*member]int{}
	for _, m := range r.Members {
		if m.ID == unknown || m.Left {
			continue
		}
		needs[m] = max(0, m.Want+max(2, m.Want/4)-r.Fallback)
		open = append(open, m)
	}
	slices.SortStableFunc(open, func(a, b *member) int { return needs[a] - needs[b] })
	left, mine, all := r.pool(), 0, len(open)
	for i, m := range open {
		gets := min(needs[m], (left+all-i-1)/(all-i)) // rounded up: whoever is last has one less
		if left -= gets; m.ID == id {
			mine = gets
		}
	}
	return mine + left/(2*max(1, all))
}
