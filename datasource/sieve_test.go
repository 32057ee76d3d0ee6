package datasource_test

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/longtest"
)

// stream answers with parts, without holding them together.
func stream(parts ...any) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for _, p := range parts {
			switch p := p.(type) {
			case string:
				_, _ = io.WriteString(w, p)
			case func(io.Writer):
				p(w)
			}
		}
	}
}

// repeated writes a text n times.
func repeated(text string, n int) func(io.Writer) {
	return func(w io.Writer) {
		n := n
		block := strings.Repeat(text, max(1, min(n, 1<<20/len(text))))
		for per := len(block) / len(text); n > 0; n -= per {
			if n < per {
				block = block[:n*len(text)]
			}
			if _, err := io.WriteString(w, block); err != nil {
				return
			}
		}
	}
}

func goodRow(id int) string {
	return fmt.Sprintf(`{"id":%d,"dataSourceId":9,"data":{"body":"row \"%d\" é","n":[1,{"a":[]}]},"createdAt":"2026-02-01T08:00:00.000Z","updatedAt":"2026-02-01T08:00:00.001Z","deletedAt":null}`, id, id)
}

const badTail = `,"createdAt":"2026-02-01T08:00:00.000Z","updatedAt":"2026-02-01T08:00:00.001Z","deletedAt":null}`

// bad are the beginnings and ends of rows that break a limit, and what is between them.
var bad = map[string][3]any{
	"of 65 MiB in one string":     {`{"id":2,"dataSourceId":9,"data":{"body":"`, repeated("x", 65<<20), `"}` + badTail},
	"of 65 MiB in escapes":        {`{"id":2,"dataSourceId":9,"data":{"body":"`, repeated(`\"`, 65<<19), `"}` + badTail},
	"of 1,500 KiB":                {`{"id":2,"dataSourceId":9,"data":{"body":"`, repeated("x", 1500<<10), `"}` + badTail},
	"nested 10,001 deep":          {`{"id":2,"dataSourceId":9,"data":{"a":` + strings.Repeat("[", 10001), "", strings.Repeat("]", 10001) + `}` + badTail},
	"nested 9,999 deep":           {`{"id":2,"dataSourceId":9,"data":` + strings.Repeat(`{"a":`, 9999), "1", strings.Repeat("}", 9999) + badTail},
	"nested 9 million deep":       {`{"id":2,"dataSourceId":9,"data":{"a":`, repeated("[", 9<<20), ""},
	"of 30 MiB of objects":        {`{"id":2,"dataSourceId":9,"data":{"a":[{}`, repeated(",{}", 10<<20), `]}` + badTail},
	"of 300,000 objects":          {`{"id":2,"dataSourceId":9,"data":{"a":[{}`, repeated(",{}", 300_000), `]}` + badTail},
	"of 60,000 columns":           {`{"id":2,"dataSourceId":9,"data":{"a":1`, repeated(`,"a":1`, 60_000), `}` + badTail},
	"with a field nobody knows":   {`{"id":2,"dataSourceId":9,"x":"`, repeated("x", longtest.Size(2, 20)<<20), `","data":{"a":1}` + badTail},
	"with the times at the start": {`{"deletedAt":null,"createdAt":"2026-02-01T08:00:00.000Z","updatedAt":"2026-02-01T08:00:00.001Z","id":2,"dataSourceId":9,"data":{"a":"`, repeated("x", longtest.Size(2, 20)<<20), `"}}`},
	"with columns like ids":       {`{"data":{"id":77,"createdAt":"2020-01-01T00:00:00.000Z","a":"`, repeated("x", longtest.Size(2, 20)<<20), `","id":78},"id":2,"dataSourceId":9` + badTail},
}

