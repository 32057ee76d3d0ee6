package fliplettest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/internal/longtest"
)

// TestTheSameSeedGivesTheSameAnswers tells two servers with one seed the same story of
// 10,000 requests, many of them wrong in several ways, and compares every answer.
func TestTheSameSeedGivesTheSameAnswers(t *testing.T) {
	t.Parallel()
	for name, faults := range map[string]fliplettest.Rates{
		"served well": {},
		"with levers": {
			Unavailable: 0.01, TooMany: 0.01, LoseRequest: 0.01, LoseAnswer: 0.01, Cut: 0.01, Slow: 0.01, SlowBy: time.Second,
			Late: 0.1, LateBy: 3 * time.Second, Duplicate: 0.2, Shuffle: 0.5,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requests := 10_000
			if faults.Shuffle > 0 {
				requests = longtest.Size(3_000, 10_000)
			}
			first, second := tell(t, requests, 7, faults), tell(t, requests, 7, faults)
			require.Len(t, second, len(first))
			for i := range first {
				require.Equal(t, first[i], second[i], "answer %d", i)
			}
			served := 0
			for _, answer := range first {
				if strings.Contains(answer, " 200 [") {
					served++
				}
			}
			require.Greater(t, served, requests/5, "too little of the story is served to show anything")
			other := tell(t, 100, 8, faults)
			require.NotEqual(t, first[1], other[1], "another seed makes other tokens")
		})
	}
}

// tell returns every answer of a server with a seed, and what it has noted beside them.
// What is asked is the same for all seeds.
func tell(t *testing.T, requests int, seed uint64, faults fliplettest.Rates) (answers []string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		srv := fliplettest.New(t, fliplettest.InProcess(), fliplettest.WithFaults(seed, faults))
		srv.FreezeClockAt(time.Date(2026, 2, 1, 8, 0, 0, 0, time.UTC))
		srv.ThawClock()
		studio := srv.AddUser("studio@example.org", "Stu", "Dio", "secret")
		srv.AddContacts(
			datasource.M{"Email": "jane@example.org", "flUserId": "a", "flUserToken": "ta"},
			datasource.M{"Email": "bob@example.org", "flUserId": "b", "flUserToken": "tb"})
		srv.AddDataSource(datasource.M{"name": "Talk", "type": "conversation", "definition": datasource.M{"participants": []any{"a", "b"}}, "hooks": []any{
			datasource.M{"type": "push-message", "runOn": []any{"insert"}}, datasource.M{"type": "email", "runOn": []any{"insert", "update"}, "payload": datasource.M{"to": "{{body}}"}},
			datasource.M{"type": "sms", "runOn": []any{"insert"}, "payload": datasource.M{"to": "{{n}}", "text": "{{body}}"}},
		}})
		srv.AddDataSource(datasource.M{"name": "Things", "definition": datasource.M{"guid": "g", "views": []any{
			datasource.M{"name": "v", "filter": datasource.M{"a": "session.Email", "b": 1}}, datasource.M{"name": "w", "filter": datasource.M{"n": datasource.M{"$gt": 2}}},
		}}})
		srv.SetWidget("com.fliplet.chat", datasource.M{"a": 1, "b": 2})
		answers = append(answers, srv.Token, studio)
		story := newStory(srv, studio)
		for range requests {
			answers = append(answers, story.ask(t))
			time.Sleep(story.within(40 * time.Millisecond))
		}
		time.Sleep(time.Minute)
		answers = append(answers, fmt.Sprint(srv.Pushes()), fmt.Sprint(srv.HookCalls()), srv.String(), fmt.Sprint(srv.Requests()))
	})
	return answers
}

// story is a sequence of requests, the same in every telling.
type story struct {
	*rand.Rand
	srv    *fliplettest.Server
	tokens []string
	routes []fliplettest.Route
}

func newStory(srv *fliplettest.Server, studio string) *story {
	app, _ := srv.AddToken(fliplettest.AppToken)
	return &story{
		Rand: rand.New(rand.NewPCG(1, 2)), srv: srv, routes: srv.Routes(),
		tokens: []string{srv.Token, srv.Token, studio, studio, studio, app, "eu--nobody"},
	}
}

func (s *story) within(d time.Duration) time.Duration { return time.Duration(s.Int64N(int64(d))) }

func pick[T any](s *story, of ...T) T { return of[s.IntN(len(of))] }

