package sift

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// lower is JavaScript's toLowerCase. It differs from strings.ToLower in two
// letters: a capital sigma that ends a word, and the dotted capital I, which
// becomes two characters.
func lower(s string) string {
	if !strings.ContainsAny(s, "Σİ") {
		return strings.ToLower(s)
	}
	var b strings.Builder
	b.Grow(len(s))
	for i, r := range s {
		switch r {
		case 'İ':
			b.WriteString("i̇")
		case 'Σ':
			if endsWord(s, i) {
				b.WriteRune('ς')
			} else {
				b.WriteRune('σ')
			}
		default:
			b.WriteRune(unicode.ToLower(r))
		}
	}
	return b.String()
}

// endsWord reports whether the sigma at s[i] has a letter before it and none
// after, marks between them aside (Unicode's Final_Sigma).
func endsWord(s string, i int) bool {
	return lastLetter(s[:i]) && !firstLetter(s[i+len("Σ"):])
}

func lastLetter(s string) bool {
	for s != "" {
		r, size := utf8.DecodeLastRuneInString(s)
		if !isCaseIgnorable(r) {
			return isCased(r)
		}
		s = s[:len(s)-size]
	}
	return false
}

func firstLetter(s string) bool {
	for _, r := range s {
		if !isCaseIgnorable(r) {
			return isCased(r)
		}
	}
	return false
}

func isCased(r rune) bool {
	return unicode.In(r, unicode.Lu, unicode.Ll, unicode.Lt, unicode.Other_Lowercase, unicode.Other_Uppercase)
}

func isCaseIgnorable(r rune) bool {
	return unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf, unicode.Lm, unicode.Sk) ||
		strings.ContainsRune("'.:··՟״‘’․‧︓﹒﹕＇．：", r)
}

// containsLower reports whether lower(s) contains sub, which is lower case
// already. Short ASCII text, nearly every search, costs no allocation; for
// longer text comparing at each place in turn could take quadratic time.
func containsLower(s, sub string) bool {
	const short = 64
	if len(sub) > short || !isASCII(s) {
		return strings.Contains(lower(s), sub)
	}
	if sub == "" {
		return true
	}
	for len(s) >= len(sub) {
		i := indexLowerByte(s[:len(s)-len(sub)+1], sub[0])
		if i < 0 {
			return false
		}
		if equalLower(s[i:i+len(sub)], sub) {
			return true
		}
		s = s[i+1:]
	}
	return false
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func indexLowerByte(s string, c byte) int {
	i := strings.IndexByte(s, c)
	if c < 'a' || c > 'z' {
		return i
	}
	if i >= 0 {
		s = s[:i]
	}
	if j := strings.IndexByte(s, c-('a'-'A')); j >= 0 {
		return j
	}
	return i
}

func equalLower(s, low string) bool {
	for i := range len(s) {
		c := s[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != low[i] {
			return false
		}
	}
	return true
}

// compareUnits orders text by UTF-16 code units, as JavaScript does. Byte
// order differs for characters above U+FFFF alone: their surrogates sort below
// U+E000.
func compareUnits(a, b string) int {
	i := 0
	for i < len(a) && i < len(b) && a[i] == b[i] {
		i++
	}
	if i == len(a) || i == len(b) {
		return len(a) - len(b)
	}
	x, y := int(a[i]), int(b[i])
	// A lead byte of four-byte UTF-8 stands for a surrogate: put it between
	// 0xED (the last below U+D800) and 0xEE (the first at U+E000).
	if x >= 0xEE && y >= 0xEE && (x >= 0xF0) != (y >= 0xF0) {
		return y - x
	}
	return x - y
}
