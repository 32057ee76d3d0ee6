package envelope_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/binary"
	"math"
	"strings"
	"sync"
	"testing"

	"github.com/fliplet/fliplet-chat-go/internal/envelope"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var place = envelope.Binding{ConversationID: 4711, GUID: "6f1b0d5e-3c1a-4a53-9c43-0f0f4c9c8f2e", Sender: "u-jane"}

func TestAEADRoundTripOfAnyText(t *testing.T) {
	t.Parallel()
	a := newAEAD(t, "2024-05", 1)
	for _, text := range append(manyTexts(300), strings.Repeat("0123456789abcde🐪", 1<<20/19)) {
		stored, err := a.Seal(text, place)
		require.NoError(t, err)
		assert.True(t, envelope.LooksAuthenticated(stored))
		assert.False(t, envelope.LooksPassphrase(stored))
		id, ok := envelope.KeyID(stored)
		assert.True(t, ok)
		assert.Equal(t, "2024-05", id)
		got, err := a.Open(stored, place)
		require.NoError(t, err)
		require.Equal(t, text, got)
	}
}

func TestAEADTextNeedsNoEscaping(t *testing.T) {
	t.Parallel()
	a := newAEAD(t, "A-z_0.9", 1)
	for _, text := range manyTexts(100) {
		stored, err := a.Seal(text, place)
		require.NoError(t, err)
		assert.Regexp(t, `^flsealed:2:A-z_0\.9:[A-Za-z0-9_-]+$`, stored)
	}
}

// The format as the package comment states it, taken apart by hand with the bare standard library.
func TestAEADWritesTheDocumentedFormat(t *testing.T) {
	t.Parallel()
	stored, err := newAEAD(t, "k1", 1).Seal("Hello team!", envelope.Binding{ConversationID: 258, GUID: "g-1", Sender: "u-1"})
	require.NoError(t, err)
	encoded, ok := strings.CutPrefix(stored, "flsealed:2:k1:")
	require.True(t, ok, stored)
	body, err := base64.RawURLEncoding.DecodeString(encoded)
	require.NoError(t, err)
	require.Len(t, body, 12+len("Hello team!")+16)

	var ad bytes.Buffer
	for _, field := range []any{uint64(10), []byte("flsealed:2"), uint64(2), []byte("k1"), int64(258), uint64(3), []byte("g-1"), uint64(3), []byte("u-1")} {
		require.NoError(t, binary.Write(&ad, binary.BigEndian, field))
	}
	block, err := aes.NewCipher(testKey(1))
	require.NoError(t, err)
	gcm, err := cipher.NewGCM(block)
	require.NoError(t, err)
	plaintext, err := gcm.Open(nil, body[:12], body[12:], ad.Bytes())
	require.NoError(t, err)
	assert.Equal(t, "Hello team!", string(plaintext))
}

func TestAEADNonceIsNeverTheSame(t *testing.T) {
	t.Parallel()
	a := newAEAD(t, "k1", 1)
	seen := map[string]bool{}
	for range 10_000 {
		stored, err := a.Seal("", place)
		require.NoError(t, err)
		nonce := stored[len("flsealed:2:k1:"):][:16]
		require.False(t, seen[nonce])
		seen[nonce] = true
	}
}

func TestAEADRefusesBadArguments(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"", " ", "a b", "a:b", "a/b", "a+b", "a\n", "é", "\x00", strings.Repeat("k", 65)} {
		_, err := envelope.NewAEAD(id, testKey(1))
		assert.Equal(t, envelope.KindBadKeyID, kindOf(err), "%q", id)
	}
	for _, size := range []int{0, 16, 24, 31, 33, 64} {
		_, err := envelope.NewAEAD("k1", make([]byte, size))
		assert.Equal(t, envelope.KindBadKey, kindOf(err), size)
	}
	a := newAEAD(t, strings.Repeat("k", 64), 1)
	_, err := a.Seal("\xed\xa0\x80", place)
	assert.Equal(t, envelope.KindBadPlaintext, kindOf(err))
	for _, id := range []int64{0, -1, math.MinInt64} {
		_, err := a.Seal("text", envelope.Binding{ConversationID: id, GUID: "g"})
		assert.Equal(t, envelope.KindBadBinding, kindOf(err), id)
	}
}

func TestAEADDoesNotKeepTheCallersKey(t *testing.T) {
	t.Parallel()
	key := testKey(1)
	a, err := envelope.NewAEAD("k1", key)
	require.NoError(t, err)
	clear(key)
	stored, err := a.Seal("text", place)
	require.NoError(t, err)
	text, err := newAEAD(t, "k1", 1).Open(stored, place)
	require.NoError(t, err)
	assert.Equal(t, "text", text)
}

