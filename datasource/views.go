package datasource

import (
	"html"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
)

// A view is a text in one of the forms that it can be read in. Each byte knows which bytes of the original it stands
// for.
type view struct {
	b        []byte
	from, to []int32
}

func (v *view) add(b byte, from, to int32) {
	v.b, v.from, v.to = append(v.b, b), append(v.from, from), append(v.to, to)
}

// addText adds a text that stands for the bytes from i to end of another view.
func (v *view) addText(text string, of *view, i, end int) {
	for j := range len(text) {
		v.add(text[j], of.from[i], of.to[end-1])
	}
}

const (
	// maxDepth of encodings inside each other, beside escapes, which are removed again and again.
	maxEncodings = 2
	maxEscapes   = 3
	// shortestCode is the number of characters from which a run is taken for base64; hexadecimal takes twice a value.
	shortestCode = 6
)

// views returns a text, and what it is when escapes, base64, base32, hexadecimal digits or lists of bytes in it are decoded. It
// returns nil for a text with too many views.
func views(text string) []view {
	v := view{b: []byte(text), from: make([]int32, len(text)), to: make([]int32, len(text))}
	for i := range v.from {
		v.from[i], v.to[i] = int32(i), int32(i+1) //nolint:gosec // texts of errors are short
	}
	room := maxViews
	all := v.decoded(maxEncodings, &room)
	if room < 0 {
		return nil
	}
	return all
}

func (v view) decoded(depth int, room *int) []view {
	all := []view{v}
	for *room -= len(v.b); len(all) <= maxEscapes && *room >= 0; {
		plain, changed := all[len(all)-1].unescaped()
		if !changed {
			break
		}
		*room -= len(plain.b)
		all = append(all, plain)
	}
	if depth == 0 {
		return all
	}
	for _, v := range all[:len(all):len(all)] {
		for _, inner := range slices.Concat(v.base64(), v.base32(), v.hexadecimal(), v.numbers(), v.members()) {
			if *room < 0 {
				return all
			}
			all = append(all, inner.decoded(depth-1, room)...)
		}
	}
	return all
}

// unescaped removes the escapes of URLs, JSON, Go, JavaScript and HTML once.
func (v *view) unescaped() (out view, changed bool) {
	for i := 0; i < len(v.b); {
		text, n := unescape(string(v.b[i:min(len(v.b), i+12)]))
		if n == 0 {
			out.add(v.b[i], v.from[i], v.to[i])
			i++
			continue
		}
		out.addText(text, v, i, i+n)
		changed = true
		i += n
	}
	return out, changed
}

// unescape reads one escape at the start of s. n is its length, 0 when there is none.
func unescape(s string) (text string, n int) {
	code := func(skip, digits int) (string, int) {
		if len(s) < skip+digits {
			return "", 0
		}
		c, err := strconv.ParseUint(s[skip:skip+digits], 16, 32)
		if err != nil {
			return "", 0
		}
		if digits == 2 && skip < 3 { // a byte, except in \u{e9}
			return string([]byte{byte(c)}), skip + digits //nolint:gosec // of two digits
		}
		return string(rune(c)), skip + digits //nolint:gosec // at most eight digits; what is no character becomes U+FFFD
	}
	if len(s) < 2 {
		return "", 0
	}
	switch {
	case s[0] == '%' && (s[1] == 'u' || s[1] == 'U'):
		return code(2, 4)
	case s[0] == '%' || s[0] == '=':
		return code(1, 2)
	case s[0] == '&':
		if end := strings.IndexByte(s, ';'); end > 1 {
			if plain := html.UnescapeString(s[:end+1]); plain != s[:end+1] {
				return plain, end + 1
			}
		}
	case s[0] == '\\':
		switch s[1] {
		case 'u':
			if strings.HasPrefix(s, `\u{`) {
				if end := strings.IndexByte(s, '}'); end > 3 {
					text, n := code(3, end-3)
					return text, min(n, 1) * (n + 1)
				}
			}
			if high, n := unit(s); n > 0 && utf16.IsSurrogate(high) {
				if low, m := unit(s[n:]); m > 0 {
					return string(utf16.DecodeRune(high, low)), n + m
				}
			}
			return code(2, 4)
		case 'U':
			return code(2, 8)
		case 'x', 'X':
			return code(2, 2)
		case 'n', 'r', 't', 'b', 'f', 'v', 'a':
			return " ", 2
		case '"', '\'', '\\', '/', '`':
			return s[1:2], 2
		}
		if '0' <= s[1] && s[1] <= '7' && len(s) >= 4 {
			if c, err := strconv.ParseUint(s[1:4], 8, 8); err == nil {
				return string([]byte{byte(c)}), 4
			}
		}
	}
	return "", 0
}

// unit reads \uXXXX.
func unit(s string) (r rune, n int) {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
		return 0, 0
	}
	c, err := strconv.ParseUint(s[2:6], 16, 16)
	if err != nil {
		return 0, 0
	}
	return rune(c), 6
}

