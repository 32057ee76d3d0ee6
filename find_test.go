package chat_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

// findable is a data source of the contacts, and a conversation of as many messages, with
// the same columns.
type findable struct {
	*world
	jane *chat.Chat
	talk *chat.Conversation
	ids  []int64 // of the contacts
}

func newFindable(t *testing.T) *findable {
	f := &findable{world: &world{Server: fliplettest.New(t), t: t, ids: map[string]int64{}}}
	var contacts []datasource.M
	for i := range 12 {
		contacts = append(contacts, datasource.M{
			"Email": fmt.Sprintf("p%02d@example.org", i), "Team": []string{"red", "green", "blue"}[i%3], "Size": i % 4, "Note": strings.Repeat("x", i),
		})
	}
	f.contacts, f.ids = f.AddContacts(contacts...)
	client := f.Client()
	c, err := chat.Connect(t.Context(), chat.Options{Client: client, DataSourceID: f.contacts, AppID: f.AppID, PrimaryKey: "Email"})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, c.Close()) })
	_, err = c.Login(t.Context(), chat.M{"Email": "p00@example.org"})
	require.NoError(t, err)
	f.jane = c
	f.talk, err = c.Create(t.Context(), chat.NewConversation{Participants: f.ids[1:2]})
	require.NoError(t, err)
	for i, row := range contacts {
		row["body"], row["fromUserId"], row["readBy"], row["guid"] = fmt.Sprint("text ", i), c.User().UserID, []string{c.User().UserID}, fmt.Sprint("guid-", i)
		_, err := f.Client().Insert(t.Context(), f.talk.ID, row)
		require.NoError(t, err)
	}
	return f
}

// found is what both calls have in common.
type found struct {
	id    int64
	data  chat.M
	extra chat.M
}

// both makes the query of contacts and of messages.
func (f *findable) both(t *testing.T, q datasource.Query, more ...chat.FindOption) (contacts, messages []found, err error) {
	t.Helper()
	contactOptions, fetchOptions := []chat.ContactsOption{chat.Query(q)}, []chat.FetchOption{chat.Query(q)}
	for _, o := range more {
		contactOptions, fetchOptions = append(contactOptions, o), append(fetchOptions, o)
	}
	list, err := f.jane.Contacts(t.Context(), contactOptions...)
	if err != nil {
		return nil, nil, err
	}
	for _, c := range list {
		contacts = append(contacts, found{c.ID, c.Data, c.Extra})
	}
	talk, err := f.talk.Messages().Fetch(t.Context(), fetchOptions...)
	if err != nil {
		return nil, nil, err
	}
	for _, m := range talk {
		messages = append(messages, found{m.ID, m.Data, m.Extra})
	}
	return contacts, messages, nil
}

// emails are those of rows.
func emails(rows []found) string {
	var out []string
	for _, r := range rows {
		text, _ := r.data["Email"].(string)
		out = append(out, strings.TrimSuffix(text, "@example.org"))
	}
	return strings.Join(out, " ")
}

var byEmail = []datasource.Order{{Column: "data.Email", Direction: datasource.Asc}}

// ignorant are servers that ignore parts of queries, or keep no order.
var ignorant = map[string][]fliplettest.Fault{
	"as documented": nil,
	"no where":      {fliplettest.Ignore("where")}, "no limit": {fliplettest.Ignore("limit")}, "no offset": {fliplettest.Ignore("offset")},
	"no order": {fliplettest.Ignore("order")}, "no id": {fliplettest.Ignore("id", "dataSourceEntryId")},
	"no times": {fliplettest.Ignore("createdAt", "updatedAt")}, "no attributes": {fliplettest.Ignore("attributes")},
	"shuffled": {fliplettest.Shuffle()}, "doubled": {fliplettest.DuplicateRow()},
	"nothing": {fliplettest.Ignore("where", "limit", "offset", "order", "id", "dataSourceEntryId", "createdAt", "updatedAt", "attributes"), fliplettest.Reverse()},
}

