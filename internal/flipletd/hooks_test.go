package flipletd_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd"
)

func TestOperationsChangeWhatIsStored(t *testing.T) {
	t.Parallel()
	k := start(t)
	source := k.source(m{"hooks": []any{
		m{"type": "operations", "runOn": []any{"insert", "update"}, "payload": m{
			"Email": []any{"trim", "lower"}, "Code": []any{"upper"}, "Secret": []any{"hash"}, "Full": "{{ First }} {{[Last name]}}", "N": []any{"trim"},
		}},
		m{"type": "operations", "runOn": []any{"insert"}, "conditions": []any{m{"VIP": true}}, "payload": m{"Level": "gold"}},
		m{"type": "operations", "runOn": []any{"beforeSave"}, "payload": m{"Saved": "yes"}},
		m{"type": "operations", "runOn": []any{"insert"}, "conditions": []any{m{"a": m{"$foo": 1}}}, "payload": m{"Never": "x"}},
	}})
	k.do("PUT", "/v1/data-sources/101/data", `{"Email":" Jo@X.com ","Code":"ab","Secret":"s","First":"Jo","Last name":"March","N":5,"VIP":true}`).ok(200)
	row := k.Rows(source)[0].Data
	assert.Equal(t, "jo@x.com", row["Email"])
	assert.Equal(t, "AB", row["Code"])
	assert.Len(t, row["Secret"], 64)
	assert.Equal(t, "Jo March", row["Full"])
	assert.Equal(t, "gold", row["Level"])
	assert.Equal(t, "yes", row["Saved"])
	assert.NotContains(t, row, "Never")
	k.do("PUT", "/v1/data-sources/101/data/5001", `{"First":"Amy"}`).ok(200)
	assert.Equal(t, "Amy March", k.Rows(source)[0].Data["Full"])
	assert.Contains(t, k.Sources()[0].Columns, "Full", "columns that hooks add are declared")

	k.do("POST", "/v1/data-sources/101/commit", `{"append":true,"entries":[{"data":{"Email":" A "}}]}`).ok(200)
	assert.Equal(t, " A ", k.Rows(source)[1].Data["Email"], "commit runs hooks only when asked")
	k.do("POST", "/v1/data-sources/101/commit", `{"append":true,"runHooks":["insert"],"entries":[{"data":{"Email":" A "}}]}`).ok(200)
	assert.Equal(t, "a", k.Rows(source)[2].Data["Email"])
	k.do("POST", "/v1/data-sources/101/commit", `{"append":true,"runHooks":["update"],"entries":[{"id":5003,"data":{"Code":"x"}}]}`).ok(200)
	assert.Equal(t, "a", k.Rows(source)[2].Data["Email"], "update hooks cause merging")
	k.do("POST", "/v1/data-sources/101/data", `{"append":true,"entries":[{"Email":" B "}]}`)
	assert.Equal(t, "b", k.Rows(source)[3].Data["Email"], "append runs hooks by default")
	k.do("POST", "/v1/data-sources/101/data", `{"append":true,"runHooks":false,"entries":[{"Email":" B "}]}`)
	assert.Equal(t, " B ", k.Rows(source)[4].Data["Email"])
}

func TestOtherHooksAreRecorded(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.Freeze(moment)
	k.source(m{"hooks": []any{
		m{"type": "email", "runOn": []any{"insert"}, "payload": m{"to": []any{m{"email": "{{Email}}"}}, "subject": "Hi {{{Name}}} {{missing}}{{"}},
		m{"type": "web", "runOn": []any{"update"}, "appId": 7, "payload": m{"n": 1}},
	}})
	k.do("PUT", "/v1/data-sources/101/data", `{"Email":"jo@x.com","Name":"Jo"}`).ok(200)
	k.do("PUT", "/v1/data-sources/101/data/5001", `{"Name":"Amy"}`).ok(200)
	k.do("PUT", "/v1/data-sources/101/data/5009", `{"Name":"Amy"}`).refused(404)
	calls := k.HookCalls()
	assert.Len(t, calls, 2)
	assert.Equal(t, flipletd.HookCall{
		Time: moment, Type: "email", RunOn: "insert", DataSourceID: 101, EntryID: 5001,
		Payload: m{"to": []any{m{"email": "jo@x.com"}}, "subject": "Hi Jo {{"},
	}, calls[0])
	assert.EqualValues(t, 7, calls[1].AppID)
	k.do("POST", "/v1/data-sources/101/data/query", `{"type":"update","where":{"Name":"Amy"},"data":{"Name":"Eve"}}`).ok(200)
	calls = k.HookCalls()
	if assert.Len(t, calls, 3, "an update by query is one, too") {
		assert.Equal(t, "update", calls[2].RunOn)
	}
}

func TestPushAfterThirtySecondsUnread(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.Freeze(moment)
	k.source(m{"type": "conversation", "definition": m{"participants": []any{"a", "b", "c", "d"}, "mutedParticipants": []any{"d"}},
		"hooks": []any{m{"runOn": []any{"insert"}, "type": "push-message", "appId": 9}}})
	insert := func() {
		k.do("PUT", "/v1/data-sources/101/data", `{"body":"x","fromUserId":"a","readBy":["a"]}`).ok(200)
	}
	insert()
	k.Shift(10 * time.Second)
	insert()
	insert()
	k.Shift(20*time.Second - time.Millisecond)
	assert.Empty(t, k.Pushes())
	k.Shift(time.Millisecond)
	first := []flipletd.Push{
		{Time: moment.Add(30 * time.Second), UserID: "b", MessageID: 5001, ConversationID: 101, AppID: 9},
		{Time: moment.Add(30 * time.Second), UserID: "c", MessageID: 5001, ConversationID: 101, AppID: 9},
	}
	assert.Equal(t, first, k.Pushes(), "neither the sender nor who muted it")
	k.do("POST", "/v1/data-sources/101/commit", `{"append":true,"extend":true,"entries":[{"id":5002,"data":{"readBy":["a","b"]}}]}`).ok(200)
	k.do("DELETE", "/v1/data-sources/101/data/5003", "").ok(200)
	// Read too late, and nobody looked in between: what counts is the state then.
	k.Shift(time.Hour)
	k.do("POST", "/v1/data-sources/101/commit", `{"append":true,"extend":true,"entries":[{"id":5002,"data":{"readBy":["a","b","c"]}}]}`).ok(200)
	assert.Equal(t, append(first, flipletd.Push{Time: moment.Add(40 * time.Second), UserID: "c", MessageID: 5002, ConversationID: 101, AppID: 9}), k.Pushes())
	assert.Len(t, k.HookCalls(), 3)
}
