package chathttp_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/chathttp"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

// rejected decodes a rejection.
func rejected(t testing.TB, res *http.Response, raw []byte) (message string) {
	t.Helper()
	var told struct {
		Code, Status int
		Message      string
	}
	require.NoError(t, json.Unmarshal(raw, &told), "%s", raw)
	require.Equal(t, res.StatusCode, told.Status)
	require.NotEmpty(t, told.Message)
	return told.Message
}

func TestPagesOfOtherOriginsAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, chathttp.Options{Origins: []string{"https://app.example.org"}})
	header := func(pairs ...string) func(*http.Request) {
		return func(r *http.Request) {
			r.Header.Del("Sec-Fetch-Site")
			r.Header.Del("Origin")
			for i := 0; i < len(pairs); i += 2 {
				r.Header.Set(pairs[i], pairs[i+1])
			}
		}
	}
	for name, tc := range map[string]struct {
		change func(*http.Request)
		ok     bool
	}{
		"its own":                        {header("Sec-Fetch-Site", "same-origin", "Origin", "http://chat.example.org"), true},
		"typed by a person":              {header("Sec-Fetch-Site", "none"), true},
		"no browser":                     {header(), true},
		"its own, of an older browser":   {header("Origin", "http://chat.example.org"), true},
		"another site":                   {header("Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"), false},
		"another site without an origin": {header("Sec-Fetch-Site", "cross-site"), false},
		"another host of the site":       {header("Sec-Fetch-Site", "same-site", "Origin", "http://blog.example.org"), false},
		"another site, older browser":    {header("Origin", "https://evil.example"), false},
		"another port":                   {header("Origin", "http://chat.example.org:8080"), false},
		"a page of no origin":            {header("Origin", "null"), false},
		"one that is named":              {header("Sec-Fetch-Site", "cross-site", "Origin", "https://app.example.org"), true},
		"its name in another one":        {header("Origin", "http://chat.example.org.evil.example"), false},
	} {
		for _, path := range []string{"call/user", "upload/1", "stream/ack", "file/1/1/0"} {
			method := http.MethodPost
			if strings.HasPrefix(path, "file") {
				method = http.MethodGet
			}
			res, body := w.request("jane", method, path, "[]", tc.change)
			assert.Equal(t, !tc.ok, res.StatusCode == http.StatusForbidden, "%s: %s: %d %s", name, path, res.StatusCode, body)
			assert.Empty(t, res.Header.Get("Access-Control-Allow-Origin"))
			if !tc.ok {
				assert.Contains(t, rejected(t, res, body), "other origins")
			}
		}
	}
	res, _ := w.request("jane", http.MethodGet, "stream", "", header("Sec-Fetch-Site", "cross-site"))
	assert.Equal(t, http.StatusForbidden, res.StatusCode)
	res, _ = w.request("jane", http.MethodOptions, "call/user", "", header("Origin", "https://evil.example"))
	assert.Equal(t, http.StatusForbidden, res.StatusCode, "no preflight succeeds")
}

