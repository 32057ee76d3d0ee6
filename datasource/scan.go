package datasource

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth is how deep values may nest; encoding/json draws the line at the same place.
const maxDepth = 10000

// A scanner walks once over a JSON text. It accepts and refuses what encoding/json accepts and refuses.
type scanner struct {
	b       []byte
	i       int
	depth   int
	deepest int    // the greatest depth allowed
	inRow   bool   // deepest is that of a row
	open    []bool // in skip: which of the values around the current byte are objects
	scratch []byte // holds a string with escapes until it is copied out
}

// syntaxError says where a text stopped being JSON. It never quotes the text, which may be private.
type syntaxError struct {
	offset int
	what   string
}

func (e *syntaxError) Error() string {
	return fmt.Sprintf("invalid JSON at byte %d: %s", e.offset, e.what)
}

func (s *scanner) fail(what string) error { return &syntaxError{s.i, what} }

// peek skips white space and returns the next byte, or 0 at the end. A zero byte in the text is an error like any other
// unexpected one.
func (s *scanner) peek() byte {
	for s.i < len(s.b) {
		switch c := s.b[s.i]; c {
		case ' ', '\t', '\n', '\r':
			s.i++
		default:
			return c
		}
	}
	return 0
}

// end fails unless only white space is left.
func (s *scanner) end() error {
	if s.peek(); s.i < len(s.b) {
		return s.fail("text after the value")
	}
	return nil
}

func (s *scanner) enter() error {
	if s.depth++; s.depth > s.deepest {
		return s.tooDeep()
	}
	s.i++
	return nil
}

func (s *scanner) tooDeep() error {
	if s.inRow {
		return errRowDepth
	}
	return s.fail("nested too deeply")
}

func (s *scanner) leave() {
	s.depth--
	s.i++
}

// more moves to the next member of an object or array that ends with closing, and reports whether there is one.
// first is true before the first member.
func (s *scanner) more(closing byte, first bool) (bool, error) {
	if i := s.i + 1; !first && i < len(s.b) && s.b[s.i] == ',' && s.b[i] == '"' { // no white space, as servers write it
		s.i = i
		return true, nil
	}
	c := s.peek()
	if c == closing {
		s.leave()
		return false, nil
	}
	if first {
		return true, nil
	}
	if c != ',' {
		return false, s.fail("expected a comma or the end")
	}
	s.i++
	if s.peek() == closing {
		return false, s.fail("a comma before the end")
	}
	return true, nil
}

// key reads a member's name and the colon. The bytes are valid until the next call.
func (s *scanner) key() ([]byte, error) {
	if s.peek() != '"' {
		return nil, s.fail("expected a name in quotes")
	}
	name, err := s.text()
	if err != nil {
		return nil, err
	}
	if s.peek() != ':' {
		return nil, s.fail("expected a colon")
	}
	s.i++
	return name, nil
}

// follows moves behind the name of a member, and its colon, if they are written exactly so: with a comma before them
// unless the member is the first one.
func (s *scanner) follows(member string, first bool) bool {
	if member == "" {
		return false
	}
	if first {
		member = member[1:]
	}
	if n := s.i + len(member); n <= len(s.b) && string(s.b[s.i:n]) == member {
		s.i = n
		return true
	}
	return false
}

// text reads a string that starts at the current byte. The bytes are valid until the next call.
func (s *scanner) text() ([]byte, error) {
	s.i++
	start := s.i
	ascii := true
	for {
		s.i += plainRun(s.b[s.i:])
		if s.i >= len(s.b) {
			return nil, s.fail("the string has no end")
		}
		switch c := s.b[s.i]; {
		case c == '"':
			raw := s.b[start:s.i]
			s.i++
			if ascii || utf8.Valid(raw) {
				return raw, nil
			}
			s.scratch = appendValid(s.scratch[:0], raw)
			return s.scratch, nil
		case c == '\\':
			return s.escaped(start)
		case c < ' ':
			return nil, s.fail("a control character in a string")
		default:
			ascii = false
			for s.i < len(s.b) && s.b[s.i] >= utf8.RuneSelf {
				s.i++
			}
		}
	}
}

// escaped goes on with a string whose first backslash is at the current byte.
func (s *scanner) escaped(start int) ([]byte, error) {
	out := appendValid(s.scratch[:0], s.b[start:s.i])
	for s.i < len(s.b) {
		switch c := s.b[s.i]; {
		case c == '"':
			s.i++
			s.scratch = out
			return out, nil
		case c < ' ':
			return nil, s.fail("a control character in a string")
		case c == '\\':
			var err error
			if out, err = s.escape(out); err != nil {
				return nil, err
			}
		default:
			run := s.i
			for s.i < len(s.b) && s.b[s.i] >= ' ' && s.b[s.i] != '"' && s.b[s.i] != '\\' {
				s.i++
			}
			out = appendValid(out, s.b[run:s.i])
		}
	}
	return nil, s.fail("the string has no end")
}

