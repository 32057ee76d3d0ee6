package chat_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

// What is planted under the guid of a send is the send only if it is the same in all.
func TestARowThatDiffersFromTheDraftIsNotTakenForIt(t *testing.T) {
	t.Parallel()
	cipher := newCipher(t, newKey(t, "k", 1))
	file := []chat.File{{Name: "invoice.txt", Content: []byte("genuine")}}
	encrypted := func(o *chat.Options) { o.MinProtection = chat.Encrypted }
	plain := func(o *chat.Options) { o.EncryptMessages = false }
	own := func(o *chat.Options) { o.Keys = fixedKey("a passphrase of their own") }
	for name, c := range map[string]struct {
		change  func(*chat.Options)
		draft   chat.Draft
		planted datasource.M
	}{
		"another file":               {encrypted, chat.Draft{Files: file}, datasource.M{"body": "", "hasMediaFileWithPrivateEncryptionKey": true, "file": []string{"https://evil.example.org/invoice.txt"}}},
		"another file, plain":        {plain, chat.Draft{Files: file}, datasource.M{"body": "", "file": []string{"https://evil.example.org/invoice.txt"}}},
		"another name":               {encrypted, chat.Draft{Files: file}, datasource.M{"body": "", "hasMediaFileWithPrivateEncryptionKey": true, "file": []string{"https://api.fliplet.com/v1/media/files/9/contents/malware.txt"}}},
		"another file beside text":   {plain, chat.Draft{Body: "pay", Files: file}, datasource.M{"body": "pay", "file": []string{"https://evil.example.org/invoice.txt"}}},
		"no list of files":           {own, chat.Draft{Files: file}, datasource.M{"body": "", "file": []string{"https://api.fliplet.com/v1/media/files/9/contents/invoice.txt.txt"}}},
		"one column more":            {sealing(cipher), chat.Draft{Data: chat.M{"vote": "yes"}}, datasource.M{"body": "", "vote": "yes", "amount": 1000000}},
		"one column more, with text": {plain, chat.Draft{Body: "pay", Data: chat.M{"to": "bob"}}, datasource.M{"body": "pay", "to": "bob", "amount": 1000000}},
		"one column less":            {plain, chat.Draft{Body: "pay", Data: chat.M{"to": "bob"}}, datasource.M{"body": "pay"}},
		"other columns":              {plain, chat.Draft{Body: "pay", Data: chat.M{"amount": 5, "to": "bob"}}, datasource.M{"body": "pay", "amount": 1000000, "to": "mallory"}},
		"deleted":                    {plain, chat.Draft{Body: "pay"}, datasource.M{"body": "pay", "isDeleted": true}},
	} {
		w := newWorld(t, fliplettest.InProcess())
		jane := w.login("jane", c.change)
		conv := w.converse(jane, "bob")
		c.draft.GUID = "order-17"
		id := w.AddRows(conv.ID, datasource.M{"fromUserId": jane.User().UserID, "guid": "order-17", "conversationId": conv.ID})[0]
		_, err := w.Client().Update(t.Context(), conv.ID, id, c.planted)
		require.NoError(t, err)
		before := len(w.Rows(conv.ID))
		sent, err := jane.Message(t.Context(), conv.ID, c.draft)
		require.NoError(t, err, name)
		assert.NotEqual(t, id, sent.ID, name)
		assert.Len(t, w.Rows(conv.ID), before+1, name)
		again, err := jane.Message(t.Context(), conv.ID, c.draft)
		require.NoError(t, err, name)
		assert.Equal(t, sent.ID, again.ID, "%s: the send itself is found again", name)
		assert.Len(t, w.Rows(conv.ID), before+1, name)
	}
}

// What others do to a stored message meanwhile does not make it be sent again.
func TestASendIsFoundAgainWhateverOthersAddToItsRow(t *testing.T) {
	t.Parallel()
	cipher := newCipher(t, newKey(t, "k", 1))
	draft := chat.Draft{Body: "pay", GUID: "order-17", Data: chat.M{
		"n": 1.5, "big": int64(1) << 60, "yes": true, "list": []any{1, "a", nil}, "in": chat.M{"b": 1, "a": "<&>"}, "none": nil, "text": "[1, 2]", "empty": "",
	}}
	for name, c := range map[string]struct {
		change func(*chat.Options)
		files  []chat.File
		row    datasource.M
	}{
		"read":                  {func(o *chat.Options) { o.EncryptMessages = false }, nil, datasource.M{"readBy": []string{"a", "b"}}},
		"read, a form":          {func(o *chat.Options) { o.EncryptMessages = false }, []chat.File{{Name: "a b.txt", Content: []byte("x")}, {URL: "https://cdn.fliplet.com/a"}}, datasource.M{"readBy": []string{"a", "b"}}},
		"passphrase, a form":    {func(*chat.Options) {}, []chat.File{{Name: "a b.txt", Content: []byte("x")}}, datasource.M{"readBy": []string{"a", "b"}}},
		"marked as edited":      {func(*chat.Options) {}, nil, datasource.M{"isEdited": true}},
		"own keys, a form":      {func(o *chat.Options) { o.Keys = fixedKey("own") }, []chat.File{{Name: "a b.txt", Content: []byte("x")}}, datasource.M{"readBy": []string{"a", "b"}}},
		"authenticated, a note": {sealing(cipher), nil, datasource.M{"note": "x", "n": 7}},
		"authenticated, a form": {sealing(cipher), []chat.File{{Name: "a b.txt", Content: []byte("x")}}, datasource.M{"note": "x"}},
	} {
		w := newWorld(t, fliplettest.InProcess())
		jane := w.login("jane", c.change)
		conv := w.converse(jane, "bob")
		d := draft
		d.Files = c.files
		sent, err := jane.Message(t.Context(), conv.ID, d)
		require.NoError(t, err, name)
		_, err = w.Client().Update(t.Context(), conv.ID, sent.ID, c.row)
		require.NoError(t, err)
		again, err := jane.Message(t.Context(), conv.ID, d)
		require.NoError(t, err, name)
		assert.Equal(t, sent.ID, again.ID, name)
		assert.Len(t, w.Rows(conv.ID), 1, name)
	}
}
