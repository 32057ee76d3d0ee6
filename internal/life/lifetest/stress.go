// Package lifetest holds the one stress test that every machine which starts and
// stops has to pass.
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
	// Start begins something. It may fail once the machine was stopped.
	Start func(ctx context.Context) error
	// Stop ends everything and waits for nothing.
	Stop func(cause error)
	// Wait returns when nothing runs, or when its context ends.
	Wait func(ctx context.Context) error
}

// errStress is the cause of every stop.
var errStress = errors.New("stopped by the stress test")

// Stress makes rounds machines. Several goroutines start each of them, stop it and
// wait for it, in an order that nobody chose. Whatever the order: no call hangs,
// and once a machine was stopped it comes to rest.
func Stress(t *testing.T, rounds int, machine func() Machine) {
	t.Helper()
	const hands = 4
	patience, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for range rounds {
		m := machine()
		var wg sync.WaitGroup
		for range hands {
			wg.Go(func() {
				switch rand.N(3) {
				case 0:
					m.Stop(errStress)
				case 1:
					ctx, cancel := context.WithCancel(patience)
					cancel()
					if err := m.Wait(ctx); err != nil && !errors.Is(err, context.Canceled) {
						t.Errorf("Wait with an ended context: %v", err)
					}
				}
				if err := m.Start(patience); err != nil && patience.Err() != nil {
					t.Errorf("Start hung: %v", err)
				}
				if rand.N(2) == 0 {
					m.Stop(errStress)
				}
			})
		}
		wg.Wait()
		m.Stop(errStress)
		if err := m.Wait(patience); err != nil {
			t.Fatalf("the machine does not come to rest: %v", err)
		}
	}
}
