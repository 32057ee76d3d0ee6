package chat_test

import (
	"maps"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/internal/envelope"
)

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// sealing makes a Chat write authenticated bodies.
func sealing(c *chat.Cipher) func(*chat.Options) { return func(o *chat.Options) { o.Cipher = c } }

// stored is the body of a row as the server has it.
func stored(t testing.TB, w *world, conversationID, messageID int64) string {
	t.Helper()
	row, err := w.Client().FindByID(t.Context(), conversationID, messageID)
	require.NoError(t, err)
	body, _ := row.Data["body"].(string)
	return body
}

// messages are all messages of a conversation, oldest first.
func messages(t testing.TB, c *chat.Chat, conversationID int64) []*chat.Message {
	t.Helper()
	msgs, err := c.Messages(t.Context(), chat.In(conversationID))
	require.NoError(t, err)
	return msgs
}

// put stores a body as it is, as another client might.
func put(t testing.TB, w *world, conversationID int64, body any, more ...datasource.M) int64 {
	t.Helper()
	row := datasource.M{"body": body, "fromUserId": "somebody", "readBy": []string{}}
	for _, m := range more {
		maps.Copy(row, m)
	}
	return w.AddRows(conversationID, row)[0]
}

func TestAuthenticatedBodiesAreStoredSealedAndBoundToTheirRow(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fliplettest.InProcess())
	cipher := newCipher(t, newKey(t, "2025-06", 1))
	jane, bob := w.login("jane", sealing(cipher)), w.login("bob", sealing(cipher))
	conv := w.converse(jane, "bob")
	toBob := stream(t, bob)
	sent := w.say(jane, conv, "U2FsdGVkX1 is the prefix 👋")
	assert.Equal(t, "U2FsdGVkX1 is the prefix 👋", sent.Body)
	text := stored(t, w, conv.ID, sent.ID)
	id, ok := envelope.KeyID(text)
	require.True(t, ok, "an envelope")
	assert.Equal(t, "2025-06", id)
	assert.Equal(t, "U2FsdGVkX1 is the prefix 👋", toBob.wait(t, 1)[0].Body)

	// The same text on another row is refused there.
	put(t, w, conv.ID, text, datasource.M{"guid": "another"})
	got := toBob.wait(t, 2)[1]
	require.ErrorIs(t, got.Err, chat.ErrTampered)
	require.ErrorIs(t, got.Err, chat.ErrUnreadable)
	assert.Equal(t, text, got.Body)
}

func TestEditsStayAuthenticated(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fliplettest.InProcess())
	cipher := newCipher(t, newKey(t, "k", 1))
	jane := w.login("jane", sealing(cipher))
	conv := w.converse(jane, "bob")
	sent := w.say(jane, conv, "helo")
	edited, err := jane.UpdateMessage(t.Context(), conv.ID, sent.ID, chat.M{"body": "hello", "isEdited": true})
	require.NoError(t, err)
	require.NoError(t, edited.Err)
	assert.Equal(t, "hello", edited.Body)
	assert.True(t, envelope.LooksAuthenticated(stored(t, w, conv.ID, sent.ID)))
	assert.Equal(t, []string{"hello"}, bodies(messages(t, jane, conv.ID)))

	// The guid may be passed back as it is, and not be changed.
	_, err = jane.UpdateMessage(t.Context(), conv.ID, sent.ID, chat.M{"body": "hello!", "guid": sent.GUID})
	require.NoError(t, err)
	for _, patch := range []chat.M{{"guid": "x"}, {"guid": "x", "body": "y"}} {
		_, err = jane.UpdateMessage(t.Context(), conv.ID, sent.ID, patch)
		require.ErrorIs(t, err, chat.ErrSealed)
		assert.ErrorContains(t, err, "guid")
	}
	assert.Equal(t, []string{"hello!"}, bodies(messages(t, jane, conv.ID)))

	// A row without a guid is bound to its conversation alone.
	bare := put(t, w, conv.ID, "typed elsewhere")
	edited, err = jane.UpdateMessage(t.Context(), conv.ID, bare, chat.M{"body": "typed here"})
	require.NoError(t, err)
	require.NoError(t, edited.Err)
	got, err := chat.Open(cipher, conv.ID, "", "somebody", stored(t, w, conv.ID, bare))
	require.NoError(t, err)
	assert.Equal(t, "typed here", got)

	_, err = jane.UpdateMessage(t.Context(), conv.ID, 987654, chat.M{"body": "x"})
	require.ErrorIs(t, err, chat.ErrNotFound)
	cleared, err := jane.UpdateMessage(t.Context(), conv.ID, bare, chat.M{"body": ""})
	require.NoError(t, err)
	assert.Empty(t, cleared.Body)
	assert.NoError(t, cleared.Err)
}

