package datasource

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"unicode"
)

// A server may write anything into an error, also the secrets of somebody else, which no request holds. They are
// recognised by what stands before them, by their place in a URL, and by their looks. What looks like a sentence stays.

const (
	// labels are names whose values are secrets, however they go on in front.
	labels = `(?:[\w-]*(?:token|password|passwd|passphrase|passcode|pwd|secret|credentials?|authorization|signature|cookie|jwt|invite[_-]?code|session[_-]?id)\w*` +
		`|[\w-]*keys?|\b(?:[\w-]+_)?(?:pass|sig|pin|otp|sid|auth|bearer)|\b(?:basic|digest)[_-]?auth)`
	// named are those that leave no doubt in a sentence.
	named = `(?:[\w-]*(?:token|password|passwd|passphrase|passcode|pwd|secret)|\bcredentials?|\b(?:encryption|api|access|private|secret|signing)[ _-]?key)`
	// quote is a quotation mark, as it is or escaped.
	quote = `\\*(?:["'` + "`" + `]|&quot;|&#3[49];|%22)`
	// scheme is the kind of a credential in a header.
	scheme = `(?:(?:bearer|basic|digest|negotiate|token)\s+)?`
)

var (
	// labelled finds the value behind a label: up to the end of the quotation, or of the word.
	labelled = regexp.MustCompile(`(?i)(` + labels + `(?:` + quote + `)?\s*(?:=>|[=:]|%3[AD])\s*)(` + quote + scheme + `[^"'` + "`" + `\\&]*|` + scheme + `[^\s"'\\&]+)`)
	// owned finds the value behind a label and whose it is, as in "password for bob: x".
	owned = regexp.MustCompile(`(?i)(` + named + `(?:` + quote + `)?\s+(?:for|of|from)\s+(?:the\s+|user\s+|account\s+|contact\s+)*(?:` + quote + `)?[^\s"'` + "`" + `\\&:=]+(?:` + quote + `)?\s*(?:is\s+|was\s+|=>|[=:])\s*)(` + quote + `[^"'` + "`" + `\\&]*|[^\s"'\\&]+)`)
	// bracketed finds one in brackets, and the text of an element with such a name.
	bracketed = regexp.MustCompile(`(?i)(\(\s*` + labels + `\s*\)\s*(?:=>|[=:])\s*\(|<(?:[\w.-]+:)?` + labels + `(?:\s[^<>]*)?>)([^<>()]+)`)
	// schemed finds what stands behind a scheme of headers and a sign, and is long enough for a credential.
	schemed = regexp.MustCompile(`(?i)(\b(?:basic|digest)(?:` + quote + `)?\s*(?:=>|[=:]|%3[AD])\s*(?:` + quote + `)?)([^\s"'\\&,;<>]{6,})`)
	// spoken finds the word behind a label in a sentence.
	spoken = regexp.MustCompile(`(?i)\b((?:\w*token|\w*password|passwd|pwd|pass|passphrase|passcode|\w*secret|pin|cookie|signature|credentials?|invite ?code|(?:encryption|api|access|private|secret|signing|conversation)[ _-]?key|bearer|basic|digest)` +
		`(?:\s+(?:is|was|are|were|of|equals|value|named|called|user|the|your|:|=))*\s+\W?)([^\s"'` + "`" + `,;<>)]+)`)
	// body finds a text that is said to be one.
	body = regexp.MustCompile(`(?i)(\b(?:body|plain ?text|ciphertext)` + `(?:` + quote + `)?(?:\s+(?:is|was)\s+|\s*[:=]\s*)(?:` + quote + `)?)(\S+)`)

	userInfo = regexp.MustCompile(`(?i)([a-z][a-z0-9+.-]*:)?//[^\s"'<>]*@|[^\s"'<>/@:]+:[^\s"'<>@/][^\s"'<>@]*@`)
	// parameters finds the query or fragment of a URL or path. They are full of where clauses and keys.
	parameters = regexp.MustCompile(`([^\s"'<>]*/[^\s"'<>?#]*[?#]|[?#][^\s"'<>=?]+=)[^\s"'<>]+`)

	word = regexp.MustCompile(`[\pL\pN_+/=~%\\&#;-]{12,}`)
)

// harmless are the words of sentences about secrets.
var harmless = wordSet(`a access all already and any are as at be because been before belongs by can cannot changed check column contact could denied did
	does doesn't doesnt don't empty error exist exists expired failed field for format from given has have header if in invalid is isn't it known length
	longer malformed match matches may mismatch missing must no not null of on or owner parameter permission please provided refused rejected
	required revoked should than that the this to too unknown used user users valid value was were which with without wrong you your
	authentication authorization auth credentials token tokens key keys password length: redacted error: limit must: of: columns conflict constraint
	violates duplicate data source app account session not. invalid. missing. expired. required. valid. wrong. revoked. unknown. denied. key. token.`)

func wordSet(text string) map[string]bool {
	set := map[string]bool{}
	for _, w := range strings.Fields(text) {
		set[w] = true
	}
	return set
}

