package flipletd_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd"
)

// squared looks at every pair of elements of l and writes nothing.
const squared = "{{#each l}}{{#each @root.l}}{{/each}}{{/each}}"

// longList is a row with a list of n elements.
func longList(n int) m {
	return m{"l": json.RawMessage("[" + strings.Repeat("1,", n-1) + "1]")}
}

// anyOf is a clause that asks n times whether an element is another one.
func anyOf(n int) m {
	return m{"$or": json.RawMessage("[" + strings.Repeat(`{"l":2},`, n-1) + `{"l":2}]`)}
}

func (k *kit) insert(id string, row m) {
	k.t.Helper()
	body, err := json.Marshal(row)
	require.NoError(k.t, err)
	k.do("PUT", "/v1/data-sources/"+id+"/data", string(body)).ok(200)
}

// Without a bound the lists of this file, twenty and thirty thousand elements, take seconds to
// minutes.
func TestHooksOfAWriteHaveOneBudget(t *testing.T) {
	t.Parallel()
	many := make([]any, 200)
	for i := range many {
		many[i] = "<" + squared + ">"
	}
	k := start(t)
	k.source(m{"hooks": []any{
		m{"type": "operations", "runOn": []any{"insert"}, "payload": m{"A": "a" + squared, "B": "b{{x}}"}},
		m{"type": "email", "runOn": []any{"insert"}, "payload": m{"many": many, "plain": "p", "z": "{{x}}"}},
		m{"type": "operations", "runOn": []any{"insert"}, "payload": m{"C": "c"}},
		m{"type": "sms", "runOn": []any{"insert"}, "payload": m{"z": "plain"}},
	}})
	row := longList(30_000)
	row["x"] = "X"
	k.insert("101", row)
	stored := k.Rows(101)[0].Data
	assert.Equal(t, "a", stored["A"], "filled as far as it came")
	assert.Equal(t, "bX", stored["B"], "one template does not take it all")
	assert.Equal(t, "c", stored["C"])
	calls := k.HookCalls()
	require.Len(t, calls, 2)
	assert.Equal(t, "the templates take too long to fill in", calls[0].Err)
	payload := calls[0].Payload.(m)
	list := payload["many"].([]any)
	assert.Equal(t, "<", list[0])
	assert.Empty(t, list[len(list)-1], "nothing was left for it")
	assert.Equal(t, "p", payload["plain"])
	assert.Empty(t, payload["z"])
	assert.Equal(t, "sms", calls[1].Type)
	assert.Equal(t, calls[0].Err, calls[1].Err, "nor for other hooks")
	k.insert("101", m{"l": []any{1, 2}, "x": "X"})
	assert.Equal(t, "a", k.Rows(101)[1].Data["A"])
	assert.Empty(t, k.HookCalls()[2].Err, "the next write has its own")
	assert.Equal(t, "X", k.HookCalls()[2].Payload.(m)["z"])
}

func TestOperationsBehindTheBudgetLeaveTheirColumns(t *testing.T) {
	t.Parallel()
	columns := m{"Z": "{{x}}", "Y": []any{"upper"}}
	for _, c := range "abcdefghijklmnopqrstuvwx" {
		columns[strings.ToUpper(string(c))] = squared
	}
	columns["Y"] = []any{"upper"}
	k := start(t)
	k.source(m{"hooks": []any{m{"type": "operations", "runOn": []any{"insert"}, "payload": columns}}})
	row := longList(30_000)
	row["Z"], row["Y"] = "as it was", "lower"
	k.insert("101", row)
	stored := k.Rows(101)[0].Data
	assert.Equal(t, "as it was", stored["Z"])
	assert.Equal(t, "lower", stored["Y"])
}

func TestConditionsOfHooksAreBounded(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, nil)
	slow := func(h m) m {
		h["runOn"], h["conditions"] = []any{"insert"}, []any{m{"$nor": []any{anyOf(20_000)}}}
		return h
	}
	k := start(t)
	k.source(m{"hooks": []any{
		slow(m{"type": "operations", "payload": m{"A": "a"}}),
		slow(m{"type": "email", "payload": m{"z": "z"}}),
		slow(webHook(r.URL+"/?secret", nil)),
		webHook(r.URL+"/other", nil),
	}})
	k.insert("101", longList(20_000))
	k.settled()
	assert.NotContains(t, k.Rows(101)[0].Data, "A")
	calls := k.HookCalls()
	require.Len(t, calls, 3)
	for i, kind := range []string{"email", "web"} {
		assert.Equal(t, kind, calls[i].Type)
		assert.Equal(t, "the conditions take too long", calls[i].Err)
		assert.Nil(t, calls[i].Payload)
	}
	assert.Equal(t, r.URL+"/", calls[1].URL)
	assert.Equal(t, 200, calls[2].Status, "hooks without conditions run")
	assert.Len(t, r.heard(), 1)
	k.insert("101", m{"l": []any{1}})
	k.settled()
	assert.Equal(t, "a", k.Rows(101)[1].Data["A"], "the same conditions on a short row")
	assert.Len(t, r.heard(), 3)
}

func TestTemplatesOfWebHooksAreBounded(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, nil)
	k := start(t)
	many := make([]any, 5_000)
	for i := range many {
		many[i] = "{{#each l}}{{/each}}"
	}
	k.source(m{"hooks": []any{webHook(r.URL, m{"body": squared}), webHook(r.URL, m{"body": many})}})
	k.insert("101", longList(40_000))
	k.settled()
	assert.Empty(t, r.heard())
	for _, call := range k.HookCalls() {
		assert.Contains(t, call.Err, "payload.body: ", call.Err)
		assert.Contains(t, call.Err, "the templates take too long to fill in")
	}
	assert.Len(t, k.HookCalls(), 2)
}

func TestFillingAWebHookLooksAtItsContext(t *testing.T) {
	t.Parallel()
	list := make([]any, 90_000)
	row, payload := m{"l": list}, m{"endpoint": "http://127.0.0.1/", "body": "{{#each l}}{{/each}}"}
	ctx := &asked{Context: t.Context(), after: 1 << 40}
	require.NoError(t, flipletd.FillHook(ctx, payload, row))
	assert.Greater(t, ctx.count.Load(), int64(80))
	require.ErrorIs(t, flipletd.FillHook(&asked{Context: t.Context(), after: 40}, payload, row), context.Canceled)
}

// One long row and one long clause, which are 400 million comparisons.
func TestAQueryIsGivenUpInTheMiddleOfARow(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.source(m{"entries": []any{m{"l": []any{1}}}})
	k.insert("101", longList(20_000))
	where, err := json.Marshal(m{"where": anyOf(20_000)})
	require.NoError(t, err)
	k.SetQueryTimeout(-1)
	assert.Equal(t, "The query takes too long.", k.do("POST", "/v1/data-sources/101/data/query", string(where)).refused(400))
	k.SetQueryTimeout(time.Hour)
	ctx := &asked{Context: t.Context(), after: 3}
	req := httptest.NewRequest(http.MethodPost, "/v1/data-sources/101/data/query", strings.NewReader(string(where))).WithContext(ctx)
	req.Header.Set("Auth-token", token)
	assert.Equal(t, "The query takes too long.", k.send(req).refused(400), "nobody waits for the answer")
	assert.Less(t, ctx.count.Load(), int64(20))
}

// asked is a context that ends when it has been asked so many times.
type asked struct {
	context.Context
	count atomic.Int64
	after int64
}

func (c *asked) Err() error {
	if c.count.Add(1) > c.after {
		return context.Canceled
	}
	return nil
}
