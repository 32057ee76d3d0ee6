package jsregexp

import (
	"errors"
	"strings"
	"sync"
)

var (
	// ErrTooLarge is what Compile returns for a pattern that would compile to
	// more than maxProgram instructions or nests deeper than maxDepth.
	ErrTooLarge = errors.New("regular expression too large")
	// ErrTooSlow is what MatchString returns when it gives up.
	ErrTooSlow = errors.New("regular expression takes too long on this text")
)

// SyntaxError is a pattern or a set of flags that JavaScript refuses, or a
// feature this package does not have.
type SyntaxError struct{ Message string }

// Error returns the message.
func (e *SyntaxError) Error() string { return e.Message }

// Regexp is a compiled pattern. It is safe for concurrent use.
type Regexp struct {
	prog    program
	flags   flags
	literal string // set when the pattern is plain text
	plain   bool
	pool    sync.Pool // *machine
}

type flags struct{ ignoreCase, multiline, dotAll, unicode, sticky bool }

// Compile is new RegExp(pattern, flags). The error is a *SyntaxError or
// ErrTooLarge.
func Compile(pattern, flagText string) (*Regexp, error) {
	fl, err := parseFlags(flagText)
	if err != nil {
		return nil, err
	}
	p := newParser(pattern, fl)
	tree, err := p.parse()
	if err != nil {
		return nil, err
	}
	re := &Regexp{flags: fl}
	if re.prog, err = compile(tree, p); err != nil {
		return nil, err
	}
	re.literal, re.plain = plainText(tree, fl)
	return re, nil
}

// Size is a measure of what matching costs: the number of instructions.
func (re *Regexp) Size() int { return len(re.prog.insts) }

// MatchString reports whether the pattern matches anywhere in s. The error is
// ErrTooSlow.
func (re *Regexp) MatchString(s string) (bool, error) {
	matched, _, err := re.MatchSteps(s)
	return matched, err
}

// MatchSteps is MatchString, and says what it cost: steps of some nanoseconds.
func (re *Regexp) MatchSteps(s string) (matched bool, steps int, err error) {
	if re.plain {
		return strings.Contains(s, re.literal), len(s) / 64, nil
	}
	m, _ := re.pool.Get().(*machine)
	if m == nil {
		m = &machine{re: re}
	}
	matched, err = m.match(s)
	steps = maxSteps + (unitSteps+1)*len(m.text) - m.steps + len(m.visited)
	if !m.isLarge() {
		re.pool.Put(m)
	}
	return matched, steps, err
}

func parseFlags(text string) (flags, error) {
	var fl flags
	invalid := &SyntaxError{"Invalid flags supplied to RegExp constructor '" + text + "'"}
	for i := range len(text) {
		if strings.IndexByte(text[:i], text[i]) >= 0 {
			return flags{}, invalid
		}
		switch text[i] {
		case 'd', 'g':
		case 'i':
			fl.ignoreCase = true
		case 'm':
			fl.multiline = true
		case 's':
			fl.dotAll = true
		case 'u':
			fl.unicode = true
		case 'y':
			fl.sticky = true
		case 'v':
			return flags{}, &SyntaxError{"The regular expression flag 'v' is not supported: use 'u'"}
		default:
			return flags{}, invalid
		}
	}
	return fl, nil
}

// plainText returns the text that tree stands for when it is nothing but
// characters, the commonest pattern of all.
func plainText(tree *node, fl flags) (string, bool) {
	if fl.ignoreCase || fl.sticky {
		return "", false
	}
	var b strings.Builder
	list := []*node{tree}
	if tree.op == opCat {
		list = tree.subs
	}
	for _, n := range list {
		// A lone surrogate has no place in valid text; leave it to the machine.
		if n.op != opChar || 0xD800 <= n.char && n.char <= 0xDFFF {
			return "", n.op == opEmpty && len(list) == 1
		}
		b.WriteRune(n.char)
	}
	return b.String(), true
}
