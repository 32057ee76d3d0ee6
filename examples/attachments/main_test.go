package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

func TestAttachmentsArriveWhole(t *testing.T) {
	var out strings.Builder
	require.NoError(t, run(t.Context(), &out))
	assert.Equal(t, `map.png: a picture of 64×48
"The numbers, and where they come from"
link https://example.org/source
report.csv: text/csv, 130000 bytes, 10000 lines
without the conversation's key: refused
`, out.String())
}
