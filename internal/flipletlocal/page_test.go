package flipletlocal

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd"
)

type m = map[string]any

// site is a server with its page, and rows whose names try everything.
type site struct {
	*flipletd.Server
	page http.Handler
	t    *testing.T
}

const markup = `<img src=x onerror="document.title='owned'"><script>document.title='owned'</script>`

func newSite(t *testing.T) *site {
	t.Helper()
	core, err := flipletd.New(flipletd.Config{Token: "eu--canary-token", HookTransport: answering(204)})
	require.NoError(t, err)
	t.Cleanup(core.Close)
	s := &site{Server: core, page: newPage(core, "http://127.0.0.1:1"), t: t}
	s.add(m{"name": "People", "entries": []any{
		m{"flUserId": "u-jane", "Full name": "Jane Doe", "Email": "jane@example.org", "flUserToken": "canary-chat"},
		m{"flUserId": "u-bob", "first name": "Bob", "LAST NAME": "Roe"},
		m{"flUserId": "u-eve", "Name": markup},
		m{"flUserId": "u-odd", "Name": 7, "Email": "odd@example.org"},
	}})
	s.add(m{
		"name": "Tea " + markup, "type": "conversation",
		"definition": m{"participants": []any{"u-jane", "u-bob", "u-eve", "u-odd", "u-nobody", 5}, "encryptionKey": "canary-key", "inviteCode": "canary-code"},
		"entries": []any{
			m{"fromUserId": "u-jane", "body": "Hello " + markup, "readBy": []any{"u-jane", "u-bob"}, "flUserToken": "canary-chat", "encryptionKey": "canary-key", "other": "canary-column"},
			m{"fromUserId": "u-jane", "body": "Better now", "isEdited": true, "readBy": `["u-jane","u-bob"]`},
			m{"fromUserId": "u-bob", "body": "U2FsdGVkX1canary-sealed"},
			m{"fromUserId": "u-bob", "body": "flsealed:1:canary-sealed", "flSealedFiles": "canary-files"},
			m{"fromUserId": "u-eve", "body": "canary-gone", "isDeleted": true},
			m{"fromUserId": "u-bob", "file": []any{"https://cdn.example/a/1/Plan%20" + "%3Cb%3E.pdf?encryptionKey=canary-key", 7}, "_flSchema": m{"file": m{"encryptionKey": "canary-key"}}},
			m{"fromUserId": "u-nobody", "body": []any{"odd"}},
		},
	})
	s.add(m{"name": "News", "type": "conversation", "definition": m{"participants": "nobody", "group": m{"public": true}}})
	return s
}

// answering is where web hooks lead: everybody answers with a status.
type answering int

func (status answering) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: int(status), Body: http.NoBody}, nil
}

func (s *site) add(fields m) {
	s.t.Helper()
	_, err := s.CreateSource(fields)
	require.NoError(s.t, err)
}

func (s *site) do(method, path, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Auth-token", "eu--canary-token")
	w := httptest.NewRecorder()
	s.page.ServeHTTP(w, r)
	return w
}

// live is what the page fetches, and the text that it comes in.
func (s *site) live(query string) (state, string) {
	s.t.Helper()
	w := s.do("GET", "/live.json"+query, "")
	require.Equal(s.t, 200, w.Code)
	var got state
	require.NoError(s.t, json.Unmarshal(w.Body.Bytes(), &got))
	return got, w.Body.String()
}

// messages is a window on a conversation, and the text that it comes in.
func (s *site) messages(query string) (talk, string) {
	s.t.Helper()
	w := s.do("GET", "/messages.json?"+query, "")
	require.Equal(s.t, 200, w.Code, w.Body.String())
	var got talk
	require.NoError(s.t, json.Unmarshal(w.Body.Bytes(), &got))
	return got, w.Body.String()
}

