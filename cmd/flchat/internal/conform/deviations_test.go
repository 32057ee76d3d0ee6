package conform

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

// exchange is a request and its answer, which a proxy changes.
type exchange struct {
	*http.Request
	sent   string // the body
	status int
	header http.Header
	body   any
}

// is reports whether it is a request by its method and the end of its path.
func (x *exchange) is(method, end string) bool {
	return x.Method == method && strings.HasSuffix(x.URL.Path, end)
}

// ofRow is about one row, ofSource about one data source.
func (x *exchange) ofRow(method string) bool {
	s := strings.Split(x.URL.Path, "/")
	return x.Method == method && len(s) == 6 && s[4] == "data" && strings.Trim(s[5], "0123456789") == ""
}

func (x *exchange) ofSource(method string) bool {
	s := strings.Split(x.URL.Path, "/")
	return x.Method == method && len(s) == 4 && s[2] == "data-sources"
}

// proxy stands between a run and a local Fliplet.
type proxy struct {
	next   http.RoundTripper
	change func(*exchange)
}

func (p *proxy) RoundTrip(r *http.Request) (*http.Response, error) {
	x := &exchange{Request: r}
	if r.Body != nil {
		raw, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		x.sent, r.Body = string(raw), io.NopCloser(bytes.NewReader(raw))
	}
	res, err := p.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	x.status, x.header, x.body = res.StatusCode, res.Header, decode(raw)
	before, err := json.Marshal(x.body)
	if err != nil {
		return nil, err
	}
	p.change(x)
	after, err := json.Marshal(x.body)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(before, after) {
		raw = after
		res.Header.Del("Content-Length")
		res.ContentLength = int64(len(raw))
	}
	res.StatusCode, res.Status, res.Body = x.status, strconv.Itoa(x.status), io.NopCloser(bytes.NewReader(raw))
	return res, nil
}

// deviation is one way in which a service may behave otherwise.
type deviation struct {
	name   string
	probe  string // the one that has to report it
	pull   func(*account)
	change func(*exchange)
}

// lever makes a deviation of a fault of the local Fliplet.
func lever(route fliplettest.Route, faults ...fliplettest.Fault) func(*account) {
	return func(a *account) { a.Always(route, faults...) }
}

// rows are those of an answer, to be changed in place.
func (x *exchange) rows() []any {
	o, _ := x.body.(object)
	list, _ := o["entries"].([]any)
	return list
}

// columns changes the values in the columns of all rows of an answer, at any depth. f is given lists and objects
// before what is in them.
func (x *exchange) columns(f func(any) any) {
	var deep func(any) any
	deep = func(v any) any {
		switch v := f(v).(type) {
		case object:
			for name := range v {
				v[name] = deep(v[name])
			}
			return v
		case []any:
			for i := range v {
				v[i] = deep(v[i])
			}
			return v
		default:
			return v
		}
	}
	if !strings.Contains(x.URL.Path, "/data-sources/") || !strings.Contains(x.URL.Path, "/data") {
		return
	}
	said := &answer{body: x.body}
	for _, row := range append(said.entries(), said.entry()) {
		if d := data(row); d != nil {
			row["data"] = deep(d)
		}
	}
}

// texts makes a deviation of texts in columns.
func texts(f func(string) any) func(*exchange) {
	return func(x *exchange) {
		x.columns(func(v any) any {
			if text, ok := v.(string); ok {
				return f(text)
			}
			return v
		})
	}
}

