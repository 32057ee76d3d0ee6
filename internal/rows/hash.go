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
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * prime
	}
	return (h ^ uint64(len(s))) * prime
}

// Hash hashes the columns of a row, as decoded from JSON, regardless of the order of
// keys. Stored positions hold these values, so they must never change.
func Hash(m map[string]any) uint64 {
	sum, _ := hashParts(m)
	return sum
}

// hashParts also hashes the body, the readers, the files and the other columns.
func hashParts(m map[string]any) (sum uint64, parts feed.Parts) {
	for k, v := range m {
		h := hashValue(hashText(offsetBasis, k), v)
		sum += h
		part := 3
		switch k {
		case wire.Body:
			part = 0
		case wire.ReadBy:
			part = 1
		case wire.File, wire.SealedFiles, wire.FileSchema:
			part = 2
		}
		parts[part] += uint32((h>>32 ^ h) & math.MaxUint32)
	}
	return sum, parts
}

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
