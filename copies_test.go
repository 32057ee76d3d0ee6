package chat_test

import (
	"io"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/internal/envelope"
)

// errorsOf are the errors of messages by id.
func errorsOf(list []*chat.Message) map[int64]error {
	out := map[int64]error{}
	for _, m := range list {
		out[m.ID] = m.Err
	}
	return out
}

// past reads the history of a conversation.
func past(t testing.TB, c *chat.Chat, conversationID int64, opts ...chat.HistoryOption) (list []*chat.Message) {
	t.Helper()
	for m, err := range c.History(t.Context(), conversationID, opts...) {
		require.NoError(t, err)
		list = append(list, m)
	}
	return list
}

// A message without text is genuine if its sealed list of files is.
func TestAMessageOfFilesAloneIsBoundLikeABody(t *testing.T) {
	t.Parallel()
	for _, least := range []chat.Protection{chat.Plain, chat.Authenticated} {
		w := newWorld(t, fliplettest.InProcess())
		cipher := newCipher(t, newKey(t, "k", 1))
		jane, bob := w.login("jane", sealing(cipher), demanding(least)), w.login("bob", sealing(cipher), demanding(least))
		conv := w.converse(jane, "bob")
		sent, err := jane.Message(t.Context(), conv.ID, chat.Draft{Files: []chat.File{{Name: "invoice.txt", Content: []byte("pay 100")}}})
		require.NoError(t, err)
		require.NoError(t, sent.Err)
		again := copyRow(t, w, conv.ID, sent.ID, nil)
		forged := map[int64]bool{again: true}
		for _, changes := range []datasource.M{
			{"fromUserId": "u-mallory"}, {"guid": "another"}, {"guid": nil}, {"flSealedFiles": "flsealed:2:k:AAAA"}, {"flSealedFiles": []any{"x"}}, {"flSealedFiles": "x"},
		} {
			forged[copyRow(t, w, conv.ID, sent.ID, changes)] = true
		}
		toBob := stream(t, bob)
		for name, list := range map[string][]*chat.Message{
			"Stream": toBob.wait(t, len(forged)), "Messages": messages(t, bob, conv.ID), "Unread": sure(bob.Unread().Get(t.Context())), "History": past(t, bob, conv.ID),
		} {
			for _, m := range list {
				assert.False(t, name == "Stream" && m.ID == again, "delivered once")
				_, _, err := bob.Download(t.Context(), m, 0, io.Discard)
				if forged[m.ID] {
					require.ErrorIs(t, m.Err, chat.ErrUnreadable, "%s, message %d", name, m.ID)
					require.ErrorIs(t, err, chat.ErrUnreadable, "%s, message %d", name, m.ID)
					continue
				}
				require.NoError(t, m.Err, name)
				require.NoError(t, err, name)
			}
		}
		got := errorsOf(messages(t, bob, conv.ID))
		require.ErrorIs(t, got[again], chat.ErrTampered)
		require.ErrorIs(t, got[again+1], chat.ErrTampered, "another sender")
		require.ErrorIs(t, got[again+2], chat.ErrTampered, "another guid")
	}
}

// A file's list is not taken for that of its text, which is bound by itself.
func TestAMessageOfTextAndFilesHasOneVerdict(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fliplettest.InProcess())
	cipher := newCipher(t, newKey(t, "k", 1))
	jane, bob := w.login("jane", sealing(cipher)), w.login("bob", sealing(cipher))
	conv := w.converse(jane, "bob")
	sent, err := jane.Message(t.Context(), conv.ID, chat.Draft{Body: "as agreed", Files: []chat.File{{Name: "a.txt", Content: []byte("pay 100")}}})
	require.NoError(t, err)
	bare := copyRow(t, w, conv.ID, sent.ID, datasource.M{"body": ""})
	got := errorsOf(messages(t, bob, conv.ID))
	require.NoError(t, got[sent.ID])
	require.ErrorIs(t, got[bare], chat.ErrTampered, "the same message without its text")
}

