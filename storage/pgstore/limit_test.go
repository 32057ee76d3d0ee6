package pgstore_test

import (
	"os"
	"testing"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/limitertest"
	"github.com/fliplet/fliplet-chat-go/storage"
)

func TestReplicasShareALimit(t *testing.T) {
	t.Parallel()
	long := 2 * time.Second
	if os.Getenv("CHAT_LONG") == "1" {
		long = 15 * time.Second
	}
	dsn := server(t).Database(t)
	limitertest.Share(t, long, func() storage.Store { return open(t, dsn) })
}
