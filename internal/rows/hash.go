package rows

import (
	"encoding/json"
	"math"

	"github.com/fliplet/fliplet-chat-go/datasource"
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
//
// Each byte of a hash waits for the one before it, so two texts at the same time take
// hardly longer than one.
func Hash(m map[string]any) (sum uint64) {
	var first, second lane
	for k, v := range m {
		h := hashName(k)
		s, isText := v.(string)
		if !isText {
			sum += hashValue(h, v)
			continue
		}
		next := lane{h: h ^ 1, s: s, n: len(s), used: true}
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
			sum += first.sum()
			first = next
		}
		first.run(&second)
	}
	for _, l := range [...]*lane{&first, &second} {
		if l.used {
			l.h = hashBytes(l.h, l.s)
			sum += l.sum()
		}
	}
	return sum
}

// lane is a text that is being hashed.
type lane struct {
	h    uint64
	s    string // what is left of it
	n    int
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

// hashName returns the hash of a column's name.
func hashName(name string) uint64 {
	switch name {
	case wire.Body:
		return hashOfBody
	case wire.ReadBy:
		return hashOfReadBy
	case wire.From:
		return hashOfFrom
	case wire.GUID:
		return hashOfGUID
	case wire.Conversation:
		return hashOfConversation
	}
	return hashText(offsetBasis, name)
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

// Sum tells answers apart by which versions of which rows they have.
func Sum(rows []datasource.Entry) uint64 {
	h := offsetBasis
	for i := range rows {
		e := &rows[i]
		for _, n := range [...]int64{e.DataSourceID, e.ID, int64(Micros(e.UpdatedAt))} {
			h = (h ^ uint64(n)) * prime //nolint:gosec // any bits do
		}
	}
	return h
}
