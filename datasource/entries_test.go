package datasource_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/datasource"
)

type M = datasource.M

func TestEveryRequestCarriesTokenAndUserAgent(t *testing.T) {
	t.Parallel()
	for _, op := range operations {
		server := serve(t, answer(200, ``))
		_ = op.run(t.Context(), server.client(t))
		sent := server.last(t)
		assert.Equal(t, []string{token}, sent.header["Auth-Token"], op.name)
		assert.Regexp(t, `^fliplet-chat-go/\d+\.\d+\.\d+$`, sent.header.Get("User-Agent"), op.name)
		assert.NotContains(t, sent.line, token, op.name)
	}
	server := serve(t, answer(200, `{"entries":[]}`))
	_, err := server.client(t, func(c *datasource.Config) { c.UserAgent = "shop-bot/2" }).Find(t.Context(), 1, datasource.Query{})
	require.NoError(t, err)
	assert.Equal(t, "shop-bot/2", server.last(t).header.Get("User-Agent"))
}

func TestFindSendsTheDocumentedLoginQueryAndReadsTheRow(t *testing.T) {
	t.Parallel()
	server := serve(t, answer(200, `{"entries":[{"id":42,"dataSourceId":123,"order":null,
  "data":{"Email":"jane@example.org","Full name":"Jane Doe"},
  "createdAt":"2026-01-10T09:00:00.000Z","updatedAt":"2026-01-10T09:00:00.000Z"}],
  "dataSourceId":123,"count":1}`))
	rows, err := server.client(t).Find(t.Context(), 123, datasource.Query{Where: M{"Email": M{"$iLike": "Jane@Example.org"}}})
	require.NoError(t, err)
	sent := server.last(t)
	assert.Equal(t, "POST /v1/data-sources/123/data/query", sent.line)
	assert.Equal(t, `{"type":"select","where":{"Email":{"$iLike":"Jane@Example.org"}}}`, sent.body)
	assert.Equal(t, "application/json", sent.header.Get("Content-Type"))
	assert.Equal(t, []datasource.Entry{{ID: 42, DataSourceID: 123, Data: M{"Email": "jane@example.org", "Full name": "Jane Doe"},
		CreatedAt: ms("2026-01-10T09:00:00.000Z"), UpdatedAt: ms("2026-01-10T09:00:00.000Z")}}, rows)
}

func TestQueriesAreWrittenAsDocumented(t *testing.T) {
	t.Parallel()
	for want, q := range map[string]datasource.Query{
		`{"type":"select"}`:                    {},
		`{"type":"select","where":{}}`:         {Type: "select", Where: M{}},
		`{"type":"select","limit":0}`:          {NoLimit: true},
		`{"type":"select","limit":10}`:         {Limit: 10, Offset: 0},
		`{"type":"select","id":{"$in":[1,2]}}`: {ID: M{"$in": []int64{1, 2}}},
		`{"type":"select","where":{"Name":"A"},"attributes":["Name"],"limit":10,"offset":5,` +
			`"order":[["data.Name","ASC"],["createdAt","DESC"]],"includePagination":true,"distinct":"Department",` +
			`"views":["userBookmarks"],"join":{"L":{"dataSourceId":2}},"aggregate":[{"$sort":{"a":1}}],` +
			`"id":5,"createdAt":"2024-01-01T00:00:00.000Z","updatedAt":{"$gt":"2024-01-01T00:00:00.000Z"},"dataSourceEntryId":41}`: {
			Where: M{"Name": "A"}, Attributes: []string{"Name"}, Limit: 10, Offset: 5, IncludePagination: true,
			Order:    []datasource.Order{{Column: "data.Name"}, {Column: "createdAt", Direction: "desc"}},
			Distinct: "Department", Views: []string{"userBookmarks"}, Join: M{"L": M{"dataSourceId": 2}},
			Aggregate: []M{{"$sort": M{"a": 1}}}, ID: 5, CreatedAt: "2024-01-01T00:00:00.000Z",
			UpdatedAt: M{"$gt": "2024-01-01T00:00:00.000Z"}, DataSourceEntryID: 41},
	} {
		server := serve(t, answer(200, `{"entries":[]}`))
		_, err := server.client(t).Find(t.Context(), 9, q)
		require.NoError(t, err)
		assert.Equal(t, want, server.last(t).body)
	}
}

