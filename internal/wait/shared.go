package wait

import (
	"context"
	"sync"
)

// Shared is something that several callers want done once for all of them. The zero value is
// ready to use.
type Shared struct {
	mu      sync.Mutex
	running *attempt
}

// attempt is one that is under way. abandoned: the context of who makes it ended, so its error
// means nothing to others.
type attempt struct {
	over      chan struct{}
	err       error
	abandoned bool
}

// Do calls do, or waits for another caller's call, unless done says that there is nothing to do
// any more, and with which error. It asks that before each call.
//
// Errors: that of the call; that of done; the cause of ctx.
func (s *Shared) Do(ctx context.Context, done func() (bool, error), do func(context.Context) error) error {
	for {
		a, mine, err := s.join(done)
		switch {
		case a == nil:
			return err
		case mine:
			return s.make(ctx, a, do)
		}
		select {
		case <-a.over:
			if !a.abandoned {
				return a.err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// join returns the attempt that is under way, or begins one, which is the caller's to make.
func (s *Shared) join(done func() (bool, error)) (a *attempt, mine bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if over, err := done(); over || err != nil {
		return nil, false, err
	}
	if s.running != nil {
		return s.running, false, nil
	}
	s.running = &attempt{over: make(chan struct{})}
	return s.running, true, nil
}

func (s *Shared) make(ctx context.Context, a *attempt, do func(context.Context) error) error {
	a.err = do(ctx)
	a.abandoned = ctx.Err() != nil
	s.mu.Lock()
	s.running = nil
	s.mu.Unlock()
	close(a.over)
	return a.err
}
