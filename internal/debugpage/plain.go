package debugpage

import (
	"math"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// The first and the last time that JSON has. Rows may be dated before and after.
var (
	firstTime = time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC)
	lastTime  = time.Date(9999, 12, 31, 23, 59, 59, int(999*time.Millisecond), time.UTC)
)

// plain makes every value in v one that JSON can hold and that turns or hides nothing
// where it is printed. v can be set.
func plain(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		if t, ok := v.Interface().(time.Time); ok {
			if t = t.UTC(); t.Before(firstTime) {
				t = firstTime
			} else if t.After(lastTime) {
				t = lastTime
			}
			v.Set(reflect.ValueOf(t))
			return
		}
		for i := range v.NumField() {
			plain(v.Field(i))
		}
	case reflect.Slice:
		for i := range v.Len() {
			plain(v.Index(i))
		}
	case reflect.String:
		v.SetString(strings.Map(shown, strings.ToValidUTF8(v.String(), "\uFFFD")))
	case reflect.Float64:
		switch f := v.Float(); {
		case math.IsNaN(f):
			v.SetFloat(0)
		case math.IsInf(f, 0):
			v.SetFloat(math.Copysign(math.MaxFloat64, f))
		}
	}
}

// shown replaces controls, and removes what is not seen or turns the direction.
func shown(r rune) rune {
	switch {
	case unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp):
		return ' '
	case unicode.In(r, unicode.Cf, unicode.Co, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point):
		return -1
	}
	return r
}

// wantsJSON reports whether a request is a program's: it asks for format=json, or it names
// JSON in Accept and likes HTML less, or does not name it.
func wantsJSON(r *http.Request) bool {
	if f := r.URL.Query().Get("format"); f != "" {
		return f == "json"
	}
	asJSON, asHTML, other := -1.0, -1.0, -1.0 // -1: not named
	for part := range strings.SplitSeq(strings.ToLower(strings.Join(r.Header.Values("Accept"), ",")), ",") {
		kind, params, _ := strings.Cut(part, ";")
		q := quality(params)
		switch kind = strings.TrimSpace(kind); {
		case kind == "text/html", kind == "application/xhtml+xml":
			asHTML = max(asHTML, q)
		case strings.HasSuffix(kind, "/json"), strings.HasSuffix(kind, "+json"):
			asJSON = max(asJSON, q)
		case kind == "*/*", kind == "application/*":
			other = max(other, q)
		}
	}
	if asJSON < 0 && asHTML == 0 {
		asJSON = other // anything but HTML
	}
	return asJSON > 0 && asJSON > asHTML
}

// quality is the q of a media range: 1 without one, 0 for one that cannot be read.
func quality(params string) float64 {
	for p := range strings.SplitSeq(params, ";") {
		if value, ok := strings.CutPrefix(strings.ReplaceAll(p, " ", ""), "q="); ok {
			if q, err := strconv.ParseFloat(value, 64); err == nil && q >= 0 && q <= 1 {
				return q
			}
			return 0
		}
	}
	return 1
}
