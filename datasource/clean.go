package datasource

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf16"
)

// terminal finds the sequences that make a terminal do something: colours, titles, links. ESC [ has a form of one
// character, too.
var terminal = regexp.MustCompile("(?:\x1b\\[|\u009b)[0-?]*[ -/]*[@-~]?|(?:\x1b[\\]PX^_]|[\u009d\u0090\u0098\u009e\u009f])[^\x07\x1b\u009c]*(?:\x07|\x1b\\\\|\u009c)?|\x1b[ -/]*[0-~]?")

// invisible are the characters that change how the text around them is shown, or that are not shown: marks of
// direction, joiners, variation selectors, fillers, private ones.
var invisible = []*unicode.RangeTable{unicode.Cf, unicode.Co, unicode.Cs, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point}

// oneLine makes one harmless line of a text from outside, for errors and logs.
func oneLine(text string) string {
	if plainLine(text) {
		return text
	}
	text = terminal.ReplaceAllString(strings.ToValidUTF8(text, ""), "")
	return strings.Map(visible, text)
}

// visible replaces controls by spaces and removes what cannot be seen.
func visible(r rune) rune {
	switch {
	case unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp):
		return ' '
	case unicode.In(r, invisible...):
		return -1
	}
	return r
}

// visibleEscapes does for the escapes in a text of JSON what visible does for characters.
func visibleEscapes(text string) string {
	if !strings.Contains(text, `\`) {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); {
		n := 1
		r := rune(text[i]) // of an escape; anything else is visible already
		if r == '\\' && i+1 < len(text) {
			n = 2
			switch text[i+1] {
			case 'b', 'f', 'n', 'r', 't':
				r = '\n'
			case 'u':
				var units int
				if r, units = unit(text[i:]); units == 0 {
					break
				}
				n = units
				if low, m := unit(text[i+n:]); m > 0 && utf16.IsSurrogate(r) {
					if pair := utf16.DecodeRune(r, low); pair != unicode.ReplacementChar {
						r, n = pair, n+m
					}
				}
			}
			switch shown := visible(r); {
			case r == '"' || r == '\\' || shown == r: // as it is written
			case shown == ' ':
				b.WriteByte(' ')
				i += n
				continue
			default:
				i += n
				continue
			}
		}
		b.WriteString(text[i : i+n])
		i += n
	}
	return b.String()
}

// plainLine reports whether a text is printable ASCII, as most are.
func plainLine(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' {
			return false
		}
	}
	return true
}
