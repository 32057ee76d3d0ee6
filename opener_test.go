package chat_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/internal/envelope"
)

// passphrases are Keys that need no server.
type passphrases func(conversationID int64) (string, error)

func (p passphrases) Key(_ context.Context, id int64) (string, error) { return p(id) }

// asRead is what a message says of its body.
func asRead(m *chat.Message) string {
	raw, err := json.Marshal(m)
	return fmt.Sprint(m.Body, "|", m.Protection, "|", m.Err, "|", m.IsDeleted, "|", m.GUID, "|", string(raw), err)
}

// everyBody stores a body of each kind in a conversation.
func everyBody(t *testing.T, w *world, conv *chat.Conversation, cipher *chat.Cipher) {
	t.Helper()
	sealed := w.login("jane", sealing(cipher))
	open := w.login("jane", func(o *chat.Options) { o.EncryptMessages = false })
	w.say(open, conv, "plain")
	w.say(w.login("jane"), conv, "under the passphrase")
	m := w.say(sealed, conv, "authenticated")
	row, err := w.Client().FindByID(t.Context(), conv.ID, m.ID)
	require.NoError(t, err)
	w.AddRows(conv.ID, row.Data) // a copy
	put(t, w, conv.ID, row.Data["body"], datasource.M{"guid": "moved"})
	put(t, w, conv.ID, sure(envelope.SealPassphrase("x", "another passphrase")))
	put(t, w, conv.ID, "U2FsdGVkX1 typed")
	put(t, w, conv.ID, nil)
	put(t, w, conv.ID, []any{"a list"}, datasource.M{"Body": "another spelling"})
	put(t, w, conv.ID, "gone", datasource.M{"isDeleted": true})
}

func TestAnOpenerReadsWhatAChatReads(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fliplettest.InProcess())
	cipher := newCipher(t, newKey(t, "k", 1))
	conv := w.converse(w.login("jane"), "bob")
	everyBody(t, w, conv, cipher)
	rows, err := w.Client().Find(t.Context(), conv.ID, datasource.Query{Order: []datasource.Order{{Column: "id", Direction: datasource.Asc}}})
	require.NoError(t, err)
	source, err := w.Client().DataSource(t.Context(), conv.ID)
	require.NoError(t, err)
	require.Len(t, rows, 10)

	own := passphrases(func(int64) (string, error) { return conv.EncryptionKey(), nil })
	for _, least := range []chat.Protection{chat.Plain, chat.Encrypted, chat.Authenticated} {
		for name, options := range map[string]func(*chat.Options){
			"the definition's key": func(*chat.Options) {},
			"and a cipher":         sealing(cipher),
			"keys and a cipher":    func(o *chat.Options) { o.Keys, o.Cipher = own, cipher },
			"keys that cannot be had": func(o *chat.Options) {
				o.Keys = passphrases(func(int64) (string, error) { return "", errors.New("no") })
			},
		} {
			with := chat.Options{}
			options(&with)
			if least == chat.Authenticated && with.Cipher == nil {
				continue // refused by both
			}
			bob := w.login("bob", options, demanding(least))
			opts := chat.OpenerOptions{Source: source, MinProtection: least, UserID: bob.User().UserID}
			opts.Keys, opts.Cipher = with.Keys, with.Cipher
			theirs, err := bob.Conversation(t.Context(), conv.ID)
			require.NoError(t, err)
			want := messages(t, bob, conv.ID)
			openers := map[string]*chat.Opener{"of the conversation": theirs.Opener(), "of its definition": sure(chat.NewOpener(opts))}
			require.NoError(t, bob.Logout(t.Context()))
			require.NoError(t, bob.Close())
			before := len(w.Requests())
			for of, o := range openers {
				byID := map[int64]string{}
				for _, row := range rows {
					m := o.Message(t.Context(), row)
					byID[m.ID] = asRead(m)
				}
				for _, m := range want {
					assert.Equal(t, asRead(m), byID[m.ID], "%s, %s, at least %v", of, name, least)
				}
			}
			assert.Len(t, w.Requests(), before, "an Opener makes no request")
		}
	}
}

