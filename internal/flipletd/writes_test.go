package flipletd_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd"
)

// live returns the ids of a source's live rows.
func (k *kit) live(source int64) []int64 {
	var ids []int64
	for _, r := range k.Rows(source) {
		if r.DeletedAt == nil {
			ids = append(ids, r.ID)
		}
	}
	return ids
}

func TestCommitDefaultsDestroy(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		body string
		want []int64
		lost int64
	}{
		"without append every unlisted row goes":      {`{"entries":[{"id":5002,"data":{"a":1}}]}`, []int64{5002}, 2},
		"an empty commit clears the source":           {`{"entries":[]}`, nil, 3},
		"append keeps the others":                     {`{"entries":[{"id":5002,"data":{"a":1}}],"append":true}`, []int64{5001, 5002, 5003}, 0},
		"a delete list deletes that and nothing else": {`{"entries":[],"delete":[5001]}`, []int64{5002, 5003}, 0},
		"an empty delete list deletes nothing":        {`{"entries":[{"id":5002,"data":{"a":1}}],"delete":[]}`, []int64{5001, 5002, 5003}, 0},
		"append does not save what delete lists":      {`{"append":true,"delete":[5003,"5001",99]}`, []int64{5002}, 0},
		"an unknown id is passed over":                {`{"append":true,"entries":[{"id":77,"data":{"a":1}}]}`, []int64{5001, 5002, 5003}, 0},
		"append as text counts":                       {`{"append":"true","entries":[]}`, []int64{5001, 5002, 5003}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := start(t)
			source := k.source(m{"entries": []any{m{"n": 1}, m{"n": 2}, m{"n": 3}}})
			k.do("POST", fmt.Sprintf("/v1/data-sources/%d/commit", source), test.body).ok(200)
			assert.Equal(t, test.want, k.live(source))
			assert.Equal(t, test.lost, k.Dropped())
		})
	}
}

func TestCommitReplacesOrExtendsColumns(t *testing.T) {
	t.Parallel()
	k := start(t)
	source := k.source(m{"entries": []any{m{"body": "hello", "n": 1}, m{"body": "there", "n": 2}}})
	k.do("POST", "/v1/data-sources/101/commit", `{"append":true,"entries":[{"id":5001,"data":{"n":9}}]}`).ok(200)
	k.do("POST", "/v1/data-sources/101/commit", `{"append":true,"extend":true,"entries":[{"id":5002,"data":{"n":9},"order":4}]}`).ok(200)
	rows := k.Rows(source)
	assert.Equal(t, m{"n": json.Number("9")}, rows[0].Data, "without extend the other columns go")
	assert.Equal(t, m{"body": "there", "n": json.Number("9")}, rows[1].Data)
	assert.Nil(t, rows[0].Order)
	assert.EqualValues(t, 4, *rows[1].Order)
}

func TestCommitSetsColumnsAndOrders(t *testing.T) {
	t.Parallel()
	k := start(t)
	source := k.source(m{"columns": []any{"old"}, "entries": []any{m{"a": 1}, m{"a": 2}}})
	body := k.do("POST", "/v1/data-sources/101/commit",
		`{"append":true,"columns":["x"],"entries":[{"id":5002,"order":1},{"data":{"b":1},"order":7,"clientId":{"k":1}}],"normalizeOrder":{"gap":10}}`).ok(200)
	assert.Equal(t, []any{m{"id": 5003.0, "clientId": m{"k": 1.0}}}, body["clientIds"])
	assert.Equal(t, []string{"x", "a", "b"}, k.Sources()[0].Columns)
	orders := map[int64]int64{}
	for _, r := range k.Rows(source) {
		orders[r.ID] = *r.Order
	}
	assert.Equal(t, map[int64]int64{5002: 0, 5003: 10, 5001: 20}, orders, "present order first, rows without one last")
}

