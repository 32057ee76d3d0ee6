package sift

import (
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"
)

// toNumber is JavaScript's Number(text): surrounding white space is ignored,
// empty text is 0, and anything that is not wholly a number is NaN.
func toNumber(s string) float64 {
	s = strings.TrimFunc(s, isSpace)
	if s == "" {
		return 0
	}
	if len(s) > 2 && s[0] == '0' {
		switch s[1] {
		case 'x', 'X':
			return wholeNumber(s[2:], 16)
		case 'o', 'O':
			return wholeNumber(s[2:], 8)
		case 'b', 'B':
			return wholeNumber(s[2:], 2)
		}
	}
	if n := decimalPrefix(s); n == 0 || n != len(s) {
		return math.NaN()
	}
	return decimal(s)
}

// parseFloat is JavaScript's parseFloat: the longest leading decimal number,
// NaN when there is none.
func parseFloat(s string) float64 {
	s = strings.TrimLeftFunc(s, isSpace)
	n := decimalPrefix(s)
	if n == 0 {
		return math.NaN()
	}
	return decimal(s[:n])
}

// rangeNumber turns text into the number that $gt, $gte, $lt and $lte compare, as
// Fliplet's fork does: text holding a date is its time in milliseconds, other text
// loses its first run of foreign characters and goes through parseFloat.
// So "$10" is 10, "1,234" is 1, "1e3" is 13 and "31/12/2023" is 3112.
func rangeNumber(s string) float64 {
	if holdsDate(s) {
		return parseDate(s)
	}
	from := 0
	for from < len(s) && isNumberByte(s[from]) {
		from++
	}
	to := from
	for to < len(s) && !isNumberByte(s[to]) {
		to++
	}
	switch {
	case from == 0:
		return parseFloat(s[to:])
	case to == len(s):
		return parseFloat(s[:from])
	}
	return parseFloat(s[:from] + s[to:])
}

func isNumberByte(c byte) bool {
	return isDigit(c) || c == ',' || c == '.' || c == '-'
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// isSpace reports what JavaScript trims: white space and line terminators.
func isSpace(r rune) bool {
	switch r {
	case '\t', '\n', '\v', '\f', '\r', ' ', 0xA0, 0x1680, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000, 0xFEFF:
		return true
	}
	return 0x2000 <= r && r <= 0x200A
}

// decimalPrefix returns the length of the longest prefix of s that JavaScript
// reads as a decimal number, 0 for none. Go's own syntax is wider (hexadecimal
// floats, "inf", underscores), which is why s is measured first.
func decimalPrefix(s string) int {
	i := 0
	if i < len(s) && (s[i] == '+' || s[i] == '-') {
		i++
	}
	if strings.HasPrefix(s[i:], "Infinity") {
		return i + len("Infinity")
	}
	whole := digits(s[i:])
	i += whole
	fraction := 0
	if i < len(s) && s[i] == '.' {
		fraction = digits(s[i+1:])
		if whole+fraction > 0 {
			i += 1 + fraction
		}
	}
	if whole+fraction == 0 {
		return 0
	}
	if i < len(s) && (s[i] == 'e' || s[i] == 'E') {
		j := i + 1
		if j < len(s) && (s[j] == '+' || s[j] == '-') {
			j++
		}
		if n := digits(s[j:]); n > 0 {
			i = j + n
		}
	}
	return i
}

func digits(s string) int {
	n := 0
	for n < len(s) && isDigit(s[n]) {
		n++
	}
	return n
}

// decimal converts text that decimalPrefix has measured. Out of range values
// become an infinity or zero, as in JavaScript, so that error is not one.
func decimal(s string) float64 {
	f, _ := strconv.ParseFloat(s, 64)
	return f
}

func wholeNumber(s string, base int) float64 {
	if n, err := strconv.ParseUint(s, base, 64); err == nil {
		return float64(n)
	}
	for i := range len(s) {
		if c := s[i]; !isDigit(c) && (c|0x20 < 'a' || c|0x20 > 'f') {
			return math.NaN() // big.Int would also take signs and underscores
		}
	}
	n, ok := new(big.Int).SetString(s, base)
	if !ok {
		return math.NaN()
	}
	f, _ := new(big.Float).SetInt(n).Float64()
	return f
}

// appendNumber appends JavaScript's String(f).
func appendNumber(dst []byte, f float64) []byte {
	switch {
	case math.IsNaN(f):
		return append(dst, "NaN"...)
	case math.IsInf(f, 1):
		return append(dst, "Infinity"...)
	case math.IsInf(f, -1):
		return append(dst, "-Infinity"...)
	case f == 0:
		return append(dst, '0') // negative zero too
	}
	if abs := math.Abs(f); abs >= 1e-6 && abs < 1e21 {
		return strconv.AppendFloat(dst, f, 'f', -1, 64)
	}
	start := len(dst)
	dst = strconv.AppendFloat(dst, f, 'e', -1, 64)
	// Go pads the exponent to two digits, JavaScript does not.
	if n := len(dst); n-start > 4 && dst[n-2] == '0' && (dst[n-3] == '-' || dst[n-3] == '+') {
		dst = append(dst[:n-2], dst[n-1])
	}
	return dst
}

// arrayIndex returns the index that key names in canonical form ("0", "17",
// never "01"), or -1.
func arrayIndex(key string) int {
	const longest = len("4294967294") // the largest index JavaScript allows
	if key == "" || len(key) > longest || digits(key) != len(key) || key[0] == '0' && len(key) > 1 {
		return -1
	}
	n, err := strconv.ParseUint(key, 10, 32)
	if err != nil || n == math.MaxUint32 {
		return -1
	}
	return int(n)
}

// utf16Len is JavaScript's text length: code units, two for a rune above
// U+FFFF.
func utf16Len(s string) int {
	n := 0
	for i := 0; i < len(s); {
		r, size := decodeUnit(s[i:])
		i += size
		n++
		if r > 0xFFFF {
			n++
		}
	}
	return n
}

// unitAt returns the UTF-16 code unit of s at an index. Half of a surrogate
// pair comes back in its three-byte form, which equals no valid text, as half
// a character should.
func unitAt(s string, index int) (string, bool) {
	for i := 0; i < len(s); {
		r, size := decodeUnit(s[i:])
		switch {
		case index == 0 && r <= 0xFFFF:
			return s[i : i+size], true
		case index == 0:
			return surrogate(0xD800 + (r-0x10000)>>10), true
		case index == 1 && r > 0xFFFF:
			return surrogate(0xDC00 + (r-0x10000)&0x3FF), true
		}
		index--
		if r > 0xFFFF {
			index--
		}
		i += size
	}
	return "", false
}

func surrogate(r rune) string {
	return string([]byte{0xED, 0x80 | byte(r>>6)&0x3F, 0x80 | byte(r)&0x3F})
}

// decodeUnit is utf8.DecodeRuneInString that takes the three bytes of a
// surrogate as one.
func decodeUnit(s string) (rune, int) {
	r, size := utf8.DecodeRuneInString(s)
	if r == utf8.RuneError && size == 1 && len(s) >= 3 && s[0] == 0xED && s[1] >= 0xA0 {
		return r, 3
	}
	return r, size
}
