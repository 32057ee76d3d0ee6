package envelope_test

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fliplet/fliplet-chat-go/internal/envelope"
	"github.com/stretchr/testify/require"
)

// repositoryRoot is the directory that holds go.mod.
func repositoryRoot(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	require.NoError(t, err)
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		require.NotEqual(t, parent, dir, "no go.mod above the working directory")
		dir = parent
	}
}

func readJSON(t testing.TB, path string, into any) {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, into), path)
}

func writeJSON(t testing.TB, path string, from any) {
	t.Helper()
	data, err := json.Marshal(from)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, data, 0o600))
}

// kindOf is the kind of an error of the package, or a description of what came instead.
func kindOf(err error) envelope.Kind {
	if err == nil {
		return "no error"
	}
	if e, ok := errors.AsType[*envelope.Error](err); ok {
		return e.Kind
	}
	return envelope.Kind("another error: " + err.Error())
}

// testKey is 32 bytes that tell keys apart.
func testKey(n byte) []byte {
	key := make([]byte, 32)
	for i := range key {
		key[i] = n ^ byte(7*i)
	}
	return key
}

func newAEAD(t testing.TB, keyID string, n byte) *envelope.AEAD {
	t.Helper()
	a, err := envelope.NewAEAD(keyID, testKey(n))
	require.NoError(t, err)
	return a
}

// trickyTexts are texts that a careless codec changes, cuts or takes for something else.
func trickyTexts() []string {
	return []string{
		"", " ", "\n", "\r\n", "a\r\nb\r\n", "\x00", "a\x00b\x00", "\ufeffwith a byte order mark", "\u2028\u2029", "\uffff\U0010ffff",
		"👍", "👩‍👩‍👧‍👦 🇮🇸 e\u0301 é", "مرحبا بالعالم", "𝒳𝒴𝒵", "null", `{"ct":"x"}`, `"quoted"`, "<p>hi</p> &amp;", "%41 + %2B", `\u0041`,
		"exactly sixteen.", "exactly sixteen.exactly sixteen.", "ends with padding\x01", "\x10\x10\x10\x10\x10\x10\x10\x10\x10\x10\x10\x10\x10\x10\x10\x10",
		"Salted__", "Salted__abcdefgh", "U2FsdGVkX1", "U2FsdGVkX1 is the prefix", "U2FsdGVkX18BAgMEBQYHCPrGgxVGNWwEPfj39z0S7e0=",
		"flsealed:", "flsealed:1:", "flsealed:1:k1:", "flsealed: yes", "flsealed:1:k1:" + strings.Repeat("A", 38), "flsealed:2:k1:" + strings.Repeat("A", 38),
	}
}

// randomText is up to n characters of many scripts, of one to four bytes each, controls included.
func randomText(r *rand.Rand, n int) string {
	ranges := [][2]rune{{0, 0x7f}, {0x20, 0x7e}, {0x80, 0x7ff}, {0x600, 0x6ff}, {0x4e00, 0x9fff}, {0xe000, 0xffff}, {0x1f300, 0x1faff}, {0x10000, 0x10ffff}}
	var text strings.Builder
	for range r.IntN(n + 1) {
		in := ranges[r.IntN(len(ranges))]
		text.WriteRune(in[0] + r.Int32N(in[1]-in[0]+1))
	}
	return text.String()
}

// manyTexts are count texts: the tricky ones, one of 20,000 characters, and random ones, the same in every run.
func manyTexts(count int) []string {
	r := rand.New(rand.NewPCG(1, 2))
	texts := append(trickyTexts(), strings.Repeat("long 🐪 ", 2500))
	for len(texts) < count {
		texts = append(texts, randomText(r, 300))
	}
	return texts[:count]
}
