package chat_test

import (
	"context"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

// testPlaces are the directories of all tests and examples.
func testPlaces(t *testing.T) map[string]string {
	t.Helper()
	places := map[string]string{}
	name := regexp.MustCompile(`(?m)^func ((?:Test|Example)\w*)\(`)
	require.NoError(t, filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		for _, m := range name.FindAllSubmatch(source, -1) {
			places[string(m[1])] = "./" + filepath.ToSlash(filepath.Dir(path))
		}
		return err
	}))
	return places
}

func TestParityRowsNameTests(t *testing.T) {
	places := testPlaces(t)
	for number, test := range parityRows(t) {
		assert.NotEmpty(t, places[test], "row %s names %s, which is no test", number, test)
	}
}

// parityRows are the tests that the rows of docs/parity.md name, by the rows' numbers.
func parityRows(t *testing.T) map[string]string {
	t.Helper()
	table, err := os.ReadFile("docs/parity.md")
	require.NoError(t, err)
	rows, last := map[string]string{}, ""
	for line := range strings.Lines(string(table)) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) == 1 || strings.HasPrefix(line, "| # |") || strings.HasPrefix(line, "|---") {
			continue
		}
		require.Len(t, cells, 5, line)
		number := strings.TrimSpace(cells[1])
		require.Regexp(t, `^[BP]?\d+[a-z]?$`, number, line)
		require.NotContains(t, rows, number, "two rows have one number")
		require.Less(t, place(last), place(number), "rows are in the order of their numbers")
		rows[number], last = strings.TrimSpace(cells[3]), number
	}
	require.Greater(t, len(rows), 220)
	return rows
}

// place is where a row belongs: 9 comes before 10, 10 before 10a, and 150 before P1.
func place(number string) string {
	digits := regexp.MustCompile(`\d+`)
	kind := map[byte]string{'P': "1", 'B': "2"}[(number + " ")[0]]
	return kind + "0" + digits.ReplaceAllStringFunc(number, func(n string) string { return fmt.Sprintf("%4s", n) })
}

func TestConnectRefusesUnusableOptions(t *testing.T) {
	w := newWorld(t)
	for field, change := range map[string]func(*chat.Options){
		"Client":       func(o *chat.Options) { o.Client = nil },
		"DataSourceID": func(o *chat.Options) { o.DataSourceID = 0 },
		"AppID":        func(o *chat.Options) { o.AppID = -1 },
		"PollInterval": func(o *chat.Options) { o.PollInterval = -1 },
	} {
		o := chat.Options{Client: w.Client(), DataSourceID: w.contacts}
		change(&o)
		_, err := chat.Connect(t.Context(), o)
		require.ErrorIs(t, err, chat.ErrInvalid, field)
		assert.ErrorContains(t, err, "Options."+field)
	}
	_, err := chat.Connect(t.Context(), chat.Options{})
	require.ErrorContains(t, err, "Client")
	require.ErrorContains(t, err, "DataSourceID", "all problems at once")
	assert.Zero(t, w.Count(fliplettest.AnyRoute))
}

func TestDefaultsOfOptions(t *testing.T) {
	w := newWorld(t)
	c, err := chat.Connect(t.Context(), chat.Options{Client: w.Client(), DataSourceID: w.contacts, AppID: w.AppID})
	require.NoError(t, err)
	defer c.Close()
	_, err = c.Login(t.Context(), chat.M{"Email": "jane@example.org"})
	require.NoError(t, err)
	conv := w.converse(c, "bob")
	m := w.say(c, conv, "plain")
	row, err := w.Client().FindByID(t.Context(), conv.ID, m.ID)
	require.NoError(t, err)
	assert.Equal(t, "plain", row.Data["body"], "not encrypted")
	ds, err := w.Client().DataSource(t.Context(), conv.ID)
	require.NoError(t, err)
	assert.JSONEq(t, "[]", string(ds.Hooks), "no push")
}