func TestSelectReturnsTombstonesAndTotal(t *testing.T) {
	t.Parallel()
	server := serve(t, answer(200, `{"entries":[{"id":1,"data":{}}],"pagination":{"total":156,"limit":10,"offset":0},
		"deletedEntries":[{"id":7,"deletedAt":"2026-02-01T08:06:00.000Z"},{"id":"8"},null]}`))
	got, err := server.client(t).Select(t.Context(), 5, datasource.Query{IncludePagination: true})
	require.NoError(t, err)
	assert.Equal(t, 156, *got.Total)
	assert.Equal(t, []datasource.Entry{{ID: 1, DataSourceID: 5, Data: M{}}}, got.Entries)
	assert.Equal(t, []datasource.Entry{{ID: 7, DataSourceID: 5, DeletedAt: new(ms("2026-02-01T08:06:00.000Z"))}, {ID: 8, DataSourceID: 5}}, got.Deleted)

	for _, body := range []string{`{"entries":null}`, `{"entries":[],"pagination":{"total":"x"}}`, `{"pagination":[1],"entries":[]}`} {
		asked := time.Now().Truncate(time.Second) // as in an HTTP date
		got, err := serve(t, answer(200, body)).client(t).Select(t.Context(), 5, datasource.Query{})
		require.NoError(t, err, body)
		assert.False(t, got.Answered.Before(asked) || got.Answered.After(time.Now()), "%v, asked %v", got.Answered, asked)
		assert.EqualValues(t, len(body), got.Size)
		got.Answered, got.Size = time.Time{}, 0
		assert.Equal(t, &datasource.Result{}, got, body)
	}
}

func TestInsertSendsFlatColumnsAndReadsTheRow(t *testing.T) {
	t.Parallel()
	server := serve(t, answer(200, `{"id":5001,"dataSourceId":777,"order":null,"data":{"body":"x","n":12345678901234567890},
 "createdAt":"2026-02-01T08:02:00.123Z","updatedAt":"2026-02-01T08:02:00.123Z","deletedAt":null}`))
	row, err := server.client(t).InsertEntry(t.Context(), 777, datasource.Write{
		Params: url.Values{"flUserToken": {"b1c2+/="}},
		Data: M{"body": "U2FsdGVkX18=", "fromUserId": "u-jane", "readBy": []string{"u-jane"}, "conversationId": 777,
			"guid": "0b8f3f7e-6f0a-4d63-9d5e-0d7a5a3c9a11"},
	})
	require.NoError(t, err)
	sent := server.last(t)
	assert.Equal(t, "PUT /v1/data-sources/777/data?flUserToken=b1c2%2B%2F%3D", sent.line)
	assert.Equal(t, `{"body":"U2FsdGVkX18=","conversationId":777,"fromUserId":"u-jane","guid":"0b8f3f7e-6f0a-4d63-9d5e-0d7a5a3c9a11","readBy":["u-jane"]}`, sent.body)
	assert.Equal(t, &datasource.Entry{ID: 5001, DataSourceID: 777, Data: M{"body": "x", "n": json.Number("12345678901234567890")},
		CreatedAt: ms("2026-02-01T08:02:00.123Z"), UpdatedAt: ms("2026-02-01T08:02:00.123Z")}, row)
}

