package flipletd_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd"
	"github.com/fliplet/fliplet-chat-go/internal/longtest"
)

// Values that the languages compare in ways of their own.
var oddValues = []string{
	`""`, `" "`, `"5"`, `" 5 "`, `"05"`, `"0x5"`, `"5.0"`, `5`, `5.0`, `50e-1`, `0`, `-0`, `1e400`, `9007199254740993`, `"9007199254740993"`,
	`true`, `false`, `"true"`, `"1"`, `1`, `null`, `"null"`, `"[object Object]"`, `"a"`, `"A"`, `"a,b"`, `"Infinity"`, `"NaN"`, `"[]"`, `"{}"`, `"[\"a\"]"`,
	`[]`, `["a"]`, `["a","b"]`, `["b","a","a"]`, `[5,"5"]`, `[null]`, `[true,1]`, `[["a"]]`, `[[]]`, `[{}]`, `{}`, `{"b":"a"}`, `{"0":"a"}`,
}

// Values on which comparisons fail.
var refusedValues = []string{`{"toString":1}`, `[{"toString":1}]`, `1e200000`}

var oddColumns = []string{"a", "b", "c", "constructor", "length", "0", "x.y"}

// clauses makes queries.
type clauses struct{ *rand.Rand }

func (r clauses) of(list []string) string { return list[r.IntN(len(list))] }
func (r clauses) value() string {
	if r.IntN(200) == 0 {
		return r.of(refusedValues)
	}
	return r.of(oddValues)
}
func (r clauses) column() string { return r.of(oddColumns[:1+r.IntN(len(oddColumns))]) }
func (r clauses) list() string {
	n := r.IntN(4)
	values := make([]string, n)
	for i := range values {
		values[i] = r.value()
	}
	return "[" + strings.Join(values, ",") + "]"
}

func (r clauses) sift(depth int) string {
	switch n := r.IntN(16); {
	case n < 5:
		return fmt.Sprintf(`{%q:%s}`, r.column(), r.value())
	case n < 8:
		return fmt.Sprintf(`{%q:{%q:%s}}`, r.column(), r.of([]string{"$eq", "$ne", "$like", "$iLike", "$gt", "$size", "$exists"}), r.value())
	case n < 10:
		return fmt.Sprintf(`{%q:{%q:%s}}`, r.column(), r.of([]string{"$in", "$nin"}), r.list())
	case n == 10:
		return fmt.Sprintf(`{%q:{"$ne":%s,"$eq":%s}}`, r.column(), r.value(), r.value())
	case depth == 0:
		return `{}`
	case n == 11:
		return `{"$not":` + r.sift(depth-1) + `}`
	default:
		list := "[" + r.sift(depth-1) + "," + r.sift(depth-1) + "]"
		if n == 12 {
			one, other := r.sift(0), r.sift(0)
			return one[:len(one)-1] + "," + other[1:]
		}
		return fmt.Sprintf(`{%q:%s}`, r.of([]string{"$and", "$and", "$or", "$nor"}), list)
	}
}

func (r clauses) across(depth int) string {
	column := r.column()
	contained := fmt.Sprintf(`{%q:%s}`, column, r.value())
	if r.IntN(3) == 0 {
		contained = fmt.Sprintf(`{%q:%s,%q:%s}`, column, r.value(), r.column(), r.list())
	}
	switch n := r.IntN(14); {
	case n < 4:
		return `{"data":{"$contains":` + contained + `}}`
	case n < 6:
		return `{"$not":{"data":{"$contains":` + contained + `}}}`
	case n == 6:
		return fmt.Sprintf(`{"data":{%q:%s}}`, column, r.value())
	case n == 7:
		return fmt.Sprintf(`{"data.%s":%s}`, column, r.value())
	case n == 8:
		return fmt.Sprintf(`{"data":{%q:{%q:%s}}}`, column, r.of([]string{"$eq", "$ne", "$iLike", "$not"}), r.value())
	case n == 9:
		return fmt.Sprintf(`{"data":{%q:{"$in":%s}}}`, column, r.list())
	case n == 10:
		return fmt.Sprintf(`{%q:{"$gte":"%s"}}`, r.of([]string{"createdAt", "updatedAt"}), moment.Add(time.Duration(r.IntN(400))*time.Millisecond).Format("2006-01-02T15:04:05.000Z"))
	case depth == 0:
		return `{}`
	case n == 11:
		return `{"$not":` + r.across(depth-1) + `}`
	default:
		return fmt.Sprintf(`{%q:[%s,%s]}`, r.of([]string{"$and", "$and", "$or"}), r.across(depth-1), r.across(depth-1))
	}
}

