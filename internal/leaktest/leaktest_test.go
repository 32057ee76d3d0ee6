package leaktest_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

func TestAGoroutineThatStaysIsTold(t *testing.T) {
	end := make(chan struct{})
	go func() { <-end }()
	err := leaktest.Wait(0)
	close(end)
	require.Error(t, err)
	assert.Contains(t, err.Error(), "TestAGoroutineThatStaysIsTold")
}

func TestAGoroutineThatEndsLateIsNone(t *testing.T) {
	end := make(chan struct{})
	time.AfterFunc(2*time.Second, func() { close(end) }) // later than goleak waits
	go func() { <-end }()
	assert.NoError(t, leaktest.Wait(time.Minute))
}