func TestARowThatBreaksALimitCostsThatRowOnly(t *testing.T) {
	for name, b := range bad {
		if strings.Contains(name, "MiB") || strings.Contains(name, "million") {
			if !longtest.Enabled() {
				continue // it takes seconds
			}
		}
		if name == "nested 9 million deep" {
			b[2] = repeated("]", 9<<20)
		}
		for shape, around := range map[string][2]string{"wrapped": {`{"entries":[`, `],"count":3}`}, "bare": {" [\n", "\n] "}} {
			tail := ""
			if name == "nested 9 million deep" {
				tail = "}" + badTail
			}
			server := serve(t, stream(around[0]+goodRow(1)+" , ", b[0], b[1], b[2], tail, ",\n"+goodRow(3)+around[1]))
			for call, find := range map[string]func(*datasource.Client) ([]datasource.Entry, error){
				"Find": func(c *datasource.Client) ([]datasource.Entry, error) {
					return c.Find(t.Context(), 9, datasource.Query{Limit: 200})
				},
				"FindAcross": func(c *datasource.Client) ([]datasource.Entry, error) {
					return c.FindAcross(t.Context(), []byte(`{"limit":200}`), nil)
				},
			} {
				name := name + ", " + shape + ", " + call
				rows, err := find(server.client(t))
				require.NoError(t, err, name)
				require.Len(t, rows, 3, name)
				for _, i := range []int{0, 2} {
					var want map[string]any
					require.NoError(t, json.Unmarshal([]byte(goodRow(i+1)), &want))
					assert.Equal(t, want["data"].(map[string]any)["body"], rows[i].Data["body"], name)
					assert.NoError(t, rows[i].Err, name)
				}
				assert.Equal(t, datasource.Entry{
					ID: 2, DataSourceID: 9, CreatedAt: ms("2026-02-01T08:00:00.000Z"), UpdatedAt: ms("2026-02-01T08:00:00.001Z"), Err: rows[1].Err,
				}, rows[1], name)
				assert.ErrorIs(t, rows[1].Err, datasource.ErrRowLimit, name)
			}
		}
	}
}

func TestTheRowItselfIsAnErrorThatNamesIt(t *testing.T) {
	t.Parallel()
	b := bad["of 300,000 objects"]
	server := serve(t, stream(b[0], b[1], b[2]))
	_, err := server.client(t).FindByID(t.Context(), 9, 2)
	require.ErrorIs(t, err, datasource.ErrRowLimit)
	assert.Contains(t, err.Error(), "row 2")
	assert.False(t, datasource.Doubtful(err))
	_, err = server.client(t).Update(t.Context(), 9, 2, M{"a": 1})
	require.ErrorIs(t, err, datasource.ErrRowLimit)
	assert.True(t, datasource.Doubtful(err))
}

func TestADefinitionThatBreaksALimitCostsThatDataSourceOnly(t *testing.T) {
	t.Parallel()
	good := func(id int) string {
		return fmt.Sprintf(`{"id":%d,"name":"c%d","type":"conversation","definition":{"participants":["u-%d"]},"hooks":[],"columns":["a"]}`, id, id, id)
	}
	for name, b := range map[string][3]any{
		"of 65 MiB":          {`{"id":2,"name":"c2","definition":{"a":"`, repeated("x", 65<<20), `"},"type":"conversation"}`},
		"of 2 MiB":           {`{"id":2,"name":"c2","definition":{"a":"`, repeated("x", 2<<20), `"},"type":"conversation"}`},
		"nested 10,001 deep": {`{"id":2,"name":"c2","definition":` + strings.Repeat(`{"a":`, 10001), "1", strings.Repeat("}", 10001) + `,"type":"conversation"}`},
	} {
		if name == "of 65 MiB" && !longtest.Enabled() {
			continue
		}
		server := serve(t, stream(`{"dataSources":[`+good(1)+",", b[0], b[1], b[2], ","+good(3)+"]}"))
		list, err := server.client(t).DataSources(t.Context(), datasource.SourceFilter{})
		require.NoError(t, err, name)
		require.Len(t, list, 3, name)
		assert.JSONEq(t, `{"participants":["u-3"]}`, string(list[2].Definition), name)
		assert.NoError(t, list[2].Err)
		assert.Equal(t, datasource.DataSource{ID: 2, Name: "c2", Type: "conversation", Err: list[1].Err}, list[1], name)
		assert.ErrorIs(t, list[1].Err, datasource.ErrRowLimit, name)
	}
	// A data source whose rows have used very many columns is still whole.
	server := serve(t, stream(`{"dataSources":[`+good(1)+`,{"id":2,"type":"conversation","columns":["a"`, repeated(`,"abcdef"`, longtest.Size(1<<18, 2<<20)),
		`],"definition":{"participants":["u-2"]}},`+good(3)+"]}"))
	list, err := server.client(t).DataSources(t.Context(), datasource.SourceFilter{})
	require.NoError(t, err)
	require.Len(t, list, 3)
	assert.JSONEq(t, `{"participants":["u-2"]}`, string(list[1].Definition))
	assert.NoError(t, list[1].Err)
}

