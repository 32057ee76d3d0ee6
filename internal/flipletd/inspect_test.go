package flipletd_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd"
)

func TestRowsAreReadInPiecesInTheOrderOfCreation(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.Freeze(moment)
	k.source(m{"name": "Talk"})
	for i := range 6 { // two in each second
		k.Freeze(moment.Add(time.Duration(i/2) * time.Second))
		k.do("PUT", "/v1/data-sources/101/data", fmt.Sprintf(`{"n":%d}`, i)).ok(200)
	}
	k.Freeze(moment.Add(time.Hour))
	k.do("PUT", "/v1/data-sources/101/data/5002", `{"again":true}`).ok(200)
	k.do("DELETE", "/v1/data-sources/101/data/5004", "").ok(200)
	ids := func(rows []flipletd.Row, more bool) string {
		out := ""
		for _, r := range rows {
			out += fmt.Sprint(r.ID-5000, " ")
			assert.Equal(t, r.ID == 5004, r.DeletedAt != nil)
		}
		return out + fmt.Sprint(more)
	}
	assert.Equal(t, "5 6 true", ids(k.RowsBefore(101, time.Time{}, 0, 2)))
	assert.Equal(t, "1 2 3 4 5 6 false", ids(k.RowsBefore(101, time.Time{}, 0, 6)))
	assert.Equal(t, "2 3 true", ids(k.RowsBefore(101, moment.Add(time.Second), 5004, 2)))
	assert.Equal(t, "1 false", ids(k.RowsBefore(101, moment, 5002, 2)))
	assert.Equal(t, "false", ids(k.RowsBefore(101, moment, 5001, 2)))
	assert.Equal(t, "2 3 true", ids(k.RowsFrom(101, moment, 5002, 2)))
	assert.Equal(t, "5 6 false", ids(k.RowsFrom(101, moment.Add(2*time.Second), 0, 2)))
	assert.Equal(t, "1 2 3 4 5 6 false", ids(k.RowsFrom(101, time.Time{}, 0, 100)))
	assert.Equal(t, "false", ids(k.RowsFrom(999, time.Time{}, 0, 100)))
	assert.Equal(t, "false", ids(k.RowsBefore(999, time.Time{}, 0, 100)))

	k.source(m{"name": "Again", "entries": []any{m{}, m{}}})
	k.Freeze(moment.Add(2 * time.Hour))
	k.do("POST", "/v1/data-sources/102/data", `{"entries":[{"id":5007}]}`) // which makes it anew
	for _, rows := range [][]flipletd.Row{first(k.RowsBefore(102, time.Time{}, 0, 9)), first(k.RowsFrom(102, time.Time{}, 0, 9))} {
		assert.Len(t, rows, 2, "each entry once")
		assert.EqualValues(t, 5007, rows[1].ID)
	}

	row, _ := k.RowsFrom(101, moment, 5002, 1)
	row[0].Data["n"] = "changed"
	row, _ = k.RowsFrom(101, moment, 5002, 1)
	assert.NotEqual(t, "changed", row[0].Data["n"], "rows are copies")
}

func first[T any](v T, _ bool) T { return v }

func TestUnreadIsWhatOthersSentAndOneHasNotRead(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.source(m{"type": "conversation", "entries": []any{
		m{"fromUserId": "a"}, m{"fromUserId": "a", "readBy": []any{"a", "b"}}, m{"fromUserId": "b"}, m{"fromUserId": "a", "isDeleted": true},
		m{"fromUserId": "a"}, m{"fromUserId": 7, "readBy": m{"b": 1}},
	}})
	k.do("DELETE", "/v1/data-sources/101/data/5005", "").ok(200)
	assert.Equal(t, 2, k.Unread(101, "b", 100))
	assert.Equal(t, 1, k.Unread(101, "b", 1), "among the newest")
	assert.Equal(t, 2, k.Unread(101, "a", 100))
	assert.Zero(t, k.Unread(999, "a", 100))
}

func TestRevisionMovesWithWritesOnly(t *testing.T) {
	t.Parallel()
	k := start(t)
	before := k.Revision()
	for _, write := range []func(){
		func() { k.source(m{"name": "One"}) },
		func() { k.do("PUT", "/v1/data-sources/101/data", `{}`).ok(200) },
		func() { k.do("DELETE", "/v1/data-sources/101/data/5001", "").ok(200) },
		func() { k.studio().do("DELETE", "/v1/data-sources/101", "").ok(200) },
	} {
		write()
		assert.Greater(t, k.Revision(), before)
		before = k.Revision()
		k.do("GET", "/v1/data-sources", "").ok(200)
		k.do("PUT", "/v1/data-sources/999/data", `{}`).refused(404)
		assert.Equal(t, before, k.Revision())
	}
}

func TestRatesCountRequestsOfASecondByStatus(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.Freeze(moment)
	assert.Zero(t, k.RateLimit())
	looser := flipletd.Limit{Calls: flipletd.DataSourceCalls, Scope: flipletd.PerApp, Requests: 30, Window: 10 * time.Second}
	tightest := flipletd.Limit{Calls: flipletd.DataSourceCalls, Scope: flipletd.PerUser, Requests: 3, Window: 10 * time.Second}
	require.NoError(t, k.Limit(tightest))
	require.NoError(t, k.Limit(looser))
	require.NoError(t, k.Limit(flipletd.Limit{Calls: flipletd.LogCalls, Scope: flipletd.PerUser, Requests: 1, Window: time.Hour}))
	assert.Equal(t, tightest, k.RateLimit())
	for range 5 {
		k.do("GET", "/v1/data-sources", "")
	}
	k.do("GET", "/v1/nothing", "")
	k.Freeze(moment.Add(2 * time.Second))
	k.Pull(flipletd.Rule{Route: flipletd.AnyRoute, Faults: []flipletd.Fault{func(fx *flipletd.Effects) { fx.Status = 503 }}})
	k.do("GET", "/v1/user", "")
	k.Release()
	second := moment.Truncate(time.Second)
	assert.Equal(t, []flipletd.Rate{
		{Second: second.Add(-time.Second)}, {Second: second, OK: 3, TooMany: 2, Refused: 1}, {Second: second.Add(time.Second)}, {Second: second.Add(2 * time.Second), Failed: 1},
	}, k.Rates(4))
	assert.Empty(t, k.Rates(-1))
	assert.Len(t, k.Rates(1_000_000), 300, "it is bounded")
	k.Freeze(moment.Add(301 * time.Second))
	assert.Zero(t, k.Rates(2)[0].OK, "what was in the place of this second is over")
}

func TestLastLoggedIsTheEndOfTheAuditLog(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.Freeze(moment)
	k.source(m{"name": "Talk"})
	assert.Empty(t, k.LastLogged(-1))
	for range 3 {
		k.do("PUT", "/v1/data-sources/101/data", `{"body":"secret"}`).ok(200)
	}
	k.do("DELETE", "/v1/data-sources/101/data/5002", "").ok(200)
	assert.Equal(t, []flipletd.Logged{
		{ID: 4, Time: moment, Type: "dataSource.entry.create", DataSourceID: 101, EntryID: 5003, Columns: []string{"body"}},
		{ID: 5, Time: moment, Type: "dataSource.entry.delete", DataSourceID: 101, EntryID: 5002},
	}, k.LastLogged(2))
	all := k.LastLogged(100)
	assert.Len(t, all, 5)
	assert.Equal(t, "dataSource.create", all[0].Type)
}