// mixture is a conversation with a body of every kind.
type mixture struct {
	w      *world
	conv   *chat.Conversation
	cipher *chat.Cipher
	want   []unread
}

// unread is what a stored body should be delivered as: text, or a reason.
type unread struct {
	name, text string
	err        error
}

func newMixture(t *testing.T) *mixture {
	w := newWorld(t, fliplettest.InProcess())
	mine, other := newCipher(t, newKey(t, "k1", 1)), newCipher(t, newKey(t, "k1", 2))
	foreign := newCipher(t, newKey(t, "k9", 9))
	m := &mixture{w: w, cipher: mine, conv: w.converse(w.login("jane"), "bob")}
	id := m.conv.ID
	add := func(name, body, text string, err error) {
		put(t, w, id, body, datasource.M{"guid": name})
		m.want = append(m.want, unread{name, text, err})
	}
	seal := func(c *chat.Cipher, id int64, guid string) string {
		s, err := chat.Seal(c, id, guid, "somebody", "sealed")
		require.NoError(t, err)
		return s
	}
	salted := sure(envelope.SealPassphrase("salted", m.conv.EncryptionKey()))
	good := seal(mine, id, "flipped")
	add("plain", "plain", "plain", nil)
	add("salted", salted, "salted", nil)
	add("authenticated", seal(mine, id, "authenticated"), "sealed", nil)
	add("plain like a header", "Flsealed: yes", "Flsealed: yes", nil)
	add("salted, wrong key", sure(envelope.SealPassphrase("salted with a body of some length", "another key")), "", chat.ErrWrongKey)
	add("salted, cut", salted[:len(salted)-4], "", chat.ErrMalformed)
	add("typed marker", "U2FsdGVkX1 is the prefix", "", chat.ErrMalformed)
	add("unknown key", seal(foreign, id, "unknown key"), "", chat.ErrWrongKey)
	add("other key of that name", seal(other, id, "other key of that name"), "", chat.ErrTampered)
	add("other guid", seal(mine, id, "elsewhere"), "", chat.ErrTampered)
	add("other conversation", seal(mine, id+1, "other conversation"), "", chat.ErrTampered)
	add("flipped", good[:20]+swap(good[20])+good[21:], "", chat.ErrTampered)
	add("cut", good[:15], "", chat.ErrMalformed)
	add("later version", "flsealed:3:k1:"+strings.Repeat("A", 80), "", chat.ErrMalformed)
	return m
}

func swap(c byte) string {
	if c == 'A' {
		return "B"
	}
	return "A"
}

func TestMixedConversationDeliversEverythingWithItsReason(t *testing.T) {
	t.Parallel()
	m := newMixture(t)
	bob := m.w.login("bob", sealing(m.cipher))
	toBob := stream(t, bob)
	m.w.say(bob, m.conv, "and on it goes")
	got := toBob.wait(t, len(m.want)+1)
	for i, want := range m.want {
		if want.err == nil {
			require.NoError(t, got[i].Err, want.name)
			assert.Equal(t, want.text, got[i].Body, want.name)
			continue
		}
		require.ErrorIs(t, got[i].Err, want.err, want.name)
		require.ErrorIs(t, got[i].Err, chat.ErrUnreadable, want.name)
		assert.NotContains(t, got[i].Err.Error(), "salted with")
		assert.Equal(t, got[i].Data["body"], got[i].Body, "%s: as stored", want.name)
	}
	assert.Equal(t, "and on it goes", got[len(m.want)].Body)
}

