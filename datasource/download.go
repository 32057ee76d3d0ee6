package datasource

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
)

// Download streams the file at rawURL into w and returns its content type and how many bytes were written. rawURL is
// absolute, or a path of the API such as "v1/media/files/9/contents".
//
// A URL in a row may point anywhere, so only some are followed; all others fail with ErrFileRefused before any request:
//
//   - files of the client's own API: v1/media/files/<id>/contents and …/thumb, in this spelling. They get the token, and
//     contents also the parameters in extra, such as the key of a private file.
//   - over https, the same paths on the published file hosts of that installation, if Config.BaseURL is its published API.
//   - other files on those hosts that serve files under any path. They are public, and get a plain request.
//   - files of the hosts that Config.FileHosts names or Config.AllowFile allows. They get a plain request, and their
//     addresses must be on the internet or in Config.FileNetworks. That is checked when the host is dialled.
//
// Each redirect is checked in the same way, and one that leaves the host also leaves the credentials behind.
//
// The request is repeated like other reads until the first byte is written. There is no limit on the size: let w have
// one. progress may be nil. It is called after each write, with -1 as the total when the size is unknown.
func (c *Client) Download(ctx context.Context, rawURL string, extra url.Values, w io.Writer, progress func(got, total int64)) (contentType string, n int64, err error) {
	u, err := c.files.base.JoinPath("/").Parse(rawURL)
	if err != nil || rawURL == "" || strings.Contains(rawURL, `\`) {
		return "", 0, fmt.Errorf("datasource: rawURL is not the http or https URL of a file: %w", ErrFileRefused)
	}
	if w == nil {
		return "", 0, errors.New("datasource: w is nil: give io.Discard to throw the file away")
	}
	where, err := c.files.place(u)
	if err != nil {
		return "", 0, fmt.Errorf("datasource: rawURL: %w", err)
	}
	u.Fragment, u.RawFragment = "", ""
	secrets := where == apiServer || where == ownHost
	if secrets && len(extra) > 0 && c.files.contentPath(u) {
		query := u.Query()
		maps.Copy(query, extra)
		u.RawQuery = query.Encode()
	}
	d := download{to: w, progress: progress}
	cl := &call{method: http.MethodGet, path: u.Host + u.EscapedPath(), target: u.String(), read: true, stream: d.receive}
	if cl.foreign = !secrets; where == apiServer {
		cl.path = strings.TrimPrefix(u.EscapedPath(), "/")
	} else {
		cl.unlimited = true // the limit is the API's
	}
	err = c.do(context.WithValue(ctx, filesOf{}, c.files), cl, nil)
	return d.contentType, d.got, err
}

// TakesExtra reports whether Download adds extra, such as the key of a private file, to rawURL: it is the content of a
// media file of the API, or of a published host of its installation. It makes no request.
func (c *Client) TakesExtra(rawURL string) bool {
	u, err := c.files.base.JoinPath("/").Parse(rawURL)
	if err != nil || rawURL == "" || strings.Contains(rawURL, `\`) {
		return false
	}
	where, err := c.files.place(u)
	return err == nil && (where == apiServer || where == ownHost) && c.files.contentPath(u)
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
	if _, err = io.Copy(d, resp.Body); d.refused != nil {
		err = &localError{err}
	}
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
