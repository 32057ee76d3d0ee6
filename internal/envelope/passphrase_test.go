package envelope_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/fliplet/fliplet-chat-go/internal/envelope"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPassphraseWritesWhatCryptoJSWrites(t *testing.T) {
	t.Parallel()
	const passphrase, stored = "3581e5305707b61fb3931346b5826e5c", "U2FsdGVkX18BAgMEBQYHCPrGgxVGNWwEPfj39z0S7e0="
	assert.Equal(t, stored, envelope.SealPassphraseWithSalt("Hello team!", passphrase, [8]byte{1, 2, 3, 4, 5, 6, 7, 8}))
	text, err := envelope.OpenPassphrase(stored, passphrase)
	require.NoError(t, err)
	assert.Equal(t, "Hello team!", text)
}

func TestPassphraseRoundTripOfAnyText(t *testing.T) {
	t.Parallel()
	for _, text := range append(manyTexts(300), strings.Repeat("0123456789abcde🐪", 1<<20/19)) {
		stored, err := envelope.SealPassphrase(text, "a passphrase ✓")
		require.NoError(t, err)
		assert.True(t, envelope.LooksPassphrase(stored))
		assert.False(t, envelope.LooksAuthenticated(stored))
		got, err := envelope.OpenPassphrase(stored, "a passphrase ✓")
		require.NoError(t, err)
		require.Equal(t, text, got)
	}
}

func TestPassphraseSaltIsNeverTheSame(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 1000 {
		stored, err := envelope.SealPassphrase("the same text", "the same passphrase")
		require.NoError(t, err)
		require.False(t, seen[stored])
		seen[stored] = true
	}
}

func TestPassphraseRefusesWhatNobodyCouldReadBack(t *testing.T) {
	t.Parallel()
	_, err := envelope.SealPassphrase("cut in the middle of a character \xf0\x9f\x90", "secret")
	assert.Equal(t, envelope.KindBadPlaintext, kindOf(err))
	_, err = envelope.SealPassphrase("text", "")
	assert.Equal(t, envelope.KindBadKey, kindOf(err))
}

func TestPassphraseTellsPlainTextFromDamage(t *testing.T) {
	t.Parallel()
	salted := func(body string) string { return base64.StdEncoding.EncodeToString([]byte("Salted__" + body)) }
	for _, c := range []struct {
		name, stored string
		want         envelope.Kind
	}{
		{"empty", "", envelope.KindNotEncrypted},
		{"a sentence", "Hello there", envelope.KindNotEncrypted},
		{"other base64", "SGVsbG8gd29ybGQh", envelope.KindNotEncrypted},
		{"marker further in", "see U2FsdGVkX18BAgMEBQYHCA==", envelope.KindNotEncrypted},
		{"marker in other case", "u2fsdgvkx18BAgMEBQYHCA==", envelope.KindNotEncrypted},
		{"one bit of the magic after the marker", "U2FsdGVkX1wBAgMEBQYHCPrGgxVGNWwEPfj39z0S7e0=", envelope.KindNotEncrypted},
		{"marker alone", "U2FsdGVkX1", envelope.KindBadBase64},
		{"marker in a sentence", "U2FsdGVkX1 is the prefix", envelope.KindBadBase64},
		{"line break at the end", salted("saltsalt0123456789abcdef") + "\n", envelope.KindBadBase64},
		{"carriage return inside", "U2FsdGVkX1\r8BAgMEBQYHCPrGgxVGNWwEPfj39z0S7e0=", envelope.KindBadBase64},
		{"bits left over", "U2FsdGVkX18BAgMEBQYHCB==", envelope.KindBadBase64},
		{"padding left out", "U2FsdGVkX18BAgMEBQYHCA", envelope.KindBadBase64},
		{"padding twice", "U2FsdGVkX18BAgMEBQYHCA====", envelope.KindBadBase64},
		{"URL alphabet", "U2FsdGVkX18BAgMEBQYHCPrGgxVGNWwEPfj39z0S7e_-", envelope.KindBadBase64},
		{"no salt", salted(""), envelope.KindTruncated},
		{"half a salt", salted("salt"), envelope.KindTruncated},
		{"no body", salted("saltsalt"), envelope.KindTruncated},
		{"part of a block", salted("saltsalt" + "0123456789abcde"), envelope.KindTruncated},
		{"a block and a byte", salted("saltsalt" + "0123456789abcdefg"), envelope.KindTruncated},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			text, err := envelope.OpenPassphrase(c.stored, "secret")
			assert.Equal(t, c.want, kindOf(err))
			assert.Empty(t, text)
		})
	}
}

func TestRawChecksKeyAndIVFirst(t *testing.T) {
	t.Parallel()
	iv := make([]byte, 16)
	for _, size := range []int{0, 1, 15, 17, 31, 33, 64} {
		_, err := envelope.SealRaw("text", make([]byte, size), iv)
		assert.Equal(t, envelope.KindBadKey, kindOf(err), size)
		_, err = envelope.OpenRaw("!", make([]byte, size), iv)
		assert.Equal(t, envelope.KindBadKey, kindOf(err), size)
	}
	for _, size := range []int{0, 12, 15, 17} {
		_, err := envelope.SealRaw("text", make([]byte, 32), make([]byte, size))
		assert.Equal(t, envelope.KindBadIV, kindOf(err), size)
		_, err = envelope.OpenRaw("!", make([]byte, 32), make([]byte, size))
		assert.Equal(t, envelope.KindBadIV, kindOf(err), size)
	}
	_, err := envelope.SealRaw("\xff", make([]byte, 32), iv)
	assert.Equal(t, envelope.KindBadPlaintext, kindOf(err))
}