// request is a query with a page, and whether every row is looked at for it.
func (r clauses) request() (path, body string, whole bool) {
	page := ""
	if whole = r.IntN(2) == 0; !whole {
		page = fmt.Sprintf(`,"limit":%d,"offset":%d`, 1+r.IntN(20), r.IntN(3))
	}
	if r.IntN(2) == 0 {
		page += `,"order":` + r.of(sequences())
	}
	if r.IntN(2) == 0 {
		if whole {
			page += `,"limit":0`
		}
		return "/v1/data-sources/data", fmt.Sprintf(`{"flUserToken":"ta","where":%s,"count":%t,"includeDeleted":%t%s}`,
			r.across(2), r.IntN(3) == 0, r.IntN(8) == 0, page), whole
	}
	path = fmt.Sprintf("/v1/data-sources/%d/data/query", 102+r.IntN(3))
	switch r.IntN(6) {
	case 0:
		return path, fmt.Sprintf(`{"limit":1,"join":{"j":{"dataSourceId":104,"where":%s}}}`, r.sift(2)), true
	case 1:
		page += `,"updatedAt":{"$gt":"` + moment.Add(time.Duration(r.IntN(400))*time.Millisecond).Format("2006-01-02T15:04:05.000Z") + `"}`
	}
	return path, fmt.Sprintf(`{"where":%s,"includePagination":%t%s}`, r.sift(2), r.IntN(2) == 0, page), whole
}

// row is random columns.
func (r clauses) row() m {
	row := m{}
	for _, column := range oddColumns {
		if r.IntN(3) == 0 {
			continue
		}
		dec := json.NewDecoder(strings.NewReader(r.value()))
		dec.UseNumber()
		var v any
		_ = dec.Decode(&v) // they are all JSON
		row[column] = v
	}
	return row
}

// Readers build indexes beside each other, and writers come in between.
func TestManyReadersBuildIndexesAtOnce(t *testing.T) {
	t.Parallel()
	k := talk(t)
	row := func(i int) m {
		row := m{}
		for c := range 12 {
			row[fmt.Sprint("c", c)] = fmt.Sprint(i)
		}
		return row
	}
	for i := range 200 {
		k.put(102, row(i))
		k.put(103, row(i))
	}
	var wg sync.WaitGroup
	for reader := range 6 {
		wg.Go(func() {
			for i := range 150 {
				column, value := fmt.Sprint("c", (i/5+reader)%12), fmt.Sprint(i)
				assert.Equal(t, 200, k.do("POST", "/v1/data-sources/102/data/query", fmt.Sprintf(`{"where":{%q:%q}}`, column, value)).status)
				a := k.across(fmt.Sprintf(`{"flUserToken":"ta","count":true,"where":{"data":{"$contains":{%q:%q}}}}`, column, value))
				assert.Equal(t, `{"entries":2,"count":2}`, a.body)
			}
		})
	}
	wg.Go(func() {
		for i := range 100 {
			k.put(102, row(1000+i))
			assert.Equal(t, 200, k.do("DELETE", fmt.Sprint("/v1/data-sources/103/data/", k.put(103, row(i+1000))[0]), "").status)
		}
	})
	wg.Wait()
	require.NoError(t, k.Check())
	assert.NotEmpty(t, k.Columns(102))
}

