package chat_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

// untouched checks that nobody's row but those named got an identity or a token.
func (w *world) untouched(source int64, but ...int64) {
	w.t.Helper()
	for _, row := range w.Rows(source) {
		if len(but) > 0 && row.ID == but[0] {
			continue
		}
		assert.NotContains(w.t, row.Data, "flUserId", "row %d", row.ID)
		assert.NotContains(w.t, row.Data, "flUserToken", "row %d", row.ID)
	}
}

func TestALoginThatComparesWithNothingIsRefusedBeforeARequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.connect()
	before := len(w.Requests())
	var setting *string
	for name, query := range map[string]chat.M{
		"no query":              nil,
		"an empty query":        {},
		"an empty where":        {"where": chat.M{}},
		"nil":                   {"flUserToken": nil},
		"a nil pointer":         {"flUserToken": setting},
		"empty text":            {"flUserToken": ""},
		"white space":           {"Email": " \t\n"},
		"nil beside a value":    {"Email": "jane@example.org", "flUserToken": nil},
		"nil in $eq":            {"flUserToken": chat.M{"$eq": nil}},
		"blank in $iLike":       {"Email": chat.M{"$iLike": "  "}},
		"no operators":          {"Email": chat.M{}},
		"an empty $and":         {"$and": []any{}},
		"an empty $or":          {"$or": []chat.M{}},
		"an empty part of $or":  {"$or": []chat.M{{"Email": "x"}, {}}},
		"nil in a part of $and": {"$and": []any{chat.M{"$or": []any{chat.M{"flUserToken": nil}}}}},
		"nil in where":          {"where": chat.M{"flUserToken": nil}},
		"nil in $in":            {"flUserToken": chat.M{"$in": []any{nil}}},
		"nil in $ne":            {"flUserToken": chat.M{"$ne": nil}},
	} {
		for _, opts := range [][]chat.LoginOption{nil, {chat.AnyOperator()}, {chat.Offline()}} {
			_, err := c.Login(t.Context(), query, opts...)
			require.ErrorIs(t, err, chat.ErrInvalid, name)
		}
	}
	_, err := c.Login(t.Context(), chat.M{"flUserToken": nil})
	require.ErrorContains(t, err, `"flUserToken" is nil; give a value`)
	assert.Len(t, w.Requests(), before, "no request was made")
	assert.Nil(t, c.User())
	w.untouched(w.contacts)
}

func TestAServerThatIgnoresTheQueryLogsNobodyInAndWritesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	contacts, _ := w.AddContacts(
		datasource.M{"Email": "first@x.com", "Password": "Secret", "Number": 41, "Admin": true},
		datasource.M{"Email": "banjo@x.com", "Password": "other", "Number": 42, "Admin": false},
		datasource.M{"Email": []string{"jo@x.com"}, "Password": map[string]any{"$eq": "neither"}}, // Fliplet finds it by jo@x.com
	)
	c := w.connect(func(o *chat.Options) { o.DataSourceID = contacts })
	w.Always(fliplettest.Query, fliplettest.Ignore("where"))
	writes := w.Count(fliplettest.Update)
	for name, query := range map[string]chat.M{
		"another address":      {"Email": "jo@x.com"},
		"another case":         {"Email": "First@x.com"},
		"a part":               {"Email": chat.M{"$iLike": "jo@x.com"}},
		"a token":              {"flUserToken": "of nobody"},
		"$eq":                  {"Email": chat.M{"$eq": "jo@x.com"}},
		"where":                {"where": chat.M{"Email": "jo@x.com"}},
		"a password's case":    {"Email": "first@x.com", "Password": "secret"},
		"somebody's password":  {"Email": "first@x.com", "Password": "other"},
		"a number":             {"Number": 43},
		"a boolean":            {"Email": "first@x.com", "Admin": false},
		"all of":               {"$and": []any{chat.M{"Email": "first@x.com"}, chat.M{"Number": 42}}},
		"one of":               {"$or": []any{chat.M{"Email": "a"}, chat.M{"Email": "b"}}},
		"two operators":        {"Email": chat.M{"$eq": "first@x.com", "$iLike": "first"}},
		"a column nobody has":  {"Nickname": "jo"},
		"$in, allowed*":        {"Email": chat.M{"$in": []string{"jo@x.com"}}},
		"$filters, allowed*":   {"$filters": []any{chat.M{"column": "Email", "condition": "==", "value": "jo@x.com"}}},
		"beside the unknown*":  {"Email": chat.M{"$regex": "x"}, "Password": "neither"},
		"within the unknown*":  {"$or": []any{chat.M{"Email": chat.M{"$in": []string{"a"}}}, chat.M{"Number": chat.M{"$gt": 50}}}},
		"not a value*":         {"Email": chat.M{"$not": "first@x.com"}, "Number": 41},
		"$regex of nothing*":   {"Nickname": chat.M{"$regex": "x"}},
		"$like of nothing*":    {"Nickname": chat.M{"$like": "x"}},
		"a list of nothing*":   {"Nickname": []any{"x"}},
		"$filters of nothing*": {"$filters": []any{chat.M{"column": "Nickname", "condition": "contains", "value": "x"}}},
		"a negation, allowed*": {"Email": chat.M{"$nin": []string{"first@x.com", "banjo@x.com"}}},
	} {
		var opts []chat.LoginOption
		if name[len(name)-1] == '*' {
			opts = append(opts, chat.AnyOperator())
		}
		_, err := c.Login(t.Context(), query, opts...)
		require.ErrorIs(t, err, chat.ErrContactNotFound, name)
	}
	assert.Nil(t, c.User())
	assert.Equal(t, writes, w.Count(fliplettest.Update))
	w.untouched(contacts)

	_, err := c.Login(t.Context(), chat.M{"Email": "banjo@x.com", "Password": "other", "Number": 42, "Admin": false})
	require.NoError(t, err, "the one who is meant is found all the same")
	assert.Equal(t, "banjo@x.com", c.User().Data["Email"])
}

