package archive_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/datasource"
)

// TestTheMemoryOfAnExportDoesNotGrowWithTheSizeOfMessages exports FLCHAT_BULKY messages of
// 900 KB each in a process of its own.
func TestTheMemoryOfAnExportDoesNotGrowWithTheSizeOfMessages(t *testing.T) {
	if _, err := os.Stat("/proc/self/status"); err != nil {
		t.Skip("this system does not say how much memory a process had: it was NOT checked")
	}
	if race {
		t.Skip("the race detector takes memory of its own")
	}
	messages := trials(t, "FLCHAT_BULKY", 80)
	w := newWorld(t)
	conversation, _ := w.talk("Talk", 1)
	for i := range messages {
		w.server.AddRows(conversation, datasource.M{"body": fmt.Sprint(i, " ", strings.Repeat("x", 900_000)), "fromUserId": w.people[0], "readBy": []any{}, "guid": fmt.Sprint("bulky ", i)})
	}
	path := file(t)
	cmd, out := w.start(job{Path: path})
	var peak int64
	for out.Scan() {
		peak = max(peak, memory(t, cmd.Process.Pid))
	}
	require.NoError(t, cmd.Wait())
	t.Logf("%d messages: the process had at most %d MB", messages, peak>>20)
	assert.Less(t, peak, int64(200<<20))
	require.Empty(t, verify(t, path).Damage)
}
