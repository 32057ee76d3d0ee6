package archive_test

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestTheMemoryOfAnExportDoesNotGrowWithTheMessages exports FLCHAT_MESSAGES messages of 20
// conversations in a process of its own. With a million its memory stays under 128 MB.
func TestTheMemoryOfAnExportDoesNotGrowWithTheMessages(t *testing.T) {
	if _, err := os.Stat("/proc/self/status"); err != nil {
		t.Skip("this system does not say how much memory a process had: it was NOT checked")
	}
	if race {
		t.Skip("the race detector takes memory of its own")
	}
	messages := trials(t, "FLCHAT_MESSAGES", 8000)
	w := newWorld(t)
	const talks = 20
	for i := range talks {
		w.talk(fmt.Sprint("Talk ", i), messages/talks)
	}
	path := file(t)
	cmd, out := w.start(job{Path: path})
	began := time.Now()
	var peak int64
	for out.Scan() {
		peak = max(peak, memory(t, cmd.Process.Pid))
	}
	took := time.Since(began)
	require.NoError(t, cmd.Wait())
	info, err := os.Stat(path)
	require.NoError(t, err)
	t.Logf("%d messages in %v: %.0f a second; the process had at most %d MB; the file has %d MB", messages, took.Round(time.Millisecond), float64(messages)/took.Seconds(), peak>>20, info.Size()>>20)
	assert.Less(t, peak, int64(128<<20))
	began = time.Now()
	found := verify(t, path)
	require.Empty(t, found.Damage)
	require.EqualValues(t, messages+talks+3, found.Records)
	t.Logf("verified in %v", time.Since(began).Round(time.Millisecond))
}

// memory is the most memory that a process had so far, in bytes; 0 when it is over.
func memory(t testing.TB, pid int) int64 {
	t.Helper()
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if text, ok := strings.CutPrefix(s.Text(), "VmHWM:"); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(text, "kB")), 10, 64)
			require.NoError(t, err)
			return n << 10
		}
	}
	return 0
}
