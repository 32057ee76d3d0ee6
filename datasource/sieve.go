package datasource

import (
	"bytes"
	"math"
	"slices"
)

// A sieve takes a long answer apart while it arrives, so that a row of any size costs no more memory than a row may
// have. It copies the answer, but of a row that breaks the limit of bytes only the fields that say which row it is, and
// rows beyond the number to keep not at all. The decoder refuses what is not JSON afterwards, in what is left.
//
// Elements are what the list of an answer holds: the values of a bare array, or of the arrays in the answer's object.
type sieve struct {
	fields *fieldLimits
	out    []byte
	size   int  // of an element
	most   int  // elements to keep of a list
	exact  bool // strict, for the list that most is about
	max    int64

	depth        int
	inText, esc  bool
	name         int  // where the last string of the answer's own object began in out
	list         int  // the depth of the elements of the current list, or 0
	keep, listed int  // how many elements to keep, how many there were
	rows         int  // how many elements there were in the list that most is about
	strict       bool // more are an error
	gone         bool // the elements are deleted rows, of which only the identifying fields are kept
	room         int  // how long out may be for another one
	element      elementState
	start        int    // of the element in out
	member       []byte // in a cut element: the text of the current member
	dropping     bool   // in a cut element: the current member is too long
	shells       []span // cut and uncut elements, if they may be cut later
}

type span struct{ start, end int }

type elementState byte

const (
	outside elementState = iota
	copying              // the whole element
	cutting              // its identifying fields
	passing              // nothing
)

// fieldLimits says what is kept of an element that is cut: the bytes that a field may have.
type fieldLimits struct {
	limits map[string]int
	// vital: without one of these fields the element is marked. All rows are.
	vital map[string]bool
	// largest: when everything is kept and yet too much, the largest elements lose their vital fields.
	largest bool
}

func (f *fieldLimits) limit(name []byte) int { return f.limits[string(name)] }

// cutMark is the field of an element that was cut. A stored row cannot have it, since its columns are one level deeper.
const cutMark = "\x00cut"

var cutText = []byte(`"\u0000cut":true`)

const idText64 = 64 // the length of an id or a time, generously

var rowFields = &fieldLimits{limits: map[string]int{
	"id": idText64, "dataSourceId": idText64, "createdAt": idText64, "updatedAt": idText64, "deletedAt": idText64,
}}

var sourceFields = &fieldLimits{
	limits: map[string]int{
		"id": idText64, "appId": idText64, "organizationId": idText64, "createdAt": idText64, "updatedAt": idText64, "deletedAt": idText64,
		"type": 4096, "name": 4096, "definition": maxRowBytes, "hooks": maxRowBytes, "accessRules": maxRowBytes,
	},
	vital:   map[string]bool{"definition": true, "hooks": true, "accessRules": true},
	largest: true,
}

