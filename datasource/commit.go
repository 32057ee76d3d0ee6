package datasource

import (
	"context"
	"errors"
	"fmt"
	"net/http"
)

// Commit is a batch of inserts, updates and deletions. The server's own defaults are destructive: rows that are not
// listed vanish, and updated rows lose the columns that are not sent. Here every zero value is the harmless one.
type Commit struct {
	// Entries are the rows to insert (without an ID) and to update (with one).
	Entries []CommitEntry
	// Delete lists the ids of rows to delete, for good.
	Delete []int64
	// Replace DELETES EVERY ROW that Entries does not list (append:false on the wire).
	Replace bool
	// Overwrite REMOVES the columns of updated rows that Data does not hold (extend:false on the wire). Otherwise Data is
	// merged as in Update.
	Overwrite bool
	// ReturnEntries asks for CommitResult.Entries, which is the whole data source and not only what was written.
	ReturnEntries bool
	// RunHooks lists the hooks to run: "insert", "update". None runs by default.
	RunHooks []string
	// Columns replaces the columns that the data source declares.
	Columns []string
	// Source is a free text that hooks can see.
	Source string
	// NormalizeOrderGap renumbers the Order of all rows in steps of this size. 0 does not.
	NormalizeOrderGap int
}

// CommitEntry is one row of a Commit.
type CommitEntry struct {
	// ID is the row to update, or 0 to insert one. What the server makes of an id that does not exist is not known.
	ID int64
	// ClientID names an inserted row in CommitResult.ClientIDs.
	ClientID string
	// Data holds the columns.
	Data M
	// Order sets the manual sort position, unless nil.
	Order *int64
}

// CommitResult is the answer to a Commit.
type CommitResult struct {
	// Entries is the whole data source when Commit.ReturnEntries was set.
	Entries []Entry
	// ClientIDs tells the ids of inserted rows that had a ClientID.
	ClientIDs []ClientID
}

// ClientID pairs the id of an inserted row with the caller's name for it.
type ClientID struct {
	ID       int64
	ClientID string
}

// Commit applies a batch of changes. It is not atomic: a failure can leave a part of it applied, and Doubtful says so.
func (c *Client) Commit(ctx context.Context, dataSourceID int64, cm Commit) (*CommitResult, error) {
	body, err := cm.body()
	if err != nil {
		return nil, err
	}
	p, err := c.rows(ctx, dataSourceID, call{method: http.MethodPost, path: "commit", body: body, batch: cm.Replace || len(body) > smallCommit}, (*page).confirming)
	if err != nil {
		return nil, err
	}
	return &CommitResult{Entries: p.entries, ClientIDs: p.clientIDs}, nil
}

func (cm *Commit) body() ([]byte, error) {
	if err := cm.check(); err != nil {
		return nil, fmt.Errorf("datasource: %w", err)
	}
	hooks := cm.RunHooks
	if hooks == nil {
		hooks = []string{}
	}
	rows := make([]object, len(cm.Entries))
	o := object{b: make([]byte, 0, 256)}
	o.add("append", !cm.Replace)
	o.add("extend", !cm.Overwrite)
	o.add("returnEntries", cm.ReturnEntries)
	o.add("runHooks", hooks)
	o.name("entries")
	o.b = append(o.b, '[')
	for i := range cm.Entries {
		cm.Entries[i].write(&rows[i])
		row, err := rows[i].bytes()
		if err != nil {
			return nil, fmt.Errorf("datasource: Commit.Entries[%d]: %w", i, rows[i].fault)
		}
		if i > 0 {
			o.b = append(o.b, ',')
		}
		o.b = append(o.b, row...)
	}
	o.b = append(o.b, ']')
	if len(cm.Delete) > 0 { // even an empty list would switch Replace off
		o.add("delete", cm.Delete)
	}
	if cm.Columns != nil {
		o.add("columns", cm.Columns)
	}
	if cm.Source != "" {
		o.add("source", cm.Source)
	}
	if cm.NormalizeOrderGap != 0 {
		o.add("normalizeOrder", M{"gap": cm.NormalizeOrderGap})
	}
	return o.bytes()
}

func (e *CommitEntry) write(o *object) {
	if e.ID != 0 {
		o.add("id", e.ID)
	}
	if e.ClientID != "" {
		o.add("clientId", e.ClientID)
	}
	data := e.Data
	if data == nil {
		data = M{}
	}
	o.add("data", data)
	if e.Order != nil {
		o.add("order", *e.Order)
	}
}

func (cm *Commit) check() error {
	if len(cm.Entries) == 0 {
		switch {
		case cm.Replace:
			return errors.New("Commit.Replace without Entries would delete every row: Client.Replace with no rows does that")
		case len(cm.Delete) == 0:
			return errors.New("nothing to do: give Entries or Delete")
		}
	}
	if cm.Replace && len(cm.Delete) > 0 {
		return errors.New("Commit.Replace deletes all rows that are not listed, so Delete cannot be given with it")
	}
	if cm.NormalizeOrderGap < 0 {
		return fmt.Errorf("Commit.NormalizeOrderGap is %d: give a positive number", cm.NormalizeOrderGap)
	}
	for i, id := range cm.Delete {
		if id <= 0 {
			return fmt.Errorf("Commit.Delete[%d] is %d: ids are positive", i, id)
		}
	}
	for i, hook := range cm.RunHooks {
		if hook != "insert" && hook != "update" {
			return fmt.Errorf(`Commit.RunHooks[%d] is %q: only "insert" and "update" can be run`, i, hook)
		}
	}
	for i, e := range cm.Entries {
		switch {
		case e.ID < 0:
			return fmt.Errorf("Commit.Entries[%d].ID is %d: ids are positive, and 0 inserts", i, e.ID)
		case e.Data == nil && (e.ID == 0 || e.Order == nil || cm.Overwrite):
			return fmt.Errorf("Commit.Entries[%d].Data is nil: give the columns, M{} for none", i)
		}
	}
	return nil
}
