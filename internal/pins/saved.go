package pins

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strconv"
)

// maxPins bounds what is stored: about a megabyte, which is what a value may have. Others
// decide how many conversations a user is in, so the pins of those that the user writes
// in take the place of other ones.
const maxPins = 20_000

// pin is what is stored of a conversation's key.
type pin struct {
	hash string // fingerprint
	own  bool   // the user has written under the key, or accepted it
}

// saved is what is stored of a user.
type saved struct {
	Version int              `json:"v"`
	Pins    map[int64]string `json:"pins"`
	Own     []int64          `json:"own,omitempty"`
}

func parse(raw []byte) (map[int64]pin, error) {
	if raw == nil {
		return map[int64]pin{}, nil
	}
	var s saved
	if err := json.Unmarshal(raw, &s); err != nil || s.Version != 1 {
		return nil, errors.New("storage: the pins of keys are damaged, or of a later version")
	}
	out := make(map[int64]pin, len(s.Pins))
	for id, hash := range s.Pins {
		out[id] = pin{hash: hash}
	}
	for _, id := range s.Own {
		if p, ok := out[id]; ok {
			out[id] = pin{p.hash, true}
		}
	}
	return out, nil
}

func format(pins map[int64]pin) ([]byte, error) {
	s := saved{Version: 1, Pins: make(map[int64]string, len(pins))}
	for id, p := range pins {
		s.Pins[id] = p.hash
		if p.own {
			s.Own = append(s.Own, id)
		}
	}
	slices.Sort(s.Own)
	return json.Marshal(s)
}

// manner says how a pin is stored.
type manner uint8

const (
	adding    manner = iota // if there is none, and room
	owning                  // as one that the user writes under, if it is the same
	accepting               // in the place of any
)

// merge adds a pin to those that are stored. When they are too many, an own pin takes the
// place of the newest conversation's that is not: old ones have more to lose.
func merge(pins map[int64]pin, id int64, hash string, how manner) {
	old, known := pins[id]
	switch {
	case known && how != accepting:
		old.own = old.own || how == owning && old.hash == hash
		pins[id] = old
		return
	case !known && len(pins) >= maxPins:
		if how == adding || !makeRoom(pins) {
			return
		}
	}
	pins[id] = pin{hash, how != adding}
}

// makeRoom removes a pin that is not an own one, false if there is none.
func makeRoom(pins map[int64]pin) bool {
	for _, id := range slices.Backward(slices.Sorted(maps.Keys(pins))) {
		if !pins[id].own {
			delete(pins, id)
			return true
		}
	}
	return false
}

// fingerprint is a keyed hash of a key: half of HMAC-SHA256 under the name of the value
// that it is stored in, so that equal keys of two conversations or users do not show.
func fingerprint(values Values, id int64, key string) string {
	mac := hmac.New(sha256.New, []byte(values.PinsKey()))
	mac.Write([]byte(strconv.FormatInt(id, 10) + ":" + key)) //nolint:errcheck // never fails
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:16])
}