func deviations() []deviation {
	ignore := fliplettest.Ignore
	seen := map[string]time.Time{}
	return []deviation{
		{name: "unknown tokens are refused in other words", probe: "reach.unknown-token", change: func(x *exchange) {
			if x.Header.Get("Auth-token") == stranger {
				x.body = object{"message": "Forbidden"}
			}
		}},
		{name: "a cookie is no token", probe: "reach.cookie", change: func(x *exchange) {
			if x.Header.Get("Cookie") != "" {
				x.status = 401
			}
		}},
		{name: "headers tell of the limit", probe: "reach.limit-headers", change: func(x *exchange) { x.header.Set("X-RateLimit-Remaining", "9") }},
		{name: "a limit of each token", probe: "reach.limit-scope", pull: func(a *account) { a.RateLimit(30, 10*time.Second) }},
		{name: "a limit of the organisation", probe: "reach.limit-scope", pull: func(a *account) {
			a.Limit(fliplettest.DataSourceCalls, fliplettest.PerOrganization, 30, 10*time.Second)
		}},
		{name: "another clock in the header Date", probe: "reach.clock", change: func(x *exchange) {
			x.header.Set("Date", time.Now().Add(-time.Minute).UTC().Format(http.TimeFormat))
		}},
		{name: "errors without a message", probe: "reach.errors", change: func(x *exchange) {
			if strings.HasSuffix(x.URL.Path, "/not-a-number") {
				x.body = object{"error": "bad"}
			}
		}},
		{name: "making is 200", probe: "sources.create-status", change: func(x *exchange) {
			if x.is("POST", "/data-sources") {
				x.status = 200
			}
		}},
		{name: "a bare data source", probe: "sources.get", change: func(x *exchange) {
			if x.ofSource("GET") {
				if o, ok := x.body.(object); ok && o["dataSource"] != nil {
					x.body = o["dataSource"]
				}
			}
		}},
		{name: "the trash cannot be seen", probe: "sources.trash", change: func(x *exchange) {
			if x.is("GET", "/data-sources/deleted") {
				x.body = object{"dataSources": []any{}}
			}
		}},
		{name: "the trash is refused", probe: "sources.trash", change: func(x *exchange) {
			if x.is("GET", "/data-sources/deleted") {
				x.status, x.body = 403, object{"message": "no"}
			}
		}},
		{name: "definitions are merged", probe: "sources.definition", change: func(x *exchange) {
			if x.ofSource("GET") {
				s := (&answer{body: x.body}).source()
				if name, _ := s["name"].(string); strings.HasSuffix(name, " definition") {
					s["definition"].(object)["a"] = 1
				}
			}
		}},
		{name: "hooks are added", probe: "sources.put-hooks", change: func(x *exchange) {
			if x.ofSource("GET") {
				s := (&answer{body: x.body}).source()
				if name, _ := s["name"].(string); strings.HasSuffix(name, " hooks") {
					s["hooks"] = append([]any{emailHook("one"), emailHook("two")}, s["hooks"].([]any)...)
				}
			}
		}},
		{name: "lists ignore definition", probe: "sources.list-definition", pull: lever(fliplettest.ListSources, ignore("definition"))},
		{name: "lists ignore type", probe: "sources.list-type", pull: lever(fliplettest.ListSources, ignore("type"))},
		{name: "lists ignore order", probe: "sources.list-order", pull: lever(fliplettest.ListSources, ignore("order", "direction"))},
		{name: "lists ignore attributes", probe: "sources.attributes", pull: lever(fliplettest.ListSources, ignore("attributes"))},
		{name: "inserting is 201", probe: "rows.insert-status", pull: lever(fliplettest.Insert, fliplettest.CreatedOnInsert())},
		{name: "a wrapped new row", probe: "rows.insert-bare", pull: lever(fliplettest.Insert, fliplettest.WrapEntry())},
		{name: "a wrapped row", probe: "rows.get-bare", pull: lever(fliplettest.GetEntry, fliplettest.WrapEntry())},
		{name: "new rows without deletedAt", probe: "rows.deleted-at", pull: lever(fliplettest.Insert, fliplettest.OmitDeletedAt())},
		{name: "ids are texts", probe: "rows.id", pull: lever(fliplettest.GetEntry, fliplettest.IDsAsStrings())},
		{name: "new rows look changed", probe: "rows.equal-times", change: func(x *exchange) {
			if o := (&answer{body: x.body}).entry(); x.ofRow("GET") && o["updatedAt"] == o["createdAt"] && data(o)["list"] != nil {
				o["updatedAt"] = when(o["updatedAt"]).Add(time.Millisecond).UTC().Format("2006-01-02T15:04:05.000Z")
			}
		}},
		{name: "markup is escaped", probe: "rows.markup", change: texts(func(s string) any { return strings.NewReplacer("&", "&amp;", "<", "&lt;").Replace(s) })},
		{name: "quotes are escaped", probe: "rows.markup", change: texts(func(s string) any { return strings.ReplaceAll(s, "'", "&#39;") })},
		{name: "spaces at the ends are cut off", probe: "rows.spaces", change: texts(func(s string) any { return strings.Trim(s, " \n") })},
		{name: "line breaks are those of Unix", probe: "rows.spaces", change: texts(func(s string) any { return strings.ReplaceAll(s, "\r\n", "\n") })},
		{name: "empty texts are null", probe: "rows.empty", change: texts(func(s string) any {
			if s == "" {
				return nil
			}
			return s
		})},
		{name: "empty lists are null", probe: "rows.empty", change: func(x *exchange) {
			x.columns(func(v any) any {
				if list, ok := v.([]any); ok && len(list) == 0 {
					return nil
				}
				return v
			})
		}},
		{name: "flags are texts", probe: "rows.booleans", change: func(x *exchange) {
			x.columns(func(v any) any {
				if flag, ok := v.(bool); ok {
					return strconv.FormatBool(flag)
				}
				return v
			})
		}},
		{name: "fractions are cut off", probe: "rows.numbers", change: func(x *exchange) {
			x.columns(func(v any) any {
				n, ok := v.(json.Number)
				if whole, _, fraction := strings.Cut(n.String(), "."); ok && fraction {
					return json.Number(whole)
				}
				return v
			})
		}},
		{name: "large numbers are texts", probe: "rows.numbers", change: func(x *exchange) {
			x.columns(func(v any) any {
				if n, ok := v.(json.Number); ok && len(n) == len("9007199254740991") && n != "9007199254740993" {
					return n.String()
				}
				return v
			})
		}},
		{name: "texts of digits are numbers", probe: "rows.number-texts", change: texts(func(s string) any {
			if len(s) > 1 && s[0] == '0' && strings.Trim(s, "0123456789") == "" {
				return json.Number(strings.TrimLeft(s, "0"))
			}
			return s
		})},
		{name: "times in texts are spelt otherwise", probe: "rows.number-texts", change: texts(func(s string) any { return strings.TrimSuffix(s, "T10:00:00Z") })},
		{name: "accents are composed", probe: "rows.unicode", change: texts(func(s string) any { return strings.ReplaceAll(s, "e\u0301", "é") })},
		{name: "astral characters are question marks", probe: "rows.unicode", change: texts(func(s string) any {
			return strings.Map(func(r rune) rune {
				if r > 0xffff {
					return '?'
				}
				return r
			}, s)
		})},
		{name: "invisible characters are dropped", probe: "rows.unicode", change: texts(func(s string) any { return strings.NewReplacer("\u200d", "", "\ufeff", "").Replace(s) })},
		{name: "control characters are dropped", probe: "rows.controls", change: texts(func(s string) any { return strings.ReplaceAll(s, "\x1b", "") })},
		{name: "the character zero is dropped", probe: "rows.zero", change: texts(func(s string) any { return strings.ReplaceAll(s, "\x00", "") })},
		{name: "the character zero is refused", probe: "rows.zero", change: func(x *exchange) {
			if x.Method == "PUT" && strings.Contains(x.sent, `\u0000`) {
				x.status, x.body = 400, object{"message": "no"}
			}
		}},
		{name: "lists are sets", probe: "rows.list-order", change: func(x *exchange) {
			x.columns(func(v any) any {
				if list, ok := v.([]any); ok && len(list) > 2 && list[0] == "b" {
					return list[:2]
				}
				return v
			})
		}},
		{name: "a list of one is what is in it", probe: "rows.one-item", change: func(x *exchange) {
			x.columns(func(v any) any {
				if o, ok := v.(object); ok {
					for name, v := range o {
						if list, ok := v.([]any); ok && len(list) == 1 && strings.HasPrefix(name, "flchat-") {
							o[name] = list[0]
						}
					}
				}
				return v
			})
		}},
		{name: "null is dropped from lists", probe: "rows.null-inside", change: func(x *exchange) {
			x.columns(func(v any) any {
				if list, ok := v.([]any); ok {
					return slices.DeleteFunc(list, func(v any) bool { return v == nil })
				}
				return v
			})
		}},
		{name: "spaces in names of columns are underscores", probe: "rows.column-names", change: func(x *exchange) {
			x.columns(func(v any) any {
				if o, ok := v.(object); ok && o["two words"] != nil {
					o["two_words"] = o["two words"]
					delete(o, "two words")
				}
				return v
			})
		}},
		{name: "columns are escaped where rows are queried", probe: "rows.markup", change: func(x *exchange) {
			if x.is("POST", "/data/query") {
				texts(func(s string) any { return strings.ReplaceAll(s, "<", "&lt;") })(x)
			}
		}},
		{name: "deleting twice is 200", probe: "rows.delete-twice", change: func(x *exchange) {
			if x.ofRow("DELETE") && x.status == 404 {
				x.status = 200
			}
		}},
		{name: "imports are answered with nothing", probe: "batch.append-answer", pull: lever(fliplettest.Bulk, fliplettest.EmptyBody())},
		{name: "imports are answered with entries", probe: "batch.append-answer", pull: lever(fliplettest.Bulk, fliplettest.WrapBulk())},
		{name: "imports ignore append", probe: "batch.append-keeps", pull: lever(fliplettest.Bulk, ignore("append"))},
		{name: "commits ignore append", probe: "batch.commit-append", pull: lever(fliplettest.Commit, ignore("append"))},
		{name: "commits ignore delete", probe: "batch.commit-delete", pull: lever(fliplettest.Commit, ignore("delete"))},
		{name: "commits ignore extend", probe: "batch.commit-extends", pull: lever(fliplettest.Commit, ignore("extend"))},
		{name: "commits ignore returnEntries", probe: "batch.return-entries", pull: lever(fliplettest.Commit, ignore("returnEntries"))},
		{name: "an empty list is null", probe: "query.nothing", pull: lever(fliplettest.Query, fliplettest.NullLists())},
		{name: "queries ignore offset", probe: "query.limit", pull: lever(fliplettest.Query, ignore("offset"))},
		{name: "queries ignore distinct", probe: "query.distinct", pull: lever(fliplettest.Query, ignore("distinct"))},
		{name: "queries ignore includePagination", probe: "query.pagination", pull: lever(fliplettest.Query, ignore("includePagination"))},
		{name: "queries ignore attributes", probe: "query.attributes", pull: lever(fliplettest.Query, ignore("attributes"))},
		{name: "the oldest row is first", probe: "query.default-order", change: func(x *exchange) {
			if x.is("POST", "/data/query") && !strings.Contains(x.sent, "order") && !strings.Contains(x.sent, "aggregate") {
				slices.Reverse(x.rows())
			}
		}},
		{name: "delete queries only count", probe: "query.delete", pull: lever(fliplettest.Query, fliplettest.DeletedCountOnly())},
		{name: "delete queries only list", probe: "query.delete", pull: lever(fliplettest.Query, fliplettest.DeletedIDsOnly())},
		{name: "sixty joins at most", probe: "joins.most", pull: lever(fliplettest.Query, fliplettest.MaxJoins(60))},
		{name: "conversations do not move", probe: "conversations.moves", change: func(x *exchange) {
			if x.ofSource("GET") {
				s := (&answer{body: x.body}).source()
				s["updatedAt"] = s["createdAt"]
			}
		}},
		{name: "the list does not move", probe: "conversations.list-moves", change: func(x *exchange) {
			if x.is("GET", "/data-sources") {
				for _, s := range (&answer{body: x.body}).list("dataSources") {
					s["updatedAt"] = s["createdAt"]
				}
			}
		}},
		{name: "there is no query over all conversations", probe: "across.there", pull: lever(fliplettest.CrossSource, fliplettest.Status(404))},
		{name: "chat tokens are refused", probe: "across.there", pull: lever(fliplettest.CrossSource, fliplettest.RefuseChatToken())},
		{name: "it has everybody's messages", probe: "across.only-members", pull: lever(fliplettest.CrossSource, fliplettest.Everybody())},
		{name: "it ignores includeDeleted", probe: "across.include-deleted", pull: lever(fliplettest.CrossSource, ignore("includeDeleted"))},
		{name: "it ignores order", probe: "across.order", pull: lever(fliplettest.CrossSource, ignore("order"))},
		{name: "it ignores limit", probe: "across.limit", pull: lever(fliplettest.CrossSource, ignore("limit"))},
		{name: "it ignores offset", probe: "across.offset", pull: lever(fliplettest.CrossSource, ignore("offset"))},
		{name: "it ignores dataSourceIds", probe: "across.scope-body", pull: lever(fliplettest.CrossSource, ignore("dataSourceIds"))},
		{name: "it has no deletedAt", probe: "across.deleted-at", pull: lever(fliplettest.CrossSource, fliplettest.OmitDeletedAt())},
		{name: "it keeps the columns of deleted rows", probe: "across.deleted-data", pull: lever(fliplettest.CrossSource, fliplettest.KeepTombstoneData())},
		{name: "it has a row twice", probe: "across.once", pull: lever(fliplettest.CrossSource, fliplettest.DuplicateRow())},
		{name: "it counts in entries", probe: "across.count", pull: lever(fliplettest.CrossSource, fliplettest.CountInEntries())},
		{name: "it counts in count", probe: "across.count", pull: lever(fliplettest.CrossSource, fliplettest.CountInCount())},
		{name: "it counts by rows", probe: "across.count", pull: lever(fliplettest.CrossSource, fliplettest.CountAsRows())},
		{name: "it is 8 s behind", probe: "poll.across", pull: lever(fliplettest.CrossSource, fliplettest.Lag(8*time.Second))},
		{name: "queries have new rows after 8 s", probe: "poll.query", change: func(x *exchange) {
			if o, ok := x.body.(object); ok && x.is("POST", "/data/query") {
				o["entries"] = slices.DeleteFunc(slices.Clone(x.rows()), func(v any) bool {
					row, _ := v.(object)
					if data(row)["what"] != "visible" {
						return false
					}
					key := fmt.Sprint(row["id"])
					if seen[key].IsZero() {
						seen[key] = time.Now()
					}
					return time.Since(seen[key]) < 8*time.Second
				})
			}
		}},
		{name: "deletions are not reported", probe: "poll.deleted", pull: lever(fliplettest.Query, ignore("updatedAt"))},
		{name: "inserts are refused with 401", probe: "rights.none-insert", pull: lever(fliplettest.Insert, fliplettest.DenyWith401())},
		{name: "app tokens may delete data sources", probe: "rights.api-deletes", change: func(x *exchange) {
			if x.ofSource("DELETE") && x.status == 400 {
				x.status = 200
			}
		}},
		{name: "the audit log is refused", probe: "log.there", pull: lever(fliplettest.GetLogs, fliplettest.Status(403))},
		{name: "the audit log lacks messages", probe: "log.rows", pull: lever(fliplettest.GetLogs, fliplettest.LogWithoutChats())},
		{name: "the audit log lacks rows of commits", probe: "log.commit", pull: lever(fliplettest.GetLogs, fliplettest.LogWithoutRows())},
		{name: "the audit log is 20 s behind", probe: "log.late", pull: lever(fliplettest.GetLogs, fliplettest.LogLag(20*time.Second))},
		{name: "web hooks never come", probe: "hooks.insert", pull: lever(fliplettest.WebHook, fliplettest.LoseRequest())},
		{name: "web hooks come twice", probe: "hooks.once", pull: lever(fliplettest.WebHook, fliplettest.Twice())},
		{name: "web hooks are 20 s late", probe: "hooks.late", pull: lever(fliplettest.WebHook, fliplettest.Delay(20*time.Second))},
		{name: "templates see ids", probe: "hooks.id", pull: lever(fliplettest.WebHook, fliplettest.HookSeesID())},
		{name: "programs are stored", probe: "files.forbidden", change: func(x *exchange) {
			if x.status == 422 {
				x.status = 400
			}
		}},
		{name: "answers have 100 rows at most", probe: "sizes.whole", change: func(x *exchange) {
			if o, ok := x.body.(object); ok && len(x.rows()) > 100 {
				o["entries"] = x.rows()[:100]
			}
		}},
		{name: "queries over all conversations have 100 rows at most", probe: "sizes.whole", change: func(x *exchange) {
			if o, ok := x.body.(object); ok && x.is("POST", "/v1/data-sources/data") && len(x.rows()) > 100 {
				o["entries"] = x.rows()[:100]
			}
		}},
		{name: "queries have 200 rows without limit", probe: "sizes.whole", change: func(x *exchange) {
			if o, ok := x.body.(object); ok && x.is("POST", "/data/query") && !strings.Contains(x.sent, `"limit"`) && len(x.rows()) > 200 {
				o["entries"] = x.rows()[:200]
			}
		}},
		{name: "queries have 1,000 rows without limit", probe: "sizes.all", change: func(x *exchange) {
			if o, ok := x.body.(object); ok && x.is("POST", "/data/query") && !strings.Contains(x.sent, `"limit"`) && len(x.rows()) > 1000 {
				o["entries"] = x.rows()[:1000]
			}
		}},
		{name: "pages have 500 rows at most", probe: "sizes.page", change: func(x *exchange) {
			if o, ok := x.body.(object); ok && strings.Contains(x.sent, `"limit"`) && len(x.rows()) > 500 {
				o["entries"] = x.rows()[:500]
			}
		}},
		{name: "large messages are refused", probe: "sizes.body-1m", change: func(x *exchange) {
			if x.Method == "PUT" && len(x.sent) > 1<<20 {
				x.status, x.body = 413, nil
			}
		}},
	}
}

