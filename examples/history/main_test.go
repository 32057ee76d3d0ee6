package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

func TestHistoryComesWholeInPages(t *testing.T) {
	var out strings.Builder
	require.NoError(t, run(t.Context(), &out))
	assert.Equal(t, `100 messages, from "message 151" to "message 250"
100 messages, from "message 51" to "message 150"
 50 messages, from "message 1" to "message 50"
250 messages, each once
`, out.String())
}
