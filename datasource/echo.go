package datasource

import (
	"bytes"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// What a server writes into an error may repeat what it was sent: a token, a body, a password, a condition. Below,
// the server's text is decoded in every usual way (views.go), and what a decoded form has in common with the request
// is removed. Only letters and digits are compared, without case, so that neither a change of case nor signs in
// between hide a repetition.

const (
	// gram is the number of letters and digits that a text may not have in common with a longer value.
	gram = 8
	// shortest is the length of the values that are looked for. They have to stand alone when they are shorter than a
	// gram.
	shortest = 4
)

// ordinary are texts of the API itself, which say nothing about the request.
var ordinary = []string{"select", "insert", "update", "delete", "conversation", "updatedat", "createdat", "true", "false"}

// notInside are the names of members that hold columns, or objects of the API, and not the value of a column.
var notInside = map[string]bool{"data": true, "entries": true, "where": true, "definition": true, "$and": true, "$or": true, "$nor": true, "$not": true}

// values are the texts that a request consists of. Names of columns are not among them, those inside a column's value
// are.
type values struct {
	texts []string
	room  int
}

// values returns what must not come back in an error.
func (c *Client) values(cl *call) []string {
	v := values{texts: []string{c.token()}, room: maxCompared}
	if cl == nil {
		return v.texts
	}
	v.addQuery(cl.query)
	if u, err := url.Parse(cl.target); err == nil {
		v.addQuery(u.RawQuery)
	}
	switch {
	case cl.form != nil:
		for _, text := range cl.form.values {
			v.addText(text, true)
		}
		for _, part := range cl.form.chunks {
			if part.file {
				v.add(string(part.bytes[:min(len(part.bytes), v.room)]))
			}
		}
	case cl.mime != "":
		v.addQuery(string(cl.body))
	default:
		v.addText(string(cl.body), false)
	}
	return v.texts
}

func (v *values) add(text string) {
	if text = text[:min(len(text), v.room)]; text != "" {
		v.room -= len(text)
		v.texts = append(v.texts, text)
	}
}

func (v *values) addQuery(query string) {
	parsed, _ := url.ParseQuery(query) // what can be parsed is enough: the client wrote it
	for _, list := range parsed {
		for _, text := range list {
			v.addText(text, false)
		}
	}
}

// addText adds a text, and if it is JSON the values in it. inside: it is the value of a column.
func (v *values) addText(text string, inside bool) {
	if trimmed := strings.TrimLeft(text, " \t\r\n"); trimmed == "" || trimmed[0] != '{' && trimmed[0] != '[' || !v.addJSON(text, inside) {
		v.add(text)
	}
}

func (v *values) addJSON(text string, inside bool) bool {
	if len(text) > v.room {
		return false
	}
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	var whole any
	if dec.Decode(&whole) != nil {
		return false
	}
	v.walk(whole, inside)
	return true
}

// walk adds the values in a decoded one. inside: it is in the value of a column, so that the names of its members are
// values, too. Elsewhere the name of a member is one if it looks like an address.
func (v *values) walk(value any, inside bool) {
	switch value := value.(type) {
	case M:
		for name, inner := range value {
			if inside && !strings.HasPrefix(name, "$") || strings.Contains(name, "@") {
				v.add(name)
			}
			v.walk(inner, inside || !notInside[name])
		}
	case []any:
		for _, inner := range value {
			v.walk(inner, inside)
		}
	case string:
		v.addText(value, true) // perhaps JSON again
	case json.Number:
		v.add(value.String())
	}
}

// repeated returns which bytes of a text repeat one of the values; nil when none does.
func repeated(text string, values []string) []bool {
	if text == "" {
		return nil
	}
	var found []bool
	mark := func(from, to int) {
		if found == nil {
			found = make([]bool, len(text))
		}
		for i := from; i < to; i++ {
			found[i] = true
		}
	}
	all := views(text)
	if all == nil {
		mark(0, len(text))
		return found
	}
	plain := make([]letters, len(all))
	grams := &gramIndex{places: map[[gram]rune][]position{}}
	words := map[string][]position{}
	for i, v := range all {
		plain[i] = v.letters()
		plain[i].index(i, grams, words)
	}
	report := func(places []position, n int) {
		for _, p := range places {
			l := plain[p.view]
			mark(l.from[p.at], l.to[p.at+n-1])
		}
	}
	for _, value := range values {
		have := lettersOf(value)
		switch {
		case len(have) < shortest && len(value) >= shortest:
			for _, v := range all { // nothing but signs: compared as it is
				for at := 0; ; at++ {
					n := bytes.Index(v.b[at:], []byte(value))
					if n < 0 {
						break
					}
					at += n
					mark(int(v.from[at]), int(v.to[at+len(value)-1]))
				}
			}
		case len(have) < shortest || slices.Contains(ordinary, string(have)):
		case len(have) < gram:
			report(words[string(have)], len(have))
		default:
			for at := 0; at+gram <= len(have); at++ {
				report(grams.find(have[at:at+gram]), gram)
			}
		}
	}
	return found
}

// withoutEcho replaces what a text repeats of the values, up to the ends of the words.
func withoutEcho(text string, values []string) string {
	found := repeated(text, values)
	if found == nil {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); {
		if !found[i] {
			end := i + 1
			for end < len(text) && !found[end] {
				end++
			}
			keep := text[i:end]
			if i > 0 {
				keep = keep[wordEnd(keep):]
			}
			if end < len(text) {
				keep = keep[:wordStart(keep)]
			}
			b.WriteString(keep)
			i = end
			continue
		}
		if !strings.HasSuffix(b.String(), redacted) {
			b.WriteString(redacted)
		}
		for i < len(text) && found[i] {
			i++
		}
	}
	return b.String()
}

// inWord are the characters that values and their encodings consist of.
func inWord(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune(`-_%+/=\&#;@.`, r) || r == utf8.RuneError
}

// wordEnd is where the word ends with which a text begins.
func wordEnd(text string) int {
	if i := strings.IndexFunc(text, func(r rune) bool { return !inWord(r) }); i >= 0 {
		return i
	}
	return len(text)
}

// wordStart is where the word begins with which a text ends.
func wordStart(text string) int {
	i := strings.LastIndexFunc(text, func(r rune) bool { return !inWord(r) })
	if i < 0 {
		return 0
	}
	_, size := utf8.DecodeRuneInString(text[i:])
	return i + size
}

// jsonWithoutEcho replaces the strings and numbers in which a JSON value repeats one of the values. What stays is
// JSON; nil stands for what could not stay.
func jsonWithoutEcho(raw json.RawMessage, values []string) json.RawMessage {
	if len(raw) == 0 || len(raw) > maxPayload {
		return nil
	}
	raw = json.RawMessage(visibleEscapes(strings.Map(visible, string(raw))))
	found := repeated(string(raw), values)
	if found == nil {
		return raw
	}
	out := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); {
		end := literalEnd(raw, i)
		if slices.Contains(found[i:end], true) {
			out = append(out, `"`+redacted+`"`...)
		} else {
			out = append(out, raw[i:end]...)
		}
		i = end
	}
	if !json.Valid(out) {
		return nil
	}
	return out
}

// literalEnd is the end of the string or number that begins at i, i+1 for anything else.
func literalEnd(raw []byte, i int) int {
	switch c := raw[i]; {
	case c == '"':
		for i++; i < len(raw) && raw[i] != '"'; i++ {
			if raw[i] == '\\' {
				i++
			}
		}
		return min(i+1, len(raw))
	case c == '-', '0' <= c && c <= '9':
		for i < len(raw) && strings.IndexByte("0123456789+-.eE", raw[i]) >= 0 {
			i++
		}
		return i
	}
	return i + 1
}
