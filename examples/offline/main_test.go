package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

func TestOfflineStartShowsWhatWasThere(t *testing.T) {
	var out strings.Builder
	require.NoError(t, run(t.Context(), &out))
	assert.Equal(t, `Monday, online
  Bob: Pizza or soup?
Tuesday, in a tunnel
  2 contacts, 1 conversation: Lunch
  fresh contacts: not now
  Bob: Pizza or soup?
The tunnel ends
  Bob: I ate both.
`, out.String())
}
