package boltjournal_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd"
	"github.com/fliplet/fliplet-chat-go/internal/flipletd/boltjournal"
)

// BenchmarkMillion starts a server on a file of a million messages, one conversation of
// 500,000 and fifty of 10,000, many of them written again after the others, and asks it.
// With -v it says how long the start took, and how much memory there is in use.
func BenchmarkMillion(b *testing.B) {
	const token, rows = "eu--test-token", 1_000_000
	type m = map[string]any
	path := filepath.Join(b.TempDir(), "fliplet.db")
	start := func() (*boltjournal.Journal, *flipletd.Server) {
		j, err := boltjournal.Open(path)
		require.NoError(b, err)
		s, err := flipletd.New(flipletd.Config{Token: token, Journal: j})
		require.NoError(b, err)
		return j, s
	}
	j, s := start()
	s.Freeze(time.Date(2026, 2, 1, 8, 0, 0, 0, time.UTC))
	_, err := s.CreateSource(m{"name": "Contacts", "entries": []any{m{"flUserId": "a", "flUserToken": "ta"}}})
	require.NoError(b, err)
	var big int64
	body := strings.Repeat("U2FsdGVkX18BAgMEBQYHCPrG", 4)
	for source := range 51 {
		id, err := s.CreateSource(m{"name": "Talk", "type": "conversation", "definition": m{"participants": []any{"a"}}})
		require.NoError(b, err)
		n := rows / 100
		if source == 0 {
			n, big = rows/2, id
		}
		const batch = 5_000
		for at := 0; at < n; at += batch {
			list := make([]map[string]any, batch)
			for i := range list {
				readBy := []any{"b"}
				if i%10 != 0 {
					readBy = append(readBy, "a")
				}
				list[i] = m{"body": body, "fromUserId": "b", "readBy": readBy, "guid": fmt.Sprintf("00000000-0000-4000-8000-%03d%09d", source, at+i)}
			}
			_, err := s.Insert(id, list...)
			require.NoError(b, err)
			s.Shift(10 * time.Millisecond)
		}
	}
	request := func(s *flipletd.Server, path, body, want string) {
		r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
		r.Header.Set("Auth-token", token)
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), want) {
			b.Fatal(w.Code, w.Body.String()[:min(500, w.Body.Len())])
		}
	}
	request(s, fmt.Sprintf("/v1/data-sources/%d/data/query", big), `{"type":"update","where":{"guid":{"$like":"0-000"},"body":{"$regex":"^U"}},"limit":50000,"data":{"edited":true}}`, `"entries"`)
	s.Close()
	require.NoError(b, j.Close())
	s = nil // its memory is not that of the one that is measured

	began := time.Now()
	j, s = start()
	b.Logf("started in %.1f s", time.Since(began).Seconds())
	memory := func() string {
		runtime.GC()
		var mem runtime.MemStats
		runtime.ReadMemStats(&mem)
		return fmt.Sprintf("%d MiB in use, %d MiB of the system", mem.HeapAlloc>>20, mem.Sys>>20)
	}
	b.Log(memory())
	guid := fmt.Sprintf("00000000-0000-4000-8000-%03d%09d", 0, rows/4)
	at := fmt.Sprintf("/v1/data-sources/%d/data/query", big)
	for _, q := range []struct{ name, path, body, want string }{
		{"equality", at, `{"where":{"guid":"` + guid + `"}}`, `"count":1`},
		{"unread", "/v1/data-sources/data", `{"flUserToken":"ta","count":true,"where":{"$not":{"data":{"$contains":{"readBy":["a"]}}}}}`, fmt.Sprintf(`"count":%d`, rows/10)},
		{"newest", "/v1/data-sources/data", `{"flUserToken":"ta","limit":200}`, `"id"`},
		{"page", "/v1/data-sources/data", `{"flUserToken":"ta","limit":200,"where":{"updatedAt":{"$gt":"2026-02-01T08:00:00.500Z"}},"order":[["updatedAt","ASC"],["id","ASC"]]}`, `"id"`},
	} {
		began := time.Now()
		request(s, q.path, q.body, q.want)
		first := time.Since(began)
		request(s, q.path, q.body, q.want)
		b.Logf("%s: the first time %v, the second %v", q.name, first, time.Since(began)-first)
		b.Run(q.name, func(b *testing.B) {
			for b.Loop() {
				request(s, q.path, q.body, q.want)
			}
		})
	}
	b.Run("insert", func(b *testing.B) {
		for b.Loop() {
			_, err := s.Insert(big, m{"body": body, "fromUserId": "b", "readBy": []any{"b"}, "guid": "new"})
			require.NoError(b, err)
		}
	})
	b.Logf("with indexes: %s", memory())
	s.Close()
	require.NoError(b, j.Close())
}
