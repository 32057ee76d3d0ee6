package flipletd_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd"
)

// BenchmarkWrites is what a write costs, the audit log included.
func BenchmarkWrites(b *testing.B) {
	message := `{"body":"` + strings.Repeat("U2FsdGVkX18BAgMEBQYHCPrG", 12) + `","fromUserId":"b","guid":"00000000-0000-4000-8000-000000000001","readBy":["b"],"conversationId":101}`
	rows := `{"append":true,"extend":true,"returnEntries":false,"entries":[` + strings.TrimSuffix(strings.Repeat(`{"data":`+message+`},`, 100), ",") + `]}`
	for _, c := range []struct{ name, method, path, body string }{
		{"insert", "PUT", "/v1/data-sources/101/data", message},
		{"update", "PUT", "/v1/data-sources/101/data/5001", `{"readBy":["a","b"]}`},
		{"commit-100", "POST", "/v1/data-sources/101/commit", rows},
	} {
		b.Run(c.name, func(b *testing.B) {
			s, err := flipletd.New(flipletd.Config{Token: token})
			require.NoError(b, err)
			k := &kit{Server: s, t: b, token: token}
			k.source(m{"name": "Talk", "type": "conversation", "definition": m{"participants": []any{"a", "b"}}})
			k.do("PUT", "/v1/data-sources/101/data", message).ok(200)
			b.ReportAllocs()
			for b.Loop() {
				r := httptest.NewRequest(c.method, c.path, strings.NewReader(c.body))
				r.Header.Set("Auth-token", k.token)
				r.Header.Set("Content-Type", "application/json")
				k.ServeHTTP(&discard{header: make(http.Header)}, r)
			}
			b.StopTimer()
			require.Empty(b, k.Faults())
		})
	}
}

// BenchmarkLogs asks for pages of a full audit log.
func BenchmarkLogs(b *testing.B) {
	s, err := flipletd.New(flipletd.Config{Token: token})
	require.NoError(b, err)
	k := (&kit{Server: s, t: b, token: token}).studio()
	source := k.source(m{"name": "Things"})
	for range 100 {
		k.put(source, make([]map[string]any, 1000)...)
	}
	for _, question := range []string{`{}`, `{"limit":500}`, `{"sort":"type"}`, `{"type":"dataSource.entry.delete"}`} {
		b.Run(question, func(b *testing.B) { k.measure(b, "/v1/organizations/1/logs", question, `"query"`) })
	}
}
