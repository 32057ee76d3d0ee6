package roster

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestMembersAreThoseThatWereListedWhateverTheirIDsAre(t *testing.T) {
	t.Parallel()
	m := membersOf([]string{"bob", "u-jane", "", "eve\x00mallory", "ü"})
	for _, id := range []string{"bob", "u-jane", "ü"} {
		assert.True(t, m.has(id), id)
	}
	for _, id := range []string{"bo", "jane", "eve", "mallory", "eve\x00mallory", "bob\x00", "\x00", "bob\x00\x00u-jane"} {
		assert.False(t, m.has(id), "%q", id)
	}
	assert.Empty(t, membersOf(nil))
	assert.False(t, membersOf(nil).has("bob"))
	assert.False(t, (&known{members: m}).has(""))
}
