package chat_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

func TestTwoPeopleChat(t *testing.T) {
	w := newWorld(t)
	jane, bob := w.login("jane"), w.login("bob")
	conv := w.converse(jane, "bob")
	assert.True(t, conv.IsNew)
	toBob, toJane := stream(t, bob), stream(t, jane)
	sent := w.say(jane, conv, "Hello Bob 👋")
	assert.Equal(t, "Hello Bob 👋", sent.Body)
	got := toBob.wait(t, 1)[0]
	assert.Equal(t, "Hello Bob 👋", got.Body)
	assert.Equal(t, jane.User().UserID, got.FromUserID)
	assert.False(t, got.IsReadByCurrentUser)
	w.say(bob, conv, "Hi Jane")
	assert.Equal(t, []string{"Hello Bob 👋", "Hi Jane"}, bodies(toJane.wait(t, 2)))
}

func TestStoredBodiesAreCiphertext(t *testing.T) {
	w := newWorld(t)
	jane := w.login("jane")
	conv := w.converse(jane, "bob")
	sent := w.say(jane, conv, "secret plans")
	row, err := w.Client().FindByID(t.Context(), conv.ID, sent.ID)
	require.NoError(t, err)
	assert.True(t, strings.HasPrefix(row.Data["body"].(string), "U2FsdGVkX1"))
	assert.NotContains(t, fmt.Sprint(row.Data), "secret plans")
}

func TestOutsiderReceivesNothing(t *testing.T) {
	w := newWorld(t)
	jane, bob, eve := w.login("jane"), w.login("bob"), w.login("eve")
	conv := w.converse(jane, "bob")
	toBob, toEve := stream(t, bob), stream(t, eve)
	w.say(jane, conv, "not for Eve")
	toBob.wait(t, 1)
	require.NoError(t, eve.Poll(t.Context()))
	assert.Empty(t, toEve.all())
	msgs, err := eve.Messages(t.Context())
	require.NoError(t, err)
	assert.Empty(t, msgs)
	list, err := eve.Conversations(t.Context())
	require.NoError(t, err)
	assert.Empty(t, list)
	n, err := eve.Unread().Count(t.Context())
	require.NoError(t, err)
	assert.Zero(t, n)
}

func TestSameParticipantsGiveTheSameConversation(t *testing.T) {
	w := newWorld(t)
	jane, bob := w.login("jane"), w.login("bob")
	first := w.converse(jane, "bob")
	assert.True(t, first.IsNew)
	for _, again := range []*chat.Conversation{w.converse(jane, "bob"), w.converse(bob, "jane")} {
		assert.Equal(t, first.ID, again.ID)
		assert.False(t, again.IsNew)
	}
	group := w.converse(jane, "bob", "eve")
	assert.NotEqual(t, first.ID, group.ID)
	assert.True(t, group.IsGroup)
	assert.Equal(t, group.ID, w.converse(bob, "eve", "jane").ID)
}

func TestLoginIsRefusedForAPartOfAnotherAddress(t *testing.T) {
	w := newWorld(t)
	contacts, _ := w.AddContacts(datasource.M{"Email": "banjo@x.com"})
	c := w.connect(func(o *chat.Options) { o.DataSourceID = contacts })
	_, err := c.Login(t.Context(), chat.M{"Email": chat.M{"$iLike": "jo@x.com"}})
	require.ErrorIs(t, err, chat.ErrContactNotFound)
	var e *chat.Error
	require.ErrorAs(t, err, &e)
	assert.Equal(t, 404, e.Code)
	assert.Nil(t, c.User())
}

func TestMarkingAsReadKeepsBodyAndCustomColumns(t *testing.T) {
	w := newWorld(t)
	jane, bob := w.login("jane"), w.login("bob")
	conv := w.converse(jane, "bob")
	_, err := jane.Message(t.Context(), conv.ID, chat.Draft{Body: "hi", Data: chat.M{"ticket": 42, "tags": []string{"a"}}})
	require.NoError(t, err)
	unread, err := bob.Unread().Get(t.Context())
	require.NoError(t, err)
	require.Len(t, unread, 1)
	require.NoError(t, bob.MarkMessagesAsRead(t.Context(), unread...))
	assert.True(t, unread[0].IsReadByCurrentUser)
	n, err := bob.Unread().Count(t.Context())
	require.NoError(t, err)
	assert.Zero(t, n)
	msgs, err := bob.Messages(t.Context(), chat.In(conv.ID))
	require.NoError(t, err)
	require.Len(t, msgs, 1)
	assert.Equal(t, "hi", msgs[0].Body)
	assert.Equal(t, json.Number("42"), msgs[0].Data["ticket"])
	assert.Equal(t, []any{"a"}, msgs[0].Data["tags"])
	assert.Equal(t, []string{jane.User().UserID, bob.User().UserID}, msgs[0].ReadBy)
}

