package chat_test

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/binary"
	"maps"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/internal/envelope"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// sealV1 seals as version 1 did, under the key of newKey(t, id, b).
func sealV1(t testing.TB, id string, b byte, conversationID int64, guid, text string) string {
	t.Helper()
	field := func(ad []byte, s string) []byte {
		return append(binary.BigEndian.AppendUint64(ad, uint64(len(s))), s...)
	}
	ad := field(field(nil, "flsealed:1"), id)
	ad = field(binary.BigEndian.AppendUint64(ad, uint64(conversationID)), guid)
	block, err := aes.NewCipher(keyBytes(b))
	require.NoError(t, err)
	gcm, err := cipher.NewGCMWithRandomNonce(block)
	require.NoError(t, err)
	return "flsealed:1:" + id + ":" + base64.RawURLEncoding.EncodeToString(gcm.Seal(nil, nil, []byte(text), ad))
}

// copyRow stores a row again, with changes, as somebody can who writes rows.
func copyRow(t testing.TB, w *world, conversationID, id int64, changes datasource.M) int64 {
	t.Helper()
	row, err := w.Client().FindByID(t.Context(), conversationID, id)
	require.NoError(t, err)
	maps.Copy(row.Data, changes)
	return w.AddRows(conversationID, row.Data)[0]
}

func TestASealedBodyInANewRowIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fliplettest.InProcess())
	cipher := newCipher(t, newKey(t, "k", 1))
	jane, bob := w.login("jane", sealing(cipher)), w.login("bob", sealing(cipher))
	conv, other := w.converse(jane, "bob"), w.converse(jane, "bob", "eve")
	toBob := stream(t, bob)
	sent := w.say(jane, conv, "I owe you 100")
	require.NoError(t, toBob.wait(t, 1)[0].Err)
	for i, changes := range []datasource.M{
		{"fromUserId": "u-mallory"}, {"guid": "another"}, {"fromUserId": nil}, {"guid": nil}, {"fromUserId": 7},
		{"fromUserId": sent.FromUserID + " "}, {"fromUserId": []string{sent.FromUserID}},
	} {
		id := copyRow(t, w, conv.ID, sent.ID, changes)
		got := toBob.wait(t, i+2)[i+1]
		require.ErrorIs(t, got.Err, chat.ErrTampered, "%v", changes)
		got, err := conv.Messages().Get(t.Context(), id)
		require.NoError(t, err)
		require.ErrorIs(t, got.Err, chat.ErrTampered, "%v", changes)
		assert.Equal(t, chat.Plain, got.Protection)
	}
	row, err := w.Client().FindByID(t.Context(), conv.ID, sent.ID)
	require.NoError(t, err)
	moved := put(t, w, other.ID, row.Data["body"], row.Data)
	got, err := other.Messages().Get(t.Context(), moved)
	require.NoError(t, err)
	require.ErrorIs(t, got.Err, chat.ErrTampered)
}

// The same row once more: nothing in it is wrong, so what tells is the first one.
func TestASealedMessageThatIsStoredAgainIsNotDoubled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fliplettest.InProcess())
	cipher := newCipher(t, newKey(t, "k", 1))
	jane, bob := w.login("jane", sealing(cipher)), w.login("bob", sealing(cipher))
	conv := w.converse(jane, "bob")
	toBob := stream(t, bob)
	sent := w.say(jane, conv, "I owe you 100")
	toBob.wait(t, 1)
	again := copyRow(t, w, conv.ID, sent.ID, nil)
	w.say(jane, conv, "bye")
	assert.Equal(t, []string{"I owe you 100", "bye"}, bodies(toBob.wait(t, 2)))
	require.NoError(t, bob.Poll(t.Context()))
	require.Len(t, toBob.all(), 2)

	fresh := w.login("bob", sealing(cipher))
	known, err := fresh.Conversation(t.Context(), conv.ID)
	require.NoError(t, err)
	for name, read := range map[string]func() []*chat.Message{
		"Messages": func() []*chat.Message { return messages(t, fresh, conv.ID) },
		"Fetch":    func() []*chat.Message { return sure(known.Messages().Fetch(t.Context())) },
		"Unread":   func() []*chat.Message { return sure(fresh.Unread().Get(t.Context())) },
		"History": func() (list []*chat.Message) {
			for m, err := range fresh.History(t.Context(), conv.ID) {
				require.NoError(t, err)
				list = append(list, m)
			}
			return list
		},
	} {
		got := read()
		require.Len(t, got, 3, name)
		for _, m := range got {
			if m.ID == again {
				require.ErrorIs(t, m.Err, chat.ErrTampered, name)
			} else {
				require.NoError(t, m.Err, name)
			}
		}
	}
	// An edit of the genuine row is no copy.
	_, err = jane.UpdateMessage(t.Context(), conv.ID, sent.ID, chat.M{"body": "I owe you 10"})
	require.NoError(t, err)
	assert.Equal(t, "I owe you 10", toBob.wait(t, 3)[2].Body)
}

