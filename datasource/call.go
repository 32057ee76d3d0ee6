package datasource

import (
	"context"
	"net/url"
)

// Call sends in as JSON to any path of the API and decodes the answer into out.
func (c *Client) Call(ctx context.Context, method, path string, query url.Values, in, out any) error {
	return errUnfinished
}
