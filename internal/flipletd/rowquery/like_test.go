package rowquery_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd/rowquery"
)

// matchLike puts a pattern through a filter on data.s.
func matchLike(t testing.TB, text, operator, pattern string) (bool, error) {
	t.Helper()
	f, err := rowquery.Compile(map[string]any{"data": map[string]any{"s": map[string]any{operator: pattern}}})
	require.NoError(t, err)
	return f.Match(&rowquery.Row{Data: map[string]any{"s": text}})
}

func TestLike(t *testing.T) {
	t.Parallel()
	tests := []struct {
		text, operator, pattern string
		want                    bool
	}{
		{"hello", "$like", "hello", true},
		{"hello", "$like", "hell", false},
		{"hello", "$like", "ello", false},
		{"hello", "$like", "Hello", false},
		{"hello", "$iLike", "HELLO", true},
		{"", "$like", "", true},
		{"", "$like", "%", true},
		{"", "$like", "_", false},
		{"x", "$like", "", false},
		{"hello", "$like", "h%o", true},
		{"ho", "$like", "h%o", true},
		{"h", "$like", "h%h", false}, // the ends may not share a character
		{"abab", "$like", "%ab%ab", true},
		{"aab", "$like", "%ab%ab", false},
		{"hello", "$like", "%l%l%", true},
		{"hello", "$like", "%l%l%l%", false},
		{"hello", "$like", "_____", true},
		{"hello", "$like", "______", false},
		{"a👍b", "$like", "a_b", true}, // _ is a character, not a byte
		{"100%", "$like", `100\%`, true},
		{"1000", "$like", `100\%`, false},
		{"a_b", "$like", `%\_%`, true},
		{"axb", "$like", `%\_%`, false},
		{`a\b`, "$like", `a\\b`, true},
		{"abc", "$like", `\a\b\c`, true},
		{"ÉCOLE 12", "$iLike", "é%\\1_", true},
		{"İ", "$iLike", "i", true},
		{"ß", "$iLike", "SS", false}, // one character stays one
		{"line\nbreak", "$like", "line%break", true},
		{"xabcabd", "$like", "%ab_abd%", true},
		{"xabcabd", "$notLike", "%abd%", false},
		{"xabcabd", "$notILike", "%ABE%", true},
		{"\xff\xfe", "$like", "__", true},
	}
	for _, test := range tests {
		got, err := matchLike(t, test.text, test.operator, test.pattern)
		require.NoError(t, err)
		assert.Equal(t, test.want, got, "%q %s %q", test.text, test.operator, test.pattern)
	}
}

func TestALonePatternEscapeFailsOnlyWhenItIsReached(t *testing.T) {
	t.Parallel()
	_, err := matchLike(t, "abc", "$like", `ab\`)
	require.Error(t, err)
	for _, text := range []string{"xbc", "ab"} {
		matched, err := matchLike(t, text, "$like", `ab\`)
		require.NoError(t, err)
		assert.False(t, matched)
	}
}

// likeByDefinition tries every way for each %, as the words of the
// documentation go.
func likeByDefinition(text, pattern []rune, fold bool) bool {
	same := func(a, b rune) bool { return a == b || fold && unicode.ToLower(a) == unicode.ToLower(b) }
	if len(pattern) == 0 {
		return len(text) == 0
	}
	switch c := pattern[0]; {
	case c == '%':
		for i := range len(text) + 1 {
			if likeByDefinition(text[i:], pattern[1:], fold) {
				return true
			}
		}
		return false
	case c == '_':
		return len(text) > 0 && likeByDefinition(text[1:], pattern[1:], fold)
	case c == '\\':
		return len(text) > 0 && same(text[0], pattern[1]) && likeByDefinition(text[1:], pattern[2:], fold)
	default:
		return len(text) > 0 && same(text[0], c) && likeByDefinition(text[1:], pattern[1:], fold)
	}
}

func TestLikeAgreesWithItsDefinition(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	word := func(most int, of ...string) string {
		var b strings.Builder
		for range random.IntN(most + 1) {
			b.WriteString(of[random.IntN(len(of))])
		}
		return b.String()
	}
	matches := 0
	for range 6000 {
		text := word(10, "a", "b", "A", "é", "É", "%", "_", `\`, "👍")
		pattern := word(7, "a", "b", "B", "É", "_", "_", "%", "%", "%", `\%`, `\_`, `\\`, `\a`)
		for operator, fold := range map[string]bool{"$like": false, "$iLike": true} {
			got, err := matchLike(t, text, operator, pattern)
			require.NoError(t, err)
			require.Equal(t, likeByDefinition([]rune(text), []rune(pattern), fold), got, "%q %s %q", text, operator, pattern)
			if got {
				matches++
			}
		}
	}
	assert.Greater(t, matches, 500, "the words are too far apart to prove anything")
}

func TestLikeFindsPiecesOfAnyLength(t *testing.T) {
	t.Parallel()
	for _, length := range []int{2, 63, 64, 65, 128, 255, 256, 257, 1000, 4096} {
		piece := strings.Repeat("ab", length)[:length-1] + "c"
		wild := "_" + piece[1:]
		text := strings.Repeat("ab", 3000) + piece + "xyz"
		for _, pattern := range []string{"%" + piece + "%", "%" + wild + "%", "a%" + piece + "%_y%z"} {
			got, err := matchLike(t, text, "$like", pattern)
			require.NoError(t, err)
			assert.True(t, got, "length %d", length)
			got, err = matchLike(t, strings.ReplaceAll(text, "c", "d"), "$like", pattern)
			require.NoError(t, err)
			assert.False(t, got, "length %d", length)
		}
	}
}

// A matcher that backtracks takes longer than anybody would wait for these.
func TestLikeTakesLinearTime(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("a", 200_000)
	for _, pattern := range []string{
		strings.Repeat("%a", 2000) + "%b",
		"%" + strings.Repeat("a", 2000) + "b%",
		"%" + strings.Repeat("a_", 1000) + "b%",
		strings.Repeat("%_a_", 500) + "b%",
		strings.Repeat("%", 100_000) + "b",
		strings.Repeat("_%", 50_000) + "b",
	} {
		for _, operator := range []string{"$like", "$iLike"} {
			matched, err := matchLike(t, text, operator, pattern)
			require.NoError(t, err)
			assert.False(t, matched)
		}
	}
}
