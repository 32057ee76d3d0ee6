package chathttp_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/fliplet/fliplet-chat-go/chathttp"
)

// Whatever a page sends is answered, and what is refused is no failure of the server's.
func FuzzNoBodyBreaksACall(f *testing.F) {
	w := newWorld(f, chathttp.Options{Calls: 1 << 30})
	methods := chathttp.Methods()
	for _, body := range []string{
		``, `null`, `[]`, `[null]`, `[null,null,null]`, `{}`, `[[]]`, `[{}]`, `[1,{}]`, `[1,2,{"file":[null]}]`, `[{"where":{"$and":[{"$or":[null]}]}}]`, `["",""]`,
		`[1e400]`, `[{"limit":-1}]`, `[{"offset":-1}]`, `[{"order":[[]]}]`, `[{"limit":99999999999999999999}]`, `[{"participants":[[[1]]]}]`, `[1,{"before":{}}]`, `[1,{"before":{"id":1}}]`,
		`[{"where":{"a":{"$regex":"("}}}]`, `[{"id":{"$in":[1]}}]`, `[[{"id":1,"dataSourceId":1}]]`, `[{"reset":true}]`, "[\"\xff\"]", `[1,{"body":"x","file":"file/1/1/0-x"}]`,
		strings.Repeat("[", 2000), `[{"createdAt":7,"updatedAt":"x","views":[""],"distinct":""}]`, `[1,{"body":"x","_flSchema":{}}]`,
	} {
		for i := range methods {
			f.Add(uint8(i), body) //nolint:gosec // there are about thirty
		}
	}
	h := w.handler
	f.Fuzz(func(t *testing.T, i uint8, body string) {
		method := methods[int(i)%len(methods)]
		if method == "logout" {
			return // it works
		}
		r := httptest.NewRequest(http.MethodPost, "/call/"+method, strings.NewReader(body))
		r.Header.Set(asking, "jane")
		r.Header.Set("Content-Type", "application/json")
		recorder := httptest.NewRecorder()
		h.ServeHTTP(recorder, r)
		if status := recorder.Code; status >= 500 && status != http.StatusNotImplemented {
			// What Fliplet refuses as a query is the only failure that is told as one.
			assert.Equal(t, http.StatusBadGateway, status, "%s %s: %s", method, body, recorder.Body)
			assert.Contains(t, []string{"contacts", "messages", "messages.fetch"}, method, "%s: %s", body, recorder.Body)
		}
		assert.NotContains(t, recorder.Body.String(), "flUserToken")
	})
}