func TestPageShowsWhatThereIsAndNoSecret(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.do("GET", "/v1/data-sources?auth_token=canary-auth", "")
	s.do("GET", "/v1/<b>?x=<i>", "")
	s.do("PUT", "/v1/data-sources/102/data?flUserToken=canary-dead", `{"body":"canary-body"}`)
	page := s.do("GET", "/", "")
	got, live := s.live("")
	for _, source := range got.Stored.Sources {
		for _, secret := range []string{"flUserToken", "encryptionKey", "flSealedFiles", "_flSchema"} {
			assert.NotContains(t, source.Columns, secret)
		}
	}
	for _, text := range []string{page.Body.String(), live} {
		for _, want := range []string{
			`"Jane Doe"`, `"Bob Roe"`, `"odd@example.org"`, `{"name":"u-nobody","id":"u-nobody","known":false}`, `Tea \u003cimg`, `"kind":"channel"`,
			"flUserId", `/v1/data-sources?auth_token=…`, "flUserToken=…", `"status":403,"class":"refused"`, `"status":404,"class":"refused"`, `"status":200,"class":"ok"`, `"seen":3`,
			`"type":"","live":4,"deleted":0,"columns":"`,
		} {
			assert.Contains(t, text, want)
		}
		assert.NotContains(t, text, "canary")
		assert.NotContains(t, text, "<img src=x")
		assert.NotContains(t, text, "<i>")
	}
	_, messages := s.messages("id=102&as=u-jane")
	assert.Contains(t, messages, `Hello \u003cimg`)
	assert.NotContains(t, messages, "canary")
	assert.NotContains(t, messages, "<")
	for _, path := range []string{"/", "/live.json", "/messages.json?id=102", "/page.css", "/page.js", "/page_chart.js", "/page_dom.js", "/page_lists.js", "/page_talk.js"} {
		w := s.do("GET", path, "")
		assert.Equal(t, 200, w.Code, path)
		assert.Equal(t, "no-store", w.Header().Get("Cache-Control"), path)
		assert.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"), path)
		assert.NotRegexp(t, `(src|href|from|import)[=( ]*["']?(https?:)?//`, strings.ReplaceAll(w.Body.String(), "'http://www.w3.org/2000/svg'", ""), "nothing is loaded from elsewhere")
	}
	assert.Len(t, s.Requests(), 3, "looking is not a request")
}

// What may run on the page has a number that is new each time.
func TestPageRunsItsOwnScriptsOnly(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	page := s.do("GET", "/", "")
	html, policy := page.Body.String(), page.Header().Get("Content-Security-Policy")
	nonce := regexp.MustCompile(`script-src 'nonce-(\w{20,})'`).FindStringSubmatch(policy)
	require.Len(t, nonce, 2, policy)
	for _, want := range []string{
		"default-src 'none';", "style-src 'nonce-" + nonce[1] + "';", "connect-src 'self';", "base-uri 'none';", "form-action 'none';", "frame-ancestors 'none';",
		"require-trusted-types-for 'script';", "trusted-types 'none'",
	} {
		assert.Contains(t, policy, want)
	}
	assert.NotContains(t, policy, "unsafe")
	html, _, found := strings.Cut(html, `<script type="application/json"`)
	assert.True(t, found)
	assert.NotRegexp(t, `\son\w+=|\sstyle=|javascript:`, html, "no inline handler or style")
	for _, tag := range regexp.MustCompile(`<(script|link rel="stylesheet"|style)[^>]*>`).FindAllString(html, -1) {
		assert.Regexp(t, `nonce="`+nonce[1]+`"|type="application/json"`, tag)
	}
	assert.NotContains(t, s.do("GET", "/", "").Body.String(), nonce[1])
	for _, name := range []string{"page.js", "page_chart.js", "page_dom.js", "page_lists.js", "page_talk.js"} {
		assert.NotRegexp(t, `innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|DOMParser`, s.do("GET", "/"+name, "").Body.String(), name)
	}
}

