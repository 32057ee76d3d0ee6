package chat_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
)

// told is a message as the story knows it.
type told struct {
	id, conversation int64
	guid, from, body string
	files            int
	readBy           map[string]bool
	edited, deleted  bool
	data             chat.M
}

// story plays a chat and keeps its own record of it, an oracle to compare with.
type story struct {
	t       *testing.T
	w       *world
	chats   map[string]*chat.Chat
	users   map[string]string // name → flUserId
	streams map[string]*recorder
	members map[int64]map[string]bool
	said    []*told // in the order they were sent
	blind   bool    // streams do not hear of deletions
}

func newStory(t *testing.T, w *world, options ...func(*chat.Options)) *story {
	st := &story{
		t: t, w: w, chats: map[string]*chat.Chat{}, users: map[string]string{},
		streams: map[string]*recorder{}, members: map[int64]map[string]bool{},
	}
	for _, name := range people {
		st.chats[name] = w.login(name, options...)
		st.users[name] = st.chats[name].User().UserID
	}
	return st
}

func (st *story) listen(name string) { st.streams[name] = stream(st.t, st.chats[name]) }

func (st *story) found(conversation int64, names ...string) {
	if st.members[conversation] == nil {
		st.members[conversation] = map[string]bool{}
	}
	for _, name := range names {
		st.members[conversation][name] = true
	}
}

func (st *story) left(conversation int64, name string) { delete(st.members[conversation], name) }

func (st *story) say(name string, conversation int64, d chat.Draft) *told {
	st.t.Helper()
	m, err := st.chats[name].Message(st.t.Context(), conversation, d)
	require.NoError(st.t, err)
	require.NotZero(st.t, m.ID)
	assert.Equal(st.t, d.Body, m.Body)
	assert.NotEmpty(st.t, m.GUID)
	if d.GUID != "" {
		assert.Equal(st.t, d.GUID, m.GUID)
	}
	x := &told{
		id: m.ID, conversation: conversation, guid: m.GUID, from: name, body: d.Body, files: len(d.Files),
		readBy: map[string]bool{name: true}, data: d.Data,
	}
	st.said = append(st.said, x)
	return x
}

func (st *story) edit(name string, x *told, body string) {
	st.t.Helper()
	m, err := st.chats[name].UpdateMessage(st.t.Context(), x.conversation, x.id, chat.M{"body": body, "isEdited": true})
	require.NoError(st.t, err)
	assert.Equal(st.t, body, m.Body)
	assert.Equal(st.t, st.users[x.from], m.FromUserID)
	x.body, x.edited = body, true
}

func (st *story) remove(name string, x *told) {
	st.t.Helper()
	require.NoError(st.t, st.chats[name].DeleteMessage(st.t.Context(), x.conversation, x.id))
	x.deleted = true
}

func (st *story) read(name string, msgs []*chat.Message) {
	st.t.Helper()
	require.NoError(st.t, st.chats[name].MarkMessagesAsRead(st.t.Context(), msgs...))
	for _, m := range msgs {
		assert.True(st.t, m.IsReadByCurrentUser)
		i := slices.IndexFunc(st.said, func(x *told) bool { return x.id == m.ID })
		require.GreaterOrEqual(st.t, i, 0)
		st.said[i].readBy[name] = true
	}
}

// line is a message as one line of text, to compare lists by.
func (st *story) line(x *told, name string) string {
	readers := []string{}
	for reader := range x.readBy {
		readers = append(readers, st.users[reader])
	}
	slices.Sort(readers)
	return fmt.Sprintf("%d/%d %s from %s: %q, %d files, read by %v, by me %t, edited %t",
		x.conversation, x.id, x.guid, st.users[x.from], x.body, x.files, readers, x.readBy[name], x.edited)
}

func lineOf(m *chat.Message) string {
	readers := slices.Sorted(slices.Values(m.ReadBy))
	return fmt.Sprintf("%d/%d %s from %s: %q, %d files, read by %v, by me %t, edited %t",
		m.ConversationID, m.ID, m.GUID, m.FromUserID, m.Body, len(m.Files), readers, m.IsReadByCurrentUser, fmt.Sprint(m.Data["isEdited"]) == "true")
}

func linesOf(msgs []*chat.Message) []string {
	out := []string{}
	for _, m := range msgs {
		out = append(out, lineOf(m))
	}
	return out
}

// expect is what a person should see, oldest first.
func (st *story) expect(name string, keep func(*told) bool) []string {
	out := []string{}
	for _, x := range st.said {
		if !x.deleted && st.members[x.conversation][name] && keep(x) {
			out = append(out, st.line(x, name))
		}
	}
	return out
}

func everything(*told) bool { return true }

