package main

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
)

func TestWrapBreaksBetweenWordsAndNeverInsideACharacter(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text  string
		width int
		want  []string
	}{
		{"", 5, []string{""}},
		{"one two three", 0, []string{"one two three"}},
		{"one two three", 7, []string{"one two", "three"}},
		{"one two three", 8, []string{"one two", "three"}},
		{"one two three", 3, []string{"one", "two", "thr", "ee"}},
		{"a\n\nb", 5, []string{"a", "", "b"}},
		{"  code", 6, []string{"  code"}},
		{"\tx", 9, []string{"    x"}},
		{"终端终端", 4, []string{"终端", "终端"}},
		{"终端终端", 5, []string{"终端", "终端"}},
		{"终", 1, []string{"终"}},
		{"👩‍👩‍👧👩‍👩‍👧", 2, []string{"👩‍👩‍👧", "👩‍👩‍👧"}},
		{"e\u0301e\u0301", 1, []string{"e\u0301", "e\u0301"}},
	} {
		assert.Equal(t, tt.want, wrap(tt.text, tt.width), "%q in %d", tt.text, tt.width)
	}
	assert.Equal(t, "终…", cut("终端终端", 4))
	assert.Equal(t, "abc", cut("abc", 3))
	assert.Equal(t, "ab…", cut("abcd", 3))
}

func FuzzTextOfOthers(f *testing.F) {
	f.Add("a\x1b[2J\u202e\u2028终👩‍👩‍👧e\u0301\xff", 7)
	f.Fuzz(func(t *testing.T, text string, width int) {
		width = 2 + int(uint(width)%200)
		for _, l := range wrap(safe(text), width) {
			assert.LessOrEqual(t, columns(l), width, "%q", l)
			assert.True(t, utf8.ValidString(l))
			assert.False(t, strings.ContainsFunc(l, obeyed), "%q", l)
		}
		assert.LessOrEqual(t, columns(cut(line(text), width)), width)
		assert.NotContains(t, line(text), "\n")
		kept := func(s string) string { return strings.Join(strings.Fields(s), "") }
		assert.Equal(t, kept(safe(text)), kept(strings.Join(wrap(safe(text), width), "")), "nothing is lost but blanks")
		var out strings.Builder
		assert.NoError(t, newPrinter(&out, "json", true).JSON(text))
		assert.False(t, strings.ContainsFunc(strings.TrimSuffix(out.String(), "\n"), obeyed), "%q", out.String())
	})
}

func TestSinceIsAnAgeOrATime(t *testing.T) {
	t.Parallel()
	now, zone := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC), time.FixedZone("here", 3600)
	for text, want := range map[string]time.Time{
		"90s":                  now.Add(-90 * time.Second),
		"1h30m":                now.Add(-90 * time.Minute),
		"7d":                   now.AddDate(0, 0, -7),
		"2026-03-01":           time.Date(2026, 2, 28, 23, 0, 0, 0, time.UTC),
		"2026-03-01 08:30":     time.Date(2026, 3, 1, 7, 30, 0, 0, time.UTC),
		"2026-03-01T08:30:00Z": time.Date(2026, 3, 1, 8, 30, 0, 0, time.UTC),
	} {
		got, err := parseSince(text, now, zone)
		assert.NoError(t, err)
		assert.True(t, want.Equal(got), "%s: %s", text, got)
	}
	for _, text := range []string{"", "d", "-1h", "-7d", "1w", "99999999d", "2026-13-01"} {
		_, err := parseSince(text, now, zone)
		assert.Equal(t, exitUsage, status(err), text)
	}
}