func TestChatWithoutACipherReadsTheRest(t *testing.T) {
	t.Parallel()
	m := newMixture(t)
	jane := m.w.login("jane")
	for i, got := range messages(t, jane, m.conv.ID) {
		want := m.want[i]
		if strings.HasPrefix(got.Body, "flsealed:") {
			require.ErrorIs(t, got.Err, chat.ErrWrongKey, want.name)
		} else if want.err == nil {
			require.NoError(t, got.Err, want.name)
		}
	}
}

func TestMinProtectionWithholdsWhatIsLessProtected(t *testing.T) {
	t.Parallel()
	for least, readable := range map[chat.Protection][]string{
		chat.Plain:         {"plain", "salted", "sealed", "Flsealed: yes"},
		chat.Encrypted:     {"salted", "sealed"},
		chat.Authenticated: {"sealed"},
	} {
		m := newMixture(t)
		c := m.w.login("bob", sealing(m.cipher), func(o *chat.Options) { o.MinProtection = least })
		var got []string
		for _, msg := range messages(t, c, m.conv.ID) {
			if msg.Err == nil {
				got = append(got, msg.Body)
				continue
			}
			if msg.GUID == "plain" || msg.GUID == "plain like a header" {
				require.ErrorIs(t, msg.Err, chat.ErrUnprotected)
				assert.Empty(t, msg.Body, "refused text must not be shown")
				assert.Empty(t, msg.Data["body"])
			}
			if msg.GUID == "salted" {
				require.ErrorIs(t, msg.Err, chat.ErrUnprotected)
				assert.Empty(t, msg.Body)
			}
		}
		assert.Equal(t, readable, got, "MinProtection %d", least)
	}
}

func TestOptionsThatWouldRefuseTheirOwnMessagesAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fliplettest.InProcess())
	cipher := newCipher(t, newKey(t, "k", 1))
	for name, change := range map[string]func(*chat.Options){
		"Options.Cipher":               func(o *chat.Options) { o.Cipher, o.EncryptMessages = cipher, false },
		"set EncryptMessages":          func(o *chat.Options) { o.MinProtection, o.EncryptMessages = chat.Encrypted, false },
		"Authenticated takes a Cipher": func(o *chat.Options) { o.MinProtection = chat.Authenticated },
		"MinProtection: 7":             func(o *chat.Options) { o.MinProtection = 7 },
	} {
		opts := chat.Options{Client: w.Client(), DataSourceID: w.contacts, EncryptMessages: true}
		change(&opts)
		_, err := chat.Connect(t.Context(), opts)
		require.ErrorIs(t, err, chat.ErrInvalid)
		assert.ErrorContains(t, err, name)
	}
}

func TestReadOnlyCipherWritesThePassphraseFormatUntilAKeyIsPromoted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fliplettest.InProcess())
	cipher := newCipher(t, nil, newKey(t, "next", 1))
	jane := w.login("jane", sealing(cipher))
	conv := w.converse(jane, "bob")
	first := w.say(jane, conv, "one")
	assert.True(t, envelope.LooksPassphrase(stored(t, w, conv.ID, first.ID)))
	require.NoError(t, cipher.Promote("next"))
	second := w.say(jane, conv, "two")
	assert.True(t, envelope.LooksAuthenticated(stored(t, w, conv.ID, second.ID)))
	assert.Equal(t, []string{"one", "two"}, bodies(messages(t, jane, conv.ID)))

	strict := w.login("bob", sealing(newCipher(t, nil, newKey(t, "next", 1))), func(o *chat.Options) { o.MinProtection = chat.Authenticated })
	_, err := strict.Message(t.Context(), conv.ID, chat.Draft{Body: "x"})
	require.ErrorContains(t, err, "promote a key")
}

func TestClosedCipherNeverLeadsToWeakerWriting(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fliplettest.InProcess())
	cipher := newCipher(t, newKey(t, "k", 1))
	jane := w.login("jane", sealing(cipher))
	conv := w.converse(jane, "bob")
	w.say(jane, conv, "before")
	require.NoError(t, cipher.Close())
	_, err := jane.Message(t.Context(), conv.ID, chat.Draft{Body: "after"})
	require.ErrorIs(t, err, chat.ErrKeyUnavailable)
	require.Len(t, w.Rows(conv.ID), 1, "nothing was written")
	got := messages(t, jane, conv.ID)
	require.ErrorIs(t, got[0].Err, chat.ErrKeyUnavailable)
}

