package jsregexp

import "unicode/utf16"

// atomEscape reads on after a backslash outside a class.
func (p *parser) atomEscape() (n *node, repeatable bool) {
	switch c := p.peek(0); {
	case c == 'b' || c == 'B':
		p.pos++
		return &node{op: opBoundary, negate: c == 'B'}, false
	case '1' <= c && c <= '9':
		if group, ok := p.decimalEscape(); ok {
			p.backrefs = true
			return &node{op: opBackref, group: group}, true
		}
		if p.flags.unicode {
			p.fail("Invalid escape")
		}
	case c == 'k' && (p.flags.unicode || p.named):
		p.pos++
		name, ok := "", p.accept("<")
		if ok {
			name, ok = p.groupName()
		}
		if !ok {
			p.fail("Invalid named reference")
		}
		n := &node{op: opBackref}
		p.pending = append(p.pending, pendingRef{n, name})
		p.backrefs = true
		return n, true
	}
	if set := p.classEscape(); set != nil {
		return &node{op: opSet, set: set}, true
	}
	return &node{op: opChar, char: p.charEscape(false)}, true
}

// classEscape reads \d, \s, \w, \p and their opposites; nil when it is none
// of them.
func (p *parser) classEscape() *charSet {
	c := p.peek(0)
	var set *charSet
	switch c {
	case 'd', 'D':
		set = digitSet()
	case 's', 'S':
		set = spaceSet()
	case 'w', 'W':
		set = wordSet(p.flags)
	case 'p', 'P':
		if !p.flags.unicode {
			return nil
		}
		p.pos++
		return p.property(c == 'P')
	default:
		return nil
	}
	p.pos++
	if 'A' <= c && c <= 'Z' {
		set = set.complement()
	}
	return set
}

// charEscape reads an escape that stands for one character.
func (p *parser) charEscape(inClass bool) rune {
	if !p.more() {
		p.fail("\\ at end of pattern")
		return 0
	}
	c := p.src[p.pos]
	p.pos++
	switch c {
	case 't':
		return '\t'
	case 'n':
		return '\n'
	case 'v':
		return '\v'
	case 'f':
		return '\f'
	case 'r':
		return '\r'
	case 'c':
		return p.controlEscape(inClass)
	case 'x':
		if r, ok := p.hex(2); ok {
			return r
		}
	case 'u':
		if r, ok := p.unicodeEscape(p.flags.unicode); ok {
			return r
		}
	case '0', '1', '2', '3', '4', '5', '6', '7':
		if next := p.peek(0); c == '0' && (next < '0' || next > '9') {
			return 0
		}
		if !p.flags.unicode {
			return p.octal(c)
		}
	}
	if p.flags.unicode && !isSyntaxCharacter(c) && !(inClass && c == '-') || c == 'k' && p.named {
		p.fail("Invalid escape")
	}
	return c
}

// controlEscape reads on after \c. Where no letter follows, the backslash
// stands for itself and the c is read again.
func (p *parser) controlEscape(inClass bool) rune {
	c := p.peek(0)
	letter := 'a' <= c|0x20 && c|0x20 <= 'z'
	if letter || inClass && !p.flags.unicode && (c == '_' || '0' <= c && c <= '9') {
		p.pos++
		return c % 32
	}
	if p.flags.unicode {
		p.fail("Invalid unicode escape")
		return 0
	}
	p.pos--
	return '\\'
}

// octal reads on after the first digit of \123, which is at most \377.
func (p *parser) octal(first rune) rune {
	n := first - '0'
	for range 2 {
		c := p.peek(0)
		if c < '0' || c > '7' || n*8+c-'0' > 0xFF {
			break
		}
		n = n*8 + c - '0'
		p.pos++
	}
	return n
}

// hex reads exactly n hexadecimal digits, or nothing.
func (p *parser) hex(n int) (rune, bool) {
	r := rune(0)
	for i := range n {
		d := hexDigit(p.peek(i))
		if d < 0 {
			return 0, false
		}
		r = r*16 + d
	}
	p.pos += n
	return r, true
}

func hexDigit(c rune) rune {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return -1
}

// unicodeEscape reads on after \u. In full form it also takes \u{...} and
// joins a pair of surrogates.
func (p *parser) unicodeEscape(full bool) (rune, bool) {
	start := p.pos
	if full && p.accept("{") {
		r := rune(0)
		for d := hexDigit(p.peek(0)); d >= 0 && r <= 0x10FFFF; d = hexDigit(p.peek(0)) {
			r = r*16 + d
			p.pos++
		}
		if p.pos > start+1 && r <= 0x10FFFF && p.accept("}") {
			return r, true
		}
		p.pos = start
		return 0, false
	}
	r, ok := p.hex(4)
	if ok && full && 0xD800 <= r && r <= 0xDBFF && p.peek(0) == '\\' && p.peek(1) == 'u' {
		here := p.pos
		p.pos += 2
		if low, ok := p.hex(4); ok && 0xDC00 <= low && low <= 0xDFFF {
			return utf16.DecodeRune(r, low), true
		}
		p.pos = here
	}
	return r, ok
}

func isSyntaxCharacter(c rune) bool {
	switch c {
	case '^', '$', '\\', '.', '*', '+', '?', '(', ')', '[', ']', '{', '}', '|', '/':
		return true
	}
	return false
}

// class reads on after "[".
func (p *parser) class() *node {
	set := &charSet{invert: p.accept("^")}
	for !p.accept("]") {
		if !p.more() {
			p.fail("Unterminated character class")
			break
		}
		low, lowSet := p.classAtom()
		if p.peek(0) != '-' || p.peek(1) == ']' || p.peek(1) == -1 {
			set.add(low, low, lowSet)
			continue
		}
		p.pos++
		high, highSet := p.classAtom()
		switch {
		case lowSet == nil && highSet == nil:
			if low > high {
				p.fail("Range out of order in character class")
			}
			set.add(low, high, nil)
		case p.flags.unicode:
			p.fail("Invalid character class")
		default:
			set.add(low, low, lowSet)
			set.add('-', '-', nil)
			set.add(high, high, highSet)
		}
	}
	set.normalize()
	return &node{op: opSet, set: set}
}

// classAtom reads one member of a class: a character, or a set.
func (p *parser) classAtom() (rune, *charSet) {
	c := p.src[p.pos]
	p.pos++
	if c != '\\' {
		return c, nil
	}
	switch c := p.peek(0); {
	case c == 'b':
		p.pos++
		return '\b', nil
	case p.flags.unicode && '1' <= c && c <= '9':
		p.fail("Invalid class escape")
		return 0, nil
	}
	if set := p.classEscape(); set != nil {
		return 0, set
	}
	return p.charEscape(true), nil
}
