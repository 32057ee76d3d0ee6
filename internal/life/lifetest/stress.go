// Package lifetest holds the stress test for everything that starts and stops.
package lifetest

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

// A Machine is what [Stress] starts and stops.
type Machine struct {
	// Start begins something. It may fail after Stop.
	Start func(ctx context.Context) error
	// Stop ends everything and does not wait.
	Stop func(cause error)
	// Wait returns when nothing runs any more, or when its context ends.
	Wait func(ctx context.Context) error
}

// errStress is the cause of every stop.
var errStress = errors.New("stopped by the stress test")

// Stress makes rounds machines. Several goroutines start each of them, stop it and
// wait for it in random order. No call may hang, and a stopped machine must come to
// rest.
func Stress(t *testing.T, rounds int, machine func() Machine) {
	t.Helper()
	const goroutines = 4
	limit, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for range rounds {
		m := machine()
		var wg sync.WaitGroup
		for range goroutines {
			wg.Go(func() {
				switch rand.N(3) {
				case 0:
					m.Stop(errStress)
				case 1:
					ctx, cancel := context.WithCancel(limit)
					cancel()
					if err := m.Wait(ctx); err != nil && !errors.Is(err, context.Canceled) {
						t.Errorf("Wait with an ended context: %v", err)
					}
				}
				if err := m.Start(limit); err != nil && limit.Err() != nil {
					t.Errorf("Start hung: %v", err)
				}
				if rand.N(2) == 0 {
					m.Stop(errStress)
				}
			})
		}
		wg.Wait()
		m.Stop(errStress)
		if err := m.Wait(limit); err != nil {
			t.Fatalf("the machine does not come to rest: %v", err)
		}
	}
}
