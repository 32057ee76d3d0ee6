package main

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// Changes of members wait for those of other clients: here on virtual time.
func TestGroupsAndChannels(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	synctest.Test(t, func(t *testing.T) {
		require.NoError(t, run(t.Context(), &out, fliplettest.InProcess()))
	})
	assert.Equal(t, `Launch: Bob, Eve, Jane
Eve asks for it: new false, ticket 42
Launch: Ann, Bob, Jane
muted for Bob true, for Jane false
Jane has 1 unread
Bob has 1 unread
Eve has 0 unread
channel News has 2 members
Eve sees 1 messages of it
Ann has to join first: true
deleting it is refused with status 400
`, out.String())
}