// Somebody who knows the guid in advance plants rows that claim it.
func TestAPlantedRowSilencesNoGenuineMessage(t *testing.T) {
	t.Parallel()
	cipher := newCipher(t, newKey(t, "k", 1))
	for name, protect := range map[string]func(*chat.Options){
		"authenticated": sealing(cipher),
		"passphrase":    func(*chat.Options) {},
	} {
		w := newWorld(t, fliplettest.InProcess())
		jane, bob := w.login("jane", protect), w.login("bob", protect)
		conv := w.converse(jane, "bob")
		toBob := stream(t, bob)
		planted := []any{"forged", []any{"forged"}, datasource.M{"a": 1}, 7, "flsealed:2:k:AAAA", nil, "", "U2FsdGVkX1forged",
			sure(envelope.SealPassphrase("forged", "another key"))}
		if name == "authenticated" {
			planted = append(planted, sure(envelope.SealPassphrase("forged", conv.EncryptionKey())),
				sure(chat.Seal(cipher, conv.ID, "order-17", "u-mallory", "forged")))
		}
		for _, body := range planted {
			put(t, w, conv.ID, body, datasource.M{"guid": "order-17", "fromUserId": jane.User().UserID})
		}
		toBob.wait(t, len(planted))
		sent, err := jane.Message(t.Context(), conv.ID, chat.Draft{Body: "genuine", GUID: "order-17"})
		require.NoError(t, err, name)
		require.NoError(t, sent.Err)
		assert.Equal(t, "genuine", sent.Body, "%s: a planted row swallows no send", name)
		got := toBob.wait(t, len(planted)+1)[len(planted)]
		assert.Equal(t, sent.ID, got.ID, name)
		assert.Equal(t, "genuine", got.Body, name)

		// A stream that begins now has them on one page.
		page := stream(t, w.login("bob", protect)).wait(t, len(planted)+1)
		assert.Equal(t, "genuine", page[len(planted)].Body, name)
		// So has a consumer.
		seen := 0
		ctx, done := context.WithCancel(t.Context())
		err = w.login("bob", protect).Consume(ctx, "c", func(_ context.Context, m *chat.Message) error {
			if seen++; m.ID == sent.ID {
				done()
			}
			return nil
		}, chat.StartAt(chat.FromBeginning))
		require.ErrorIs(t, err, context.Canceled, name)
		assert.Equal(t, len(planted)+1, seen)
	}
}

// A row that was planted early gets the genuine body later.
func TestAPlantedRowThatTakesOverTheGenuineBodyDoublesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fliplettest.InProcess())
	cipher := newCipher(t, newKey(t, "k", 1))
	jane, bob := w.login("jane", sealing(cipher)), w.login("bob", sealing(cipher))
	conv := w.converse(jane, "bob")
	toBob := stream(t, bob)
	planted := put(t, w, conv.ID, "forged", datasource.M{"guid": "order-17", "fromUserId": jane.User().UserID})
	toBob.wait(t, 1)
	sent, err := jane.Message(t.Context(), conv.ID, chat.Draft{Body: "genuine", GUID: "order-17"})
	require.NoError(t, err)
	toBob.wait(t, 2)
	_, err = w.Client().Update(t.Context(), conv.ID, planted, datasource.M{"body": stored(t, w, conv.ID, sent.ID)})
	require.NoError(t, err)
	require.ErrorIs(t, toBob.wait(t, 3)[2].Err, chat.ErrTampered)
	got := messages(t, bob, conv.ID)
	require.ErrorIs(t, got[0].Err, chat.ErrTampered)
	assert.Equal(t, "genuine", got[1].Body)
}

// Without encryption nothing tells a planted row from a genuine one; the first counts.
func TestInPlainTextTheFirstRowOfAGuidCounts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fliplettest.InProcess())
	open := func(o *chat.Options) { o.EncryptMessages = false }
	jane, bob := w.login("jane", open), w.login("bob", open)
	conv := w.converse(jane, "bob")
	toBob := stream(t, bob)
	put(t, w, conv.ID, "forged", datasource.M{"guid": "order-17", "fromUserId": jane.User().UserID})
	toBob.wait(t, 1)
	sent, err := jane.Message(t.Context(), conv.ID, chat.Draft{Body: "genuine", GUID: "order-17"})
	require.NoError(t, err)
	assert.Equal(t, "genuine", sent.Body, "another body is no look-up hit")
	again, err := jane.Message(t.Context(), conv.ID, chat.Draft{Body: "genuine", GUID: "order-17"})
	require.NoError(t, err)
	assert.Equal(t, sent.ID, again.ID, "the same sender and body is one")
	require.NoError(t, bob.Poll(t.Context()))
	assert.Equal(t, []string{"forged"}, bodies(toBob.all()))
}