func TestOfRowsThatAnOpenerHasOpenedTheOneWithTheLowestIDCounts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fliplettest.InProcess())
	cipher := newCipher(t, newKey(t, "k", 1))
	conv := w.converse(w.login("jane"), "bob")
	m := w.say(w.login("jane", sealing(cipher)), conv, "hello")
	row, err := w.Client().FindByID(t.Context(), conv.ID, m.ID)
	require.NoError(t, err)
	w.AddRows(conv.ID, row.Data)
	rows, err := w.Client().Find(t.Context(), conv.ID, datasource.Query{Order: []datasource.Order{{Column: "id", Direction: datasource.Asc}}})
	require.NoError(t, err)
	require.Len(t, rows, 2)
	opener := func() *chat.Opener { return sure(chat.NewOpener(chat.OpenerOptions{Cipher: cipher})) }

	inOrder := opener()
	require.NoError(t, inOrder.Message(t.Context(), rows[0]).Err)
	require.ErrorIs(t, inOrder.Message(t.Context(), rows[1]).Err, chat.ErrTampered)
	backwards := opener()
	require.NoError(t, backwards.Message(t.Context(), rows[1]).Err, "the other one is not known yet")
	require.NoError(t, backwards.Message(t.Context(), rows[0]).Err)
	require.ErrorIs(t, backwards.Message(t.Context(), rows[1]).Err, chat.ErrTampered)
	other := opener()
	moved := rows[0]
	moved.Data = datasource.M{"guid": "another", "fromUserId": row.Data["fromUserId"], "body": "something else"}
	require.NoError(t, other.Message(t.Context(), rows[1]).Err)
	_ = other.Message(t.Context(), moved)
	require.ErrorIs(t, other.Message(t.Context(), rows[0]).Err, chat.ErrTampered, "it was something else")
	require.NoError(t, other.Message(t.Context(), rows[1]).Err)
}

func TestAnOpenerLeavesTheRowAsItIs(t *testing.T) {
	t.Parallel()
	o := sure(chat.NewOpener(chat.OpenerOptions{Keys: passphrases(func(int64) (string, error) { return agentKey, nil })}))
	text := sure(envelope.SealPassphrase("hi", agentKey))
	row := datasource.Entry{ID: 1, DataSourceID: 7, Data: chat.M{"body": text, "readBy": []any{"a"}}}
	m := o.Message(t.Context(), row)
	require.NoError(t, m.Err)
	assert.Equal(t, "hi", m.Body)
	m.Data["readBy"].([]any)[0] = "b"
	data, err := o.Columns(t.Context(), row, "body")
	require.NoError(t, err)
	assert.Equal(t, "hi", data["body"])
	assert.Equal(t, chat.M{"body": text, "readBy": []any{"a"}}, row.Data)
}

func TestAnOpenerUsesAKeyForItsOwnConversationOnly(t *testing.T) {
	t.Parallel()
	source := &datasource.DataSource{ID: 7, Definition: json.RawMessage(`{"encryptionKey":"` + agentKey + `"}`)}
	o := sure(chat.NewOpener(chat.OpenerOptions{Source: source}))
	row := datasource.Entry{ID: 1, Data: chat.M{"body": sure(envelope.SealPassphrase("hi", agentKey))}}
	m := o.Message(t.Context(), row)
	require.NoError(t, m.Err)
	assert.Equal(t, "hi", m.Body)
	assert.EqualValues(t, 7, m.ConversationID, "a row that does not say is one of the Opener's conversation")
	row.DataSourceID = 8
	m = o.Message(t.Context(), row)
	require.ErrorIs(t, m.Err, chat.ErrKeyUnavailable)
	assert.ErrorContains(t, m.Err, "conversation 7")
	assert.NotContains(t, m.Err.Error(), agentKey)

	source.Definition = json.RawMessage(`{"encryptionKey":5}`)
	m = sure(chat.NewOpener(chat.OpenerOptions{Source: source})).Message(t.Context(), datasource.Entry{Data: row.Data})
	require.ErrorIs(t, m.Err, chat.ErrKeyUnavailable)

	cipher := newCipher(t, newKey(t, "k", 1))
	alone := sure(chat.NewOpener(chat.OpenerOptions{Cipher: cipher}))
	row.DataSourceID = 0
	m = alone.Message(t.Context(), row)
	require.ErrorIs(t, m.Err, chat.ErrUnreadable)
	assert.ErrorContains(t, m.Err, "row.DataSourceID")
	var none *chat.Conversation
	require.ErrorIs(t, none.Opener().Message(t.Context(), row).Err, chat.ErrKeyUnavailable)
}

func TestAnOpenerOfAConversationWhoseKeyHasChangedOpensNothingUnderIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fliplettest.InProcess())
	jane := w.login("jane")
	conv := w.converse(jane, "bob")
	m := w.say(jane, conv, "hi")
	ds := sure(w.Client().DataSource(t.Context(), conv.ID))
	var def map[string]any
	require.NoError(t, json.Unmarshal(ds.Definition, &def))
	def["encryptionKey"] = agentKey
	_, err := w.Client().UpdateDataSource(t.Context(), conv.ID, datasource.SourcePatch{Definition: sure(json.Marshal(def))})
	require.NoError(t, err)
	again, err := jane.Conversations(t.Context())
	require.NoError(t, err)
	row := sure(w.Client().FindByID(t.Context(), conv.ID, m.ID))
	require.ErrorIs(t, again[0].Opener().Message(t.Context(), *row).Err, chat.ErrKeyChanged)
}

