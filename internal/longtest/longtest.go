// Package longtest tells everyday tests from long ones. The long ones compile Go,
// start browsers or Node, kill processes many times, or repeat at length what an
// everyday test shows in short. They run where CHAT_LONG is 1, which .ci/run sets.
package longtest

import (
	"os"
	"testing"
)

// Enabled reports whether long tests run.
func Enabled() bool { return os.Getenv("CHAT_LONG") == "1" }

// Only skips a test, unless long tests run. why says what takes so long.
func Only(t testing.TB, why string) {
	t.Helper()
	if !Enabled() {
		t.Skipf("%s: run it with CHAT_LONG=1, as make long does", why)
	}
}

// Size is how much of something a test does: the first number every day, the second
// where long tests run.
func Size(everyday, long int) int {
	if Enabled() {
		return long
	}
	return everyday
}

// Heavy skips a test like Only, and under the race detector, which makes what moves
// hundreds of megabytes ten times as slow. .ci/run runs such tests without it.
func Heavy(t testing.TB, why string) {
	t.Helper()
	Only(t, why)
	if race {
		t.Skip(why + ": it runs without the race detector")
	}
}
