package chat_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

func TestContactsComeInTheOrderAskedForWhateverTheServerDoes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fliplettest.InProcess())
	w.FreezeClock() // all of them are created at once
	people, ids := w.AddContacts(
		chat.M{"Name": "Cleo", "Team": "b", "Points": "9"}, chat.M{"Name": "Ann", "Team": "a", "Points": "10"}, chat.M{"Name": "Bob", "Team": "b", "Points": 9},
		chat.M{"Name": "Dora", "Team": "a", "Points": -1}, chat.M{"Name": "Eli", "Team": "a"},
	)
	c := w.connect(func(o *chat.Options) { o.DataSourceID = people })
	by := func(order ...string) []chat.ContactsOption {
		var out []chat.ContactsOption
		for _, column := range order {
			direction := datasource.Asc
			if column[0] == '-' {
				column, direction = column[1:], datasource.Desc
			}
			out = append(out, chat.OrderBy(column, direction))
		}
		return out
	}
	for _, faults := range [][]fliplettest.Fault{{fliplettest.Delay(0)}, {fliplettest.Ignore("order")}, {fliplettest.Ignore("order", "limit", "offset")}, {fliplettest.Shuffle()}} {
		lever := w.Always(fliplettest.Query, faults...)
		for name, test := range map[string]struct {
			opts []chat.ContactsOption
			want []int // indexes into ids
		}{
			"a tie, decided by the id":      {by("createdAt", "id"), []int{0, 1, 2, 3, 4}},
			"a tie, decided by a column":    {by("-createdAt", "data.Name"), []int{1, 2, 0, 3, 4}},
			"a column, and a tie in it":     {by("data.Team", "-id"), []int{4, 3, 1, 2, 0}},
			"numbers by value, absent last": {by("data.Points", "data.Name"), []int{3, 2, 0, 1, 4}},
			"the first of them":             {append(by("data.Name"), chat.Limit(2)), []int{1, 2}},
			"some of them":                  {append(by("createdAt", "data.Name"), chat.Limit(2), chat.Offset(2)), []int{0, 3}},
		} {
			got, err := c.Contacts(t.Context(), test.opts...)
			require.NoError(t, err)
			want := []int64{}
			for _, i := range test.want {
				want = append(want, ids[i])
			}
			assert.Equal(t, want, rowIDs(got), "%s, with faults %v", name, faults)
		}
		lever.Off()
	}
}

func TestChatTokensOfOthersAreNotHandedOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	jane, bob := w.login("jane"), w.login("bob")
	require.NotEmpty(t, w.token("bob"))
	conv, ctx := w.converse(jane, "bob"), t.Context()
	check := func(list []*chat.Contact, err error) {
		t.Helper()
		require.NoError(t, err)
		require.NotEmpty(t, list)
		for _, contact := range list {
			assert.NotContains(t, contact.Data, "flUserToken")
			assert.NotContains(t, contact.Extra, "flUserToken")
		}
	}
	check(jane.Contacts(ctx))
	check(jane.Contacts(ctx, chat.Where(chat.M{"Email": "bob@example.org"})))
	check(jane.Contacts(ctx, chat.Offline()))
	check(conv.Participants().Fetch(ctx))
	one, err := jane.ContactByUserID(ctx, bob.User().UserID)
	check([]*chat.Contact{one}, err)
}

func rowIDs(list []*chat.Contact) []int64 {
	out := []int64{}
	for _, contact := range list {
		out = append(out, contact.ID)
	}
	return out
}
