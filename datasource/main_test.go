package datasource_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if os.Getenv(benchServer) != "" {
		runBenchServer()
		return
	}
	goleak.VerifyTestMain(m)
}
