package rowquery

import (
	"cmp"
	"math"
	"strings"
)

// decimal is a JSON number without rounding. It points into the spelling it
// was read from, so reading and comparing allocate nothing.
type decimal struct {
	negative bool
	// whole and fraction are the digits around the point as written.
	whole, fraction string
	// first is the offset of the first digit other than 0 in whole+fraction,
	// count the number of digits from there without closing zeros; count is
	// 0 for zero.
	first, count int
	// exponent is the power of ten written after the e.
	exponent int
}

// maxExponent caps a written exponent: beyond any number PostgreSQL can hold
// and small enough for sums of lengths and exponents not to overflow.
const maxExponent = 1 << 30

// parseDecimal reads a JSON number. It reports false for any other text.
func parseDecimal(s string) (decimal, bool) {
	var d decimal
	s, d.negative = strings.CutPrefix(s, "-")
	d.whole, s = cutDigits(s)
	if d.whole == "" || len(d.whole) > 1 && d.whole[0] == '0' {
		return d, false
	}
	if after, ok := strings.CutPrefix(s, "."); ok {
		if d.fraction, s = cutDigits(after); d.fraction == "" {
			return d, false
		}
	}
	if s != "" {
		var ok bool
		if d.exponent, ok = parseExponent(s); !ok {
			return d, false
		}
	}
	last := len(d.whole) + len(d.fraction) - 1
	for d.first <= last && d.digit(d.first) == '0' {
		d.first++
	}
	for last >= d.first && d.digit(last) == '0' {
		last--
	}
	d.count = last - d.first + 1
	if d.count == 0 {
		d.negative = false // jsonb has no negative zero
	}
	return d, true
}

func cutDigits(s string) (digits, rest string) {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return s[:n], s[n:]
}

func parseExponent(s string) (int, bool) {
	if s[0] != 'e' && s[0] != 'E' {
		return 0, false
	}
	s, negative := strings.CutPrefix(s[1:], "-")
	if !negative {
		s = strings.TrimPrefix(s, "+")
	}
	digits, rest := cutDigits(s)
	if digits == "" || rest != "" {
		return 0, false
	}
	n := 0
	for _, c := range []byte(digits) {
		n = min(n*10+int(c-'0'), maxExponent)
	}
	if negative {
		n = -n
	}
	return n, true
}

func (d decimal) digit(i int) byte {
	if i < len(d.whole) {
		return d.whole[i]
	}
	return d.fraction[i-len(d.whole)]
}

// magnitude is the power of ten of the first digit: 0 for 1 to 9.99….
func (d decimal) magnitude() int { return len(d.whole) - d.first - 1 + d.exponent }

func (d decimal) equal(o decimal) bool {
	if d.count != o.count || d.negative != o.negative {
		return false
	}
	if d.count > 0 && d.magnitude() != o.magnitude() {
		return false
	}
	for i := range d.count {
		if d.digit(d.first+i) != o.digit(o.first+i) {
			return false
		}
	}
	return true
}

// equalNumbers compares two spellings by value: 1, 1.0 and 1e0 are equal,
// 9007199254740993 and 9007199254740992 are not.
func equalNumbers(a, b string) bool {
	if a == b {
		return true
	}
	x, okX := parseDecimal(a)
	y, okY := parseDecimal(b)
	return okX && okY && x.equal(y)
}

// integerBound is where a decimal stands among the integers of a column.
type integerBound struct {
	// floor is the highest integer that is not above the decimal.
	floor int64
	// fraction says that the decimal is above floor.
	fraction bool
	// below says that the decimal is under every int64; floor means nothing.
	below bool
}

// compare orders an integer of a row against the decimal.
func (b integerBound) compare(n int64) int {
	switch {
	case b.below:
		return 1
	case n > b.floor:
		return 1
	case n < b.floor || b.fraction:
		return -1
	}
	return 0
}

// integer returns the decimal when a row can hold it.
func (b integerBound) integer() (int64, bool) { return b.floor, !b.fraction && !b.below }

func (b integerBound) order(o integerBound) int {
	switch {
	case b.below || o.below:
		return compareBools(o.below, b.below)
	case b.floor != o.floor:
		return cmp.Compare(b.floor, o.floor)
	}
	return compareBools(b.fraction, o.fraction)
}

var (
	underIntegers = integerBound{below: true}
	overIntegers  = integerBound{floor: math.MaxInt64, fraction: true}
)

// bound rounds down.
func (d decimal) bound() integerBound {
	magnitude := d.magnitude()
	switch {
	case d.count == 0:
		return integerBound{}
	case magnitude < 0 && d.negative:
		return integerBound{floor: -1, fraction: true}
	case magnitude < 0:
		return integerBound{fraction: true}
	case magnitude > 18 && d.negative:
		return underIntegers
	case magnitude > 18:
		return overIntegers
	}
	var n uint64 // at most 19 digits, which fit without a sign
	for i := range magnitude + 1 {
		n *= 10
		if i < d.count {
			n += uint64(d.digit(d.first+i) - '0')
		}
	}
	fraction := d.count > magnitude+1
	switch {
	case !d.negative && n > math.MaxInt64:
		return overIntegers
	case !d.negative:
		return integerBound{floor: int64(n), fraction: fraction}
	case n > 1<<63 || n == 1<<63 && fraction:
		return underIntegers
	case fraction:
		return integerBound{floor: -int64(n) - 1, fraction: true}
	}
	return integerBound{floor: -int64(n)}
}
