package chat_test

import (
	"bytes"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/internal/longtest"
	"github.com/fliplet/fliplet-chat-go/storage"
	"github.com/fliplet/fliplet-chat-go/storage/boltstore"
)

// leniency is a way in which a server may be unlike the documentation, or unlike
// one of two documented ways.
type leniency struct {
	name  string
	pull  func(*world)
	blind bool // nobody can hear of deletions
	where where
}

// where says which way of reading a leniency is about.
type where int

const (
	everyRoute  where = iota
	crossSource       // the query over all data sources
	oneSource         // the query of one, which takes its place where it is absent
)

func everywhere(faults ...fliplettest.Fault) func(*world) {
	return func(w *world) { w.Always(fliplettest.AnyRoute, faults...) }
}

var leniencies = []leniency{
	{name: "as documented", pull: func(*world) {}},
	{name: "EmptyBody", pull: func(w *world) {
		for _, r := range []fliplettest.Route{fliplettest.Insert, fliplettest.Update, fliplettest.Delete, fliplettest.Commit, fliplettest.Bulk} {
			w.Always(r, fliplettest.EmptyBody())
		}
	}},
	{name: "WrapEntry", pull: everywhere(fliplettest.WrapEntry())},
	{name: "WrapBulk", pull: everywhere(fliplettest.WrapBulk())},
	{name: "CreatedOnInsert", pull: everywhere(fliplettest.CreatedOnInsert())},
	{name: "CountInEntries", pull: everywhere(fliplettest.CountInEntries()), where: crossSource},
	{name: "CountInCount", pull: everywhere(fliplettest.CountInCount()), where: crossSource},
	{name: "CountAsRows", pull: everywhere(fliplettest.CountAsRows()), where: crossSource},
	{name: "DeletedCountOnly", pull: everywhere(fliplettest.DeletedCountOnly())},
	{name: "DeletedIDsOnly", pull: everywhere(fliplettest.DeletedIDsOnly())},
	{name: "OmitDeletedAt", pull: everywhere(fliplettest.OmitDeletedAt())},
	{name: "ShowDeletedAt", pull: everywhere(fliplettest.ShowDeletedAt())},
	{name: "KeepTombstoneData", pull: everywhere(fliplettest.KeepTombstoneData())},
	{name: "OmitFields", pull: everywhere(fliplettest.OmitFields("order", "columns", "hooks", "accessRules", "appId", "organizationId", "bundle"))},
	{name: "NullFields", pull: everywhere(fliplettest.NullFields("order", "columns", "hooks", "accessRules", "appId", "organizationId", "bundle"))},
	{name: "OmitFields dataSourceId", pull: everywhere(fliplettest.OmitFields("dataSourceId")), blind: true, where: crossSource},
	{name: "OmitFields updatedAt of inserts", pull: func(w *world) { w.Always(fliplettest.Insert, fliplettest.OmitFields("createdAt", "updatedAt")) }},
	{name: "NullLists", pull: everywhere(fliplettest.NullLists())},
	{name: "UnknownFields", pull: everywhere(fliplettest.UnknownFields())},
	{name: "IDsAsStrings", pull: everywhere(fliplettest.IDsAsStrings())},
	{name: "DenyWith401", pull: everywhere(fliplettest.DenyWith401())},
	{name: "Reverse", pull: everywhere(fliplettest.Reverse())},
	{name: "Shuffle", pull: everywhere(fliplettest.Shuffle())},
	{name: "DuplicateRow", pull: everywhere(fliplettest.DuplicateRow())},
	{name: "Ignore order", pull: everywhere(fliplettest.Ignore("order", "direction"))},
	{name: "Ignore limit", pull: everywhere(fliplettest.Ignore("limit"))},
	{name: "Ignore offset", pull: everywhere(fliplettest.Ignore("offset"))},
	{name: "Ignore definition", pull: func(w *world) { w.Always(fliplettest.ListSources, fliplettest.Ignore("definition")) }},
	{name: "Ignore type of lists", pull: func(w *world) { w.Always(fliplettest.ListSources, fliplettest.Ignore("type")) }},
	{name: "Ignore attributes", pull: everywhere(fliplettest.Ignore("attributes", "returnEntries", "includePagination"))},
	{name: "Ignore includeDeleted", pull: everywhere(fliplettest.Ignore("includeDeleted")), blind: true, where: crossSource},
	{name: "Ignore where across", pull: func(w *world) {
		w.Always(fliplettest.CrossSource, fliplettest.Ignore("where"), fliplettest.CountAsRows())
	}, where: crossSource},
	{name: "Ignore filters", pull: func(w *world) { w.Always(fliplettest.Query, fliplettest.Ignore("createdAt", "id")) }, where: oneSource},
}

// everyday reports whether the nth leniency is tried in this way every day: each of
// them in one, the server as documented in all four. What concerns one endpoint is
// tried where that endpoint is asked.
func (l leniency) everyday(n int, encrypt, across bool) bool {
	switch {
	case n == 0:
		return true
	case l.where == everyRoute:
		return encrypt == (n%2 == 0) && across == (n/2%2 == 0)
	}
	return encrypt == (n%2 == 0) && across == (l.where == crossSource)
}