func TestAEADIsUselessOnceWiped(t *testing.T) {
	t.Parallel()
	a := newAEAD(t, "k1", 1)
	stored, err := a.Seal("text", place)
	require.NoError(t, err)
	a.Wipe()
	a.Wipe()
	_, err = a.Seal("text", place)
	assert.ErrorIs(t, err, envelope.ErrWiped)
	text, err := a.Open(stored, place)
	assert.ErrorIs(t, err, envelope.ErrWiped)
	assert.Empty(t, text)
	assert.Equal(t, "k1", a.KeyID())

	var zero envelope.AEAD
	_, err = zero.Seal("text", place)
	assert.ErrorIs(t, err, envelope.ErrWiped)
}

func TestAEADServesManyGoroutinesWhileOneWipes(t *testing.T) {
	t.Parallel()
	a := newAEAD(t, "k1", 1)
	stored, err := a.Seal("text", place)
	require.NoError(t, err)
	var running sync.WaitGroup
	for worker := range 8 {
		running.Go(func() {
			for range 200 {
				text, err := a.Open(stored, place)
				if err != nil {
					assert.ErrorIs(t, err, envelope.ErrWiped)
				} else {
					assert.Equal(t, "text", text)
				}
				if _, err := a.Seal("text", place); err != nil {
					assert.ErrorIs(t, err, envelope.ErrWiped)
				}
			}
			if worker == 0 {
				a.Wipe()
			}
		})
	}
	running.Wait()
}

// The one failure that is not KindUnauthentic takes the key to bring about.
func TestAEADTellsAuthenticBytesThatAreNotText(t *testing.T) {
	t.Parallel()
	var ad bytes.Buffer
	for _, field := range []any{uint64(10), []byte("flsealed:1"), uint64(2), []byte("k1"), place.ConversationID, uint64(len(place.GUID)), []byte(place.GUID)} {
		require.NoError(t, binary.Write(&ad, binary.BigEndian, field))
	}
	block, err := aes.NewCipher(testKey(1))
	require.NoError(t, err)
	gcm, err := cipher.NewGCMWithRandomNonce(block)
	require.NoError(t, err)
	stored := "flsealed:1:k1:" + base64.RawURLEncoding.EncodeToString(gcm.Seal(nil, nil, []byte("\xff\xfe"), ad.Bytes()))
	_, err = newAEAD(t, "k1", 1).Open(stored, place)
	assert.Equal(t, envelope.KindBadUTF8, kindOf(err))
}

// The table of the package comment.
func TestWhichTextIsPlain(t *testing.T) {
	t.Parallel()
	room := strings.Repeat("A", 38) // a nonce and a tag
	for _, c := range []struct {
		name, stored string
		looks        bool
		keyID        string
	}{
		{"empty", "", false, ""},
		{"a sentence", "Hello there", false, ""},
		{"marker further in", "the prefix is flsealed:1:k1:" + room, false, ""},
		{"marker after a space", " flsealed:1:k1:" + room, false, ""},
		{"marker in other case", "Flsealed:1:k1:" + room, false, ""},
		{"part of the marker", "flsealed", false, ""},
		{"the other format", "U2FsdGVkX18BAgMEBQYHCPrGgxVGNWwEPfj39z0S7e0=", false, ""},
		{"whole", "flsealed:1:k1:" + room, true, "k1"},
		{"longest key id", "flsealed:1:" + strings.Repeat("k", 64) + ":" + room, true, strings.Repeat("k", 64)},
		{"damage in the body is for Open to find", "flsealed:1:k1:" + room + "!", true, "k1"},
		{"marker alone", "flsealed:", true, ""},
		{"marker in a sentence", "flsealed: is the prefix", true, ""},
		{"cut in the version", "flsealed:1", true, ""},
		{"cut in the key id", "flsealed:1:k", true, ""},
		{"cut in the body", "flsealed:1:k1:" + room[1:], true, ""},
		{"no key id", "flsealed:1::" + room, true, ""},
		{"key id too long", "flsealed:1:" + strings.Repeat("k", 65) + ":" + room, true, ""},
		{"key id with a space", "flsealed:1:k 1:" + room, true, ""},
		{"whole, version 2", "flsealed:2:k1:" + room, true, "k1"},
		{"a later version", "flsealed:3:k1:" + room, true, ""},
		{"no version", "flsealed::k1:" + room, true, ""},
		{"version spelled otherwise", "flsealed:01:k1:" + room, true, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, c.looks, envelope.LooksAuthenticated(c.stored))
			id, ok := envelope.KeyID(c.stored)
			assert.Equal(t, c.keyID, id)
			assert.Equal(t, c.keyID != "", ok)
			text, err := newAEAD(t, "k1", 1).Open(c.stored, place)
			assert.Equal(t, envelope.KindUnauthentic, kindOf(err))
			assert.Empty(t, text)
		})
	}
}
