package chat_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

// throughJSON makes JSON of a value, a T of that, and JSON again, which has to be the same.
func throughJSON[T any](t testing.TB, v any) (*T, string) {
	t.Helper()
	first, err := json.Marshal(v)
	require.NoError(t, err)
	back := new(T)
	require.NoError(t, json.Unmarshal(first, back), "%s", first)
	second, err := json.Marshal(back)
	require.NoError(t, err)
	require.Equal(t, string(first), string(second))
	return back, string(first)
}

func TestAMessageComesBackFromItsJSON(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	jane, bob := w.login("jane"), w.login("bob")
	conv := w.converse(jane, "bob")
	_, err := jane.Message(t.Context(), conv.ID, chat.Draft{
		Body: "hello <b>", GUID: "g1", Data: chat.M{"big": json.Number("9007199254740993"), "list": []any{1, "x"}},
		Files: []chat.File{{URL: "https://example.org/a.png"}},
	})
	require.NoError(t, err)
	msgs, err := bob.Messages(t.Context())
	require.NoError(t, err)
	back, _ := throughJSON[chat.Message](t, msgs[0])
	want := *msgs[0]
	want.Protection = chat.Plain // a page's word proves nothing
	assert.Equal(t, want, *back)

	require.NoError(t, bob.MarkMessagesAsRead(t.Context(), back))
	assert.True(t, back.IsReadByCurrentUser)
	n, err := bob.Unread().Count(t.Context())
	require.NoError(t, err)
	assert.Zero(t, n)
	before := len(w.Requests())
	again, _ := throughJSON[chat.Message](t, back)
	require.NoError(t, bob.MarkMessagesAsRead(t.Context(), again))
	assert.Len(t, w.Requests(), before, "it says that it is read")
}

func TestEachKindOfMessageComesBackFromItsJSON(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 2, 1, 8, 0, 0, 123e6, time.FixedZone("", 3600))
	odd := at.Add(456789 * time.Nanosecond)
	for name, m := range map[string]chat.Message{
		"empty":             {},
		"deleted":           {ID: 1, ConversationID: 2, DeletedAt: &at, IsDeleted: true},
		"deleted, unsaid":   {ID: 1, ConversationID: 2, DeletedAt: &at},
		"history":           {ID: 1, IsHistory: true, CreatedAt: at, UpdatedAt: odd},
		"replay":            {ID: 1, IsReplay: true, IsUpdate: true, IsReadByCurrentUser: true},
		"unreadable":        {ID: 1, Err: &chat.Error{Op: "read body", Err: fmt.Errorf("%w: %w", chat.ErrUnreadable, chat.ErrTampered)}},
		"unreadable, other": {ID: 1, Err: errors.New("chat: chat: not found: <&>")},
		"unreadable, found": {ID: 1, Err: &chat.Error{Op: "x", Code: 404, Err: &datasource.Error{StatusCode: 418}}},
		"a read mark":       {ID: 1, IsUpdate: true, Change: chat.ChangedReaders},
		"all changed":       {ID: 1, IsUpdate: true, Change: chat.ChangedBody | chat.ChangedReaders | chat.ChangedFiles | chat.ChangedColumns},
		"no conversation":   {ID: 1, Data: chat.M{"conversationId": json.Number("7")}},
		"a key":             {ID: 1, Data: chat.M{"_flSchema": chat.M{"file": chat.M{"encryptionKey": "K"}}, "body": "x"}},
		"a year too many":   {ID: math.MaxInt64, CreatedAt: time.Date(12026, 1, 1, 0, 0, 0, 0, time.UTC), DeletedAt: new(time.Date(12026, 1, 1, 0, 0, 0, 0, time.UTC))},
		"zero deletion":     {ID: math.MinInt64, DeletedAt: &time.Time{}},
		"texts for lists":   {ID: 1, Data: chat.M{"readBy": `["a","b"]`, "file": "https://x/1", "guid": 7}},
	} {
		back, text := throughJSON[chat.Message](t, m)
		assert.Equal(t, m.ID, back.ID, name)
		assert.Equal(t, m.Err == nil, back.Err == nil, name)
		if m.Err != nil {
			assert.Equal(t, m.Err.Error(), back.Err.Error(), name)
			require.ErrorIs(t, back.Err, chat.ErrUnreadable)
		}
		assert.Equal(t, []bool{m.IsReplay, m.IsHistory, m.IsUpdate, m.IsDeleted}, []bool{back.IsReplay, back.IsHistory, back.IsUpdate, back.IsDeleted}, name)
		assert.Equal(t, m.Change, back.Change, name)
		assert.Equal(t, m.Change == chat.ChangedReaders, strings.Contains(text, `"change":["readers"]`), name)
		assert.NotContains(t, text, "_flSchema")
		for field, has := range map[string]bool{`"isReplay":true`: m.IsReplay, `"isHistory":true`: m.IsHistory, `"error":{"code":`: m.Err != nil, `"change":["`: m.Change != 0} {
			name, _, _ := strings.Cut(field, ":")
			assert.Equal(t, has, strings.Contains(text, field), name)
			assert.Equal(t, has, strings.Contains(text, name), "no other message has %s", name)
		}
	}
	back, _ := throughJSON[chat.Message](t, chat.Message{ID: 1, Data: chat.M{"readBy": `["a","b"]`, "file": "https://x/1", "body": "x"}})
	assert.Equal(t, []string{"a", "b"}, back.ReadBy)
	assert.Equal(t, []string{"https://x/1"}, back.Files)
	assert.Equal(t, "x", back.Body)
}