func TestContactsAndFetchFilterCutAndSortWhatAServerIgnores(t *testing.T) {
	t.Parallel()
	f := newFindable(t)
	row := func(i int) []any { return []any{f.ids[i], f.Rows(f.talk.ID)[i].ID} }
	for name, c := range map[string]struct {
		q    datasource.Query
		want string
	}{
		"where equals":      {datasource.Query{Where: chat.M{"Team": "red"}, Order: byEmail}, "p00 p03 p06 p09"},
		"where in a number": {datasource.Query{Where: chat.M{"Size": chat.M{"$in": []any{"1", 2}}}, Order: byEmail}, "p01 p02 p05 p06 p09 p10"},
		"where part":        {datasource.Query{Where: chat.M{"Email": chat.M{"$iLike": "P1"}}, Order: byEmail}, "p10 p11"},
		"where and or not":  {datasource.Query{Where: chat.M{"$and": []any{chat.M{"$or": []any{chat.M{"Team": "red"}, chat.M{"Size": chat.M{"$gte": 3}}}}, chat.M{"$not": chat.M{"Email": "p03@example.org"}}}}, Order: byEmail}, "p00 p06 p07 p09 p11"},
		"where nothing":     {datasource.Query{Where: chat.M{"Missing": nil, "Size": chat.M{"$ne": 0}}, Order: byEmail, Limit: 2}, "p01 p02"},
		"limit":             {datasource.Query{Order: byEmail, Limit: 3}, "p00 p01 p02"},
		"offset":            {datasource.Query{Order: byEmail, Offset: 9}, "p09 p10 p11"},
		"limit and offset":  {datasource.Query{Order: byEmail, Limit: 2, Offset: 5}, "p05 p06"},
		"all of them": {datasource.Query{
			Where: chat.M{"Team": chat.M{"$nin": []string{"blue"}}}, Order: []datasource.Order{{Column: "data.Size", Direction: "desc"}, {Column: "data.Email"}}, Limit: 3, Offset: 1,
		}, "p07 p06 p10"},
		"an offset beyond the end":  {datasource.Query{Order: byEmail, Limit: 2, Offset: 50}, ""},
		"a row of the entry's id":   {datasource.Query{DataSourceEntryID: 1}, ""},
		"rows changed after a time": {datasource.Query{UpdatedAt: chat.M{"$gt": f.Now()}}, ""},
		"rows made before a time":   {datasource.Query{CreatedAt: chat.M{"$lt": "2001-01-01T00:00:00.000Z"}}, ""},
		"ids":                       {datasource.Query{ID: chat.M{"$in": append(row(3), row(7)...)}, Order: byEmail}, "p03 p07"},
	} {
		for server, faults := range ignorant {
			t.Run(name+"/"+server, func(t *testing.T) {
				if faults != nil {
					defer f.Always(fliplettest.Query, faults...).Off()
				}
				contacts, messages, err := f.both(t, c.q)
				require.NoError(t, err)
				if len(c.q.Order) > 0 {
					assert.Equal(t, c.want, emails(contacts), "contacts")
					assert.Equal(t, c.want, emails(messages), "messages")
				} else {
					assert.Empty(t, append(contacts, messages...))
				}
			})
		}
	}
}

