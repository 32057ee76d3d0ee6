package jsregexp

import (
	"fmt"
	"math"
	"unicode"
	"unicode/utf16"
)

const (
	maxDepth  = 200       // nested groups
	unlimited = 1<<31 - 1 // the upper bound of "*"
)

type opcode uint8

const (
	opEmpty opcode = iota
	opChar
	opSet
	opCat
	opAlt
	opRepeat
	opGroup // a capturing group
	opLook
	opLineStart
	opLineEnd
	opBoundary
	opBackref
)

// node is a piece of a parsed pattern.
type node struct {
	op       opcode
	char     rune
	set      *charSet
	subs     []*node
	min, max int  // opRepeat
	lazy     bool // opRepeat
	group    int  // opGroup, opBackref: number; opRepeat: first group inside
	groupEnd int  // opRepeat: one past the last group inside
	behind   bool // opLook
	negate   bool // opLook, opBoundary
}

// parser reads a pattern. Without the u flag a character is a UTF-16 code
// unit, and src holds surrogates one by one.
type parser struct {
	pattern string
	flags   flags
	src     []rune
	pos     int
	depth   int
	err     error

	groups   int // capturing groups opened so far
	total    int // capturing groups in the whole pattern
	names    map[string]int
	named    bool // some group has a name, so \k is no longer a plain k
	pending  []pendingRef
	backrefs bool
}

// pendingRef is a reference to a named group that may come later.
type pendingRef struct {
	node *node
	name string
}

func newParser(pattern string, fl flags) *parser {
	p := &parser{pattern: pattern, flags: fl, src: []rune(pattern), names: map[string]int{}}
	if !fl.unicode {
		units := utf16.Encode(p.src)
		p.src = make([]rune, len(units))
		for i, u := range units {
			p.src[i] = rune(u)
		}
	}
	p.countGroups()
	return p
}

func (p *parser) parse() (*node, error) {
	tree := p.disjunction()
	if p.more() {
		p.fail("Unmatched ')'")
	}
	for _, ref := range p.pending {
		group, ok := p.names[ref.name]
		if !ok {
			p.fail("Invalid named capture referenced")
			break
		}
		ref.node.group = group
	}
	return tree, p.err
}

// fail records the first error and skips to the end, which ends every loop.
func (p *parser) fail(reason string) {
	p.failWith(&SyntaxError{fmt.Sprintf("Invalid regular expression: /%.100s/: %s", p.pattern, reason)})
}

func (p *parser) failWith(err error) {
	if p.err == nil {
		p.err = err
	}
	p.pos = len(p.src)
}

func (p *parser) more() bool { return p.pos < len(p.src) }

// peek returns the character offset places ahead, or -1.
func (p *parser) peek(offset int) rune {
	if p.pos+offset < len(p.src) {
		return p.src[p.pos+offset]
	}
	return -1
}

func (p *parser) accept(text string) bool {
	for i, c := range text {
		if p.peek(i) != c {
			return false
		}
	}
	p.pos += len(text)
	return true
}

// countGroups looks ahead: whether \2 is a reference or an octal escape, and
// whether \k means anything, depends on groups further on.
func (p *parser) countGroups() {
	inClass := false
	for i := 0; i < len(p.src); i++ {
		switch c := p.src[i]; {
		case c == '\\':
			i++
		case c == '[':
			inClass = true
		case c == ']':
			inClass = false
		case c == '(' && !inClass:
			at := func(n int) rune {
				if i+n < len(p.src) {
					return p.src[i+n]
				}
				return -1
			}
			if at(1) != '?' {
				p.total++
			} else if at(2) == '<' && at(3) != '=' && at(3) != '!' {
				p.total++
				p.named = true
			}
		}
	}
}

func (p *parser) disjunction() *node {
	if p.depth++; p.depth > maxDepth {
		p.failWith(ErrTooLarge)
	}
	defer func() { p.depth-- }()
	branches := []*node{p.alternative()}
	for p.accept("|") {
		branches = append(branches, p.alternative())
	}
	if len(branches) == 1 {
		return branches[0]
	}
	return &node{op: opAlt, subs: branches}
}

func (p *parser) alternative() *node {
	var terms []*node
	for p.more() && p.peek(0) != '|' && p.peek(0) != ')' {
		terms = append(terms, p.term())
	}
	switch len(terms) {
	case 0:
		return &node{op: opEmpty}
	case 1:
		return terms[0]
	}
	return &node{op: opCat, subs: terms}
}

func (p *parser) term() *node {
	groups := p.groups
	atom, repeatable := p.atom()
	q := node{op: opRepeat, group: groups, groupEnd: p.groups}
	switch {
	case p.accept("*"):
		q.max = unlimited
	case p.accept("+"):
		q.min, q.max = 1, unlimited
	case p.accept("?"):
		q.max = 1
	case p.peek(0) == '{':
		min, max, size := p.braces()
		if size == 0 {
			return atom // a brace that is no quantifier; term comes back for it
		}
		p.pos += size
		if q.min, q.max = min, max; min > max {
			p.fail("numbers out of order in {} quantifier")
		}
	default:
		return atom
	}
	if !repeatable {
		p.fail("Nothing to repeat")
	}
	q.lazy = p.accept("?")
	q.subs = []*node{atom}
	return &q
}