// An index gives the answer that looking at every row gives, whatever the rows, the
// writes in between, and the query.
func TestIndexesOfColumnsChangeNoAnswer(t *testing.T) {
	t.Parallel()
	for seed := range uint64(longtest.Size(2, 40)) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			j := &journal{records: map[string]flipletd.Record{}}
			s, err := flipletd.New(flipletd.Config{Token: token, Journal: j})
			require.NoError(t, err)
			k := (&kit{Server: s, t: t, token: token}).studio()
			k.Freeze(moment)
			k.source(m{"name": "Contacts", "entries": []any{m{"flUserId": "a", "flUserToken": "ta"}}})
			for _, kind := range []string{"conversation", "conversation", ""} {
				k.source(m{"name": "Talk", "type": kind, "definition": m{"participants": []any{"a"}}})
			}
			r := clauses{rand.New(rand.NewPCG(seed, 3))}
			answers, refused, looked, looking := 0, 0, int64(0), int64(0)
			for range longtest.Size(250, 1000) {
				writeSomething(k, r, j)
				for range 4 {
					path, body, whole := r.request()
					before := k.Looked()
					got := k.do("POST", path, body)
					between := k.Looked()
					k.Plain(true)
					want := k.do("POST", path, body)
					k.Plain(false)
					looked, looking = looked+between-before, looking+k.Looked()-between
					answers++
					if want.status == 400 {
						refused++
						// A page may be full before the row that cannot be compared.
						if whole {
							require.Equal(t, 400, got.status, "%s %s\n%s", path, body, got.body)
						}
						continue
					}
					wanted, wantedDead, _ := strings.Cut(want.body, `,"deletedEntries":`)
					rows, dead, _ := strings.Cut(got.body, `,"deletedEntries":`)
					require.True(t, wanted == rows, "%s %s\n%s\n%s", path, body, wanted, rows)
					require.Len(t, dead, len(wantedDead), "they are in no order")
				}
				require.NoError(t, k.Check())
			}
			again, err := flipletd.New(flipletd.Config{Token: token, Journal: j})
			require.NoError(t, err)
			require.NoError(t, again.Check(), "after a restart")
			for source := int64(102); source < 105; source++ {
				require.Len(t, again.Rows(source), len(k.Rows(source)))
			}
			assert.Less(t, refused, answers/2)
			assert.Less(t, looked, looking*3/4, "the indexes were used")
			t.Logf("%d answers, %d refused; %d rows looked at, %d without an index", answers, refused, looked, looking)
		})
	}
}

func equality(k *kit, source int64, column, value string) []int64 {
	return k.do("POST", fmt.Sprintf("/v1/data-sources/%d/data/query", source), fmt.Sprintf(`{"where":{%q:%q}}`, column, value)).ids()
}

func TestAQueryThatRepeatsLooksAtItsOwnRowsOnly(t *testing.T) {
	t.Parallel()
	k := talk(t)
	const n = 1000
	for i := range n {
		readBy := []any{"b"}
		if i%10 != 0 {
			readBy = append(readBy, "a")
		}
		k.put(102, m{"guid": fmt.Sprint("g", i), "readBy": readBy})
	}
	looked := func(query func()) int64 {
		before := k.Looked()
		query()
		return k.Looked() - before
	}
	lookUp := func() { assert.Equal(t, []int64{5005 + 700}, equality(k, 102, "guid", "g700")) }
	assert.EqualValues(t, n, looked(lookUp), "it is the first")
	assert.EqualValues(t, 1, looked(lookUp))
	byText := func() {
		ids := k.across(`{"flUserToken":"ta","where":{"data":{"guid":{"$in":["g5","g700","none"]}}}}`).ids()
		assert.Equal(t, []int64{5005 + 700, 5005 + 5}, ids)
	}
	assert.EqualValues(t, 2, looked(byText), "the same index serves both languages")

	unread := func(want int) func() {
		return func() {
			a := k.across(`{"flUserToken":"ta","count":true,"where":{"$not":{"data":{"$contains":{"readBy":["a"]}}}}}`)
			assert.EqualValues(t, want, a.ok(200)["count"])
		}
	}
	inSift := func(want int) func() {
		return func() {
			a := k.do("POST", "/v1/data-sources/102/data/query", `{"where":{"readBy":{"$ne":"a"}},"limit":1,"includePagination":true}`)
			assert.EqualValues(t, want, a.ok(200)["pagination"].(m)["total"])
		}
	}
	assert.EqualValues(t, n, looked(unread(n/10)))
	assert.EqualValues(t, 0, looked(unread(n/10)))
	assert.LessOrEqual(t, looked(inSift(n/10)), int64(100))
	k.do("PUT", "/v1/data-sources/102/data/5005", `{"readBy":["b","a"]}`).ok(200)
	k.do("DELETE", "/v1/data-sources/102/data/5015", "").ok(200)
	assert.EqualValues(t, 0, looked(unread(n/10-2)))
	assert.LessOrEqual(t, looked(inSift(n/10-2)), int64(100))
	newest := func() {
		ids := k.across(`{"flUserToken":"ta","limit":3,"where":{"$not":{"data":{"$contains":{"readBy":["a"]}}}}}`).ids()
		assert.Equal(t, []int64{5995, 5985, 5975}, ids)
	}
	assert.LessOrEqual(t, looked(newest), int64(100))
	assert.Equal(t, []string{"guid", "readBy"}, k.Columns(102))
	require.NoError(t, k.Check())
}

