package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestGroupsAndChannels(t *testing.T) {
	var out strings.Builder
	require.NoError(t, run(t.Context(), &out))
	assert.Equal(t, `Launch: Bob, Eve, Jane
Eve asks for it: new false, ticket 42
Launch: Ann, Bob, Jane
muted for Bob true, for Jane false
Jane has 1 unread
Bob has 1 unread
Eve has 0 unread
channel News has 2 members
Eve sees 1 messages of it
Ann sees 0 messages of it
deleting it is refused with status 400
`, out.String())
}
