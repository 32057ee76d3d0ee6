//go:build unix

package datasource_test

import (
	"syscall"
	"time"
)

// cpuTime is the processor time this process has used, in user and system mode.
func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