// What an index cannot answer is not asked of it.
func TestOtherConditionsThanEqualityHaveNoIndex(t *testing.T) {
	t.Parallel()
	k := talk(t)
	for i := range 50 {
		k.put(102, m{"a": fmt.Sprint(i), "x": m{"y": i}})
	}
	for _, where := range []string{
		`{"a":{"$iLike":"7"}}`, `{"a":{"$like":"7"}}`, `{"x.y":7}`, `{"a":{"$gt":7}}`, `{"$or":[{"a":"7"},{"a":"8"}]}`, `{"a":{"$regex":"7"}}`,
		`{"$filters":[{"column":"a","condition":"==","value":"7"}]}`, `{"a":{"$not":{"$gt":7}}}`, `{"a":{"$exists":true}}`, `{"constructor":null}`, `{"a":[]}`,
	} {
		for range 3 {
			assert.NotEmpty(t, k.do("POST", "/v1/data-sources/102/data/query", `{"where":`+where+`}`).ok(200), where)
		}
		assert.Empty(t, k.Columns(102), where)
	}
	for _, where := range []string{
		`{"data":{"a":{"$iLike":"7"}}}`, `{"data":{"x":{"y":"7"}}}`, `{"data":{"a":{"$ne":"7"}}}`, `{"$or":[{"data":{"a":"7"}},{"id":1}]}`,
		`{"data":{"$contains":{"x":{"y":7}}}}`, `{"$not":{"data":{"$contains":{"a":"7","b":"8"}}}}`, `{"$not":{"data":{"$contains":{"a":7}}}}`, `{"data":{"$contains":{"a":[]}}}`,
	} {
		for range 3 {
			k.across(`{"flUserToken":"ta","where":` + where + `}`).ok(200)
		}
		assert.Empty(t, k.Columns(102), where)
	}
}

// A row on which a comparison fails makes the query fail, also when a later condition
// would have left it out.
func TestAnIndexDoesNotHideARowThatCannotBeCompared(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.source(m{})
	for i := range 50 {
		k.put(101, m{"a": "x", "b": fmt.Sprint(i)})
	}
	k.put(101, m{"a": m{"toString": 1}, "b": "none"})
	for range 3 {
		assert.Len(t, equality(k, 101, "b", "7"), 1)
	}
	assert.Equal(t, []string{"b"}, k.Columns(101))
	for range 3 { // without an index of a, and with one
		k.do("POST", "/v1/data-sources/101/data/query", `{"where":{"a":"x","b":"7"}}`).refused(400)
		k.do("POST", "/v1/data-sources/101/data/query", `{"where":{"b":"7","a":"x"}}`).ok(200)
	}
	assert.Equal(t, []string{"a", "b"}, k.Columns(101))
}

