package jsregexp

import (
	"slices"
	"unicode"
)

type span struct{ low, high rune }

// charSet is a set of characters: its spans, or with invert everything else.
// The two are kept apart because a class without regard to case is matched
// first and negated afterwards.
type charSet struct {
	spans  []span // sorted and disjoint after normalize
	ascii  [2]uint64
	invert bool
}

func newSet(spans ...span) *charSet {
	s := &charSet{spans: spans}
	s.normalize()
	return s
}

// add puts in a range, or another set in its place.
func (s *charSet) add(low, high rune, set *charSet) {
	if set == nil {
		s.spans = append(s.spans, span{low, high})
		return
	}
	s.spans = append(s.spans, set.spans...)
}

func (s *charSet) normalize() {
	slices.SortFunc(s.spans, func(a, b span) int { return int(a.low - b.low) })
	kept := s.spans[:0]
	for _, sp := range s.spans {
		if n := len(kept); n > 0 && sp.low <= kept[n-1].high+1 {
			kept[n-1].high = max(kept[n-1].high, sp.high)
			continue
		}
		kept = append(kept, sp)
	}
	s.spans = kept
	for r := range rune(128) {
		if s.search(r) {
			s.ascii[r/64] |= 1 << (r % 64)
		}
	}
}

// complement returns the other characters as spans of their own.
func (s *charSet) complement() *charSet {
	var spans []span
	next := rune(0)
	for _, sp := range s.spans {
		if sp.low > next {
			spans = append(spans, span{next, sp.low - 1})
		}
		next = sp.high + 1
	}
	if next <= unicode.MaxRune {
		spans = append(spans, span{next, unicode.MaxRune})
	}
	return newSet(spans...)
}

func (s *charSet) search(r rune) bool {
	_, found := slices.BinarySearchFunc(s.spans, r, func(sp span, r rune) int {
		switch {
		case sp.high < r:
			return -1
		case sp.low > r:
			return 1
		}
		return 0
	})
	return found
}

func (s *charSet) has(r rune) bool {
	if r < 128 {
		return s.ascii[r/64]&(1<<(r%64)) != 0
	}
	return s.search(r)
}

// matches reports whether the set takes r. canon, when there is one, makes
// characters equal that fold to the same.
func (s *charSet) matches(r rune, canon func(rune) rune) bool {
	found := s.has(r)
	if !found && canon != nil {
		folded := canon(r)
		for other := unicode.SimpleFold(r); other != r && !found; other = unicode.SimpleFold(other) {
			found = canon(other) == folded && s.has(other)
		}
	}
	return found != s.invert
}

func dotSet(all bool) *charSet {
	if all {
		return newSet(span{0, unicode.MaxRune})
	}
	return newSet(span{'\n', '\n'}, span{'\r', '\r'}, span{0x2028, 0x2029}).complement()
}

func digitSet() *charSet { return newSet(span{'0', '9'}) }

func spaceSet() *charSet {
	return newSet(span{'\t', '\r'}, span{' ', ' '}, span{0xA0, 0xA0}, span{0x1680, 0x1680},
		span{0x2000, 0x200A}, span{0x2028, 0x2029}, span{0x202F, 0x202F}, span{0x205F, 0x205F},
		span{0x3000, 0x3000}, span{0xFEFF, 0xFEFF})
}

// wordSet is ASCII letters, digits and underscore. With both u and i the two
// other characters that fold into ASCII belong to it as well.
func wordSet(fl flags) *charSet {
	spans := []span{{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}}
	if fl.unicode && fl.ignoreCase {
		spans = append(spans, span{0x17F, 0x17F}, span{0x212A, 0x212A})
	}
	return newSet(spans...)
}

// property reads on after \p or \P.
func (p *parser) property(negate bool) *charSet {
	if !p.accept("{") {
		p.fail("Invalid property name")
		return &charSet{}
	}
	start := p.pos
	for p.more() && p.peek(0) != '}' {
		p.pos++
	}
	name := string(p.src[start:p.pos])
	if !p.accept("}") {
		p.fail("Invalid property name")
		return &charSet{}
	}
	set := propertySet(name)
	if set == nil {
		p.fail("Invalid property name, or one this server has no table for")
		return &charSet{}
	}
	if negate {
		set = set.complement()
	}
	return set
}