func TestConversationsCarryThePushHook(t *testing.T) {
	w := newWorld(t)
	jane := w.login("jane", func(o *chat.Options) { o.PushNotifications = true })
	ds, err := w.Client().DataSource(t.Context(), w.converse(jane, "bob").ID)
	require.NoError(t, err)
	assert.JSONEq(t, `[{"runOn":["insert"],"type":"push-message","appId":1}]`, string(ds.Hooks))
}

func TestEveryCallNeedsALogin(t *testing.T) {
	w := newWorld(t)
	c := w.connect()
	ctx := t.Context()
	first := func(all iter.Seq2[*chat.Message, error]) error {
		for _, err := range all {
			return err
		}
		return nil
	}
	for name, call := range map[string]func() error{
		"Conversation":       func() error { _, err := c.Conversation(ctx, 1); return err },
		"Channels.Create":    func() error { _, err := c.Channels().Create(ctx, "x"); return err },
		"Channels.Join":      func() error { _, err := c.Channels().Join(ctx, 1); return err },
		"Channels.Delete":    func() error { return c.Channels().Delete(ctx, 1) },
		"History":            func() error { return first(c.History(ctx, 1)) },
		"Events":             func() error { return first(c.Events(ctx)) },
		"Conversations":      func() error { _, err := c.Conversations(ctx); return err },
		"Create":             func() error { _, err := c.Create(ctx, chat.NewConversation{Participants: []int64{1}}); return err },
		"JoinConversation":   func() error { _, err := c.JoinConversation(ctx, "x"); return err },
		"Message":            func() error { _, err := c.Message(ctx, 1, chat.Draft{Body: "x"}); return err },
		"UpdateMessage":      func() error { _, err := c.UpdateMessage(ctx, 1, 1, chat.M{"body": "x"}); return err },
		"DeleteMessage":      func() error { return c.DeleteMessage(ctx, 1, 1) },
		"Messages":           func() error { _, err := c.Messages(ctx); return err },
		"MarkMessagesAsRead": func() error { return c.MarkMessagesAsRead(ctx, &chat.Message{ID: 1, ConversationID: 1}) },
		"Unread.Get":         func() error { _, err := c.Unread().Get(ctx); return err },
		"Unread.Count":       func() error { _, err := c.Unread().Count(ctx); return err },
		"Stream":             func() error { _, err := c.Stream(ctx, func(*chat.Message) {}); return err },
		"Poll":               func() error { return c.Poll(ctx) },
		"Channels.List":      func() error { _, err := c.Channels().List(ctx); return err },
		"Consume":            func() error { return c.Consume(ctx, "n", func(context.Context, *chat.Message) error { return nil }) },
	} {
		require.ErrorIs(t, call(), chat.ErrNotLoggedIn, name)
	}
	require.NoError(t, c.Close())
	_, err := c.Contacts(ctx)
	require.ErrorIs(t, err, chat.ErrClosed)
	assert.Zero(t, w.Count(fliplettest.AnyRoute), "no request was made")
}

func TestDefaultsOfANewConversation(t *testing.T) {
	w := newWorld(t)
	conv := w.converse(w.login("jane"), "bob")
	assert.NoError(t, uuid.Validate(conv.Name), "the name is a new GUID")
	assert.NotNil(t, conv.Definition.Group, "present for direct chats, too")
	assert.False(t, conv.IsGroup)
	assert.False(t, conv.IsChannel)
}

func TestUnusableConversationsAreRefused(t *testing.T) {
	w := newWorld(t)
	jane := w.login("jane")
	for name, tc := range map[string]struct {
		ids  []int64
		want error
		text string
	}{
		"nobody":          {nil, chat.ErrInvalid, "Participants"},
		"a zero":          {[]int64{0}, chat.ErrInvalid, "Participants"},
		"oneself":         {[]int64{w.ids["jane"]}, chat.ErrInvalid, "only the user"},
		"unknown contact": {[]int64{999999}, chat.ErrContactNotFound, "999999"},
	} {
		_, err := jane.Create(t.Context(), chat.NewConversation{Participants: tc.ids})
		require.ErrorIs(t, err, tc.want, name)
		require.ErrorContains(t, err, tc.text, name)
	}
	list, err := jane.Conversations(t.Context())
	require.NoError(t, err)
	assert.Empty(t, list)
}

