//go:build !unix

package datasource_test

import "time"

var processStart = time.Now()

// cpuTime stands in with the time that has passed.
func cpuTime() time.Duration { return time.Since(processStart) }
