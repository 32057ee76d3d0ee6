package flipletd

import "strings"

// fillTemplate replaces each {{ path }} by the text of what path names, and by
// nothing where there is nothing: the part of Handlebars that public examples
// use. Block helpers are not evaluated.
func fillTemplate(s string, value func(path string) (any, bool)) string {
	if !strings.Contains(s, "{{") {
		return s
	}
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(s, "{{")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		rest = strings.TrimPrefix(rest, "{") // {{{ }}} differs in HTML escaping only
		path, after, closed := strings.Cut(rest, "}}")
		if !closed {
			b.WriteString("{{" + rest)
			return b.String()
		}
		if v, ok := value(strings.TrimSpace(path)); ok {
			b.WriteString(plainText(v))
		}
		s = strings.TrimPrefix(after, "}")
	}
}

// columnTemplate fills {{Column}}, {{[Column name]}} and {{data.Column}} from
// a row.
func columnTemplate(s string, data map[string]any) string {
	return fillTemplate(s, func(path string) (any, bool) {
		path = strings.TrimPrefix(path, "data.")
		if strings.HasPrefix(path, "[") && strings.HasSuffix(path, "]") {
			path = path[1 : len(path)-1]
		}
		return lookup(data, path)
	})
}

// fillValues fills every text inside a payload.
func fillValues(v any, data map[string]any) any {
	switch v := v.(type) {
	case string:
		return columnTemplate(v, data)
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = fillValues(e, data)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = fillValues(e, data)
		}
		return out
	}
	return v
}
