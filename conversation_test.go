package chat_test

import (
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

func TestANewConversationHoldsWhatWasAskedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	jane := w.login("jane", func(o *chat.Options) { o.PushNotifications = true })
	conv, err := jane.Create(t.Context(), chat.NewConversation{
		Participants: []int64{w.ids["bob"], w.ids["bob"], w.ids["jane"]}, Name: "Phoenix",
		Group: chat.M{"type": "team"}, Metadata: chat.M{"topic": "launch"}, AllowInvite: true,
	})
	require.NoError(t, err)
	assert.True(t, conv.IsNew)
	assert.False(t, conv.IsChannel)
	assert.True(t, conv.IsGroup, "whatever its size")
	assert.Equal(t, 2, conv.NParticipants)
	assert.Equal(t, "Phoenix", conv.Name)
	assert.Equal(t, chat.M{"type": "team"}, conv.Definition.Group)
	assert.Equal(t, chat.M{"topic": "launch"}, conv.Definition.Metadata)
	assert.Len(t, conv.EncryptionKey(), 32)
	assert.Equal(t, jane.User().UserID, conv.Participants().IDs()[0])
	bob := w.login("bob")
	w.say(jane, conv, "hello")
	w.ShiftClock(31 * time.Second)
	pushes := w.Pushes()
	require.Len(t, pushes, 1)
	assert.Equal(t, bob.User().UserID, pushes[0].UserID)

	again, err := bob.Create(t.Context(), chat.NewConversation{Participants: []int64{w.ids["jane"]}, Name: "Other", Metadata: chat.M{"topic": "other"}})
	require.NoError(t, err)
	assert.Equal(t, conv.ID, again.ID)
	assert.False(t, again.IsNew)
	assert.Equal(t, "Phoenix", again.Name, "an existing conversation is not changed")
	assert.Equal(t, chat.M{"topic": "launch"}, again.Definition.Metadata)
	unnamed, err := jane.Create(t.Context(), chat.NewConversation{Participants: []int64{w.ids["eve"]}})
	require.NoError(t, err)
	assert.Len(t, unnamed.Name, 36)
}

func TestUnusableParticipantsAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	jane := w.login("jane")
	for name, test := range map[string]struct {
		ids  []int64
		want error
	}{
		"nobody": {nil, chat.ErrInvalid}, "only the user": {[]int64{w.ids["jane"]}, chat.ErrInvalid},
		"no id": {[]int64{w.ids["bob"], 0}, chat.ErrInvalid}, "unknown": {[]int64{w.ids["bob"], 987654}, chat.ErrContactNotFound},
	} {
		_, err := jane.Create(t.Context(), chat.NewConversation{Participants: test.ids})
		require.ErrorIs(t, err, test.want, name)
	}
	conv := w.converse(jane, "bob")
	require.ErrorIs(t, conv.Participants().Add(t.Context()), chat.ErrInvalid)
	require.ErrorIs(t, conv.Participants().Remove(t.Context(), -1), chat.ErrInvalid)
	require.ErrorIs(t, conv.Participants().Add(t.Context(), 987654), chat.ErrContactNotFound)
	_, err := jane.Create(t.Context(), chat.NewConversation{Participants: []int64{w.ids["eve"]}, Metadata: chat.M{"x": func() {}}})
	require.ErrorIs(t, err, chat.ErrInvalid)
	_, err = jane.JoinConversation(t.Context(), " \n")
	require.ErrorIs(t, err, chat.ErrInvalid)
}

func TestLeavingIsRemovingOneself(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		jane, bob := w.login("jane"), w.login("bob")
		group := w.converse(jane, "bob", "eve")
		list, err := bob.Conversations(t.Context())
		require.NoError(t, err)
		require.NoError(t, list[0].Participants().Remove(t.Context(), w.ids["bob"]))
		list, err = bob.Conversations(t.Context())
		require.NoError(t, err)
		assert.Empty(t, list)
		list, err = jane.Conversations(t.Context())
		require.NoError(t, err)
		require.Len(t, list, 1)
		assert.Equal(t, 2, list[0].NParticipants)
		assert.True(t, list[0].IsGroup, "two who are left are still a group")
		assert.Equal(t, []string{bob.User().UserID}, list[0].Definition.RemovedParticipants)
		assert.Equal(t, group.ID, list[0].ID)
	})
}

func TestContactsOfMembersComeInTheirOrderAndTheUnknownAreSkipped(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	jane := w.login("jane")
	conv := w.converse(jane, "eve", "bob")
	ids := append(conv.Participants().IDs(), "u-ghost")
	def := must(json.Marshal(chat.M{"participants": ids}))
	_, err := w.Client().UpdateDataSource(t.Context(), conv.ID, datasource.SourcePatch{Definition: def})
	require.NoError(t, err)
	list, err := jane.Conversations(t.Context())
	require.NoError(t, err)
	got, err := list[0].Participants().Fetch(t.Context())
	require.NoError(t, err)
	var emails []any
	for _, ct := range got {
		emails = append(emails, ct.Data["Email"])
		assert.NotContains(t, ct.Data, "flUserToken")
	}
	assert.Equal(t, []any{"jane@example.org", "eve@example.org", "bob@example.org"}, emails)
}

