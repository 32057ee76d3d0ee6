package datasource

import (
	"unicode"
	"unicode/utf8"
)

// plainLetter is the ASCII letter or digit that a full-width, circled or mathematical one stands for, else r.
func plainLetter(r rune) rune {
	const circled, wide, math, digits = 'Ⓐ', '！', '\U0001D400', '\U0001D7CE'
	letter := func(n rune) rune { // of 52: capitals come first
		if n < 26 {
			return 'A' + n
		}
		return 'a' + n - 26
	}
	switch {
	case r < circled:
	case r < circled+52:
		return letter(r - circled)
	case wide <= r && r < wide+94:
		return '!' + r - wide
	case math <= r && r < math+13*52:
		return letter((r - math) % 52)
	case digits <= r && r < digits+50:
		return '0' + (r-digits)%10
	}
	return r
}

// letters are the letters, digits and emoji of a view, in lower case.
type letters struct {
	r        []rune
	from, to []int
	joined   []bool // nothing was left out between this one and the one before
}

func (v *view) letters() letters {
	var l letters
	joined := false
	for i := 0; i < len(v.b); {
		r, size := utf8.DecodeRune(v.b[i:])
		if r = plainLetter(r); isLetter(r) {
			l.r = append(l.r, unicode.ToLower(r))
			l.from, l.to = append(l.from, int(v.from[i])), append(l.to, int(v.to[i+size-1]))
			l.joined = append(l.joined, joined)
			joined = true
		} else {
			joined = false
		}
		i += size
	}
	return l
}

// isLetter counts emoji, too.
func isLetter(r rune) bool {
	if r < utf8.RuneSelf {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
	}
	return r != utf8.RuneError && unicode.In(r, unicode.L, unicode.N, unicode.So)
}

// lettersOf are the letters and digits of a value.
func lettersOf(text string) []rune {
	out := make([]rune, 0, len(text))
	for _, r := range text {
		if r = plainLetter(r); isLetter(r) {
			out = append(out, unicode.ToLower(r))
		}
	}
	return out
}

// A position is one in the letters of a view.
type position struct{ view, at int }

// index records where each run of gram letters is, and each shorter word or words.
func (l letters) index(view int, grams *gramIndex, words map[string][]position) {
	for at := range l.r {
		if at+gram <= len(l.r) {
			grams.add([gram]rune(l.r[at:at+gram]), position{view, at})
		}
		if l.joined[at] {
			continue
		}
		for n := shortest; n < gram && at+n <= len(l.r); n++ {
			if at+n == len(l.r) || !l.joined[at+n] {
				word := string(l.r[at : at+n])
				words[word] = append(words[word], position{view, at})
			}
		}
	}
}

// gramIndex finds the places of a gram. Most grams of a large request have none, so begins is looked at first.
type gramIndex struct {
	begins [1 << 12]bool
	places map[[gram]rune][]position
}

func begin(key []rune) rune {
	return (key[0]*31*31*31 + key[1]*31*31 + key[2]*31 + key[3]) & (1<<12 - 1)
}

func (g *gramIndex) add(key [gram]rune, p position) {
	g.begins[begin(key[:])] = true
	g.places[key] = append(g.places[key], p)
}

func (g *gramIndex) find(key []rune) []position {
	if !g.begins[begin(key)] {
		return nil
	}
	return g.places[[gram]rune(key)]
}