func TestOperatorsThatMatchMoreThanOneValueNeedAnyOperator(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	before := len(w.Requests())
	for name, query := range map[string]chat.M{
		"$ne": {"Email": chat.M{"$ne": "q"}}, "$in": {"Email": chat.M{"$in": []string{"jane@example.org"}}},
		"$regex": {"Email": chat.M{"$regex": "jane"}}, "$like": {"Email": chat.M{"$like": "jane"}},
		"$gt": {"Email": chat.M{"$gt": "a"}}, "$exists": {"Email": chat.M{"$exists": true}},
		"$not": {"Email": chat.M{"$not": chat.M{"$eq": "q"}}}, "$nor": {"$nor": []chat.M{{"Email": "q"}}},
		"$where": {"$where": "true"}, "$filters": {"$filters": []any{chat.M{"column": "Email", "condition": "contains", "value": "j"}}},
		"$elemMatch": {"$and": []chat.M{{"$or": []chat.M{{"Tags": chat.M{"$elemMatch": chat.M{"a": 1}}}}}}},
	} {
		c := w.connect()
		_, err := c.Login(t.Context(), query)
		require.ErrorIs(t, err, chat.ErrInvalid, name)
		require.ErrorContains(t, err, fmt.Sprintf("%q", name))
		require.ErrorContains(t, err, "AnyOperator")
	}
	assert.Len(t, w.Requests(), before)
	c := w.connect()
	_, err := c.Login(t.Context(), chat.M{"Email": chat.M{"$regex": "^bob@"}}, chat.AnyOperator())
	require.NoError(t, err)
	assert.Equal(t, w.ids["bob"], c.User().ID)
}

func TestInitAndSubscribeTakeNobodyElseEither(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Always(fliplettest.Query, fliplettest.Ignore("where"))
	env := w.screen()
	env.user = chat.M{"Email": "nobody@example.org"}
	_, err := start(t, env)
	require.ErrorIs(t, err, chat.ErrContactNotFound)
	env.user = chat.M{"Email": chat.M{"$exists": true}}
	_, err = start(t, env)
	require.ErrorIs(t, err, chat.ErrNotLoggedIn, "what is no value names nobody")

	shared, push := w.left("nobody@example.org", fmt.Sprint(w.contacts))
	_, err = subscribe(t, shared)
	require.ErrorIs(t, err, chat.ErrContactNotFound)
	assert.Empty(t, push.got)
	w.untouched(w.contacts)

	env.user = chat.M{"Email": "EVE@example.org"}
	c, err := start(t, env)
	require.NoError(t, err)
	assert.Equal(t, w.ids["eve"], c.User().ID)
	w.untouched(w.contacts, w.ids["eve"])
}

func TestLoggingInAgainTouchesNobodyElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	contacts, ids := w.AddContacts(datasource.M{"Email": "a@x.com", "Team": "A"}, datasource.M{"Email": "b@x.com", "Team": "B"})
	c := w.connect(func(o *chat.Options) { o.DataSourceID = contacts })
	_, err := c.Login(t.Context(), chat.M{"Team": "B"})
	require.NoError(t, err)

	// Somebody who can write rows becomes the first whom the query finds.
	_, err = w.Client().Update(t.Context(), contacts, ids[0], datasource.M{"Team": "B"})
	require.NoError(t, err)
	_, err = w.Client().Update(t.Context(), contacts, ids[1], datasource.M{"flUserToken": nil})
	require.NoError(t, err)
	w.Always(fliplettest.Query, fliplettest.Ignore("where"))
	_, err = c.Messages(t.Context())
	require.NoError(t, err)
	assert.Equal(t, ids[1], c.User().ID)
	w.untouched(contacts, ids[1])

	// The session's own contact does not satisfy its query any more.
	_, err = w.Client().Update(t.Context(), contacts, ids[1], datasource.M{"Team": "C", "flUserToken": nil})
	require.NoError(t, err)
	_, err = c.Messages(t.Context())
	require.Error(t, err)
	w.untouched(contacts, ids[1])
	assert.Nil(t, w.columns(contacts, ids[1])["flUserToken"], "no token was given out")
}

func TestARowThatIsAddedDoesNotComeBeforeTheOneThatWasThere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	planted := w.AddRows(w.contacts, datasource.M{"Email": "jane@example.org", "flUserToken": "known to somebody else", "flUserId": "u-x"})
	for _, faults := range [][]fliplettest.Fault{nil, {fliplettest.Reverse()}} {
		if faults != nil {
			w.Always(fliplettest.Query, faults...)
		}
		for _, query := range []chat.M{{"Email": "jane@example.org"}, {"Email": chat.M{"$iLike": "JANE@example.org"}}} {
			c := w.connect()
			_, err := c.Login(t.Context(), query)
			require.NoError(t, err)
			assert.Equal(t, w.ids["jane"], c.User().ID)
			assert.NotEqual(t, planted[0], c.User().ID)
		}
	}
}

func TestALoginIsCheckedAgainWhenItsIdsWereStored(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bob := w.login("bob")
	columns := fmt.Sprintf(`{"Email":"bob@example.org","flUserId":%q,"flUserToken":"of bob"}`, bob.User().UserID)
	for name, answer := range map[string]string{
		"another's columns":                `{"data":` + columns + `}`,
		"another's columns, the own id":    fmt.Sprintf(`{"id":%d,"data":%s}`, w.ids["eve"], columns),
		"another row":                      fmt.Sprintf(`{"id":%d,"data":%s}`, w.ids["bob"], columns),
		"the same row, another's address":  fmt.Sprintf(`{"id":%d,"data":{"Email":"bob@example.org"}}`, w.ids["eve"]),
		"another source":                   fmt.Sprintf(`{"id":%d,"dataSourceId":1,"data":{"Email":"eve@example.org"}}`, w.ids["eve"]),
		"a list in the place of a column":  `{"data":{"Email":["eve@example.org"]}}`,
		"nothing in the place of a column": `{"data":{"Email":null}}`,
	} {
		f := &forger{next: w.Transport(), answer: func(r *http.Request) string {
			if r.Method == http.MethodPut {
				return answer
			}
			return ""
		}}
		c := w.connect(w.through(f))
		u, err := c.Login(t.Context(), chat.M{"Email": "eve@example.org"})
		require.Error(t, err, name)
		assert.Nil(t, u, name)
		assert.Nil(t, c.User(), name)
		assert.NotContains(t, err.Error(), "bob")
	}
	// A query about what is stored then is no contradiction.
	c := w.connect()
	_, err := c.Login(t.Context(), chat.M{"Email": "eve@example.org", "flUserId": chat.M{"$exists": false}}, chat.AnyOperator())
	require.NoError(t, err)
	assert.NotEmpty(t, c.User().UserID)
}