func TestMessagesAreWhatABubbleNeeds(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	got, _ := s.messages("id=102&as=u-jane")
	require.Len(t, got.Messages, 7)
	assert.Equal(t, person{Name: "Jane Doe", UserID: "u-jane", Known: true}, got.As)
	assert.Equal(t, "group", got.Kind)
	assert.Equal(t, 7, got.Total)
	kinds, edited := "", 0
	for _, m := range got.Messages {
		kinds += m.Kind + " "
		if m.Edited {
			edited++
		}
		if m.Kind != "text" {
			assert.Empty(t, m.Text)
		}
		assert.Regexp(t, `^\d+\.\d+$`, m.Key)
		assert.Regexp(t, `^\d{4}-\d\d-\d\dT.*\.\d{3}Z$`, m.Time)
	}
	assert.Equal(t, "text text encrypted encrypted deleted none none ", kinds)
	assert.Equal(t, 1, edited)
	assert.Equal(t, 2, got.Messages[0].ReadBy)
	assert.Equal(t, 2, got.Messages[1].ReadBy, "a list in a text")
	assert.Equal(t, []string{"Plan <b>.pdf"}, got.Messages[5].Files)
	assert.Equal(t, person{Name: "u-nobody", UserID: "u-nobody"}, got.Messages[6].From)
	s.add(m{"name": "Long", "type": "conversation", "entries": []any{m{"body": strings.Repeat("é", shownBody+3)}, m{"body": 7}, m{}}})
	long, _ := s.messages("id=104")
	assert.Equal(t, 3, long.Messages[0].Cut)
	assert.Len(t, long.Messages[0].Text, 2*shownBody)
}

func TestMessagesComeInWindows(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	rows := make([]any, 300)
	for i := range rows {
		rows[i] = m{"body": fmt.Sprint(i)}
	}
	s.add(m{"name": "Long", "type": "conversation", "entries": rows})
	window := func(query string) (first, last string, got talk) {
		got, _ = s.messages("id=104&" + query)
		return got.Messages[0].Text, got.Messages[len(got.Messages)-1].Text, got
	}
	first, last, newest := window("")
	assert.Equal(t, []any{"250", "299", true, false}, []any{first, last, newest.Earlier, newest.Later})
	first, last, got := window("n=20&before=" + newest.Messages[0].Key)
	assert.Equal(t, []any{"230", "249", true, true}, []any{first, last, got.Earlier, got.Later})
	first, last, got = window("n=10&from=" + got.Messages[5].Key)
	assert.Equal(t, []any{"235", "244", true, true}, []any{first, last, got.Earlier, got.Later})
	first, last, got = window("n=100000")
	assert.Equal(t, []any{"100", "299"}, []any{first, last}, "a window is bounded")
	_, _, got = window("before=" + got.Messages[0].Key + "&n=100")
	assert.False(t, got.Earlier)
	for query, want := range map[string]string{
		"": "id", "id=x": "id", "id=101": "no such conversation", "id=999": "no such conversation", "id=104&from=x": "from", "id=104&before=1": "before",
	} {
		w := s.do("GET", "/messages.json?"+query, "")
		assert.Equal(t, 404, w.Code, query)
		assert.Contains(t, w.Body.String(), want, query)
	}
}

func TestConversationsAreListedAsOnePersonSeesThem(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.Freeze(s.Now().Add(time.Minute))
	s.add(m{"name": "Two", "type": "conversation", "definition": m{"participants": []any{"u-jane", "u-bob"}, "group": m{"readOnly": false}}, "entries": []any{m{"fromUserId": "u-bob", "body": "Last"}}})
	s.add(m{"name": "Gone", "type": "conversation"})
	s.add(m{"name": "Others", "type": "conversation", "definition": m{"participants": []any{"u-bob"}}, "entries": []any{m{"fromUserId": "u-bob", "body": "Not for Jane"}}})
	w := s.do("DELETE", "/v1/data-sources/105", "")
	require.Equal(t, 400, w.Code, "an API token may not")
	got, _ := s.live("")
	list := got.Stored.Conversations
	require.Len(t, list, 5)
	at := func(name string) conversation {
		for _, c := range list {
			if strings.HasPrefix(c.Name, name) {
				return c
			}
		}
		t.Fatal(name)
		return conversation{}
	}
	assert.Equal(t, "direct", at("Two").Kind)
	assert.Equal(t, "channel", at("News").Kind)
	assert.Equal(t, "group", at("Tea").Kind)
	assert.Equal(t, "u-bob", got.Stored.As.UserID, "of those in the most conversations, the first by name")
	assert.Equal(t, "Last", at("Two").Last.Text)
	assert.Zero(t, at("Two").Unread, "one's own is read")
	jane, _ := s.live("?as=u-jane")
	assert.Equal(t, "u-jane", jane.Stored.As.UserID)
	for _, c := range jane.Stored.Conversations {
		assert.Equal(t, map[string]int{"Two": 1, "News": 0, "Gone": 0, "Others": 0}[c.Name]+len(strings.Split(c.Name, "Tea "))*4-4, c.Unread, c.Name)
	}
	found, _ := s.live("?q=bOb&n=1")
	assert.Equal(t, []int{1, 3, 5}, []int{len(found.Stored.Conversations), found.Stored.Found, found.Stored.Total}, "people's names count, too")
}

