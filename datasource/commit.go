package datasource

import "context"

// Commit is a batch of inserts, updates and deletions. The zero value of every field is the harmless one.
type Commit struct {
	// Entries with an ID are updates, the others are inserts.
	Entries []CommitEntry
	// Delete lists ids to delete.
	Delete []int64
	// Replace DELETES every row that Entries does not list (append:false).
	Replace bool
	// Overwrite replaces the whole Data of updated rows (extend:false) where the default is a shallow merge.
	Overwrite bool
	// ReturnEntries asks for the whole data source in CommitResult.Entries.
	ReturnEntries bool
	// RunHooks lists the hooks to run: "insert", "update". None by default.
	RunHooks []string
	// Columns replaces the declared columns.
	Columns []string
	// Source is free text for hooks.
	Source string
	// NormalizeOrderGap renumbers the rows' order by this gap. 0 is not sent.
	NormalizeOrderGap int
}

// CommitEntry is one row of a Commit.
type CommitEntry struct {
	ID       int64
	ClientID string
	Data     M
	Order    *int64
}

// CommitResult is the answer to a Commit.
type CommitResult struct {
	Entries   []Entry
	ClientIDs []ClientID
}

// ClientID tells which id an inserted row got.
type ClientID struct {
	ID       int64
	ClientID string
}

// Commit applies a batch of changes.
func (c *Client) Commit(ctx context.Context, dataSourceID int64, cm Commit) (*CommitResult, error) {
	return nil, errUnfinished
}
