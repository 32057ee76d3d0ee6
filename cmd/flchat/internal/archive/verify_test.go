package archive_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/cmd/flchat/internal/archive"
)

// trials is how often something is tried: a number of the environment, or the everyday one.
func trials(t testing.TB, name string, everyday int) int {
	if v := os.Getenv(name); v != "" {
		n, err := strconv.Atoi(v)
		require.NoError(t, err, name)
		return n
	}
	if race {
		return max(3, everyday/10)
	}
	return everyday
}

// scaled is how much of something a test has: less under the race detector.
func scaled(n int) int {
	if race {
		return max(1, n/8)
	}
	return n
}

// content is everything that can be read from an archive.
func content(t testing.TB, path string) (string, error) {
	a, err := archive.Open(t.Context(), path)
	if err != nil {
		return "", err
	}
	defer a.Close()
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	people, err := a.Contacts(t.Context())
	if err != nil {
		return "", err
	}
	require.NoError(t, e.Encode(people))
	talks, err := a.Conversations(t.Context())
	if err != nil {
		return "", err
	}
	for _, c := range talks {
		require.NoError(t, e.Encode(c))
		for m, err := range a.Messages(t.Context(), c.ID) {
			if err != nil {
				return "", err
			}
			for _, v := range m.Versions {
				v.Seq = 0 // the order between conversations may be another one
				require.NoError(t, e.Encode(v))
			}
			for _, f := range m.Files {
				sum := sha256.New()
				if f.SHA256 != "" {
					if err := a.WriteFile(t.Context(), f.SHA256, sum); err != nil {
						return "", err
					}
				}
				require.NoError(t, e.Encode(f))
				out.WriteString(hex.EncodeToString(sum.Sum(nil)) + "\n")
			}
		}
	}
	seal, err := a.Seal(t.Context())
	return out.String() + seal, err
}

// flip changes a byte of a file to another one.
func flip(t testing.TB, raw []byte, to string, at int, other byte) {
	t.Helper()
	changed := bytes.Clone(raw)
	changed[at] ^= other
	require.NoError(t, os.WriteFile(to, changed, 0o600))
}

func TestVerifyFindsTheOneByteOfAMessageThatWasChanged(t *testing.T) {
	path, conv, rows := talked(t)
	damaged := file(t)
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	r := rand.New(rand.NewPCG(1, 2))
	for range trials(t, "FLCHAT_FLIPS", 40) {
		n := r.IntN(len(rows))
		body := fmt.Sprintf("Talk: message number %d of the talk", n)
		offset, other := r.IntN(len(body)), byte(1+r.IntN(255))
		seen := 0
		// Pages keep copies of what was moved to others, which nobody reads.
		for start := range places(raw, body) {
			flip(t, raw, damaged, start+offset, other)
			found := verify(t, damaged)
			if len(found.Damage) == 0 {
				continue
			}
			seen++
			require.Len(t, found.Damage, 1, "byte %d of message %d", offset, rows[n])
			d := found.Damage[0]
			assert.Equal(t, archive.Damage{What: d.What, Chain: conv, Message: rows[n], Seq: d.Seq, Column: "body", Offset: offset}, d)
			assert.Contains(t, d.What, fmt.Sprintf("message %d of conversation %d", rows[n], conv))
			assert.Contains(t, d.What, fmt.Sprintf("is 0x%02x and was 0x%02x", body[offset]^other, body[offset]))
		}
		require.Equal(t, 1, seen, "byte %d of message %d", offset, rows[n])
	}
	t.Run("and without the comparison it does not", func(t *testing.T) {
		archive.Unhashed(true)
		defer archive.Unhashed(false)
		for start := range places(raw, "Talk: message number 7 of") {
			flip(t, raw, damaged, start, 1)
			assert.Empty(t, verify(t, damaged).Damage)
		}
	})
}

// places yields where a text is.
func places(raw []byte, text string) iter.Seq[int] {
	return func(yield func(int) bool) {
		for from := 0; ; {
			at := bytes.Index(raw[from:], []byte(text))
			if at < 0 || !yield(from+at) {
				return
			}
			from += at + 1
		}
	}
}

