package wire_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// Every secret is as long as it says, uses its whole alphabet evenly at every place, and
// never comes twice.
func TestSecretsAreRandom(t *testing.T) {
	t.Parallel()
	const hex = "0123456789abcdef"
	for name, c := range map[string]struct {
		draw     func() string
		size     int
		alphabet string
	}{
		"chat token": {wire.NewUserToken, 64, hex},
		"passphrase": {wire.NewPassphrase, 32, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"},
		"key of a definition": {func() string {
			def := wire.NewDefinition()
			require.NoError(t, def.SetBodyKey())
			return def.BodyKey()
		}, 32, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"},
		"invite code": {func() string {
			def := wire.NewDefinition()
			require.NoError(t, def.Invite())
			return def.InviteCode()
		}, 32, hex},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const draws = 4000
			seen := map[string]bool{}
			all := map[byte]int{}
			places := make([]map[byte]bool, c.size)
			for range draws {
				s := c.draw()
				require.Len(t, s, c.size)
				seen[s] = true
				for i := range len(s) {
					require.True(t, strings.IndexByte(c.alphabet, s[i]) >= 0, "%q", s[i])
					all[s[i]]++
					if places[i] == nil {
						places[i] = map[byte]bool{}
					}
					places[i][s[i]] = true
				}
			}
			assert.Len(t, seen, draws)
			even := float64(draws*c.size) / float64(len(c.alphabet))
			for i := range len(c.alphabet) {
				// A byte reduced by remainder would make some a quarter more frequent.
				assert.InEpsilon(t, even, all[c.alphabet[i]], 0.12, "%q", c.alphabet[i])
			}
			for i, place := range places {
				assert.Len(t, place, len(c.alphabet), "place %d", i)
			}
		})
	}
}

func TestDerivedIDsDependOnTheSourceOfTheContacts(t *testing.T) {
	t.Parallel()
	assert.Equal(t, wire.DeriveUserID(7, "jane@x.com"), wire.DeriveUserID(7, " JANE@x.com "), "two devices agree")
	assert.NotEqual(t, wire.DeriveUserID(7, "jane@x.com"), wire.DeriveUserID(8, "jane@x.com"))
	assert.NotEqual(t, wire.DeriveUserID(7, "jane@x.com"), wire.DeriveUserID(7, "bob@x.com"))
	assert.Equal(t, wire.LegacyUserID(7, 1), wire.LegacyUserID(7, 1))
	assert.NotEqual(t, wire.LegacyUserID(7, 1), wire.LegacyUserID(8, 1))
	assert.NotEqual(t, wire.LegacyUserID(7, 1), wire.LegacyUserID(7, 2))
	assert.NotEqual(t, wire.FallbackBodyKey(1), wire.FallbackBodyKey(2))
	assert.NotEqual(t, wire.DeriveUserID(7, " "), wire.DeriveUserID(7, " "), "without a value it is random")
}
