package datasource

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
)

const acrossPath = "v1/data-sources/data"

// FindAcross queries many data sources at once: POST v1/data-sources/data. The body of that endpoint is not
// published, so the caller spells it. The rows are appended to into[:0], which may be nil: a caller that polls can
// pass the slice of the poll before, once it has copied the rows that it keeps. After a failure the slice comes back empty.
//
// body must be one JSON object. It is sent as it is, and not used after FindAcross has returned.
func (c *Client) FindAcross(ctx context.Context, body []byte, into []Entry) ([]Entry, error) {
	p := page{entries: into[:0]}
	err := c.across(ctx, body, func(answer []byte) error {
		p.entries = into[:0]
		return decode(answer, func(d *decoder) error { return d.page(&p) })
	})
	if err != nil {
		return into[:0], err
	}
	return p.entries, nil
}

// CountAcross sends body to the same endpoint and returns the answer as it came, since the shape of a count is not
// published either. It is nil when the answer was empty.
func (c *Client) CountAcross(ctx context.Context, body []byte) (json.RawMessage, error) {
	var raw json.RawMessage
	err := c.across(ctx, body, func(answer []byte) error {
		return decode(answer, func(d *decoder) error {
			if d.peek() == 0 {
				raw = nil
				return nil
			}
			value, err := d.raw()
			raw = bytes.Clone(value)
			return err
		})
	})
	return raw, err
}

func (c *Client) across(ctx context.Context, body []byte, accept func([]byte) error) error {
	if trimmed := bytes.TrimSpace(body); len(trimmed) == 0 || trimmed[0] != '{' {
		return errors.New("datasource: the body of a cross-source query must be a JSON object")
	}
	// A server that answers early leaves net/http reading the body, while the caller may already reuse it.
	return c.do(ctx, &call{method: http.MethodPost, path: acrossPath, body: bytes.Clone(body), read: true}, accept)
}