func TestSingleRowsAreReadInEveryShape(t *testing.T) {
	t.Parallel()
	want := &datasource.Entry{ID: 2, DataSourceID: 1, Data: M{"foo": "bar"}}
	for _, body := range []string{
		`{"id":2,"data":{"foo":"bar"}}`, `{"data":{"foo":"bar"},"id":"2","dataSourceId":1}`, `{"entry":{"id":2,"data":{"foo":"bar"}}}`,
		`{"entries":[{"id":2,"data":{"foo":"bar"}}],"count":1}`, `[{"id":2,"data":{"foo":"bar"}}]`,
	} {
		for _, status := range []int{200, 201} {
			client := serve(t, answer(status, body)).client(t)
			for name, call := range map[string]func() (*datasource.Entry, error){
				"FindByID": func() (*datasource.Entry, error) { return client.FindByID(t.Context(), 1, 2) },
				"Insert":   func() (*datasource.Entry, error) { return client.Insert(t.Context(), 1, M{}) },
				"Update":   func() (*datasource.Entry, error) { return client.Update(t.Context(), 1, 2, M{}) },
			} {
				got, err := call()
				require.NoError(t, err, "%s %s", name, body)
				assert.Equal(t, want, got, "%s %s", name, body)
			}
		}
	}
}

func TestListsDataSourcesAndRowsAreReadWrappedAndBare(t *testing.T) {
	t.Parallel()
	for _, wrapped := range []bool{true, false} {
		shape := func(name, text string) *datasource.Client {
			if wrapped {
				text = `{"` + name + `":` + text + `}`
			}
			return serve(t, answer(200, text)).client(t)
		}
		rows, err := shape("entries", `[{"id":1,"data":{}},{"id":2,"data":{}}]`).Find(t.Context(), 9, datasource.Query{})
		require.NoError(t, err)
		assert.Len(t, rows, 2, wrapped)
		row, err := shape("entry", `{"id":5,"data":{"a":"b"}}`).FindByID(t.Context(), 9, 5)
		require.NoError(t, err)
		assert.Equal(t, M{"a": "b"}, row.Data, wrapped)
		source, err := shape("dataSource", `{"id":9,"name":"x"}`).DataSource(t.Context(), 9)
		require.NoError(t, err)
		assert.Equal(t, "x", source.Name, wrapped)
		sources, err := shape("dataSources", `[{"id":9,"name":"x"}]`).DataSources(t.Context(), datasource.SourceFilter{AppID: 1})
		require.NoError(t, err)
		assert.Len(t, sources, 1, wrapped)
	}
}

// What anybody on the way may answer.
var emptySuccesses = []string{``, `{}`, `null`, `[]`, `[{}]`, `{"id":0}`, `{"entries":[]}`, `{"entry":{}}`, `{"error":"no"}`, `{"ok":true}`,
	`{"data":{}}`, `{"data":{"message":"maintenance"}}`, `{"entry":{"data":{}}}`, `{"entries":[{"status":"ok"}]}`, `{"data":{"a":2}}`}

func TestASuccessWithoutTheRowIsADoubt(t *testing.T) {
	t.Parallel()
	for _, body := range emptySuccesses {
		client := serve(t, answer(201, body)).client(t)
		row, err := client.Insert(t.Context(), 7, M{"a": 1})
		require.ErrorContains(t, err, "holds no row", body)
		assert.True(t, datasource.Doubtful(err), body)
		assert.Nil(t, row)
		_, err = client.Update(t.Context(), 7, 8, M{"a": 1})
		require.ErrorContains(t, err, "holds no row", body)
		assert.True(t, datasource.Doubtful(err), body)
		_, err = client.FindByID(t.Context(), 7, 8)
		require.ErrorContains(t, err, "holds no row", body)
		assert.False(t, datasource.Doubtful(err))
	}
}

func TestAnUpdateConfirmedWithNothingIsReadBack(t *testing.T) {
	t.Parallel()
	for _, body := range append([]string{`{"id":8}`}, emptySuccesses...) {
		for stored, ok := range map[string]bool{`{"a":1,"b":2}`: true, `{"a":"1"}`: false, `{}`: false} {
			server := serve(t, answer(200, body), answer(200, `{"id":8,"data":`+stored+`}`))
			row, err := server.client(t).Update(t.Context(), 7, 8, M{"a": 1, "gone": nil})
			assert.Equal(t, "GET /v1/data-sources/7/data/8", server.last(t).line)
			assert.Equal(t, !ok, datasource.Doubtful(err), "%s %s", body, stored)
			if ok {
				require.NoError(t, err)
				assert.Equal(t, json.Number("2"), row.Data["b"])
			}
		}
	}
}

