package where

import (
	"cmp"
	"strings"
)

// Column returns the value by which an order by "data.<path>" sorts.
func Column(data M, column string) any {
	return at(data, strings.Split(strings.TrimPrefix(column, "data."), "."))
}

// CompareColumns orders values as data sources do: first numbers, also those written
// as text, by value; then everything else as text; absent values last.
//
// certain is false where a server may give another order. Its collation is not known,
// so two texts are certain only if neither case nor punctuation decides.
func CompareColumns(a, b any) (n int, certain bool) {
	x, y := text(a), text(b)
	if x == nil || y == nil {
		return compareFlags(x == nil, y == nil), true
	}
	s, t := x.(string), y.(string)
	p, q := rational(s), rational(t)
	switch {
	case p != nil && q != nil:
		return p.Cmp(q), true
	case p != nil || q != nil:
		return compareFlags(p == nil, q == nil), false
	}
	n = cmp.Compare(s, t)
	u, plain := letters(s)
	v, alsoPlain := letters(t)
	return n, n == 0 || plain && alsoPlain && cmp.Compare(u, v) == n
}

// compareFlags orders false before true.
func compareFlags(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// letters returns what every collation compares first: letters and digits, without
// case. It reports false for text beyond ASCII.
func letters(s string) (string, bool) {
	out := make([]byte, 0, len(s))
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 0x80:
			return "", false
		case 'A' <= c && c <= 'Z':
			out = append(out, c+'a'-'A')
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
			out = append(out, c)
		}
	}
	return string(out), true
}
