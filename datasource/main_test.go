package datasource_test

import (
	"os"
	"testing"

	"github.com/fliplet/fliplet-chat-go/internal/leaktest"
)

func TestMain(m *testing.M) {
	if os.Getenv(benchServer) != "" {
		runBenchServer()
		return
	}
	leaktest.Main(m)
}