func TestBodiesAndMethodsAreChecked(t *testing.T) {
	t.Parallel()
	w := newWorld(t, chathttp.Options{MaxBody: 1000, MaxUpload: 4000})
	conv := w.converse("jane", "bob")
	to := strconv.FormatInt(conv.ID, 10)
	kind := func(v string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Content-Type", v) }
	}
	for name, tc := range map[string]struct {
		method, path, body string
		change             func(*http.Request)
		status             int
		says               string
	}{
		"too large":               {"POST", "call/message", `[` + to + `,{"body":"` + strings.Repeat("x", 1000) + `"}]`, nil, 413, "1000 bytes"},
		"a form":                  {"POST", "call/message", "a=b", kind("application/x-www-form-urlencoded"), 415, "application/json"},
		"text, as forms can send": {"POST", "call/message", "[]", kind("text/plain"), 415, "application/json"},
		"no type":                 {"POST", "call/message", "[]", kind(""), 415, "application/json"},
		"another method":          {"GET", "call/user", "", nil, 405, "POST"},
		"a stream by POST":        {"POST", "stream", "[]", nil, 405, "GET"},
		"a file by DELETE":        {"DELETE", "file/1/2/0", "", nil, 405, "GET, HEAD"},
		"nothing there":           {"GET", "calls", "", nil, 404, "StripPrefix"},
		"deeper":                  {"POST", "call/user/x", "[]", nil, 404, "StripPrefix"},
		"no file":                 {"GET", "file/1/2/x", "", nil, 404, "no such file"},
		"a negative file":         {"GET", "file/1/2/-1", "", nil, 404, "no such file"},
		"a file of nobody":        {"GET", "file/1/2/0", "", nil, 404, "not yours"},
		"an upload that is JSON":  {"POST", "upload/" + to, "[]", nil, 415, "multipart"},
		"an upload to nowhere":    {"POST", "upload/x", "[]", nil, 404, "conversation"},
		"an upload, cut":          {"POST", "upload/" + to, "--b\r\nContent-Dis", kind("multipart/form-data; boundary=b"), 400, "form"},
		"an upload, too large": {
			"POST", "upload/" + to, "--b\r\nContent-Disposition: form-data; name=f; filename=a.png\r\n\r\n" + strings.Repeat("x", 5000) + "\r\n--b--\r\n",
			kind("multipart/form-data; boundary=b"), 413, "4000 bytes",
		},
		"a message part, too large": {
			"POST", "upload/" + to, "--b\r\nContent-Disposition: form-data; name=message\r\n\r\n{\"body\":\"" + strings.Repeat("x", 1500) + "\"}\r\n--b--\r\n",
			kind("multipart/form-data; boundary=b"), 413, "4000 bytes",
		},
		"an empty file": {
			"POST", "upload/" + to, "--b\r\nContent-Disposition: form-data; name=f; filename=a.png\r\n\r\n\r\n--b--\r\n",
			kind("multipart/form-data; boundary=b"), 400, "empty",
		},
		"many files": {
			"POST", "upload/" + to, strings.Repeat("--b\r\nContent-Disposition: form-data; name=f; filename=a.txt\r\n\r\nx\r\n", 21) + "--b--\r\n",
			kind("multipart/form-data; boundary=b"), 400, "files",
		},
		"a message twice": {
			"POST", "upload/" + to, strings.Repeat("--b\r\nContent-Disposition: form-data; name=message\r\n\r\n{\"body\":\"x\"}\r\n", 2) + "--b--\r\n",
			kind("multipart/form-data; boundary=b"), 400, "twice",
		},
		"a text as a file": {
			"POST", "upload/" + to, "--b\r\nContent-Disposition: form-data; name=message\r\n\r\n{\"body\":\"x\"}\r\n--b\r\nContent-Disposition: form-data; name=file\r\n\r\ndata:,x\r\n--b--\r\n",
			kind("multipart/form-data; boundary=b"), 400, "file: a text",
		},
		"a stream from where": {"GET", "stream?from=yesterday", "", nil, 400, "newest"},
		"a stream with what":  {"GET", "stream?offline=yes", "", nil, 400, "offline"},
	} {
		change := tc.change
		if change == nil {
			change = func(*http.Request) {}
		}
		res, body := w.request("jane", tc.method, tc.path, tc.body, change)
		assert.Equal(t, tc.status, res.StatusCode, "%s: %s", name, body)
		assert.Contains(t, rejected(t, res, body), tc.says, name)
		assert.Equal(t, "nosniff", res.Header.Get("X-Content-Type-Options"))
		assert.Equal(t, "no-store", res.Header.Get("Cache-Control"))
	}
	assert.Empty(t, w.Rows(conv.ID), "stored")
}

