package where

import (
	"cmp"
	"strings"
	"unicode"
)

// Column returns the value by which an order by "data.<path>" sorts.
func Column(data M, column string) any {
	return at(data, strings.Split(strings.TrimPrefix(column, "data."), "."))
}

// Collation is how texts are compared.
type Collation func(s, t string) int

// ByBytes compares texts byte by byte, as the C collation of a database does.
func ByBytes(s, t string) int { return cmp.Compare(s, t) }

// ByLetters compares texts as the collations of languages do: letters and digits,
// without case and accents. What differs in nothing else is equal.
func ByLetters(s, t string) int { return cmp.Compare(letters(s), letters(t)) }

// CompareColumns orders values as data sources do: first numbers, also those written
// as text, by value; then everything else as text; absent values last. same is false
// for texts that differ in what the collation does not look at.
func CompareColumns(a, b any, collation Collation) (n int, same bool) {
	x, y := text(a), text(b)
	if x == nil || y == nil {
		n = compareFlags(x == nil, y == nil)
		return n, n == 0
	}
	s, t := x.(string), y.(string)
	p, q := rational(s), rational(t)
	switch {
	case p != nil && q != nil:
		n = p.Cmp(q)
		return n, n == 0
	case p != nil || q != nil:
		return compareFlags(p == nil, q == nil), false
	}
	return collation(s, t), s == t
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

// accents are letters with accents, each followed by the letter without.
var accents = strings.NewReplacer(
	"à", "a", "á", "a", "â", "a", "ã", "a", "ä", "a", "å", "a", "ā", "a", "ą", "a", "ç", "c", "ć", "c", "č", "c", "ď", "d", "đ", "d",
	"è", "e", "é", "e", "ê", "e", "ë", "e", "ē", "e", "ę", "e", "ě", "e", "ğ", "g", "ì", "i", "í", "i", "î", "i", "ï", "i", "ī", "i", "ı", "i",
	"ł", "l", "ľ", "l", "ñ", "n", "ń", "n", "ň", "n", "ò", "o", "ó", "o", "ô", "o", "õ", "o", "ö", "o", "ø", "o", "ő", "o", "ř", "r",
	"ś", "s", "ş", "s", "š", "s", "ß", "ss", "ť", "t", "ù", "u", "ú", "u", "û", "u", "ü", "u", "ū", "u", "ů", "u", "ű", "u", "ý", "y", "ÿ", "y",
	"ź", "z", "ż", "z", "ž", "z", "æ", "ae", "œ", "oe",
)

// letters returns what a language's collation compares first.
func letters(s string) string {
	s = accents.Replace(strings.ToLower(s))
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return r
		}
		return -1
	}, s)
}
