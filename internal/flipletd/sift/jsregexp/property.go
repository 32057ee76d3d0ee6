package jsregexp

import (
	"strings"
	"unicode"
)

// propertySet returns the characters of a Unicode property as written between
// the braces of \p{...}, or nil for one that is unknown.
func propertySet(text string) *charSet {
	name, value, isPair := strings.Cut(text, "=")
	switch {
	case isPair && (name == "General_Category" || name == "gc"):
		return categorySet(value)
	case isPair && (name == "Script" || name == "sc" || name == "Script_Extensions" || name == "scx"):
		return tableSet(unicode.Scripts[value])
	case isPair:
		return nil
	}
	switch name {
	case "Any":
		return newSet(span{0, unicode.MaxRune})
	case "ASCII":
		return newSet(span{0, 127})
	case "Alphabetic", "Alpha":
		return tableSet(unicode.L, unicode.Nl, unicode.Other_Alphabetic)
	case "Uppercase", "Upper":
		return tableSet(unicode.Lu, unicode.Other_Uppercase)
	case "Lowercase", "Lower":
		return tableSet(unicode.Ll, unicode.Other_Lowercase)
	case "White_Space", "space":
		return tableSet(unicode.White_Space)
	}
	if set := categorySet(name); set != nil {
		return set
	}
	// "Other_…" tables are parts of properties, not properties.
	if strings.HasPrefix(name, "Other_") {
		return nil
	}
	return tableSet(unicode.Properties[name])
}

func categorySet(name string) *charSet {
	if alias, ok := unicode.CategoryAliases[name]; ok {
		name = alias
	}
	return tableSet(unicode.Categories[name])
}

// tableSet joins tables; it is nil when one is missing.
func tableSet(tables ...*unicode.RangeTable) *charSet {
	var spans []span
	for _, table := range tables {
		if table == nil {
			return nil
		}
		for _, r := range table.R16 {
			spans = appendStrided(spans, rune(r.Lo), rune(r.Hi), rune(r.Stride))
		}
		for _, r := range table.R32 {
			spans = appendStrided(spans, rune(r.Lo), rune(r.Hi), rune(r.Stride))
		}
	}
	return newSet(spans...)
}

func appendStrided(spans []span, low, high, stride rune) []span {
	if stride == 1 {
		return append(spans, span{low, high})
	}
	for r := low; r <= high; r += stride {
		spans = append(spans, span{r, r})
	}
	return spans
}