func TestThousandRowsOfOneTimestampArriveOnceInOrder(t *testing.T) {
	w := newWorld(t)
	jane, bob := w.login("jane"), w.login("bob")
	conv := w.converse(jane, "bob")
	toBob := stream(t, bob)
	rows := make([]datasource.M, 1000)
	for i := range rows {
		rows[i] = datasource.M{"body": fmt.Sprint(i), "fromUserId": jane.User().UserID, "readBy": []string{}}
	}
	_, err := w.Client().Append(t.Context(), conv.ID, rows)
	require.NoError(t, err)
	got := toBob.wait(t, 1000)
	require.NoError(t, bob.Poll(t.Context()))
	require.Len(t, toBob.all(), 1000)
	for i, m := range got {
		assert.True(t, m.CreatedAt.Equal(got[0].CreatedAt), "one timestamp")
		if i > 0 {
			assert.Greater(t, m.ID, got[i-1].ID)
		}
	}
}

func TestEditsArriveAsUpdatesAndDeletionsAsDeletions(t *testing.T) {
	w := newWorld(t)
	jane, bob := w.login("jane"), w.login("bob")
	conv := w.converse(jane, "bob")
	toBob := stream(t, bob)
	m, err := jane.Message(t.Context(), conv.ID, chat.Draft{Body: "helo", Data: chat.M{"room": "A1"}})
	require.NoError(t, err)
	toBob.wait(t, 1)
	edited, err := jane.UpdateMessage(t.Context(), conv.ID, m.ID, chat.M{"body": "hello", "isEdited": true})
	require.NoError(t, err)
	assert.Equal(t, "hello", edited.Body)
	assert.Equal(t, "A1", edited.Data["room"], "other columns stay")
	assert.NotContains(t, fmt.Sprint(w.Rows(conv.ID)[0].Data), "hello", "it is stored as ciphertext")
	toBob.wait(t, 2)
	require.NoError(t, jane.DeleteMessage(t.Context(), conv.ID, m.ID))
	got := toBob.wait(t, 3)
	assert.False(t, got[0].IsUpdate)
	assert.True(t, got[1].IsUpdate)
	assert.Equal(t, "hello", got[1].Body)
	assert.True(t, got[2].IsDeleted)
	assert.Equal(t, m.ID, got[2].ID)
	assert.NotNil(t, got[2].DeletedAt)
}

func TestLargeIntegerColumnSurvivesARoundTrip(t *testing.T) {
	w := newWorld(t)
	jane, bob := w.login("jane"), w.login("bob")
	conv := w.converse(jane, "bob")
	toBob := stream(t, bob)
	const big = int64(9007199254740993)
	sent, err := jane.Message(t.Context(), conv.ID, chat.Draft{Body: "x", Data: chat.M{"ref": big}})
	require.NoError(t, err)
	require.NoError(t, bob.MarkMessagesAsRead(t.Context(), toBob.wait(t, 1)...))
	msgs, err := jane.Messages(t.Context(), chat.In(conv.ID))
	require.NoError(t, err)
	for _, m := range []*chat.Message{sent, toBob.all()[0], msgs[0]} {
		assert.Equal(t, fmt.Sprint(big), fmt.Sprint(m.Data["ref"]))
	}
}

func TestUnknownDefinitionKeysSurviveAMembershipChange(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		jane := w.login("jane")
		conv := w.converse(jane, "bob")
		key := conv.EncryptionKey()
		ds, err := w.Client().DataSource(t.Context(), conv.ID)
		require.NoError(t, err)
		var def map[string]any
		require.NoError(t, json.Unmarshal(ds.Definition, &def))
		def["future"] = map[string]any{"n": json.Number("9007199254740993")}
		raw, err := json.Marshal(def)
		require.NoError(t, err)
		_, err = w.Client().UpdateDataSource(context.Background(), conv.ID, datasource.SourcePatch{Definition: raw})
		require.NoError(t, err)
		require.NoError(t, conv.Notifications().Mute(t.Context()))
		require.NoError(t, conv.Participants().Add(t.Context(), w.ids["eve"]))
		assert.True(t, conv.IsMuted())
		assert.Len(t, conv.Participants().IDs(), 3)
		ds, err = w.Client().DataSource(t.Context(), conv.ID)
		require.NoError(t, err)
		assert.Contains(t, string(ds.Definition), `"n":9007199254740993`)
		assert.Contains(t, string(ds.Definition), `mutedParticipants`)
		assert.Contains(t, string(ds.Definition), key)
	})
}
