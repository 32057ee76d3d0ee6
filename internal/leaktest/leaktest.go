// Package leaktest fails the tests of a package that leave a goroutine behind.
package leaktest

import (
	"fmt"
	"os"
	"time"

	"go.uber.org/goleak"
)

// patience is how long goroutines may take to end after the last test. goleak itself waits
// for half a second, in which a busy machine may not have run all that a closed connection
// wakes. What is left behind stays for ever, so waiting hides nothing of it.
const patience = time.Minute

// Main runs the tests of a package and ends the process, with an error if a goroutine stays
// after tests that have all passed.
func Main(m interface{ Run() int }) {
	code := m.Run()
	if code == 0 {
		if err := Wait(patience); err != nil {
			fmt.Fprintf(os.Stderr, "goleak: Errors on successful test run: %v\n", err)
			code = 1
		}
	}
	os.Exit(code)
}

// Wait waits until no goroutine runs but those of the tests themselves. After that long it
// says which do.
func Wait(patience time.Duration) error {
	for begin := time.Now(); ; {
		err := goleak.Find()
		if err == nil || time.Since(begin) > patience {
			return err
		}
	}
}
