package chat_test

import (
	"os"
	"testing"

	"github.com/fliplet/fliplet-chat-go/internal/leaktest"
)

// TestMain fails the run when a goroutine is left behind. The benchmarks run this
// program again as their server.
func TestMain(m *testing.M) {
	if os.Getenv(benchServerEnv) != "" {
		runBenchServer()
		return
	}
	if os.Getenv(killedConsumerEnv) != "" {
		runKilledConsumer()
		return
	}
	leaktest.Main(m)
}
