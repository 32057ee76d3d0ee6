package datasource

import (
	"context"
	"encoding/json"
)

// FindAcross sends body to the cross-source endpoint and appends the rows to into[:0].
func (c *Client) FindAcross(ctx context.Context, body []byte, into []Entry) ([]Entry, error) {
	return into[:0], errUnfinished
}

// CountAcross sends body to the cross-source endpoint and returns the raw answer.
func (c *Client) CountAcross(ctx context.Context, body []byte) (json.RawMessage, error) {
	return nil, errUnfinished
}
