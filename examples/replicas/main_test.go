package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) {
	if os.Getenv(configEnv) != "" {
		if err := start(context.Background(), os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func TestAKilledReplicaLosesAndRepeatsNothing(t *testing.T) {
	var out strings.Builder
	require.NoError(t, start(t.Context(), &out))
	assert.Equal(t, `3 replicas, 100 messages are in the stream
the one that worked is killed, another one has taken over
ok: 200 messages, 0 lost, 0 twice
`, out.String())
}

func TestWhatIsLostOrTwiceIsCounted(t *testing.T) {
	lost, twice := compare([]int64{1, 2, 3, 4}, map[int64]int{1: 1, 2: 3, 4: 2})
	assert.Equal(t, [2]int{1, 3}, [2]int{lost, twice})
}