// Newest first, a copy is read before the original.
func TestTheOriginalCountsAsSoonAsItIsRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fliplettest.InProcess())
	cipher := newCipher(t, newKey(t, "k", 1))
	jane := w.login("jane", sealing(cipher))
	conv := w.converse(jane, "bob")
	sent := w.say(jane, conv, "I owe you 100")
	for range 5 {
		w.say(jane, conv, "chatter")
	}
	again := copyRow(t, w, conv.ID, sent.ID, nil)
	bob := w.login("bob", sealing(cipher))
	got := errorsOf(past(t, bob, conv.ID, chat.PageSize(3)))
	require.NoError(t, got[again], "nothing tells yet")
	require.NoError(t, got[sent.ID])
	for range 2 {
		got = errorsOf(past(t, bob, conv.ID, chat.PageSize(3)))
		require.ErrorIs(t, got[again], chat.ErrTampered)
		require.NoError(t, got[sent.ID])
		got = errorsOf(messages(t, bob, conv.ID))
		require.ErrorIs(t, got[again], chat.ErrTampered)
		require.NoError(t, got[sent.ID])
	}
}

// Somebody makes an older row a copy of a genuine one, for a while.
func TestAnOlderRowThatWasACopySilencesNothing(t *testing.T) {
	t.Parallel()
	for name, begins := range map[string]bool{"before": true, "meanwhile": false} {
		w := newWorld(t, fliplettest.InProcess())
		cipher := newCipher(t, newKey(t, "k", 1))
		jane, bob := w.login("jane", sealing(cipher)), w.login("bob", sealing(cipher))
		conv := w.converse(jane, "bob")
		own := datasource.M{"body": "hello", "fromUserId": "u-mallory", "guid": "mm"}
		old := w.AddRows(conv.ID, own)[0]
		var toBob *recorder
		if begins {
			toBob = stream(t, bob)
			toBob.wait(t, 1)
		}
		sent := w.say(jane, conv, "Meet at 5")
		row, err := w.Client().FindByID(t.Context(), conv.ID, sent.ID)
		require.NoError(t, err)
		if begins {
			toBob.wait(t, 2)
		}
		_, err = w.Client().Update(t.Context(), conv.ID, old, row.Data)
		require.NoError(t, err)
		if !begins {
			toBob = stream(t, bob)
			assert.Equal(t, "Meet at 5", toBob.wait(t, 1)[0].Body)
		} else {
			require.ErrorIs(t, toBob.wait(t, 3)[2].Err, chat.ErrTampered, "it was something else before")
			require.ErrorIs(t, errorsOf(messages(t, bob, conv.ID))[old], chat.ErrTampered)
			require.NoError(t, errorsOf(messages(t, bob, conv.ID))[sent.ID])
		}
		_, err = w.Client().Update(t.Context(), conv.ID, old, own)
		require.NoError(t, err)
		require.NoError(t, bob.Poll(t.Context()))
		fresh := 0
		shown := false
		for _, m := range toBob.all() {
			if m.Body == "Meet at 5" && !m.IsUpdate {
				fresh++
			}
			shown = shown || m.ID == sent.ID && m.Err == nil && m.Body == "Meet at 5"
		}
		assert.True(t, shown, "%s: the genuine row is delivered", name)
		assert.Equal(t, 1, fresh, "%s: it is new once", name)
		for id, err := range errorsOf(messages(t, bob, conv.ID)) {
			require.NoError(t, err, "%s, message %d", name, id)
		}
	}
}

// A body that is taken out of its row and put into another is not new again.
func TestABodyThatWasMovedIsNoNewMessage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fliplettest.InProcess())
	cipher := newCipher(t, newKey(t, "k", 1))
	jane, bob := w.login("jane", sealing(cipher)), w.login("bob", sealing(cipher))
	conv := w.converse(jane, "bob")
	toBob := stream(t, bob)
	sent := w.say(jane, conv, "pay 100")
	toBob.wait(t, 1)
	row, err := w.Client().FindByID(t.Context(), conv.ID, sent.ID)
	require.NoError(t, err)
	for range 3 {
		_, err = w.Client().Update(t.Context(), conv.ID, sent.ID, datasource.M{"body": "", "guid": "gone"})
		require.NoError(t, err)
		require.NoError(t, bob.Poll(t.Context()))
		sent.ID = w.AddRows(conv.ID, row.Data)[0]
		require.NoError(t, bob.Poll(t.Context()))
	}
	fresh := 0
	for _, m := range toBob.all() {
		if m.Body == "pay 100" && !m.IsUpdate {
			fresh++
		}
	}
	assert.Equal(t, 1, fresh)
}