func TestColumnsOfTheAgentAreOpened(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fliplettest.InProcess())
	addKeystore(t, w, "")
	ks := sure(chat.NewKeystore(w.Client(), chat.KeystoreOptions{}))
	o := sure(chat.NewOpener(chat.OpenerOptions{Keys: ks}))
	sealed := func(text string) string { return sure(envelope.SealPassphrase(text, agentKey)) }
	damaged := sealed("x")[:30]
	row := datasource.Entry{ID: 1, DataSourceID: 55, Data: chat.M{
		"id": json.Number("5"), "First Name": sealed("Zoë"), "Last Name": sealed("Lee"), "Nick": "", "Middle": nil, "Email": "zoe@example.org",
	}}
	for name, columns := range map[string][]string{
		"found": nil, "named": {"First Name", "Last Name", "Nick", "Middle", "Email", "Phone", "id"},
	} {
		data, err := o.Columns(t.Context(), row, columns...)
		require.NoError(t, err, name)
		assert.Equal(t, chat.M{
			"id": json.Number("5"), "First Name": "Zoë", "Last Name": "Lee", "Nick": "", "Middle": nil, "Email": "zoe@example.org",
		}, data, name)
	}

	foreign := sure(envelope.SealPassphrase("x", "another key"))
	row.Data["First Name"], row.Data["Last Name"] = foreign, damaged
	row.Data["Title"] = sealed("Dr")
	data, err := o.Columns(t.Context(), row)
	require.ErrorIs(t, err, chat.ErrWrongKey)
	require.ErrorIs(t, err, chat.ErrMalformed)
	require.ErrorIs(t, err, chat.ErrUnreadable)
	assert.ErrorContains(t, err, `column "First Name"`)
	assert.ErrorContains(t, err, `column "Last Name"`)
	assert.NotContains(t, err.Error(), agentKey)
	assert.Equal(t, "Dr", data["Title"], "what opens is opened")
	assert.Equal(t, foreign, data["First Name"])
	assert.Equal(t, damaged, data["Last Name"])

	strict := sure(chat.NewOpener(chat.OpenerOptions{Keys: ks, MinProtection: chat.Encrypted}))
	row.Data["Salary"] = json.Number("1000")
	data, err = strict.Columns(t.Context(), row, "Title", "Email", "Salary", "Nick")
	require.ErrorIs(t, err, chat.ErrUnprotected)
	assert.Equal(t, "Dr", data["Title"])
	assert.Empty(t, data["Email"], "what is not encrypted is withheld")
	assert.Empty(t, data["Salary"])
	_, err = o.Columns(t.Context(), datasource.Entry{ID: 1, Err: datasource.ErrRowLimit})
	require.ErrorIs(t, err, datasource.ErrRowLimit)
}

// The values are those of crypto-js.
func TestAColumnOfCryptoJSIsOpened(t *testing.T) {
	t.Parallel()
	o := sure(chat.NewOpener(chat.OpenerOptions{Keys: passphrases(func(int64) (string, error) { return "3581e5305707b61fb3931346b5826e5c", nil })}))
	data, err := o.Columns(t.Context(), datasource.Entry{DataSourceID: 1, Data: chat.M{"Note": "U2FsdGVkX18BAgMEBQYHCPrGgxVGNWwEPfj39z0S7e0="}})
	require.NoError(t, err)
	assert.Equal(t, "Hello team!", data["Note"])
}

func TestAnOpenerSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	for says, opts := range map[string]chat.OpenerOptions{
		"nothing to open with":         {},
		"OpenerOptions.Source: 0":      {Source: &datasource.DataSource{}},
		"OpenerOptions.MinProtection":  {Source: &datasource.DataSource{ID: 1}, MinProtection: 3},
		"OpenerOptions.MinProtection:": {Source: &datasource.DataSource{ID: 1}, MinProtection: -1},
		"takes a Cipher":               {Source: &datasource.DataSource{ID: 1}, MinProtection: chat.Authenticated},
	} {
		_, err := chat.NewOpener(opts)
		require.ErrorIs(t, err, chat.ErrInvalid)
		assert.ErrorContains(t, err, says)
	}
	_, err := sure(chat.NewOpener(chat.OpenerOptions{Source: &datasource.DataSource{ID: 1}})).Columns(t.Context(), datasource.Entry{})
	require.ErrorIs(t, err, chat.ErrInvalid)
	assert.ErrorContains(t, err, "Keystore")
}

func TestAnOpenerPrintsNoKey(t *testing.T) {
	t.Parallel()
	source := &datasource.DataSource{ID: 7, Definition: json.RawMessage(`{"encryptionKey":"` + agentKey + `"}`)}
	opts := chat.OpenerOptions{Source: source, Keys: passphrases(func(int64) (string, error) { return agentKey, nil })}
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		assert.NotContains(t, fmt.Sprintf(format, opts), agentKey)
		assert.NotContains(t, fmt.Sprintf(format, &opts), "3031323334")
		assert.Contains(t, fmt.Sprintf(format, sure(chat.NewOpener(opts))), "conversation 7, redacted")
	}
}