// The whole of a chat's life goes the same way, whatever a server is like.
func TestTheStoryIsTheSameOnEveryServer(t *testing.T) {
	t.Parallel()
	for n, l := range leniencies {
		for i, encrypt := range []bool{true, false} {
			for j, across := range []bool{true, false} {
				if !longtest.Enabled() && !l.everyday(n, i == 0, j == 0) {
					continue
				}
				t.Run(fmt.Sprintf("%s/encrypt=%t/across=%t", l.name, encrypt, across), func(t *testing.T) {
					t.Parallel()
					// Waits for other clients cost nothing in virtual time.
					synctest.Test(t, func(t *testing.T) {
						tell(t, newWorld(t, fliplettest.InProcess()), l, encrypt, across, storage.NewMemory())
					})
				})
			}
		}
	}
	for _, encrypt := range []bool{true, false} {
		t.Run(fmt.Sprintf("file/encrypt=%t", encrypt), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				tell(t, newWorld(t, fliplettest.InProcess()), leniencies[0], encrypt, true, openFile(t))
			})
		})
	}
	t.Run("file and sockets", func(t *testing.T) {
		t.Parallel()
		longtest.Only(t, "it waits as in production")
		tell(t, newWorld(t), leniencies[0], true, true, openFile(t))
	})
}

// openFile opens a store in a new file and closes it when the test ends.
func openFile(t *testing.T) storage.Store {
	store, err := boltstore.Open(filepath.Join(t.TempDir(), "chat.db"))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, store.Close()) })
	return store
}

