package handlebars

import (
	"errors"
	"strings"
)

type tokenKind int

const (
	tokenText tokenKind = iota
	tokenValue
	tokenRaw
	tokenOpen
	tokenClose
	tokenElse // {{^}}
	tokenComment
)

type token struct {
	kind tokenKind
	text string // of a tag: without braces, signs and white space around

	trimLeft, trimRight bool // ~
}

var errOpen = errors.New("a {{ is not closed")

// scan takes a template apart. White space that tags take with them is gone afterwards.
func scan(s string) (tokens []token, err error) {
	var text strings.Builder
	flush := func() {
		tokens = append(tokens, token{kind: tokenText, text: text.String()})
		text.Reset()
	}
	for {
		before, rest, found := strings.Cut(s, "{{")
		if !found {
			text.WriteString(s)
			break
		}
		if plain, escaped := strings.CutSuffix(before, `\`); escaped && !strings.HasSuffix(plain, `\`) {
			text.WriteString(plain + "{{")
			s = rest
			continue
		} else if escaped { // two of them are one, and the tag counts
			before = plain
		}
		t, after, ok := tag(rest)
		if !ok {
			text.WriteString(before + "{{" + rest)
			err = errOpen
			break
		}
		text.WriteString(before)
		flush()
		tokens = append(tokens, t)
		s = after
	}
	flush()
	alone(tokens)
	for i := range tokens { // texts and tags take turns
		if t := tokens[i]; t.kind != tokenText {
			if t.trimLeft {
				tokens[i-1].text = strings.TrimRight(tokens[i-1].text, space)
			}
			if t.trimRight {
				tokens[i+1].text = strings.TrimLeft(tokens[i+1].text, space)
			}
		}
	}
	return tokens, err
}

const space = " \t\r\n"

// tag reads one from behind its first two braces. It looks no further than the tag's end.
func tag(s string) (t token, after string, ok bool) {
	s, t.trimLeft = strings.CutPrefix(s, "~")
	ends := []string{"}}"}
	switch {
	case strings.HasPrefix(s, "!--"):
		ends, t.kind = []string{"--}}", "--~}}"}, tokenComment
	case strings.HasPrefix(s, "!"):
		t.kind = tokenComment
	case strings.HasPrefix(s, "{"):
		s, ends, t.kind = s[1:], []string{"}}}", "}~}}"}, tokenRaw
	case strings.HasPrefix(s, "&"):
		s, t.kind = s[1:], tokenRaw
	case strings.HasPrefix(s, "#"):
		s, t.kind = s[1:], tokenOpen
	case strings.HasPrefix(s, "/"):
		s, t.kind = s[1:], tokenClose
	case strings.HasPrefix(s, "^"):
		s, t.kind = s[1:], tokenElse
	default:
		t.kind = tokenValue
	}
	at, end := first(s, ends)
	if end == "" {
		return t, "", false
	}
	t.text, after = s[:at], s[at+len(end):]
	t.trimRight = strings.Contains(end, "~")
	if end == "}}" {
		t.text, t.trimRight = strings.CutSuffix(t.text, "~")
	}
	t.text = strings.Join(strings.Fields(t.text), " ")
	if t.kind == tokenElse && t.text != "" { // {{^x}} opens a block that is not known
		t.kind, t.text = tokenValue, "^"+t.text
	}
	return t, after, true
}

// first finds which of two texts comes first; they begin alike.
func first(s string, ends []string) (at int, end string) {
	begin := ends[0][:1]
	for {
		i := strings.Index(s[at:], begin)
		if i < 0 {
			return 0, ""
		}
		at += i
		for _, end := range ends {
			if strings.HasPrefix(s[at:], end) {
				return at, end
			}
		}
		at++
	}
}

// alone takes away the lines of blocks, elses and comments that have one to themselves.
func alone(tokens []token) {
	type cut struct{ left, right int }
	cuts := make(map[int]cut)
	for i, t := range tokens {
		switch {
		case t.kind == tokenText, t.kind == tokenRaw, t.kind == tokenValue && t.text != "else" && !strings.HasPrefix(t.text, "else "):
			continue
		}
		before, after := tokens[i-1].text, tokens[i+1].text
		line := before[strings.LastIndexByte(before, '\n')+1:]
		if strings.Trim(line, " \t") != "" || len(line) == len(before) && i > 1 {
			continue
		}
		end := strings.IndexByte(after, '\n')
		rest := after
		if end >= 0 {
			rest = after[:end]
		} else if i+2 < len(tokens) {
			continue
		}
		if strings.Trim(rest, " \t\r") != "" {
			continue
		}
		cuts[i] = cut{len(line), len(rest) + min(1, end+1)}
	}
	for i, c := range cuts {
		before := tokens[i-1].text
		tokens[i-1].text = before[:len(before)-min(c.left, len(before))]
	}
	for i, c := range cuts {
		tokens[i+1].text = tokens[i+1].text[min(c.right, len(tokens[i+1].text)):]
	}
}