func TestBulkReplacesUnlessItAppends(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		path, body string
		want       int
	}{
		"replace":                   {"", `{"entries":[{"a":1}]}`, 1},
		"truncate":                  {"", `{"entries":[]}`, 0},
		"append in the body":        {"", `{"append":true,"entries":[{"a":1}]}`, 3},
		"append as text":            {"", `{"append":"true","entries":[{"a":1}]}`, 3},
		"append in the query":       {"?append=true", `{"entries":[{"a":1}]}`, 3},
		"append false in the query": {"?append=false", `{"entries":[{"a":1}]}`, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := start(t)
			source := k.source(m{"entries": []any{m{"n": 1}, m{"n": 2}}})
			a := k.do("POST", fmt.Sprintf("/v1/data-sources/%d/data%s", source, test.path), test.body)
			require.Equal(t, 200, a.status, a.body)
			assert.Len(t, k.live(source), test.want)
		})
	}
}

func TestBulkTakesEntryIDs(t *testing.T) {
	t.Parallel()
	k := start(t)
	source := k.source(m{"entries": []any{m{"n": 1}, m{"n": 2}}})
	other := k.source(m{"name": "Other", "entries": []any{m{"n": 3}}})
	k.do("POST", "/v1/data-sources/101/data", `{"entries":[{"id":5002,"n":"back"},{"id":"6000","n":"new"}]}`)
	assert.Equal(t, []int64{5002, 6000}, k.live(source))
	assert.NotContains(t, k.Rows(source)[1].Data, "id", "a top-level id is no column")
	k.do("POST", "/v1/data-sources/101/data", `{"append":true,"entries":[{"a":1},{"id":5002}]}`).refused(400)
	k.do("POST", "/v1/data-sources/101/data", `{"append":true,"entries":[{"a":1},{"id":5003}]}`).refused(400)
	k.do("POST", "/v1/data-sources/101/data", `{"entries":[{"id":7000},{"id":7000}]}`).refused(400)
	assert.Equal(t, []int64{5002, 6000}, k.live(source), "a refused import changes nothing")
	assert.Equal(t, []int64{5003}, k.live(other))
	k.do("PUT", "/v1/data-sources/101/data", `{}`).ok(200)
	assert.Greater(t, k.live(source)[2], int64(6000), "new ids go on above")
}

// All later ids are higher, and JavaScript has to tell them apart.
func TestIDsThatLeaveNoRoomForLaterOnesAreRefused(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"9223372036854775807", "9007199254740992", "9007199254740991", "4503599627370497", `"9007199254740993"`} {
		k := start(t)
		source := k.source(m{})
		k.do("POST", "/v1/data-sources", `{"name":"y","appId":1,"entries":[{"id":`+id+`}]}`).refused(400)
		k.do("POST", "/v1/data-sources/101/data", `{"entries":[{"id":`+id+`}]}`).refused(400)
		k.do("POST", "/v1/data-sources/101/commit", `{"entries":[{"id":`+id+`,"data":{"a":1}}]}`).refused(400)
		k.do("PUT", "/v1/data-sources/101/data", `{}`).ok(200)
		assert.Equal(t, []int64{5001}, k.live(source), id)
	}
	k := start(t)
	source := k.source(m{})
	k.do("POST", "/v1/data-sources/101/data", `{"entries":[{"id":4503599627370496}]}`)
	k.do("PUT", "/v1/data-sources/101/data", `{}`).ok(200)
	assert.Equal(t, []int64{4503599627370496, 4503599627370497}, k.live(source))
}

func TestManyRowsOfOneCallShareATimestamp(t *testing.T) {
	t.Parallel()
	k := start(t)
	source := k.source(m{})
	rows := make([]map[string]any, 1000)
	for i := range rows {
		rows[i] = m{"n": i}
	}
	_, err := k.Insert(source, rows...)
	require.NoError(t, err)
	stored := k.Rows(source)
	require.Len(t, stored, 1000)
	for _, r := range stored {
		assert.Equal(t, stored[0].CreatedAt, r.CreatedAt)
		assert.Equal(t, r.CreatedAt, r.UpdatedAt)
		assert.Zero(t, r.CreatedAt.Nanosecond()%int(time.Millisecond))
	}
}

