package chathttp

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
)

// body reads the JSON that a request has.
func (q *request) body(most int64) ([]byte, error) {
	if kind, _, err := mime.ParseMediaType(q.r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return nil, refusal(http.StatusUnsupportedMediaType, "Content-Type: give application/json")
	}
	control := http.NewResponseController(q.w)
	_ = control.SetReadDeadline(time.Now().Add(bodyWithin))
	raw, err := io.ReadAll(http.MaxBytesReader(q.w, q.r.Body, most))
	_ = control.SetReadDeadline(time.Time{})
	if tooLarge(err) {
		return nil, refusal(http.StatusRequestEntityTooLarge, "the body has more than %d bytes; files go to upload", most)
	}
	if err != nil {
		return nil, badArgument("the body cannot be read")
	}
	if values(raw) > mostValues {
		return nil, refusal(http.StatusRequestEntityTooLarge, "the body has more than %d values", mostValues)
	}
	return raw, nil
}

const (
	// bodyWithin is how long the body of a call may take.
	bodyWithin = 30 * time.Second
	// mostValues bounds the values in a body: each takes more memory than text.
	mostValues = 100_000
)

// values counts about how many values JSON has.
func values(raw []byte) (n int) {
	quoted := false
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case !quoted && (c == ',' || c == '[' || c == '{'):
			n++
		}
	}
	return n
}

func tooLarge(err error) bool {
	_, ok := errors.AsType[*http.MaxBytesError](err)
	return ok
}

// args are the arguments of a call. The first problem is kept.
type args struct {
	list []json.RawMessage
	err  error
}

func parseArgs(raw []byte) (*args, error) {
	a := &args{}
	if len(bytes.TrimSpace(raw)) == 0 {
		return a, nil
	}
	if err := json.Unmarshal(raw, &a.list); err != nil {
		return nil, badArgument("the body: give a list of the arguments, such as [12, {\"body\": \"Hello\"}]")
	}
	return a, nil
}

func (a *args) wrong(format string, args ...any) {
	if a.err == nil {
		a.err = badArgument(format, args...)
	}
}

// raw is an argument; nil for null and for one that is missing.
func (a *args) raw(i int) json.RawMessage {
	if i >= len(a.list) || string(a.list[i]) == "null" {
		return nil
	}
	return a.list[i]
}

func (a *args) id(i int, name string) int64 {
	n, ok := parseID(a.raw(i))
	if !ok {
		a.wrong("%s: give an id, as a number or text", name)
	}
	return n
}

