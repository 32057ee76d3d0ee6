package flipletd_test

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd"
)

// TestBadBodiesChangeNothing sends every call that takes a body what it cannot
// take.
func TestBadBodiesChangeNothing(t *testing.T) {
	t.Parallel()
	bodies := map[string]string{
		"cut off": `{"a":`, "not JSON": `a=b`, "two values": `{} {}`, "an array": `[{}]`, "a text": `"x"`, "null": `null`, "a number": `1`,
		"invalid UTF-8": "{\"a\":\"\xff\xfe\"}", "nested": strings.Repeat(`{"a":`, 600) + `1` + strings.Repeat(`}`, 600),
		"nested lists": `{"a":` + strings.Repeat(`[`, 100_000) + strings.Repeat(`]`, 100_000) + `}`, "an open string": `{"a":"`, "a lone quote": `"`,
		"a bad number": `{"a":01}`, "NaN": `{"a":NaN}`,
	}
	k := start(t)
	k.source(m{"entries": []any{m{"n": 1}}})
	before, _ := json.Marshal(k.Rows(101))
	for _, call := range []struct{ method, path string }{
		{"PUT", "/v1/data-sources/101/data"}, {"PUT", "/v1/data-sources/101/data/5001"}, {"POST", "/v1/data-sources/101/data"},
		{"POST", "/v1/data-sources/101/commit"}, {"POST", "/v1/data-sources/101/data/query"}, {"POST", "/v1/data-sources/data"},
		{"POST", "/v1/data-sources"}, {"PUT", "/v1/data-sources/101"}, {"POST", "/v1/session/authorize/dataSource"}, {"POST", "/v1/media/folders"},
		{"POST", "/v1/auth/login"}, {"PUT", "/v1/widget-instances/x"},
	} {
		for name, body := range bodies {
			a := k.do(call.method, call.path, body)
			assert.Equal(t, 400, a.status, "%s %s: %s", call.method, call.path, name)
			assert.True(t, json.Valid([]byte(a.body)))
		}
	}
	after, _ := json.Marshal(k.Rows(101))
	assert.JSONEq(t, string(before), string(after))
	assert.Len(t, k.Sources(), 1)
}

func TestBadCommitsAndImportsChangeNothing(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.source(m{"entries": []any{m{"n": 1}, m{"n": 2}}})
	for _, body := range []string{
		`{}`, `{"append":true}`, `{"entries":{}}`, `{"entries":"x"}`, `{"entries":null}`, `{"entries":[1]}`, `{"entries":[{}]}`, `{"entries":[{"data":[]}]}`,
		`{"entries":[{"id":"x","data":{}}]}`, `{"entries":[{"id":0,"data":{}}]}`, `{"entries":[{"id":-5,"data":{}}]}`, `{"entries":[{"id":1.5,"data":{}}]}`,
		`{"entries":[{"id":99999999999999999999,"data":{}}]}`, `{"entries":[{"id":5001,"data":null}]}`, `{"entries":[{"data":{},"order":"first"}]}`,
		`{"entries":[{"data":{"ok":1}},{"data":7}]}`, `{"delete":5001}`, `{"delete":["x"]}`, `{"delete":[99999999999999999999]}`,
		`{"entries":[],"columns":"a"}`, `{"entries":[],"columns":[1]}`, `{"entries":[],"runHooks":"insert"}`, `{"entries":[],"runHooks":[1]}`,
		`{"entries":[],"normalizeOrder":{}}`, `{"entries":[],"normalizeOrder":{"gap":-1}}`, `{"entries":[],"normalizeOrder":7}`,
	} {
		k.do("POST", "/v1/data-sources/101/commit", body).refused(400)
	}
	for _, body := range []string{
		`{}`, `{"entries":{}}`, `{"entries":[1]}`, `{"entries":[{"id":"x"}]}`, `{"entries":[{"id":0}]}`, `{"entries":[{"a":1},{"id":99999999999999999999}]}`,
	} {
		k.do("POST", "/v1/data-sources/101/data", body).refused(400)
	}
	assert.Equal(t, []int64{5001, 5002}, k.live(101))
	assert.Equal(t, json.Number("1"), k.Rows(101)[0].Data["n"])
}