func TestContactsAndFetchTakeEveryOptionOfFind(t *testing.T) {
	t.Parallel()
	f := newFindable(t)
	teams, err := f.Client().CreateDataSource(t.Context(), datasource.NewDataSource{Name: "Teams", AppID: f.AppID, Entries: []datasource.M{
		{"Name": "red", "Lead": "p09", "flUserToken": "a-token"}, {"Name": "blue", "Lead": "p02"},
	}})
	require.NoError(t, err)
	for _, id := range []int64{f.contacts, f.talk.ID} {
		ds, err := f.Client().DataSource(t.Context(), id)
		require.NoError(t, err)
		def := datasource.M{}
		_ = json.Unmarshal(ds.Definition, &def)
		def["views"] = []any{datasource.M{"name": "reds", "filter": datasource.M{"Team": "red"}}}
		_, err = f.Client().UpdateDataSource(t.Context(), id, datasource.SourcePatch{Definition: must(json.Marshal(def))})
		require.NoError(t, err)
	}
	columns := func(rows []found) []string {
		var out []string
		for name := range rows[0].data {
			out = append(out, name)
		}
		slices.Sort(out)
		return out
	}
	t.Run("attributes", func(t *testing.T) {
		contacts, messages, err := f.both(t, datasource.Query{Attributes: []string{"Size"}, Where: chat.M{"Team": "red"}, Order: byEmail})
		require.NoError(t, err)
		require.Len(t, contacts, 4)
		assert.Equal(t, []string{"Email", "Size", "Team", "flUserId"}, columns(contacts), "what is asked for and looked at, and who it is")
		assert.Equal(t, []string{"Email", "Size", "Team", "body", "fromUserId", "guid", "readBy"}, columns(messages))
		msgs, err := f.talk.Messages().Fetch(t.Context(), chat.Query(datasource.Query{Attributes: []string{"data.Size"}, Limit: 1}))
		require.NoError(t, err)
		assert.Equal(t, []any{"text 0", "guid-0", true}, []any{msgs[0].Body, msgs[0].GUID, msgs[0].IsReadByCurrentUser})
	})
	t.Run("id", func(t *testing.T) {
		contacts, messages, err := f.both(t, datasource.Query{ID: f.ids[4]})
		require.NoError(t, err)
		assert.Equal(t, "p04", emails(contacts))
		assert.Empty(t, messages, "ids are unique across data sources")
		_, messages, err = f.both(t, datasource.Query{DataSourceEntryID: f.Rows(f.talk.ID)[6].ID})
		require.NoError(t, err)
		assert.Equal(t, "p06", emails(messages))
	})
	t.Run("createdAt, updatedAt", func(t *testing.T) {
		f.ShiftClock(time.Second)
		later := f.Now()
		f.ShiftClock(time.Second)
		_, err := f.Client().Update(t.Context(), f.contacts, f.ids[5], datasource.M{"Note": "new"})
		require.NoError(t, err)
		_, err = f.Client().Update(t.Context(), f.talk.ID, f.Rows(f.talk.ID)[5].ID, datasource.M{"Note": "new"})
		require.NoError(t, err)
		contacts, messages, err := f.both(t, datasource.Query{UpdatedAt: chat.M{"$gte": later}, CreatedAt: chat.M{"$lte": later}})
		require.NoError(t, err)
		assert.Equal(t, "p05 p05", emails(append(contacts, messages...)))
	})
	t.Run("distinct", func(t *testing.T) {
		contacts, messages, err := f.both(t, datasource.Query{Distinct: "Team", Order: byEmail, Limit: 11, Offset: 1})
		require.NoError(t, err)
		assert.Equal(t, "p01 p02 p03", emails(contacts))
		assert.Equal(t, "p01 p02 p03", emails(messages))
	})
	t.Run("views", func(t *testing.T) {
		contacts, messages, err := f.both(t, datasource.Query{Views: []string{"reds"}, Order: byEmail})
		require.NoError(t, err)
		assert.Equal(t, "p00 p03 p06 p09", emails(contacts))
		assert.Equal(t, "p00 p03 p06 p09", emails(messages))
	})
	t.Run("join", func(t *testing.T) {
		contacts, messages, err := f.both(t, datasource.Query{Order: byEmail, Limit: 2, Join: chat.M{
			"Team": chat.M{"dataSourceId": teams.ID, "on": chat.M{"data.Team": "data.Name"}},
		}})
		require.NoError(t, err)
		for _, rows := range [][]found{contacts, messages} {
			require.Len(t, rows, 2)
			joined, _ := rows[0].extra["joins"].(chat.M)["Team"].([]any)
			require.Len(t, joined, 1)
			data := joined[0].(chat.M)["data"].(chat.M)
			assert.Equal(t, "p09", data["Lead"])
			assert.NotContains(t, data, "flUserToken")
			assert.NotContains(t, fmt.Sprint(rows), "a-token")
		}
	})
	t.Run("aggregate", func(t *testing.T) {
		contacts, messages, err := f.both(t, datasource.Query{Aggregate: []chat.M{
			{"$group": chat.M{"_id": "$data.Team", "n": chat.M{"$sum": 1}}}, {"$sort": chat.M{"_id": 1}},
		}})
		require.NoError(t, err)
		for _, rows := range [][]found{contacts, messages} {
			require.Len(t, rows, 3)
			assert.Equal(t, chat.M{"_id": "blue", "n": json.Number("4")}, rows[0].extra)
			assert.Zero(t, rows[0].id)
			assert.Empty(t, rows[0].data)
		}
	})
	t.Run("pagination", func(t *testing.T) {
		for server, want := range map[string][]int{"as documented": {1, 1, 4, 4}, "no where": {1, 1, 4, -1}, "no limit": {1, 1, 4, 4}} {
			lever := f.Always(fliplettest.Query, append(slices.Clone(ignorant[server]), fliplettest.UnknownFields())...)
			var contacts, messages int
			list, err := f.jane.Contacts(t.Context(), chat.Where(chat.M{"Team": "red"}), chat.Limit(1), chat.Offset(1), chat.Total(&contacts))
			require.NoError(t, err)
			msgs, err := f.talk.Messages().Fetch(t.Context(), chat.Where(chat.M{"Team": "red"}), chat.Limit(1), chat.Offset(1), chat.Total(&messages))
			require.NoError(t, err)
			lever.Off()
			assert.Equal(t, want, []int{len(list), len(msgs), contacts, messages}, server)
		}
		lever := f.Always(fliplettest.Query, fliplettest.Ignore("includePagination"))
		defer lever.Off()
		total := 7
		_, err := f.jane.Contacts(t.Context(), chat.Total(&total))
		require.NoError(t, err)
		assert.Equal(t, -1, total, "the server does not say")
	})
	t.Run("an option beside it wins", func(t *testing.T) {
		contacts, messages, err := f.both(t, datasource.Query{Order: byEmail, Limit: 9, Offset: 9}, chat.Limit(1), chat.Offset(2))
		require.NoError(t, err)
		assert.Equal(t, "p02 p02", emails(append(contacts, messages...)))
	})
}

