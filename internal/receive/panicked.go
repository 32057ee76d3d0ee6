package receive

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// longestPanic bounds the text of a panic's value in the log.
const longestPanic = 1000

// Shown is the value of a panic as a log has it: the text of the function that panicked,
// without that of what it was handling. It is "" for values that are no text, and for
// errors, which have theirs.
func Shown(v any, body string) string {
	_, text := v.(fmt.Stringer)
	switch k := reflect.ValueOf(v).Kind(); {
	case k == reflect.String, reflect.Bool <= k && k <= reflect.Complex128:
		text = true
	}
	if _, said := v.(error); said || !text {
		return ""
	}
	out := fmt.Sprint(v)
	if body != "" {
		quoted := strconv.Quote(body)
		out = strings.NewReplacer(body, "(the body)", quoted[1:len(quoted)-1], "(the body)").Replace(out)
	}
	if len(out) > longestPanic {
		out = strings.ToValidUTF8(out[:longestPanic], "") + "…"
	}
	return out
}