func TestIDsOfParticipantsAreACopyAndNeverNil(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	jane, bob := w.login("jane"), w.login("bob")
	conv := w.converse(jane, "bob")
	want := []string{jane.User().UserID, bob.User().UserID}
	got := conv.Participants().IDs()
	assert.Equal(t, want, got)
	got[0] = "somebody"
	assert.Equal(t, want, conv.Participants().IDs())
	assert.Equal(t, want, conv.Definition.Participants)
	for name, v := range map[string]*chat.Conversation{"nil": nil, "zero": {}} {
		assert.Equal(t, []string{}, v.Participants().IDs(), name)
	}
}

func TestMutingShowsOnTheValueAndForTheUserAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		jane, bob := w.login("jane", func(o *chat.Options) { o.PushNotifications = true }), w.login("bob")
		conv := w.converse(jane, "bob", "eve")
		list, err := bob.Conversations(t.Context())
		require.NoError(t, err)
		for range 2 {
			require.NoError(t, list[0].Notifications().Mute(t.Context()))
			assert.True(t, list[0].IsMuted())
		}
		assert.Equal(t, 1, w.Count(fliplettest.UpdateSource), "muting again changes nothing")
		w.say(jane, conv, "psst")
		w.ShiftClock(31 * time.Second)
		require.Len(t, w.Pushes(), 1, "Eve is told, Bob is not")
		require.NoError(t, list[0].Notifications().Unmute(t.Context()))
		assert.False(t, list[0].IsMuted())
	})
}

func TestAConversationIsWrittenAsJavaScriptSeesIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	conv := w.converse(w.login("jane"), "bob")
	var got map[string]any
	require.NoError(t, json.Unmarshal(must(json.Marshal(conv)), &got))
	assert.Equal(t, true, got["isNew"])
	assert.Equal(t, false, got["isMuted"])
	assert.Nil(t, got["deletedAt"])
	assert.Contains(t, got, "deletedAt")
	assert.EqualValues(t, 2, got["nParticipants"])
	assert.NotContains(t, string(must(json.Marshal(conv))), conv.EncryptionKey())
}

func TestTheConversationWithTheLatestActivityComesFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		jane := w.login("jane", asUsual)
		withBob := w.converse(jane, "bob")
		time.Sleep(time.Second)
		withEve := w.converse(jane, "eve")
		order := func() (ids []int64) {
			list, err := jane.Conversations(t.Context())
			require.NoError(t, err)
			for _, conv := range list {
				ids = append(ids, conv.ID)
			}
			return ids
		}
		assert.Equal(t, []int64{withEve.ID, withBob.ID}, order())
		time.Sleep(time.Second)
		w.say(jane, withBob, "again")
		assert.Equal(t, []int64{withBob.ID, withEve.ID}, order())
		w.Always(fliplettest.ListSources, fliplettest.Ignore("order", "direction"))
		assert.Equal(t, []int64{withBob.ID, withEve.ID}, order(), "whatever the server's order is")
	})
}

func TestForeignSourcesInTheListAreLeftOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	jane := w.login("jane")
	me := jane.User().UserID
	w.AddDataSource(datasource.M{"name": "not a chat", "definition": chat.M{"participants": []string{me}}})
	w.AddDataSource(datasource.M{"name": "no definition", "type": "conversation"})
	w.AddDataSource(datasource.M{"name": "odd", "type": "conversation", "definition": chat.M{"participants": chat.M{"type": "x"}}})
	w.AddDataSource(datasource.M{"name": "others", "type": "conversation", "definition": chat.M{"participants": []string{"u-else"}}})
	w.Always(fliplettest.ListSources, fliplettest.Ignore("definition", "type"))
	list, err := jane.Conversations(t.Context())
	require.NoError(t, err)
	assert.Empty(t, list)
}

func TestAConversationIsReadByItsIDWithOneRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	jane, bob, eve := w.login("jane"), w.login("bob"), w.login("eve")
	conv := w.converse(jane, "bob")
	before := len(w.Requests())
	got, err := bob.Conversation(t.Context(), conv.ID)
	require.NoError(t, err)
	assert.Len(t, w.Requests(), before+1)
	assert.Equal(t, conv.ID, got.ID)
	assert.Equal(t, conv.EncryptionKey(), got.EncryptionKey())
	for name, id := range map[string]int64{"not a member": conv.ID, "no conversation": w.contacts, "nothing": 999_999} {
		_, err := eve.Conversation(t.Context(), id)
		require.ErrorIs(t, err, chat.ErrNotFound, name)
	}
	before = len(w.Requests())
	_, err = bob.Conversation(t.Context(), 0)
	require.ErrorIs(t, err, chat.ErrInvalid)
	assert.Len(t, w.Requests(), before)
}

