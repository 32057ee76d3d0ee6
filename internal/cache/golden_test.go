package cache

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/storage"
)

func TestKeysStayAsTheyWere(t *testing.T) {
	virtual(t, func(t *testing.T) {
		c := New(Config{KeepsMessages: true, BaseURL: "https://api.example.org:8443/sub", DataSourceID: 42})
		for userID, key := range map[string]string{
			"":                       "fl-chat-cache/api.example.org:8443/42//user",
			"a/b c%":                 "fl-chat-cache/api.example.org:8443/42/a%2Fb%20c%25/user",
			"üser":                   "fl-chat-cache/api.example.org:8443/42/%C3%BCser/user",
			strings.Repeat("x", 200): "fl-chat-cache/api.example.org:8443/42/" + strings.Repeat("x", 200) + "/user",
			strings.Repeat("x", 201): "fl-chat-cache/api.example.org:8443/42/sha256:84a0678c90937f5dcf9994d5866668da6b995109c8ad845410559b48a4ecafed/user",
			strings.Repeat("ü", 34):  "fl-chat-cache/api.example.org:8443/42/sha256:93b2e8697f57da18b4bc0660396113a8785c5819fbe080761d26954ccd2243b9/user",
		} {
			assert.Equal(t, key, c.Key(userID, "user"))
		}
		assert.Equal(t, "fl-chat-cache/no url/7/u/outbox", New(Config{KeepsMessages: true, BaseURL: "no url", DataSourceID: 7}).Key("u", "outbox"))
	})
}

func TestAStoreOfAnEarlierVersionIsRead(t *testing.T) {
	stores(t, func(t *testing.T, s storage.Store) {
		golden(t, s)
		c := open(s)
		row, token, ok := c.FindUser(t.Context(), "", nil, byID(bob))
		require.True(t, ok)
		assert.Equal(t, int64(5002), row.ID)
		assert.Equal(t, "bob@example.org", row.Data["Email"])
		assert.Equal(t, "6723b7810383b15139cb3d515618331daece57b68468fd7d4787bf9b9ecd2221", token)

		for _, userID := range []string{"", jane} {
			contacts, ok, err := c.User(userID).Contacts(t.Context())
			require.NoError(t, err)
			require.True(t, ok)
			require.Len(t, contacts, 3)
			assert.Equal(t, "eve", contacts[0].Data["Full name"])
			assert.Equal(t, int64(5001), contacts[2].ID)
			assert.Equal(t, int64(101), contacts[2].DataSourceID)
		}
		_, ok, err := c.User(bob).Contacts(t.Context())
		require.NoError(t, err)
		assert.False(t, ok)

		list, ok, err := c.User(jane).Conversations(t.Context())
		require.NoError(t, err)
		require.True(t, ok)
		require.Len(t, list, 1)
		assert.Equal(t, int64(102), list[0].ID)
		assert.Equal(t, "conversation", list[0].Type)
		assert.Contains(t, string(list[0].Definition), `"encryptionKey":"vIJsvAVQcWJ5HRBp6yxfpAjDu62OYFcI"`)

		rows, upto := c.User(jane).Messages(t.Context())
		require.Len(t, rows, 2)
		assert.Equal(t, feed.Time(1795658507518000), upto)
		assert.Equal(t, []int64{5004, 5005}, []int64{rows[0].ID, rows[1].ID})
		assert.Equal(t, json.Number("9007199254740993"), rows[1].Data["ref"])
		assert.Equal(t, json.Number("1.0"), rows[1].Data["rate"])
		assert.Equal(t, upto, feed.Time(rows[1].UpdatedAt.UnixMicro()))
	})
}

// Reading what an earlier version stored and storing it again changes nothing, so that
// the earlier version can read it, too.
func TestWhatIsStoredStaysAsItWas(t *testing.T) {
	virtual(t, func(t *testing.T) {
		from, to := storage.NewMemory(), plain{storage.NewMemory()}
		want := golden(t, from)
		a, b := open(from), open(to)
		for _, userID := range []string{jane, bob} {
			row, token, ok := a.FindUser(t.Context(), "", nil, byID(userID))
			require.True(t, ok)
			b.User(userID).Remember(t.Context(), row, token, "")
		}
		for _, userID := range []string{"", jane} {
			rows, _, err := a.User(userID).Contacts(t.Context())
			require.NoError(t, err)
			b.User(userID).SaveContacts(t.Context(), rows)
		}
		list, _, err := a.User(jane).Conversations(t.Context())
		require.NoError(t, err)
		b.User(jane).SaveConversations(t.Context(), list)
		rows, _ := a.User(jane).Messages(t.Context())
		b.User(jane).Seen(t.Context(), feed.Query{Kind: feed.Newest, Limit: 3}, []datasource.Entry{rows[1], rows[0]}, 0)
		got := dump(t, to)
		lists := slices.DeleteFunc(slices.Sorted(maps.Keys(got)), func(key string) bool { return !strings.Contains(key, "//users/") })
		assert.Len(t, lists, 3, "in the place of one list of all users")
		maps.DeleteFunc(got, func(key, _ string) bool { return slices.Contains(lists, key) })
		delete(want, a.registry())
		assert.Equal(t, want, got)
	})
}

func TestALogoutRemovesWhatAnEarlierVersionStored(t *testing.T) {
	stores(t, func(t *testing.T, s storage.Store) {
		golden(t, s)
		c := open(s)
		require.NoError(t, s.Set(t.Context(), "fl-chat-auth-email", []byte("x")))
		require.NoError(t, c.User(jane).Forget(t.Context()))
		for key, v := range dump(t, s) {
			assert.NotContains(t, key, jane)
			assert.NotContains(t, key, "email")
			if !strings.HasSuffix(key, "//contacts") { // those are nobody's
				assert.NotContains(t, v, jane, key)
			}
		}
		_, _, ok := c.FindUser(t.Context(), "", nil, byID(jane))
		assert.False(t, ok)
		_, _, ok = c.FindUser(t.Context(), "", nil, byID(bob))
		assert.True(t, ok)
	})
}
