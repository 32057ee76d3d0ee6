package chat_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

func TestAMisspeltColumnIsToldFromAMissingPerson(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.connect()
	for name, test := range map[string]struct {
		query   chat.M
		missing string // the column that the error names; "" for none
	}{
		"nobody has the value":   {chat.M{"Email": "nobody@example.org"}, ""},
		"another case":           {chat.M{"email": "jane@example.org"}, `"email"`},
		"beside one that exists": {chat.M{"Email": "jane@example.org", "Pass word": "x"}, `"Pass word"`},
		"by $iLike":              {chat.M{"E-mail": chat.M{"$iLike": "jane@example.org"}}, `"E-mail"`},
		"among alternatives":     {chat.M{"$or": []any{chat.M{"Email": "nobody"}, chat.M{"Mail": "jane@example.org"}}}, `"Mail"`},
		"in $filters":            {chat.M{"$filters": []any{chat.M{"column": "Mail", "condition": "==", "value": "x"}}}, `"Mail"`},
		"in a negation":          {chat.M{"Email": "nobody", "$not": chat.M{"Mail": "x"}}, `"Mail"`},
	} {
		asked := len(w.Requests())
		_, err := c.Login(t.Context(), test.query, chat.AnyOperator())
		require.ErrorIs(t, err, chat.ErrContactNotFound, name)
		var e *chat.Error
		require.ErrorAs(t, err, &e)
		assert.Equal(t, 404, e.Code)
		assert.Equal(t, 2, len(w.Requests())-asked, "%s: one more request", name)
		if test.missing == "" {
			assert.EqualError(t, err, "chat: login: contact not found", name)
			continue
		}
		assert.Equal(t, err.Error(), fmt.Sprintf(`chat: login: contact not found: no row of data source %d has the column %s; there are "Email", "Full name"`, w.contacts, test.missing), name)
		for _, value := range []string{"jane@example.org", "nobody"} {
			assert.NotContains(t, err.Error(), value, name)
		}
	}

	_, err := c.ContactByUserID(t.Context(), "somebody")
	require.ErrorIs(t, err, chat.ErrContactNotFound)
	require.ErrorContains(t, err, `has the column "flUserId"`, "nobody has ever logged in")
	_, err = c.Login(t.Context(), chat.M{"Email": "jane@example.org"})
	require.NoError(t, err)
	_, err = c.ContactByUserID(t.Context(), "somebody")
	require.EqualError(t, err, "chat: contact: contact not found")

	// A login that succeeds costs what it cost.
	asked := len(w.Requests())
	_, err = c.Login(t.Context(), chat.M{"Email": "jane@example.org"})
	require.NoError(t, err)
	assert.Equal(t, 1, len(w.Requests())-asked)
}

func TestColumnsThatCannotBeReadSayNothing(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]fliplettest.Fault{
		"refused": fliplettest.Status(403), "down": fliplettest.Status(503), "null": fliplettest.NullFields("columns"), "left out": fliplettest.OmitFields("columns"),
	} {
		w := newWorld(t)
		w.Always(fliplettest.GetSource, fault)
		_, err := w.connect().Login(t.Context(), chat.M{"email": "jane@example.org"})
		require.EqualError(t, err, "chat: login: contact not found", name)
	}
}

func TestTheNamesOfColumnsInAnErrorAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	row := datasource.M{strings.Repeat("x", 100_000): 1, "line\nbreak\x1b[31m": 2}
	for i := range 500 {
		row[fmt.Sprint("column ", i)] = i
	}
	contacts, _ := w.AddContacts(row)
	_, err := w.connect(func(o *chat.Options) { o.DataSourceID = contacts }).Login(t.Context(), chat.M{"Email": "x"})
	require.ErrorIs(t, err, chat.ErrContactNotFound)
	assert.Less(t, len(err.Error()), 2000)
	assert.NotContains(t, err.Error(), "\n")
	assert.NotContains(t, err.Error(), "\x1b")
	assert.ErrorContains(t, err, "462 more")
}

func TestInitReadsTheColumnsOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	env := w.screen()
	env.opts.PrimaryKey, env.user = "email", chat.M{"email": "jane@example.org"}
	_, err := start(t, env)
	require.ErrorIs(t, err, chat.ErrContactNotFound)
	require.ErrorContains(t, err, `has the column "email"; there are "Email"`)
	assert.Len(t, w.Requests(), 3, "the exact value, without regard to case, the columns")
}