// parseID reads an id, which clients have as a number or as text.
func parseID(raw []byte) (int64, bool) {
	var text string
	if json.Unmarshal(raw, &text) != nil {
		text = string(raw)
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return n, err == nil && n > 0
}

func (a *args) text(i int, name string) (out string) {
	if json.Unmarshal(a.raw(i), &out) != nil {
		a.wrong("%s: give a text", name)
	}
	return out
}

// ids reads a list of ids, or one.
func (a *args) ids(i int, name string) (out []int64) {
	var list []json.RawMessage
	raw := a.raw(i)
	if raw != nil && json.Unmarshal(raw, &list) != nil {
		list = []json.RawMessage{raw}
	}
	for _, raw := range list {
		n, ok := parseID(raw)
		if !ok {
			a.wrong("%s: give a list of ids", name)
			return nil
		}
		out = append(out, n)
	}
	return out
}

// object reads an object with exact numbers; nil for one that is missing.
func (a *args) object(i int, name string) chat.M {
	raw := a.raw(i)
	if raw == nil {
		return nil
	}
	var out chat.M
	if decode(raw, &out) != nil {
		a.wrong("%s: give an object", name)
	}
	return out
}

func decode(raw []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	return d.Decode(v)
}

// fields reads the fields of an object, and refuses others.
type fields struct {
	a    *args
	name string
	m    map[string]json.RawMessage
}

func (a *args) fields(i int, known ...string) *fields {
	f := &fields{a: a, name: "options"}
	raw := a.raw(i)
	if raw == nil {
		return f
	}
	if json.Unmarshal(raw, &f.m) != nil || f.m == nil {
		a.wrong("%s: give an object", f.name)
		return f
	}
	for key, value := range f.m {
		if string(value) == "null" {
			delete(f.m, key)
		} else if !contains(known, key) {
			a.wrong("%s.%s: unknown; there are %s", f.name, clip(key), strings.Join(known, ", "))
		}
	}
	return f
}

func contains(list []string, s string) bool {
	for _, v := range list {
		if v == s {
			return true
		}
	}
	return false
}

func clip(s string) string {
	if len(s) > 40 {
		return strings.ToValidUTF8(s[:40], "") + "…"
	}
	return s
}

func (f *fields) has(key string) bool { return f.m[key] != nil }

// read reads a field, if it is there, into v.
func (f *fields) read(key, want string, v any) {
	if raw, ok := f.m[key]; ok && decode(raw, v) != nil {
		f.a.wrong("%s.%s: give %s", f.name, key, want)
	}
}

func (f *fields) flag(key string) (out bool) {
	f.read(key, "true or false", &out)
	return out
}

func (f *fields) text(key string) (out string) {
	f.read(key, "a text", &out)
	return out
}

func (f *fields) object(key string) (out chat.M) {
	f.read(key, "an object", &out)
	return out
}

func (f *fields) number(key string) (out int) {
	f.read(key, "a whole number", &out)
	return out
}

func (f *fields) texts(key string) (out []string) {
	f.read(key, "a list of texts", &out)
	return out
}

func (f *fields) ids(key string) []int64 {
	a := &args{list: []json.RawMessage{f.m[key]}}
	if !f.has(key) {
		return nil
	}
	out := a.ids(0, f.name+"."+key)
	if a.err != nil && f.a.err == nil {
		f.a.err = a.err
	}
	return out
}

// order reads [["data.Name", "ASC"], …].
func (f *fields) order() (out []datasource.Order) {
	var list [][]string
	f.read("order", `a list such as [["createdAt", "DESC"]]`, &list)
	for _, o := range list {
		if len(o) == 0 || len(o) > 2 || o[0] == "" {
			f.a.wrong(`%s.order: give a list such as [["createdAt", "DESC"]]`, f.name)
			return nil
		}
		by := datasource.Order{Column: o[0], Direction: datasource.Asc}
		if len(o) == 2 {
			by.Direction = datasource.Direction(strings.ToUpper(o[1]))
		}
		if by.Direction != "ASC" && by.Direction != "DESC" {
			f.a.wrong("%s.order: the direction is ASC or DESC", f.name)
			return nil
		}
		out = append(out, by)
	}
	return out
}

// findFields are the options of a query of one data source.
var findFields = []string{
	"where", "limit", "offset", "order", "attributes", "id", "createdAt", "updatedAt", "dataSourceEntryId",
	"distinct", "views", "join", "aggregate", "includePagination", "type", "offline",
}

// query reads the options of find().
func (f *fields) query() datasource.Query {
	q := datasource.Query{
		Type: f.text("type"), Where: f.object("where"), Attributes: f.texts("attributes"), Order: f.order(),
		Limit: f.number("limit"), Offset: f.number("offset"), IncludePagination: f.flag("includePagination"),
		Distinct: f.text("distinct"), Views: f.texts("views"), Join: f.object("join"),
	}
	f.read("aggregate", "a list of objects", &q.Aggregate)
	f.read("id", "a value or an object", &q.ID)
	f.read("createdAt", "a time or an object", &q.CreatedAt)
	f.read("updatedAt", "a time or an object", &q.UpdatedAt)
	if f.has("dataSourceEntryId") {
		n, ok := parseID(f.m["dataSourceEntryId"])
		if q.DataSourceEntryID = n; !ok {
			f.a.wrong("%s.dataSourceEntryId: give an id, as a number or text", f.name)
		}
	}
	if q.Type != "" && q.Type != "select" {
		f.a.wrong("%s.type: only select reads", f.name)
	}
	return q
}
