package datasource

import (
	"context"
	"net/url"
)

// Result is the answer to a select query.
type Result struct {
	Entries []Entry
	// Deleted holds the tombstones that the server adds to queries that filter by UpdatedAt.
	Deleted []Entry
	// Total is the number of matching rows, present when Query.IncludePagination was set.
	Total *int
}

// Write is a row to insert, or a patch to merge into one.
type Write struct {
	// Data holds the columns, flat.
	Data M
	// Params travels in the query string (folderId, flUserToken …).
	Params url.Values
	// Files turns the request into multipart/form-data.
	Files []Part
	// Progress, when set, is called as the body is sent. total is -1 when unknown.
	Progress func(sent, total int64)
}

// Find returns the rows that match q.
func (c *Client) Find(ctx context.Context, dataSourceID int64, q Query) ([]Entry, error) {
	return nil, errUnfinished
}

// Select is Find with everything the answer holds.
func (c *Client) Select(ctx context.Context, dataSourceID int64, q Query) (*Result, error) {
	return nil, errUnfinished
}

// FindByID returns one row.
func (c *Client) FindByID(ctx context.Context, dataSourceID, entryID int64) (*Entry, error) {
	return nil, errUnfinished
}

// Insert stores one row.
func (c *Client) Insert(ctx context.Context, dataSourceID int64, data M) (*Entry, error) {
	return nil, errUnfinished
}

// InsertEntry is Insert with parameters, files and progress.
func (c *Client) InsertEntry(ctx context.Context, dataSourceID int64, w Write) (*Entry, error) {
	return nil, errUnfinished
}

// Update merges data into one row, shallowly.
func (c *Client) Update(ctx context.Context, dataSourceID, entryID int64, data M) (*Entry, error) {
	return nil, errUnfinished
}

// UpdateEntry is Update with parameters, files and progress.
func (c *Client) UpdateEntry(ctx context.Context, dataSourceID, entryID int64, w Write) (*Entry, error) {
	return nil, errUnfinished
}

// Delete removes one row for good.
func (c *Client) Delete(ctx context.Context, dataSourceID, entryID int64) error { return errUnfinished }

// Append inserts many rows with one request.
func (c *Client) Append(ctx context.Context, dataSourceID int64, rows []M) ([]Entry, error) {
	return nil, errUnfinished
}

// Replace DELETES EVERY ROW of the data source and then inserts rows.
func (c *Client) Replace(ctx context.Context, dataSourceID int64, rows []M) ([]Entry, error) {
	return nil, errUnfinished
}

// UpdateWhere merges patch into every row that q matches.
func (c *Client) UpdateWhere(ctx context.Context, dataSourceID int64, q Query, patch M) ([]Entry, error) {
	return nil, errUnfinished
}

// DeleteWhere deletes every row that q matches and returns how many there were.
func (c *Client) DeleteWhere(ctx context.Context, dataSourceID int64, q Query) (int, error) {
	return 0, errUnfinished
}
