package outbox

import (
	"encoding/json"
	"errors"
	"iter"
	"slices"
	"time"
)

// A Store need not be able to list its keys, so one key, the registry, says where
// messages may be: in segments, each a row of numbered slots that one process
// fills. Slots are reserved by the block, so that a message costs one write and
// one removal, and some of them stay empty.
type registry struct {
	Version  int       `json:"version"`
	Segments []segment `json:"segments"`
}

// registryVersion is the one that is written. Version 1 called segments lanes, and
// kept the claims on them in the registry.
const registryVersion = 2

type segment struct {
	ID string `json:"id"`
	// Owner names the claim under which the segment is used; "" is nobody.
	Owner string `json:"owner,omitempty"`
	// Messages are in some of the slots First ≤ n < Next of a segment that is being
	// filled, and in those of Used afterwards.
	First uint64   `json:"first"`
	Next  uint64   `json:"next"`
	Used  []uint64 `json:"used,omitempty"`

	// A claim of version 1 is renewed by changing Beat, and lapses at Until.
	Beat  uint64    `json:"beat,omitempty"`
	Until time.Time `json:"until,omitzero"`

	settled bool // what its last owner has sent is visible
}

// claimedByVersion1 reports whether the claim on a segment is in the registry.
func (s *segment) claimedByVersion1() bool { return s.Owner != "" && !s.Until.IsZero() }

// slots are those that may hold messages.
func (s *segment) slots() iter.Seq[uint64] {
	if len(s.Used) > 0 {
		return slices.Values(s.Used)
	}
	return func(yield func(uint64) bool) {
		for n := s.First; n < s.Next; n++ {
			if !yield(n) {
				return
			}
		}
	}
}

var errVersion = errors.New("not a version that is known here")

// parseRegistry reads both versions.
func parseRegistry(raw []byte) (registry, error) {
	if raw == nil {
		return registry{Version: registryVersion}, nil
	}
	var stored struct {
		registry
		Lanes []segment `json:"lanes"`
	}
	if err := json.Unmarshal(raw, &stored); err != nil {
		return registry{}, err
	}
	switch stored.Version {
	case 1:
		return registry{registryVersion, stored.Lanes}, nil
	case registryVersion:
		return stored.registry, nil
	}
	return registry{}, errVersion
}

// encode is the stored form, nil for a registry without segments.
func (r *registry) encode() ([]byte, error) {
	if len(r.Segments) == 0 {
		return nil, nil
	}
	return json.Marshal(r)
}