// common are the routes that change or show most, so that the story has enough of them.
var common = []fliplettest.Route{
	fliplettest.Insert, fliplettest.Insert, fliplettest.Update, fliplettest.Delete, fliplettest.Bulk, fliplettest.Commit, fliplettest.Query,
	fliplettest.Query, fliplettest.CrossSource, fliplettest.GetEntry, fliplettest.ListSources, fliplettest.UpdateSource,
}

// ask makes the next request and returns everything that came back.
func (s *story) ask(t *testing.T) string {
	t.Helper()
	route := pick(s, s.routes...)
	if s.IntN(4) > 0 {
		route = pick(s, common...)
	}
	method, path, _ := strings.Cut(string(route), " ")
	segments := strings.Split(path, "/")
	for i, segment := range segments {
		switch segment {
		case ":ds":
			if route == fliplettest.DeleteSource {
				segments[i] = fmt.Sprint(104 + s.IntN(100)) // not one that the story needs
				continue
			}
			segments[i] = pick(s, "101", "102", "102", "102", "103", "103", "103", fmt.Sprint(104+s.IntN(40)), "Talk", "Things", "Made", "x")
		case ":entry":
			segments[i] = pick(s, fmt.Sprint(5001+s.IntN(200)), fmt.Sprint(5001+s.IntN(20_000)), "session", "x")
		case ":app", ":organization":
			segments[i] = pick(s, "1", "1", "1", "9", "x")
		case ":token":
			segments[i] = fmt.Sprint(40010 + s.IntN(30)) // not one that the story needs
		case ":columns":
			segments[i] = "a,n,body"
		case ":widget":
			segments[i] = pick(s, "com.fliplet.chat", "com.fliplet.other", "701")
		default:
			if strings.HasPrefix(segment, ":") {
				segments[i] = fmt.Sprint(pick(s, 301, 801, 901, 40001, 1) + s.IntN(30))
			}
		}
	}
	query := []string{}
	for _, q := range []string{
		"appId=1", "appId=x&organizationId=y", "organizationId=1", "type=conversation", "attributes=id,name,apps,definition", "order=updatedAt&direction=DESC",
		"definition=%7B%22participants%22%3A%5B%22a%22%5D%7D", "includeEntriesCount", "flUserToken=ta", "limit=3", "type=x&direction=y&order=z",
	} {
		if s.IntN(8) == 0 {
			query = append(query, q)
		}
	}
	var body io.Reader = http.NoBody
	contentType := "application/json"
	if method == "POST" || method == "PUT" {
		raw, err := json.Marshal(s.body(route))
		require.NoError(t, err)
		body = bytes.NewReader(raw)
		if s.IntN(20) == 0 || route == fliplettest.Upload {
			contentType = "multipart/form-data; boundary=B"
			body = strings.NewReader("--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--B\r\nContent-Disposition: form-data; name=\"files\"; filename=\"x.png\"\r\n\r\nx\r\n--B--\r\n")
		}
	}
	r, err := http.NewRequestWithContext(t.Context(), method, s.srv.URL+strings.Join(segments, "/")+"?"+strings.Join(query, "&"), body)
	require.NoError(t, err)
	r.Header.Set("Auth-token", pick(s, s.tokens...))
	r.Header.Set("Content-Type", contentType)
	resp, err := s.srv.Transport().RoundTrip(r)
	if err != nil {
		return fmt.Sprint(r.Method, r.URL, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	head := make([]string, 0, len(resp.Header))
	for name, values := range resp.Header {
		head = append(head, fmt.Sprint(name, values))
	}
	slices.Sort(head)
	return fmt.Sprint(r.Method, r.URL, resp.StatusCode, head, string(answer), err)
}

// value is something a column or a parameter can hold.
func (s *story) value() any {
	return pick[any](s, 1, 2, 2.5, "1", "two", "", nil, true, []any{"a"}, []any{"a", "b"}, datasource.M{"x": 1, "y": []any{2}}, "b", 7)
}

func (s *story) row() datasource.M {
	row := datasource.M{}
	for _, column := range []string{"a", "b", "n", "body", "readBy", "fromUserId", "é"} {
		if s.IntN(2) == 0 {
			row[column] = s.value()
		}
	}
	return row
}

// where has several conditions, some of which make no sense.
func (s *story) where() datasource.M {
	where := datasource.M{}
	for _, column := range []string{"a", "b", "n", "id", "updatedAt", "data", "$or", "$nope"} {
		if s.IntN(4) > 0 {
			continue
		}
		where[column] = pick[any](s, s.value(), datasource.M{"$in": []any{1, "two"}, "$gt": 0}, datasource.M{"$nope": 1, "$never": 2},
			[]any{datasource.M{"a": 1}, datasource.M{"b": datasource.M{"$lt": 3}}}, datasource.M{"$contains": datasource.M{"readBy": []any{"a"}}})
	}
	return where
}

func (s *story) body(route fliplettest.Route) any {
	fields := datasource.M{}
	maybe := func(one int, name string, v any) {
		if s.IntN(one) == 0 {
			fields[name] = v
		}
	}
	switch route {
	case fliplettest.Insert, fliplettest.Update:
		return s.row()
	case fliplettest.Bulk:
		fields["append"] = true
		fields["entries"] = []any{s.row(), s.row(), s.row()}
		maybe(200, "append", false)
		return fields
	case fliplettest.Commit:
		row := func() any {
			if s.IntN(2) == 0 {
				return datasource.M{"id": 5001 + s.IntN(20_000), "data": s.row()}
			}
			return datasource.M{"clientId": s.value(), "data": s.row()}
		}
		fields["entries"] = []any{row(), row(), row()}
		fields["append"] = s.IntN(100) > 0
		fields["returnEntries"] = s.IntN(50) == 0
		maybe(2, "extend", true)
		maybe(3, "runHooks", []any{"insert", "update"})
		maybe(3, "delete", []any{5001 + s.IntN(5_000), 5001, 5001, 5002})
		maybe(20, "columns", []any{"z", "a", 1})
		return fields
	case fliplettest.Query, fliplettest.CrossSource:
		fields["where"] = s.where()
		fields["limit"] = 20
		if route == fliplettest.CrossSource {
			fields["flUserToken"] = pick(s, "ta", "tb", "tb", "gone")
			maybe(3, "includeDeleted", true)
			maybe(3, "count", true)
			return fields
		}
		maybe(4, "order", []any{[]any{pick(s, "data.a", "data.n", "id", "updatedAt", "nope"), pick(s, "ASC", "DESC", "UP")}})
		maybe(6, "join", datasource.M{
			"J": datasource.M{"dataSourceId": pick(s, 101, 102, 999), "on": datasource.M{"data.a": "data.n"}, "count": s.IntN(2) == 0},
			"K": datasource.M{"dataSourceName": pick(s, "Things", "Nothing"), "limit": pick[any](s, 2, -1)},
		})
		maybe(6, "aggregate", []any{
			datasource.M{"$group": datasource.M{"_id": "$data.a", "s": datasource.M{"$sum": 1}, "t": datasource.M{"$max": "$data.n"}}},
			datasource.M{"$sort": datasource.M{"s": -1, "t": 1}, "$project": datasource.M{"s": 1, "t": 1}},
		})
		maybe(5, "distinct", "a")
		maybe(5, "views", []any{"v", "w"})
		maybe(5, "attributes", []any{"a", "n"})
		maybe(5, "updatedAt", datasource.M{"$gt": "2000-01-01T00:00:05.000Z"})
		maybe(3, "includePagination", true)
		maybe(30, "type", "update")
		maybe(2, "data", s.row())
		maybe(5, "limit", pick[any](s, -1, "x", 0))
		return fields
	}
	// Everything else gets whatever could mean something to it, right or wrong.
	maybe(2, "name", pick[any](s, "Made", "Made", 7, ""))
	maybe(2, "appId", pick[any](s, 1, 1, 9, "x"))
	maybe(4, "organizationId", pick[any](s, 1, 9, "y"))
	maybe(4, "type", pick[any](s, "conversation", "menu", 7))
	maybe(2, "definition", pick[any](s, datasource.M{"participants": []any{"a", "b"}, "guid": "g"}, "no"))
	maybe(4, "columns", pick[any](s, []any{"a", "n"}, "no"))
	maybe(4, "hooks", pick[any](s, []any{datasource.M{"type": "email", "runOn": "insert"}}, "no", []any{1}))
	maybe(8, "accessRules", pick[any](s, []any{datasource.M{"type": []any{"select", "insert"}, "allow": "all"}}, "no"))
	maybe(4, "entries", []any{s.row(), s.row()})
	maybe(3, "data", s.row())
	maybe(3, "settings", s.row())
	maybe(3, "where", s.where())
	maybe(3, "dataSourceId", pick(s, 101, 102))
	maybe(3, "email", "studio@example.org")
	maybe(3, "password", "secret")
	maybe(3, "files", []any{901, 902})
	return fields
}