func TestWhatIsStoredIsSentWhenItHasChanged(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	first, _ := s.live("")
	again, _ := s.live(fmt.Sprint("?known=", first.Revision))
	assert.Nil(t, again.Stored)
	s.do("GET", "/v1/user", "")
	again, _ = s.live(fmt.Sprint("?known=", first.Revision))
	assert.Nil(t, again.Stored)
	assert.Equal(t, 1, again.Traffic.Seen)
	s.Freeze(s.Now().Add(time.Millisecond))
	s.add(m{"name": "New"})
	again, _ = s.live(fmt.Sprint("?known=", first.Revision))
	require.NotNil(t, again.Stored)
	assert.Equal(t, "New", again.Stored.Sources[0].Name)
	s.do("PUT", "/v1/data-sources/101/data/5001", `{"Full name":"Jane Poe"}`)
	again, text := s.live("")
	assert.Contains(t, text, "Jane Poe", "a name that changes within a moment is read again")
	s.do("PUT", "/v1/data-sources/101/data/5001", `{"Full name":"Jane Roe"}`)
	_, text = s.live("")
	assert.Contains(t, text, "Jane Roe", "also at the same time as before")
	s.Freeze(s.Now().Add(time.Hour))
	s.live("")
	s.do("PUT", "/v1/data-sources/101/data/5001", `{"Full name":"Jane Moe"}`)
	_, text = s.live("")
	assert.Contains(t, text, "Jane Moe")
	assert.NotNil(t, again.Stored)
}

func TestTrafficHasRatesTheLimitAndHooks(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.Freeze(time.Date(2026, 5, 4, 12, 30, 0, 0, time.UTC))
	s.add(m{"name": "Orders", "hooks": []any{
		m{"type": "web", "runOn": []any{"insert"}, "payload": m{"endpoint": "http://127.0.0.1:9/canary?key=canary", "headers": m{"Authorization": "canary"}}},
		m{"type": markup, "runOn": []any{"insert"}, "payload": m{"to": "canary"}},
	}})
	got, _ := s.live("")
	assert.Equal(t, limit{Requests: 200, Seconds: 10, Of: "user"}, got.Traffic.Limit, "the documented one")
	s.LimitTokens(2, 4*time.Second)
	for range 3 {
		s.do("PUT", "/v1/data-sources/104/data", `{"Item":"Tea"}`)
	}
	s.do("GET", "/v1/nothing", "")
	require.NoError(t, s.WaitForHooks(t.Context()))
	got, text := s.live("")
	assert.NotContains(t, text, "canary")
	assert.Equal(t, limit{Requests: 2, Seconds: 4, Of: "token", Enforced: true}, got.Traffic.Limit)
	r := got.Traffic.Rates
	assert.Len(t, r.OK, shownSeconds)
	assert.Equal(t, s.Now().Unix()-shownSeconds+1, r.From)
	assert.Equal(t, []int{2, 1, 1, 0}, []int{r.OK[119], r.Refused[119], r.TooMany[119], r.Failed[119]})
	assert.Equal(t, "toomany", got.Traffic.Requests[1].Class)
	require.Len(t, got.Traffic.Hooks, 4)
	assert.Equal(t, 4, got.Traffic.Ran)
	slices.SortFunc(got.Traffic.Hooks, func(a, b hook) int { return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(b.Entry, a.Entry)) })
	assert.Equal(t, logged{ID: got.Traffic.Log[0].ID, Time: "2026-05-04T12:30:00.000Z", Type: "dataSource.entry.create", Source: 104, Entry: got.Traffic.Hooks[0].Entry, Columns: "Item"}, got.Traffic.Log[0])
	assert.Equal(t, "dataSource.create", got.Traffic.Log[2].Type)
	assert.Equal(t, cut(markup, 40), got.Traffic.Hooks[0].Type)
	assert.Equal(t, "noted", got.Traffic.Hooks[0].Result)
	assert.Equal(t, hook{Time: "2026-05-04T12:30:00.000Z", Type: "web", RunOn: "insert", Source: 104, Entry: got.Traffic.Hooks[2].Entry, To: "http://127.0.0.1:9", Result: "204", Class: "ok"}, got.Traffic.Hooks[2])
	_, err := s.Insert(104, m{"Item": "Tea", "flUserToken": "canary", "api key": "canary"})
	require.NoError(t, err)
	got, text = s.live("")
	assert.Equal(t, "Item", got.Traffic.Log[0].Columns)
	assert.NotContains(t, text, "canary")
}

