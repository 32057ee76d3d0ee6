package chat_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

func TestChannelsLiveOnTheMasterAppAndAreSharedByItsInstances(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess(), fliplettest.WithApps(77))
		master := func(o *chat.Options) { o.MasterAppID = 77 }
		jane, bob := w.login("jane", master), w.login("bob", master)
		channel, err := jane.Channels().Create(t.Context(), "News")
		require.NoError(t, err)
		private := w.converse(jane, "bob")
		for _, s := range w.Sources() {
			switch s.ID {
			case channel.ID:
				assert.EqualValues(t, 77, s.AppID)
			case private.ID:
				assert.Equal(t, w.AppID, s.AppID)
			}
		}
		joined, err := bob.Channels().Join(t.Context(), channel.ID)
		require.NoError(t, err)
		assert.True(t, joined.IsChannel)
		assert.False(t, joined.IsGroup)
		assert.Equal(t, 1, joined.NParticipants)
		list, err := bob.Conversations(t.Context())
		require.NoError(t, err)
		assert.ElementsMatch(t, []int64{channel.ID, private.ID}, conversationIDs(list))
		list, err = jane.Conversations(t.Context())
		require.NoError(t, err)
		assert.Equal(t, []int64{private.ID}, conversationIDs(list), "who creates a channel is no member")
	})
}

func TestJoiningAChannelAgainChangesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		jane := w.login("jane")
		channel, err := jane.Channels().Create(t.Context(), "News")
		require.NoError(t, err)
		for range 2 {
			conv, err := jane.Channels().Join(t.Context(), channel.ID)
			require.NoError(t, err)
			assert.Equal(t, []string{jane.User().UserID}, conv.Participants().IDs())
		}
		assert.Equal(t, 1, w.Count(fliplettest.UpdateSource))
	})
}

func TestAChannelIsNeverTakenForAConversationOfTheSamePeople(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		jane, bob := w.login("jane"), w.login("bob")
		channel, err := jane.Channels().Create(t.Context(), "News")
		require.NoError(t, err)
		for _, c := range []*chat.Chat{jane, bob} {
			_, err := c.Channels().Join(t.Context(), channel.ID)
			require.NoError(t, err)
		}
		assert.NotEqual(t, channel.ID, w.converse(jane, "bob").ID)
	})
}

func TestOnlyPublicChannelsAreJoinedAndDeleted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	jane := w.login("jane")
	private := w.converse(jane, "bob")
	admin := w.login("bob", func(o *chat.Options) { o.Client = w.ClientFor(w.AddUser("a@example.org", "A", "B", "")) })
	channel, err := jane.Channels().Create(t.Context(), "News")
	require.NoError(t, err)

	for name, test := range map[string]struct {
		id   int64
		want error
	}{"a private conversation": {private.ID, chat.ErrNotFound}, "contacts": {w.contacts, chat.ErrNotFound}, "nothing": {987654, chat.ErrNotFound}, "no id": {0, chat.ErrInvalid}} {
		_, err := admin.Channels().Join(t.Context(), test.id)
		require.ErrorIs(t, err, test.want, name)
		require.ErrorIs(t, admin.Channels().Delete(t.Context(), test.id), test.want, name)
	}
	_, err = jane.Channels().Create(t.Context(), " ")
	require.ErrorIs(t, err, chat.ErrInvalid)

	err = jane.Channels().Delete(t.Context(), channel.ID)
	var refused *datasource.Error
	require.ErrorAs(t, err, &refused, "tokens of apps may not delete")
	require.NoError(t, admin.Channels().Delete(t.Context(), channel.ID))
	list, err := jane.Channels().List(t.Context())
	require.NoError(t, err)
	assert.Empty(t, list)
	require.ErrorIs(t, admin.Channels().Delete(t.Context(), channel.ID), chat.ErrNotFound)
}

