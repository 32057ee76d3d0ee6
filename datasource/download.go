package datasource

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
)

// Download streams the file at rawURL into w and returns its content type and how many bytes were written. rawURL is
// absolute, or a path of the API such as "v1/media/files/9/contents".
//
// The token and the parameters in extra, such as the key of an encrypted file, are sent only when the host is the
// client's API host or, over https, one of the published Fliplet hosts of its region. Any other host gets a plain
// request, also after a redirect. A URL in a row may point anywhere, so a program that must not reach internal hosts
// has to check rawURL itself.
//
// The request is repeated like other reads until the first byte is written. There is no limit on the size: let w have
// one. progress may be nil. It is called after each write, with -1 as the total when the size is unknown.
func (c *Client) Download(ctx context.Context, rawURL string, extra url.Values, w io.Writer, progress func(got, total int64)) (contentType string, n int64, err error) {
	u, err := c.base.JoinPath("/").Parse(rawURL)
	if err != nil || rawURL == "" || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil {
		return "", 0, errors.New("datasource: rawURL is not the http or https URL of a file")
	}
	if w == nil {
		return "", 0, errors.New("datasource: w is nil: give io.Discard to throw the file away")
	}
	trusted := c.trusts(u)
	if trusted && len(extra) > 0 {
		query := u.Query()
		maps.Copy(query, extra)
		u.RawQuery = query.Encode()
	}
	d := download{to: w, progress: progress}
	cl := &call{method: http.MethodGet, path: u.Host + u.EscapedPath(), target: u.String(), read: true, stream: d.receive}
	if cl.foreign = !trusted; sameOrigin(u, c.base) {
		cl.path = strings.TrimPrefix(u.EscapedPath(), "/")
	} else {
		cl.unlimited = true // the limit is the API's
	}
	err = c.do(context.WithValue(ctx, followAnywhere{}, true), cl, nil)
	return d.contentType, d.got, err
}

// A download is one file on its way.
type download struct {
	to          io.Writer
	progress    func(got, total int64)
	contentType string
	got, total  int64
	refused     error // what to said
}

// receive copies an answer. A failure is one to repeat only before the first byte was written.
func (d *download) receive(resp *http.Response) (again bool, err error) {
	d.contentType, d.total = resp.Header.Get("Content-Type"), resp.ContentLength
	_, err = io.Copy(d, resp.Body)
	return d.got == 0 && d.refused == nil, err
}

// Write passes p on and counts.
func (d *download) Write(p []byte) (int, error) {
	n, err := d.to.Write(p)
	d.got += int64(n)
	d.refused = err
	if d.progress != nil {
		d.progress(d.got, d.total)
	}
	return n, err
}