func TestHooksSayHowTheyEnded(t *testing.T) {
	t.Parallel()
	sent := time.Now()
	for _, c := range []struct {
		call                 flipletd.HookCall
		result, class, error string
	}{
		{flipletd.HookCall{Type: "email", Status: 200}, "noted", "open", ""},
		{flipletd.HookCall{Type: "web"}, "waits", "open", ""},
		{flipletd.HookCall{Type: "web", Sent: sent}, "sent", "open", ""},
		{flipletd.HookCall{Type: "web", Sent: sent, Status: 200}, "200", "ok", ""},
		{flipletd.HookCall{Type: "web", Sent: sent, Status: 404}, "404", "refused", ""},
		{flipletd.HookCall{Type: "web", Sent: sent, Status: 500, Lever: "twice"}, "500", "failed", "lever: twice"},
		{flipletd.HookCall{Type: "web", Sent: sent, Err: "connection refused"}, "failed", "failed", "connection refused"},
		{flipletd.HookCall{Type: "web", Err: "lost by a lever", Lever: "lost"}, "failed", "failed", "lost by a lever, lever: lost"},
	} {
		h := newHook(c.call)
		assert.Equal(t, []string{c.result, c.class, c.error}, []string{h.Result, h.Class, h.Error}, c.call)
	}
}

func TestPageOnlyReads(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for _, path := range []string{"/", "/live.json", "/messages.json?id=102", "/page.js", "/page.css"} {
		for _, method := range []string{"POST", "PUT", "DELETE"} {
			assert.Equal(t, 404, s.do(method, path, "{}").Code, "%s %s", method, path)
		}
		assert.Equal(t, 200, s.do("HEAD", path, "").Code)
	}
	assert.Equal(t, 404, s.do("GET", "/v1", "").Code)
	assert.Equal(t, 404, s.do("GET", "/elsewhere", "").Code)
}

func TestEmptyAndCrowdedPages(t *testing.T) {
	t.Parallel()
	core, err := flipletd.New(flipletd.Config{Token: "eu--t"})
	require.NoError(t, err)
	s := &site{Server: core, page: newPage(core, "http://127.0.0.1:1"), t: t}
	got, _ := s.live("")
	assert.Equal(t, &stored{Conversations: []conversation{}, Sources: []source{}, Viewers: []person{}}, got.Stored)
	crowd := make([]any, 1000)
	for i := range crowd {
		crowd[i] = fmt.Sprint("u-", i)
	}
	for range shownSources + 10 {
		s.add(m{"name": strings.Repeat("long", 100), "type": "conversation", "definition": m{"participants": crowd}})
	}
	got, text := s.live("")
	assert.Equal(t, shownSources+10, got.Stored.SourcesTotal)
	assert.Len(t, got.Stored.Sources, shownSources)
	assert.Len(t, got.Stored.Conversations, shownConversations)
	assert.Len(t, got.Stored.Viewers, shownViewers)
	assert.Equal(t, 988, got.Stored.Conversations[0].MoreThan)
	assert.Less(t, len(text), 1<<20)
	got, _ = s.live("?n=210")
	assert.Len(t, got.Stored.Conversations, 210)
}
