package datasource

import (
	"context"
	"fmt"
	"net/http"
)

// Append inserts many flat rows with one request. It keeps the rows that are there and runs the data source's insert
// hooks. It returns the new rows if the server does, which may answer with nothing. Without rows it makes no request.
//
// The server takes a column called "id" for the id of the row. The batch is not atomic: a failure can leave some rows
// stored, and Doubtful says so.
func (c *Client) Append(ctx context.Context, dataSourceID int64, rows []M) ([]Entry, error) {
	if len(rows) == 0 {
		_, err := sourcePath(dataSourceID, "")
		return nil, err
	}
	return c.bulk(ctx, dataSourceID, rows, true)
}

// Replace DELETES EVERY ROW of the data source and then inserts rows; with no rows it empties the data source. The two
// steps are not atomic, and there is no trash. Use Append to add rows.
func (c *Client) Replace(ctx context.Context, dataSourceID int64, rows []M) ([]Entry, error) {
	return c.bulk(ctx, dataSourceID, rows, false)
}

func (c *Client) bulk(ctx context.Context, dataSourceID int64, rows []M, keep bool) ([]Entry, error) {
	for i, row := range rows {
		if row == nil {
			return nil, fmt.Errorf("datasource: rows[%d] is nil: give the columns, M{} for a row without any", i)
		}
	}
	if rows == nil {
		rows = []M{}
	}
	var o object
	o.add("append", keep)
	o.add("entries", rows)
	body, err := o.bytes()
	if err != nil {
		return nil, err
	}
	p, err := c.rows(ctx, dataSourceID, call{method: http.MethodPost, path: "data", body: body, batch: true}, (*page).confirming)
	return p.entries, err
}
