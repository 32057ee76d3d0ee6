package envelope_test

import (
	"encoding/base64"
	"encoding/binary"
	"testing"
	"unicode/utf8"

	"github.com/fliplet/fliplet-chat-go/internal/envelope"
	"github.com/stretchr/testify/require"
)

// FuzzPassphrase takes text both as a plaintext and as a stored text. Every UTF-8 text comes back; reading anything
// at all ends in a text or in an *Error; and since only one spelling of each ciphertext is read, writing what was read with
// the same salt gives the stored text again. The salt is an input, so that an input that fails once fails again.
// Run it with -fuzzminimizetime 10x: left to itself the fuzzer shortens long inputs for most of its time.
func FuzzPassphrase(f *testing.F) {
	for i, text := range trickyTexts() {
		f.Add(text, "secret", uint64(i))
	}
	f.Add("U2FsdGVkX18BAgMEBQYHCPrGgxVGNWwEPfj39z0S7e0=", "3581e5305707b61fb3931346b5826e5c", uint64(0))
	f.Add("\xff", "\xff", uint64(0))
	f.Fuzz(func(t *testing.T, text, passphrase string, salt uint64) {
		stored := envelope.SealPassphraseWithSalt(text, passphrase, [8]byte(binary.BigEndian.AppendUint64(nil, salt)))
		got, err := envelope.OpenPassphrase(stored, passphrase)
		if utf8.ValidString(text) {
			require.NoError(t, err)
			require.Equal(t, text, got)
		} else {
			require.Equal(t, envelope.KindBadUTF8, kindOf(err))
			_, err = envelope.SealPassphrase(text, passphrase)
			require.ErrorIs(t, err, envelope.ErrInput)
		}

		got, err = envelope.OpenPassphrase(text, passphrase)
		if err != nil {
			require.IsType(t, (*envelope.Error)(nil), err)
			require.Empty(t, got)
			if !envelope.LooksPassphrase(text) {
				require.Equal(t, envelope.KindNotEncrypted, kindOf(err))
			}
			return
		}
		raw, err := base64.StdEncoding.DecodeString(text)
		require.NoError(t, err)
		require.Equal(t, text, envelope.SealPassphraseWithSalt(got, passphrase, [8]byte(raw[8:16])))
	})
}

// FuzzAEAD takes text both as a plaintext and as a stored text, and changes one byte of what it sealed.
func FuzzAEAD(f *testing.F) {
	for i, text := range trickyTexts() {
		f.Add(text, "k1", int64(i), text, "u-jane", i, byte(1))
	}
	f.Add("flsealed:1:k1:6H_1OksL9X0d6deKdQo4hNc3O2exyMgRqKE5Li6EnIx7ADJ9avhA", "k1", int64(1), "g", "", 3, byte(0x20))
	f.Add("flsealed:2:k1:6H_1OksL9X0d6deKdQo4hNc3O2exyMgRqKE5Li6EnIx7ADJ9avhA", "k1", int64(1), "g", "u", 9, byte(3))
	f.Fuzz(func(t *testing.T, text, keyID string, conversation int64, guid, sender string, position int, change byte) {
		a, err := envelope.NewAEAD(keyID, testKey(9))
		if err != nil {
			require.ErrorIs(t, err, envelope.ErrInput)
			a = newAEAD(t, "k1", 9)
		}
		at := envelope.Binding{ConversationID: conversation, GUID: guid, Sender: sender}
		got, err := a.Open(text, at) // nobody has sealed anything yet
		require.Equal(t, envelope.KindUnauthentic, kindOf(err))
		require.Empty(t, got)
		if _, ok := envelope.KeyID(text); ok {
			require.True(t, envelope.LooksAuthenticated(text))
		}

		stored, err := a.Seal(text, at)
		if conversation <= 0 || !utf8.ValidString(text) {
			require.ErrorIs(t, err, envelope.ErrInput)
			return
		}
		require.NoError(t, err)
		id, ok := envelope.KeyID(stored)
		require.True(t, ok)
		require.Equal(t, a.KeyID(), id)
		got, err = a.Open(stored, at)
		require.NoError(t, err)
		require.Equal(t, text, got)
		require.Equal(t, 2, envelope.Version(stored))
		_, err = a.Open(stored, envelope.Binding{ConversationID: conversation, GUID: guid, Sender: sender + "x"})
		require.Equal(t, envelope.KindUnauthentic, kindOf(err))

		if change != 0 {
			changed := []byte(stored)
			changed[uint(position)%uint(len(changed))] ^= change
			_, err = a.Open(string(changed), at)
			require.Equal(t, envelope.KindUnauthentic, kindOf(err))
		}
	})
}
