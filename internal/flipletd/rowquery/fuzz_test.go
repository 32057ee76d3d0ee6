package rowquery_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd/rowquery"
)

func FuzzContains(f *testing.F) {
	forEachLine(f, "testdata/jsonb-contains.jsonl", func(line []byte) {
		var c containsCase
		require.NoError(f, json.Unmarshal(line, &c))
		f.Add([]byte(c.Doc), []byte(c.Filter))
	})
	f.Add([]byte(`"\ud83d\u0000"`), []byte(`[1e131072]`))
	f.Fuzz(func(t *testing.T, doc, filter []byte) {
		if len(doc) > 5000 || len(filter) > 5000 {
			return // could be as deep as the decoder goes, and no deeper below
		}
		got, err := rowquery.ContainsRaw(doc, filter)
		if err != nil {
			return
		}
		for _, v := range [][]byte{doc, filter} {
			mustContain(t, v, v)
			mustContain(t, wrap(`[`, v, `]`), wrap(`[`, v, `]`))
			mustContain(t, wrap(`{"x":0,"k":`, v, `}`), wrap(`{"k":`, v, `}`))
		}
		inArrays, err := rowquery.ContainsRaw(wrap(`[[`, doc, `]]`), wrap(`[[`, filter, `]]`))
		require.NoError(t, err)
		inObjects, err := rowquery.ContainsRaw(wrap(`{"k":`, doc, `}`), wrap(`{"k":`, filter, `}`))
		require.NoError(t, err)
		require.Equal(t, inObjects, inArrays, "both hold two values below the top")
		require.True(t, got || !inObjects, "below the top nothing is contained that is not at the top")

		d, err := decode(doc)
		require.NoError(t, err)
		w, err := decode(filter)
		require.NoError(t, err)
		require.Equal(t, got, rowquery.Contains(d, w), "decoded values")
	})
}

func mustContain(t *testing.T, doc, filter []byte) {
	t.Helper()
	got, err := rowquery.ContainsRaw(doc, filter)
	require.NoError(t, err)
	require.True(t, got, "%q @> %q", doc, filter)
}

func wrap(before string, v []byte, after string) []byte {
	return []byte(before + string(v) + after)
}

func FuzzWhere(f *testing.F) {
	for _, file := range []string{"testdata/entries-where.jsonl", "testdata/recorded.jsonl"} {
		forEachLine(f, file, func(line []byte) {
			var c whereCase
			require.NoError(f, json.Unmarshal(line, &c))
			data := []byte(`{}`)
			if len(c.Entries) > 0 {
				data = c.Entries[0].Data
			}
			f.Add([]byte(c.Where), data, uint64(len(data)))
		})
	}
	f.Fuzz(func(t *testing.T, whereText, dataText []byte, seed uint64) {
		where, err := decode(whereText)
		if err != nil {
			return
		}
		data, err := decode(dataText)
		if err != nil {
			return
		}
		filter, err := rowquery.Compile(where)
		if err != nil {
			var failure *rowquery.Error
			require.ErrorAs(t, err, &failure)
			require.NotZero(t, failure.Kind)
			require.NotEmpty(t, failure.Message)
			return
		}
		m := newMaker(seed)
		for range 4 {
			row := m.row()
			if m.IntN(4) > 0 {
				row.Data = data
			}
			matched, err := filter.Match(row)
			again, errAgain := filter.Match(row)
			require.Equal(t, matched, again)
			require.Equal(t, err == nil, errAgain == nil)
			require.False(t, matched && err != nil)
			require.True(t, !matched || covers(filter.Bounds(), row))
			negated, errNegated := rowquery.Compile(map[string]any{"$not": where})
			if errNegated != nil {
				continue // one level too deep
			}
			if m, err := negated.Match(row); err == nil {
				require.False(t, m && matched, "a clause and its negation match")
			}
		}
	})
}