func TestRawRoundTripLeavesKeyAndIVAlone(t *testing.T) {
	t.Parallel()
	for _, size := range []int{16, 24, 32} {
		key, iv := testKey(3)[:size], testKey(4)[:16]
		keyBefore, ivBefore := hex.EncodeToString(key), hex.EncodeToString(iv)
		for _, text := range trickyTexts() {
			stored, err := envelope.SealRaw(text, key, iv)
			require.NoError(t, err)
			got, err := envelope.OpenRaw(stored, key, iv)
			require.NoError(t, err)
			assert.Equal(t, text, got)
		}
		assert.Equal(t, keyBefore, hex.EncodeToString(key))
		assert.Equal(t, ivBefore, hex.EncodeToString(iv))
	}
}

// Blocks whose padding is chosen by hand, encrypted with the bare standard library.
func TestRawLooksAtEveryPaddingByte(t *testing.T) {
	t.Parallel()
	key, iv := testKey(7), testKey(8)[:16]
	seal := func(blocks string) string {
		block, err := aes.NewCipher(key)
		require.NoError(t, err)
		out := []byte(blocks)
		cipher.NewCBCEncrypter(block, iv).CryptBlocks(out, out)
		return base64.StdEncoding.EncodeToString(out)
	}
	for size := 1; size <= 16; size++ {
		text, padding := strings.Repeat("t", 16-size), bytes.Repeat([]byte{byte(size)}, size)
		got, err := envelope.OpenRaw(seal(text+string(padding)), key, iv)
		require.NoError(t, err, size)
		assert.Equal(t, text, got)
		for i := range size - 1 { // the last byte says how many there are, so each of the others must contradict it
			wrong := bytes.Clone(padding)
			wrong[i] ^= 0x20
			_, err := envelope.OpenRaw(seal(text+string(wrong)), key, iv)
			assert.Equal(t, envelope.KindBadPadding, kindOf(err), "byte %d of %d", i, size)
		}
	}
	for _, last := range []string{"\x00", "\x11", "\x20", "\x80", "\xff"} {
		for _, before := range []string{"", "a whole block it", strings.Repeat(last, 16*15)} { // the last: longer than a block, and alike
			_, err := envelope.OpenRaw(seal(before+strings.Repeat(last, 16)), key, iv)
			assert.Equal(t, envelope.KindBadPadding, kindOf(err), "%q", last)
		}
	}
}

// What the package comment warns of. The attacker below knows what was written, not the passphrase: flipping bits of
// one block of ciphertext flips the same bits of the next block of text and garbles the block itself. A strict reader
// notices only when the garbled block is not UTF-8; one message in some thousands is, and the attacker may try as many as
// there are.
func TestPassphraseModeLetsAChosenBlockChangeUnnoticed(t *testing.T) {
	t.Parallel()
	const (
		passphrase = "3581e5305707b61fb3931346b5826e5c"
		text       = "Invoice approved" + ". Reference no. " + "pay 0100 to Ann."
		forged     = "pay 9999 to Bob."
	)
	for message := range 1 << 17 {
		salt := [8]byte{byte(message), byte(message >> 8), byte(message >> 16)}
		raw, err := base64.StdEncoding.DecodeString(envelope.SealPassphraseWithSalt(text, passphrase, salt))
		require.NoError(t, err)
		block := raw[16+16 : 16+32] // the ciphertext of the second block
		for i := range block {
			block[i] ^= text[32+i] ^ forged[i]
		}
		got, err := envelope.OpenPassphrase(base64.StdEncoding.EncodeToString(raw), passphrase)
		if err != nil {
			require.ErrorIs(t, err, envelope.ErrUnreadable)
			continue
		}
		require.True(t, utf8.ValidString(got))
		assert.Equal(t, "Invoice approved", got[:16])
		assert.Equal(t, forged, got[32:], "the third block is what the attacker chose, and nothing reported it")
		t.Logf("message %d of those tried opened without an error as %q", message+1, got)
		return
	}
	t.Fatal("no message passed: the search is too short")
}

// With an IV that the attacker can change too, even the garbled block is spared.
func TestRawModeLetsTheFirstBlockChangeUnnoticed(t *testing.T) {
	t.Parallel()
	key, iv := testKey(5), testKey(6)[:16]
	stored, err := envelope.SealRaw("pay 0100 to Ann. Thank you!", key, iv)
	require.NoError(t, err)
	for i, c := range []byte("pay 9999 to Bob.") {
		iv[i] ^= "pay 0100 to Ann."[i] ^ c
	}
	got, err := envelope.OpenRaw(stored, key, iv)
	require.NoError(t, err)
	assert.Equal(t, "pay 9999 to Bob. Thank you!", got)
}
