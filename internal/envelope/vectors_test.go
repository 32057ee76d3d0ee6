package envelope_test

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fliplet/fliplet-chat-go/internal/envelope"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type vector struct {
	Name, Mode, Passphrase, KeyHex, IVHex string
	Plaintext, Ciphertext                 string
	Strict                                string
	StrictPlaintext                       string
}

// key and iv are used in the raw modes only.
func (v vector) key(t *testing.T) []byte { return unhex(t, v.KeyHex) }
func (v vector) iv(t *testing.T) []byte  { return unhex(t, v.IVHex) }

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	require.NoError(t, err)
	return b
}

// vectorFile finds a file of recorded answers: in FLIPLET_CHAT_VECTORS, beside the repository, or the sample kept here.
func vectorFile(t *testing.T, name string) string {
	t.Helper()
	root := repositoryRoot(t)
	if dir := os.Getenv("FLIPLET_CHAT_VECTORS"); dir != "" {
		if !filepath.IsAbs(dir) {
			dir = filepath.Join(root, dir)
		}
		return filepath.Join(dir, name)
	}
	if path := filepath.Join(root, "..", "shared", "vectors", name); fileExists(path) {
		return path
	}
	return filepath.Join("testdata", name)
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func TestVectors(t *testing.T) {
	t.Parallel()
	path := vectorFile(t, "aes-cryptojs.json")
	var recorded struct{ Positive, Negative []vector }
	readJSON(t, path, &recorded)
	require.NotEmpty(t, recorded.Positive, path)
	require.NotEmpty(t, recorded.Negative, path)
	differ := 0
	for _, v := range recorded.Positive {
		if !readsAndWrites(t, v) {
			differ++
		}
	}
	for _, v := range recorded.Negative {
		if !refuses(t, v) {
			differ++
		}
	}
	t.Logf("%s: %d cases, %d differ", filepath.Base(path), len(recorded.Positive)+len(recorded.Negative), differ)
}

// readsAndWrites checks both directions: the recorded ciphertext opens, and sealing with its salt gives the same bytes.
func readsAndWrites(t *testing.T, v vector) bool {
	var got, written string
	var err error
	if v.Mode == "passphrase" {
		got, err = envelope.OpenPassphrase(v.Ciphertext, v.Passphrase)
		raw, decodeErr := base64.StdEncoding.DecodeString(v.Ciphertext)
		require.NoError(t, decodeErr, v.Name)
		written = envelope.SealPassphraseWithSalt(v.Plaintext, v.Passphrase, [8]byte(raw[8:16]))
	} else {
		got, err = envelope.OpenRaw(v.Ciphertext, v.key(t), v.iv(t))
		var sealErr error
		written, sealErr = envelope.SealRaw(v.Plaintext, v.key(t), v.iv(t))
		require.NoError(t, sealErr, v.Name)
	}
	return assert.NoError(t, err, v.Name) && assert.Equal(t, v.Plaintext, got, v.Name) && assert.Equal(t, v.Ciphertext, written, v.Name)
}

func refuses(t *testing.T, v vector) bool {
	var got string
	var err error
	if v.Mode == "passphrase" {
		got, err = envelope.OpenPassphrase(v.Ciphertext, v.Passphrase)
	} else {
		got, err = envelope.OpenRaw(v.Ciphertext, v.key(t), v.iv(t))
	}
	if v.Strict == "undetected" {
		return assert.NoError(t, err, v.Name) && assert.Equal(t, v.StrictPlaintext, got, v.Name)
	}
	return assert.Equal(t, envelope.Kind(v.Strict), kindOf(err), v.Name) && assert.Empty(t, got, v.Name)
}

func TestVectorsNISTGCM(t *testing.T) {
	t.Parallel()
	type gcmVector struct {
		File, Key, IV, PT, AAD, CT, Tag string
		Fail                            bool
	}
	var published struct{ Cases []gcmVector }
	readJSON(t, filepath.Join("testdata", "nist-gcm.json"), &published)
	require.NotEmpty(t, published.Cases)
	differ := 0
	for i, v := range published.Cases {
		key, iv, plaintext, ad := unhex(t, v.Key), unhex(t, v.IV), unhex(t, v.PT), unhex(t, v.AAD)
		sealed := append(unhex(t, v.CT), unhex(t, v.Tag)...)

		a, err := envelope.NewAEAD("nist", key)
		require.NoError(t, err)
		opened, err := a.OpenBody(append(iv[:len(iv):len(iv)], sealed...), ad)
		if v.Fail {
			if !assert.Error(t, err, "%s, case %d", v.File, i) {
				differ++
			}
			continue
		}
		block, blockErr := aes.NewCipher(key)
		require.NoError(t, blockErr)
		gcm, gcmErr := cipher.NewGCM(block)
		require.NoError(t, gcmErr)
		if !assert.NoError(t, err, "%s, case %d", v.File, i) || !assert.Equal(t, hex.EncodeToString(plaintext), hex.EncodeToString(opened)) ||
			!assert.Equal(t, sealed, gcm.Seal(nil, iv, plaintext, ad), "%s, case %d", v.File, i) {
			differ++
		}
	}
	t.Logf("nist-gcm.json: %d cases, %d differ", len(published.Cases), differ)
}

// What has once been written must stay readable. The files were written by docs/js/envelope.js, so they also show that two
// implementations agree on the format. The first vector of version 2 is in docs/encryption.md.
func TestVectorsOfBothVersionsStayReadable(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join(repositoryRoot(t), "docs", "encryption.md"))
	require.NoError(t, err)
	for version, name := range map[int]string{1: "version1.json", 2: "version2.json"} {
		var recorded []struct {
			KeyID, Key, GUID, Sender, Text, Stored string
			ConversationID                         json.Number
		}
		readJSON(t, filepath.Join("testdata", name), &recorded)
		require.NotEmpty(t, recorded)
		for i, v := range recorded {
			a, err := envelope.NewAEAD(v.KeyID, unhex(t, v.Key))
			require.NoError(t, err)
			conversation, err := v.ConversationID.Int64()
			require.NoError(t, err)
			at := envelope.Binding{ConversationID: conversation, GUID: v.GUID, Sender: v.Sender}
			text, err := a.Open(v.Stored, at)
			assert.NoError(t, err, "%s, case %d", name, i)
			assert.Equal(t, v.Text, text, "%s, case %d", name, i)
			assert.Equal(t, version, envelope.Version(v.Stored))

			at.Sender += "x"
			_, err = a.Open(v.Stored, at)
			assert.Equal(t, version == 1, err == nil, "version 1 does not bind the sender, version 2 does")
			if version == 2 && i == 0 {
				for _, part := range []string{v.Key, v.GUID, v.Sender, v.Text, v.Stored} {
					assert.True(t, strings.Contains(string(page), part), "docs/encryption.md has no %s", part)
				}
			}
		}
	}
}