func TestTheLargestDefinitionsGiveWayWhenAllTogetherAreTooLarge(t *testing.T) {
	longtest.Only(t, "it reads 70 MiB")
	t.Parallel()
	parts := []any{`[{"id":1,"definition":{"participants":["first"]}}`}
	for id := 2; id < 202; id++ {
		parts = append(parts, fmt.Sprintf(`,{"id":%d,"definition":{"a":"`, id), repeated("x", 350<<10+id%3), `"}}`)
	}
	parts = append(parts, `,{"id":202,"definition":{"participants":["last"]}}]`)
	list, err := serve(t, stream(parts...)).client(t).DataSources(t.Context(), datasource.SourceFilter{})
	require.NoError(t, err)
	require.Len(t, list, 202)
	whole := 0
	for i, s := range list {
		require.Equal(t, int64(i+1), s.ID)
		if s.Err == nil {
			whole++
			require.NotEmpty(t, s.Definition)
		} else {
			require.ErrorIs(t, s.Err, datasource.ErrRowLimit)
		}
	}
	assert.GreaterOrEqual(t, whole, 50)
	assert.NoError(t, list[0].Err)
	assert.NoError(t, list[201].Err)
}

func TestManyEmptyRowsCostNoMoreThanARowEach(t *testing.T) {
	for name, query := range map[string]datasource.Query{"with a limit": {Limit: 200}, "without one": {NoLimit: true}} {
		server := serve(t, stream(`[{"id":1}`, repeated(`,{"id":1}`, 10<<20), `]`))
		client := server.client(t)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		rows, err := client.Find(t.Context(), 9, query)
		runtime.ReadMemStats(&after)
		assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(400<<20), name)
		if query.Limit > 0 {
			require.NoError(t, err)
			assert.Len(t, rows, 400)
			continue
		}
		tooLarge := new(datasource.ResponseTooLargeError)
		require.ErrorAs(t, err, &tooLarge)
		assert.Contains(t, err.Error(), "rows")
	}
}

func TestOfMoreRowsThanTwiceTheLimitTheRestIsLeftOut(t *testing.T) {
	t.Parallel()
	for _, filler := range []int{10, 40_000} { // bytes of a row: a short answer and a long one
		var parts []any
		for id := 1; id <= 1000; id++ {
			parts = append(parts, fmt.Sprintf(`%s{"id":%d,"data":{"a":"%s"}}`, map[bool]string{true: `{"entries":[`, false: ","}[id == 1], id, strings.Repeat("x", filler)))
		}
		parts = append(parts, `],"deletedEntries":[{"id":2000},{"id":2001}],"pagination":{"total":1000}}`)
		got, err := serve(t, stream(parts...)).client(t).Select(t.Context(), 9, datasource.Query{Limit: 20})
		require.NoError(t, err)
		require.Len(t, got.Entries, 40)
		assert.Equal(t, int64(40), got.Entries[39].ID)
		assert.Len(t, got.Deleted, 2)
		assert.Equal(t, 1000, *got.Total)
	}
}

