package handlebars

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// What filling one template may cost, whatever a row holds.
const (
	maxOutput = 1 << 20 // bytes
	maxSteps  = 1 << 17
)

// ErrTooLarge is the error of a template that becomes too large, or takes too long.
var ErrTooLarge = errors.New("the template becomes larger than 1 MiB")

// Fill is Parse and Render. What cannot be understood stands as it is or is empty.
func Fill(s string, row map[string]any) string {
	if !strings.Contains(s, "{{") {
		return s
	}
	t, _ := Parse(s)
	out, _ := t.Render(row)
	return out
}

// Render fills a template from the columns of a row, which is decoded JSON.
func (t *Template) Render(row map[string]any) (string, error) {
	r := &renderer{root: row}
	err := r.all(t.nodes, &scope{value: row})
	return r.out.String(), err
}

type renderer struct {
	root  map[string]any
	out   strings.Builder
	steps int
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
		if r.steps++; r.steps > maxSteps {
			return ErrTooLarge
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
	r.out.WriteString(s)
	return nil
}

func (t textNode) render(r *renderer, _ *scope) error { return r.write(string(t)) }

var escaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#x27;", "`", "&#x60;", "=", "&#x3D;")

func (n *valueNode) render(r *renderer, in *scope) error {
	v := r.find(n.path, in)
	s := text(v)
	if !n.raw {
		s = escaper.Replace(s)
	}
	return r.write(s)
}

func (n *blockNode) render(r *renderer, in *scope) error {
	if n.refused {
		return nil
	}
	v := r.find(n.path, in)
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
			inner := &scope{value: e, parent: in, key: json.Number(strconv.Itoa(i)), index: i, last: i == len(list)-1, each: true}
			if err := r.all(n.body, inner); err != nil {
				return err
			}
		}
		if len(list) > 0 {
			return nil
		}
	case map[string]any:
		keys := slices.Sorted(maps.Keys(list))
		for i, k := range keys {
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
func (r *renderer) find(p path, in *scope) any {
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
	if v, ok := walk(value, p.parts); ok {
		return v
	}
	// data.Column: what a row is called elsewhere. Only from the row itself.
	if in.parent == nil && len(p.parts) > 0 && p.parts[0] == "data" {
		if _, isColumn := r.root["data"]; !isColumn {
			if v, ok := r.root[strings.TrimPrefix(p.whole, "data.")]; ok {
				return v
			}
			v, _ := walk(r.root, p.parts[1:])
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

func walk(v any, parts []string) (any, bool) {
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
		default:
			return nil, false
		}
	}
	return v, true
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
func text(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case json.Number:
		return string(v)
	case []any:
		var b strings.Builder
		for i, e := range v {
			if i > 0 {
				b.WriteByte(',')
			}
			if b.Len() > maxOutput {
				break
			}
			b.WriteString(text(e))
		}
		return b.String()
	case map[string]any:
		return "[object Object]"
	}
	return ""
}
