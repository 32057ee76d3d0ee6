package chat_test

import (
	"errors"
	"maps"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

// demanding makes a Chat withhold what is protected less.
func demanding(least chat.Protection) func(*chat.Options) {
	return func(o *chat.Options) { o.MinProtection = least }
}

// smuggled are bodies and columns in which a row may bring plain text.
var smuggled = map[string]datasource.M{
	"text":                  {"body": "pay me"},
	"a list":                {"body": []any{"pay me"}},
	"a list of lists":       {"body": []any{[]any{"pay me"}}},
	"an object":             {"body": datasource.M{"text": "pay me"}},
	"a number":              {"body": 1000000},
	"zero":                  {"body": 0},
	"true":                  {"body": true},
	"false":                 {"body": false},
	"text, deleted":         {"body": "pay me", "isDeleted": true},
	"text, deleted as text": {"body": "pay me", "isDeleted": "true"},
	"a list, deleted":       {"body": []any{"pay me"}, "isDeleted": true},
	"an object, deleted":    {"body": datasource.M{"text": "pay me"}, "isDeleted": 1},
	"an envelope in a list": {"body": []any{"flsealed:2:k:AAAA"}},
	"another spelling":      {"body": "pay me", "Body": "pay me", "BODY ": "pay me", "data.body": "pay me", "body[]": []any{"pay me"}},
}

// requireWithheld holds a message to showing nothing of its body.
func requireWithheld(t *testing.T, name string, m *chat.Message) {
	t.Helper()
	require.ErrorIs(t, m.Err, chat.ErrUnprotected, name)
	require.ErrorIs(t, m.Err, chat.ErrUnreadable, name)
	assert.Empty(t, m.Body, name)
	assert.Empty(t, m.Data["body"], name)
	assert.Equal(t, chat.Plain, m.Protection, name)
	for column := range m.Data {
		assert.NotContains(t, []string{"Body", "BODY ", "data.body", "body[]"}, column, name)
	}
	raw, err := m.MarshalJSON()
	require.NoError(t, err)
	assert.NotContains(t, string(raw), "pay me", name)
	assert.NotContains(t, string(raw), "1000000", name)
}

func TestABodyThatIsNoTextIsWithheldLikeAnyOther(t *testing.T) {
	t.Parallel()
	for _, least := range []chat.Protection{chat.Encrypted, chat.Authenticated} {
		w := newWorld(t, fliplettest.InProcess())
		bob := w.login("bob", sealing(newCipher(t, newKey(t, "k", 1))), demanding(least))
		conv := w.converse(bob, "jane")
		toBob := stream(t, bob)
		names := []string{}
		for name, row := range smuggled {
			if _, flagged := row["isDeleted"]; !flagged {
				names = append(names, name)
				put(t, w, conv.ID, nil, row)
			}
		}
		for i, m := range toBob.wait(t, len(names)) {
			requireWithheld(t, names[i]+", streamed", m)
		}
		for i, m := range messages(t, bob, conv.ID) {
			requireWithheld(t, names[i], m)
			got, err := conv.Messages().Get(t.Context(), m.ID)
			require.NoError(t, err)
			requireWithheld(t, names[i]+", alone", got)
		}
		for m, err := range bob.History(t.Context(), conv.ID) {
			require.NoError(t, err)
			requireWithheld(t, "history", m)
		}
	}
}

func TestABodyOfADeletedMessageIsWithheldLikeAnyOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fliplettest.InProcess())
	cipher := newCipher(t, newKey(t, "k", 1))
	jane, bob := w.login("jane", sealing(cipher)), w.login("bob", sealing(cipher), demanding(chat.Authenticated))
	conv := w.converse(jane, "bob")
	toBob := stream(t, bob)
	for name, row := range smuggled {
		if row["isDeleted"] == nil {
			continue
		}
		seen := len(toBob.all())
		sent := w.say(jane, conv, "genuine")
		toBob.wait(t, seen+1)
		_, err := w.Client().Update(t.Context(), conv.ID, sent.ID, row)
		require.NoError(t, err)
		m := toBob.wait(t, seen+2)[seen+1]
		require.True(t, m.IsDeleted, name)
		requireWithheld(t, name, m)
	}
	// The text of one that was only flagged is still authentic.
	sent := w.say(jane, conv, "gone")
	seen := len(toBob.wait(t, len(toBob.all())))
	require.NoError(t, bob.Poll(t.Context()))
	_, err := w.Client().Update(t.Context(), conv.ID, sent.ID, datasource.M{"isDeleted": true})
	require.NoError(t, err)
	require.NoError(t, bob.Poll(t.Context()))
	got := toBob.wait(t, seen)
	last := got[len(got)-1]
	require.NoError(t, last.Err)
	assert.Equal(t, chat.Authenticated, last.Protection)
}