// A sieve in front of the decoder must change nothing but rows that break the limit of bytes.
func TestALongAnswerIsReadLikeAShortOne(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(5, 6))
	for range longtest.Size(60, 300) {
		var list []any
		for id := range 1 + r.IntN(20) {
			row := M{"id": id + 1, "data": M{"v": randomValue(r, 0), "id": 7}, "createdAt": "2026-02-01T08:00:00.000Z", "x": randomValue(r, 3)}
			if r.IntN(4) == 0 {
				row["data"].(M)["long"] = strings.Repeat(`a"\é]}[{,`, r.IntN(400))
			}
			list = append(list, row)
			if r.IntN(10) == 0 {
				list = append(list, randomValue(r, 3))
			}
		}
		var v any = list
		if r.IntN(2) == 0 {
			v = M{"entries": list, "a": randomValue(r, 2), "deletedEntries": list, "z": randomValue(r, 2)}
		}
		text, err := json.Marshal(v)
		require.NoError(t, err)
		if r.IntN(2) == 0 {
			text, err = json.MarshalIndent(v, "", "\t")
			require.NoError(t, err)
		}
		limit, chunk := 1+r.IntN(30), 1+r.IntN(40)
		want, wantGone, err := datasource.DecodePageOf(text, 2000, limit)
		require.NoError(t, err)
		sifted, err := datasource.Sift(text, 2000, limit, chunk)
		require.NoError(t, err, "%s", text)
		got, gotGone, err := datasource.DecodePageOf(sifted, 2000, limit)
		require.NoError(t, err, "%s\n%s", text, sifted)
		require.Equal(t, want, got)
		for i, e := range wantGone { // of deleted rows only what says which they are
			wantGone[i] = datasource.Entry{ID: e.ID, CreatedAt: e.CreatedAt}
		}
		require.Equal(t, wantGone, gotGone)
	}
}

// Deleted rows do not obey the limit of a query, so that a smaller one would not help.
func TestDeletedRowsMakeNoAnswerTooLarge(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		row  string // of id %d
		n    int
		most int64 // bytes of an answer
		less bool  // some are left out
	}{
		"of 8 KiB each":                {row: `{"id":%d,"dataSourceId":9,"data":{"body":"` + strings.Repeat("x", 8<<10) + `"},"deletedAt":"2026-02-01T08:06:00.000Z"}`, n: 100, most: 64 << 10},
		"of 2 MiB each":                {row: `{"id":%d,"deletedAt":"2026-02-01T08:06:00.000Z","data":{"body":"` + strings.Repeat("x", 2<<20) + `"}}`, n: 8, most: 4 << 20},
		"with 40,000 values each":      {row: `{"id":%d,"data":{"x":[0` + strings.Repeat(",0", 40_000) + `]}}`, n: 60},
		"with 60,000 values each":      {row: `{"id":%d,"data":{"x":[0` + strings.Repeat(",0", 60_000) + `]}}`, n: 3},
		"of nothing else, very many":   {row: `{"id":%d}`, n: 300_000, less: true},
		"of nothing else, little room": {row: `{"id":%d}`, n: 30_000, most: 64 << 10, less: true},
	} {
		t.Run(name, func(t *testing.T) {
			var answer strings.Builder
			answer.WriteString(`{"deletedEntries":[null`)
			for id := range test.n {
				answer.WriteString(",")
				fmt.Fprintf(&answer, test.row, 1000+id)
			}
			answer.WriteString(`,7,[]],"entries":[{"id":1,"data":{"body":"there"}}]}`)
			client := serve(t, stream(answer.String())).client(t, func(c *datasource.Config) { c.MaxResponseBytes = test.most })
			got, err := client.Select(t.Context(), 9, datasource.Query{Limit: 20, UpdatedAt: M{"$gte": "2026-01-01T00:00:00.000Z"}})
			require.NoError(t, err)
			require.Len(t, got.Entries, 1)
			assert.Equal(t, M{"body": "there"}, got.Entries[0].Data)
			if test.less {
				assert.Greater(t, len(got.Deleted), 500)
				assert.Less(t, len(got.Deleted), test.n)
			} else {
				require.Len(t, got.Deleted, test.n)
			}
			for i, e := range got.Deleted {
				require.Equal(t, int64(1000+i), e.ID)
				require.NoError(t, e.Err)
				if strings.Contains(test.row, "deletedAt") {
					require.NotNil(t, e.DeletedAt)
				}
			}
		})
	}
}
