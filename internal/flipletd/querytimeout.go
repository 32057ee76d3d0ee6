package flipletd

import (
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd/sift"
)

// defaultQueryTimeout is how long the clauses of one request may run. Package sift
// bounds the time for one row, but there are many rows, and readers hold the store's
// lock.
const defaultQueryTimeout = 10 * time.Second

// rowsPerCheck is how many rows are matched between two checks of the time. A row
// takes tenths of a second at worst.
const rowsPerCheck = 8

// match applies a clause to a row for a request. It fails when the request has taken
// too long or its client has gone.
func (c *call) match(f *sift.Filter, data any) (bool, error) {
	if c.rowsSeen++; c.rowsSeen%rowsPerCheck == 0 && !c.gaveUp {
		c.gaveUp = time.Since(c.began) > c.srv.queryTimeout || c.req.Context().Err() != nil
	}
	if c.gaveUp {
		return false, badRequest("The query takes too long.")
	}
	return f.Match(data)
}
