package flipletd

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd/rowquery"
)

// defaultPage is how many rows the cross-source query returns without a limit. It is
// assumed to be the chat's documented batch size.
const defaultPage = 200

// chatUser resolves a chat token to the identity of its contact: a live row
// with that flUserToken, compared strictly, outside conversations. The caller
// holds the store's lock.
func (c *call) chatUser(token string) (userID string, ok bool) {
	if c.fx.RefuseChatToken || token == "" {
		return "", false
	}
	var contact *version
	for _, v := range c.st.chatTokens[token] {
		s, m := c.st.find(v.DataSourceID, primary)
		if s == nil || !c.reaches(m) || contact != nil && contact.ID < v.ID {
			continue
		}
		contact = v
	}
	if contact == nil {
		return "", false
	}
	userID, _ = contact.data()["flUserId"].(string)
	return userID, true
}

// acrossQuery is a checked cross-source query.
type acrossQuery struct {
	token   string
	filter  *rowquery.Filter // nil: all
	after   keyset
	sources []int64 // nil: all
	order   []ordering
	offset  int
	limit   int
	count   bool
	deleted bool
}

func (c *call) acrossQuery() (*acrossQuery, error) {
	fields, err := c.object()
	if err != nil {
		return nil, err
	}
	q := &acrossQuery{count: fields["count"] == true, deleted: truthy(fields["includeDeleted"])}
	switch token := fields["flUserToken"].(type) {
	case nil:
		if _, given := fields["flUserToken"]; !given && !c.has("flUserToken") {
			return nil, badRequest("flUserToken is required.")
		}
		q.token = c.param("flUserToken")
	case string:
		q.token = token
	default:
		return nil, deadChatToken()
	}
	if where := fields["where"]; where != nil {
		if _, ok := where.(map[string]any); !ok {
			return nil, badRequest("where must be an object.")
		}
		if q.filter, err = rowquery.Compile(where); err != nil {
			return nil, err
		}
		q.after = keysetOf(where)
	}
	// Two more spellings of the scope are taken: its real name is not public.
	for _, name := range []string{"dataSourceIds", "dataSources"} {
		if v := fields[name]; v != nil {
			list, ok := v.([]any)
			if !ok {
				return nil, badRequest("%s must be an array of ids.", name)
			}
			ids := make([]int64, 0, len(list))
			for _, e := range list {
				id, ok := wholeNumber(e)
				if !ok {
					return nil, badRequest("%s must be an array of ids.", name)
				}
				ids = append(ids, id)
			}
			q.sources = ids
		}
	}
	if q.order, err = parseOrder(fields["order"], nil); err != nil {
		return nil, err
	}
	if len(q.order) == 0 {
		q.order = []ordering{{column: "createdAt", desc: true}, {column: "id", desc: true}}
	}
	if q.offset, _, err = size("offset", fields["offset"]); err != nil {
		return nil, err
	}
	var given bool
	if q.limit, given, err = size("limit", fields["limit"]); !given {
		q.limit = defaultPage
	}
	return q, err
}

// acrossSources serves one query over all conversations of a chat user.
func (c *call) acrossSources() error {
	q, err := c.acrossQuery()
	if err != nil {
		return err
	}
	c.st.mu.RLock()
	defer c.st.mu.RUnlock()
	user, ok := c.chatUser(q.token)
	if !ok {
		return deadChatToken()
	}
	sc := &scan{
		st: c.st, sources: c.conversations(user, q.sources), at: c.asOf,
		order: q.order, offset: q.offset, limit: q.limit, after: q.after,
	}
	if q.filter != nil {
		sc.bounds = q.filter.Bounds()
	}
	if !q.deleted {
		sc.probes = rowProbes(q.filter)
	}
	sc.keep = func(v *version) (bool, error) {
		if !v.live() && !q.deleted {
			return false, nil
		}
		if q.filter == nil {
			return true, nil
		}
		return q.filter.Match(&v.Row)
	}
	c.status = http.StatusOK
	if q.count && c.fx.Shape.Count != "array" {
		n, err := sc.count()
		if err != nil {
			return err
		}
		c.out = c.appendCount(c.out[:0], n)
		return nil
	}
	if q.count { // a lever asks for the rows instead of their number
		sc.offset, sc.limit = 0, 0
	}
	rows, _, err := sc.run()
	if err != nil {
		return err
	}
	rows = c.fx.arrange(rows)
	c.out = appendEntries(append(c.out[:0], `{"entries":`...), rows, &listing{shape: &c.fx.Shape, deletedAt: true})
	c.out = append(c.out, '}')
	return nil
}

// appendCount answers a count. The public example reads entries; its shape is
// not documented, so both names are sent unless a lever picks one.
func (c *call) appendCount(b []byte, n int) []byte {
	b = append(b, '{')
	if c.fx.Shape.Count != "count" {
		b = strconv.AppendInt(append(b, `"entries":`...), int64(n), 10)
	}
	if c.fx.Shape.Count == "" {
		b = append(b, ',')
	}
	if c.fx.Shape.Count != "entries" {
		b = strconv.AppendInt(append(b, `"count":`...), int64(n), 10)
	}
	return append(b, '}')
}

// conversations is where a chat user may read: live conversations of the same
// organisation that list them as a participant, as far as the access rules let
// this token read.
func (c *call) conversations(user string, only []int64) []*source {
	if user == "" {
		return nil
	}
	candidates := c.st.members[user]
	var found []*source
	add := func(s *source, m *meta) {
		if m == nil || !m.listsMembers() || !c.reaches(m) || only != nil && !slices.Contains(only, s.id) {
			return
		}
		if !c.fx.Everybody && !slices.Contains(m.participants, user) {
			return
		}
		if _, err := c.allow(m, access{verb: verbSelect}); err != nil {
			return
		}
		found = append(found, s)
	}
	if c.st.current(c.asOf) && !c.fx.Everybody {
		for _, s := range candidates {
			add(s, s.meta)
		}
	} else {
		for _, s := range c.st.sources {
			add(s, s.at(c.asOf))
		}
	}
	slices.SortFunc(found, func(a, b *source) int { return cmp.Compare(a.id, b.id) })
	return found
}
