package natsstore_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/storage/natsstore"
)

func TestANilOptionIsNone(t *testing.T) {
	t.Parallel()
	_, err := natsstore.Open(t.Context(), nil, "bucket", nil)
	require.ErrorContains(t, err, "js is nil")
}
