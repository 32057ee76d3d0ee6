package envelope_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"runtime"
	"testing"
	"testing/iotest"

	"github.com/fliplet/fliplet-chat-go/internal/envelope"
	"github.com/fliplet/fliplet-chat-go/internal/longtest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	chunk       = 64 << 10
	sealedChunk = chunk + 16
	fileHeader  = 15
)

var here = envelope.FileBinding{ConversationID: 777, GUID: "0b8f3f7e", Index: 1}

// content is n bytes of which no two chunks are the same.
func content(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>8*13 + i>>16)
	}
	return b
}

func sealFile(t testing.TB, key []byte, b envelope.FileBinding, plain []byte) []byte {
	t.Helper()
	s, err := envelope.SealFile(key, b, bytes.NewReader(plain))
	require.NoError(t, err)
	sealed, err := io.ReadAll(s)
	require.NoError(t, err)
	return sealed
}

// openFile returns what was written on, and the error of a Write or else of Close.
func openFile(t testing.TB, key []byte, b envelope.FileBinding, sealed []byte, by int) ([]byte, error) {
	t.Helper()
	var got bytes.Buffer
	o, err := envelope.OpenFile(key, b, &got)
	require.NoError(t, err)
	for len(sealed) > 0 && err == nil {
		n := min(by, len(sealed))
		_, err = o.Write(sealed[:n])
		sealed = sealed[n:]
	}
	if err == nil {
		err = o.Close()
	} else {
		require.ErrorIs(t, o.Close(), err, "a failure stays")
	}
	require.EqualValues(t, got.Len(), o.Written())
	return got.Bytes(), err
}

func TestAFileOfAnySizeComesBack(t *testing.T) {
	t.Parallel()
	key := envelope.NewFileKey()
	for _, n := range []int{0, 1, 15, 16, chunk - 1, chunk, chunk + 1, 2*chunk - 1, 2 * chunk, 2*chunk + 1, 5*chunk + 17} {
		plain := content(n)
		for _, r := range []io.Reader{bytes.NewReader(plain), iotest.OneByteReader(bytes.NewReader(plain)), iotest.DataErrReader(bytes.NewReader(plain))} {
			s, err := envelope.SealFile(key, here, r)
			require.NoError(t, err)
			sealed, err := io.ReadAll(iotest.HalfReader(s))
			require.NoError(t, err)
			assert.EqualValues(t, envelope.SealedFileSize(int64(n)), len(sealed), n)
			assert.EqualValues(t, n, envelope.FileSize(int64(len(sealed))), n)
			for _, by := range []int{1 << 20, 1000, sealedChunk, sealedChunk + 1} {
				got, err := openFile(t, key, here, sealed, by)
				require.NoError(t, err, n)
				require.True(t, bytes.Equal(plain, got), n)
			}
		}
	}
	for n := range int64(fileHeader + 20) {
		assert.GreaterOrEqual(t, envelope.FileSize(n), int64(0))
	}
}

// The format, written down a second time.
func TestASealedFileHasTheDocumentedForm(t *testing.T) {
	t.Parallel()
	key, plain := testKey(1), content(chunk+5)
	prefix := [7]byte{1, 2, 3, 4, 5, 6, 7}
	s, err := envelope.SealFileWithPrefix(key, here, bytes.NewReader(plain), prefix)
	require.NoError(t, err)
	got, err := io.ReadAll(s)
	require.NoError(t, err)

	block, err := aes.NewCipher(key)
	require.NoError(t, err)
	gcm, err := cipher.NewGCM(block)
	require.NoError(t, err)
	number := func(n uint64) string { return string(binary.BigEndian.AppendUint64(nil, n)) }
	ad := []byte(number(8) + "flfile:1" + number(777) + number(8) + "0b8f3f7e" + number(1))
	want := append([]byte("flfile:1"), prefix[:]...)
	want = gcm.Seal(want, append(prefix[:], 0, 0, 0, 0, 0), plain[:chunk], ad)
	want = gcm.Seal(want, append(prefix[:], 0, 0, 0, 1, 1), plain[chunk:], ad)
	assert.True(t, bytes.Equal(want, got))
}

func TestVectorsOfSealedFiles(t *testing.T) {
	t.Parallel()
	var vectors []struct {
		KeyHex, PrefixHex, GUID, SealedSHA256 string
		ConversationID                        int64
		Index, Size                           int
	}
	readJSON(t, "testdata/file1.json", &vectors)
	require.NotEmpty(t, vectors)
	for _, v := range vectors {
		at := envelope.FileBinding{ConversationID: v.ConversationID, GUID: v.GUID, Index: v.Index}
		s, err := envelope.SealFileWithPrefix(unhex(t, v.KeyHex), at, bytes.NewReader(content(v.Size)), [7]byte(unhex(t, v.PrefixHex)))
		require.NoError(t, err)
		sum := sha256.New()
		_, err = io.Copy(sum, s)
		require.NoError(t, err)
		assert.Equal(t, v.SealedSHA256, hex.EncodeToString(sum.Sum(nil)), fmt.Sprint(v.Size))
	}
}

