package chat_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
)

func TestABodyThatDoesNotOpenIsWithheldWhereAProtectionIsDemanded(t *testing.T) {
	t.Parallel()
	for name, stored := range map[string]any{
		"an envelope":          "flsealed:2:SECRETPLAIN",
		"an envelope of a key": "flsealed:2:k1:SECRETPLAIN",
		"an older envelope":    "flsealed:1:SECRETPLAIN",
		"a later envelope":     "flsealed:9:SECRETPLAIN",
		"a passphrase":         "U2FsdGVkX1SECRETPLAIN",
		"a salted passphrase":  "U2FsdGVkX1+SECRETPLAIN0000",
		"text":                 "SECRETPLAIN",
		"a list":               []any{"SECRETPLAIN"},
	} {
		for _, least := range []chat.Protection{chat.Plain, chat.Encrypted, chat.Authenticated} {
			w := newWorld(t)
			jane := w.login("jane", func(o *chat.Options) {
				o.Cipher, o.MinProtection = newCipher(t, sure(chat.NewKey("k1", aesKey))), least
			})
			conv := w.converse(jane, "bob")
			w.AddRows(conv.ID, datasource.M{"body": stored, "guid": "g", "fromUserId": "u", "Body": "SECRETPLAIN"})
			msgs, err := jane.Messages(t.Context())
			require.NoError(t, err)
			require.Len(t, msgs, 1)
			m := msgs[0]
			shown, err := json.Marshal(m)
			require.NoError(t, err)
			if least == chat.Plain {
				assert.Contains(t, string(shown), "SECRETPLAIN", name)
				continue
			}
			require.ErrorIs(t, m.Err, chat.ErrUnreadable, name)
			assert.Empty(t, m.Body, name)
			assert.NotContains(t, string(shown), "SECRETPLAIN", "%s: %s", name, least)
			assert.Less(t, m.Protection, chat.Authenticated)
		}
	}
}

func TestTheCopyOfAMessageKeepsItsProtectionAndShowsNothing(t *testing.T) {
	t.Parallel()
	for _, least := range []chat.Protection{chat.Plain, chat.Authenticated} {
		w := newWorld(t)
		jane := w.login("jane", func(o *chat.Options) {
			o.Cipher, o.MinProtection = newCipher(t, sure(chat.NewKey("k1", aesKey))), least
		})
		conv := w.converse(jane, "bob")
		genuine := w.say(jane, conv, "hello")
		row := w.Rows(conv.ID)[0].Data
		w.AddRows(conv.ID, datasource.M{"body": row["body"], "guid": genuine.GUID, "fromUserId": genuine.FromUserID})
		msgs, err := jane.Messages(t.Context())
		require.NoError(t, err)
		require.Len(t, msgs, 2)
		require.ErrorIs(t, msgs[1].Err, chat.ErrTampered)
		assert.Equal(t, chat.Authenticated, msgs[1].Protection)
		assert.NotEqual(t, "hello", msgs[1].Body)
		assert.Equal(t, least > chat.Plain, msgs[1].Body == "")
	}
}

func TestColumnsThatCouldBeTakenForAMessagesOwnAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	jane, tap := w.tapped("jane", func(o *chat.Options) { o.Cipher = newCipher(t, sure(chat.NewKey("k1", aesKey))) })
	conv := w.converse(jane, "bob")
	m := w.say(jane, conv, "hello")
	before := len(tap.sent)
	for _, column := range []string{
		"Body", "BODY", " body", "body\t", "data.body", "Data.Body", "body[]", "File", "file ", "GUID", "Guid", "fromuserid", "FROMUSERID", "ReadBy",
		"isdeleted", "flsealedfiles", "_flschema", "FLUSERTOKEN", "fromUſerId",
	} {
		data := chat.M{column: "PLAINSECRET", "other": 1}
		_, err := jane.UpdateMessage(t.Context(), conv.ID, m.ID, data)
		require.ErrorIs(t, err, chat.ErrInvalid, column)
		require.ErrorContains(t, err, "could be taken for", column)
		_, err = jane.Message(t.Context(), conv.ID, chat.Draft{Body: "x", Data: data})
		require.ErrorIs(t, err, chat.ErrInvalid, column)
		require.ErrorContains(t, err, "could be taken for", column)
		assert.NotContains(t, err.Error(), "PLAINSECRET")
	}
	assert.Len(t, tap.sent, before, "no request was made")
	for _, column := range []string{"bodyguard", "files", "data", "data.", "[]", "", "customBody"} {
		_, err := jane.Message(t.Context(), conv.ID, chat.Draft{Body: "x", Data: chat.M{column: "y"}})
		require.NoError(t, err, column)
	}
}
