package limitertest_test

import (
	"testing"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/leaktest"
	"github.com/fliplet/fliplet-chat-go/internal/limitertest"
	"github.com/fliplet/fliplet-chat-go/internal/longtest"
	"github.com/fliplet/fliplet-chat-go/storage"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

func TestReplicasShareALimitInRealTime(t *testing.T) {
	t.Parallel()
	store := storage.NewMemory()
	limitertest.Share(t, time.Duration(longtest.Size(1, 10))*time.Second, func() storage.Store { return store })
}