func TestAnAnswerWithoutAListDoesNotSayThatThereIsNothing(t *testing.T) {
	t.Parallel()
	for _, body := range []string{``, `{}`, `null`, `[]`, `{"id":0}`, `{"entries":{}}`, `{"entries":3}`, `{"error":"no"}`, `{"deletedEntries":[]}`} {
		client := serve(t, answer(200, body)).client(t)
		_, err := client.Find(t.Context(), 7, datasource.Query{})
		require.ErrorContains(t, err, "no list of rows", body)
		assert.False(t, datasource.Doubtful(err), body)
		_, err = client.FindAcross(t.Context(), []byte(`{}`), nil)
		require.ErrorContains(t, err, "no list of rows", body)
		_, err = client.UpdateWhere(t.Context(), 7, datasource.Query{ID: 1}, M{"a": 1})
		assert.True(t, datasource.Doubtful(err), body)
		_, err = client.DeleteWhere(t.Context(), 7, datasource.Query{ID: 1})
		assert.True(t, datasource.Doubtful(err), body)
	}
}

// A list of what is no row may hold the row that is looked for, or come from somebody on the way.
func TestAListCountsOnlyWithRowsAndWithoutAnError(t *testing.T) {
	t.Parallel()
	none := []string{`[{"status":"ok"}]`, `[{"name":"x"}]`, `{"entries":[{"status":"ok"}]}`, `{"entries":[null]}`, `{"entries":["x"]}`, `{"entries":[{"id":0}]}`}
	faults := []string{`{"entries":[],"error":"upstream"}`, `{"message":"upstream","entries":[]}`, `{"entries":null,"error":{"code":1}}`, `{"entries":[{"id":1}],"error":"upstream"}`}
	some := []string{`{"entries":[{"id":1},null]}`, `[{"status":"ok"},{"id":1}]`}
	good := []string{`{"entries":[]}`, `{"entries":[],"error":null,"message":""}`, `{"entries":[],"error":false}`, `{"entries":[{"id":1}],"message":"done"}`}
	for _, body := range slices.Concat(none, faults, some, good) {
		client := serve(t, answer(200, body)).client(t)
		fault, mixed, fine := slices.Contains(faults, body), slices.Contains(some, body), slices.Contains(good, body)
		_, err := client.Find(t.Context(), 7, datasource.Query{})
		assert.Equal(t, fine, err == nil, "%s: %v", body, err)
		assert.False(t, datasource.Doubtful(err), body)
		_, err = client.FindAcross(t.Context(), []byte(`{}`), nil)
		assert.Equal(t, fine || mixed, err == nil, "%s: %v", body, err)
		_, err = client.UpdateWhere(t.Context(), 7, datasource.Query{ID: 1}, M{"a": 1})
		assert.Equal(t, !fine && !mixed, datasource.Doubtful(err), "%s: %v", body, err)
		for _, q := range []datasource.Query{{Aggregate: []M{{"$group": M{}}}}, {Distinct: "a"}, {Attributes: []string{"a"}}, {Join: M{"a": M{}}}} {
			_, err = client.Find(t.Context(), 7, q)
			assert.Equal(t, !fault, err == nil, "%s: what is made of rows needs no ids: %v", body, err)
		}
	}
}

func TestADeletionOrBatchConfirmedWithAnErrorOrAPageIsADoubt(t *testing.T) {
	t.Parallel()
	for body, ok := range map[string]bool{``: true, `{}`: true, `{"error":"no"}`: false, `{"error":{"code":5}}`: false, `{"entries":[],"error":"upstream"}`: false, `{"entries":[]}`: true, `<html></html>`: false} {
		client := serve(t, answer(200, body)).client(t)
		_, appended := client.Append(t.Context(), 7, []M{{"a": 1}})
		_, committed := client.Commit(t.Context(), 7, datasource.Commit{Delete: []int64{1}})
		for _, err := range []error{client.Delete(t.Context(), 7, 8), client.DeleteDataSource(t.Context(), 7), appended, committed} {
			assert.Equal(t, ok, err == nil, "%q: %v", body, err)
			assert.Equal(t, !ok, datasource.Doubtful(err), "%q: %v", body, err)
		}
	}
}

