package rowquery

import (
	"strconv"
	"strings"
)

// pgSpace is what PostgreSQL's input functions skip around a value.
const pgSpace = " \t\n\v\f\r"

// parseFloat reads text as PostgreSQL casts it to double precision. Numbers
// that are too large or too small for the type are refused, as there.
func parseFloat(text string) (float64, bool) {
	text = strings.Trim(text, pgSpace)
	digits, hex := cutHexPrefix(text)
	if hex && !strings.ContainsAny(digits, "pP") {
		text += "p0" // optional in C, not in Go
	}
	if strings.Contains(text, "_") {
		return 0, false // Go's, not C's
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return 0, false
	}
	if f == 0 && hasNonZeroDigit(digits, hex) {
		return 0, false
	}
	return f, true
}

func cutHexPrefix(text string) (digits string, hex bool) {
	digits = strings.TrimLeft(text, "+-")
	if len(digits) > 2 && digits[0] == '0' && digits[1]|0x20 == 'x' {
		return digits[2:], true
	}
	return digits, false
}

func hasNonZeroDigit(digits string, hex bool) bool {
	if hex {
		mantissa, _, _ := strings.Cut(strings.ToLower(digits), "p")
		return strings.ContainsAny(mantissa, "123456789abcdef")
	}
	if e := strings.IndexAny(digits, "eE"); e >= 0 {
		digits = digits[:e]
	}
	return strings.ContainsAny(digits, "123456789")
}

// parseBool reads text as PostgreSQL casts it to boolean: true, yes, on, 1,
// false, no, off, 0, in any case and shortened as long as that is clear.
func parseBool(text string) (value, ok bool) {
	text = strings.Trim(text, pgSpace)
	switch {
	case text == "1", isShortFor(text, "true", 1), isShortFor(text, "yes", 1), isShortFor(text, "on", 2):
		return true, true
	case text == "0", isShortFor(text, "false", 1), isShortFor(text, "no", 1), isShortFor(text, "off", 2):
		return false, true
	}
	return false, false
}

func isShortFor(text, word string, least int) bool {
	return len(text) >= least && len(text) <= len(word) && strings.EqualFold(text, word[:len(text)])
}

// parseInteger reads text as PostgreSQL takes it for a bigint.
func parseInteger(text string) (int64, bool) {
	n, err := strconv.ParseInt(strings.Trim(text, pgSpace), 10, 64)
	return n, err == nil
}
