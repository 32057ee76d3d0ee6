package flipletd

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd/rowquery"
)

// notification is one of an app's, as Fliplet's Notifications API has them. They are not
// in the journal, and no push is sent.
type notification struct {
	id, appID                                int64
	data, scope                              any
	status                                   string
	orderAt, createdAt, updatedAt, deletedAt time.Time
	readBy                                   []string // recipientId
}

func (n *notification) fields() map[string]any {
	fields := map[string]any{
		"id": n.id, "appId": n.appID, "data": n.data, "status": n.status, "createdAt": timeText(n.createdAt),
		"updatedAt": timeText(n.updatedAt), "deletedAt": nil, "orderAt": timeText(n.orderAt),
	}
	if n.scope != nil {
		fields["scope"] = n.scope
	}
	if !n.deletedAt.IsZero() {
		fields["deletedAt"] = timeText(n.deletedAt)
	}
	return fields
}

// set takes over what a body says of a notification, after checking all of it.
func (n *notification) set(fields map[string]any) error {
	if v, given := fields["data"]; given {
		data, ok := v.(map[string]any)
		if !ok {
			return badRequest("data must be an object.")
		}
		if old, ok := n.data.(map[string]any); ok && truthy(fields["extendData"]) {
			data = merge(old, data)
		}
		n.data = data
	}
	switch scope := fields["scope"].(type) {
	case nil:
	case map[string]any:
		n.scope = []any{scope}
	case []any:
		n.scope = scope
	default:
		return badRequest("scope must be an object, or an array of them.")
	}
	if v, given := fields["status"]; given {
		status, _ := v.(string)
		if !slices.Contains([]string{"draft", "published", "scheduled"}, status) {
			return badRequest("status must be draft, published or scheduled.")
		}
		n.status = status
	}
	if v := fields["orderAt"]; v != nil {
		if seconds, ok := wholeNumber(v); ok && seconds > 0 && seconds < 1<<37 {
			n.orderAt = time.Unix(seconds, 0).UTC()
		} else if text, ok := v.(string); !ok || !parseInto(&n.orderAt, text) {
			return badRequest("orderAt must be a time.")
		}
	}
	return nil
}

func parseInto(to *time.Time, text string) bool {
	t, err := time.Parse(time.RFC3339, text)
	if err == nil {
		*to = milliseconds(t)
	}
	return err == nil
}

// listNotifications serves those of an app that match. A GET has no where and no scope.
func (c *call) listNotifications() error {
	fields, err := c.object()
	if err != nil {
		return err
	}
	a, err := c.app()
	if err != nil {
		return err
	}
	for _, name := range []string{"limit", "order", "direction", "count", "includeDeleted"} {
		if v := c.param(name); v != "" && fields[name] == nil {
			fields[name] = v
		}
	}
	limit, given, err := size("limit", fields["limit"])
	if err != nil {
		return err
	}
	if !given {
		limit = 100
	}
	var where *rowquery.Filter
	if v := fields["where"]; v != nil {
		if where, err = rowquery.Compile(v); err != nil {
			return err
		}
	}
	order, _ := fields["order"].(string)
	direction, _ := fields["direction"].(string)
	by, err := notificationOrder(orElse(order, "orderAt"), orElse(direction, "DESC"))
	if err != nil {
		return err
	}
	scopes, _ := fields["scope"].([]any)
	if scope, ok := fields["scope"].(map[string]any); ok {
		scopes = []any{scope}
	}
	c.st.mu.RLock()
	defer c.st.mu.RUnlock()
	var found []*notification
	for _, n := range c.st.notifications {
		if n.appID != a.id || !n.deletedAt.IsZero() && !truthy(fields["includeDeleted"]) || !n.within(scopes) {
			continue
		}
		if where != nil {
			ok, err := where.Match(n.row())
			if err != nil {
				return err
			}
			if !ok {
				continue
			}
		}
		found = append(found, n)
	}
	if truthy(fields["count"]) {
		return c.value(http.StatusOK, map[string]any{"count": len(found)})
	}
	slices.SortStableFunc(found, by)
	list := []any{}
	for i, n := range found {
		if limit > 0 && i == limit {
			break
		}
		list = append(list, n.fields())
	}
	return c.value(http.StatusOK, map[string]any{"notifications": list})
}

// row is what a where clause is about.
func (n *notification) row() *rowquery.Row {
	row := &rowquery.Row{ID: n.id, Data: n.data, CreatedAt: &n.createdAt, UpdatedAt: &n.updatedAt}
	if !n.deletedAt.IsZero() {
		row.DeletedAt = &n.deletedAt
	}
	return row
}