func TestAnotherRowThanTheOneAskedForIsAnErrorAndInDoubtAfterAWrite(t *testing.T) {
	t.Parallel()
	for body, news := range map[string]bool{ // whether a new row may look so
		`{"id":8,"dataSourceId":9,"data":{"a":"SECRET"}}`:              false,
		`{"id":6,"dataSourceId":7,"data":{"a":"SECRET"}}`:              true,
		`{"id":6,"data":{"a":"SECRET"}}`:                               true,
		`{"dataSourceId":9,"data":{"a":"SECRET"}}`:                     false,
		`{"entry":{"id":8,"dataSourceId":9,"data":{"a":"SECRET"}}}`:    false,
		`[{"id":6,"data":{"a":"SECRET"}},{"id":8,"data":{"a":"own"}}]`: true,
	} {
		client := serve(t, answer(200, body)).client(t)
		row, err := client.FindByID(t.Context(), 7, 8)
		require.ErrorContains(t, err, "another row", body)
		assert.Nil(t, row)
		assert.False(t, datasource.Doubtful(err))
		row, err = client.Update(t.Context(), 7, 8, M{"a": "own"})
		require.ErrorContains(t, err, "another row", body)
		assert.Nil(t, row)
		assert.True(t, datasource.Doubtful(err))
		assert.NotContains(t, err.Error(), "SECRET")
		_, err = client.Insert(t.Context(), 7, M{"a": "own"})
		assert.Equal(t, news, err == nil, "%s: %v", body, err)
		assert.Equal(t, !news, datasource.Doubtful(err))
	}
	for _, field := range []string{`"dataSourceId":7`, `"createdAt":"2026-02-01T08:01:00.000Z"`, `"updatedAt":"2026-02-01T08:01:00.000Z"`} {
		client := serve(t, answer(200, `{"data":{"a":1},`+field+`}`)).client(t)
		row, err := client.FindByID(t.Context(), 7, 8)
		require.NoError(t, err)
		assert.Equal(t, []int64{7, 8}, []int64{row.DataSourceID, row.ID}, "an answer may leave the id out")
	}
	server := serve(t, answer(200, `{"data":{"a":1,"b":2,"gone":null}}`))
	row, err := server.client(t).Update(t.Context(), 7, 8, M{"a": 1, "gone": nil})
	require.NoError(t, err)
	assert.Equal(t, []int64{7, 8}, []int64{row.DataSourceID, row.ID}, "what was sent says whose answer it is")
	assert.Len(t, server.seen(), 1)
}

func TestUpdateFindByIDAndDeleteUseTheRowsPath(t *testing.T) {
	t.Parallel()
	server := serve(t, answer(200, `{"id":42,"data":{}}`))
	client := server.client(t)
	_, err := client.Update(t.Context(), 123, 42, M{"flUserId": "5f2b", "gone": nil})
	require.NoError(t, err)
	assert.Equal(t, "PUT /v1/data-sources/123/data/42", server.last(t).line)
	assert.Equal(t, `{"flUserId":"5f2b","gone":null}`, server.last(t).body)
	_, err = client.FindByID(t.Context(), 123, 42)
	require.NoError(t, err)
	assert.Equal(t, "GET /v1/data-sources/123/data/42", server.last(t).line)
	require.NoError(t, client.Delete(t.Context(), 123, 42))
	assert.Equal(t, "DELETE /v1/data-sources/123/data/42", server.last(t).line)
	for _, sent := range server.seen()[1:] {
		assert.Empty(t, sent.body)
	}
}

