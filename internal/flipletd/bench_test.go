package flipletd_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd"
)

// filled is a conversation of n messages, 10 ms apart or all of one moment.
func filled(b *testing.B, n int, oneMoment bool) *kit {
	b.Helper()
	s, err := flipletd.New(flipletd.Config{Token: token})
	require.NoError(b, err)
	k := &kit{Server: s, t: b, token: token}
	k.Freeze(moment)
	k.source(m{"name": "Contacts", "entries": []any{m{"flUserId": "a", "flUserToken": "ta"}}})
	k.source(m{"name": "Talk", "type": "conversation", "definition": m{"participants": []any{"a"}}})
	body := strings.Repeat("U2FsdGVkX18BAgMEBQYHCPrG", 12)
	const batch = 100
	for i := 0; i < n; i += batch {
		rows := make([]map[string]any, batch)
		for j := range rows {
			readBy := []any{"b"}
			if (i+j)%10 != 0 {
				readBy = append(readBy, "a")
			}
			rows[j] = m{
				"body": body, "fromUserId": "b", "readBy": readBy, "conversationId": 102,
				"guid": fmt.Sprintf("00000000-0000-4000-8000-%012d", i+j),
			}
		}
		k.put(102, rows...)
		if !oneMoment {
			k.Shift(10 * time.Millisecond)
		}
	}
	return k
}

// measure serves one request again and again, which was served before as often as it
// takes for an index, and checks its answer.
func (k *kit) measure(b *testing.B, path, body, want string) {
	b.Helper()
	var a answer
	for range 2 {
		a = k.do("POST", path, body)
		require.Equal(b, 200, a.status, a.body)
		require.Contains(b, a.body, want)
	}
	b.SetBytes(int64(len(a.body)))
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequest("POST", path, strings.NewReader(body))
		r.Header.Set("Auth-token", k.token)
		r.Header.Set("Content-Type", "application/json")
		k.ServeHTTP(&discard{header: make(http.Header)}, r)
	}
}

// discard is a ResponseWriter that keeps nothing.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(int)             {}

func BenchmarkServer(b *testing.B) {
	for _, n := range []int{1_000, 10_000, 100_000} {
		b.Run(fmt.Sprintf("rows=%d", n), func(b *testing.B) {
			k := filled(b, n, false)
			rows := k.Rows(102)
			b.Run("equality", func(b *testing.B) {
				guid := rows[n/2].Data["guid"].(string)
				k.measure(b, "/v1/data-sources/102/data/query", fmt.Sprintf(`{"type":"select","where":{"guid":%q}}`, guid), `"count":1`)
			})
			b.Run("page", func(b *testing.B) {
				at := rows[n/2]
				k.measure(b, "/v1/data-sources/data", page("ta", at.UpdatedAt, at.ID, 200), fmt.Sprintf(`"id":%d`, at.ID+1))
			})
			b.Run("unread", func(b *testing.B) {
				k.measure(b, "/v1/data-sources/data", `{"flUserToken":"ta","count":true,"where":{"$not":{"data":{"$contains":{"readBy":["a"]}}}}}`, fmt.Sprintf(`"count":%d`, n/10))
			})
			tied := filled(b, n, true)
			b.Run("page-in-a-tie", func(b *testing.B) {
				at := rows[n/2]
				tied.measure(b, "/v1/data-sources/data", page("ta", moment, at.ID, 200), fmt.Sprintf(`"id":%d`, at.ID+1))
			})
			b.Run("newest", func(b *testing.B) {
				k.measure(b, "/v1/data-sources/data", `{"flUserToken":"ta","order":[["createdAt","DESC"],["id","DESC"]],"limit":200}`, fmt.Sprintf(`"id":%d`, 5001+n))
			})
		})
	}
}

// BenchmarkJoins asks for the newest rows of many conversations in one request: by an
// order and a limit of each join, in the default order, and with a condition that the
// newest rows meet. What it costs should depend on the rows in the answer.
func BenchmarkJoins(b *testing.B) {
	for _, size := range []struct{ sources, rows int }{{20, 1_000}, {20, 10_000}, {20, 100_000}, {200, 1_000}, {200, 10_000}} {
		b.Run(fmt.Sprintf("sources=%d/rows=%d", size.sources, size.rows), func(b *testing.B) {
			k := conversations(b, size.sources, size.rows)
			join := func(settings string) string {
				joins := make([]string, size.sources-1)
				for i := range joins {
					joins[i] = fmt.Sprintf(`"c%[1]d":{"dataSourceId":%[1]d,%[2]s}`, 102+i, settings)
				}
				return fmt.Sprintf(`{"type":"select","attributes":["guid"],"limit":2,"order":[["updatedAt","DESC"]],"join":{%s}}`, strings.Join(joins, ","))
			}
			count := fmt.Sprintf(`"count":%d`, 2*size.sources)
			for name, settings := range map[string]string{
				"newest":  `"order":["updatedAt","DESC"],"limit":2,"attributes":["guid"]`,
				"default": `"limit":2,"attributes":["guid"]`,
				"where":   `"where":{"fromUserId":"b"},"order":["createdAt","DESC"],"limit":2,"attributes":["guid"]`,
			} {
				b.Run(name, func(b *testing.B) { k.measure(b, "/v1/data-sources/101/data/query", join(settings), count) })
			}
		})
	}
}

// conversations are so many data sources of so many messages, from 101 on, written in
// turns as when all of them are busy.
func conversations(b *testing.B, sources, rows int) *kit {
	b.Helper()
	s, err := flipletd.New(flipletd.Config{Token: token})
	require.NoError(b, err)
	k := &kit{Server: s, t: b, token: token}
	k.Freeze(moment)
	for range sources {
		k.source(m{"name": "Talk", "type": "conversation", "definition": m{"participants": []any{"a"}}})
	}
	const batch = 500
	for i := 0; i < rows; i += batch {
		for source := range sources {
			list := make([]map[string]any, batch)
			for j := range list {
				list[j] = m{"body": "hello", "fromUserId": "b", "readBy": []any{"b"}, "guid": fmt.Sprintf("g-%d-%d", source, i+j)}
			}
			k.put(int64(101+source), list...)
			k.Shift(10 * time.Millisecond)
		}
	}
	return k
}