func TestAContactIsFoundByItsUserID(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	jane := w.login("jane")
	w.login("bob")
	conv := w.converse(jane, "bob")
	for _, id := range conv.Participants().IDs() {
		ct, err := jane.ContactByUserID(t.Context(), id)
		require.NoError(t, err)
		assert.Equal(t, id, ct.UserID)
		assert.NotContains(t, ct.Data, "flUserToken")
	}
	_, err := jane.ContactByUserID(t.Context(), "nobody")
	require.ErrorIs(t, err, chat.ErrContactNotFound)
	_, err = jane.ContactByUserID(t.Context(), " ")
	require.ErrorIs(t, err, chat.ErrInvalid)
}

func TestANilOrZeroConversationGivesErrors(t *testing.T) {
	t.Parallel()
	for name, v := range map[string]*chat.Conversation{"nil": nil, "zero": {}} {
		ctx := t.Context()
		_, err := v.InviteCode(ctx)
		require.ErrorIs(t, err, chat.ErrInvalid, name)
		_, err = v.Participants().Fetch(ctx)
		require.ErrorIs(t, err, chat.ErrInvalid, name)
		require.ErrorIs(t, v.Participants().Add(ctx, 1), chat.ErrInvalid, name)
		require.ErrorIs(t, v.Participants().Remove(ctx, 1), chat.ErrInvalid, name)
		require.ErrorIs(t, v.Notifications().Mute(ctx), chat.ErrInvalid, name)
		_, err = v.Messages().Fetch(ctx)
		require.ErrorIs(t, err, chat.ErrInvalid, name)
		_, err = v.Messages().Get(ctx, 1)
		require.ErrorIs(t, err, chat.ErrInvalid, name)
		assert.Empty(t, v.Participants().IDs(), name)
		assert.False(t, v.IsMuted(), name)
	}
}

func TestAConversationCreatedWithGroupIsAGroup(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, c := range map[string]struct {
		group, stored chat.M
		want          bool
	}{
		"none":                 {nil, chat.M{}, false},
		"not read-only":        {chat.M{"readOnly": false}, chat.M{"readOnly": false, "public": false}, true},
		"not read-only, typed": {chat.M{"readOnly": new(false)}, chat.M{"readOnly": false, "public": false}, true},
		"as JSON":              {chat.M{"readOnly": json.RawMessage("false")}, chat.M{"readOnly": false, "public": false}, true},
		"with nulls":           {chat.M{"readOnly": false, "type": nil}, chat.M{"readOnly": false, "type": nil, "public": false}, true},
		"with nulls only":      {chat.M{"type": nil, "public": nil}, chat.M{"type": nil, "public": false}, true},
		"with typed nulls":     {chat.M{"type": (*string)(nil), "public": json.RawMessage("null")}, chat.M{"type": nil, "public": false}, true},
		"any object":           {chat.M{}, chat.M{"public": false}, true},
		"as documented":        {chat.M{"public": false}, chat.M{"public": false}, true},
		"a preset":             {chat.M{"type": "Speakers", "readOnly": false}, chat.M{"type": "Speakers", "readOnly": false}, true},
		"a broadcast":          {chat.M{"readOnly": true}, chat.M{"readOnly": true}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := &world{Server: w.Server, t: t, ids: map[string]int64{}}
			var ids []int64
			w.contacts, ids = w.AddContacts(datasource.M{"Email": "jane@example.org"}, datasource.M{"Email": "bob@example.org"})
			jane := w.login("jane")
			conv, err := jane.Create(t.Context(), chat.NewConversation{Participants: ids[1:], Group: c.group})
			require.NoError(t, err)
			read, err := jane.Conversation(t.Context(), conv.ID)
			require.NoError(t, err)
			for _, v := range []*chat.Conversation{conv, read} {
				assert.Equal(t, c.want, v.IsGroup)
				assert.Equal(t, c.stored, v.Definition.Group)
				assert.Equal(t, 2, v.NParticipants)
			}
		})
	}
	t.Run("what Fliplet's widget stores for two", func(t *testing.T) {
		t.Parallel()
		jane := w.login("jane")
		conv := w.converse(jane, "bob")
		for _, group := range []chat.M{{"readOnly": false}, {"readOnly": false, "type": nil}, {}} {
			def := must(json.Marshal(chat.M{"participants": conv.Participants().IDs(), "group": group}))
			_, err := w.Client().UpdateDataSource(t.Context(), conv.ID, datasource.SourcePatch{Definition: def})
			require.NoError(t, err)
			read, err := jane.Conversation(t.Context(), conv.ID)
			require.NoError(t, err)
			assert.False(t, read.IsGroup)
		}
	})
}