func TestWritesMoveTimestamps(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.Freeze(moment)
	source := k.source(m{"entries": []any{m{"n": 1}}})
	check := func(what string, entryMoves bool) {
		t.Helper()
		assert.Equal(t, k.Now(), k.Sources()[0].UpdatedAt, "%s moves the source", what)
		assert.Equal(t, moment, k.Sources()[0].CreatedAt)
		if entryMoves {
			assert.Equal(t, k.Now(), k.Rows(source)[0].UpdatedAt, "%s moves the entry", what)
			assert.Equal(t, moment, k.Rows(source)[0].CreatedAt)
		}
	}
	for _, s := range []struct {
		what, method, path, body string
		moves                    bool
	}{
		{"an update", "PUT", "/v1/data-sources/101/data/5001", `{"n":2}`, true},
		{"an update that changes nothing", "PUT", "/v1/data-sources/101/data/5001", `{}`, true},
		{"a commit", "POST", "/v1/data-sources/101/commit", `{"append":true,"entries":[{"id":5001,"data":{"n":2}}]}`, true},
		{"an insert", "PUT", "/v1/data-sources/101/data", `{"n":2}`, false},
		{"renaming", "PUT", "/v1/data-sources/101", `{"name":"Other"}`, false},
		{"a deletion", "DELETE", "/v1/data-sources/101/data/5001", ``, true},
	} {
		k.Shift(time.Second)
		k.do(s.method, s.path, s.body).ok(200)
		check(s.what, s.moves)
	}
	row := k.Rows(source)[0]
	assert.Equal(t, row.UpdatedAt, *row.DeletedAt)
	assert.Equal(t, m{"n": json.Number("2")}, row.Data, "a tombstone keeps its columns inside")
}

func TestMissingRowsAre404AndBadIDs400(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.source(m{"entries": []any{m{"n": 1}}})
	k.source(m{"name": "Other", "entries": []any{m{"n": 1}}})
	k.do("DELETE", "/v1/data-sources/101/data/5001", "").ok(200)
	for _, method := range []string{"GET", "PUT", "DELETE"} {
		for path, status := range map[string]int{
			"/v1/data-sources/101/data/5001": 404, "/v1/data-sources/101/data/5002": 404, "/v1/data-sources/101/data/session": 404,
			"/v1/data-sources/101/data/99999999999999999999": 400, "/v1/data-sources/101/data/abc": 400, "/v1/data-sources/101/data/-1": 400,
			"/v1/data-sources/101/data/1.5": 400, "/v1/data-sources/99999999999999999999/data/5002": 404,
			"/v1/data-sources/999/data/5002": 404, "/v1/data-sources/nobody/data/5002": 404,
		} {
			k.do(method, path, `{"a":1}`).refused(status)
		}
	}
}

func TestGUIDColumnFillsItself(t *testing.T) {
	t.Parallel()
	k := start(t)
	source := k.source(m{"definition": m{"guid": "key"}})
	k.do("PUT", "/v1/data-sources/101/data", `{"a":1}`).ok(200)
	k.do("PUT", "/v1/data-sources/101/data", `{"key":"mine"}`).ok(200)
	k.do("POST", "/v1/data-sources/101/data", `{"append":true,"entries":[{"a":2}]}`)
	k.do("POST", "/v1/data-sources/101/commit", `{"append":true,"entries":[{"data":{"a":3}}]}`).ok(200)
	guid := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	seen := map[any]bool{}
	for i, r := range k.Rows(source) {
		if i == 1 {
			assert.Equal(t, "mine", r.Data["key"])
			continue
		}
		assert.Regexp(t, guid, r.Data["key"])
		assert.False(t, seen[r.Data["key"]])
		seen[r.Data["key"]] = true
	}
}

