package flipletd

import (
	"cmp"
	crypto "crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
)

// randomness makes what nobody may guess: tokens, GUIDs, states of a login. With a seed
// it makes the same in every run, for the same requests in the same order.
type randomness struct {
	mu   sync.Mutex
	from io.Reader
}

// newRandomness draws from the system unless there is a seed.
func newRandomness(seed uint64) *randomness {
	if seed == 0 {
		return &randomness{from: crypto.Reader}
	}
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	return &randomness{from: rand.NewChaCha8(key)}
}

func (r *randomness) fill(b []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, _ = r.from.Read(b) // neither of them fails, or reads less
}

func (r *randomness) hex(n int) string {
	raw := make([]byte, n)
	r.fill(raw)
	return hex.EncodeToString(raw)
}

// token makes a token of the documented form.
func (r *randomness) token() string { return "eu--" + r.hex(20) }

// guid makes a random (version 4) UUID.
func (r *randomness) guid() string {
	var u [16]byte
	r.fill(u[:])
	u[6], u[8] = u[6]&0x0f|0x40, u[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[0:4], u[4:6], u[6:8], u[8:10], u[10:])
}

// inOrder is a map in the order of its keys, for who can tell the order: the first of
// several mistakes is what a client hears of.
func inOrder[K cmp.Ordered, V any](m map[K]V) iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		for _, key := range slices.Sorted(maps.Keys(m)) {
			if !yield(key, m[key]) {
				return
			}
		}
	}
}
