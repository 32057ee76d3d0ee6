package jsregexp_test

import (
	"bufio"
	"encoding/json"
	"math/rand/v2"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd/sift/jsregexp"
)

// TestAgreesWithNode compares with answers that Node 20 gave.
func TestAgreesWithNode(t *testing.T) {
	t.Parallel()
	file, err := os.Open("testdata/javascript.jsonl")
	require.NoError(t, err)
	defer file.Close()
	patterns := 0
	for lines := bufio.NewScanner(file); lines.Scan(); patterns++ {
		var c struct {
			Pattern, Flags  string
			Matches, Misses []string
			Error           bool
		}
		require.NoError(t, json.Unmarshal(lines.Bytes(), &c))
		re, err := jsregexp.Compile(c.Pattern, c.Flags)
		if c.Error {
			var syntax *jsregexp.SyntaxError
			assert.ErrorAs(t, err, &syntax, "/%s/%s", c.Pattern, c.Flags)
			continue
		}
		if !assert.NoError(t, err, "/%s/%s", c.Pattern, c.Flags) {
			continue
		}
		for _, text := range c.Matches {
			assert.True(t, match(t, re, text), "/%s/%s on %q", c.Pattern, c.Flags, text)
		}
		for _, text := range c.Misses {
			assert.False(t, match(t, re, text), "/%s/%s on %q", c.Pattern, c.Flags, text)
		}
	}
	assert.Greater(t, patterns, 150)
}

func match(t *testing.T, re *jsregexp.Regexp, text string) bool {
	t.Helper()
	matched, err := re.MatchString(text)
	require.NoError(t, err, "on %q", text)
	return matched
}

func TestSyntaxErrorsSayWhatIsWrong(t *testing.T) {
	t.Parallel()
	for pattern, reason := range map[string]string{
		"(":              "/(/: Unterminated group",
		"*a":             "/*a/: Nothing to repeat",
		")":              "/)/: Unmatched ')'",
		"[z-a]":          "/[z-a]/: Range out of order in character class",
		"a{2,1}":         "/a{2,1}/: numbers out of order in {} quantifier",
		`(?<n>a)(?<n>b)`: "Duplicate capture group name",
		`(?<n>a)\k<m>`:   "Invalid named capture referenced",
		`\`:              `\ at end of pattern`,
		"(?a)":           "Invalid group",
		"[a":             "Unterminated character class",
		"(?<1>a)":        "Invalid capture group name",
	} {
		_, err := jsregexp.Compile(pattern, "")
		assert.ErrorContains(t, err, "Invalid regular expression: ", pattern)
		assert.ErrorContains(t, err, reason, pattern)
	}
	_, err := jsregexp.Compile("a", "q")
	assert.EqualError(t, err, "Invalid flags supplied to RegExp constructor 'q'")
	_, err = jsregexp.Compile("a", "v")
	assert.ErrorContains(t, err, "not supported")
	_, err = jsregexp.Compile(`\p{Emoji}`, "u")
	assert.ErrorContains(t, err, "no table")
}

func TestHugePatternsAreRefused(t *testing.T) {
	t.Parallel()
	for name, pattern := range map[string]string{
		"repeated":         "a{100000}",
		"repeated twice":   "(?:a{1000}){1000}",
		"optional":         "a{0,100000}",
		"long":             strings.Repeat("ab|", 20_000),
		"deep":             strings.Repeat("(", 300) + strings.Repeat(")", 300),
		"deep look-around": strings.Repeat("(?=", 300) + strings.Repeat(")", 300),
		"unclosed":         strings.Repeat("(?:", 100_000),
	} {
		_, err := jsregexp.Compile(pattern, "")
		assert.ErrorIs(t, err, jsregexp.ErrTooLarge, name)
	}
	re, err := jsregexp.Compile("(?:(?:){1000000}){1000000}$", "")
	require.NoError(t, err, "repeating nothing costs nothing")
	assert.True(t, match(t, re, "x"))
}

func TestExponentialPatternsEnd(t *testing.T) {
	t.Parallel()
	as := strings.Repeat("a", 10_000)
	for _, pattern := range []string{"(a+)+b", "(a*)*b", "(a|a)*b", "(.*)*x", "(a?){50}b", ".*.*.*x",
		"(?=(a+)+b)", "(?<!(a+)+b)b", "(?!(?=.*x).)b"} {
		re, err := jsregexp.Compile(pattern, "")
		require.NoError(t, err)
		assert.False(t, match(t, re, as), "%s is linear", pattern)
	}
	re, err := jsregexp.Compile(`(a+)+\1b`, "")
	require.NoError(t, err)
	_, err = re.MatchString(as)
	require.ErrorIs(t, err, jsregexp.ErrTooSlow)
	assert.True(t, match(t, re, "aab"), "it is itself again on the next text")
}

func TestOneRegexpServesManyAtOnce(t *testing.T) {
	t.Parallel()
	re, err := jsregexp.Compile(`^(\w)(?=.*\1$)[a-z]*\1$`, "i")
	require.NoError(t, err)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				matched, err := re.MatchString("xanadux")
				assert.True(t, matched && err == nil)
				matched, err = re.MatchString("xanaduy")
				assert.False(t, matched || err != nil)
			}
		})
	}
	wg.Wait()
}

// randomPattern builds patterns in the part of the language that both engines
// read alike.
func randomPattern(r *rand.Rand, depth int) string {
	switch n := r.IntN(10); {
	case depth == 0 || n < 4:
		return []string{"a", "b", "c", "[ab]", "[^a]", ".", "^", "$", `\b`, `\w`}[r.IntN(10)]
	case n < 6:
		return randomPattern(r, depth-1) + randomPattern(r, depth-1)
	case n < 7:
		return randomPattern(r, depth-1) + "|" + randomPattern(r, depth-1)
	}
	return "(?:" + randomPattern(r, depth-1) + ")" + []string{"*", "+", "?", "{2}", "{0,2}", "*?"}[r.IntN(6)]
}

func randomText(r *rand.Rand) string {
	var b strings.Builder
	for range r.IntN(8) {
		b.WriteString([]string{"a", "b", "c", " "}[r.IntN(4)])
	}
	return b.String()
}

func TestPlainPatternsAgreeWithTheStandardLibrary(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		pattern := randomPattern(r, 4)
		re, err := jsregexp.Compile(pattern, "")
		require.NoError(t, err, pattern)
		std := regexp.MustCompile(pattern)
		for range 4 {
			text := randomText(r)
			assert.Equal(t, std.MatchString(text), match(t, re, text), "/%s/ on %q", pattern, text)
		}
	}
}

func TestAllWaysOfRunningAPatternAgree(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		pattern := randomPattern(r, 4)
		plain, err := jsregexp.Compile(pattern, "")
		require.NoError(t, err, pattern)
		variants := map[string]*jsregexp.Regexp{}
		for name, variant := range map[string]string{
			"look-ahead":            "(?=" + pattern + ")",
			"negated twice":         "(?!(?!" + pattern + "))",
			"look-behind":           "(?<=" + pattern + ")",
			"with a back-reference": "(?:" + pattern + `)|()[]\1`,
		} {
			variants[name], err = jsregexp.Compile(variant, "")
			require.NoError(t, err, variant)
		}
		for range 3 {
			text := randomText(r)
			want := match(t, plain, text)
			for name, re := range variants {
				assert.Equal(t, want, match(t, re, text), "/%s/ as %s on %q", pattern, name, text)
			}
		}
	}
}