// escape appends what the escape sequence at the current byte stands for.
func (s *scanner) escape(out []byte) ([]byte, error) {
	if s.i+1 >= len(s.b) {
		return nil, s.fail("the string has no end")
	}
	c := s.b[s.i+1]
	switch c {
	case '"', '\\', '/':
	case 'b':
		c = '\b'
	case 'f':
		c = '\f'
	case 'n':
		c = '\n'
	case 'r':
		c = '\r'
	case 't':
		c = '\t'
	case 'u':
		r := s.hex4(s.i + 2)
		if r < 0 {
			return nil, s.fail("a \\u without four hexadecimal digits")
		}
		s.i += 6
		if utf16.IsSurrogate(r) {
			// A surrogate pair is one character. Half a pair is U+FFFD, and what follows is read on its own.
			if s.i+1 < len(s.b) && s.b[s.i] == '\\' && s.b[s.i+1] == 'u' {
				if pair := utf16.DecodeRune(r, s.hex4(s.i+2)); pair != utf8.RuneError {
					s.i += 6
					return utf8.AppendRune(out, pair), nil
				}
			}
			r = utf8.RuneError
		}
		return utf8.AppendRune(out, r), nil
	default:
		return nil, s.fail("an unknown escape in a string")
	}
	s.i += 2
	return append(out, c), nil
}

// hex4 reads four hexadecimal digits, or returns -1.
func (s *scanner) hex4(at int) rune {
	if at+4 > len(s.b) {
		return -1
	}
	var r rune
	for _, c := range s.b[at : at+4] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return -1
		}
		r = r<<4 | rune(c)
	}
	return r
}

// number reads a number that starts at the current byte.
func (s *scanner) number() ([]byte, error) {
	start := s.i
	if s.b[s.i] == '-' {
		s.i++
	}
	switch {
	case s.i < len(s.b) && s.b[s.i] == '0':
		s.i++
	case !s.digits():
		return nil, s.fail("expected a digit")
	}
	if s.i < len(s.b) && s.b[s.i] == '.' {
		s.i++
		if !s.digits() {
			return nil, s.fail("expected a digit after the point")
		}
	}
	if s.i < len(s.b) && (s.b[s.i] == 'e' || s.b[s.i] == 'E') {
		s.i++
		if s.i < len(s.b) && (s.b[s.i] == '+' || s.b[s.i] == '-') {
			s.i++
		}
		if !s.digits() {
			return nil, s.fail("expected a digit in the exponent")
		}
	}
	return s.b[start:s.i], nil
}

func (s *scanner) digits() bool {
	start := s.i
	for s.i < len(s.b) && '0' <= s.b[s.i] && s.b[s.i] <= '9' {
		s.i++
	}
	return s.i > start
}

func (s *scanner) literal(word string) error {
	if len(s.b)-s.i < len(word) || string(s.b[s.i:s.i+len(word)]) != word {
		return s.fail("expected a value")
	}
	s.i += len(word)
	return nil
}

// skip reads one value of any kind and forgets it. It does not recurse, so a text of brackets only costs a byte for each.
func (s *scanner) skip() error {
	if s.peek() == 'n' { // most of what is skipped
		return s.literal("null")
	}
	s.open = s.open[:0]
	for {
		ended, err := s.scalar()
		if err != nil {
			return err
		}
		// After a value: close what ends here, and move to the next value.
		for ended {
			if len(s.open) == 0 {
				return nil
			}
			object := s.open[len(s.open)-1]
			more, err := s.more(closing(object), false)
			if err != nil {
				return err
			}
			if !more {
				s.open = s.open[:len(s.open)-1]
				continue
			}
			if object {
				if _, err := s.key(); err != nil {
					return err
				}
			}
			ended = false
		}
	}
}

// scalar reads a value that holds no other, or moves to the first value inside of one. ended is false in that case.
func (s *scanner) scalar() (ended bool, err error) {
	switch c := s.peek(); c {
	case '{', '[':
		if err := s.enter(); err != nil {
			return false, err
		}
		object := c == '{'
		more, err := s.more(closing(object), true)
		if !more {
			return true, err
		}
		s.open = append(s.open, object)
		if object {
			_, err = s.key()
		}
		return false, err
	case '"':
		_, err = s.text()
	case 't':
		err = s.literal("true")
	case 'f':
		err = s.literal("false")
	case 'n':
		err = s.literal("null")
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		_, err = s.number()
	default:
		err = s.fail("expected a value")
	}
	return true, err
}

func closing(object bool) byte {
	if object {
		return '}'
	}
	return ']'
}

// raw reads one value of any kind and returns its text, valid as long as the scanner's input is.
func (s *scanner) raw() ([]byte, error) {
	s.peek()
	start := s.i
	err := s.skip()
	return s.b[start:s.i], err
}

// plainRun counts the bytes at the start of b that are ASCII and neither control characters, quotes nor
// backslashes. It looks at sixteen bytes at once; long bodies are most of a page.
func plainRun(b []byte) int {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	n := 0
	// A byte's top bit comes up where the byte is below 0x20, zero after the xor, or not ASCII. Borrows
	// can only disturb bytes after the first hit, and only the first one is used.
	odd := func(w uint64) uint64 {
		return (w | (w - ones*' ') | (w ^ ones*'"' - ones) | (w ^ ones*'\\' - ones)) & tops
	}
	for rest := b; len(rest) >= 16; rest = rest[16:] {
		first, second := odd(binary.LittleEndian.Uint64(rest)), odd(binary.LittleEndian.Uint64(rest[8:]))
		if first|second != 0 {
			if first != 0 {
				return n + bits.TrailingZeros64(first)/8
			}
			return n + 8 + bits.TrailingZeros64(second)/8
		}
		n += 16
	}
	for n < len(b) && b[n] >= ' ' && b[n] < utf8.RuneSelf && b[n] != '"' && b[n] != '\\' {
		n++
	}
	return n
}

// appendValid appends b with every byte that is not UTF-8 replaced by U+FFFD.
func appendValid(out, b []byte) []byte {
	if utf8.Valid(b) {
		return append(out, b...)
	}
	for _, r := range string(b) {
		out = utf8.AppendRune(out, r)
	}
	return out
}
