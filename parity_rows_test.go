package chat_test

import (
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

func TestConnectNamesEveryProblemAtOnce(t *testing.T) {
	t.Parallel()
	_, err := chat.Connect(t.Context(), chat.Options{DataSourceID: 0, AppID: -1, MinProtection: 9})
	require.ErrorIs(t, err, chat.ErrInvalid)
	for _, field := range []string{"Options.Client", "Options.DataSourceID", "Options.AppID", "Options.MinProtection"} {
		assert.ErrorContains(t, err, field)
	}
	w := newWorld(t)
	for _, id := range []int64{0, -1} {
		_, err := chat.Connect(t.Context(), chat.Options{Client: w.Client(), DataSourceID: id})
		require.ErrorIs(t, err, chat.ErrInvalid)
	}
}

func TestMessagesOfSomeConversations(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	jane := w.login("jane")
	one, two, three := w.converse(jane, "bob"), w.converse(jane, "eve"), w.converse(jane, "bob", "eve")
	for i, conv := range []*chat.Conversation{one, two, three, one} {
		w.say(jane, conv, fmt.Sprint(i))
	}
	for _, c := range []struct {
		in   []int64
		want []string
	}{{[]int64{one.ID}, []string{"0", "3"}}, {[]int64{two.ID, three.ID}, []string{"1", "2"}}, {nil, []string{}}} {
		msgs, err := jane.Messages(t.Context(), chat.In(c.in...))
		require.NoError(t, err)
		assert.Equal(t, c.want, bodies(msgs))
	}
	_, err := jane.Messages(t.Context(), chat.In(w.contacts))
	require.ErrorIs(t, err, chat.ErrNotFound)
}

func TestWhereRowLooksAtRows(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	jane, bob := w.login("jane", plainBodies), w.login("bob", plainBodies)
	conv := w.converse(jane, "bob")
	first := w.say(jane, conv, "one")
	w.say(bob, conv, "two")
	for name, c := range map[string]struct {
		where chat.M
		want  []string
	}{
		"a column":      {chat.M{"data": chat.M{"$contains": chat.M{"fromUserId": bob.User().UserID}}}, []string{"two"}},
		"a field":       {chat.M{"id": first.ID}, []string{"one"}},
		"both, negated": {chat.M{"$not": chat.M{"id": first.ID, "data": chat.M{"body": "one"}}}, []string{"two"}},
	} {
		msgs, err := jane.Messages(t.Context(), chat.WhereRow(c.where))
		require.NoError(t, err)
		assert.Equal(t, c.want, bodies(msgs), name)
	}
}

func TestASenderWithoutAContactDoesNoHarm(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	jane, bob := w.login("jane"), w.login("bob")
	conv := w.converse(jane, "bob", "eve")
	r := stream(t, jane)
	w.say(bob, conv, "from who is gone")
	w.remove(w.contacts, w.ids["bob"])
	m := r.wait(t, 1)[0]
	assert.Equal(t, "from who is gone", m.Body)
	_, err := jane.ContactByUserID(t.Context(), m.FromUserID)
	require.ErrorIs(t, err, chat.ErrContactNotFound)
	others, err := conv.Participants().Fetch(t.Context())
	require.NoError(t, err)
	require.Len(t, others, 2, "who has no contact is left out")
	assert.Equal(t, []int64{w.ids["jane"], w.ids["eve"]}, []int64{others[0].ID, others[1].ID})
	w.say(jane, conv, "goes on")
	assert.Equal(t, "goes on", r.wait(t, 2)[1].Body)
}

func TestDeletedSourcesAreInTheTrashAndDeletedRowsAreNot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	jane := w.login("jane")
	admin := w.ClientFor(w.AddUser("a@example.org", "A", "B", ""))
	boss := w.login("bob", func(o *chat.Options) { o.Client = admin })
	channel, err := jane.Channels().Create(t.Context(), "News")
	require.NoError(t, err)
	m := w.say(jane, must(jane.Channels().Join(t.Context(), channel.ID)), "hello")
	require.NoError(t, jane.DeleteMessage(t.Context(), channel.ID, m.ID))
	_, err = admin.FindByID(t.Context(), channel.ID, m.ID)
	require.ErrorIs(t, err, datasource.ErrNotFound)
	require.NoError(t, boss.Channels().Delete(t.Context(), channel.ID))
	_, err = admin.DataSource(t.Context(), channel.ID)
	require.ErrorIs(t, err, datasource.ErrNotFound)
	for _, s := range w.Sources() {
		assert.Equal(t, s.ID == channel.ID, s.Trashed, "%d", s.ID)
	}
}

func TestAResetReadsTheNewestPageAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		jane := w.login("jane", plainBodies, asUsual)
		conv := w.converse(jane, "bob")
		archive(w, conv, 250, 40)
		r := newRecorder()
		_, err := jane.Stream(t.Context(), r.add, chat.StartAt(chat.FromNow))
		require.NoError(t, err)
		require.NoError(t, jane.Poll(t.Context()))
		require.NoError(t, jane.Poll(t.Context(), chat.Reset()))
		settle()
		got := r.all()
		require.Len(t, got, jane.BatchSize())
		assert.Equal(t, []string{"50", "249"}, []string{got[0].Body, got[199].Body})
		for _, m := range got {
			assert.True(t, m.IsReplay)
			assert.False(t, m.IsUpdate)
		}
		require.NoError(t, jane.Close())
	})
}
