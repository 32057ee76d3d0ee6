package handlebars

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
)

// Fill is Parse and Render. What cannot be understood stands as it is or is empty; the error
// is that of a template which is filled in part.
func Fill(s string, row map[string]any, b *Budget) (string, error) {
	if !strings.Contains(s, "{{") {
		return s, nil
	}
	if b != nil && !b.Spend(len(s)/64) {
		return "", ErrTooLong
	}
	t, _ := Parse(s)
	return t.Render(row, b)
}

// Render fills a template from the columns of a row, which is decoded JSON. Where it fails,
// the text is what was filled in until then. No budget is the template's own bound.
func (t *Template) Render(row map[string]any, b *Budget) (string, error) {
	r := &renderer{root: row, budget: b}
	if b != nil && b.Ctx != nil && b.Ctx.Err() != nil {
		return "", b.Ctx.Err()
	}
	err := r.all(t.nodes, &scope{value: row})
	return r.out.String(), err
}

type renderer struct {
	root   map[string]any
	out    strings.Builder
	steps  int
	budget *Budget // nil: none
	failed error   // see step
}

// scope is what names mean inside a block.
type scope struct {
	value  any
	parent *scope
	key    any // of each: a name or an index
	index  int
	last   bool
	each   bool
}

func (r *renderer) all(nodes []node, in *scope) error {
	for _, n := range nodes {
		if err := r.step(1); err != nil {
			return err
		}
		if err := n.render(r, in); err != nil {
			return err
		}
	}
	return nil
}

func (r *renderer) write(s string) error {
	if r.out.Len()+len(s) > maxOutput {
		return ErrTooLarge
	}
	if err := r.step(len(s) / 64); err != nil {
		return err
	}
	r.out.WriteString(s)
	return nil
}

func (t textNode) render(r *renderer, _ *scope) error { return r.write(string(t)) }

var escaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#x27;", "`", "&#x60;", "=", "&#x3D;")

func (n *valueNode) render(r *renderer, in *scope) error {
	v, err := r.find(n.path, in)
	if err != nil {
		return err
	}
	s, err := r.text(v)
	if err != nil {
		return err
	}
	if !n.raw {
		s = escaper.Replace(s)
	}
	return r.write(s)
}

func (n *blockNode) render(r *renderer, in *scope) error {
	if n.refused {
		return nil
	}
	v, err := r.find(n.path, in)
	if err != nil {
		return err
	}
	switch n.kind {
	case "if", "unless":
		if truthy(v) == (n.kind == "if") {
			return r.all(n.body, in)
		}
		return r.all(n.inverse, in)
	case "with":
		if empty(v) {
			return r.all(n.inverse, in)
		}
		return r.all(n.body, &scope{value: v, parent: in})
	}
	switch list := v.(type) {
	case []any:
		for i, e := range list {
			if err := r.step(1); err != nil {
				return err
			}
			inner := &scope{value: e, parent: in, key: json.Number(strconv.Itoa(i)), index: i, last: i == len(list)-1, each: true}
			if err := r.all(n.body, inner); err != nil {
				return err
			}
		}
		if len(list) > 0 {
			return nil
		}
	case map[string]any:
		if err := r.step(len(list)); err != nil { // to sort them
			return err
		}
		keys := slices.Sorted(maps.Keys(list))
		for i, k := range keys {
			if err := r.step(1); err != nil {
				return err
			}
			inner := &scope{value: list[k], parent: in, key: k, index: i, last: i == len(keys)-1, each: true}
			if err := r.all(n.body, inner); err != nil {
				return err
			}
		}
		if len(keys) > 0 {
			return nil
		}
	}
	return r.all(n.inverse, in)
}

// find looks a path up; what is not there is nil.
func (r *renderer) find(p path, in *scope) (any, error) {
	if err := r.step(1 + p.up + len(p.parts) + len(p.whole)/64); err != nil {
		return nil, err
	}
	v := r.lookup(p, in)
	return v, r.failed
}

func (r *renderer) lookup(p path, in *scope) any {
	for range p.up {
		if in = in.parent; in == nil {
			return nil
		}
	}
	if p.local != "" {
		return in.local(p.local)
	}
	value := in.value
	if p.root {
		value = r.root
	} else if fields, ok := value.(map[string]any); ok {
		if v, ok := fields[p.whole]; ok {
			return v
		}
	}
	if v, ok := r.walk(value, p.parts); ok {
		return v
	}
	// data.Column: what a row is called elsewhere. Only from the row itself.
	if in.parent == nil && len(p.parts) > 0 && p.parts[0] == "data" {
		if _, isColumn := r.root["data"]; !isColumn {
			if v, ok := r.root[strings.TrimPrefix(p.whole, "data.")]; ok {
				return v
			}
			v, _ := r.walk(r.root, p.parts[1:])
			return v
		}
	}
	return nil
}

// local is what @name means: of the innermost each.
func (s *scope) local(name string) any {
	for ; s != nil; s = s.parent {
		if !s.each {
			continue
		}
		switch name {
		case "first":
			return s.index == 0
		case "last":
			return s.last
		case "index":
			return json.Number(strconv.Itoa(s.index))
		}
		return s.key
	}
	return nil
}

func (r *renderer) walk(v any, parts []string) (any, bool) {
	for _, part := range parts {
		switch in := v.(type) {
		case map[string]any:
			inner, ok := in[part]
			if !ok {
				return nil, false
			}
			v = inner
		case []any:
			if part == "length" {
				v = json.Number(strconv.Itoa(len(in)))
				continue
			}
			i, err := strconv.Atoi(part)
			if err != nil || i < 0 || i >= len(in) || strconv.Itoa(i) != part {
				return nil, false
			}
			v = in[i]
		case string:
			if part != "length" {
				return nil, false
			}
			if r.step(len(in)/64) != nil {
				return nil, false
			}
			v = json.Number(strconv.Itoa(units(in)))
		default:
			return nil, false
		}
	}
	return v, true
}

// units is the length of a text as JavaScript has it, in UTF-16 code units.
func units(s string) (n int) {
	for _, r := range s {
		n += utf16.RuneLen(r)
	}
	return n
}

// truthy is what if asks: JavaScript's idea, and an empty list is not.
func truthy(v any) bool {
	if n, ok := v.(json.Number); ok {
		f, err := n.Float64()
		return err != nil || f != 0
	}
	return !empty(v)
}

// empty is what with asks: as truthy, but zero counts.
func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case bool:
		return !v
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	}
	return false
}

// text is a value as JavaScript puts it into a text. Numbers stand as they are written.
func (r *renderer) text(v any) (string, error) {
	switch v := v.(type) {
	case string:
		return v, nil
	case bool:
		return strconv.FormatBool(v), nil
	case json.Number:
		return string(v), nil
	case []any:
		var b strings.Builder
		err := r.join(&b, v)
		return b.String(), err
	case map[string]any:
		return "[object Object]", nil
	}
	return "", nil
}

// join writes the elements of a list with commas between them.
func (r *renderer) join(b *strings.Builder, list []any) error {
	for i, e := range list {
		if err := r.step(1); err != nil {
			return err
		}
		if b.Len() > maxOutput {
			return ErrTooLarge
		}
		if i > 0 {
			b.WriteByte(',')
		}
		if inner, ok := e.([]any); ok {
			if err := r.join(b, inner); err != nil {
				return err
			}
			continue
		}
		s, err := r.text(e)
		if err != nil {
			return err
		}
		b.WriteString(s)
	}
	return nil
}
