package datasource

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"
)

const acrossPath = "v1/data-sources/data"

// FindAcross queries many data sources with one request: POST v1/data-sources/data. It is for programs that poll,
// search or export more data sources than they can ask one by one; package chat receives messages with it.
//
// body must be one JSON object. Fliplet has not published its form, so the caller writes it. It is sent as it is, and
// not used after FindAcross has returned.
//
// A limit in body bounds what is kept of the answer: twice as many rows. A row that breaks a limit of this package comes
// with Entry.Err.
//
// The rows are appended to into[:0], and into may be nil. A caller that polls can pass the slice of the poll before,
// once it has copied the rows that it keeps. After a failure the slice is empty.
func (c *Client) FindAcross(ctx context.Context, body []byte, into []Entry) ([]Entry, error) {
	r, err := c.SelectAcross(ctx, body, into)
	if err != nil {
		return into[:0], err
	}
	return r.Entries, nil
}

// SelectAcross is FindAcross with the time of the answer, for programs that keep a position among the rows and must not
// let a row's timestamp move it into the future. Entries, Answered, Size and More are set. It makes one request.
//
// Errors are those of FindAcross.
func (c *Client) SelectAcross(ctx context.Context, body []byte, into []Entry) (*Result, error) {
	p := page{entries: into[:0]}
	rows := limitOf(body)
	cl := &call{list: rowFields, rows: rows, most: c.most(ctx)}
	answered, err := c.across(ctx, body, cl, func(answer []byte) error {
		p = page{entries: into[:0]}
		if err := decode(answer, func(d *decoder) error {
			d.bound(c.maxBytes, rows)
			return d.page(&p)
		}); err != nil {
			return err
		}
		return p.some()
	})
	if err != nil {
		return nil, err
	}
	return &Result{Entries: p.entries, Answered: answered, Size: cl.kept, More: p.more(&c.evidence.across, rows, cl.size)}, nil
}

// CountAcross asks the endpoint of FindAcross for a count, as badges and dashboards need it: no rows are transferred.
// body is as for FindAcross. The form of the answer is not published either, so it is returned as it came, and nil when
// it was empty.
func (c *Client) CountAcross(ctx context.Context, body []byte) (json.RawMessage, error) {
	var raw json.RawMessage
	_, err := c.across(ctx, body, &call{}, func(answer []byte) error {
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

func (c *Client) across(ctx context.Context, body []byte, cl *call, accept func([]byte) error) (answered time.Time, err error) {
	if trimmed := bytes.TrimSpace(body); len(trimmed) == 0 || trimmed[0] != '{' {
		return answered, errors.New("datasource: the body of a cross-source query must be a JSON object")
	}
	// A server that answers early leaves net/http reading the body, while the caller may already reuse it.
	cl.method, cl.path, cl.body, cl.read = http.MethodPost, acrossPath, bytes.Clone(body), true
	err = c.do(ctx, cl, accept)
	return cl.answered(), err
}
