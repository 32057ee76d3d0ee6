package sift_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd/sift"
)

// chatRows are message rows as the local server holds them.
func chatRows(tb testing.TB, n int) []any {
	rows := make([]any, n)
	for i := range rows {
		rows[i] = decode(tb, fmt.Sprintf(`{
			"guid": "3b1f8a62-9a0e-4a7e-8f0a-%012d", "body": "see you at %d, bring the notes",
			"fromUserId": "u%d", "readBy": ["u%d", "u%d"], "edits": %d, "sentAt": "2024-05-%02dT10:%02d:00.000Z"
		}`, i, i%12, i%5, i%5, (i+1)%5, i%3, 1+i%28, i%60))
	}
	return rows
}

func decode(tb testing.TB, text string) any {
	tb.Helper()
	var v any
	require.NoError(tb, json.Unmarshal([]byte(text), &v))
	return v
}

var scalarClauses = map[string]string{
	"equal, not equal, since": `{"fromUserId": "u1", "edits": {"$ne": 2}, "sentAt": {"$gte": "2024-05-10T00:00:00.000Z"}}`,
	"in, like, exists":        `{"fromUserId": {"$in": ["u1", "u2", "u3"]}, "body": {"$iLike": "NOTES"}, "deletedAt": {"$exists": false}}`,
	"unread":                  `{"readBy": {"$nin": ["u1"]}, "fromUserId": {"$ne": "u1"}, "deletedAt": null}`,
	"filters":                 `{"$filters": [{"column": "fromUserId", "condition": "oneof", "value": ["u1", "u2"]}, {"column": "edits", "condition": "<", "value": 2}, {"column": "sentAt", "condition": "dateafter", "value": "2024-05-10"}]}`,
}

func BenchmarkMatch(b *testing.B) {
	rows := chatRows(b, 200)
	for name, clause := range scalarClauses {
		b.Run(name, func(b *testing.B) {
			filter, err := sift.Compile(json.RawMessage(clause))
			require.NoError(b, err)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, err := filter.Match(rows[i%len(rows)]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkMatchRegex(b *testing.B) {
	rows := chatRows(b, 200)
	filter, err := sift.Compile(json.RawMessage(`{"body": {"$regex": "AT (\\d+), bring", "$options": "i"}}`))
	require.NoError(b, err)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := filter.Match(rows[i%len(rows)]); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCompile(b *testing.B) {
	clause := decode(b, scalarClauses["equal, not equal, since"])
	b.ReportAllocs()
	for b.Loop() {
		if _, err := sift.Compile(clause); err != nil {
			b.Fatal(err)
		}
	}
}

func TestScalarConditionsDoNotAllocate(t *testing.T) {
	rows := chatRows(t, 50)
	for name, clause := range scalarClauses {
		filter, err := sift.Compile(json.RawMessage(clause))
		require.NoError(t, err)
		allocs := testing.AllocsPerRun(10, func() {
			for _, row := range rows {
				_, _ = filter.Match(row)
			}
		})
		require.Zero(t, allocs, name)
	}
}