// base64 decodes runs of characters of both alphabets, at each of the four places where a group can begin.
func (v *view) base64() []view {
	value := func(c byte) int {
		switch {
		case 'A' <= c && c <= 'Z':
			return int(c - 'A')
		case 'a' <= c && c <= 'z':
			return int(c-'a') + 26
		case '0' <= c && c <= '9':
			return int(c-'0') + 52
		case c == '+', c == '-':
			return 62
		case c == '/', c == '_':
			return 63
		}
		return -1
	}
	var out []view
	v.runs(func(c byte) bool { return value(c) >= 0 }, func(run []int) {
		if len(run) < shortestCode {
			return
		}
		for shift := range 4 {
			var d view
			for i := shift; i+1 < len(run); i += 4 {
				group := run[i:min(len(run), i+4)]
				bits := 0
				for j := range 4 {
					bits <<= 6
					if j < len(group) {
						bits |= value(v.b[group[j]])
					}
				}
				for j := range len(group) - 1 {
					d.add(byte(bits>>(16-8*j)), v.from[group[0]], v.to[group[len(group)-1]]) //nolint:gosec // the lowest eight bits
				}
			}
			out = append(out, d)
		}
	})
	return out
}

// base32 decodes runs of its characters, at each of the eight places where a group can begin.
func (v *view) base32() []view {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	var out []view
	v.runs(func(c byte) bool { return strings.IndexByte(alphabet, c) >= 0 }, func(run []int) {
		for shift := 0; shift < 8 && len(run) >= shortestCode; shift++ {
			var d view
			bits, n := 0, 0
			for i := shift; i < len(run); i++ {
				bits, n = bits<<5&0xFFFF|strings.IndexByte(alphabet, v.b[run[i]]), n+5
				if n >= 8 {
					n -= 8
					d.add(byte(bits>>n), v.from[run[max(i-1, 0)]], v.to[run[i]]) //nolint:gosec // the lowest eight bits
				}
			}
			out = append(out, d)
		}
	})
	return out
}

// runs calls take with the places of each run of characters. Line ends inside are left out, as in folded base64.
func (v *view) runs(in func(byte) bool, take func(run []int)) {
	var run []int
	for i, c := range v.b {
		switch {
		case in(c):
			run = append(run, i)
		case c == '\n' || c == '\r':
		default:
			take(run)
			run = run[:0]
		}
	}
	take(run)
}

// hexadecimal decodes runs of hexadecimal digits, also with signs or 0x between the bytes, in both groupings.
func (v *view) hexadecimal() []view {
	var out []view
	var run []int
	take := func() {
		for shift := 0; shift < 2 && len(run) >= 2*shortest; shift++ {
			var d view
			for i := shift; i+1 < len(run); i += 2 {
				high, low := run[i], run[i+1]
				c, _ := strconv.ParseUint(string([]byte{v.b[high], v.b[low]}), 16, 8) // digits always parse
				d.add(byte(c), v.from[high], v.to[low])
			}
			out = append(out, d)
		}
		run = run[:0]
	}
	for i := 0; i < len(v.b); i++ {
		c := v.b[i]
		switch {
		case c == '0' && i+1 < len(v.b) && (v.b[i+1] == 'x' || v.b[i+1] == 'X'):
			i++
		case '0' <= c && c <= '9', 'a' <= c && c <= 'f', 'A' <= c && c <= 'F':
			run = append(run, i)
		case strings.IndexByte(" ,:;-\t\r\n\\x", c) >= 0:
		default:
			take()
		}
	}
	take()
	return out
}

// numbers decodes lists of bytes in decimal, as Go and JavaScript print them.
func (v *view) numbers() []view {
	var out []view
	var d view
	take := func() {
		if len(d.b) >= shortest {
			out = append(out, d)
		}
		d = view{}
	}
	for i := 0; i < len(v.b); {
		c := v.b[i]
		if c < '0' || c > '9' {
			if strings.IndexByte(" ,;\t\r\n", c) < 0 {
				take()
			}
			i++
			continue
		}
		end := i
		for end < len(v.b) && '0' <= v.b[end] && v.b[end] <= '9' {
			end++
		}
		if n, err := strconv.ParseUint(string(v.b[i:end]), 10, 8); err == nil {
			d.add(byte(n), v.from[i], v.to[end-1])
		} else {
			take()
		}
		i = end
	}
	take()
	return out
}

// member finds one of a list that is written as an object, such as {"0":84,"1":114}.
var member = regexp.MustCompile(`(\d{1,6})["']?\s*[:=]\s*(\d{1,3})`)

// members decodes lists of bytes that JavaScript writes as objects: typed arrays.
func (v *view) members() []view {
	var out []view
	var d view
	next := 0
	take := func() {
		if len(d.b) >= shortest {
			out = append(out, d)
		}
		d = view{}
	}
	for _, m := range member.FindAllSubmatchIndex(v.b, -1) {
		at, _ := strconv.Atoi(string(v.b[m[2]:m[3]])) // digits always parse
		if at != next {
			take()
		}
		if n, err := strconv.ParseUint(string(v.b[m[4]:m[5]]), 10, 8); err == nil {
			d.add(byte(n), v.from[m[2]], v.to[m[5]-1])
		} else {
			take()
		}
		next = at + 1
	}
	take()
	return out
}
