package flipletd

import (
	"net/http"
	"strconv"
)

// sessionEntry is the reserved entry id that means the authenticated row.
const sessionEntry = "session"

// listEntries serves all entries of a source in the default order.
func (c *call) listEntries() error {
	c.st.mu.RLock()
	defer c.st.mu.RUnlock()
	s, m, err := c.source(c.asOf)
	if err != nil {
		return err
	}
	grant, err := c.allow(m, access{verb: verbSelect})
	if err != nil {
		return err
	}
	var rows []*version
	c.st.each(s, c.asOf, func(v *version) bool {
		if v.live() {
			rows = append(rows, v)
		}
		return true
	})
	defaultOrder(rows)
	rows = c.fx.arrange(rows)
	c.status = http.StatusOK
	c.out = append(c.out[:0], `{"entries":`...)
	c.out = appendEntries(c.out, rows, &listing{shape: &c.fx.Shape, columns: grant.view(nil)})
	c.out = append(c.out, '}')
	return nil
}

// entryID reads the id of an entry from the path.
func (c *call) entryID() (int64, error) {
	arg := c.args[1]
	if arg == sessionEntry {
		if id := c.cred.loggedInWith(); id != 0 {
			return id, nil
		}
		return 0, notFound("The entry of the session")
	}
	id, err := strconv.ParseInt(arg, 10, 64)
	if err != nil || id <= 0 {
		return 0, badRequest("The entry id must be a positive number.")
	}
	return id, nil
}

func (c *call) getEntry() error {
	id, err := c.entryID()
	if err != nil {
		return err
	}
	c.st.mu.RLock()
	defer c.st.mu.RUnlock()
	s, m, err := c.source(c.asOf)
	if err != nil {
		return err
	}
	v := c.st.entry(s, id, c.asOf)
	if v == nil || !v.live() {
		return notFound("The data source entry")
	}
	grant, err := c.allow(m, access{verb: verbSelect, stored: v})
	if err != nil {
		return err
	}
	return c.oneEntry(http.StatusOK, v, grant)
}

// oneEntry answers with a bare entry.
func (c *call) oneEntry(status int, v *version, g *grant) error {
	c.status = status
	b := c.out[:0]
	if c.fx.Shape.WrapEntry {
		b = append(b, `{"entry":`...)
	}
	b = appendEntry(b, v, &listing{shape: &c.fx.Shape, deletedAt: true, columns: g.view(nil)})
	if c.fx.Shape.WrapEntry {
		b = append(b, '}')
	}
	c.out = b
	return nil
}

// submission is the flat columns of a single insert or update.
type submission struct {
	data   map[string]any
	upload *upload // nil unless files came along
}

// submitted reads the columns of a single insert or update. The chat token may
// travel in the query or, towards a conversation, among the columns; there it
// names the sender and is never stored.
func (c *call) submitted() (*submission, error) {
	if boundary, ok := c.isMultipart(); ok {
		return c.readMultipart(boundary)
	}
	data, err := c.flat()
	if err != nil {
		return nil, err
	}
	return &submission{data: data}, nil
}

// checkSender refuses a write to a conversation with a dead chat token. The
// caller holds the store's lock.
func (c *call) checkSender(m *meta, sub *submission) error {
	if m.kind != conversationType {
		return nil
	}
	token := c.param("flUserToken")
	given := c.has("flUserToken")
	if v, ok := sub.data["flUserToken"]; ok {
		delete(sub.data, "flUserToken")
		if !given {
			token, _ = v.(string)
			given = true
		}
	}
	if !given {
		return nil
	}
	if _, ok := c.chatUser(token); !ok {
		return deadChatToken()
	}
	return nil
}

// insertEntry stores one row of flat columns.
func (c *call) insertEntry() error {
	sub, err := c.submitted()
	if err != nil {
		return err
	}
	c.st.mu.Lock()
	defer c.st.mu.Unlock()
	s, m, err := c.source(primary)
	if err != nil {
		return err
	}
	if err := c.checkSender(m, sub); err != nil {
		return err
	}
	grant, err := c.allow(m, access{verb: verbInsert, single: true, sent: sub.data})
	if err != nil {
		return err
	}
	tx := c.begin(logRowsOnly)
	c.keep(tx, m, sub, nil)
	data := c.st.withGUID(m, grant.drop(sub.data))
	data = c.runHooks(m, runInsert, data)
	v := tx.insert(tx.edit(s), 0, data, nil)
	tx.attach(v)
	c.afterWrite(tx, m, runInsert, v)
	if err := tx.commit(); err != nil {
		return err
	}
	status := http.StatusOK
	if c.fx.Shape.InsertCreated {
		status = http.StatusCreated
	}
	return c.oneEntry(status, v, grant)
}

// updateEntry merges flat columns into a row, shallowly.
func (c *call) updateEntry() error {
	id, err := c.entryID()
	if err != nil {
		return err
	}
	sub, err := c.submitted()
	if err != nil {
		return err
	}
	c.st.mu.Lock()
	defer c.st.mu.Unlock()
	s, m, err := c.source(primary)
	if err != nil {
		return err
	}
	if err := c.checkSender(m, sub); err != nil {
		return err
	}
	tx := c.begin(logRowsOnly)
	old := tx.entry(s, id)
	if old == nil || !old.live() {
		return notFound("The data source entry")
	}
	grant, err := c.allow(m, access{verb: verbUpdate, single: true, sent: sub.data, stored: old})
	if err != nil {
		return err
	}
	c.keep(tx, m, sub, old.data())
	data := merge(old.data(), grant.drop(sub.data))
	data = c.runHooks(m, runUpdate, data)
	v := tx.update(tx.edit(s), old, data, old.Order)
	tx.attach(v)
	c.afterWrite(tx, m, runUpdate, v)
	if err := tx.commit(); err != nil {
		return err
	}
	return c.oneEntry(http.StatusOK, v, grant)
}

// deleteEntry leaves a tombstone.
func (c *call) deleteEntry() error {
	id, err := c.entryID()
	if err != nil {
		return err
	}
	c.st.mu.Lock()
	defer c.st.mu.Unlock()
	s, m, err := c.source(primary)
	if err != nil {
		return err
	}
	tx := c.begin(logRowsOnly)
	old := tx.entry(s, id)
	if old == nil || !old.live() {
		return notFound("The data source entry")
	}
	if _, err := c.allow(m, access{verb: verbDelete, stored: old}); err != nil {
		return err
	}
	tx.edit(s)
	tx.remove(old)
	if err := tx.commit(); err != nil {
		return err
	}
	c.status, c.out = http.StatusOK, append(c.out[:0], "{}"...)
	return nil
}