func TestALoginThatIsOverIsA401(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, chathttp.Options{})
		s := w.open("jane", "", "")
		s.want("open")
		w.call("jane", "logout", nil)
		e := s.want("end")
		assert.Contains(t, e.data, "401")
		_, ok := s.next()
		assert.False(t, ok, "the connection is over, too")
		for _, who := range []string{"jane", "nobody"} {
			for _, method := range []string{"conversations", "login", "unread.count"} {
				status, _ := w.refused(who, method, object{})
				assert.Equal(t, http.StatusUnauthorized, status, "%s %s", who, method)
			}
			res, body := w.request(who, http.MethodGet, "stream", "")
			assert.Equal(t, http.StatusUnauthorized, res.StatusCode)
			rejected(t, res, body)
		}
	})
}

func TestAnotherPersonsLoginIsNotForAPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, chathttp.Options{})
	for query, ok := range map[string]bool{
		`{"Email":"jane@example.org"}`: true, `{"Email":{"$iLike":" JANE@example.org"}}`: true, `{"where":{"Email":{"$eq":"jane@example.org"}}}`: true,
		`{"$and":[{"Email":"jane@example.org"},{"Full name":"Jane"}]}`: true, `{"$or":[{"Email":"x"},{"Full name":"Jane"}]}`: true, `{}`: true,
		`{"Email":"bob@example.org"}`: false, `{"Email":{"$iLike":"jane"}}`: false, `{"Nothing":"x"}`: false,
		`{"$and":[{"Email":"jane@example.org"},{"Full name":"Bob"}]}`: false,
	} {
		res, body := w.request("jane", http.MethodPost, "call/login", "["+query+"]")
		if ok {
			assert.Equal(t, http.StatusOK, res.StatusCode, "%s: %s", query, body)
			assert.Contains(t, string(body), "jane@example.org")
		} else {
			assert.Equal(t, http.StatusNotFound, res.StatusCode, "%s: %s", query, body)
			assert.Contains(t, string(body), `"code":404`)
		}
	}
	assert.Equal(t, "jane@example.org", w.chats["jane"].User().Data["Email"])
}

// Else a page could try what is in a column that it does not get.
func TestALoginDoesNotTellWhetherAHiddenColumnHasAValue(t *testing.T) {
	t.Parallel()
	w := newWorld(t, chathttp.Options{})
	for _, query := range []string{
		`{"Email":"jane@example.org","password":"secret of jane"}`, `{"password":"secret"}`, `{"Password":{"$iLike":"SECRET OF JANE"}}`,
		`{"where":{"password":"secret of jane"}}`, `{"$or":[{"Email":"jane@example.org"},{"$and":[{"password":"x"}]}]}`, `{"flUserToken":"x"}`,
	} {
		res, body := w.request("jane", http.MethodPost, "call/login", "["+query+"]")
		assert.Equal(t, http.StatusForbidden, res.StatusCode, "%s: %s", query, body)
		assert.Contains(t, rejected(t, res, body), "query")
	}
}

func TestWhatIsHiddenIsNotSeenInsideOfColumnsEither(t *testing.T) {
	t.Parallel()
	w := newWorld(t, chathttp.Options{})
	w.AddRows(w.contacts, object{"Email": "kim@example.org", "Profile": object{
		"city": "Rome", "password": "secret of kim", "old": []any{object{"Passwords": []string{"secret too"}, "year": 2020}, "text"},
	}})
	var found []object
	w.call("jane", "contacts", &found, object{"where": object{"Email": "kim@example.org"}})
	require.Len(t, found, 1)
	assert.Equal(t, object{"city": "Rome", "old": []any{object{"year": 2020.0}, "text"}}, column(t, found[0], "Profile"))
}

// A page repeats what is a server's failure, and shows what is its own mistake.
func TestAQueryThatFlipletRefusesIsThePagesMistake(t *testing.T) {
	t.Parallel()
	w := newWorld(t, chathttp.Options{})
	conv := strconv.FormatInt(w.converse("jane", "bob").ID, 10)
	deep := `{"where":` + strings.Repeat(`{"a":`, 600) + "1" + strings.Repeat("}", 600) + "}"
	for _, options := range []string{`{"where":{"data":{"$contains":"x"}}}`, `{"where":{"Email":{"$regex":"("}}}`, deep} {
		for method, args := range map[string]string{"contacts": options, "messages.fetch": conv + "," + options} {
			res, body := w.request("jane", http.MethodPost, "call/"+method, "["+args+"]")
			assert.Equal(t, http.StatusBadRequest, res.StatusCode, "%s %.60s: %s", method, options, body)
			assert.Contains(t, rejected(t, res, body), "refuses")
		}
	}
}

