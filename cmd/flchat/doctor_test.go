package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

// examine runs doctor, and returns its findings by check.
func examine(t *testing.T, w *world, args ...string) (result, map[string]map[string]any) {
	t.Helper()
	r := callWith(t, strings.NewReader(""), append(append([]string{"doctor"}, w.flags()...), args...)...)
	found := map[string]map[string]any{}
	for _, o := range r.objects(t) {
		found[o["check"].(string)] = o
	}
	assert.Len(t, found, 11, "one line for each check")
	return r, found
}

func TestDoctorFindsNothingWhereAllIsWell(t *testing.T) {
	w := newWorld(t)
	w.token(t)
	w.say(w.talk, "u-bob", "hello")
	w.srv.ThawClock()
	w.srv.ShiftClock(time.Since(w.srv.Now()))
	w.person("jane@example.org")
	r, found := examine(t, w)
	for name, f := range found {
		assert.Equal(t, isGreen, f["status"], "%s: %v", name, f)
	}
	assert.Equal(t, 0, r.code)
	assert.Empty(t, r.errs)
}

func TestDoctorWritesNothing(t *testing.T) {
	w := newWorld(t).chatter()
	w.token(t)
	examine(t, w)
	for _, req := range w.srv.Requests() {
		reads := req.Method == "GET" || strings.HasSuffix(req.Path, "/data/query") || strings.HasSuffix(req.Path, "/v1/data-sources/data")
		assert.True(t, reads, "%s %s", req.Method, req.Path)
	}
	assert.LessOrEqual(t, len(w.srv.Requests()), 12)
}

