package rows

import (
	"encoding/json"
	"hash/maphash"
	"math"

	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// Most listeners forget with the process what they have seen. Their hashes are those of
// hash/maphash, which reads many bytes at once and takes a tenth of the time; nobody can
// choose contents that have the same one, since its seed is drawn anew in each process.

var (
	textSeed   = maphash.MakeSeed()
	numberSeed = maphash.MakeSeed()
	nameSeed   = maphash.MakeSeed()
)

// content is what the engine is told of the columns of a row.
type content struct {
	sum             uint64
	parts           feed.Parts
	guid, from      hashed
	markedAsDeleted any
	special         bool // it has a column that few messages have, and that makes something of them
}

// hashed is a value, with its hash if it is a text.
type hashed struct {
	v   any
	sum uint64
}

// text is the hash of the value as text.
func (h hashed) text() uint64 {
	if _, ok := h.v.(string); ok {
		return h.sum
	}
	return maphash.String(textSeed, wire.Text(h.v))
}

// contentOf hashes the columns of a row like Hash, and also the body, the readers, the
// files and the other columns.
func contentOf(m map[string]any) (c content) {
	for name, v := range m {
		var h, sum uint64
		text, isText := v.(string)
		if isText {
			sum = maphash.String(textSeed, text)
		}
		part := 3
		switch name {
		case wire.Body:
			h, part = quickBody, 0
		case wire.ReadBy:
			h, part = quickReadBy, 1
		case wire.File, wire.SealedFiles, wire.FileSchema:
			h, part, c.special = maphash.String(nameSeed, name), 2, true
		case wire.GUID:
			h, c.guid = quickGUID, hashed{v, sum}
		case wire.From:
			h, c.from = quickFrom, hashed{v, sum}
		case wire.Conversation:
			h = quickConversation
		case wire.FlagDeleted:
			c.markedAsDeleted, c.special = v, true
			h = maphash.String(nameSeed, name)
		case wire.PrivateMedia:
			c.special = true
			h = maphash.String(nameSeed, name)
		default:
			h = maphash.String(nameSeed, name)
		}
		if isText {
			h = stir(h, sum)
		} else {
			h = quickValue(h, v)
		}
		c.sum += h
		c.parts[part] += uint32((h>>32 ^ h) & math.MaxUint32)
	}
	return c
}

// The names that every row has.
var (
	quickBody         = maphash.String(nameSeed, wire.Body)
	quickReadBy       = maphash.String(nameSeed, wire.ReadBy)
	quickGUID         = maphash.String(nameSeed, wire.GUID)
	quickFrom         = maphash.String(nameSeed, wire.From)
	quickConversation = maphash.String(nameSeed, wire.Conversation)
)

// origin hashes the sender and the guid of a message. It is not 0.
func (c *content) origin() uint64 { return stir(c.from.text()+1, c.guid.text()) | 1 }

// stir makes a hash of two.
func stir(h, g uint64) uint64 {
	h = (h ^ h>>32) * 0x9e3779b97f4a7c15
	h ^= g
	h = (h ^ h>>29) * 0xbf58476d1ce4e5b9
	return h ^ h>>32
}

func quickValue(h uint64, v any) uint64 {
	switch v := v.(type) {
	case string:
		return stir(h, maphash.String(textSeed, v))
	case json.Number:
		return stir(h, maphash.String(numberSeed, string(v)))
	case bool:
		if v {
			return stir(h, 3)
		}
		return stir(h, 4)
	case []any:
		h = stir(h, 5)
		for _, e := range v {
			h = quickValue(h, e)
		}
		return stir(h, uint64(len(v)))
	case map[string]any:
		var sum uint64
		for name, e := range v {
			sum += quickValue(maphash.String(nameSeed, name), e)
		}
		return stir(stir(h, 6), sum)
	case float64:
		return stir(stir(h, 7), math.Float64bits(v))
	}
	return stir(h, 8)
}
