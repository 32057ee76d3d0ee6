package flipletd

import (
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd/sift"
)

// defaultQueryTimeout is how long the clauses of one request may run. There are many
// rows, a single one may be long, and readers hold the store's lock.
const defaultQueryTimeout = 10 * time.Second

// How much is matched between two checks of the time: so many rows, and so many steps of
// package sift, which is about a millisecond.
const (
	rowsPerCheck  = 8
	stepsPerCheck = 1 << 12
)

// match applies a clause to a row for a request. It fails when the request has taken
// too long or its client has gone.
func (c *call) match(f *sift.Filter, data any) (bool, error) {
	if c.steps.More == nil {
		c.steps = sift.Meter{Steps: stepsPerCheck, More: c.moreSteps}
	}
	if c.rowsSeen++; c.rowsSeen%rowsPerCheck == 0 || c.gaveUp {
		c.steps.Steps = c.moreSteps()
	}
	ok, err := f.MatchWithin(data, &c.steps)
	if c.gaveUp {
		return false, badRequest("The query takes too long.")
	}
	return ok, err
}

// moreSteps are those up to the next check of the time.
func (c *call) moreSteps() int {
	if !c.gaveUp {
		c.gaveUp = time.Since(c.began) > c.srv.queryTimeout || c.req.Context().Err() != nil
	}
	if c.gaveUp {
		return 0
	}
	return stepsPerCheck
}