// write takes the next part of the answer.
func (s *sieve) write(b []byte) error {
	for len(b) > 0 {
		n := s.step(b)
		if err := s.limits(); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// limits checks what has grown.
func (s *sieve) limits() error {
	if s.element == copying && len(s.out)-s.start > s.size {
		s.cut()
	}
	if s.element == cutting && !s.dropping && len(s.member) > s.size {
		s.drop()
	}
	if s.strict && s.listed > s.keep {
		return errTooManyRows
	}
	if int64(len(s.out)) > s.max && (!s.fields.largest || !s.shrink()) {
		return &ResponseTooLargeError{Limit: s.max, Rows: s.rows}
	}
	return nil
}

// step takes one token, or a part of one, and returns its length.
func (s *sieve) step(b []byte) int {
	if s.inText {
		n := s.text(b)
		s.add(b[:n])
		if !s.inText && s.element != outside && s.depth == s.list {
			s.finish() // the element is a string
		}
		return n
	}
	c := b[0]
	if s.list != 0 && s.depth == s.list && s.element == outside {
		if c == ',' || c == ' ' || c == '\n' || c == '\t' || c == '\r' {
			return 1 // begin writes the commas
		}
		if c != ']' {
			s.begin(c)
		}
	}
	switch c {
	case '"':
		s.inText = true
		if s.depth == 1 && s.list == 0 {
			s.name = len(s.out)
		}
		s.add(b[:1])
	case '{', '[':
		s.depth++
		if s.element != cutting || s.depth > s.list+1 { // cut writes the brace of the element itself
			s.add(b[:1])
		}
		if c == '[' && s.list == 0 && s.depth <= 2 {
			s.enterList()
		}
	case '}', ']':
		if s.element != outside && s.depth == s.list { // a number or word, and the end of the list
			s.finish()
		}
		if s.element == cutting && s.depth == s.list+1 {
			s.endMember()
		} else if s.element != cutting || s.depth > s.list+1 {
			s.add(b[:1])
		}
		s.depth--
		switch {
		case s.element != outside && s.depth == s.list:
			s.finish()
		case s.depth < s.list:
			s.list = 0
		}
	case ',':
		switch {
		case s.element != outside && s.depth == s.list:
			s.finish()
		case s.element == cutting && s.depth == s.list+1:
			s.endMember()
		default:
			s.add(b[:1])
		}
	default:
		n := 1
		for n < len(b) && !structural[b[n]] {
			n++
		}
		s.add(b[:n])
		return n
	}
	return 1
}

var structural = [256]bool{'"': true, '{': true, '}': true, '[': true, ']': true, ',': true}

// text returns the length of the part of a string in b.
func (s *sieve) text(b []byte) int {
	for n := 0; n < len(b); {
		if s.esc {
			s.esc = false
			n++
			continue
		}
		n += plainRun(b[n:])
		if n == len(b) {
			break
		}
		switch b[n] {
		case '\\':
			s.esc = true
		case '"':
			s.inText = false
			return n + 1
		}
		n++
	}
	return len(b)
}

// add copies a part of the answer to where it belongs.
func (s *sieve) add(b []byte) {
	switch s.element {
	case outside, copying:
		s.out = append(s.out, b...)
	case cutting:
		if !s.dropping && s.depth > s.list {
			s.member = append(s.member, b...)
		}
	case passing:
	}
}

func (s *sieve) enterList() {
	s.list, s.listed, s.keep, s.strict, s.gone = s.depth, 0, s.most, s.exact, false
	if s.depth == 2 && bytes.HasPrefix(s.out[min(s.name, len(s.out)):], []byte(`"deletedEntries"`)) {
		s.keep, s.strict, s.gone = maxRows, false, true // a limit does not hold for these
		s.room = len(s.out) + int(s.max/goneShare)
	}
}

// begin begins an element with its first byte.
func (s *sieve) begin(c byte) {
	if !s.gone {
		s.rows++
	}
	if s.listed++; s.listed > s.keep || s.gone && (c != '{' || len(s.out) > s.room) {
		s.element = passing
		return
	}
	if s.out[len(s.out)-1] != '[' {
		s.out = append(s.out, ',')
	}
	s.element, s.start = copying, len(s.out)
	if s.gone {
		s.element, s.dropping, s.member = cutting, false, s.member[:0]
		s.out = append(s.out, '{')
	}
}

// finish ends an element.
func (s *sieve) finish() {
	if s.element == cutting {
		s.out = append(s.out, '}')
	}
	if s.fields.largest && s.element != passing {
		s.shells = append(s.shells, span{s.start, len(s.out)})
	}
	s.element, s.dropping = outside, false
}

// cut keeps the identifying fields of the current element so far, and goes on with those only.
func (s *sieve) cut() {
	text := bytes.Clone(s.out[s.start:])
	s.out = s.out[:s.start]
	if text[0] != '{' { // no row
		s.out = append(s.out, "null"...)
		s.element = passing
		if s.fields.largest {
			s.shells = append(s.shells, span{s.start, len(s.out)})
		}
		return
	}
	s.element, s.dropping, s.member = cutting, false, s.member[:0]
	s.out = append(s.out, '{')
	if s.fields.vital == nil {
		s.out = append(s.out, cutText...)
	}
	rest := members(text, s.put)
	s.member = append(s.member, rest...)
}

// endMember ends a member of a cut element.
func (s *sieve) endMember() {
	if !s.dropping {
		members(append(append([]byte{'{'}, s.member...), '}'), s.put)
	}
	s.dropping, s.member = false, s.member[:0]
}

// drop leaves the current member of a cut element out.
func (s *sieve) drop() {
	d := scanner{b: s.member, deepest: math.MaxInt}
	if name, err := d.key(); err == nil {
		s.put(name, nil)
	}
	s.dropping, s.member = true, s.member[:0]
}

// put writes a member of a cut element, unless it is longer than it may be. A nil value is too long.
func (s *sieve) put(name, value []byte) {
	limit := s.fields.limit(name)
	var text []byte
	switch {
	case limit > 0 && value != nil && len(value) <= min(limit, s.size) && len(s.out)-s.start < 4*s.size:
		text = slices.Concat([]byte{'"'}, name, []byte(`":`), value)
	case s.fields.vital[string(name)] && !bytes.Contains(s.out[s.start:], cutText):
		text = cutText
	default:
		return
	}
	if len(s.out) > s.start+1 {
		s.out = append(s.out, ',')
	}
	s.out = append(s.out, text...)
}

// shrink takes the vital fields out of the largest elements until half of the room is free, and reports whether there
// is room now.
func (s *sieve) shrink() bool {
	sizes := make([]int, len(s.shells))
	for i, e := range s.shells {
		sizes[i] = e.end - e.start
	}
	slices.Sort(sizes)
	small, total := 0, int64(0)
	for _, n := range sizes { // the largest size such that all up to it fit
		if total += int64(n); total > s.max/2 {
			small = min(small, n-1)
			break
		}
		small = n
	}
	old := s.out
	s.out = make([]byte, 0, s.max/2)
	at := 0
	element, start := s.element, s.start
	for i, e := range s.shells {
		s.out = append(s.out, old[at:e.start]...)
		s.start = len(s.out)
		if text := old[e.start:e.end]; len(text) <= small || text[0] != '{' {
			s.out = append(s.out, text...)
		} else {
			s.out = append(append(s.out, '{'), cutText...)
			members(text, func(name, value []byte) {
				if !s.fields.vital[string(name)] {
					s.put(name, value)
				}
			})
			s.out = append(s.out, '}')
		}
		s.shells[i] = span{s.start, len(s.out)}
		at = e.end
	}
	s.element, s.start = element, len(s.out)+start-at
	s.out = append(s.out, old[at:]...)
	return int64(len(s.out)) <= s.max
}

// members calls member with every complete member of an object, and returns the text from the first incomplete one.
// The object may end anywhere.
func members(object []byte, member func(name, value []byte)) (rest []byte) {
	d := scanner{b: object, deepest: math.MaxInt}
	d.i = 1
	for first := true; ; first = false {
		if c := d.peek(); c == '}' {
			return nil
		} else if !first && c == ',' {
			d.i++
		}
		d.peek()
		start := d.i
		if d.i >= len(d.b) {
			return nil
		}
		name, err := d.key()
		if err != nil {
			return object[start:]
		}
		name = bytes.Clone(name)
		value, err := d.raw()
		if end := d.peek(); err != nil || end != ',' && end != '}' {
			return object[start:]
		}
		member(name, value)
	}
}