func TestVersionsOfAppData(t *testing.T) {
	t.Parallel()
	k := start(t)
	source := k.source(m{"entries": []any{m{"n": 1}, m{"n": 2}}})
	k.do("POST", "/v1/data-sources/101/commit", `{"entries":[{"id":5001,"data":{"n":"changed"}},{"data":{"n":"new"}}]}`).ok(200)
	versions := k.do("GET", "/v1/data-sources/101/versions", "").ok(200)["versions"].([]any)
	require.Len(t, versions, 1)
	data := versions[0].(m)["data"].(m)
	assert.Equal(t, "commit", data["action"])
	assert.Equal(t, m{"count": 2.0, "key": nil}, data["entries"])
	path := fmt.Sprintf("/v1/data-sources/101/versions/%.0f", versions[0].(m)["id"])
	assert.Len(t, k.do("GET", path+"/data?limit=1", "").ok(200)["entries"], 1)
	found := k.do("POST", path+"/data", `{"where":{"n":2}}`).ok(200)["entries"].([]any)
	require.Len(t, found, 1)
	assert.Contains(t, found[0], "deletedAt")
	k.do("POST", path+"/restore", "").ok(200)
	assert.Equal(t, []int64{5001, 5002}, k.live(source))
	assert.Equal(t, json.Number("1"), k.Rows(source)[0].Data["n"])
	versions = k.do("GET", "/v1/data-sources/101/versions", "").ok(200)["versions"].([]any)
	require.Len(t, versions, 2)
	assert.Equal(t, "pre-restore", versions[0].(m)["data"].(m)["action"], "the newest comes first")
	k.do("GET", "/v1/data-sources/101/versions/1/data", "").refused(404)
}

func TestTwoHundredWritersLoseNothing(t *testing.T) {
	t.Parallel()
	k := start(t)
	source := k.source(m{})
	done := make(chan int64)
	for w := range 20 {
		go func() {
			for i := range 10 {
				a := k.do("PUT", fmt.Sprintf("/v1/data-sources/%d/data", source), fmt.Sprintf(`{"w":%d,"i":%d}`, w, i))
				_ = k.do("POST", fmt.Sprintf("/v1/data-sources/%d/data/query", source), `{"where":{"w":1},"order":[["updatedAt","ASC"]]}`)
				var e struct{ ID int64 }
				_ = json.Unmarshal([]byte(a.body), &e)
				done <- e.ID
			}
		}()
	}
	ids := map[int64]bool{}
	for range 200 {
		ids[<-done] = true
	}
	assert.Len(t, ids, 200)
	assert.Len(t, k.live(source), 200)
}

// journal keeps records in a map.
type journal struct {
	records map[string]flipletd.Record
	fail    error
}

func (j *journal) Apply(records []flipletd.Record) error {
	if j.fail != nil {
		return j.fail
	}
	for _, r := range records {
		key := fmt.Sprint(r.Kind, r.ID)
		if r.Value == nil {
			delete(j.records, key)
			continue
		}
		j.records[key] = r
	}
	return nil
}

func (j *journal) Load(yield func(flipletd.Record) error) error {
	for _, r := range j.records {
		if err := yield(r); err != nil {
			return err
		}
	}
	return nil
}

