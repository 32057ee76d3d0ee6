package rows

import (
	"encoding/json"
	"math"

	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// FNV-1a, 64 bits. Hashes distinguish versions with the same timestamp. They are
// stored in cursors, so they must not depend on the process.
const (
	offsetBasis uint64 = 14695981039346656037
	prime       uint64 = 1099511628211
)

func hashText(h uint64, s string) uint64 {
	return (hashBytes(h, s) ^ uint64(len(s))) * prime
}

func hashBytes(h uint64, s string) uint64 {
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * prime
	}
	return h
}

// Hash hashes the columns of a row, as decoded from JSON, regardless of the order of
// keys. Stored positions hold these values, so they must never change.
func Hash(m map[string]any) uint64 {
	sum, _ := hashParts(m)
	return sum
}

// hashParts also hashes the body, the readers, the files and the other columns.
//
// Each byte of a hash waits for the one before it, so two texts at the same time take
// hardly longer than one.
func hashParts(m map[string]any) (sum uint64, parts feed.Parts) {
	add := func(h uint64, part uint8) {
		sum += h
		parts[part] += uint32((h>>32 ^ h) & math.MaxUint32)
	}
	var first, second lane
	for k, v := range m {
		h, part := column(k)
		s, isText := v.(string)
		if !isText {
			add(hashValue(h, v), part)
			continue
		}
		next := lane{h: h ^ 1, s: s, n: len(s), part: part, used: true}
		switch {
		case !first.used:
			first = next
			continue
		case !second.used:
			second = next
		default:
			// One of them is done.
			if first.s != "" {
				first, second = second, first
			}
			add(first.sum(), first.part)
			first = next
		}
		first.run(&second)
	}
	for _, l := range [...]*lane{&first, &second} {
		if l.used {
			l.h = hashBytes(l.h, l.s)
			add(l.sum(), l.part)
		}
	}
	return sum, parts
}

// lane is a text that is being hashed.
type lane struct {
	h    uint64
	s    string // what is left of it
	n    int
	part uint8
	used bool
}

// run hashes two texts until one of them ends.
func (l *lane) run(o *lane) {
	n := min(len(l.s), len(o.s))
	a, b := l.s[:n], o.s[:n]
	h, g := l.h, o.h
	for i := range n {
		h, g = (h^uint64(a[i]))*prime, (g^uint64(b[i]))*prime
	}
	l.h, o.h, l.s, o.s = h, g, l.s[n:], o.s[n:]
}

func (l *lane) sum() uint64 { return (l.h ^ uint64(l.n)) * prime } //nolint:gosec // a length

// column returns the hash of a column's name, and which part it belongs to.
func column(name string) (h uint64, part uint8) {
	switch name {
	case wire.Body:
		return hashOfBody, 0
	case wire.ReadBy:
		return hashOfReadBy, 1
	case wire.File, wire.SealedFiles, wire.FileSchema:
		return hashText(offsetBasis, name), 2
	case wire.From:
		return hashOfFrom, 3
	case wire.GUID:
		return hashOfGUID, 3
	case wire.Conversation:
		return hashOfConversation, 3
	}
	return hashText(offsetBasis, name), 3
}

// The names that every row has.
var (
	hashOfBody         = hashText(offsetBasis, wire.Body)
	hashOfReadBy       = hashText(offsetBasis, wire.ReadBy)
	hashOfFrom         = hashText(offsetBasis, wire.From)
	hashOfGUID         = hashText(offsetBasis, wire.GUID)
	hashOfConversation = hashText(offsetBasis, wire.Conversation)
)

func hashValue(h uint64, v any) uint64 {
	switch v := v.(type) {
	case string:
		return hashText(h^1, v)
	case json.Number:
		return hashText(h^2, v.String())
	case bool:
		if v {
			return (h ^ 3) * prime
		}
		return (h ^ 4) * prime
	case []any:
		h = (h ^ 5) * prime
		for _, e := range v {
			h = hashValue(h, e)
		}
		return h
	case map[string]any:
		return (h ^ 6 ^ Hash(v)) * prime
	case float64:
		return (h ^ 7 ^ math.Float64bits(v)) * prime
	}
	return (h ^ 8) * prime
}
