package chat_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

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

func TestASendIsFollowedByAPoll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		jane := w.login("jane", asUsual)
		conv := w.converse(jane, "bob")
		r := newRecorder()
		_, err := jane.Stream(t.Context(), r.add)
		require.NoError(t, err)
		time.Sleep(3 * time.Hour) // by now polls are almost two minutes apart
		w.say(jane, conv, "hello")
		time.Sleep(time.Second)
		assert.Equal(t, []string{"hello"}, bodies(r.all()))
		require.NoError(t, jane.Close())
	})
}

func TestUnreadIsWhatOthersHaveSentAndTheUserHasNotRead(t *testing.T) {
	t.Parallel()
	servers(t, func(t *testing.T, w *world) {
		jane, bob := w.login("jane", asUsual), w.login("bob", asUsual)
		conv := w.converse(jane, "bob")
		w.say(jane, conv, "own")
		deleted := w.say(bob, conv, "deleted")
		require.NoError(t, bob.DeleteMessage(t.Context(), conv.ID, deleted.ID))
		require.NoError(t, jane.MarkMessagesAsRead(t.Context(), w.say(bob, conv, "read")))
		w.say(bob, conv, "sent by another")
		me := jane.User().UserID
		w.AddRows(conv.ID, datasource.M{"body": "without readers"})
		w.AddRows(conv.ID, datasource.M{"body": "with none", "readBy": []string{}})
		w.AddRows(conv.ID, datasource.M{"body": "read by a longer id", "readBy": []string{me + "0"}})
		unread, err := jane.Unread().Get(t.Context())
		require.NoError(t, err)
		assert.Equal(t, []string{"sent by another", "without readers", "with none", "read by a longer id"}, bodies(unread))
		n, err := jane.Unread().Count(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 4, n)
		require.NoError(t, jane.Close())
		require.NoError(t, bob.Close())
	})
}

func TestTheJSONOfAMessageHasTheIdsAndTimesOfItsRow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		jane := w.login("jane")
		conv := w.converse(jane, "bob")
		m, err := jane.Message(t.Context(), conv.ID, chat.Draft{Body: "hello", GUID: "g1", Data: chat.M{"conversationId": 7}})
		require.NoError(t, err)
		time.Sleep(time.Minute)
		m, err = jane.UpdateMessage(t.Context(), conv.ID, m.ID, chat.M{"isEdited": true})
		require.NoError(t, err)
		row := w.Rows(conv.ID)[0]
		var got struct {
			ID, DataSourceID     int64
			CreatedAt, UpdatedAt time.Time
			Data                 struct{ GUID string }
		}
		raw, err := json.Marshal(m)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(raw, &got))
		assert.Equal(t, []any{row.ID, conv.ID, "g1"}, []any{got.ID, got.DataSourceID, got.Data.GUID})
		assert.Equal(t, []time.Time{row.CreatedAt, row.UpdatedAt}, []time.Time{got.CreatedAt, got.UpdatedAt})
		assert.Equal(t, time.Minute, got.UpdatedAt.Sub(got.CreatedAt).Round(time.Minute))
		require.NoError(t, jane.Close())
	})
}

func TestTheClockOfTheProgramDoesNotMatter(t *testing.T) {
	t.Parallel()
	for name, ahead := range map[string]time.Duration{"it is slow": 12 * time.Hour, "it is fast": -48 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			servers(t, func(t *testing.T, w *world) {
				w.ShiftClock(ahead)
				jane, bob := w.login("jane", asUsual), w.login("bob", asUsual)
				conv := w.converse(jane, "bob")
				w.say(jane, conv, "old")
				time.Sleep(time.Minute)
				r := newRecorder()
				_, err := bob.Stream(t.Context(), r.add)
				require.NoError(t, err)
				settle()
				m := w.say(jane, conv, "new")
				settle()
				_, err = jane.UpdateMessage(t.Context(), conv.ID, m.ID, chat.M{"body": "edited"})
				require.NoError(t, err)
				settle()
				require.NoError(t, jane.DeleteMessage(t.Context(), conv.ID, m.ID))
				settle()
				var got []string
				for _, m := range r.all() {
					got = append(got, fmt.Sprint(m.Body, " ", m.IsHistory, m.IsUpdate, m.IsDeleted))
				}
				assert.Equal(t, []string{"old true false false", "new false false false", "edited false true false", " false true true"}, got)
				require.NoError(t, jane.Close())
				require.NoError(t, bob.Close())
			})
		})
	}
}

func TestEveryReadingOfMessagesNamesItsOrder(t *testing.T) {
	t.Parallel()
	servers(t, func(t *testing.T, w *world) {
		tap := &requestTap{next: w.Transport()}
		jane := w.login("jane", plainBodies, w.through(tap))
		conv := w.converse(jane, "bob")
		archive(w, conv, 450, 7)
		before := len(tap.all())
		r := newRecorder()
		_, err := jane.Stream(t.Context(), r.add)
		require.NoError(t, err)
		settle()
		require.NoError(t, outcome(jane.Messages(t.Context())))
		require.NoError(t, outcome(conv.Messages().Fetch(t.Context())))
		require.NoError(t, outcome(jane.Unread().Get(t.Context())))
		assert.Len(t, leaf(t, jane, conv.ID), 450)
		asked := 0
		for _, r := range tap.all()[before:] {
			if r.method == "POST" && (strings.HasSuffix(r.url.Path, "/data/query") || strings.HasSuffix(r.url.Path, "/data-sources/data")) {
				asked++
				assert.Contains(t, r.body, `"order":[["`, "%s", r)
			}
		}
		assert.Greater(t, asked, 8)
		require.NoError(t, jane.Close())
	})
}

func TestContactsComeWithoutTheTokensOfOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	jane, bob := w.login("jane"), w.login("bob")
	token := w.token("bob")
	require.NotEmpty(t, token)
	conv := w.converse(jane, "bob")
	for name, read := range map[string]func() ([]*chat.Contact, error){
		"all": func() ([]*chat.Contact, error) { return jane.Contacts(t.Context()) },
		"by a column": func() ([]*chat.Contact, error) {
			return jane.Contacts(t.Context(), chat.Where(chat.M{"Email": "bob@example.org"}))
		},
		"offline": func() ([]*chat.Contact, error) { return jane.Contacts(t.Context(), chat.Offline()) },
		"members": func() ([]*chat.Contact, error) { return conv.Participants().Fetch(t.Context()) },
		"by id": func() ([]*chat.Contact, error) {
			ct, err := jane.ContactByUserID(t.Context(), bob.User().UserID)
			return []*chat.Contact{ct}, err
		},
	} {
		contacts, err := read()
		require.NoError(t, err, name)
		for _, ct := range contacts {
			assert.NotContains(t, fmt.Sprint(ct.Data), token, name)
		}
	}
}