// talked is an archive of one conversation.
func talked(t *testing.T) (path string, conv int64, rows []int64) {
	w := newWorld(t)
	conv, rows = w.talk("Talk", 2*scaled(150))
	w.story()
	path = file(t)
	w.export(path)
	return path, conv, rows
}

func verify(t testing.TB, path string) *archive.Verified {
	t.Helper()
	a, err := archive.Open(t.Context(), path)
	require.NoError(t, err)
	defer a.Close()
	found, err := a.Verify(t.Context())
	require.NoError(t, err)
	return found
}

// Whatever byte of the file is changed: it is noticed, or everything reads as before.
func TestNoChangedByteOfTheFileGoesUnnoticed(t *testing.T) {
	path, _, _ := talked(t)
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	want, err := content(t, path)
	require.NoError(t, err)
	require.Empty(t, verify(t, path).Damage)
	damaged := file(t)
	r := rand.New(rand.NewPCG(3, 4))
	noticed, harmless := 0, 0
	for range trials(t, "FLCHAT_FLIPS", 60) {
		at, other := r.IntN(len(raw)), byte(1+r.IntN(255))
		flip(t, raw, damaged, at, other)
		a, err := archive.Open(t.Context(), damaged)
		if err != nil {
			var usage *archive.UsageError
			require.ErrorAs(t, err, &usage, "byte %d", at)
			noticed++
			continue
		}
		found, err := a.Verify(t.Context())
		require.NoError(t, a.Close())
		if err != nil || len(found.Damage) > 0 {
			noticed++
			continue
		}
		got, err := content(t, damaged)
		require.NoError(t, err, "byte %d ^ %d", at, other)
		require.Empty(t, unlike(want, got), "byte %d ^ %d", at, other)
		harmless++
	}
	t.Logf("%d bytes of %d: %d noticed, %d change nothing that can be read", noticed+harmless, len(raw), noticed, harmless)
	assert.Positive(t, noticed)
}

func TestVerifyNoticesRecordsThatAreMissing(t *testing.T) {
	path, conv, rows := talked(t)
	for name, statement := range map[string]string{
		"the last one":   fmt.Sprintf(`DELETE FROM records WHERE seq = (SELECT max(seq) FROM records WHERE chain = %d)`, conv),
		"one in between": fmt.Sprintf(`DELETE FROM records WHERE item = %d AND kind = 'new'`, rows[30]),
		"all of them":    fmt.Sprintf(`DELETE FROM records WHERE chain = %d`, conv),
		"an end":         fmt.Sprintf(`DELETE FROM heads WHERE chain = %d`, conv),
		"a file":         `DELETE FROM blobs`,
		"another place":  fmt.Sprintf(`UPDATE records SET chain = chain + 1 WHERE item = %d AND kind = 'new'`, rows[30]),
	} {
		t.Run(name, func(t *testing.T) {
			changed := file(t)
			raw, err := os.ReadFile(path)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(changed, raw, 0o600))
			execute(t, changed, statement)
			found := verify(t, changed)
			require.NotEmpty(t, found.Damage)
			t.Log(found.Damage[0].What)
			assert.LessOrEqual(t, len(found.Damage), 2)
		})
	}
}

func TestVerifyFindsNothingInAnArchiveThatIsBeingWritten(t *testing.T) {
	t.Parallel()
	w, _, _ := busy(t, scaled(8000))
	path := file(t)
	w.export(path)
	w.talk("Later", scaled(4000))
	ended := make(chan error, 1)
	go func() {
		_, err := archive.Export(t.Context(), w.options(path))
		ended <- err
	}()
	for n := 0; ; n++ {
		require.Empty(t, verify(t, path).Damage)
		select {
		case err := <-ended:
			require.NoError(t, err)
			t.Logf("verified %d times meanwhile", n)
			return
		default:
		}
	}
}