// reported are the probes whose answer is another than that of the local Fliplet.
func reported(report *Report) (out []string) {
	for _, r := range report.Results {
		if r.Verdict != Skipped && !r.AsLocal() {
			out = append(out, r.ID)
		}
	}
	return out
}

// hiding are the deviations that keep other probes from asking.
var hiding = []string{"across.there", "log.there", "log.rows", "hooks.insert", "reach.limit-scope", "across.include-deleted", "sizes.whole"}

func TestManyDeviationsAtOnceAreReportedByTheirProbes(t *testing.T) {
	local := baseline(t)
	synctest.Test(t, func(t *testing.T) {
		a := newAccount(t)
		a.opts.Local = local
		var want, got []string
		var changes []func(*exchange)
		for _, d := range deviations() {
			if slices.Contains(hiding, d.probe) || slices.Contains(want, d.probe) {
				continue
			}
			want = append(want, d.probe)
			if d.pull != nil {
				d.pull(a)
			}
			if d.change != nil {
				changes = append(changes, d.change)
			}
		}
		a.opts.Transport = &proxy{a.opts.Transport, func(x *exchange) {
			for _, change := range changes {
				change(x)
			}
		}}
		require.GreaterOrEqual(t, len(want), 30)
		report, err := Run(t.Context(), a.opts)
		require.NoError(t, err)
		got = reported(report)
		assert.ElementsMatch(t, want, got)
		a.isClean(t)
	})
}

