package boltstore_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/leaktest"
	"github.com/fliplet/fliplet-chat-go/storage/boltstore"
)

// childFile names the file for a process that this test starts of itself.
const childFile = "BOLTSTORE_TEST_CHILD"

func TestMain(m *testing.M) {
	if path := os.Getenv(childFile); path != "" {
		child(path)
		return
	}
	leaktest.Main(m)
}

// child counts two keys up, one after the other, and says so after each round
// until it is killed.
func child(path string) {
	s, err := boltstore.Open(path)
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	ctx := context.Background()
	for i := 1; ; i++ {
		for _, key := range []string{"first", "second"} {
			if err := s.Set(ctx, key, pad(i)); err != nil {
				fmt.Println("error:", err)
				os.Exit(1)
			}
		}
		fmt.Println(i)
	}
}

// pad makes values that span pages.
func pad(i int) []byte { return fmt.Appendf(nil, "%09000d", i) }

// start runs a child and reads its count until it has reached n.
func start(t *testing.T, path string, n int) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childFile+"="+path)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have been killed already
		_ = cmd.Wait()
	})
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		i, err := strconv.Atoi(lines.Text())
		require.NoError(t, err, lines.Text())
		if i >= n {
			return cmd
		}
	}
	require.Fail(t, "the child ended")
	return nil
}

func TestAnotherProcessIsToldThatTheFileIsInUse(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "chat.db")
	start(t, path, 1)
	_, err := boltstore.Open(path, boltstore.Timeout(20*time.Millisecond))
	require.ErrorIs(t, err, boltstore.ErrLocked)
}

func TestKilledProcessLosesNothingItWasToldIsStored(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "chat.db")
	stored := 0
	for round := range 5 {
		cmd := start(t, path, stored%3+3)
		require.NoError(t, cmd.Process.Kill())
		_ = cmd.Wait()
		s := open(t, path)
		var count [2]int
		for i, key := range []string{"first", "second"} {
			v, err := s.Get(t.Context(), key)
			require.NoError(t, err)
			require.Len(t, v, 9000)
			count[i], err = strconv.Atoi(string(v))
			require.NoError(t, err)
		}
		assert.GreaterOrEqual(t, count[1], stored%3+3, "round %d", round)
		assert.Contains(t, []int{0, 1}, count[0]-count[1], "one write at a time, in order")
		stored++
		require.NoError(t, s.Close())
	}
}