// TestDoctorNamesWhatIsWrong breaks one thing after another. The others have to stay as they were,
// unless they cannot be looked at without it.
func TestDoctorNamesWhatIsWrong(t *testing.T) {
	const red, yellow = isRed, isYellow
	for _, tt := range []struct {
		name, check, status, text string
		code                      int
		breaks                    func(*world)
		args                      []string
	}{
		{"token refused", "token", red, "HTTP 401", 2, func(w *world) { w.srv.RevokeToken(w.srv.Token) }, nil},
		{"server down", "token", red, "HTTP 503", 3, func(w *world) { w.srv.Always(fliplettest.AnyRoute, fliplettest.Status(503)) }, nil},
		{"another server", "token", red, "whose the token is", 3, func(w *world) {
			w.srv.Always(fliplettest.AnyRoute, fliplettest.Answer(200, `{"hello":"portal"}`))
		}, nil},
		{"an empty answer", "token", red, "", 3, func(w *world) { w.srv.Always(fliplettest.AnyRoute, fliplettest.EmptyBody()) }, nil},
		{"a page of a portal", "token", red, "", 3, func(w *world) {
			w.srv.Always(fliplettest.AnyRoute, fliplettest.Answer(200, "<html>hello</html>"))
		}, nil},
		{"clock ahead", "clock", yellow, "behind the server", 0, func(w *world) { w.srv.ShiftClock(time.Hour) }, nil},
		{"clock behind", "clock", yellow, "ahead of the server", 0, func(w *world) { w.srv.ShiftClock(-time.Hour) }, nil},
		{"no such contacts", "contacts", red, "no data source 999", 2, nil, []string{"--contacts", "999"}},
		{"a conversation as contacts", "contacts", red, "is a conversation", 2, nil, []string{"--contacts", "102"}},
		{"the same key twice", "primary key", yellow, "1 of 4 contacts", 0, func(w *world) {
			w.srv.AddRows(w.contacts, datasource.M{"Email": "BOB@example.org", "flUserId": "u-bob2"})
		}, nil},
		{"the same user twice", "primary key", yellow, "1 of 4 contacts have the flUserId of another one", 0, func(w *world) {
			w.srv.AddRows(w.contacts, datasource.M{"Email": "bob2@example.org", "flUserId": "u-bob"})
		}, nil},
		{"no key", "primary key", yellow, "1 of 4 contacts have none", 0, func(w *world) {
			w.srv.AddRows(w.contacts, datasource.M{"Full name": "Nobody"})
		}, nil},
		{"no such column", "primary key", red, `no contact has a column "Mail"`, 2, nil, []string{"--primary-key", "Mail"}},
		{"nobody", "login", red, "nobody in the contacts matches", 2, nil, []string{"--as", "Email=x@example.org"}},
		{"no such column to log in with", "login", red, `no contact has a column "Phone"`, 2, nil, []string{"--as", "Phone=1", "--primary-key", "Email"}},
		{"two of one name", "login", yellow, "2 contacts match", 0, func(w *world) {
			w.srv.AddRows(w.contacts, datasource.M{"Email": "jane@example.org", "flUserId": "u-jane2"})
		}, nil},
		{"never chatted", "login", yellow, "has never chatted", 0, func(w *world) {
			w.srv.AddRows(w.contacts, datasource.M{"Email": "new@example.org", "Full name": "Newcomer"})
		}, []string{"--as", "Email=new@example.org"}},
		{"in no conversation", "conversations", yellow, "you are in none", 0, func(w *world) {
			w.srv.AddRows(w.contacts, datasource.M{"Email": "new@example.org", "flUserId": "u-new", "flUserToken": "t"})
		}, []string{"--as", "Email=new@example.org"}},
		{"list refused", "conversations", red, "HTTP 403", 2, func(w *world) { w.srv.Always(fliplettest.ListSources, fliplettest.Status(403)) }, nil},
		{"rights missing", "rights", red, "no delete", 2, func(w *world) {
			w.srv.AddDataSource(datasource.M{
				"name": "Read only", "type": "conversation", "definition": datasource.M{"participants": []string{"u-jane"}},
				"accessRules": []any{datasource.M{"type": []any{"select", "insert", "update"}, "allow": "all"}},
			})
		}, nil},
		{"rights of some", "rights", yellow, "insert for some only", 0, func(w *world) {
			w.srv.AddDataSource(datasource.M{
				"name": "Partly", "type": "conversation", "definition": datasource.M{"participants": []string{"u-jane"}},
				"accessRules": []any{
					datasource.M{"type": []any{"select", "update", "delete"}, "allow": "all"},
					datasource.M{"type": "insert", "allow": datasource.M{"tokens": []int{1}}},
					datasource.M{"type": []any{"insert"}, "allow": "all", "enabled": false},
				},
			})
		}, nil},
		{"no rules", "rights", yellow, "without access rules", 0, func(w *world) {
			w.srv.AddDataSource(datasource.M{"name": "Open", "type": "conversation", "definition": datasource.M{"participants": []string{"u-jane"}}})
		}, nil},
		{"others encrypt", "encryption", yellow, "1 of 2 messages are encrypted", 0, func(w *world) {
			c, err := chat.Connect(w.t.Context(), chat.Options{Client: w.srv.Client(), DataSourceID: w.contacts, EncryptMessages: true})
			require.NoError(w.t, err)
			defer c.Close()
			_, err = c.Login(w.t.Context(), chat.M{"Email": "jane@example.org"})
			require.NoError(w.t, err)
			_, err = c.Message(w.t.Context(), w.talk, chat.Draft{Body: "sealed"})
			require.NoError(w.t, err)
		}, nil},
		{"nobody encrypts", "encryption", yellow, "none of 1 messages is encrypted", 0, nil, []string{"--encrypt"}},
		{"no search", "cross-source", yellow, "does not have the search", 0, func(w *world) { w.srv.Always(fliplettest.CrossSource, fliplettest.Status(404)) }, nil},
		{"old token", "cross-source", yellow, "does not take the token", 0, func(w *world) { w.srv.Always(fliplettest.CrossSource, fliplettest.Status(403)) }, nil},
		{"search down", "cross-source", red, "HTTP 503", 3, func(w *world) { w.srv.Always(fliplettest.CrossSource, fliplettest.Status(503)) }, nil},
		{"too many requests", "limits", yellow, "refused because there had been too many", 0, func(w *world) {
			w.srv.Next(1, fliplettest.GetSource, fliplettest.TooMany(time.Millisecond))
		}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.token(t)
			w.say(w.talk, "u-bob", "hello")
			w.srv.ThawClock()
			w.srv.ShiftClock(time.Since(w.srv.Now()))
			w.person("jane@example.org")
			if tt.breaks != nil {
				tt.breaks(w)
			}
			r, found := examine(t, w, tt.args...)
			f := found[tt.check]
			assert.Equal(t, tt.status, f["status"], "%v", f)
			assert.Contains(t, f["text"], tt.text)
			assert.NotEmpty(t, f["do"], "it says what to do")
			assert.Equal(t, tt.code, r.code, r.out)
			for name, f := range found {
				if f["status"] == isRed {
					assert.Equal(t, tt.check, name, "%v", f)
				}
			}
		})
	}
}