func TestWhatAPageWritesByHandIsAMessage(t *testing.T) {
	t.Parallel()
	var m chat.Message
	require.NoError(t, json.Unmarshal([]byte(`{"id":"7","data":{"conversationId":"9","body":"x","isDeleted":true},"more":[{}],"createdAt":null}`), &m))
	assert.Equal(t, []int64{7, 9}, []int64{m.ID, m.ConversationID})
	assert.True(t, m.IsDeleted)
}

func TestJSONThatIsNoMessageIsRefusedAndNamesTheField(t *testing.T) {
	t.Parallel()
	for text, says := range map[string]string{
		`[]`: "not a JSON object", `"x"`: "not a JSON object", `7`: "not a JSON object",
		`{"id":1.5}`: "id:", `{"id":true}`: "id:", `{"id":{}}`: "id:", `{"id":99999999999999999999}`: "id:",
		`{"dataSourceId":"x"}`: "dataSourceId:", `{"data":[]}`: "data:", `{"data":"SECRET"}`: "data:",
		`{"createdAt":7}`: "createdAt:", `{"updatedAt":"SECRET"}`: "updatedAt:", `{"deletedAt":""}`: "deletedAt:", `{"createdAt":"9999-12-31T23:59:59-23:59"}`: "createdAt:",
		`{"isDeleted":"yes"}`: "isDeleted:", `{"isUpdate":1}`: "isUpdate:", `{"error":"SECRET"}`: "error:", `{"change":"SECRET"}`: "change:", `{"change":[7]}`: "change:", `{"error":{"status":"x"}}`: "status:",
		`{"data":` + strings.Repeat("[", 2000) + strings.Repeat("]", 2000) + `}`: "nested deeper than 1010 levels",
		`{"data":{"a":[` + strings.Repeat("1,", 100_001) + `1]}}`:                "more than 100000 values",
		`{"data":{"a":"` + strings.Repeat("x", 16<<20) + `"}}`:                   "at most 16 MiB",
	} {
		m := chat.Message{ID: 42}
		err := json.Unmarshal([]byte(text), &m)
		require.ErrorIs(t, err, chat.ErrInvalid, "%.80s", text)
		require.ErrorContains(t, err, says)
		assert.NotContains(t, err.Error(), "SECRET")
		assert.Equal(t, chat.Message{ID: 42}, m, "it is not touched")
	}
	var m chat.Message
	require.ErrorContains(t, m.UnmarshalJSON([]byte(`{"id":`)), "not JSON")
}

