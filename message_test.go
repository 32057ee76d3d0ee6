package chat_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

func TestUnusableMessagesAreRefusedBeforeAnyRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	jane := w.login("jane")
	conv := w.converse(jane, "bob")
	before := len(w.Requests())
	for text, d := range map[string]chat.Draft{
		"empty":                           {},
		"not UTF-8":                       {Body: "\xff"},
		"Draft.GUID":                      {Body: "x", GUID: "a\nb"},
		`column "fromUserId"`:             {Body: "x", Data: chat.M{"fromUserId": "u-bob"}},
		`column "file[]"`:                 {Body: "x", Data: chat.M{"file[]": "y"}},
		`column "_flSchema"`:              {Body: "x", Data: chat.M{"_flSchema": "y"}},
		"255":                             {Body: "x", GUID: strings.Repeat("g", 300)},
		"bytes of UTF-8":                  {Body: "x", GUID: "a\xff"},
		"Draft.Files[0]: neither URL nor": {Body: "x", Files: make([]chat.File, 1)},
	} {
		_, err := jane.Message(t.Context(), conv.ID, d)
		require.ErrorIs(t, err, chat.ErrInvalid, text)
		assert.ErrorContains(t, err, text)
	}
	for text, call := range map[string]func() error{
		"conversationID": func() error { _, err := jane.Message(t.Context(), 0, chat.Draft{Body: "x"}); return err },
		"messageID":      func() error { _, err := jane.UpdateMessage(t.Context(), conv.ID, 0, chat.M{"a": 1}); return err },
		"data: empty":    func() error { _, err := jane.UpdateMessage(t.Context(), conv.ID, 1, nil); return err },
		`"guid" is not`: func() error {
			_, err := jane.UpdateMessage(t.Context(), conv.ID, 1, chat.M{"guid": "a\xff"})
			return err
		},
		"credential": func() error {
			_, err := jane.UpdateMessage(t.Context(), conv.ID, 1, chat.M{"flUserToken": "x"})
			return err
		},
		`"body" is not`: func() error { _, err := jane.UpdateMessage(t.Context(), conv.ID, 1, chat.M{"body": 7}); return err },
		"-1":            func() error { return jane.DeleteMessage(t.Context(), conv.ID, -1) },
		"Limit: 0":      func() error { _, err := jane.Messages(t.Context(), chat.Limit(0)); return err },
		"Offset: -1":    func() error { _, err := conv.Messages().Fetch(t.Context(), chat.Offset(-1)); return err },
		"In: 0":         func() error { _, err := jane.Messages(t.Context(), chat.In(0)); return err },
		"direction":     func() error { _, err := jane.Messages(t.Context(), chat.OrderBy("id", "up")); return err },
	} {
		err := call()
		require.ErrorIs(t, err, chat.ErrInvalid, text)
		assert.ErrorContains(t, err, text)
	}
	assert.Len(t, w.Requests(), before)
}

func TestUnknownConversationsAndMessagesAreNotFound(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	jane := w.login("jane", plainBodies)
	conv := w.converse(jane, "bob")
	_, err := jane.Message(t.Context(), 987654, chat.Draft{Body: "x"})
	require.ErrorIs(t, err, chat.ErrNotFound)
	_, err = jane.UpdateMessage(t.Context(), conv.ID, 987654, chat.M{"a": 1})
	require.ErrorIs(t, err, chat.ErrNotFound)
	require.ErrorIs(t, jane.DeleteMessage(t.Context(), conv.ID, 987654), chat.ErrNotFound)
}

func TestTheCallersValuesAreNotChanged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	jane := w.login("jane")
	conv := w.converse(jane, "bob")
	data := chat.M{"tags": []any{"a"}, "readBy": []string{"u-else"}}
	d := chat.Draft{Body: "hi", Data: data, Files: []chat.File{{Name: "a.txt", Content: []byte("A")}}}
	m, err := jane.Message(t.Context(), conv.ID, d)
	require.NoError(t, err)
	assert.Equal(t, chat.M{"tags": []any{"a"}, "readBy": []string{"u-else"}}, data)
	assert.Empty(t, d.GUID)
	assert.Equal(t, []string{jane.User().UserID, "u-else"}, m.ReadBy)
	patch := chat.M{"body": "edited"}
	_, err = jane.UpdateMessage(t.Context(), conv.ID, m.ID, patch)
	require.NoError(t, err)
	assert.Equal(t, chat.M{"body": "edited"}, patch)
}

func TestASendWhoseAnswerWasLostIsStoredOnce(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]fliplettest.Fault{"answer lost": fliplettest.LoseAnswer(), "answer cut": fliplettest.Cut()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			jane := w.login("jane")
			conv := w.converse(jane, "bob")
			w.Next(1, fliplettest.Insert, fault)
			m := w.say(jane, conv, "once")
			require.Len(t, w.Rows(conv.ID), 1)
			assert.Equal(t, w.Rows(conv.ID)[0].ID, m.ID)

			w.Next(1, fliplettest.Insert, fliplettest.LoseRequest())
			_, err := jane.Message(t.Context(), conv.ID, chat.Draft{Body: "never"})
			require.True(t, datasource.Doubtful(err), "%v", err)
			require.Len(t, w.Rows(conv.ID), 1, "it was never stored")
		})
	}
}

func TestMessagesAreTheLatestOldestFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	jane := w.login("jane", plainBodies)
	conv := w.converse(jane, "bob")
	archive(w, conv, 250, 40)
	msgs, err := jane.Messages(t.Context())
	require.NoError(t, err)
	require.Len(t, msgs, jane.BatchSize())
	assert.Equal(t, "50", msgs[0].Body)
	assert.Equal(t, "249", msgs[199].Body)
	msgs, err = jane.Messages(t.Context(), chat.Limit(3))
	require.NoError(t, err)
	assert.Equal(t, []string{"247", "248", "249"}, bodies(msgs))
	msgs, err = jane.Messages(t.Context(), chat.In())
	require.NoError(t, err)
	assert.Empty(t, msgs, "in no conversation there is nothing")
	assert.NotNil(t, msgs)
}

func TestEachWhereHasItsOwnLanguage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	jane := w.login("jane", plainBodies)
	conv := w.converse(jane, "bob")
	for i := range 3 {
		_, err := jane.Message(t.Context(), conv.ID, chat.Draft{Body: fmt.Sprint("Line ", i), Data: chat.M{"n": i}})
		require.NoError(t, err)
	}
	fetched, err := conv.Messages().Fetch(t.Context(), chat.Where(chat.M{"body": chat.M{"$iLike": "line"}, "n": chat.M{"$gte": 1}}))
	require.NoError(t, err)
	assert.Equal(t, []string{"Line 1", "Line 2"}, bodies(fetched))
	fetched, err = conv.Messages().Fetch(t.Context(), chat.OrderBy("data.n", datasource.Desc), chat.Limit(1), chat.Offset(1))
	require.NoError(t, err)
	assert.Equal(t, []string{"Line 1"}, bodies(fetched))
	searched, err := jane.Messages(t.Context(), chat.WhereRow(chat.M{"data": chat.M{"$contains": chat.M{"n": 2}}}))
	require.NoError(t, err)
	assert.Equal(t, []string{"Line 2"}, bodies(searched))

	_, messages := any(chat.Where(nil)).(chat.MessagesOption)
	assert.False(t, messages, "the compiler keeps Where out of Messages")
	_, rows := any(chat.WhereRow(nil)).(chat.FetchOption)
	_, contacts := any(chat.WhereRow(nil)).(chat.ContactsOption)
	assert.False(t, rows || contacts, "the compiler keeps WhereRow out of the others")
}

func TestOneMessageIsReadWithOneRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	jane, bob := w.login("jane"), w.login("bob")
	conv := w.converse(jane, "bob")
	sent := w.say(jane, conv, "hi")
	list, err := bob.Conversations(t.Context())
	require.NoError(t, err)
	messages := list[0].Messages()
	before := len(w.Requests())
	got, err := messages.Get(t.Context(), sent.ID)
	require.NoError(t, err)
	assert.Equal(t, before+1, len(w.Requests()))
	assert.Equal(t, "hi", got.Body)
	assert.Equal(t, conv.ID, got.ConversationID)
	assert.Equal(t, sent.GUID, got.GUID)
	assert.False(t, got.IsReadByCurrentUser)
	assert.True(t, sent.IsReadByCurrentUser)

	for _, id := range []int64{0, -1} {
		before = len(w.Requests())
		_, err = messages.Get(t.Context(), id)
		require.ErrorIs(t, err, chat.ErrInvalid)
		assert.Equal(t, before, len(w.Requests()))
	}
	_, err = messages.Get(t.Context(), sent.ID+1000)
	require.ErrorIs(t, err, chat.ErrNotFound)
	require.NoError(t, jane.DeleteMessage(t.Context(), conv.ID, sent.ID))
	_, err = messages.Get(t.Context(), sent.ID)
	require.ErrorIs(t, err, chat.ErrNotFound)
	// A server may still hand out the row of a deleted message.
	flagged := w.AddRows(conv.ID, datasource.M{"body": "x", "isDeleted": true})[0]
	_, err = messages.Get(t.Context(), flagged)
	require.ErrorIs(t, err, chat.ErrNotFound)
	var failed *chat.Error
	require.ErrorAs(t, err, &failed)
	assert.Equal(t, 404, failed.Code)
}

func TestAMessageIsWrittenAsJavaScriptSeesIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	jane := w.login("jane")
	m := w.say(jane, w.converse(jane, "bob"), "hi")
	var got map[string]any
	require.NoError(t, json.Unmarshal(must(json.Marshal(m)), &got))
	assert.Contains(t, got, "deletedAt")
	assert.Nil(t, got["deletedAt"])
	assert.Equal(t, "hi", got["data"].(map[string]any)["body"])
	assert.EqualValues(t, m.ConversationID, got["dataSourceId"])
	assert.Equal(t, true, got["isReadByCurrentUser"])
	assert.Equal(t, false, got["isUpdate"])
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		assert.NotContains(t, fmt.Sprintf(verb, *m), "hi\"")
		assert.NotContains(t, fmt.Sprintf(verb, chat.Draft{Body: "secret"}), "secret")
	}
}