// A lost answer, with planted rows in the way of the look-up.
func TestAPlantedRowIsNotTakenForASendInDoubt(t *testing.T) {
	t.Parallel()
	cipher := newCipher(t, newKey(t, "k", 1))
	for name, change := range map[string]func(*chat.Options){
		"sealed":             sealing(cipher),
		"sealed, an outbox":  func(o *chat.Options) { o.Cipher, o.Outbox = cipher, &chat.OutboxOptions{Settle: 1} },
		"plain":              func(o *chat.Options) { o.EncryptMessages = false },
		"plain, with outbox": func(o *chat.Options) { o.EncryptMessages, o.Outbox = false, &chat.OutboxOptions{Settle: 1} },
	} {
		t.Run(name, func(t *testing.T) { t.Parallel(); synctest.Test(t, func(t *testing.T) { inDoubt(t, change) }) })
	}
}

func inDoubt(t *testing.T, change func(*chat.Options)) {
	w := newWorld(t, fliplettest.InProcess())
	jane := w.login("jane", change)
	conv := w.converse(jane, "bob")
	from := jane.User().UserID
	for i, draft := range []chat.Draft{
		{Body: "genuine", GUID: "order-1"},
		{Body: "genuine", GUID: "order-2", Files: []chat.File{{URL: "https://cdn.fliplet.com/a.png"}}},
		{GUID: "order-3", Files: []chat.File{{URL: "https://cdn.fliplet.com/a.png"}}},
		{GUID: "order-4", Data: chat.M{"kind": "poll", "n": 1, "list": []any{1, "a"}}},
	} {
		for _, row := range []datasource.M{
			{"body": "forged"}, {"body": "", "file": []string{"https://evil.example.org/a.png"}}, {"body": nil, "kind": "poll", "n": 2, "list": []any{1, "a"}},
			{"body": []any{"genuine"}}, {"body": "genuine", "file": []string{"https://evil.example.org/a.png"}},
		} {
			put(t, w, conv.ID, nil, row, datasource.M{"guid": draft.GUID, "fromUserId": from})
		}
		w.Next(1, fliplettest.AnyWrite, fliplettest.LoseRequest())
		sent, err := jane.Message(t.Context(), conv.ID, draft)
		if err != nil { // without an outbox the program repeats it
			require.True(t, datasource.Doubtful(err), "%v", err)
			sent, err = jane.Message(t.Context(), conv.ID, draft)
		}
		require.NoError(t, err)
		assert.Equal(t, draft.Body, sent.Body, "draft %d", i)
		assert.Len(t, sent.Files, len(draft.Files), "draft %d", i)
		assert.Len(t, w.Rows(conv.ID), 6*(i+1), "draft %d was sent", i)

		// One that was stored is found again, and not sent twice.
		again, err := jane.Message(t.Context(), conv.ID, draft)
		require.NoError(t, err)
		assert.Equal(t, sent.ID, again.ID, "draft %d", i)
		assert.Len(t, w.Rows(conv.ID), 6*(i+1), "draft %d", i)
	}
}

func TestVersion1IsReadAndMovedToVersion2(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fliplettest.InProcess())
	cipher := newCipher(t, newKey(t, "k", 1))
	jane := w.login("jane", sealing(cipher), demanding(chat.Authenticated))
	conv := w.converse(jane, "bob")
	id := put(t, w, conv.ID, sealV1(t, "k", 1, conv.ID, "g-1", "from before"), datasource.M{"guid": "g-1"})
	moved := put(t, w, conv.ID, sealV1(t, "k", 1, conv.ID, "g-2", "moved"), datasource.M{"guid": "g-3"})
	got := messages(t, jane, conv.ID)
	require.NoError(t, got[0].Err)
	assert.Equal(t, "from before", got[0].Body)
	assert.Equal(t, chat.Authenticated, got[0].Protection)
	require.ErrorIs(t, got[1].Err, chat.ErrTampered, "version 1 binds the guid")
	// What version 1 does not bind: the sender. It may be changed as before, too.
	edited, err := jane.UpdateMessage(t.Context(), conv.ID, id, chat.M{"fromUserId": "somebody else"})
	require.NoError(t, err)
	require.NoError(t, edited.Err)

	store := storage.NewMemory()
	c := w.connect(sealing(cipher), func(o *chat.Options) { o.Storage = store })
	r, err := c.Reencrypt(t.Context(), conv.ID, nil)
	require.NoError(t, err)
	assert.Equal(t, 1, r.Moved)
	assert.Equal(t, 2, envelope.Version(stored(t, w, conv.ID, id)))
	assert.Equal(t, 1, envelope.Version(stored(t, w, conv.ID, moved)))
	assert.Equal(t, "from before", messages(t, jane, conv.ID)[0].Body)
	for _, patch := range []chat.M{{"fromUserId": "x"}, {"guid": "x"}, {"fromUserId": "x", "body": "y"}, {"fromUserId": nil}} {
		_, err = jane.UpdateMessage(t.Context(), conv.ID, id, patch)
		require.ErrorIs(t, err, chat.ErrSealed, "%v", patch)
	}
	_, err = jane.UpdateMessage(t.Context(), conv.ID, id, chat.M{"fromUserId": "somebody else", "body": "edited"})
	require.NoError(t, err, "passed back as it is")
	assert.Equal(t, "edited", messages(t, jane, conv.ID)[0].Body)
}
