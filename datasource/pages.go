package datasource

import (
	"context"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/pages"
)

// evidence is what a server has shown of how large its answers may be, by kind of query.
type evidence struct{ one, joined, across pages.Evidence }

// more says whether there may be rows behind an answer to a query with this limit, 0 for none. Which row is the largest
// matters only where an answer is large.
func (p *page) more(e *pages.Evidence, limit int, size int64) bool {
	a := pages.Page{Limit: limit, Rows: len(p.entries) + p.odd, Bytes: size}
	if size >= widestFrom {
		for i := range p.entries {
			a.Widest = max(a.Widest, weight(p.entries[i].Data))
		}
		for i := range p.deleted {
			a.Beside += weight(p.deleted[i].Data) + rowFrame
		}
	}
	return e.More(time.Now(), a)
}

// widestFrom is from how many bytes on the largest row of an answer is looked for.
const widestFrom = 64 << 10

// rowFrame is about how many bytes a row has beside its columns, at most.
const rowFrame = 512

// weight is how many bytes a value may have as JSON, in which a server may escape what it likes.
func weight(v any) (n int64) {
	switch v := v.(type) {
	case string:
		return escaped(v)
	case []any:
		for _, e := range v {
			n += weight(e)
		}
	case M:
		for name, e := range v {
			n += escaped(name) + weight(e)
		}
	}
	return n + 8
}

// escaped is how many bytes a text has as JSON at most, in which letters, digits and a few signs stand for themselves.
func escaped(s string) int64 {
	n := int64(2)
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == ' ', c == '.', c == ',', c == '-', c == '_', c == ':':
			n++
		case c >= 0x80: // two bytes and more are six, or twelve of four
			n += 3
		default:
			n += 6
		}
	}
	return n
}

type mostBytes struct{}

// AtMost returns a context whose calls of Find, Select, FindAcross and SelectAcross fail with a [ResponseTooLargeError] as
// soon as more than n bytes of the answer would have to be kept, if that is less than Config.MaxResponseBytes: rows that
// break a limit do not count with what is left out of them. With the number of rows that the error names, a program that
// reads pages of rows of any size asks for a page that is smaller, and so bounds its memory. n that is not positive changes
// nothing. It makes no request, and is safe for concurrent use.
func AtMost(ctx context.Context, n int64) context.Context {
	if n <= 0 {
		return ctx
	}
	return context.WithValue(ctx, mostBytes{}, n)
}

// most is how many bytes of an answer are kept.
func (c *Client) most(ctx context.Context) int64 {
	if n, ok := ctx.Value(mostBytes{}).(int64); ok {
		return min(n, c.maxBytes)
	}
	return c.maxBytes
}
