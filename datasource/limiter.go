package datasource

import (
	"context"
	"time"
)

// Limiter spreads requests so that no more than n start in any window. Clients may share one.
type Limiter struct{}

// NewLimiter allows n requests in any window of length per.
func NewLimiter(n int, per time.Duration) *Limiter { return &Limiter{} }

// Unlimited is a Limiter that never waits.
func Unlimited() *Limiter { return &Limiter{} }

// Wait blocks until a request may start.
func (l *Limiter) Wait(ctx context.Context) error { return errUnfinished }
