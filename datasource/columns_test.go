package datasource_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/datasource"
)

// agreeOnColumns reads columns four times in one answer, so that they are expected, with a row of other columns between,
// and compares them with what encoding/json makes of them.
func agreeOnColumns(t *testing.T, columns []byte) {
	t.Helper()
	want, wantErr := reference(columns)
	text := fmt.Appendf(nil, `[{"id":1,"data":%[1]s},{"id":2,"data":{"b":["u-jane","u-jane"],"a":7}},{"id":3,"data":%[1]s},{"id":4,"data":%[1]s},{"id":5,"data":%[1]s}]`, columns)
	entries, _, err := datasource.DecodePage(text)
	if _, refErr := reference(text); refErr != nil {
		// A row that is too deep for this package is one that is not read, whatever encoding/json says.
		require.True(t, err != nil || len(entries) == 5 && entries[0].Err != nil, "%.200q", text)
		return
	}
	require.NoError(t, err, "%.200q", text)
	if wantErr != nil {
		return // it is the end of a value and the beginning of another
	}
	require.Len(t, entries, 5, "%.200q", text)
	require.Equal(t, datasource.M{"a": json.Number("7"), "b": []any{"u-jane", "u-jane"}}, entries[1].Data)
	m, _ := want.(datasource.M)
	for _, e := range []datasource.Entry{entries[0], entries[2], entries[3], entries[4]} {
		if e.Err != nil {
			require.ErrorIs(t, e.Err, datasource.ErrRowLimit)
			require.Nil(t, e.Data)
			continue
		}
		require.Equal(t, m, e.Data, "%.200q", columns)
	}
	if m == nil || entries[0].Err != nil {
		return
	}
	spoil(entries[0].Data)
	spoil(entries[3].Data)
	for _, i := range []int{2, 4} {
		require.Equal(t, m, entries[i].Data, "%.200q: rows share what can be changed", columns)
	}
}

// spoil changes everything in a value that can be changed.
func spoil(v any) any {
	switch v := v.(type) {
	case datasource.M:
		for name, e := range v {
			v[name] = spoil(e)
		}
		v["spoilt"] = true
	case []any:
		for i, e := range v {
			v[i] = spoil(e)
		}
		_ = append(v, "spoilt")
	}
	return "spoilt"
}

// wide is an object with n columns of each kind.
func wide(n int) string {
	var b strings.Builder
	b.WriteString("{")
	for i := range n {
		if i > 0 {
			b.WriteString(",")
		}
		fmt.Fprintf(&b, `"text %d":"%s","number %d":%d.5,"list %d":["u-jane",%d,"%d"],"flag %d":true,"none %d":null,"o %d":{"a":["%d"]},"again %d":"u-jane"`,
			i, strings.Repeat("x", i*3), i, i, i, i%5, i, i, i, i, i, i)
	}
	return b.String() + "}"
}

var columnOddities = []string{
	`{}`, `{"":""}`, `{"a":""}`, `{"a":"","b":"","a":"x"}`, `{"a":"x","a":1,"a":[],"a":{}}`, `{"a":[],"b":[],"c":[[]]}`, `{"a":null}`,
	`{ "a" : "x" , "b" : [ "y" ] }`, `{"a":["x"],"a":["y"]}`, `{"a":["x"],"b":["x"],"c":["x"]}`, `{"a":"1","b":1,"c":"1","d":1.0,"e":"1.0"}`,
	`{"\u0061":1,"a":2}`, `{"a\\":1,"a\\\\":2,"a\"":3}`, `{"é":"é","日":["日"]}`, "{\"\xff\":\"\xff\",\"a\":[\"\xff\"]}", `{"b":[7,7,"7","7",true,null],"a":"u-jane"}`,
	`{"b":1,"a":2}`, `{"a":7,"b":["u-jane","u-jane"]}`, `{"b":["u-jane","u-jane"],"a":7,"c":8}`, `{"b":["u-jane","u-jane"],"a"7}`, `{"b" :["u-jane","u-jane"],"a": 7}`,
	`{"a":[["u-jane"],["u-jane"]],"b":[{"c":["u-jane"]}]}`, `{"a":["x"}`, `{"a":[1,{"b":2]}`, `{"a":"x","b":}`, `{"a":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19]}`,
	`{"a":"` + strings.Repeat("x", 512) + `","b":"` + strings.Repeat("y", 513) + `","c":["` + strings.Repeat("z", 600) + `"]}`,
	`{"a":12345678901234567890123456789012345678901234567890,"b":1e400,"c":-0,"d":-0.0,"e":[12345678901234567890123456789012345678901234567890]}`,
	wide(1), wide(2), wide(3), wide(9), wide(40),
}

func TestColumnsAgreeWithEncodingJSON(t *testing.T) {
	t.Parallel()
	for _, text := range append(oddities, columnOddities...) {
		agreeOnColumns(t, []byte(text))
	}
	r := rand.New(rand.NewPCG(5, 6))
	for range 1000 {
		text, err := json.Marshal(map[string]any{"a": randomValue(r, 2), "b": randomValue(r, 1), "c": randomValue(r, 0), "d": "u-jane"})
		require.NoError(t, err)
		agreeOnColumns(t, text)
		text[r.IntN(len(text))] = byte(r.IntN(256))
		agreeOnColumns(t, text)
	}
}

func FuzzColumnsAgreeWithEncodingJSON(f *testing.F) {
	for _, text := range append(oddities, columnOddities...) {
		if len(text) < 2000 {
			f.Add([]byte(text))
		}
	}
	f.Fuzz(agreeOnColumns)
}

// A count, which no other work of the machine changes.
func TestARowTakesFewAllocations(t *testing.T) {
	const rows = 200
	page := []byte(benchPage(rows))
	per := testing.AllocsPerRun(20, func() {
		if entries, _, err := datasource.DecodePage(page); err != nil || len(entries) != rows {
			panic(err)
		}
	}) / rows
	assert.LessOrEqual(t, per, 4.5, "the texts, their headers, and two for the map")
}

// Not parallel: it looks at the heap.
func TestARowThatIsKeptDoesNotKeepItsPage(t *testing.T) {
	const pages, rows = 100, 200
	page := []byte(benchPage(rows))
	whole := len(page)
	inUse := func() int {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc)
	}
	kept := make([]datasource.M, pages)
	before := inUse()
	for i := range kept {
		entries, _, err := datasource.DecodePage(page)
		require.NoError(t, err)
		kept[i] = entries[i%rows].Data
	}
	each := (inUse() - before) / pages
	assert.Less(t, each, 3000, "of a page of %d bytes, whose rows have about %d in memory", whole, 3*whole)
	runtime.KeepAlive(kept)
}
