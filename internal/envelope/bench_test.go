package envelope_test

import (
	"crypto/aes"
	"crypto/cipher"
	"strings"
	"testing"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/envelope"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var body120 = strings.Repeat("twelve bytes", 10)

// besideBare runs ours and bare in turns of 256, reports ours as ns/op, and how it compares: times-bare is the ratio,
// ns-over-bare the difference per operation. Taking turns lets a busy machine slow both alike.
func besideBare(b *testing.B, ours, bare func()) {
	b.Helper()
	const turn = 256
	var oursTook, bareTook time.Duration
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		ours()
		if n++; n%turn == 0 {
			b.StopTimer()
			start := time.Now()
			for range turn {
				bare()
			}
			bareTook += time.Since(start)
			start = time.Now()
			for range turn {
				ours()
			}
			oursTook += time.Since(start)
			b.StartTimer()
		}
	}
	if turns := n / turn; turns > 0 {
		b.ReportMetric(float64(oursTook)/float64(bareTook), "times-bare")
		b.ReportMetric(float64(oursTook-bareTook)/float64(turns*turn), "ns-over-bare")
	}
}

// bareGCM is the standard library's AEAD with the key prepared, and the associated data of place ready made.
func bareGCM(b *testing.B) (gcm cipher.AEAD, ad []byte) {
	b.Helper()
	block, err := aes.NewCipher(testKey(1))
	require.NoError(b, err)
	gcm, err = cipher.NewGCMWithRandomNonce(block)
	require.NoError(b, err)
	return gcm, make([]byte, 8+10+8+2+8+8+len(place.GUID))
}

func BenchmarkSeal(b *testing.B) {
	a := newAEAD(b, "k1", 1)
	gcm, ad := bareGCM(b)
	plaintext := []byte(body120)
	dst := make([]byte, 0, 12+len(plaintext)+16)
	besideBare(b,
		func() {
			if _, err := a.Seal(body120, place); err != nil {
				b.Fatal(err)
			}
		},
		func() { dst = gcm.Seal(dst[:0], nil, plaintext, ad) })
}

func BenchmarkOpen(b *testing.B) {
	a := newAEAD(b, "k1", 1)
	stored, err := a.Seal(body120, place)
	require.NoError(b, err)
	gcm, ad := bareGCM(b)
	sealed := gcm.Seal(nil, nil, []byte(body120), ad)
	dst := make([]byte, 0, len(sealed))
	besideBare(b,
		func() {
			if _, err := a.Open(stored, place); err != nil {
				b.Fatal(err)
			}
		},
		func() {
			if _, err := gcm.Open(dst[:0], nil, sealed, ad); err != nil {
				b.Fatal(err)
			}
		})
}

func BenchmarkKeyID(b *testing.B) {
	stored, err := newAEAD(b, "2024-05.main", 1).Seal(body120, place)
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := envelope.KeyID(stored); !ok {
			b.Fatal("no key id")
		}
	}
}

func BenchmarkOpenPassphrase(b *testing.B) {
	stored, err := envelope.SealPassphrase(body120, "3581e5305707b61fb3931346b5826e5c")
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := envelope.OpenPassphrase(stored, "3581e5305707b61fb3931346b5826e5c"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSealPassphrase(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := envelope.SealPassphrase(body120, "3581e5305707b61fb3931346b5826e5c"); err != nil {
			b.Fatal(err)
		}
	}
}

// Not parallel: testing.AllocsPerRun counts what the whole program allocates.
func TestSealAndOpenAllocateLittle(t *testing.T) {
	a := newAEAD(t, "k1", 1)
	stored, err := a.Seal(body120, place)
	require.NoError(t, err)
	assert.LessOrEqual(t, testing.AllocsPerRun(1000, func() { _, _ = a.Seal(body120, place) }), 3.0, "Seal")
	assert.LessOrEqual(t, testing.AllocsPerRun(1000, func() { _, _ = a.Open(stored, place) }), 3.0, "Open")
}