func TestGroupSomebodyLeftIsNotTheDirectChatOfTheRest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		jane := w.login("jane")
		group := w.converse(jane, "bob", "eve")
		require.NoError(t, group.Participants().Remove(t.Context(), w.ids["eve"]))
		assert.True(t, group.IsGroup)
		direct := w.converse(jane, "bob")
		assert.True(t, direct.IsNew)
		assert.NotEqual(t, group.ID, direct.ID)
	})
}

func TestMembershipWithoutAChangeWritesNothing(t *testing.T) {
	w := newWorld(t)
	conv := w.converse(w.login("jane"), "bob")
	before := w.Count(fliplettest.UpdateSource)
	require.NoError(t, conv.Participants().Add(t.Context(), w.ids["bob"], w.ids["bob"]))
	require.NoError(t, conv.Participants().Remove(t.Context(), w.ids["eve"]))
	assert.Equal(t, before, w.Count(fliplettest.UpdateSource))
}

func TestJoiningByCodeIsExact(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		jane, eve := w.login("jane"), w.login("eve")
		conv, err := jane.Create(t.Context(), chat.NewConversation{Participants: []int64{w.ids["bob"]}, AllowInvite: true})
		require.NoError(t, err)
		code, err := conv.InviteCode(t.Context())
		require.NoError(t, err)
		for _, wrong := range []string{code[:8], strings.ToUpper(code) + "0", "x"} {
			_, err := eve.JoinConversation(t.Context(), wrong)
			require.ErrorIs(t, err, chat.ErrNotFound)
		}
		joined, err := eve.JoinConversation(t.Context(), " "+code+"\n")
		require.NoError(t, err)
		assert.Equal(t, conv.ID, joined.ID)
		_, err = w.converse(jane, "eve").InviteCode(t.Context())
		require.ErrorIs(t, err, chat.ErrNoInviteCode)
	})
}

func TestChannelsRefuseWhatIsNone(t *testing.T) {
	w := newWorld(t)
	jane := w.login("jane")
	private := w.converse(jane, "bob")
	for id, want := range map[int64]error{private.ID: chat.ErrNotFound, w.contacts: chat.ErrNotFound, 99999: chat.ErrNotFound, 0: chat.ErrInvalid} {
		_, err := jane.Channels().Join(t.Context(), id)
		require.ErrorIs(t, err, want, "join %d", id)
		require.ErrorIs(t, jane.Channels().Delete(t.Context(), id), want, "delete %d", id)
	}
	_, err := jane.Channels().Create(t.Context(), " ")
	require.ErrorIs(t, err, chat.ErrInvalid)
	_, err = w.Client().DataSource(t.Context(), private.ID)
	require.NoError(t, err, "nothing was deleted")
}

func TestDefaultsOfAMessage(t *testing.T) {
	w := newWorld(t)
	jane, bob := w.login("jane"), w.login("bob")
	conv := w.converse(jane, "bob")
	shout := strings.ToUpper(bob.User().UserID)
	data := chat.M{"readBy": []string{shout}, "tag": "x"}
	m, err := jane.Message(t.Context(), conv.ID, chat.Draft{Body: "hi", Data: data})
	require.NoError(t, err)
	me := jane.User().UserID
	assert.Equal(t, chat.M{"readBy": []string{shout}, "tag": "x"}, data, "the caller's map is untouched")
	assert.Equal(t, me, m.FromUserID)
	assert.Equal(t, []string{me, shout}, m.ReadBy)
	assert.NoError(t, uuid.Validate(m.GUID))
	assert.EqualValues(t, "x", m.Data["tag"])
	row, err := w.Client().FindByID(t.Context(), conv.ID, m.ID)
	require.NoError(t, err)
	assert.IsType(t, "", row.Data["fromUserId"])
	assert.Equal(t, []any{me, shout}, row.Data["readBy"])
	his, err := bob.Messages(t.Context())
	require.NoError(t, err)
	assert.False(t, his[0].IsReadByCurrentUser, "ids are compared exactly")
	assert.Contains(t, row.Data, "conversationId")
}