func TestAChannelIsWrittenAsJavaScriptSeesIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	channel, err := w.login("jane").Channels().Create(t.Context(), "News")
	require.NoError(t, err)
	var got map[string]any
	require.NoError(t, json.Unmarshal(must(json.Marshal(channel)), &got))
	assert.Equal(t, "conversation", got["type"])
	assert.Equal(t, true, got["isChannel"])
	assert.Equal(t, map[string]any{"public": true}, got["definition"].(map[string]any)["group"])
	assert.NotContains(t, got["definition"], "encryptionKey")
}

func TestChatsCallsNeedALogin(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	conv := w.converse(w.login("jane"), "bob")
	c := w.connect()
	ctx := t.Context()
	before := len(w.Requests())
	for name, call := range map[string]func() error{
		"create channel":  func() error { _, err := c.Channels().Create(ctx, "x"); return err },
		"list channels":   func() error { _, err := c.Channels().List(ctx); return err },
		"join channel":    func() error { _, err := c.Channels().Join(ctx, conv.ID); return err },
		"delete channel":  func() error { return c.Channels().Delete(ctx, conv.ID) },
		"create":          func() error { _, err := c.Create(ctx, chat.NewConversation{Participants: []int64{1}}); return err },
		"join":            func() error { _, err := c.JoinConversation(ctx, "code"); return err },
		"conversations":   func() error { _, err := c.Conversations(ctx); return err },
		"messages":        func() error { _, err := c.Messages(ctx); return err },
		"message":         func() error { _, err := c.Message(ctx, conv.ID, chat.Draft{Body: "x"}); return err },
		"update":          func() error { _, err := c.UpdateMessage(ctx, conv.ID, 1, chat.M{"x": 1}); return err },
		"delete":          func() error { return c.DeleteMessage(ctx, conv.ID, 1) },
		"mark":            func() error { return c.MarkMessagesAsRead(ctx, &chat.Message{ID: 1, ConversationID: 1}) },
		"unread messages": func() error { _, err := c.Unread().Get(ctx); return err },
		"unread count":    func() error { _, err := c.Unread().Count(ctx); return err },
		"stream":          func() error { _, err := c.Stream(ctx, func(*chat.Message) {}); return err },
		"poll":            func() error { return c.Poll(ctx) },
	} {
		require.ErrorIs(t, call(), chat.ErrNotLoggedIn, name)
	}
	assert.Len(t, w.Requests(), before)
}

func TestThePushHookNamesTheRunningApp(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		app, master   int64 // 0: the app of the contacts, -1: not set
		channel, talk int64 // where they are stored
	}{
		"both apps":                        {0, 77, 77, 0},
		"the master app only":              {-1, 77, 77, 0},
		"the running app only":             {0, -1, 0, 0},
		"no app: the contacts' is running": {-1, -1, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, fliplettest.WithApps(77))
			id := func(n int64) int64 {
				switch n {
				case 0:
					return w.AppID
				case -1:
					return 0
				}
				return n
			}
			jane := w.login("jane", func(o *chat.Options) {
				o.AppID, o.MasterAppID, o.PushNotifications = id(c.app), id(c.master), true
			})
			channel, err := jane.Channels().Create(t.Context(), "News")
			require.NoError(t, err)
			talk := w.converse(jane, "bob")
			for source, app := range map[int64]int64{channel.ID: id(c.channel), talk.ID: id(c.talk)} {
				ds, err := w.Client().DataSource(t.Context(), source)
				require.NoError(t, err)
				assert.Equal(t, app, ds.AppID)
				assert.JSONEq(t, fmt.Sprintf(`[{"runOn":["insert"],"type":"push-message","appId":%d}]`, w.AppID), string(ds.Hooks))
			}
		})
	}
}