// view is what a consumer makes of a stream, as the documentation tells it to.
func view(events []*chat.Message) []string {
	shown := map[int64]*chat.Message{}
	for _, m := range events {
		_, known := shown[m.ID]
		switch {
		case m.IsDeleted:
			delete(shown, m.ID)
		case known || !m.IsUpdate:
			shown[m.ID] = m
		}
	}
	list := slices.SortedFunc(maps.Values(shown), func(a, b *chat.Message) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	return linesOf(list)
}

// checkStreams polls until every stream shows what it should; and none has told of
// a new message twice.
func (st *story) checkStreams() {
	st.t.Helper()
	for name, r := range st.streams {
		want := st.expect(name, everything)
		var got []string
		for range 50 {
			require.NoError(st.t, st.chats[name].Poll(st.t.Context()))
			if got = view(st.seen(r)); slices.Equal(want, got) {
				break
			}
		}
		assert.Equal(st.t, want, got, "stream of %s", name)
		news := map[int64]bool{}
		for _, m := range r.all() {
			assert.NoError(st.t, m.Err)
			if !m.IsUpdate && !m.IsDeleted {
				assert.False(st.t, news[m.ID], "message %d was new to %s twice", m.ID, name)
				news[m.ID] = true
			}
		}
	}
}

// seen are the events of a stream, with the deletions it could not hear of.
func (st *story) seen(r *recorder) []*chat.Message {
	events := r.all()
	if st.blind {
		for _, x := range st.said {
			if x.deleted {
				events = append(events, &chat.Message{ID: x.id, IsDeleted: true})
			}
		}
	}
	return events
}

func (st *story) checkConversations() {
	st.t.Helper()
	for name, c := range st.chats {
		list, err := c.Conversations(st.t.Context())
		require.NoError(st.t, err)
		got := map[int64][]string{}
		for i, conv := range list {
			got[conv.ID] = slices.Sorted(slices.Values(conv.Participants().IDs()))
			assert.Equal(st.t, len(conv.Participants().IDs()), conv.NParticipants)
			if i > 0 {
				assert.False(st.t, conv.UpdatedAt.After(list[i-1].UpdatedAt), "the latest activity first")
			}
		}
		want := map[int64][]string{}
		for id, members := range st.members {
			if members[name] {
				for member := range members {
					want[id] = append(want[id], st.users[member])
				}
				slices.Sort(want[id])
			}
		}
		assert.Equal(st.t, want, got, "conversations of %s", name)
	}
}

func (st *story) checkUnread() {
	st.t.Helper()
	for name, c := range st.chats {
		unread, err := c.Unread().Get(st.t.Context())
		require.NoError(st.t, err)
		want := st.expect(name, func(x *told) bool { return !x.readBy[name] })
		assert.Equal(st.t, want, linesOf(unread), "unread of %s", name)
		n, err := c.Unread().Count(st.t.Context())
		require.NoError(st.t, err)
		assert.Equal(st.t, len(want), n, "count of %s", name)
	}
}

// checkHistory reads the same messages in every way there is.
func (st *story) checkHistory() {
	st.t.Helper()
	ctx := st.t.Context()
	for name, c := range st.chats {
		want := st.expect(name, everything)
		all, err := c.Messages(ctx)
		require.NoError(st.t, err)
		assert.Equal(st.t, want, linesOf(all), "messages of %s", name)
		some, err := c.Messages(ctx, chat.Limit(7), chat.Offset(2))
		require.NoError(st.t, err)
		end := max(0, len(want)-2)
		assert.Equal(st.t, want[max(0, end-7):end], linesOf(some))
		from := st.users["bob"]
		some, err = c.Messages(ctx, chat.WhereRow(chat.M{"data": chat.M{"$contains": chat.M{"fromUserId": from}}}))
		require.NoError(st.t, err)
		assert.Equal(st.t, st.expect(name, func(x *told) bool { return x.from == "bob" }), linesOf(some))
		list, err := c.Conversations(ctx)
		require.NoError(st.t, err)
		for _, conv := range list {
			want := st.expect(name, func(x *told) bool { return x.conversation == conv.ID })
			fetched, err := conv.Messages().Fetch(ctx)
			require.NoError(st.t, err)
			assert.Equal(st.t, want, linesOf(fetched), "fetched by %s", name)
			in, err := c.Messages(ctx, chat.In(conv.ID))
			require.NoError(st.t, err)
			assert.Equal(st.t, want, linesOf(in))
			history := []string{}
			for m, err := range c.History(ctx, conv.ID, chat.PageSize(8)) {
				require.NoError(st.t, err)
				history = append(history, lineOf(m))
			}
			slices.Reverse(history)
			assert.Equal(st.t, want, history, "history of %s", name)
		}
	}
	for _, x := range st.said {
		if x.data != nil {
			m := st.stored(x.from, x.id)
			for column, v := range x.data {
				assert.JSONEq(st.t, string(must(json.Marshal(v))), string(must(json.Marshal(m.Data[column]))))
			}
		}
	}
}

// stored is a message as a person reads it.
func (st *story) stored(name string, id int64) *chat.Message {
	st.t.Helper()
	msgs, err := st.chats[name].Messages(st.t.Context(), chat.WhereRow(chat.M{"id": id}))
	require.NoError(st.t, err)
	require.Len(st.t, msgs, 1)
	return msgs[0]
}

// conversation reads a conversation of a person's.
func (st *story) conversation(name string, id int64) *chat.Conversation {
	st.t.Helper()
	list, err := st.chats[name].Conversations(st.t.Context())
	require.NoError(st.t, err)
	i := slices.IndexFunc(list, func(c *chat.Conversation) bool { return c.ID == id })
	require.GreaterOrEqual(st.t, i, 0)
	return list[i]
}