func TestAppendNeverReplacesAndReplaceSaysSo(t *testing.T) {
	t.Parallel()
	for body, want := range map[string][]datasource.Entry{
		``:                                      nil,
		`[{"id":1,"data":{"a":1}}]`:             {{ID: 1, DataSourceID: 3, Data: M{"a": json.Number("1")}}},
		`{"entries":[{"id":1,"data":{"a":1}}]}`: {{ID: 1, DataSourceID: 3, Data: M{"a": json.Number("1")}}},
		`{}`:                                    nil,
	} {
		server := serve(t, answer(200, body))
		client := server.client(t)
		rows, err := client.Append(t.Context(), 3, []M{{"a": 1}, {"b": []any{"x"}}})
		require.NoError(t, err)
		assert.Equal(t, want, rows, body)
		assert.Equal(t, "POST /v1/data-sources/3/data", server.last(t).line)
		assert.Equal(t, `{"append":true,"entries":[{"a":1},{"b":["x"]}]}`, server.last(t).body)

		_, err = client.Replace(t.Context(), 3, nil)
		require.NoError(t, err)
		assert.Equal(t, `{"append":false,"entries":[]}`, server.last(t).body)
	}
	server := serve(t)
	rows, err := server.client(t).Append(t.Context(), 3, nil)
	require.NoError(t, err)
	assert.Empty(t, rows)
	assert.Empty(t, server.seen(), "nothing to append is no request")
}

func TestCommitIsHarmlessUnlessAskedToDestroy(t *testing.T) {
	t.Parallel()
	for want, cm := range map[string]datasource.Commit{
		`{"append":true,"extend":true,"returnEntries":false,"runHooks":[],"entries":[{"id":5001,"data":{"readBy":["u-jane","u-bob"]}}]}`: {
			Entries: []datasource.CommitEntry{{ID: 5001, Data: M{"readBy": []string{"u-jane", "u-bob"}}}}},
		`{"append":true,"extend":true,"returnEntries":false,"runHooks":[],"entries":[],"delete":[456]}`: {Delete: []int64{456}},
		`{"append":false,"extend":false,"returnEntries":true,"runHooks":["insert","update"],"entries":[{"clientId":"tmp-1","data":{"email":"a"},"order":1}],` +
			`"columns":["email"],"source":"go-sdk","normalizeOrder":{"gap":10}}`: {
			Entries: []datasource.CommitEntry{{ClientID: "tmp-1", Data: M{"email": "a"}, Order: new(int64(1))}}, Replace: true, Overwrite: true,
			ReturnEntries: true, RunHooks: []string{"insert", "update"}, Columns: []string{"email"}, Source: "go-sdk", NormalizeOrderGap: 10},
		`{"append":true,"extend":true,"returnEntries":false,"runHooks":[],"entries":[{"id":1,"data":{},"order":4}]}`: {
			Entries: []datasource.CommitEntry{{ID: 1, Order: new(int64(4))}}},
	} {
		server := serve(t, answer(200, `{"clientIds":[{"id":987,"clientId":"tmp-1"},{"id":"988","clientId":2},null]}`))
		got, err := server.client(t).Commit(t.Context(), 777, cm)
		require.NoError(t, err)
		assert.Equal(t, "POST /v1/data-sources/777/commit", server.last(t).line)
		assert.Equal(t, want, server.last(t).body)
		assert.Equal(t, []datasource.ClientID{{ID: 987, ClientID: "tmp-1"}, {ID: 988, ClientID: "2"}}, got.ClientIDs)
	}
}

func TestWritingQueriesSendTheirFilterAndCount(t *testing.T) {
	t.Parallel()
	server := serve(t, answer(200, `{"entries":[{"id":1,"data":{"a":2}}]}`))
	rows, err := server.client(t).UpdateWhere(t.Context(), 4, datasource.Query{Where: M{"a": 1}, ID: M{"$gt": 5}}, M{"a": 2})
	require.NoError(t, err)
	assert.Equal(t, "POST /v1/data-sources/4/data/query", server.last(t).line)
	assert.Equal(t, `{"type":"update","where":{"a":1},"data":{"a":2},"id":{"$gt":5}}`, server.last(t).body)
	assert.Equal(t, []datasource.Entry{{ID: 1, DataSourceID: 4, Data: M{"a": json.Number("2")}}}, rows)

	for body, want := range map[string]int{
		`{"deletedCount":5}`: 5, `{"entries":[],"deleted":[1,2]}`: 2, `{"entries":[],"deleted":[1,2],"deletedCount":2}`: 2, `{"deleted":[]}`: 0, `{"deletedCount":null,"deleted":[1]}`: 1,
	} {
		server := serve(t, answer(200, body))
		n, err := server.client(t).DeleteWhere(t.Context(), 4, datasource.Query{Where: M{"a": 1}})
		require.NoError(t, err)
		assert.Equal(t, want, n, body)
		assert.Equal(t, `{"type":"delete","where":{"a":1}}`, server.last(t).body)
	}
}