func TestACreatedChannelHasEveryFieldOfItsDataSource(t *testing.T) {
	t.Parallel()
	for name, faults := range map[string][]fliplettest.Fault{
		"as documented":        nil,
		"the answer is sparse": {fliplettest.OmitFields("name", "type", "appId", "organizationId", "definition", "hooks", "accessRules")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			jane := w.login("jane", func(o *chat.Options) { o.PushNotifications = true })
			if faults != nil {
				w.Next(1, fliplettest.CreateSource, faults...)
			}
			channel, err := jane.Channels().Create(t.Context(), "News")
			require.NoError(t, err)
			ds, err := w.Client().DataSource(t.Context(), channel.ID)
			require.NoError(t, err)
			assert.Equal(t, "News", channel.Name)
			assert.Equal(t, w.AppID, channel.AppID)
			assert.Equal(t, ds.AppID, channel.AppID)
			assert.Equal(t, []any{ds.CreatedAt, ds.UpdatedAt, ds.Columns}, []any{channel.CreatedAt, channel.UpdatedAt, channel.Columns})
			assert.JSONEq(t, string(ds.Hooks), string(channel.Hooks))
			assert.JSONEq(t, string(ds.AccessRules), string(channel.AccessRules))
			assert.Equal(t, chat.M{"public": true}, channel.Definition.Group)
			assert.Equal(t, ds.Extra["bundle"], channel.Extra["bundle"])
			if faults == nil {
				assert.Equal(t, ds.OrganizationID, channel.OrganizationID)
				listed, err := jane.Channels().List(t.Context())
				require.NoError(t, err)
				require.Len(t, listed, 1)
				assert.JSONEq(t, string(must(json.Marshal(channel))), string(must(json.Marshal(listed[0]))))
				assert.JSONEq(t, string(channel.Hooks), string(listed[0].Hooks))
			}
			var page map[string]any
			raw := must(json.Marshal(channel))
			require.NoError(t, json.Unmarshal(raw, &page))
			assert.EqualValues(t, w.AppID, page["appId"])
			assert.Equal(t, false, page["bundle"])
			assert.Contains(t, page, "deletedAt")
			assert.NotContains(t, page, "hooks")
			var back chat.Channel
			require.NoError(t, json.Unmarshal(raw, &back))
			assert.Equal(t, channel.CreatedAt, back.CreatedAt)
			assert.JSONEq(t, string(raw), string(must(json.Marshal(back))))
		})
	}
}

func TestChannelsOfOtherAppsAreNotThere(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fliplettest.WithApps(77))
	public := func(name string, app int64) int64 {
		ds, err := w.Client().CreateDataSource(t.Context(), datasource.NewDataSource{
			Name: name, Type: "conversation", AppID: app, Definition: json.RawMessage(`{"participants":[],"group":{"public":true}}`),
		})
		require.NoError(t, err)
		return ds.ID
	}
	master, other := public("News", 77), public("Other", w.AppID)
	jane := w.login("jane", func(o *chat.Options) { o.MasterAppID = 77 })
	list, err := jane.Channels().List(t.Context())
	require.NoError(t, err)
	require.Len(t, list, 1)
	assert.Equal(t, master, list[0].ID)
	lever := w.Next(1, fliplettest.ListSources, fliplettest.Ignore("appId")) // that of the token's app then
	list, err = jane.Channels().List(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 1, lever.Hits())
	assert.Empty(t, list)
	_, err = jane.Channels().Join(t.Context(), other)
	require.ErrorIs(t, err, chat.ErrNotFound)
	require.ErrorContains(t, err, "MasterAppID")
	require.ErrorIs(t, jane.Channels().Delete(t.Context(), other), chat.ErrNotFound)
	assert.Zero(t, w.Count(fliplettest.UpdateSource)+w.Count(fliplettest.DeleteSource))
	_, err = jane.Channels().Join(t.Context(), master)
	require.NoError(t, err)
}

// A server that ignores which app is meant answers for both apps with the same conversations.
func TestAConversationOfBothListsIsShownOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fliplettest.WithApps(77))
	jane := w.login("jane", func(o *chat.Options) { o.MasterAppID = 77 })
	conv := w.converse(jane, "bob")
	w.Always(fliplettest.ListSources, fliplettest.Ignore("appId"))
	list, err := jane.Conversations(t.Context())
	require.NoError(t, err)
	require.Len(t, list, 1)
	assert.Equal(t, conv.ID, list[0].ID)
}
