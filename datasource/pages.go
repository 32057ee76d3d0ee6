package datasource

import (
	"context"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/pages"
)

// evidence is what a server has shown of how large its answers may be, by kind of query.
type evidence struct{ one, joined, across pages.Evidence }

// more says whether there may be rows behind an answer to a query with this limit, 0 for none.
func (p *page) more(e *pages.Evidence, limit int, size int64) bool {
	return e.More(time.Now(), pages.Page{Limit: limit, Rows: len(p.entries) + p.odd, Bytes: size, Widest: int64(p.widest), Beside: int64(p.beside)})
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
