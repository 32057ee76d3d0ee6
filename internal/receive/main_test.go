package receive_test

import (
	"testing"

	"github.com/fliplet/fliplet-chat-go/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }
