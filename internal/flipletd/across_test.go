package flipletd_test

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd"
)

// talk is contacts a, b, c and two conversations: a with b, and all three.
func talk(t testing.TB) *kit {
	k := start(t)
	k.Freeze(moment)
	k.source(m{"name": "Contacts", "entries": []any{
		m{"flUserId": "a", "flUserToken": "ta"}, m{"flUserId": "b", "flUserToken": "tb"}, m{"flUserId": "c", "flUserToken": "tc"}, m{"flUserToken": "nobody"},
	}})
	k.source(m{"name": "Two", "type": "conversation", "definition": m{"participants": []any{"a", "b"}}})
	k.source(m{"name": "Three", "type": "conversation", "definition": m{"participants": []any{"a", "b", "c"}}})
	return k
}

func (k *kit) across(body string) answer {
	k.t.Helper()
	return k.do("POST", "/v1/data-sources/data", body)
}

func (k *kit) put(source int64, rows ...map[string]any) []int64 {
	k.t.Helper()
	ids, err := k.Insert(source, rows...)
	require.NoError(k.t, err)
	return ids
}

func TestOnlyParticipantsSeeMessages(t *testing.T) {
	t.Parallel()
	k := talk(t)
	k.put(102, m{"n": 1})
	k.put(103, m{"n": 2})
	k.source(m{"name": "Notes", "definition": m{"participants": []any{"a"}}, "entries": []any{m{"n": 3}}})
	assert.Equal(t, []int64{5006, 5005}, k.across(`{"flUserToken":"ta"}`).ids())
	assert.Equal(t, []int64{5006}, k.across(`{"flUserToken":"tc"}`).ids(), "an outsider sees nothing")
	assert.Equal(t, []int64{}, k.across(`{"flUserToken":"nobody"}`).ids(), "a contact without an identity is in no conversation")
	assert.Equal(t, []int64{}, k.across(`{"flUserToken":"tc","dataSourceIds":[102]}`).ids(), "naming a conversation opens nothing")
	assert.Equal(t, []int64{}, k.across(`{"flUserToken":"tc","where":{"dataSourceId":{"$in":[102,101,104]}}}`).ids())
	k.do("PUT", "/v1/data-sources/103", `{"definition":{"participants":["a"],"removedParticipants":["c"]}}`).ok(200)
	assert.Equal(t, []int64{}, k.across(`{"flUserToken":"tc"}`).ids(), "people who were removed see nothing")
	k.do("PUT", "/v1/data-sources/102", `{"definition":{"participants":["a","b","c"]}}`).ok(200)
	assert.Equal(t, []int64{5005}, k.across(`{"flUserToken":"tc"}`).ids(), "people who were added see everything")
	k.studio().do("DELETE", "/v1/data-sources/102", "").ok(200)
	assert.Equal(t, []int64{}, k.across(`{"flUserToken":"tc"}`).ids(), "a trashed conversation is gone")
}

func TestChatTokensLiveAndDie(t *testing.T) {
	t.Parallel()
	k := talk(t)
	k.across(`{"flUserToken":"TA"}`).refused(403)
	k.across(`{"flUserToken":7}`).refused(403)
	k.across(`{"flUserToken":null}`).refused(403)
	k.across(`{}`).refused(400)
	k.do("PUT", "/v1/data-sources/101/data/5001", `{"flUserToken":"new"}`).ok(200)
	k.across(`{"flUserToken":"ta"}`).refused(403)
	k.across(`{"flUserToken":"new"}`).ok(200)
	k.do("PUT", "/v1/data-sources/101/data/5001", `{"flUserToken":""}`).ok(200)
	k.across(`{"flUserToken":"new"}`).refused(403)
	k.do("DELETE", "/v1/data-sources/101/data/5002", "").ok(200)
	k.across(`{"flUserToken":"tb"}`).refused(403)
	k.put(102, m{"flUserToken": "message"})
	k.across(`{"flUserToken":"message"}`).refused(403)
	k.studio().do("DELETE", "/v1/data-sources/101", "").ok(200)
	k.across(`{"flUserToken":"tc"}`).refused(403)
	k.studio().do("POST", "/v1/data-sources/101/restore", "").ok(200)
	k.across(`{"flUserToken":"tc"}`).ok(200)
}

func TestChatTokenIsNeverStoredInAMessage(t *testing.T) {
	t.Parallel()
	k := talk(t)
	k.do("PUT", "/v1/data-sources/102/data", `{"flUserToken":"ta","body":"x"}`).ok(200)
	k.do("PUT", "/v1/data-sources/102/data/5005?flUserToken=ta", `{"body":"y"}`).ok(200)
	assert.Equal(t, m{"body": "y"}, k.Rows(102)[0].Data)
	k.do("PUT", "/v1/data-sources/102/data", `{"flUserToken":"dead","body":"x"}`).refused(403)
	k.do("PUT", "/v1/data-sources/102/data/5005", `{"flUserToken":null,"body":"x"}`).refused(403)
	assert.Len(t, k.Rows(102), 1)
	for _, r := range k.Requests() {
		assert.NotContains(t, r.Query, "ta")
	}
}

func TestTheLogOfRequestsShowsOnlyHarmlessFilters(t *testing.T) {
	t.Parallel()
	k := talk(t)
	for filter, shown := range map[string]bool{`{"participants":"a"}`: true, `{"group":{"public":true},"participants":"a"}`: true, `{"key":"a"}`: false, `{"participants":"a","invite":"b"}`: false, `{`: false} {
		k.do("GET", "/v1/data-sources?definition="+url.QueryEscape(filter), "")
		list := k.Requests()
		assert.Equal(t, shown, strings.Contains(list[len(list)-1].Query, url.QueryEscape(filter)), filter)
	}
}

func TestCrossSourceParameters(t *testing.T) {
	t.Parallel()
	k := talk(t)
	for i := range 5 {
		k.put(102+int64(i%2), m{"n": i, "readBy": []any{"a"}})
		k.Shift(time.Second)
	}
	k.do("DELETE", "/v1/data-sources/102/data/5005", "").ok(200)
	for name, test := range map[string]struct {
		more string
		want []int64
	}{
		"the newest first":        {``, []int64{5009, 5008, 5007, 5006}},
		"deleted ones if asked":   {`,"includeDeleted":true`, []int64{5009, 5008, 5007, 5006, 5005}},
		"limit and offset":        {`,"limit":2,"offset":1`, []int64{5008, 5007}},
		"by update":               {`,"includeDeleted":true,"order":[["updatedAt","ASC"],["id","ASC"]]`, []int64{5006, 5007, 5008, 5009, 5005}},
		"by a column":             {`,"order":[["data.n","ASC"]]`, []int64{5006, 5007, 5008, 5009}},
		"by source":               {`,"order":[["dataSourceId","DESC"],["id","DESC"]]`, []int64{5008, 5006, 5009, 5007}},
		"one conversation":        {`,"where":{"dataSourceId":{"$in":[103]}}`, []int64{5008, 5006}},
		"one conversation, again": {`,"dataSourceIds":[103]`, []int64{5008, 5006}},
		"and once more":           {`,"dataSources":["103"]`, []int64{5008, 5006}},
		"containment is strict":   {`,"where":{"data":{"$contains":{"n":2}}}`, []int64{5007}},
		"nothing is loose":        {`,"where":{"data":{"$contains":{"n":"2"}}}`, []int64{}},
		"ids":                     {`,"where":{"id":{"$in":[5007,5005]}}`, []int64{5007}},
		"ids and deleted":         {`,"includeDeleted":true,"where":{"id":[5007,5005]}`, []int64{5007, 5005}},
		"older":                   {`,"where":{"createdAt":{"$lt":"2026-02-01T08:00:02.123Z"}}`, []int64{5006}},
		"null is not given":       {`,"where":null,"order":null,"limit":null,"offset":null`, []int64{5009, 5008, 5007, 5006}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, test.want, k.across(`{"flUserToken":"ta"`+test.more+`}`).ids())
		})
	}
	for _, more := range []string{
		`"where":[]`, `"where":"x"`, `"where":{"body":1}`, `"where":{"id":{"$foo":1}}`, `"limit":-1`, `"offset":"x"`, `"order":"id"`,
		`"order":[["body","ASC"]]`, `"dataSourceIds":7`, `"dataSourceIds":["x"]`, `"where":{"$where":"1"}`,
	} {
		k.across(`{"flUserToken":"ta",` + more + `}`).refused(400)
	}
	assert.JSONEq(t, `{"entries":4,"count":4}`, k.across(`{"flUserToken":"ta","count":true,"limit":1,"where":{"$not":{"data":{"$contains":{"readBy":["b"]}}}}}`).body)
	assert.JSONEq(t, `{"entries":0,"count":0}`, k.across(`{"flUserToken":"ta","count":true,"where":{"$not":{"data":{"$contains":{"readBy":["a"]}}}}}`).body)
}

func TestPageDefaultsToTwoHundred(t *testing.T) {
	t.Parallel()
	k := talk(t)
	rows := make([]map[string]any, 250)
	for i := range rows {
		rows[i] = m{"n": i}
	}
	k.put(102, rows...)
	assert.Len(t, k.across(`{"flUserToken":"ta"}`).ids(), 200)
	assert.Len(t, k.across(`{"flUserToken":"ta","limit":0}`).ids(), 250)
}

// page asks for the rows after a cursor, in the words of a polling client.
func page(token string, t time.Time, id int64, limit int) string {
	at := t.Format("2006-01-02T15:04:05.000Z")
	return fmt.Sprintf(`{"flUserToken":%q,"includeDeleted":true,"limit":%d,"order":[["updatedAt","ASC"],["id","ASC"]],`+
		`"where":{"$or":[{"updatedAt":{"$gt":%q}},{"updatedAt":%q,"id":{"$gt":%d}}]}}`, token, limit, at, at, id)
}

// TestKeysetPagesAreComplete pages through random writes with many ties and
// compares with a plain sort of all rows.
func TestKeysetPagesAreComplete(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(seed, 1))
			k := talk(t)
			var ids []int64
			for range 60 {
				if r.IntN(4) == 0 {
					k.Shift(time.Duration(r.IntN(2)) * time.Millisecond)
				}
				source := 102 + int64(r.IntN(2))
				switch r.IntN(6) {
				case 0, 1:
					ids = append(ids, k.put(source, m{"n": 1}, m{"n": 2})...)
				case 2, 3:
					ids = append(ids, k.put(source, m{"n": 1})...)
				default:
					if len(ids) > 0 {
						method := []string{"PUT", "DELETE"}[r.IntN(2)]
						_ = k.do(method, fmt.Sprintf("/v1/data-sources/%d/data/%d", source, ids[r.IntN(len(ids))]), `{"x":1}`)
					}
				}
			}
			all := append(k.Rows(102), k.Rows(103)...)
			slices.SortFunc(all, func(a, b flipletd.Row) int {
				if c := a.UpdatedAt.Compare(b.UpdatedAt); c != 0 {
					return c
				}
				return int(a.ID - b.ID)
			})
			byID := map[int64]time.Time{}
			var want []int64
			for _, row := range all {
				want = append(want, row.ID)
				byID[row.ID] = row.UpdatedAt
			}
			require.NoError(t, k.Check())
			limit := 1 + r.IntN(7)
			got := []int64{}
			cursor, last := moment.Add(-time.Hour), int64(0)
			for {
				next := k.across(page("ta", cursor, last, limit)).ids()
				if len(next) == 0 {
					break
				}
				got = append(got, next...)
				last = next[len(next)-1]
				cursor = byID[last]
			}
			assert.Equal(t, want, got)

			// Every other way to ask must agree with the index walk.
			backwards := slices.Clone(want)
			slices.Reverse(backwards)
			assert.Equal(t, backwards, k.across(`{"flUserToken":"ta","includeDeleted":true,"limit":0,"order":[["updatedAt","DESC"],["id","DESC"]]}`).ids())
			assert.Equal(t, want, k.across(`{"flUserToken":"ta","includeDeleted":true,"limit":0,"order":[["updatedAt","ASC"],["id","ASC"],["order","ASC"]]}`).ids())
			assert.Equal(t, want, k.across(`{"flUserToken":"ta","includeDeleted":true,"limit":0,"order":[["updatedAt","ASC"]]}`).ids())
		})
	}
}

// sequences are the orders for which there are indexes.
func sequences() (orders []string) {
	for _, first := range []string{"ASC", "DESC"} {
		orders = append(orders, `[["id","`+first+`"]]`)
		for _, column := range []string{"updatedAt", "createdAt"} {
			orders = append(orders, `[["`+column+`","`+first+`"]]`)
			for _, second := range []string{"ASC", "DESC"} {
				orders = append(orders, `[["`+column+`","`+first+`"],["id","`+second+`"],["order","ASC"]]`)
			}
		}
	}
	return orders
}

func TestIndexedAndPlainQueriesAgree(t *testing.T) {
	t.Parallel()
	k := talk(t)
	r := rand.New(rand.NewPCG(7, 7))
	var ids []int64
	for range 300 {
		k.Shift(time.Duration(r.IntN(3)) * time.Millisecond)
		if len(ids) == 0 || r.IntN(3) == 0 {
			ids = append(ids, k.put(102, m{"n": r.IntN(5)})...)
			continue
		}
		k.do("PUT", fmt.Sprintf("/v1/data-sources/102/data/%d", ids[r.IntN(len(ids))]), fmt.Sprintf(`{"n":%d}`, r.IntN(5))).ok(200)
	}
	since := k.Now().Add(-50 * time.Millisecond).Format("2006-01-02T15:04:05.000Z")
	until := k.Now().Add(-10 * time.Millisecond).Format("2006-01-02T15:04:05.000Z")
	for _, where := range []string{
		`{}`, `{"updatedAt":{"$gte":"` + since + `"}}`, `{"updatedAt":{"$gt":"` + since + `","$lte":"` + until + `"}}`,
		`{"createdAt":{"$lt":"` + until + `"}}`, `{"data":{"$contains":{"n":3}},"createdAt":{"$gte":"` + since + `"}}`,
	} {
		for _, order := range sequences() {
			for _, page := range []string{`"limit":0`, `"limit":7`, `"limit":50,"offset":20`} {
				query := `{"flUserToken":"ta",` + page + `,"where":` + where + `,"order":` + order + `}`
				indexed := k.across(query).ids()
				k.Plain(true)
				assert.Equal(t, k.across(query).ids(), indexed, query)
				k.Plain(false)
				if strings.Contains(query, `"limit":0,"where":{}`) {
					assert.Len(t, indexed, len(ids))
				}
			}
		}
	}
}
