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
		"an id of the SDK's":     {chat.M{"flUserId": "0123456789abcdef"}, ""}, // nobody has ever logged in
		"a token":                {chat.M{"flUserToken": "0123456789abcdef"}, ""},
		"a path":                 {chat.M{"Email.domain": "nobody"}, ""},
	} {
		asked := len(w.Requests())
		_, err := c.Login(t.Context(), test.query, chat.AnyOperator())
		require.ErrorIs(t, err, chat.ErrContactNotFound, name)
		var e *chat.Error
		require.ErrorAs(t, err, &e)
		assert.Equal(t, 404, e.Code)
		if test.missing == "" {
			assert.Equal(t, 2, len(w.Requests())-asked, "%s: one more request", name)
			assert.EqualError(t, err, "chat: login: contact not found", name)
			continue
		}
		assert.Equal(t, 3, len(w.Requests())-asked, "%s: two more requests", name)
		assert.Equal(t, err.Error(), fmt.Sprintf(`chat: login: contact not found: no row of data source %d has the column %s; there are "Email", "Full name"`, w.contacts, test.missing), name)
		for _, value := range []string{"jane@example.org", "nobody"} {
			assert.NotContains(t, err.Error(), value, name)
		}
	}

	_, err := c.ContactByUserID(t.Context(), "somebody")
	require.ErrorIs(t, err, chat.ErrContactNotFound)
	require.EqualError(t, err, "chat: contact: contact not found", "nobody has ever logged in")
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
		"refused": fliplettest.Status(403), "down": fliplettest.Status(503),
	} {
		for _, route := range []fliplettest.Route{fliplettest.GetSource, fliplettest.Query} {
			w := newWorld(t)
			if route == fliplettest.Query {
				w.After(1, 1000, route, fault) // the login's own is answered
			} else {
				w.Always(route, fault)
			}
			_, err := w.connect().Login(t.Context(), chat.M{"email": "jane@example.org"})
			require.EqualError(t, err, "chat: login: contact not found", "%s, %s", name, route)
		}
	}
}

// Data sources need not declare their columns, and older rows may have columns that
// younger ones have not.
func TestWhichColumnsExistIsToldByRowsToo(t *testing.T) {
	t.Parallel()
	for name, hide := range map[string]fliplettest.Fault{"null": fliplettest.NullFields("columns"), "left out": fliplettest.OmitFields("columns")} {
		for _, many := range []bool{false, true} {
			rows := []datasource.M{{"Old": 1}}
			for i := range 150 {
				if many || i == 0 {
					rows = append(rows, datasource.M{"Email": fmt.Sprint(i), "Name": "x"})
				}
			}
			w := newWorld(t)
			contacts, _ := w.AddContacts(rows...)
			w.Always(fliplettest.GetSource, hide)
			c := w.connect(func(o *chat.Options) { o.DataSourceID = contacts })
			_, err := c.Login(t.Context(), chat.M{"Old": "nobody"})
			require.EqualError(t, err, "chat: login: contact not found", "%s, %v", name, many)
			_, err = c.Login(t.Context(), chat.M{"email": "nobody"})
			require.ErrorContains(t, err, fmt.Sprintf(`no row of data source %d has the column "email"; there are "Email", "Name"`, contacts), "%s, %v", name, many)
		}
	}
}

func TestNoContactsAreToldFromAMissingPerson(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	contacts, ids := w.AddContacts(datasource.M{"Email": "only"})
	w.remove(contacts, ids[0])
	c := w.connect(func(o *chat.Options) { o.DataSourceID = contacts })
	for _, query := range []chat.M{{"Email": "jane"}, {"email": "jane"}, {"flUserId": "jane"}} {
		_, err := c.Login(t.Context(), query)
		require.ErrorIs(t, err, chat.ErrContactNotFound)
		require.EqualError(t, err, fmt.Sprintf("chat: login: contact not found: data source %d is empty", contacts))
	}
	_, err := c.ContactByUserID(t.Context(), "jane")
	require.EqualError(t, err, fmt.Sprintf("chat: contact: contact not found: data source %d is empty", contacts))
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
	assert.Len(t, w.Requests(), 4, "the exact value, without regard to case, the columns of rows, those that are declared")
}