func TestIndexesOfColumnsGoWhenNobodyUsesThemOrThereAreTooMany(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.source(m{})
	row := m{}
	for i := range 12 {
		row[fmt.Sprint("c", i)] = "x"
	}
	for range 100 {
		k.put(101, row)
	}
	twice := func(column string) {
		for range 2 {
			assert.Len(t, equality(k, 101, column, "x"), len(k.live(101)))
		}
		require.NoError(t, k.Check())
	}
	for i := range 12 {
		twice(fmt.Sprint("c", i))
	}
	assert.Equal(t, []string{"c10", "c11", "c4", "c5", "c6", "c7", "c8", "c9"}, k.Columns(101), "those that were used last")

	for i := range 600 {
		k.put(101, row)
		if i%100 == 0 {
			twice("c5")
		}
	}
	assert.Equal(t, []string{"c5"}, k.Columns(101), "the others were kept up for nothing")

	k.SetIndexBytes(2*k.IndexBytes() + 1000)
	twice("c1")
	assert.Len(t, k.Columns(101), 2)
	twice("c2")
	assert.Equal(t, []string{"c1", "c2"}, k.Columns(101), "there is no room for three")
	k.SetIndexBytes(100)
	twice("c3")
	assert.Empty(t, k.Columns(101), "nor for one")
	assert.Zero(t, k.IndexBytes())
	for i := range 1000 { // a column that nobody has
		assert.Empty(t, equality(k, 101, fmt.Sprint("d", i), "x"))
	}
	assert.Zero(t, k.IndexBytes())
}

func TestIndexesOfColumnsGoWithTheirSource(t *testing.T) {
	t.Parallel()
	k := start(t).studio()
	k.source(m{})
	for i := range 50 {
		k.put(101, m{"a": fmt.Sprint(i)})
	}
	assert.Len(t, equality(k, 101, "a", "7"), 1)
	assert.Len(t, equality(k, 101, "a", "7"), 1)
	assert.NotZero(t, k.IndexBytes())
	k.do("DELETE", "/v1/data-sources/101", "").ok(200)
	k.do("DELETE", "/v1/data-sources/deleted/101", "").ok(200)
	assert.Zero(t, k.IndexBytes())
	require.NoError(t, k.Check())
}

// Every value is looked for in every way among rows with every value.
func TestEachValueIsFoundThroughAnIndexAsWithoutIt(t *testing.T) {
	t.Parallel()
	k := talk(t)
	k.put(102, m{"other": "column"})
	for range 100 { // so that what does not match is few
		k.put(102, m{"a": []any{true, "a"}})
	}
	for _, value := range oddValues {
		require.Equal(t, 200, k.do("PUT", "/v1/data-sources/102/data", `{"a":`+value+`}`).status)
	}
	const sift, across = "/v1/data-sources/102/data/query", "/v1/data-sources/data"
	compare := func(path, body string) {
		got := k.do("POST", path, body)
		k.Plain(true)
		want := k.do("POST", path, body)
		k.Plain(false)
		require.Equal(t, want.status, got.status, "%s %s", path, body)
		require.True(t, want.status == 400 || want.body == got.body, "%s %s\n%s\n%s", path, body, want.body, got.body)
	}
	equality(k, 102, "a", "x")
	equality(k, 102, "a", "x")
	require.Equal(t, []string{"a"}, k.Columns(102))
	for _, value := range oddValues {
		for _, clause := range []string{
			`{"a":%s}`, `{"a":{"$eq":%s}}`, `{"a":{"$ne":%s}}`, `{"$not":{"a":%s}}`, `{"$not":{"a":{"$ne":%s}}}`, `{"a":{"$in":[%s]}}`, `{"a":{"$in":["a",%s]}}`,
			`{"a":{"$nin":[%s]}}`, `{"$not":{"a":{"$in":[%s]}}}`, `{"$and":[{"a":%s},{"a":{"$ne":"b"}}]}`,
		} {
			compare(sift, `{"includePagination":true,"where":`+fmt.Sprintf(clause, value)+`}`)
		}
		for _, clause := range []string{
			`{"data":{"$contains":{"a":%s}}}`, `{"data":{"$contains":{"a":[%s]}}}`, `{"data":{"$contains":{"a":[%s,"a"]}}}`, `{"$not":{"data":{"$contains":{"a":%s}}}}`,
			`{"$not":{"data":{"$contains":{"a":[%s]}}}}`, `{"data":{"a":%s}}`, `{"data.a":{"$eq":%s}}`, `{"data":{"a":{"$in":[%s,"a"]}}}`, `{"data":{"a":{"$in":["a",%s]}}}`,
		} {
			compare(across, `{"flUserToken":"ta","limit":0,"where":`+fmt.Sprintf(clause, value)+`}`)
			compare(across, `{"flUserToken":"ta","count":true,"where":`+fmt.Sprintf(clause, value)+`}`)
		}
	}
}

// writeSomething changes one source, or fails to.
func writeSomething(k *kit, r clauses, j *journal) {
	k.Shift(time.Duration(r.IntN(3)) * time.Millisecond)
	source := int64(102 + r.IntN(3))
	rows := k.Rows(source)
	if len(rows) < 100 {
		_, err := k.Insert(source, r.row(), r.row(), r.row(), r.row())
		require.NoError(k.t, err)
		return
	}
	if r.IntN(5) == 0 {
		j.fail = errors.New("the disk is full")
		defer func() { j.fail = nil }()
	}
	id := rows[r.IntN(len(rows))].ID
	row, _ := json.Marshal(r.row())
	at := fmt.Sprintf("/v1/data-sources/%d", source)
	switch r.IntN(8) {
	case 0, 1:
		k.do("PUT", fmt.Sprintf("%s/data/%d", at, id), string(row))
	case 2:
		k.do("DELETE", fmt.Sprintf("%s/data/%d", at, id), "")
	case 3:
		k.do("PUT", at+"/data", string(row))
	case 4:
		k.do("POST", at+"/commit", fmt.Sprintf(`{"append":true,"extend":%t,"returnEntries":false,"entries":[{"id":%d,"data":%s},{"data":%[3]s}],"delete":[%d]}`,
			r.IntN(2) == 0, id, row, rows[r.IntN(len(rows))].ID))
	case 5:
		k.do("POST", at+"/data/query", fmt.Sprintf(`{"type":%q,"where":{"a":%s},"limit":3,"data":{"b":%s}}`, r.of([]string{"update", "delete"}), r.value(), r.value()))
	case 6:
		if source == 104 {
			if all := k.do("GET", at+"/versions", "").ok(200)["versions"].([]any); len(all) > 0 && r.IntN(3) == 0 {
				k.do("POST", fmt.Sprintf("%s/versions/%.0f/restore", at, all[0].(m)["id"]), "")
			}
		}
	case 7:
		k.do("DELETE", at, "")
		k.do("POST", at+"/restore", "")
	}
}

// A query that is full before the row that it would fail on is answered, with an index of
// its column as without.
func TestAnIndexMakesNoQueryFailOnARowBehindItsPage(t *testing.T) {
	t.Parallel()
	for _, order := range []string{`[["createdAt","ASC"]]`, `[["id","ASC"]]`} {
		k := start(t)
		k.source(m{})
		for i := range 200 {
			row := m{"c": "a", "d": m{"e": 1}}
			switch {
			case i == 195:
				row = m{"c": "b"}
			case i%20 == 7:
				row["c"] = "b"
			}
			k.put(101, row)
		}
		for range 4 {
			assert.Len(t, k.do("POST", "/v1/data-sources/101/data/query", `{"where":{"c":"b","d":{"e":{"$exists":true}}},"limit":1,"order":`+order+`}`).ok(200)["entries"], 1)
			k.do("POST", "/v1/data-sources/101/data/query", `{"where":{"c":"b","d":{"e":{"$exists":true}}},"limit":11,"order":`+order+`}`).refused(400)
		}
		assert.Equal(t, []string{"c"}, k.Columns(101))
	}
}