func TestPagesDoNotLearnWhatTheServerMayRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, chathttp.Options{})
	conv := w.converse("jane", "bob")
	for _, options := range []string{
		`{"where":{"flUserToken":{"$regex":"^a"}}}`, `{"where":{"$or":[{"flUserTOKEN":{"$gt":""}}]}}`, `{"where":{"$not":{"password":"x"}}}`,
		`{"where":{"$filters":[{"column":"flUserToken","condition":"contains","value":"a"}]}}`, `{"where":{"Password":{"$regex":"."}}}`,
		`{"order":[["data.flUserToken","ASC"]]}`, `{"order":[["data.password","ASC"]]}`, `{"attributes":["password"]}`, `{"distinct":"flUserToken"}`,
		`{"where":{"$where":"this.password"}}`, `{"join":{"all":{"dataSourceId":7}}}`, `{"aggregate":[{"$group":{}}]}`,
		`{"where":{"flUserTok\u0065n":"x"}}`,
	} {
		before := len(w.Requests())
		for _, call := range []struct{ method, args string }{{"contacts", options}, {"messages.fetch", strconv.FormatInt(conv.ID, 10) + "," + options}} {
			res, body := w.request("jane", http.MethodPost, "call/"+call.method, "["+call.args+"]")
			assert.Equal(t, http.StatusForbidden, res.StatusCode, "%s %s: %s", call.method, options, body)
		}
		if !strings.Contains(options, "messages") {
			assert.LessOrEqual(t, len(w.Requests())-before, 1, "%s: the conversation at most", options)
		}
	}
	for _, call := range []string{"contacts [{}]", `contacts [{"offline":true}]`, "participants.fetch [" + strconv.FormatInt(conv.ID, 10) + "]", "user []", `login [{}]`, `contacts [{"where":{"Full name":"password"}}]`} {
		method, args, _ := strings.Cut(call, " ")
		res, body := w.request("jane", http.MethodPost, "call/"+method, args)
		require.Equal(t, http.StatusOK, res.StatusCode, "%s: %s", call, body)
		assert.NotContains(t, string(body), "secret", call)
		assert.NotContains(t, string(body), "flUserToken", call)
		assert.NotContains(t, string(body), w.Token, call)
	}
}

func TestOnlyWhoWroteAMessageMayChangeIt(t *testing.T) {
	t.Parallel()
	moderator := false
	w := newWorld(t, chathttp.Options{Moderator: func(*chat.Chat) bool { return moderator }})
	conv := w.converse("jane", "bob")
	var m chat.Message
	w.call("jane", "message", &m, conv.ID, object{"body": "mine"})
	for _, method := range []string{"updateMessage", "deleteMessage"} {
		args := []any{conv.ID, m.ID}
		if method == "updateMessage" {
			args = append(args, object{"body": "not mine"})
		}
		status, message := w.refused("bob", method, args...)
		assert.Equal(t, http.StatusForbidden, status)
		assert.Contains(t, message, "wrote")
		status, _ = w.refused("eve", method, args...)
		assert.Equal(t, http.StatusNotFound, status, "nobody learns what is in a conversation of others")
	}
	moderator = true
	w.call("bob", "updateMessage", nil, conv.ID, m.ID, object{"body": "moderated"})
	w.call("bob", "deleteMessage", nil, conv.ID, m.ID)
}

