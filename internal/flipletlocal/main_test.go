package flipletlocal

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"github.com/fliplet/fliplet-chat-go/internal/leaktest"
)

// asProgram makes the test binary be the program, for tests that kill it.
const asProgram = "FLIPLET_LOCAL_TEST_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		context.AfterFunc(ctx, stop)
		os.Exit(Run(ctx, os.Args[1:], os.Stdout, os.Stderr))
	}
	leaktest.Main(m)
}
