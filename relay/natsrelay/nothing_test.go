package natsrelay_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/relay/natsrelay"
)

func TestANilOptionIsNone(t *testing.T) {
	t.Parallel()
	_, err := natsrelay.Open(t.Context(), nil, "stream", "shard", nil)
	require.ErrorContains(t, err, "js is nil")
}
