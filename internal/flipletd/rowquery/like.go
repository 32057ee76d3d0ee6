package rowquery

import (
	"unicode"
	"unicode/utf8"
)

// pattern is a compiled LIKE or ILIKE pattern: % stands for any text, _ for
// one character, \ takes the next character as it is. It is matched against
// the whole text.
//
// Matching takes time in proportion to the text whatever the pattern: the
// pieces between % are looked for from left to right, each with a bit-parallel
// search, and the leftmost hit of one piece is never worse for the next.
type pattern struct {
	// pieces are the parts between the % signs, at least one. The first one
	// is bound to the start of the text and the last one to its end.
	pieces []piece
	fold   bool
	// dangling says that the pattern ended with a lone \. PostgreSQL fails
	// when it gets there with text to spare; pieces then end in "_%".
	dangling bool
}

// piece is a part of a pattern without %.
type piece struct {
	chars []rune // anyChar for _
	// masks has, per character, a bit for each position where it fits; any
	// is the same for characters that occur nowhere in the piece.
	masks map[rune][]uint64
	any   []uint64
}

const (
	anyChar rune = -1
	// maxPiece bounds the memory that the search tables of a piece take.
	maxPiece = 4096
)

// compilePattern reports false when a piece that has to be searched for is
// longer than maxPiece characters.
func compilePattern(text string, fold bool) (*pattern, bool) {
	p := &pattern{fold: fold}
	var chars []rune
	cut := func() {
		p.pieces = append(p.pieces, piece{chars: chars})
		chars = nil
	}
	escaped := false
	for _, c := range text {
		switch {
		case escaped:
			escaped = false
			chars = append(chars, p.folded(c))
		case c == '\\':
			escaped = true
		case c == '%':
			cut()
		case c == '_':
			chars = append(chars, anyChar)
		default:
			chars = append(chars, p.folded(c))
		}
	}
	if escaped {
		p.dangling = true
		chars = append(chars, anyChar)
		cut()
	}
	cut()
	for i := 1; i < len(p.pieces)-1; i++ {
		if len(p.pieces[i].chars) > maxPiece {
			return nil, false
		}
		p.pieces[i].index()
	}
	return p, true
}

// folded lowers one character, as ILIKE does to both of its sides.
func (p *pattern) folded(c rune) rune {
	if p.fold {
		return unicode.ToLower(c)
	}
	return c
}

// match reports whether the whole text fits the pattern.
func (p *pattern) match(text string) bool {
	rest, ok := p.cutPrefix(text, p.pieces[0].chars)
	if !ok || len(p.pieces) == 1 {
		return ok && rest == ""
	}
	last := len(p.pieces) - 1
	if rest, ok = p.cutSuffix(rest, p.pieces[last].chars); !ok {
		return false
	}
	for i := 1; i < last; i++ {
		if rest, ok = p.cutFirst(rest, &p.pieces[i]); !ok {
			return false
		}
	}
	return true
}

func (p *pattern) fits(want, have rune) bool { return want == anyChar || want == p.folded(have) }

func (p *pattern) cutPrefix(text string, chars []rune) (rest string, ok bool) {
	for _, want := range chars {
		have, size := utf8.DecodeRuneInString(text)
		if size == 0 || !p.fits(want, have) {
			return "", false
		}
		text = text[size:]
	}
	return text, true
}

func (p *pattern) cutSuffix(text string, chars []rune) (rest string, ok bool) {
	for i := len(chars) - 1; i >= 0; i-- {
		have, size := utf8.DecodeLastRuneInString(text)
		if size == 0 || !p.fits(chars[i], have) {
			return "", false
		}
		text = text[:len(text)-size]
	}
	return text, true
}

// cutFirst returns what follows the leftmost place where the piece fits. Bit
// i of state says that the piece's first i+1 characters end here (Shift-And).
func (p *pattern) cutFirst(text string, of *piece) (rest string, ok bool) {
	if len(of.chars) == 0 {
		return text, true
	}
	var small [4]uint64 // 256 characters without an allocation
	state := small[:min(len(of.any), len(small))]
	if len(of.any) > len(small) {
		state = make([]uint64, len(of.any))
	}
	final := len(of.chars) - 1
	for i, c := range text {
		mask, ok := of.masks[p.folded(c)]
		if !ok {
			mask = of.any
		}
		carry := uint64(1)
		for w := range state {
			next := state[w]<<1 | carry
			carry = state[w] >> 63
			state[w] = next & mask[w]
		}
		if state[final/64]>>(final%64)&1 == 1 {
			_, size := utf8.DecodeRuneInString(text[i:])
			return text[i+size:], true
		}
	}
	return "", false
}

// index builds the search tables.
func (of *piece) index() {
	words := (len(of.chars) + 63) / 64
	of.any = make([]uint64, words)
	of.masks = make(map[rune][]uint64)
	for i, c := range of.chars {
		if c == anyChar {
			of.any[i/64] |= 1 << (i % 64)
			continue
		}
		if of.masks[c] == nil {
			of.masks[c] = make([]uint64, words)
		}
		of.masks[c][i/64] |= 1 << (i % 64)
	}
	for _, mask := range of.masks {
		for w := range mask {
			mask[w] |= of.any[w]
		}
	}
}

// likeText is text LIKE pattern.
type likeText struct {
	text    *scalar[string, string]
	pattern *pattern
}

func (l likeText) eval(r *Row) (truth, error) {
	text, ok, err := l.text.value(r)
	if err != nil || !ok {
		return isNull, err
	}
	matched := l.pattern.match(text)
	if l.pattern.dangling && matched {
		return isNull, badValue("%s: the pattern ends with the escape character", l.text.name)
	}
	return truthOf(matched), nil
}

func (likeText) trueIn() region  { return everywhere() }
func (likeText) falseIn() region { return everywhere() }
