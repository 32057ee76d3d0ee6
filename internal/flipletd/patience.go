package flipletd

import (
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd/sift"
)

// defaultPatience is how long the clauses of one request may keep the server busy.
// One row is bounded by package sift, but there are many, and readers hold the
// store's lock.
const defaultPatience = 10 * time.Second

// rowsPerLook is how many rows pass between two looks at the clock. A row takes
// tenths of a second at worst.
const rowsPerLook = 8

// match applies a clause to a row on behalf of a request. It refuses to go on when
// the request has taken too long or its client has left.
func (c *call) match(f *sift.Filter, data any) (bool, error) {
	if c.rowsSeen++; c.rowsSeen%rowsPerLook == 0 && !c.gaveUp {
		c.gaveUp = time.Since(c.began) > c.srv.patience || c.req.Context().Err() != nil
	}
	if c.gaveUp {
		return false, badRequest("The query takes too long.")
	}
	return f.Match(data)
}