func TestKeysThatFailFailOnlyTheirMessages(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fliplettest.InProcess())
	jane := w.login("jane")
	conv := w.converse(jane, "bob")
	w.say(jane, conv, "locked")
	put(t, w, conv.ID, "open")
	for _, keys := range []brokenKeys{{errVault}, {nil}} { // the latter gives ""
		bob := w.login("bob", func(o *chat.Options) { o.Keys = keys })
		got := messages(t, bob, conv.ID)
		require.ErrorIs(t, got[0].Err, chat.ErrKeyUnavailable)
		if keys.err != nil {
			require.ErrorIs(t, got[0].Err, errVault)
		}
		assert.Equal(t, "open", got[1].Body)
		_, err := bob.Message(t.Context(), conv.ID, chat.Draft{Body: "x"})
		require.ErrorIs(t, err, chat.ErrKeyUnavailable)
	}
}

func TestSearchingForEncryptedTextIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fliplettest.InProcess())
	jane, plain := w.login("jane"), w.login("jane", func(o *chat.Options) { o.EncryptMessages = false })
	conv := w.converse(jane, "bob")
	w.say(jane, conv, "hi")
	before := len(w.Requests())
	for _, where := range []chat.M{
		{"body": "hi"}, {"body": chat.M{"$iLike": "h"}}, {"body": chat.M{"$ne": "x"}},
		{"$or": []any{chat.M{"fromUserId": "x"}, chat.M{"body": "hi"}}},
		{"$not": chat.M{"body": "hi"}},
		{"$and": []chat.M{{"body": "hi"}}},
		{"$filters": []any{chat.M{"column": "body", "condition": "contains", "value": "h"}}},
		{"data": chat.M{"$contains": chat.M{"body": "hi"}}}, {"data": chat.M{"body": "hi"}}, {"data.body": "hi"},
	} {
		_, err := jane.Messages(t.Context(), chat.WhereRow(where))
		require.ErrorIs(t, err, chat.ErrInvalid, "%v", where)
		assert.ErrorContains(t, err, "Message.Body")
		_, err = conv.Messages().Fetch(t.Context(), chat.Where(where))
		require.ErrorIs(t, err, chat.ErrInvalid, "%v", where)
	}
	_, err := conv.Messages().Fetch(t.Context(), chat.OrderBy("data.body", datasource.Asc))
	require.ErrorIs(t, err, chat.ErrInvalid)
	assert.Equal(t, before, len(w.Requests()), "refused before any request")

	// Whether there is a body, and everything else, can be asked for.
	put(t, w, conv.ID, "")
	for want, where := range map[int]chat.M{1: {"body": ""}, 2: {"body": chat.M{"$exists": true}}, 0: {"fromUserId": "body"}} {
		got, err := conv.Messages().Fetch(t.Context(), chat.Where(where))
		require.NoError(t, err)
		assert.Len(t, got, want, "%v", where)
	}
	got, err := conv.Messages().Fetch(t.Context(), chat.Where(chat.M{"$filters": []any{chat.M{"column": "body", "condition": "empty"}}}))
	require.NoError(t, err)
	assert.Len(t, got, 1)
	// A Chat that does not encrypt may search plain bodies.
	_, err = plain.Messages(t.Context(), chat.WhereRow(chat.M{"data": chat.M{"$contains": chat.M{"body": "hi"}}}))
	require.NoError(t, err)
}