func TestStateSurvivesARestart(t *testing.T) {
	t.Parallel()
	j := &journal{records: map[string]flipletd.Record{}}
	with := func(c *flipletd.Config) { c.Journal = j }
	k := start(t, with)
	k.Freeze(moment)
	source := k.source(m{"definition": m{"participants": []any{"u"}, "big": json.Number("9007199254740993")}, "type": "conversation", "hooks": []any{m{"type": "web"}}})
	k.do("PUT", "/v1/data-sources/101/data", `{"body":"one","n":1.50}`).ok(200)
	k.do("PUT", "/v1/data-sources/101/data", `{"body":"two"}`).ok(200)
	k.do("DELETE", "/v1/data-sources/101/data/5002", "").ok(200)
	plain := k.source(m{"name": "Plain", "accessRules": []any{}, "entries": []any{m{"n": 1}}})
	studio := k.studio()
	studio.do("POST", "/v1/data-sources/102/commit", `{"entries":[]}`).ok(200)
	studio.do("POST", "/v1/media/folders", `{"name":"Pictures"}`).ok(200)
	k.form("PUT", "/v1/data-sources/101/data", part{name: "f", file: "a.png", content: "bytes"}).ok(200)
	studio.do("DELETE", "/v1/data-sources/102", "").ok(200)
	k.do("PUT", "/v1/widget-instances/com.fliplet.chat", `{"settings":{"dataSourceId":102,"n":1.50}}`).ok(200)
	require.NoError(t, k.SetWidget("other", 1, m{"a": "b"}))

	again := start(t, with)
	assert.Equal(t, k.Sources(), again.Sources())
	assert.Equal(t, k.Rows(source), again.Rows(source))
	assert.Equal(t, k.Rows(plain), again.Rows(plain))
	assert.Equal(t, m{"dataSourceId": 102.0, "n": 1.5}, again.do("GET", "/v1/widget-instances/com.fliplet.chat", "").ok(200)["widgetInstance"].(m)["settings"])
	assert.Equal(t, m{"a": "b"}, again.do("GET", "/v1/widget-instances/other", "").ok(200)["widgetInstance"].(m)["settings"])
	back := again.studio()
	assert.Len(t, back.do("GET", "/v1/media", "").ok(200)["folders"], 1)
	assert.Equal(t, "bytes", back.do("GET", "/v1/media/files/901/contents/a.png", "").body)
	back.do("POST", "/v1/data-sources/102/restore", "").ok(200)
	assert.Len(t, back.do("GET", "/v1/data-sources/102/versions", "").ok(200)["versions"], 1)
	back.do("DELETE", "/v1/data-sources/102", "").ok(200)
	back.do("DELETE", "/v1/data-sources/deleted/102", "").ok(200)

	last := start(t, with)
	assert.Len(t, last.Sources(), 1)
	assert.EqualValues(t, 103, last.source(m{"name": "Next"}), "an id is not handed out again")
	next, err := last.Insert(source, m{"n": 1})
	require.NoError(t, err)
	assert.EqualValues(t, 5005, next[0])
}

func TestAFailingJournalChangesNothing(t *testing.T) {
	t.Parallel()
	j := &journal{records: map[string]flipletd.Record{}}
	s, err := flipletd.New(flipletd.Config{Token: token, Journal: j})
	require.NoError(t, err)
	k := &kit{Server: s, t: t, token: token}
	source := k.source(m{"entries": []any{m{"n": 1}}})
	j.fail = fmt.Errorf("the disk is full")
	k.do("PUT", "/v1/data-sources/101/data/5001", `{"n":2}`).refused(500)
	k.do("PUT", "/v1/data-sources/101/data", `{"n":2}`).refused(500)
	k.do("POST", "/v1/data-sources/101/commit", `{"entries":[]}`).refused(500)
	assert.Len(t, k.Rows(source), 1)
	assert.Equal(t, json.Number("1"), k.Rows(source)[0].Data["n"])
	assert.Len(t, k.Faults(), 3, "the server remembers why")
}

func TestAServerDoesNotStartWithoutAllOfItsJournal(t *testing.T) {
	t.Parallel()
	j := &journal{records: map[string]flipletd.Record{"entry5001": {Kind: "entry", ID: 5001, Value: []byte("cut")}}}
	_, err := flipletd.New(flipletd.Config{Token: token, Journal: j})
	require.Error(t, err)
}