// Rows of other clients may have no guid; what identifies a body is then the sealed text.
func TestASealedBodyWithoutAGuidIsNotDoubled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fliplettest.InProcess())
	cipher := newCipher(t, newKey(t, "k", 1))
	jane, bob := w.login("jane", sealing(cipher)), w.login("bob", sealing(cipher))
	conv := w.converse(jane, "bob")
	toBob := stream(t, bob)
	id := w.AddRows(conv.ID, datasource.M{"body": "x", "fromUserId": jane.User().UserID})[0]
	toBob.wait(t, 1)
	edit := func(text string) {
		_, err := jane.UpdateMessage(t.Context(), conv.ID, id, chat.M{"body": text})
		require.NoError(t, err)
	}
	edit("I owe you 100")
	toBob.wait(t, 2)
	first := copyRow(t, w, conv.ID, id, nil)
	second := copyRow(t, w, conv.ID, id, nil)
	for _, m := range toBob.wait(t, 4)[2:] {
		require.ErrorIs(t, m.Err, chat.ErrTampered)
	}
	edit("I owe you 10")
	for range 2 {
		got := errorsOf(messages(t, bob, conv.ID))
		require.NoError(t, got[id])
		require.ErrorIs(t, got[first], chat.ErrTampered, "also of what an edit has replaced")
		require.ErrorIs(t, got[second], chat.ErrTampered)
	}
}

// With the caller's Keys, too, a row that does not open is nobody's duplicate.
func TestARowThatDoesNotOpenUnderTheCallersKeysSilencesNothing(t *testing.T) {
	t.Parallel()
	for _, least := range []chat.Protection{chat.Plain, chat.Encrypted} {
		w := newWorld(t, fliplettest.InProcess())
		own := func(o *chat.Options) { o.Keys = fixedKey("a passphrase of their own") }
		jane, bob := w.login("jane", own, demanding(least)), w.login("bob", own, demanding(least))
		conv := w.converse(jane, "bob")
		toBob := stream(t, bob)
		planted := []any{"U2FsdGVkX1forged", "U2FsdGVkX18BAgMEBQYHCPrGgxVGNWwEPfj39z0S7e0=", sure(envelope.SealPassphrase("forged", "another key"))}
		for _, body := range planted {
			put(t, w, conv.ID, body, datasource.M{"guid": "order-17", "fromUserId": jane.User().UserID})
		}
		toBob.wait(t, len(planted))
		w.Next(1, fliplettest.Insert, fliplettest.Twice())
		sent, err := jane.Message(t.Context(), conv.ID, chat.Draft{Body: "genuine", GUID: "order-17"})
		require.NoError(t, err)
		got := toBob.wait(t, len(planted)+1)[len(planted)]
		assert.Equal(t, "genuine", got.Body)
		assert.Equal(t, sent.ID, got.ID)
		w.say(jane, conv, "later")
		assert.Equal(t, "later", toBob.wait(t, len(planted)+2)[len(planted)+1].Body, "what was stored twice is delivered once")

		page := stream(t, w.login("bob", own, demanding(least))).wait(t, len(planted)+2) // on one page
		assert.Equal(t, []string{"genuine", "later"}, bodies(page[len(planted):]))
	}
}

// A network that stores a send twice looks like somebody who stores it again.
func TestASendThatWasStoredTwiceIsShownOnceAndItsSecondRowIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fliplettest.InProcess())
	cipher := newCipher(t, newKey(t, "k", 1))
	jane, bob := w.login("jane", sealing(cipher)), w.login("bob", sealing(cipher))
	conv := w.converse(jane, "bob")
	w.Next(1, fliplettest.Insert, fliplettest.Twice())
	w.say(jane, conv, "stored twice")
	for _, c := range []*chat.Chat{jane, bob} {
		got := messages(t, c, conv.ID)
		require.Len(t, got, 2)
		require.NoError(t, got[0].Err)
		require.ErrorIs(t, got[1].Err, chat.ErrTampered)
	}
}