// tell plays the story.
func tell(t *testing.T, w *world, l leniency, encrypt, across bool, store storage.Store) {
	if !across {
		w.Always(fliplettest.CrossSource, fliplettest.Status(404))
	}
	l.pull(w)
	with := func(o *chat.Options) {
		o.EncryptMessages, o.Storage = encrypt, store
		o.LivePollInterval, o.PollInterval = time.Hour, time.Hour // the story says when
	}
	ctx := t.Context()
	st := newStory(t, w, with)
	st.blind = l.blind && across
	jane, bob, eve := st.chats["jane"], st.chats["bob"], st.chats["eve"]
	for _, name := range people {
		st.listen(name)
	}

	// Conversations, beside something else that names its participants.
	w.AddDataSource(chat.M{"name": "Meetings", "definition": chat.M{"participants": []string{jane.User().UserID, bob.User().UserID}}})
	direct := w.converse(jane, "bob")
	assert.True(t, direct.IsNew)
	assert.False(t, direct.IsGroup)
	again := w.converse(bob, "jane")
	assert.Equal(t, direct.ID, again.ID)
	assert.False(t, again.IsNew)
	group, err := jane.Create(ctx, chat.NewConversation{
		Participants: []int64{w.ids["bob"], w.ids["eve"]}, Name: "Phoenix", Group: chat.M{"readOnly": false}, Metadata: chat.M{"topic": "launch"},
	})
	require.NoError(t, err)
	assert.True(t, group.IsGroup)
	assert.Equal(t, "Phoenix", group.Name)
	open, err := jane.Create(ctx, chat.NewConversation{Participants: []int64{w.ids["eve"]}, AllowInvite: true})
	require.NoError(t, err)
	_, err = group.InviteCode(ctx)
	require.ErrorIs(t, err, chat.ErrNoInviteCode)
	code, err := open.InviteCode(ctx)
	require.NoError(t, err)
	joined, err := bob.JoinConversation(ctx, " "+code+"\n")
	require.NoError(t, err)
	assert.Equal(t, open.ID, joined.ID)
	_, err = bob.JoinConversation(ctx, "no such code")
	require.ErrorIs(t, err, chat.ErrNotFound)
	channel, err := jane.Channels().Create(ctx, "News")
	require.NoError(t, err)
	assert.Zero(t, channel.NParticipants)
	for _, c := range []*chat.Chat{jane, bob} {
		news, err := c.Channels().Join(ctx, channel.ID)
		require.NoError(t, err)
		assert.True(t, news.IsChannel)
	}
	_, err = eve.Channels().Join(ctx, direct.ID)
	require.ErrorIs(t, err, chat.ErrNotFound)
	st.found(direct.ID, "jane", "bob")
	st.found(group.ID, "jane", "bob", "eve")
	st.found(open.ID, "jane", "eve", "bob")
	st.found(channel.ID, "jane", "bob")
	st.checkConversations()
	channels, err := eve.Channels().List(ctx)
	require.NoError(t, err)
	require.Len(t, channels, 1)
	assert.Equal(t, 2, channels[0].NParticipants)

	// Messages both ways.
	hello := st.say("jane", direct.ID, chat.Draft{Body: "Hello Bob 👋"})
	st.say("bob", direct.ID, chat.Draft{Body: "Hi\r\nJane", Data: chat.M{"ticket": 42, "tags": []string{"a"}}})
	st.say("eve", group.ID, chat.Draft{Body: "To all", GUID: "the-guid"})
	st.say("bob", channel.ID, chat.Draft{Body: "Breaking"})
	gone := st.say("bob", group.ID, chat.Draft{Body: "Oops"})
	picture := picture(t, "png", 20, 10)
	sent := st.say("jane", group.ID, chat.Draft{Files: []chat.File{{Name: "dog.png", Content: picture}, {URL: "https://example.org/x.pdf"}}})
	for i := range 30 {
		st.say(people[i%2], direct.ID, chat.Draft{Body: fmt.Sprint("line ", i)})
	}
	st.checkStreams()

	// Attachments.
	last := st.stored("eve", sent.id)
	require.Len(t, last.Files, 2)
	for i, file := range last.Files {
		if strings.HasPrefix(file, w.URL) {
			var b bytes.Buffer
			contentType, _, err := eve.Download(ctx, last, i, &b)
			require.NoError(t, err)
			assert.Equal(t, "image/png", contentType)
			assert.Equal(t, picture, b.Bytes())
		}
	}
	assert.Equal(t, encrypt, fmt.Sprint(last.Data["hasMediaFileWithPrivateEncryptionKey"]) == "true")
	assert.Equal(t, "20", fmt.Sprint(last.Data["imageWidth"]))

	// Edits and deletions.
	st.edit("jane", hello, "Hello Robert")
	st.remove("bob", gone)
	st.checkStreams()

	// What is read, and what is not.
	st.checkUnread()
	for _, name := range []string{"bob", "eve"} {
		unread, err := st.chats[name].Unread().Get(ctx)
		require.NoError(t, err)
		st.read(name, unread[:len(unread)/2+1])
	}
	st.checkUnread()
	st.checkStreams()
	st.checkHistory()

	// Membership and muting.
	mine := st.conversation("bob", group.ID)
	require.NoError(t, mine.Notifications().Mute(ctx))
	assert.True(t, mine.IsMuted())
	assert.True(t, st.conversation("bob", group.ID).IsMuted())
	assert.False(t, st.conversation("jane", group.ID).IsMuted())
	require.NoError(t, mine.Notifications().Unmute(ctx))
	assert.False(t, st.conversation("bob", group.ID).IsMuted())
	contacts, err := mine.Participants().Fetch(ctx)
	require.NoError(t, err)
	assert.Len(t, contacts, 3)
	require.NoError(t, mine.Participants().Remove(ctx, w.ids["eve"]))
	st.left(group.ID, "eve")
	st.checkConversations()
	assert.NotEqual(t, group.ID, w.converse(bob, "jane").ID, "a group reduced to two is not their direct chat")
	require.NoError(t, mine.Participants().Add(ctx, w.ids["eve"]))
	st.found(group.ID, "jane", "bob", "eve")
	st.checkConversations()
	after := st.conversation("eve", group.ID)
	assert.Equal(t, "launch", after.Definition.Metadata["topic"])
	assert.Empty(t, after.Definition.RemovedParticipants)
	assert.Equal(t, group.EncryptionKey(), after.EncryptionKey())

	// Offline, what was read last is still there.
	online, err := jane.Conversations(ctx)
	require.NoError(t, err)
	list, err := jane.Contacts(ctx)
	require.NoError(t, err)
	require.NoError(t, jane.Close())
	requests := len(w.Requests())
	offline := w.connect(with)
	_, err = offline.Login(ctx, chat.M{"Email": "jane@example.org"}, chat.Offline())
	require.NoError(t, err)
	cached, err := offline.Conversations(ctx, chat.Offline())
	require.NoError(t, err)
	cachedContacts, err := offline.Contacts(ctx, chat.Offline())
	require.NoError(t, err)
	assert.Equal(t, conversationIDs(online), conversationIDs(cached))
	assert.Equal(t, contactIDs(list), contactIDs(cachedContacts))
	assert.Zero(t, writesSince(w, requests), "nobody is asked")

	assert.Zero(t, w.RowsDropped())
}

func conversationIDs(list []*chat.Conversation) []int64 {
	ids := []int64{}
	for _, c := range list {
		ids = append(ids, c.ID)
	}
	slices.Sort(ids)
	return ids
}

func contactIDs(list []*chat.Contact) []int64 {
	ids := []int64{}
	for _, c := range list {
		if !slices.Contains(ids, c.ID) { // a server may repeat itself
			ids = append(ids, c.ID)
		}
	}
	slices.Sort(ids)
	return ids
}

// writesSince counts the writes after the first n requests. The streams of others go
// on polling, so reads say nothing.
func writesSince(w *world, n int) int {
	writes := 0
	for _, r := range w.Requests()[n:] {
		if r.Method == "PUT" || r.Method == "DELETE" {
			writes++
		}
	}
	return writes
}