func TestConversationsContactsAndChannelsComeBackFromTheirJSON(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	jane := w.login("jane")
	conv, err := jane.Create(t.Context(), chat.NewConversation{
		Participants: []int64{w.ids["bob"], w.ids["eve"]}, AllowInvite: true, Group: chat.M{"type": "x"}, Metadata: chat.M{"n": json.Number("9007199254740993"), "flUserToken": "t"},
	})
	require.NoError(t, err)
	require.NoError(t, conv.Notifications().Mute(t.Context()))
	back, text := throughJSON[chat.Conversation](t, conv)
	assert.Contains(t, text, `"isMuted":true`)
	assert.Equal(t, []any{conv.ID, conv.Name, conv.AppID, conv.CreatedAt, conv.IsNew, conv.IsGroup, conv.NParticipants, conv.IsMuted(), conv.Participants().IDs(), conv.Definition.Group},
		[]any{back.ID, back.Name, back.AppID, back.CreatedAt, back.IsNew, back.IsGroup, back.NParticipants, back.IsMuted(), back.Participants().IDs(), back.Definition.Group})
	assert.Empty(t, back.EncryptionKey(), "it has none, not the one that is computed from the id")
	before := len(w.Requests())
	_, err = back.Messages().Fetch(t.Context())
	require.ErrorIs(t, err, chat.ErrInvalid)
	_, err = back.InviteCode(t.Context())
	require.ErrorIs(t, err, chat.ErrInvalid)
	require.ErrorIs(t, back.Participants().Add(t.Context(), 1), chat.ErrInvalid)
	assert.Len(t, w.Requests(), before)

	ch, err := jane.Channels().Create(t.Context(), "News")
	require.NoError(t, err)
	channel, _ := throughJSON[chat.Channel](t, ch)
	assert.Equal(t, []any{ch.ID, ch.Name, ch.NParticipants}, []any{channel.ID, channel.Name, channel.NParticipants})
	definition, _ := throughJSON[chat.Definition](t, conv.Definition)
	assert.Equal(t, conv.Definition.Participants, definition.Participants)

	contacts, err := jane.Contacts(t.Context())
	require.NoError(t, err)
	for _, ct := range contacts {
		contact, _ := throughJSON[chat.Contact](t, ct)
		assert.Equal(t, ct, contact)
	}
	for text, says := range map[string]string{
		`{"definition":[]}`: "definition", `{"name":7}`: "name:", `{"type":"accounts"}`: "type:", `{"nParticipants":"many"}`: "nParticipants:",
		`{"definition":{"x":` + strings.Repeat("[", 2000) + strings.Repeat("]", 2000) + `}}`: "levels",
	} {
		require.ErrorContains(t, json.Unmarshal([]byte(text), new(chat.Conversation)), says)
		require.ErrorContains(t, json.Unmarshal([]byte(text), new(chat.Channel)), says)
	}
	require.ErrorIs(t, json.Unmarshal([]byte(`{"data":7}`), new(chat.Contact)), chat.ErrInvalid)
	require.ErrorIs(t, json.Unmarshal([]byte(`7`), new(chat.Definition)), chat.ErrInvalid)
}

func TestAnErrorIsARejectionInJSON(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	jane := w.login("jane")
	conv := w.converse(jane, "bob")
	_, notFound := jane.Login(t.Context(), chat.M{"Email": "nobody@example.org"})
	w.Always(fliplettest.Insert, fliplettest.Answer(418, `{"message":"a teapot"}`))
	_, teapot := jane.Message(t.Context(), conv.ID, chat.Draft{Body: "x"})
	for want, err := range map[string]error{
		`{"code":404,"status":404,"message":"chat: login: contact not found"}`: notFound,
		`{"code":418,"status":418,"message":`:                                  teapot,
		`{"code":400,"status":503,"message":"chat: x: the server cannot be reached: `: &chat.Error{
			Op: "x", Code: 400, Err: fmt.Errorf("%w: %w", chat.ErrOffline, &datasource.Error{StatusCode: 503})},
		`{"code":0,"status":0,"message":"chat: x"}`: &chat.Error{Op: "x"},
	} {
		require.Error(t, err)
		back, text := throughJSON[chat.Error](t, err)
		assert.True(t, strings.HasPrefix(text, want), text)
		assert.Equal(t, err.Error(), back.Error())
	}
	for _, text := range []string{`7`, `{"code":"x"}`, `{"message":{}}`} {
		require.ErrorIs(t, json.Unmarshal([]byte(text), new(chat.Error)), chat.ErrInvalid)
	}
}

func TestADerivedUserIDIsInTheContactsData(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	jane := w.login("jane")
	contacts, err := jane.Contacts(t.Context())
	require.NoError(t, err)
	for _, ct := range contacts { // Bob and Eve have never logged in
		require.NotEmpty(t, ct.UserID)
		assert.Equal(t, ct.UserID, ct.Data["flUserId"])
	}
	assert.NotContains(t, w.Rows(w.contacts)[1].Data, "flUserId", "nothing was stored")
	anonymous := w.connect(func(o *chat.Options) { o.PrimaryKey = "" })
	contacts, err = anonymous.Contacts(t.Context())
	require.NoError(t, err)
	assert.NotContains(t, contacts[1].Data, "flUserId")
}