func TestUnusableMessagesAreRefused(t *testing.T) {
	w := newWorld(t)
	jane := w.login("jane")
	conv := w.converse(jane, "bob")
	before := w.Count(fliplettest.AnyWrite)
	for name, d := range map[string]chat.Draft{
		"empty":        {},
		"not text":     {Body: "\xff"},
		"own column":   {Body: "x", Data: chat.M{"fromUserId": "u-bob"}},
		"a credential": {Body: "x", Data: chat.M{"flUserToken": "t"}},
		"an odd guid":  {Body: "x", GUID: "a\nb"},
	} {
		_, err := jane.Message(t.Context(), conv.ID, d)
		require.ErrorIs(t, err, chat.ErrInvalid, name)
	}
	_, err := jane.Message(t.Context(), 0, chat.Draft{Body: "x"})
	require.ErrorIs(t, err, chat.ErrInvalid)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = jane.Message(ctx, conv.ID, chat.Draft{Body: "x"})
	require.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, before, w.Count(fliplettest.AnyWrite), "nothing was written")
	_, err = jane.Message(t.Context(), 999999, chat.Draft{Body: "x"})
	require.ErrorIs(t, err, chat.ErrNotFound)
}

func TestListsSurviveStrangeSources(t *testing.T) {
	w := newWorld(t)
	jane := w.login("jane")
	conv := w.converse(jane, "bob")
	for _, def := range []any{nil, datasource.M{}, datasource.M{"participants": nil}, datasource.M{"participants": "x", "group": 7}} {
		w.AddDataSource(datasource.M{"name": "odd", "type": "conversation", "definition": def})
	}
	w.Always(fliplettest.ListSources, fliplettest.Ignore("definition", "type"))
	list, err := jane.Conversations(t.Context())
	require.NoError(t, err)
	require.Len(t, list, 1)
	assert.Equal(t, conv.ID, list[0].ID)
	channels, err := jane.Channels().List(t.Context())
	require.NoError(t, err)
	assert.Empty(t, channels)
}

func TestContactsAreOnlyReadAndUpdated(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		jane, bob := w.login("jane"), w.login("bob")
		conv := w.converse(jane, "bob")
		w.say(jane, conv, "hi")
		_, err := bob.Contacts(t.Context())
		require.NoError(t, err)
		require.NoError(t, conv.Participants().Add(t.Context(), w.ids["eve"]))
		require.NoError(t, bob.Logout(t.Context()))
		assert.Len(t, w.Rows(w.contacts), len(people))
		for _, r := range w.Requests() {
			if strings.Contains(r.Path, "/data-sources/"+jsonNumber(w.contacts)+"/data") {
				assert.NotEqual(t, "DELETE", r.Method)
				assert.False(t, r.Method == "PUT" && strings.HasSuffix(r.Path, "/data"), "no insert")
			}
		}
	})
}

func TestReadOnlyGroupsAreStoredNotEnforced(t *testing.T) {
	w := newWorld(t)
	jane, bob := w.login("jane"), w.login("bob")
	conv, err := jane.Create(t.Context(), chat.NewConversation{
		Participants: []int64{w.ids["bob"], w.ids["eve"]}, Group: chat.M{"readOnly": true, "type": "Speakers"},
	})
	require.NoError(t, err)
	assert.Equal(t, chat.M{"readOnly": true, "type": "Speakers"}, conv.Definition.Group)
	w.say(bob, conv, "still possible")
}

func jsonNumber(n int64) string { return strconv.FormatInt(n, 10) }
