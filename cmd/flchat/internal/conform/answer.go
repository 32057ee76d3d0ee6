package conform

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

type object = map[string]any

// answer is what the service said. Its readers take every shape that is documented anywhere, so that
// each probe is about one thing.
type answer struct {
	status int
	header http.Header
	raw    []byte
	body   any // JSON; nil if it is none
}

func (a *answer) ok() bool { return a.status >= 200 && a.status < 300 }

// said is the status as probes observe it.
func (a *answer) said() string { return strconv.Itoa(a.status) }

// object is the body, or an empty one.
func (a *answer) object() object {
	o, _ := a.body.(object)
	return o
}

// entry is the one that was asked for.
func (a *answer) entry() object {
	if rows := a.entries(); len(rows) > 0 {
		return rows[0]
	}
	o := a.object()
	if inner, ok := o["entry"].(object); ok {
		return inner
	}
	return o
}

// entries is a list of rows.
func (a *answer) entries() []object { return a.list("entries") }

func (a *answer) list(name string) []object {
	list, ok := a.body.([]any)
	if !ok {
		list, _ = a.object()[name].([]any)
	}
	out := make([]object, 0, len(list))
	for _, v := range list {
		if o, ok := v.(object); ok {
			out = append(out, o)
		}
	}
	return out
}

// has reports whether there is such a list, which may be empty.
func (a *answer) has(name string) bool {
	if _, bare := a.body.([]any); bare {
		return true
	}
	v, there := a.object()[name]
	_, list := v.([]any)
	return there && (list || v == nil)
}

// source is a data source.
func (a *answer) source() object {
	o := a.object()
	if inner, ok := o["dataSource"].(object); ok {
		return inner
	}
	return o
}

// id is a number or a text of digits; 0 if there is none.
func id(v any) int64 {
	var text string
	switch v := v.(type) {
	case json.Number:
		text = v.String()
	case string:
		text = v
	}
	n, _ := strconv.ParseInt(text, 10, 64)
	return n
}

// number is a number, or -1.
func number(v any) int64 {
	n, ok := v.(json.Number)
	if !ok {
		return -1
	}
	i, err := n.Int64()
	if err != nil {
		return -1
	}
	return i
}

func data(row object) object {
	d, _ := row["data"].(object)
	return d
}

// ids of rows, in their order.
func ids(rows []object) []int64 {
	out := make([]int64, len(rows))
	for i, r := range rows {
		out[i] = id(r["id"])
	}
	return out
}

// when reads a time; the zero one if it is none.
func when(v any) time.Time {
	text, _ := v.(string)
	t, _ := time.Parse(time.RFC3339Nano, text)
	return t
}

// decode keeps every digit.
func decode(raw []byte) any {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return nil
	}
	return v
}

// yes is one of two phrases.
func yes(is bool, phrase, other string) string {
	if is {
		return phrase
	}
	return other
}