func TestAnEditThatTakesTheProtectionAwayIsWithheld(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fliplettest.InProcess())
	cipher := newCipher(t, newKey(t, "k", 1))
	jane, bob := w.login("jane", sealing(cipher)), w.login("bob", sealing(cipher), demanding(chat.Authenticated))
	conv := w.converse(jane, "bob")
	toBob := stream(t, bob)
	sent := w.say(jane, conv, "genuine")
	seen := len(toBob.wait(t, 1))
	for name, row := range smuggled {
		change := maps.Clone(row)
		change["turn"] = seen // two of them may leave the same row, which is no change
		_, err := w.Client().Update(t.Context(), conv.ID, sent.ID, change)
		require.NoError(t, err)
		seen++
		requireWithheld(t, name, toBob.wait(t, seen)[seen-1])
		if row["isDeleted"] != nil {
			sent = w.say(jane, conv, "genuine")
			seen++
			toBob.wait(t, seen)
			continue
		}
		// What the answer to an edit of another column shows is checked, too.
		edited, err := bob.UpdateMessage(t.Context(), conv.ID, sent.ID, chat.M{"note": name})
		require.NoError(t, err)
		requireWithheld(t, name+", edited", edited)
		seen++
		toBob.wait(t, seen)
	}
}

func TestAMessageSaysWhatItsBodyHad(t *testing.T) {
	t.Parallel()
	m := newMixture(t)
	for least, want := range map[chat.Protection]map[string]chat.Protection{
		chat.Plain:         {"plain": chat.Plain, "salted": chat.Encrypted, "authenticated": chat.Authenticated, "plain like a header": chat.Plain},
		chat.Authenticated: {"plain": chat.Plain, "salted": chat.Encrypted, "authenticated": chat.Authenticated, "plain like a header": chat.Plain},
	} {
		bob := m.w.login("bob", sealing(m.cipher), demanding(least))
		for _, got := range messages(t, bob, m.conv.ID) {
			if had, ok := want[got.GUID]; ok {
				assert.Equal(t, had, got.Protection, got.GUID)
				assert.Equal(t, had < least, got.Err != nil, got.GUID)
			} else if !errors.Is(got.Err, chat.ErrUnprotected) {
				require.Error(t, got.Err, got.GUID)
				assert.Equal(t, chat.Plain, got.Protection, "%s: nothing was verified", got.GUID)
			}
		}
	}
	jane := m.w.login("jane", sealing(m.cipher))
	sent := m.w.say(jane, m.conv, "hi")
	assert.Equal(t, chat.Authenticated, sent.Protection)
	empty, err := jane.Message(t.Context(), m.conv.ID, chat.Draft{Files: []chat.File{{URL: "https://cdn.fliplet.com/x.png"}}})
	require.NoError(t, err)
	require.NoError(t, empty.Err)
	assert.Equal(t, chat.Plain, empty.Protection)
	for p, word := range map[chat.Protection]string{chat.Plain: "none", chat.Encrypted: "encrypted", chat.Authenticated: "authenticated", 7: "Protection(7)"} {
		assert.Equal(t, word, p.String())
	}
}

// A body under the key that everybody can compute is not protected.
func TestAKeyThatIsComputedProtectsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fliplettest.InProcess())
	jane := w.login("jane")
	conv := w.converse(jane, "bob")
	setKey(t, w, conv.ID, nil)
	lax, strict := w.login("bob"), w.login("bob", demanding(chat.Encrypted))
	sent := w.say(lax, conv, "hi")
	assert.Equal(t, chat.Plain, sent.Protection)
	got := messages(t, strict, conv.ID)
	require.ErrorIs(t, got[0].Err, chat.ErrUnreadable)
	assert.NotEqual(t, "hi", got[0].Body)
	assert.NotEqual(t, "hi", got[0].Data["body"])
	_, err := strict.Message(t.Context(), conv.ID, chat.Draft{Body: "in the open"})
	require.ErrorIs(t, err, chat.ErrKeyUnavailable)
	require.Len(t, w.Rows(conv.ID), 1)

	// Nor does it when somebody stores it as the conversation's own.
	known, err := lax.Conversation(t.Context(), conv.ID)
	require.NoError(t, err)
	computed := known.EncryptionKey()
	require.Len(t, computed, 32)
	setKey(t, w, conv.ID, computed)
	fresh := w.login("jane", demanding(chat.Encrypted))
	_, err = fresh.Message(t.Context(), conv.ID, chat.Draft{Body: "in the open"})
	require.ErrorIs(t, err, chat.ErrKeyUnavailable)
	require.Len(t, w.Rows(conv.ID), 1)
}

// setKey replaces the key in a conversation's definition; nil removes it.
func setKey(t testing.TB, w *world, conversationID int64, key any) {
	t.Helper()
	_, err := w.Client().UpdateDataSource(t.Context(), conversationID, datasource.SourcePatch{Definition: replaceKey(w.Server, conversationID, key)})
	require.NoError(t, err)
}