func TestFindAcrossSendsTheBodyAsItIsAndReusesTheSlice(t *testing.T) {
	t.Parallel()
	server := serve(t,
		answer(200, `{"entries":[{"id":5001,"dataSourceId":777,"data":{"body":"…"}},{"id":4990,"dataSourceId":777,"data":{},"deletedAt":"2026-02-01T08:06:00.000Z"}]}`),
		answer(200, `{"entries":[{"id":1}]}`), answer(403, `{"error":"forbidden"}`))
	client := server.client(t)
	body := []byte(` {"flUserToken":"<bob>","order":[["updatedAt","ASC"],["id","ASC"]]} `)
	rows, err := client.FindAcross(t.Context(), body, make([]datasource.Entry, 3, 8))
	require.NoError(t, err)
	assert.Equal(t, "POST /v1/data-sources/data", server.last(t).line)
	assert.Equal(t, string(body), server.last(t).body)
	require.Len(t, rows, 2)
	assert.Equal(t, int64(5001), rows[0].ID)
	assert.NotNil(t, rows[1].DeletedAt)

	again, err := client.FindAcross(t.Context(), body, rows)
	require.NoError(t, err)
	assert.Equal(t, []datasource.Entry{{ID: 1}}, again, "nothing of the row before is left in the slot")
	assert.Same(t, &rows[0], &again[0])

	none, err := client.FindAcross(t.Context(), body, again)
	require.ErrorIs(t, err, datasource.ErrForbidden)
	assert.Empty(t, none)
	assert.Equal(t, 8, cap(none), "the slice survives a failure")
}

func TestCountAcrossReturnsTheAnswerAsItCame(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{`{"entries":3,"count":3}`: `{"entries":3,"count":3}`, ` [1, 2] `: `[1, 2]`, `7`: `7`, ``: ``} {
		raw, err := serve(t, answer(200, body)).client(t).CountAcross(t.Context(), []byte(`{"count":true}`))
		require.NoError(t, err)
		assert.Equal(t, want, string(raw))
	}
	_, err := serve(t, answer(200, `<html>`)).client(t).CountAcross(t.Context(), []byte(`{"count":true}`))
	require.Error(t, err)
}

func TestAnAnswerThatIsNotJSONIsAnErrorAndInDoubtAfterAWrite(t *testing.T) {
	t.Parallel()
	server := serve(t, answer(200, `<html>Sign in to the café wifi</html>`))
	client := server.client(t)
	_, err := client.Find(t.Context(), 1, datasource.Query{})
	require.ErrorContains(t, err, "POST v1/data-sources/1/data/query: invalid JSON at byte 0")
	assert.NotContains(t, err.Error(), "wifi")
	assert.False(t, datasource.Doubtful(err))
	_, err = client.Insert(t.Context(), 1, M{})
	require.ErrorContains(t, err, "may have been applied")
	assert.True(t, datasource.Doubtful(err))
	assert.Len(t, server.seen(), 2, "an answer is not asked for twice")
}

