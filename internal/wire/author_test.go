package wire_test

import (
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

func TestARowIsSignedByItsSenderWhoHasReadIt(t *testing.T) {
	t.Parallel()
	var a wire.Author
	for name, is := range map[string]struct {
		before any
		after  []string
	}{
		"nobody":          {nil, []string{"jane"}},
		"an empty list":   {[]any{}, []string{"jane"}},
		"others":          {[]any{"bob", "eve"}, []string{"jane", "bob", "eve"}},
		"the user, too":   {[]string{"bob", "jane"}, []string{"bob", "jane"}},
		"a list in JSON":  {`["bob"]`, []string{"jane", "bob"}},
		"something else":  {7, []string{"jane", "7"}},
		"another's claim": {[]string{"bob"}, []string{"jane", "bob"}},
	} {
		row := wire.M{wire.ReadBy: is.before, wire.From: "bob"}
		a.Sign(row, "jane", "t")
		assert.Equal(t, "jane", row[wire.From], name)
		assert.Equal(t, is.after, wire.Strings(row[wire.ReadBy]), name)
	}
}

func TestParametersAreThoseOfTheTokenThatIsUsed(t *testing.T) {
	t.Parallel()
	var a wire.Author
	var wg sync.WaitGroup
	for range 4 { // a login while messages are sent
		wg.Go(func() {
			for _, token := range []string{"one", "two", "", "one"} {
				assert.Equal(t, wire.InsertParams(token), a.Params("jane", token))
				row := wire.M{}
				a.Sign(row, token, token)
				assert.Equal(t, token, row[wire.From])
			}
		})
	}
	wg.Wait()
}

func TestAGUIDIsARandomUUID(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 1000 {
		guid := wire.NewGUID()
		u, err := uuid.Parse(guid)
		require.NoError(t, err)
		assert.Equal(t, uuid.Version(4), u.Version())
		assert.Equal(t, uuid.RFC4122, u.Variant())
		assert.False(t, seen[guid])
		seen[guid] = true
	}
}