func TestWhatAllowRefusesIsA403AndSaysNoMore(t *testing.T) {
	t.Parallel()
	w := newWorld(t, chathttp.Options{Allow: func(_ *http.Request, c *chat.Chat, method string) error {
		if method == "message" || method == "channels.create" && c.User().Data["Email"] != "jane@example.org" {
			return io.ErrUnexpectedEOF
		}
		return nil
	}})
	conv := w.converse("jane", "bob")
	status, message := w.refused("jane", "message", conv.ID, object{"body": "x"})
	assert.Equal(t, http.StatusForbidden, status)
	assert.NotContains(t, message, "EOF")
	status, _ = w.refused("bob", "channels.create", "x")
	assert.Equal(t, http.StatusForbidden, status)
	w.call("jane", "channels.create", nil, "x")
	res, _ := w.request("jane", http.MethodPost, "upload/1", "", func(r *http.Request) { r.Header.Set("Content-Type", "multipart/form-data; boundary=b") })
	assert.Equal(t, http.StatusForbidden, res.StatusCode)
}

func TestTooManyCallsAreRefusedForAWhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, chathttp.Options{Calls: 20})
		for range 20 {
			w.call("jane", "user", nil)
		}
		res, body := w.request("jane", http.MethodPost, "call/user", "[]")
		assert.Equal(t, http.StatusTooManyRequests, res.StatusCode)
		rejected(t, res, body)
		seconds, err := strconv.Atoi(res.Header.Get("Retry-After"))
		require.NoError(t, err)
		w.call("bob", "user", nil) // has calls of his own
		time.Sleep(time.Duration(seconds) * time.Second)
		w.call("jane", "user", nil)
		time.Sleep(10 * time.Second)
		for range 20 {
			w.call("jane", "user", nil)
		}
	})
}

func TestErrorsShowNoInternals(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		fault  fliplettest.Fault
		status int
	}{
		"down":        {fliplettest.Status(503), 503},
		"refused":     {fliplettest.Answer(400, `{"type":"datasource.access","message":"SECRET rule of api.example"}`), 403},
		"broken":      {fliplettest.Answer(400, `SECRET page of a gateway`), 502},
		"too many":    {fliplettest.TooMany(time.Hour), 429},
		"unreachable": {fliplettest.LoseRequest(), 503},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, chathttp.Options{})
				conv := w.converse("jane", "bob")
				w.Always(fliplettest.AnyRoute, tc.fault)
				for _, call := range [][]any{{"conversations"}, {"message", conv.ID, object{"body": "x"}}, {"channels.get"}, {"create", object{"participants": []int64{w.ids["eve"]}}}} {
					raw, err := json.Marshal(call[1:])
					require.NoError(t, err)
					res, body := w.request("jane", http.MethodPost, "call/"+call[0].(string), string(raw))
					if call[0] != "message" { // it may have been stored when its time is over
						assert.Equal(t, tc.status, res.StatusCode, "%v: %s", call, body)
					}
					rejected(t, res, body)
					for _, secret := range []string{"SECRET", w.URL, w.Token, "fliplet.test", "v1/", "dial", "http://", "https://"} {
						if secret != "" {
							assert.NotContains(t, string(body), secret)
						}
					}
					if s := res.StatusCode; s == 429 || s == 503 || s == 504 {
						assert.NotEmpty(t, res.Header.Get("Retry-After"))
					}
				}
			})
		})
	}
}

func TestOptionsThatAreUnusableAreNamedAllAtOnce(t *testing.T) {
	t.Parallel()
	_, err := chathttp.New(nil, chathttp.Options{
		Origins: []string{"app.example.org"}, MaxBody: -1, MaxUpload: -1, Calls: -1, Streams: -1, Keep: -1, LogEvents: -1, LogBytes: -1, WriteTimeout: -1,
		Heartbeat: time.Minute, HiddenColumns: []string{"["},
	})
	require.ErrorIs(t, err, chat.ErrInvalid)
	for _, name := range []string{"who", "Origins", "MaxBody", "MaxUpload", "Calls", "Streams", "Keep", "LogEvents", "LogBytes", "WriteTimeout", "Heartbeat", "HiddenColumns"} {
		assert.ErrorContains(t, err, name)
	}
}