func TestBadInputIsRefusedBeforeAnyRequest(t *testing.T) {
	t.Parallel()
	server := serve(t)
	c := server.client(t)
	ctx := t.Context()
	find := func(q datasource.Query) error { _, err := c.Find(ctx, 1, q); return err }
	commit := func(cm datasource.Commit) error { _, err := c.Commit(ctx, 1, cm); return err }
	row := datasource.CommitEntry{ID: 1, Data: M{}}
	for want, err := range map[string]error{
		"data source id is 0":          second(c.Find(ctx, 0, datasource.Query{})),
		"data source id is -1":         second(c.Insert(ctx, -1, M{})),
		"entry id is 0":                second(c.FindByID(ctx, 1, 0)),
		"entry id is -2":               c.Delete(ctx, 1, -2),
		"data source id is -3":         second(c.Append(ctx, -3, nil)),
		"Data is nil":                  second(c.Insert(ctx, 1, nil)),
		`Data: "x": chan int`:          second(c.Insert(ctx, 1, M{"x": make(chan int)})),
		"Limit is -1":                  find(datasource.Query{Limit: -1}),
		"Limit and NoLimit":            find(datasource.Query{Limit: 1, NoLimit: true}),
		"Offset is -1":                 find(datasource.Query{Offset: -1}),
		`Type "update"`:                find(datasource.Query{Type: "update"}),
		"DataSourceEntryID is -5":      find(datasource.Query{DataSourceEntryID: -5}),
		`direction "up"`:               find(datasource.Query{Order: []datasource.Order{{Column: "id", Direction: "up"}}}),
		`written "data.Name"`:          find(datasource.Query{Order: []datasource.Order{{Column: "id"}, {Column: "Name"}}}),
		"Order[0]: column is empty":    find(datasource.Query{Order: []datasource.Order{{}}}),
		`where: "a": func()`:           find(datasource.Query{Where: M{"a": func() {}}}),
		"nothing to do":                commit(datasource.Commit{}),
		"Replace without Entries":      commit(datasource.Commit{Replace: true}),
		"Delete cannot be given":       commit(datasource.Commit{Replace: true, Entries: []datasource.CommitEntry{row}, Delete: []int64{1}}),
		"Delete[1] is 0":               commit(datasource.Commit{Delete: []int64{1, 0}}),
		`RunHooks[0] is "all"`:         commit(datasource.Commit{Delete: []int64{1}, RunHooks: []string{"all"}}),
		"NormalizeOrderGap is -1":      commit(datasource.Commit{Delete: []int64{1}, NormalizeOrderGap: -1}),
		"Entries[0].ID is -1":          commit(datasource.Commit{Entries: []datasource.CommitEntry{{ID: -1, Data: M{}}}}),
		"Entries[1].Data is nil":       commit(datasource.Commit{Entries: []datasource.CommitEntry{row, {}}}),
		`Entries[0]: data: "f": func`:  commit(datasource.Commit{Entries: []datasource.CommitEntry{{Data: M{"f": func() {}}}}}),
		"rows[1] is nil":               second(c.Append(ctx, 1, []M{{}, nil})),
		"patch is empty":               second(c.UpdateWhere(ctx, 1, datasource.Query{Where: M{"a": 1}}, nil)),
		"write to every row":           second(c.DeleteWhere(ctx, 1, datasource.Query{Where: M{}})),
		"takes filters only":           second(c.DeleteWhere(ctx, 1, datasource.Query{Where: M{"a": 1}, Limit: 1})),
		"must be a JSON object":        second(c.FindAcross(ctx, []byte("[]"), nil)),
		"path is not like":             c.Call(ctx, http.MethodGet, "https://elsewhere.example/v1/x", nil, nil, nil),
		"path holds a query":           c.Call(ctx, http.MethodGet, "v1/x?auth_token=1", nil, nil, nil),
		"path holds a . or .. segment": c.Call(ctx, http.MethodGet, "v1/%2e%2e/x", nil, nil, nil),
		"GET has no body":              c.Call(ctx, http.MethodGet, "v1/x", nil, M{}, nil),
		`method "get"`:                 c.Call(ctx, "get", "v1/x", nil, nil, nil),
	} {
		require.Error(t, err, want)
		assert.Contains(t, err.Error(), want)
		assert.Regexp(t, `^datasource: `, err.Error())
		assert.NotRegexp(t, `datasource: .*datasource: `, err.Error())
		assert.False(t, datasource.Doubtful(err))
	}
	assert.Empty(t, server.seen())
}
