package where

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"

	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// Fingerprint is the same for queries that ask for the same: whatever the case and the
// space around values, and whether they are given with $eq, $iLike or by themselves. It
// is a hash, so it shows no value. That two queries have one does not mean that a row
// which satisfies the first satisfies the second.
func (l Login) Fingerprint() string {
	raw, err := json.Marshal(plainest(l.query))
	if err != nil {
		panic("where: a query that came from JSON: " + err.Error())
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}

// plainest is a value without what Fingerprint does not tell apart.
func plainest(v any) any {
	switch v := v.(type) {
	case M:
		if len(v) == 1 {
			for _, op := range [...]string{"$eq", "$iLike"} {
				if operand, ok := v[op]; ok {
					return plainest(operand)
				}
			}
		}
		out := make(M, len(v))
		for key, e := range v {
			out[key] = plainest(e)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = plainest(e)
		}
		return out
	}
	return strings.ToLower(strings.TrimSpace(wire.Text(v)))
}
