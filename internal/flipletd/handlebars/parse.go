package handlebars

import (
	"errors"
	"fmt"
	"strings"
)

// maxDepth is how deep blocks may nest.
const maxDepth = 50

// Template is a template that can be filled again and again, by several goroutines.
type Template struct{ nodes []node }

// node is a piece of a template.
type node interface {
	render(*renderer, *scope) error
}

type textNode string

type valueNode struct {
	path path
	raw  bool // not escaped
}

type blockNode struct {
	kind     string // if, unless, each or with
	path     path
	body     []node
	inverse  []node
	elseSeen bool
	refused  bool // renders nothing
}

// Parse reads a template. It always returns one: where Handlebars would refuse the text, err
// says why, and what cannot be understood stands as it is or is empty.
func Parse(s string) (*Template, error) {
	p := parser{}
	p.tokens, p.err = scan(s)
	t := &Template{nodes: p.nodes(nil, 0)}
	return t, p.err
}

type parser struct {
	tokens []token
	at     int
	err    error // the first one
}

func (p *parser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf(format, args...)
	}
}

// nodes reads up to the end of the block in, nil for the whole template.
func (p *parser) nodes(in *blockNode, depth int) []node {
	var out []node
	for p.at < len(p.tokens) {
		t := p.tokens[p.at]
		p.at++
		if t.kind == tokenText {
			if t.text != "" {
				out = append(out, textNode(t.text))
			}
			continue
		}
		switch word, rest, _ := strings.Cut(t.text, " "); {
		case t.kind == tokenComment:
		case t.kind == tokenOpen:
			out = append(out, p.block(strings.TrimSpace(t.text), depth))
		case t.kind == tokenClose:
			if in == nil || in.kind != t.text {
				p.fail("{{/%.40s}} closes nothing", t.text)
				continue
			}
			return out
		case t.kind == tokenElse, t.kind == tokenValue && word == "else":
			if in == nil || in.elseSeen {
				p.fail("{{else}} stands outside of a block")
				continue
			}
			in.elseSeen = true
			if rest = strings.TrimSpace(rest); rest == "" {
				in.inverse = p.nodes(in, depth)
			} else { // {{else if x}}: a block that ends where this one does
				in.inverse = []node{p.chained(in, rest, depth)}
			}
			return out
		default:
			path, err := parsePath(t.text)
			if err != nil {
				p.fail("%w", err)
			}
			if err == nil || len(path.parts) > 0 {
				out = append(out, &valueNode{path: path, raw: t.kind == tokenRaw})
			}
		}
	}
	if in != nil {
		p.fail("{{#%s}} is not closed", in.kind)
	}
	return out
}

// block reads a block from behind its opening tag.
func (p *parser) block(head string, depth int) node {
	b := p.open(head, depth)
	b.body = p.nodes(b, depth+1)
	return b
}

// chained reads the block of an else that has a condition. The tag that closes the outer
// one closes it, so it goes by the outer one's name while it is read.
func (p *parser) chained(outer *blockNode, head string, depth int) node {
	b := p.open(head, depth)
	kind := b.kind
	b.kind = outer.kind
	b.body = p.nodes(b, depth+1)
	b.kind = kind
	return b
}

func (p *parser) open(head string, depth int) *blockNode {
	kind, arg, _ := strings.Cut(head, " ")
	b := &blockNode{kind: kind}
	var err error
	switch kind {
	case "if", "unless", "each", "with":
		b.path, err = parsePath(arg)
	default:
		err = fmt.Errorf("the block {{#%.40s}} is not known: if, unless, each and with are", kind)
	}
	if depth >= maxDepth {
		err = fmt.Errorf("blocks nest more than %d levels deep", maxDepth)
	}
	if err != nil {
		p.fail("%w", err)
		b.refused = true
	}
	if depth >= maxDepth {
		p.at = len(p.tokens) // and no deeper
	}
	return b
}

// path leads from a value to one inside it.
type path struct {
	up    int      // how many blocks out
	root  bool     // @root
	local string   // index, key, first or last
	parts []string // none is the value itself
	whole string   // as written, for columns whose names are no paths
}

var errPath = errors.New("a name, a path such as a.b or [a name] is missing in {{ }}")

// parsePath reads a path. A name with spaces, which is a helper to Handlebars, is an error and
// a column all the same.
func parsePath(s string) (path, error) {
	s = strings.TrimSpace(s)
	p := path{whole: s}
	if s == "" {
		return p, errPath
	}
	if strings.ContainsAny(s[:1], "#/^>!&*{") || !strings.Contains(s, "[") && strings.ContainsAny(s, "{}()\"'|=") {
		return p, fmt.Errorf("{{%.40s}} is no path: helpers, partials and literals are not known", s)
	}
	if strings.Contains(s, " ") && !strings.Contains(s, "[") {
		p.parts = []string{s}
		return p, fmt.Errorf("{{%.40s}}: helpers are not known; a column whose name has spaces is {{[%.40s]}}", s, s)
	}
	if rest, ok := strings.CutPrefix(s, "@"); ok {
		name, more, _ := strings.Cut(rest, ".")
		switch name {
		case "root":
			p.root, s = true, more
			if s == "" {
				return p, nil
			}
		case "index", "key", "first", "last":
			p.local = name
			return p, nil
		default:
			return p, fmt.Errorf("{{@%.40s}} is not known: @root, @index, @key, @first and @last are", name)
		}
	}
	for strings.HasPrefix(s, "..") {
		p.up++
		s = s[len(".."):]
		if s != "" && (s[0] == '/' || s[0] == '.') { // not both: another .. may follow
			s = s[1:]
		}
		if s == "" {
			return p, nil
		}
	}
	for _, word := range []string{"this", "."} {
		if s == word {
			return p, nil
		}
		for _, sep := range []string{".", "/"} {
			if rest, ok := strings.CutPrefix(s, word+sep); ok {
				s = rest
			}
		}
	}
	for s != "" {
		var part string
		if s[0] == '[' {
			end := strings.IndexByte(s, ']')
			if end < 0 {
				return p, fmt.Errorf("{{%.40s}}: a ] is missing", p.whole)
			}
			part, s = s[1:end], s[end+1:]
			if s != "" && s[0] != '.' && s[0] != '/' {
				return p, fmt.Errorf("{{%.40s}}: a . is missing behind the ]", p.whole)
			}
		} else {
			end := strings.IndexAny(s, "./")
			if end < 0 {
				end = len(s)
			}
			part, s = s[:end], s[end:]
			if part == "" {
				return p, fmt.Errorf("{{%.40s}}: a name is missing between two dots", p.whole)
			}
		}
		p.parts = append(p.parts, part)
		if s != "" {
			if s = s[1:]; s == "" {
				return p, fmt.Errorf("{{%.40s}}: a name is missing at the end", p.whole)
			}
		}
	}
	return p, nil
}
