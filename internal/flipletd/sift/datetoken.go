package sift

type dateKind uint8

const (
	dateEnd dateKind = iota
	dateInvalid
	dateNumber
	dateSymbol
	dateSpace
	dateOther // skipped: parentheses and characters without a meaning
	dateWord  // a word without a meaning
	dateMonth
	dateHalfDay
	dateZoneName
	dateSeparatorT
)

// dateToken is one piece of a date text. value is a number, a symbol's
// character, or what a word stands for.
type dateToken struct {
	kind          dateKind
	value, length int
}

func (t dateToken) isSymbol(c byte) bool { return t.kind == dateSymbol && t.value == int(c) }
func (t dateToken) isSign() bool         { return t.isSymbol('+') || t.isSymbol('-') }
func (t dateToken) isFixed(n int) bool   { return t.kind == dateNumber && t.length == n }
func (t dateToken) isZ() bool            { return t.kind == dateZoneName && t.length == 1 }
func (t dateToken) isWord() bool         { return t.kind >= dateWord }

// dateScanner splits a date text into tokens and holds one of them ahead.
type dateScanner struct {
	s    string
	pos  int
	peek dateToken
}

func (s *dateScanner) next() dateToken {
	t := s.peek
	s.advance()
	return t
}

func (s *dateScanner) skip(symbol byte) bool {
	if !s.peek.isSymbol(symbol) {
		return false
	}
	s.advance()
	return true
}

func (s *dateScanner) advance() { s.peek = s.scan() }

func (s *dateScanner) scan() dateToken {
	if s.pos >= len(s.s) {
		return dateToken{kind: dateEnd}
	}
	switch c := s.s[s.pos]; c {
	case ':', '-', '+', '.', ')':
		s.pos++
		return dateToken{kind: dateSymbol, value: int(c), length: 1}
	case '(':
		s.skipParentheses()
		return dateToken{kind: dateOther}
	default:
		if isDigit(c) {
			return s.number()
		}
	}
	r, size := decodeUnit(s.s[s.pos:])
	switch {
	case isDateSpace(r):
		s.pos += size
		return dateToken{kind: dateSpace, length: 1}
	case r >= 'A':
		return s.word()
	}
	s.pos += size
	return dateToken{kind: dateOther}
}

// isDateSpace is isSpace without the two Unicode line separators, which dates
// take for letters.
func isDateSpace(r rune) bool { return r != 0x2028 && r != 0x2029 && isSpace(r) }

// number reads digits. Only nine of them count, leading zeros aside.
func (s *dateScanner) number() dateToken {
	start := s.pos
	for s.pos < len(s.s) && s.s[s.pos] == '0' {
		s.pos++
	}
	n := 0
	for significant := 0; s.pos < len(s.s) && isDigit(s.s[s.pos]); s.pos++ {
		if significant < 9 {
			n = n*10 + int(s.s[s.pos]-'0')
			significant++
		}
	}
	return dateToken{kind: dateNumber, value: n, length: s.pos - start}
}

// word reads a run of letters and whatever else sorts after "A". Words are
// known by their first three letters; only months may be longer.
func (s *dateScanner) word() dateToken {
	var prefix [3]byte
	length := 0
	for s.pos < len(s.s) {
		r, size := decodeUnit(s.s[s.pos:])
		if r < 'A' || isDateSpace(r) {
			break
		}
		if length < len(prefix) && r < 0x80 {
			prefix[length] = byte(r) | 0x20
		} else if length < len(prefix) {
			prefix[length] = 0xFF // matches nothing
		}
		length++
		s.pos += size
	}
	t := dateToken{kind: dateWord, length: length}
	word := string(prefix[:min(length, len(prefix))])
	if month := monthNumber(word); month > 0 {
		t.kind, t.value = dateMonth, month
		return t
	}
	if length > len(prefix) {
		return t
	}
	switch word {
	case "am":
		t.kind, t.value = dateHalfDay, 0
	case "pm":
		t.kind, t.value = dateHalfDay, 12
	case "t":
		t.kind = dateSeparatorT
	case "z", "ut", "utc", "gmt":
		t.kind, t.value = dateZoneName, 0
	case "edt":
		t.kind, t.value = dateZoneName, -4
	case "est", "cdt":
		t.kind, t.value = dateZoneName, -5
	case "cst", "mdt":
		t.kind, t.value = dateZoneName, -6
	case "mst", "pdt":
		t.kind, t.value = dateZoneName, -7
	case "pst":
		t.kind, t.value = dateZoneName, -8
	}
	return t
}

func monthNumber(word string) int {
	switch word {
	case "jan":
		return 1
	case "feb":
		return 2
	case "mar":
		return 3
	case "apr":
		return 4
	case "may":
		return 5
	case "jun":
		return 6
	case "jul":
		return 7
	case "aug":
		return 8
	case "sep":
		return 9
	case "oct":
		return 10
	case "nov":
		return 11
	case "dec":
		return 12
	}
	return 0
}

func (s *dateScanner) skipParentheses() {
	for depth := 0; s.pos < len(s.s); {
		switch s.s[s.pos] {
		case '(':
			depth++
		case ')':
			depth--
		}
		s.pos++
		if depth == 0 {
			return
		}
	}
}

// milliseconds reads the digits after a second's dot: "5" is 500, and digits
// after the third are dropped.
func milliseconds(t dateToken) int {
	n := t.value
	switch t.length {
	case 1:
		return n * 100
	case 2:
		return n * 10
	}
	for length := min(t.length, 9); length > 3; length-- {
		n /= 10
	}
	return n
}