// braces measures a quantifier {n}, {n,} or {n,m} without consuming it. size
// is 0 when there is none.
func (p *parser) braces() (min, max, size int) {
	i := 1
	number := func() (n int, ok bool) {
		for c := p.peek(i); '0' <= c && c <= '9'; c = p.peek(i) {
			if n = n*10 + int(c-'0'); n > unlimited {
				n = unlimited
			}
			ok = true
			i++
		}
		return n, ok
	}
	min, ok := number()
	if !ok {
		return 0, 0, 0
	}
	max = min
	if p.peek(i) == ',' {
		i++
		if max, ok = number(); !ok {
			max = unlimited
		}
	}
	if p.peek(i) != '}' {
		return 0, 0, 0
	}
	return min, max, i + 1
}

// atom reads what a quantifier can follow, and whether one may.
func (p *parser) atom() (n *node, repeatable bool) {
	switch c := p.peek(0); c {
	case '^':
		p.pos++
		return &node{op: opLineStart}, false
	case '$':
		p.pos++
		return &node{op: opLineEnd}, false
	case '(':
		p.pos++
		return p.group()
	case '.':
		p.pos++
		return &node{op: opSet, set: dotSet(p.flags.dotAll)}, true
	case '[':
		p.pos++
		return p.class(), true
	case '\\':
		p.pos++
		return p.atomEscape()
	case '*', '+', '?':
		p.fail("Nothing to repeat")
	case '{':
		if _, _, size := p.braces(); size > 0 || p.flags.unicode {
			p.fail("Nothing to repeat")
		}
	case '}', ']':
		if p.flags.unicode {
			p.fail("Lone quantifier brackets")
		}
	}
	if p.err != nil {
		return &node{op: opEmpty}, true
	}
	c := p.src[p.pos]
	p.pos++
	return &node{op: opChar, char: c}, true
}

// group reads on after "(".
func (p *parser) group() (n *node, repeatable bool) {
	repeatable = true
	switch {
	case p.accept("?:"):
		n = p.disjunction()
	case p.accept("?="), p.accept("?!"):
		n = &node{op: opLook, negate: p.src[p.pos-1] == '!'}
		n.subs = []*node{p.disjunction()}
		repeatable = !p.flags.unicode
	case p.accept("?<="), p.accept("?<!"):
		n = &node{op: opLook, behind: true, negate: p.src[p.pos-1] == '!'}
		n.subs = []*node{p.disjunction()}
		repeatable = false
	case p.peek(0) == '?' && p.peek(1) != '<':
		p.fail("Invalid group")
	default:
		p.groups++
		number := p.groups
		if p.accept("?<") {
			name, ok := p.groupName()
			if !ok {
				p.fail("Invalid capture group name")
			}
			if _, taken := p.names[name]; taken {
				p.fail("Duplicate capture group name")
			}
			p.names[name] = number
		}
		n = &node{op: opGroup, group: number}
		n.subs = []*node{p.disjunction()}
	}
	if !p.accept(")") {
		p.fail("Unterminated group")
	}
	return n, repeatable
}

// groupName reads a name and the ">" after it.
func (p *parser) groupName() (string, bool) {
	var name []rune
	for p.more() {
		c := p.src[p.pos]
		p.pos++
		switch {
		case c == '>':
			return string(name), len(name) > 0
		case c == '\\':
			if !p.accept("u") {
				return "", false
			}
			r, ok := p.unicodeEscape(true)
			if !ok {
				return "", false
			}
			c = r
		case utf16.IsSurrogate(c) && p.more():
			c = utf16.DecodeRune(c, p.src[p.pos])
			p.pos++
		}
		start := c == '$' || c == '_' || unicode.IsLetter(c) || unicode.Is(unicode.Nl, c)
		part := start || unicode.In(c, unicode.Nd, unicode.Mn, unicode.Mc, unicode.Pc) || c == 0x200C || c == 0x200D
		if !part || len(name) == 0 && !start {
			return "", false
		}
		name = append(name, c)
	}
	return "", false
}

// decimalEscape reads the digits after a backslash. ok is false, and nothing
// consumed, when they are not the number of a group.
func (p *parser) decimalEscape() (group int, ok bool) {
	start := p.pos
	for c := p.peek(0); '0' <= c && c <= '9'; c = p.peek(0) {
		if group = group*10 + int(c-'0'); group > math.MaxInt16 {
			group = math.MaxInt16
		}
		p.pos++
	}
	if group <= p.total {
		return group, true
	}
	p.pos = start
	return 0, false
}