func TestAnyChangeToASealedFileIsNoticedBeforeItIsPassedOn(t *testing.T) {
	t.Parallel()
	key, plain := testKey(1), content(3*chunk)
	sealed := sealFile(t, key, here, plain)
	other := sealFile(t, key, here, plain)
	at := func(i int) int { return fileHeader + i*sealedChunk }
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	c := func(i int) []byte { return sealed[at(i):at(i+1)] }
	flip := func(i int) []byte {
		changed := bytes.Clone(sealed)
		changed[i] ^= 1
		return changed
	}
	for name, bad := range map[string][]byte{
		"empty":                      {},
		"half a header":              sealed[:7],
		"a header":                   sealed[:fileHeader],
		"cut inside a chunk":         sealed[:at(1)+100],
		"cut at a chunk":             sealed[:at(2)],
		"cut to one chunk":           sealed[:at(1)],
		"cut by a byte":              sealed[:len(sealed)-1],
		"longer by a byte":           join(sealed, []byte{0}),
		"longer by a chunk":          join(sealed, c(2)),
		"longer by an earlier chunk": join(sealed, c(0)),
		"swapped":                    join(sealed[:fileHeader], c(1), c(0), c(2)),
		"doubled":                    join(sealed[:fileHeader], c(0), c(0), c(1), c(2)),
		"left out":                   join(sealed[:fileHeader], c(0), c(2)),
		"of another sealing":         join(sealed[:at(1)], other[at(1):]),
		"another nonce":              flip(10),
		"another version":            flip(7),
		"a bit of the first chunk":   flip(at(0)),
		"a bit of the second chunk":  flip(at(1) + 77),
		"a bit of the last tag":      flip(len(sealed) - 1),
		"plain":                      plain,
	} {
		got, err := openFile(t, key, here, bad, 4096)
		require.ErrorIs(t, err, envelope.ErrAuth, name)
		require.Less(t, len(got), len(plain), name)
		require.True(t, bytes.HasPrefix(plain, got), "%s: what was passed on was verified", name)
	}
	for name, b := range map[string]envelope.FileBinding{
		"conversation": {ConversationID: 778, GUID: here.GUID, Index: here.Index},
		"message":      {ConversationID: here.ConversationID, GUID: here.GUID + "x", Index: here.Index},
		"no message":   {ConversationID: here.ConversationID, Index: here.Index},
		"index":        {ConversationID: here.ConversationID, GUID: here.GUID, Index: 0},
	} {
		got, err := openFile(t, key, b, sealed, 1<<20)
		require.ErrorIs(t, err, envelope.ErrAuth, name)
		assert.Empty(t, got, name)
	}
	got, err := openFile(t, testKey(2), here, sealed, 1<<20)
	require.ErrorIs(t, err, envelope.ErrAuth)
	assert.Empty(t, got)
}

func TestASealedFilePassesOnWhatItsReaderAndWriterFailWith(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	s, err := envelope.SealFile(testKey(1), here, io.MultiReader(bytes.NewReader(content(chunk+1)), iotest.ErrReader(broken)))
	require.NoError(t, err)
	sealed, err := io.ReadAll(s)
	require.ErrorIs(t, err, broken)
	_, err = openFile(t, testKey(1), here, sealed, 1<<20)
	require.ErrorIs(t, err, envelope.ErrAuth, "half a file is none")

	o, err := envelope.OpenFile(testKey(1), here, writerFunc(func([]byte) (int, error) { return 0, broken }))
	require.NoError(t, err)
	_, err = o.Write(sealFile(t, testKey(1), here, content(3*chunk)))
	require.ErrorIs(t, err, broken)
	require.ErrorIs(t, o.Close(), broken)

	for _, key := range [][]byte{nil, make([]byte, 31)} {
		_, err = envelope.SealFile(key, here, nil)
		require.Equal(t, envelope.KindBadKey, kindOf(err))
		_, err = envelope.OpenFile(key, here, nil)
		require.Equal(t, envelope.KindBadKey, kindOf(err))
	}
	for _, b := range []envelope.FileBinding{{GUID: "x"}, {ConversationID: 1, Index: -1}} {
		_, err = envelope.SealFile(testKey(1), b, nil)
		require.Equal(t, envelope.KindBadBinding, kindOf(err))
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// Sealing and opening need the same memory for a large file as for a small one.
func TestALargeFileNeedsNoMoreMemory(t *testing.T) {
	size := int64(longtest.Size(4, 64)) << 20
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	s, err := envelope.SealFile(testKey(1), here, io.LimitReader(zeros{}, size))
	require.NoError(t, err)
	o, err := envelope.OpenFile(testKey(1), here, io.Discard)
	require.NoError(t, err)
	n, err := io.Copy(o, s)
	require.NoError(t, err)
	require.EqualValues(t, envelope.SealedFileSize(size), n)
	require.NoError(t, o.Close())
	runtime.ReadMemStats(&after)
	assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20))
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// FuzzFile opens anything, and changes one byte of what it sealed.
func FuzzFile(f *testing.F) {
	f.Add([]byte("plain"), []byte("flfile:1"), uint32(3))
	f.Add(content(chunk+1), sealFile(f, testKey(1), here, nil), uint32(70000))
	f.Fuzz(func(t *testing.T, plain, stored []byte, where uint32) {
		sealed := sealFile(t, testKey(1), here, plain)
		got, err := openFile(t, testKey(1), here, sealed, 1+int(where%100_000))
		require.NoError(t, err)
		require.True(t, bytes.Equal(plain, got))
		sealed[int(where)%len(sealed)] ^= 1 | byte(where>>8)
		got, err = openFile(t, testKey(1), here, sealed, 1+int(where%100_000))
		require.ErrorIs(t, err, envelope.ErrAuth)
		require.True(t, bytes.HasPrefix(plain, got))
		got, err = openFile(t, testKey(9), here, stored, 1000)
		require.ErrorIs(t, err, envelope.ErrAuth)
		require.Empty(t, got)
	})
}