// hideSecrets replaces in one line what looks like a secret.
func hideSecrets(text string) string {
	text = userInfo.ReplaceAllString(text, "${1}//"+redacted+"@")
	text = parameters.ReplaceAllStringFunc(text, func(s string) string {
		return s[:strings.IndexAny(s, "?#")+1] + redacted
	})
	text = labelled.ReplaceAllStringFunc(text, func(s string) string {
		m := labelled.FindStringSubmatch(s)
		if m == nil { // it begins within a word
			return redacted
		}
		value := strings.TrimRight(m[2], ",;)}]")
		if strings.Trim(value, `"'\`) == "null" {
			return s
		}
		open := quoted.FindString(value)
		return m[1] + open + redacted + m[2][len(value):]
	})
	for _, notation := range [...]*regexp.Regexp{owned, bracketed, schemed} {
		text = notation.ReplaceAllStringFunc(text, func(s string) string {
			m := notation.FindStringSubmatch(s)
			switch {
			case m == nil:
				return redacted
			case harmless[strings.ToLower(strings.Trim(m[2], `"'`))]:
				return s
			}
			return m[1] + quoted.FindString(m[2]) + redacted
		})
	}
	text = spoken.ReplaceAllStringFunc(text, func(s string) string {
		m := spoken.FindStringSubmatch(s)
		switch {
		case m == nil:
			return redacted
		case harmless[strings.ToLower(m[2])]:
			return s
		}
		return m[1] + redacted
	})
	if at := body.FindStringSubmatchIndex(text); at != nil && !harmless[strings.ToLower(text[at[4]:at[5]])] {
		text = text[:at[3]] + redacted
	}
	return word.ReplaceAllStringFunc(text, func(s string) string {
		if unlikely(s) {
			return redacted
		}
		return s
	})
}

var quoted = regexp.MustCompile(`^` + quote)

// unlikely reports whether a word is none of a language, of an API or of a program: a token, a key, ciphertext.
func unlikely(w string) bool {
	const (
		mixed  = 12 // letters and digits of a word that has both
		digits = 16
		run    = 20 // letters without a capital
	)
	parts := strings.FieldsFunc(w, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsNumber(r) })
	both, inBoth := 0, 0
	for _, part := range parts {
		n, letters, humps, longest, current := 0, 0, 1, 0, 0
		for _, r := range part {
			n++
			if plain := plainLetter(r); unicode.IsNumber(r) && (plain == r || '0' <= plain && plain <= '9') {
				continue
			} else if r >= 0x250 && plain == r { // of a language that may have no spaces
				n, current = n-1, 0
				continue
			}
			letters++
			if current++; unicode.IsUpper(plainLetter(r)) && current > 1 {
				humps, current = humps+1, 1
			}
			longest = max(longest, current)
		}
		switch {
		case letters > 0 && letters < n:
			both, inBoth = both+1, inBoth+n
			if n >= mixed {
				return true
			}
		case letters == 0 && n >= digits, letters >= run && (longest > run || humps*5 > letters*2), letters >= mixed && humps > 1 && humps*2 > letters && humps < letters:
			return true
		}
	}
	return both > 1 && inBoth >= mixed
}

// secretLabel reports whether a member of JSON is one whose value is a secret.
func secretLabel(name string) bool { return secretName(name) || wholeLabel.MatchString(name) }

var wholeLabel = regexp.MustCompile(`(?i)^(?:` + labels + `|body)$`)

// scrubJSON is scrub for a value that has to stay JSON: for each text in it, and for what belongs to a name of secrets.
func (c *Client) scrubJSON(raw json.RawMessage) json.RawMessage {
	if len(raw) > maxPayload || !json.Valid(raw) {
		return nil
	}
	var out bytes.Buffer
	for i := 0; i < len(raw); {
		if raw[i] != '"' {
			out.WriteByte(raw[i])
			i++
			continue
		}
		end := literalEnd(raw, i)
		var text string
		_ = json.Unmarshal(raw[i:end], &text) // it is valid
		if clean := c.scrub(text); clean == text {
			out.Write(raw[i:end])
		} else {
			enc := json.NewEncoder(&out)
			enc.SetEscapeHTML(false)
			_ = enc.Encode(clean) // a text
			out.Truncate(out.Len() - 1)
		}
		i = end
		value := i + len(raw[i:]) - len(bytes.TrimLeft(raw[i:], " \t\r\n:"))
		if value == i || value >= len(raw) || !bytes.Contains(raw[i:value], []byte(":")) || !secretLabel(text) {
			continue
		}
		out.Write(raw[i:value])
		if i = valueEnd(raw, value); string(raw[value:i]) == "null" {
			out.WriteString("null")
		} else {
			out.WriteString(`"` + redacted + `"`)
		}
	}
	return out.Bytes()
}

// valueEnd is the end of the value that begins at i of valid JSON.
func valueEnd(raw []byte, i int) int {
	for depth := 0; i < len(raw); {
		switch c := raw[i]; c {
		case '{', '[':
			depth++
		case '}', ']', ',':
			if depth == 0 {
				return i
			}
			if c != ',' {
				depth--
			}
		}
		i = literalEnd(raw, i)
		if depth == 0 && (i == len(raw) || strings.IndexByte(" \t\r\n,}]", raw[i]) >= 0) {
			return i
		}
	}
	return i
}