func TestTheJSONOfALoginHasItsTokenOnRequestOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	jane := w.connect()
	query := chat.M{"Email": "jane@example.org"}
	me, err := jane.Login(t.Context(), query, chat.WithToken())
	require.NoError(t, err)
	token := me.Data["flUserToken"].(string)
	back, text := new(chat.Contact), ""
	has := func(v any) bool {
		raw, err := json.Marshal(v)
		require.NoError(t, err)
		text = string(raw)
		return strings.Contains(text, token)
	}
	me.Data["more"] = chat.M{"flUserToken": "ANOTHER"}
	assert.True(t, has(me))
	assert.NotContains(t, text, "ANOTHER")
	require.NoError(t, json.Unmarshal([]byte(text), back))
	assert.False(t, has(back))
	assert.False(t, has(jane.User()))
	me, err = jane.Login(t.Context(), query)
	require.NoError(t, err)
	assert.False(t, has(me))
	contacts, err := jane.Contacts(t.Context())
	require.NoError(t, err)
	assert.False(t, has(contacts))
	assert.NotContains(t, fmt.Sprintf("%v %+v %#v", me, me, me), token)
}

func FuzzMessageJSON(f *testing.F) {
	for _, seed := range []string{
		`{"id":1,"dataSourceId":2,"data":{"body":"x","readBy":["a"],"file":["u"],"n":1e400},"createdAt":"2026-02-01T08:00:00.000Z","deletedAt":null}`,
		`{"error":{"code":404,"status":1,"message":"chat: x: chat: not found"},"isReplay":true,"isHistory":true}`,
		`{"deletedAt":"0001-01-01T00:00:00Z","data":{"a":{"b":[null,"\ud800"]}}}`, `{"data":{"_flSchema":{}},"id":"7"}`, `[`, `null`,
		`{"definition":{"participants":["a"],"encryptionKey":"k","group":{"public":true,"auth_token":1}},"isMuted":true,"type":"conversation"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		again(t, raw, new(chat.Message), new(chat.Message))
		again(t, raw, new(chat.Contact), new(chat.Contact))
		again(t, raw, new(chat.Conversation), new(chat.Conversation))
		again(t, raw, new(chat.Channel), new(chat.Channel))
		again(t, raw, new(chat.Error), new(chat.Error))
		if d, err := chat.DraftFromJS(raw); err != nil {
			require.ErrorIs(t, err, chat.ErrInvalid)
			require.Less(t, len(err.Error()), 400+len(raw))
		} else {
			require.NotContains(t, d.Data, "_flSchema")
		}
	})
}

// again reads raw, and what it makes is stable from then on.
func again(t *testing.T, raw []byte, v, w json.Unmarshaler) {
	if v.UnmarshalJSON(raw) != nil {
		return
	}
	first, err := json.Marshal(v)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(first, w), "%s", first)
	second, err := json.Marshal(w)
	require.NoError(t, err)
	require.Equal(t, string(first), string(second))
}

// JSON has many ways to write a whole number.
func TestTheIDsOfAMessageInJSONAreWholeNumbersHoweverTheyAreWritten(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{
		`1`: 1, `1e0`: 1, `1E0`: 1, `1.0`: 1, `10e-1`: 1, `0.001e+3`: 1, `1.50e1`: 15, `100000e-5`: 1, `12.0e1`: 120, `9223372036854775807.0`: 1<<63 - 1,
		`922337203685477580.7e1`: 1<<63 - 1, `0.0`: 0, `0e999999999999999999999`: 0, `-0.0e-5`: 0, `-2e1`: -20, `"7"`: 7, `1e18`: 1e18,
	} {
		for _, name := range []string{"id", "dataSourceId"} {
			var m chat.Message
			require.NoError(t, json.Unmarshal([]byte(`{"`+name+`":`+text+`}`), &m), text)
			assert.Equal(t, want, m.ID+m.ConversationID, text)
		}
	}
	for _, text := range []string{`1.5`, `1e-1`, `1e19`, `9223372036854775808`, `1e999999999`, `1e-999999999`, `1e99999999999999999999`, `"1e0"`, `true`, `"x"`} {
		err := json.Unmarshal([]byte(`{"id":`+text+`}`), new(chat.Message))
		require.ErrorIs(t, err, chat.ErrInvalid, text)
		require.ErrorContains(t, err, "id: want a whole number", text)
	}
}