// All of them take about two minutes with the race detector, so it is some of them every day.
func TestEachDeviationIsReportedByItsProbeAndNoOther(t *testing.T) {
	require.GreaterOrEqual(t, len(deviations()), 30)
	local := baseline(t)
	for i, d := range deviations() {
		if os.Getenv("CHAT_LONG") == "" && i%40 != 3 {
			continue
		}
		t.Run(d.name, func(t *testing.T) {
			t.Parallel() // a run waits for the disk most of the time
			synctest.Test(t, func(t *testing.T) {
				a := newAccount(t)
				if d.pull != nil {
					d.pull(a)
				}
				if d.change != nil {
					a.opts.Transport = &proxy{a.opts.Transport, d.change}
				}
				a.opts.Local = local
				report, err := Run(t.Context(), a.opts)
				require.NoError(t, err)
				assert.Equal(t, []string{d.probe}, reported(report))
				time.Sleep(time.Minute) // in virtual time: some deviations are limits
				a.isClean(t)
			})
		})
	}
}

// baseline is what the local Fliplet answers, as the column of a report has it.
func baseline(t *testing.T) map[string]string {
	t.Helper()
	local, err := rehearsed()
	require.NoError(t, err)
	return local.Answers()
}

var rehearsed = sync.OnceValues(func() (*Report, error) {
	return Rehearse(context.Background(), Options{App: 1, APIToken: "local", HookURL: "local"})
})