// TestDoctorNoticesAnswersThatAreCut: such a service costs requests.
func TestDoctorNoticesAnswersThatAreCut(t *testing.T) {
	for _, tt := range []struct {
		name               string
		contacts, messages int
		check, text        string // "" for none
		requests           int    // more than without rows
	}{
		{"contacts", 147, 1, "primary key", "of 150 rows that were asked for and are there, 100 came", 1},
		{"messages", 0, 150, "cross-source", "of 200 rows that were asked for and are there, 100 came", 1},
		{"nothing is cut", 90, 90, "", "", 1},
		{"as many as fit", 97, 100, "", "", 1}, // and the three that are there
		{"few", 0, 10, "", "", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.token(t)
			w.srv.ThawClock()
			w.srv.ShiftClock(time.Since(w.srv.Now()))
			w.person("jane@example.org")
			rows := func(n int, row func(i int) datasource.M) (out []datasource.M) {
				for i := range n {
					out = append(out, row(i))
				}
				return out
			}
			w.srv.AddRows(w.contacts, rows(tt.contacts, func(i int) datasource.M { return datasource.M{"Email": fmt.Sprintf("p%d@example.org", i)} })...)
			w.srv.AddRows(w.talk, rows(tt.messages, func(i int) datasource.M {
				return datasource.M{"body": fmt.Sprint("m", i), "fromUserId": "u-bob", "conversationId": w.talk}
			})...)
			url, cut := cutting(t, w.srv.URL, 100)
			before := len(w.srv.Requests())
			r, found := examine(t, w, "--url", url)
			assert.Equal(t, 9+tt.requests, len(w.srv.Requests())-before)
			for name, f := range found {
				if name != tt.check {
					assert.Equal(t, isGreen, f["status"], "%s: %v", name, f)
				}
			}
			if tt.check == "" {
				assert.Equal(t, 0, r.code)
				assert.Zero(t, cut.Load())
				return
			}
			assert.Equal(t, 0, r.code)
			assert.Equal(t, isYellow, found[tt.check]["status"])
			assert.Equal(t, tt.text, found[tt.check]["text"])
			assert.Contains(t, found[tt.check]["do"], "Nothing is missed")
			assert.Positive(t, cut.Load())
		})
	}
}

// cutting is a proxy that leaves n rows of every answer. cut counts the answers that had more.
func cutting(t *testing.T, target string, n int) (address string, cut *atomic.Int64) {
	t.Helper()
	to, err := url.Parse(target)
	require.NoError(t, err)
	cut = new(atomic.Int64)
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to); r.Out.Header.Set("Accept-Encoding", "identity") },
		ModifyResponse: func(res *http.Response) error {
			raw, err := io.ReadAll(res.Body)
			if err != nil {
				return err
			}
			var o map[string]json.RawMessage
			var entries []json.RawMessage
			if json.Unmarshal(raw, &o) == nil && json.Unmarshal(o["entries"], &entries) == nil && len(entries) > n {
				cut.Add(1)
				if o["entries"], err = json.Marshal(entries[:n]); err != nil {
					return err
				}
				if raw, err = json.Marshal(o); err != nil {
					return err
				}
			}
			res.Body, res.ContentLength = io.NopCloser(bytes.NewReader(raw)), int64(len(raw))
			res.Header.Set("Content-Length", strconv.Itoa(len(raw)))
			return nil
		},
	}
	srv := httptest.NewServer(proxy)
	t.Cleanup(srv.Close)
	return srv.URL, cut
}

func TestDoctorSaysHowToBeginWithoutAnything(t *testing.T) {
	r := callWith(t, nil, "doctor", "-o", "text")
	assert.Equal(t, 2, r.code)
	assert.Contains(t, r.out, "FLIPLET_TOKEN")
	assert.Contains(t, r.out, "1 red, 10 skipped")
	w := newWorld(t)
	w.token(t)
	r = callWith(t, nil, "doctor", "--url", w.srv.URL)
	assert.Equal(t, 2, r.code)
	assert.Contains(t, r.out, "--contacts")
	r = callWith(t, nil, "doctor", "--url", w.srv.URL, "--contacts", fmt.Sprint(w.contacts))
	assert.Equal(t, 0, r.code, "what is not said is yellow: %s", r.out)
}