// within reports whether a notification is for everybody, or for one of these scopes.
func (n *notification) within(scopes []any) bool {
	own, _ := n.scope.([]any)
	if len(scopes) == 0 || len(own) == 0 {
		return true
	}
	return slices.ContainsFunc(own, func(have any) bool {
		return slices.ContainsFunc(scopes, func(want any) bool { return rowquery.Contains(have, want) })
	})
}

func notificationOrder(column, direction string) (func(a, b *notification) int, error) {
	var by func(a, b *notification) int
	switch column {
	case "id":
		by = func(a, b *notification) int { return cmp.Compare(a.id, b.id) }
	case "orderAt":
		by = func(a, b *notification) int { return a.orderAt.Compare(b.orderAt) }
	case "createdAt":
		by = func(a, b *notification) int { return a.createdAt.Compare(b.createdAt) }
	case "updatedAt":
		by = func(a, b *notification) int { return a.updatedAt.Compare(b.updatedAt) }
	default:
		return nil, badRequest("Notifications cannot be ordered by %q.", column)
	}
	switch strings.ToUpper(direction) {
	case "ASC":
		return by, nil
	case "DESC":
		return func(a, b *notification) int { return by(b, a) }, nil
	}
	return nil, badRequest("direction must be ASC or DESC.")
}

// createNotification makes one.
func (c *call) createNotification() error {
	fields, err := c.object()
	if err != nil {
		return err
	}
	made, err := c.makeNotifications([]any{fields})
	if err != nil {
		return err
	}
	return c.value(http.StatusOK, map[string]any{"notification": made[0]})
}

// createNotifications makes several, or none when one of them makes no sense.
func (c *call) createNotifications() error {
	fields, err := c.object()
	if err != nil {
		return err
	}
	list, ok := fields["notifications"].([]any)
	if !ok {
		return badRequest("notifications must be an array.")
	}
	made, err := c.makeNotifications(list)
	if err != nil {
		return err
	}
	return c.value(http.StatusOK, map[string]any{"notifications": made})
}

func (c *call) makeNotifications(list []any) ([]any, error) {
	a, err := c.app()
	if err != nil {
		return nil, err
	}
	planned := make([]*notification, len(list))
	for i, e := range list {
		fields, _ := e.(map[string]any)
		if fields["data"] == nil {
			return nil, badRequest("data is required.")
		}
		n := &notification{appID: a.id, status: "draft", orderAt: c.now, createdAt: c.now, updatedAt: c.now}
		if err := n.set(fields); err != nil {
			return nil, err
		}
		planned[i] = n
	}
	c.st.mu.Lock()
	defer c.st.mu.Unlock()
	made := make([]any, len(planned))
	for i, n := range planned {
		n.id = c.st.newID(kindNotification)
		c.st.notifications = append(c.st.notifications, n)
		made[i] = n.fields()
	}
	return made, nil
}

// notification finds the one of the path. The caller holds the store's lock.
func (c *call) notification() (*notification, error) {
	a, err := c.app()
	if err != nil {
		return nil, err
	}
	id, _ := wholeNumber(c.args[1])
	for _, n := range c.st.notifications {
		if n.id == id && n.appID == a.id && n.deletedAt.IsZero() {
			return n, nil
		}
	}
	return nil, notFound("The notification")
}

// updateNotification changes what the body names.
func (c *call) updateNotification() error {
	fields, err := c.object()
	if err != nil {
		return err
	}
	c.st.mu.Lock()
	defer c.st.mu.Unlock()
	n, err := c.notification()
	if err != nil {
		return err
	}
	changed := *n
	if err := changed.set(fields); err != nil {
		return err
	}
	changed.updatedAt = c.now
	*n = changed
	return c.value(http.StatusOK, map[string]any{"notification": n.fields()})
}

// deleteNotification leaves it to be seen with includeDeleted.
func (c *call) deleteNotification() error {
	c.st.mu.Lock()
	defer c.st.mu.Unlock()
	n, err := c.notification()
	if err != nil {
		return err
	}
	n.updatedAt, n.deletedAt = c.now, c.now
	return c.value(http.StatusOK, map[string]any{})
}

// markNotifications notes who has read what. Notifications that are not there are passed over.
func (c *call) markNotifications() error {
	fields, err := c.object()
	if err != nil {
		return err
	}
	a, err := c.app()
	if err != nil {
		return err
	}
	reader, _ := fields["recipientId"].(string)
	if reader == "" {
		return badRequest("recipientId must be a text that is not empty.")
	}
	ids, err := numbers("entries", fields["entries"])
	if err != nil {
		return err
	}
	c.st.mu.Lock()
	defer c.st.mu.Unlock()
	for _, n := range c.st.notifications {
		if n.appID == a.id && slices.Contains(ids, n.id) && !slices.Contains(n.readBy, reader) {
			n.readBy = append(n.readBy, reader)
		}
	}
	return c.value(http.StatusOK, map[string]any{})
}