func TestQueriesThatCannotBeMadeAreRefusedBeforeAnyRequest(t *testing.T) {
	t.Parallel()
	f := newFindable(t)
	before := len(f.Requests())
	for field, q := range map[string]datasource.Query{
		"Type": {Type: "delete", Where: chat.M{"Team": "red"}}, "Limit": {Limit: -1}, "NoLimit": {Limit: 1, NoLimit: true}, "Offset": {Offset: -1},
		"DataSourceEntryID": {DataSourceEntryID: -1}, "Order[0]": {Order: []datasource.Order{{Column: "Team"}}}, "where": {Where: chat.M{"x": func() {}}},
		"Aggregate":  {Aggregate: []chat.M{{"$group": chat.M{"_id": "$data.flUserToken"}}}},
		"Join":       {Join: chat.M{"x": chat.M{"dataSourceId": 1, "on": map[string]string{"data.flUserToken": "data.x"}}}},
		"Distinct":   {Distinct: "flUserToken"},
		"Attributes": {Attributes: []string{"data.flUserToken"}},
	} {
		_, err := f.jane.Contacts(t.Context(), chat.Query(q))
		require.ErrorIs(t, err, chat.ErrInvalid, field)
		require.ErrorContains(t, err, field)
		_, err = f.talk.Messages().Fetch(t.Context(), chat.Query(q))
		require.ErrorIs(t, err, chat.ErrInvalid, field)
	}
	_, err := f.jane.Contacts(t.Context(), chat.Total(nil))
	require.ErrorIs(t, err, chat.ErrInvalid)
	assert.Len(t, f.Requests(), before)
}

func TestLoginIsTheSameOnAServerThatIgnoresTheQuery(t *testing.T) {
	t.Parallel()
	for server, faults := range ignorant {
		t.Run(server, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if faults != nil {
				w.Always(fliplettest.Query, faults...)
			}
			assert.Equal(t, w.ids["bob"], w.login("bob").User().ID)
			c := w.connect()
			_, err := c.Login(t.Context(), chat.M{"Email": chat.M{"$iLike": "nobody@example.org"}})
			require.ErrorIs(t, err, chat.ErrContactNotFound)
			found, err := w.login("jane").ContactByUserID(t.Context(), w.login("bob").User().UserID)
			require.NoError(t, err)
			assert.Equal(t, w.ids["bob"], found.ID)
		})
	}
}
