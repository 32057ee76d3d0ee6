package flipletd

import "strings"

// fillTemplate replaces each {{ path }} of an access rule by the text of what path names, and
// by nothing where there is nothing. Nothing is escaped: the text is compared with a column.
// Templates of hooks are those of package handlebars.
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
