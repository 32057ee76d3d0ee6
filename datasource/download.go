package datasource

import (
	"context"
	"io"
	"net/url"
)

// Download streams the file at rawURL into w.
func (c *Client) Download(ctx context.Context, rawURL string, extra url.Values, w io.Writer, progress func(got, total int64)) (contentType string, n int64, err error) {
	return "", 0, errUnfinished
}
