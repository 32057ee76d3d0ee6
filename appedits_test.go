package chat_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

// An App's token is no member of any of these conversations, and no person.
func TestAnAppListsReadsAndChangesConversationsThatItsTokenIsNoMemberOf(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, 0)
		jane := o.login("jane")
		first := o.converse(jane, "bob")
		kept, doomed := o.say(jane, first, "Damn it"), o.say(jane, first, "casino")
		time.Sleep(time.Minute)
		second := o.converse(jane, "eve")
		o.say(jane, second, "elsewhere")
		app := o.in(t, func(opts *chat.AppOptions) { opts.EncryptMessages = true })
		ctx := t.Context()

		before := o.requests.n.Load()
		list, err := app.Conversations(ctx)
		require.NoError(t, err)
		require.Len(t, list, 2)
		assert.Equal(t, []int64{second.ID, first.ID}, []int64{list[0].ID, list[1].ID}, "the latest activity first")
		assert.ElementsMatch(t, first.Participants().IDs(), list[1].Participants().IDs())
		assert.Equal(t, int64(1), o.requests.n.Load()-before)

		conv, err := app.Conversation(ctx, first.ID)
		require.NoError(t, err)
		m, err := conv.Messages().Get(ctx, kept.ID)
		require.NoError(t, err)
		assert.Equal(t, "Damn it", m.Body)
		fetched, err := conv.Messages().Fetch(ctx)
		require.NoError(t, err)
		assert.Len(t, fetched, 2)

		before = o.requests.n.Load()
		m, err = app.UpdateMessage(ctx, first.ID, kept.ID, chat.M{"body": "**** it", "isModerated": true})
		require.NoError(t, err)
		assert.Equal(t, "**** it", m.Body)
		require.NoError(t, app.DeleteMessage(ctx, first.ID, doomed.ID))
		assert.Equal(t, int64(2), o.requests.n.Load()-before)
		time.Sleep(10 * time.Second)
		left, err := jane.Messages(ctx, chat.In(first.ID))
		require.NoError(t, err)
		require.Len(t, left, 1)
		assert.Equal(t, "**** it", left[0].Body)
		assert.Equal(t, true, left[0].Data["isModerated"])
		assert.Equal(t, jane.User().UserID, left[0].FromUserID, "it is still hers")
		row, err := o.Client().FindByID(ctx, first.ID, kept.ID)
		require.NoError(t, err)
		assert.NotEqual(t, "**** it", row.Data["body"], "it is stored encrypted")

		eve, err := jane.ContactByUserID(ctx, second.Participants().IDs()[1])
		require.NoError(t, err)
		require.NoError(t, conv.Participants().Add(ctx, eve.ID))
		list, err = o.login("eve").Conversations(ctx)
		require.NoError(t, err)
		assert.Len(t, list, 2)
		require.NoError(t, conv.Participants().Remove(ctx, eve.ID))
		require.ErrorIs(t, conv.Notifications().Mute(ctx), chat.ErrNotLoggedIn)
		assert.NotContains(t, string(sure(o.Client().DataSource(ctx, first.ID)).Definition), "mute")
	})
}

func TestTheEditsOfAnAppTellWhatIsWrong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, 1)
		app := o.in(t, nil)
		ctx := t.Context()
		conversation := func(id int64) error { _, err := app.Conversation(ctx, id); return err }
		update := func(conv, id int64, data chat.M) error { _, err := app.UpdateMessage(ctx, conv, id, data); return err }
		before := o.requests.n.Load()
		for says, err := range map[string]error{
			"id: 0 is not":               conversation(0),
			"conversationID: 0 is not":   update(0, 1, chat.M{"body": "x"}),
			"messageID: -1 is not":       app.DeleteMessage(ctx, o.rooms[0], -1),
			"data: empty":                update(o.rooms[0], 1, nil),
			`data: column "flUserToken"`: update(o.rooms[0], 1, chat.M{"flUserToken": "x"}),
		} {
			require.ErrorIs(t, err, chat.ErrInvalid)
			require.ErrorContains(t, err, says)
		}
		assert.Equal(t, before, o.requests.n.Load(), "requests")
		require.ErrorIs(t, conversation(o.contacts), chat.ErrNotFound, "the contacts are no conversation")
		require.ErrorIs(t, app.DeleteMessage(ctx, o.contacts, 1), chat.ErrNotFound, "nor do its rows get deleted")
		require.ErrorIs(t, app.DeleteMessage(ctx, o.rooms[0], 1<<40), chat.ErrNotFound)
		require.ErrorIs(t, update(o.rooms[0], 1<<40, chat.M{"body": "x"}), chat.ErrNotFound)
		o.Next(1, fliplettest.ListSources, fliplettest.Status(400))
		_, err := app.Conversations(ctx)
		require.Error(t, err)
		require.NoError(t, app.Close())
		_, err = app.Conversations(ctx)
		require.ErrorIs(t, err, chat.ErrClosed)
	})
}

// A desk that looks at conversations now and then listens to nothing.
func TestAnAppWhoseHistoriesAreReadReadsNothingElse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, 3)
		o.send(250*3, 0)
		app := o.in(t, nil)
		time.Sleep(time.Minute)
		before, n := o.requests.n.Load(), 0
		for _, err := range app.History(t.Context(), o.rooms[1]) {
			require.NoError(t, err)
			n++
		}
		assert.Equal(t, 250, n)
		assert.LessOrEqual(t, o.requests.n.Load()-before, int64(4), "two pages, of which the second begins in the middle of a moment, and what tells that the conversation exists")
		before = o.requests.n.Load()
		time.Sleep(time.Hour)
		assert.Equal(t, before, o.requests.n.Load(), "nobody listens")
	})
}