func TestBadMultipart(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.source(m{})
	const head = "--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n"
	for name, test := range map[string]struct{ contentType, body string }{
		"no boundary":           {"multipart/form-data", head + "x\r\n--B--\r\n"},
		"a malformed type":      {"multipart/form-data; boundary=\"", head + "x\r\n--B--\r\n"},
		"another boundary":      {"multipart/form-data; boundary=C", head + "x\r\n--B--\r\n"},
		"no end":                {"multipart/form-data; boundary=B", head + "x"},
		"nothing":               {"multipart/form-data; boundary=B", ""},
		"no name":               {"multipart/form-data; boundary=B", "--B\r\nContent-Disposition: form-data\r\n\r\nx\r\n--B--\r\n"},
		"only brackets":         {"multipart/form-data; boundary=B", "--B\r\nContent-Disposition: form-data; name=\"[]\"\r\n\r\nx\r\n--B--\r\n"},
		"invalid UTF-8":         {"multipart/form-data; boundary=B", head + "\xff\r\n--B--\r\n"},
		"a schema of no object": {"multipart/form-data; boundary=B", "--B\r\nContent-Disposition: form-data; name=\"_flSchema\"\r\n\r\n[]\r\n--B--\r\n"},
		"a schema that is not":  {"multipart/form-data; boundary=B", "--B\r\nContent-Disposition: form-data; name=\"_flSchema\"\r\n\r\nx\r\n--B--\r\n"},
		"too many parts":        {"multipart/form-data; boundary=B", strings.Repeat(head+"x\r\n", 2001) + "--B--\r\n"},
	} {
		r := httptest.NewRequest("PUT", "/v1/data-sources/101/data", strings.NewReader(test.body))
		r.Header.Set("Auth-token", token)
		r.Header.Set("Content-Type", test.contentType)
		a := k.send(r)
		assert.Equal(t, 400, a.status, name+a.body)
	}
}

func TestFormsAreBodiesToo(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.source(m{})
	send := func(path, body string) answer {
		r := httptest.NewRequest("PUT", path, strings.NewReader(body))
		r.Header.Set("Auth-token", token)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
		return k.send(r)
	}
	assert.Equal(t, m{"a b": "1", "list": []any{"x", "y"}, "one": []any{"z"}, "bad": "\uFFFD"},
		send("/v1/data-sources/101/data", "a+b=1&list=x&list=y&one%5B%5D=z&bad=%FF").ok(200)["data"])
	send("/v1/data-sources/101/data", "a=%zz").refused(400)
}

func TestLargeBodies(t *testing.T) {
	t.Parallel()
	k := start(t, func(c *flipletd.Config) { c.MaxBody = 11 << 20 })
	k.source(m{})
	large := strings.Repeat("0123456789abcdef", 10<<20/16)
	k.do("PUT", "/v1/data-sources/101/data", `{"body":"`+large+`"}`).ok(200)
	assert.True(t, k.Rows(101)[0].Data["body"] == large)
	k.do("PUT", "/v1/data-sources/101/data", `{"body":"`+large+large+`"}`).refused(413)
	assert.Len(t, k.Rows(101), 1)
}

func TestOddPaths(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.source(m{"name": "Things"})
	for _, path := range []string{
		"/", "/v1", "/v2/data-sources", "/v1//data-sources", "/v1/data-sources/101/data/5001/more", "/v1/data-sources//data", "/v1/data-sources/101/unknown", "/v1/session/authorize/nobody",
		"/v1/data-sources/%00", "/v1/data-sources/%FF", "/v1/data-sources/" + strings.Repeat("x", 10_000), "/v1/data-sources/..%2f..", "/v1/data-sources/%252F",
	} {
		k.do("GET", path, "").refused(404)
	}
	k.do("PATCH", "/v1/data-sources/101", "{}").refused(404)
	k.do("OPTIONS", "/v1/data-sources", "").refused(404)
	assert.Empty(t, k.do("HEAD", "/v1/data-sources", "").body)
	k.do("GET", "/v1/data-sources/101/data?limit=%zz&dsn=%zz", "").ok(200)
	k.do("GET", "/v1/data-sources/", "").ok(200)
}

func TestSlowClausesAreGivenUp(t *testing.T) {
	t.Parallel()
	k := start(t)
	rows := make([]any, 20)
	for i := range rows {
		rows[i] = m{"n": strings.Repeat("a", 30)}
	}
	k.source(m{"entries": rows})
	k.source(m{"name": "Other", "entries": rows})
	k.do("POST", "/v1/data-sources/101/commit", `{"append":true,"entries":[]}`).ok(200) // makes a version
	const where = `"where":{"n":{"$regex":"b"}}`
	calls := map[string]string{
		"/v1/data-sources/101/data/query":        `{` + where + `}`,
		"/v1/data-sources/102/data/query":        `{"join":{"J":{"dataSourceId":101,` + where + `}}}`,
		"/v1/data-sources/101/versions/301/data": `{` + where + `}`,
		"/v1/session/authorize/dataSource":       `{"dataSourceId":101,` + where + `}`,
	}
	k.SetQueryTimeout(-1)
	for path, body := range calls {
		assert.Equal(t, "The query takes too long.", k.do("POST", path, body).refused(400), path)
	}
	k.do("POST", "/v1/data-sources/101/data/query", `{"type":"delete","where":{"n":{"$ne":"x"}}}`).refused(400)
	assert.Len(t, k.live(101), 20, "nothing was deleted")
	ctx, cancel := context.WithCancel(t.Context())
	k.SetQueryTimeout(time.Hour)
	cancel()
	r := httptest.NewRequest("POST", "/v1/data-sources/101/data/query", strings.NewReader(`{`+where+`}`)).WithContext(ctx)
	r.Header.Set("Auth-token", token)
	assert.Equal(t, "The query takes too long.", k.send(r).refused(400), "nobody waits for the answer")
}