// TestPassphraseFormatIsMalleable shows what the format of crypto-js does not
// protect against: a client that can write a row changes its text without the key, and no
// reader notices. SECURITY.md names it.
func TestPassphraseFormatIsMalleable(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fliplettest.InProcess())
	jane, bob := w.login("jane"), w.login("bob")
	conv := w.converse(jane, "bob")
	const original = "Dear Bob, I owe [ref. aaaaaaaa] 100 pounds."
	sent := w.say(jane, conv, original)
	changed := mallory(t, stored(t, w, conv.ID, sent.ID), 1, map[int]byte{0: '1' ^ '9'}, []int{4, 5, 6, 7, 8, 9}, func(text string) bool {
		_, err := envelope.OpenPassphrase(text, conv.EncryptionKey())
		return err == nil
	})
	_, err := w.Client().Update(t.Context(), conv.ID, sent.ID, datasource.M{"body": changed})
	require.NoError(t, err)
	got := messages(t, bob, conv.ID)[0]
	require.NoError(t, got.Err)
	assert.Contains(t, got.Body, "Dear Bob, I owe ")
	assert.Contains(t, got.Body, "900 ")

	// Nor is a body bound to its row: an old answer fits any question.
	yes := w.say(jane, conv, "Yes.")
	no := w.say(jane, conv, "No.")
	_, err = w.Client().Update(t.Context(), conv.ID, no.ID, datasource.M{"body": stored(t, w, conv.ID, yes.ID)})
	require.NoError(t, err)
	assert.Equal(t, []string{"Yes.", "Yes."}, bodies(messages(t, bob, conv.ID)[1:]))

	// The same row under a Cipher is refused, whatever is flipped.
	cipher := newCipher(t, newKey(t, "k", 1))
	sealer, reader := w.login("jane", sealing(cipher)), w.login("bob", sealing(cipher))
	sealed := w.say(sealer, conv, original)
	text := stored(t, w, conv.ID, sealed.ID)
	for i := len("flsealed:1:k:"); i < len(text); i++ {
		_, err := chat.Open(cipher, conv.ID, sealed.GUID, sealed.FromUserID, text[:i]+swap(text[i])+text[i+1:])
		require.ErrorIs(t, err, chat.ErrTampered)
	}
	_, err = w.Client().Update(t.Context(), conv.ID, sealed.ID, datasource.M{"body": text[:30] + swap(text[30]) + text[31:]})
	require.NoError(t, err)
	require.ErrorIs(t, messages(t, reader, conv.ID)[3].Err, chat.ErrTampered)
}

func TestClosedChatForgetsTheKeysOfConversations(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fliplettest.InProcess())
	jane := w.login("jane")
	w.say(jane, w.converse(jane, "bob"), "hi")
	require.NotZero(t, chat.KnownKeys(jane))
	require.NoError(t, jane.Close())
	assert.Zero(t, chat.KnownKeys(jane))
}

// BenchmarkOpenBody opens a stored body of 120 bytes as a Chat does, beside the
// bare AEAD: what is added must stay below a microsecond.
func BenchmarkOpenBody(b *testing.B) {
	body := strings.Repeat("0123456789", 12)
	fixed := newKey(b, "k", 1)
	derived := sure(chat.DeriveKeys("k", keyBytes(1)))
	bare := sure(envelope.NewAEAD("k", keyBytes(1)))
	at := envelope.Binding{ConversationID: 777, GUID: "0b8f3f7e-6f0a-4d63-9d5e-0d7a5a3c9a11", Sender: "u-jane"}
	b.Run("aead", func(b *testing.B) {
		sealed := sure(bare.Seal(body, at))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := bare.Open(sealed, at); err != nil {
				b.Fatal(err)
			}
		}
	})
	for name, k := range map[string]*chat.Key{"fixed": fixed, "derived": derived} {
		c := newCipher(b, k)
		sealed := sure(chat.Seal(c, at.ConversationID, at.GUID, at.Sender, body))
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := chat.Open(c, at.ConversationID, at.GUID, at.Sender, sealed); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestConversationThatCannotBeReadCostsOneRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		jane := w.login("jane")
		conv := w.converse(jane, "bob")
		for range 30 {
			w.say(jane, conv, "locked")
		}
		bob := w.login("bob")
		lever := w.Always(fliplettest.GetSource, fliplettest.Status(404))
		for range 3 {
			_, err := bob.Messages(t.Context(), chat.In(conv.ID))
			require.ErrorIs(t, err, chat.ErrNotFound)
		}
		assert.Equal(t, 1, lever.Hits())
		lever.Off()
		time.Sleep(5 * time.Second)
		for _, m := range messages(t, bob, conv.ID) {
			require.NoError(t, m.Err)
		}
	})
}
