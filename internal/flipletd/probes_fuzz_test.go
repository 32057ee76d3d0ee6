package flipletd

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd/rowquery"
	"github.com/fliplet/fliplet-chat-go/internal/flipletd/sift"
)

// FuzzProbes compares what an index would be asked with what the clause says of a row:
// no row that matches, or on which the clause fails, may be passed over.
func FuzzProbes(f *testing.F) {
	seeds := 0
	for _, pattern := range []string{"sift/testdata/*.jsonl", "rowquery/testdata/*.jsonl"} {
		files, err := filepath.Glob(pattern)
		require.NoError(f, err)
		for _, file := range files {
			text, err := os.ReadFile(file)
			require.NoError(f, err)
			lines := bufio.NewScanner(bytes.NewReader(text))
			lines.Buffer(nil, 1<<24)
			for lines.Scan() {
				var c struct {
					Where         json.RawMessage
					Docs, Entries []struct{ Data json.RawMessage }
				}
				if json.Unmarshal(lines.Bytes(), &c) != nil {
					continue
				}
				for _, doc := range append(c.Docs, c.Entries...) {
					f.Add([]byte(c.Where), []byte(doc.Data))
					seeds++
				}
			}
		}
	}
	require.NotZero(f, seeds)
	f.Fuzz(func(t *testing.T, where, data []byte) {
		doc, err := decodeJSON(data)
		columns, ok := doc.(map[string]any)
		if err != nil || !ok {
			return
		}
		if filter, err := sift.Compile(json.RawMessage(where)); err == nil {
			matched, err := filter.Match(doc)
			checkProbes(t, siftProbes(filter), columns, matched, err)
		}
		clause, err := decodeJSON(where)
		if err != nil {
			return
		}
		if filter, err := rowquery.Compile(clause); err == nil {
			matched, err := filter.Match(&rowquery.Row{ID: 1, DataSourceID: 1, Data: doc})
			checkProbes(t, rowProbes(filter), columns, matched, err)
		}
	})
}

func checkProbes(t *testing.T, of probes, columns map[string]any, matched bool, err error) {
	t.Helper()
	for _, p := range of.of {
		terms, odd := termsOf(columns, p.column, nil)
		holds := slices.ContainsFunc(p.terms, func(of term) bool { return slices.Contains(terms, of) }) != p.not
		require.True(t, holds || odd || !matched && err == nil, "%+v: matched %t, %v", p, matched, err)
		if of.alone && !odd {
			require.NoError(t, err)
			require.Equal(t, holds, matched, "%+v", p)
		}
		if of.ordered && odd {
			return // those behind it are not asked
		}
	}
}
