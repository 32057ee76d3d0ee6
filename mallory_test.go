package chat_test

import (
	"encoding/base64"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// mallory changes a body in the passphrase format without its key. Flipping bits
// of one block of CBC flips the same bits of the text in the next, and garbles the
// text of the block itself. Where that is no UTF-8 it would be noticed, so she also
// flips bits that do not matter to her, at the columns scratch of the next block,
// until a reader accepts it: about ten thousand tries.
func mallory(t testing.TB, stored string, block int, flip map[int]byte, scratch []int, accepted func(string) bool) string {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(stored)
	require.NoError(t, err)
	const header, size = 16, 16
	at := header + block*size
	for column, bits := range flip {
		raw[at+column] ^= bits
	}
	rng := rand.New(rand.NewPCG(1, 2))
	original := append([]byte(nil), raw...)
	for range 1 << 20 {
		for _, column := range scratch {
			// The low four bits leave letters of the text letters.
			raw[at+column] = original[at+column] ^ byte(rng.UintN(16))
		}
		if text := base64.StdEncoding.EncodeToString(raw); accepted(text) {
			return text
		}
	}
	require.FailNow(t, "no reader accepted the change")
	return ""
}
