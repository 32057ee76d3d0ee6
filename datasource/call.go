package datasource

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// Call makes a request that has no method of its own, such as GET v1/session. It is for every part of the API that this
// package does not cover.
//
// path is relative to the base URL, escaped, and begins with v1/. in may be nil, url.Values (sent as a form),
// json.RawMessage or []byte (sent as JSON), or anything that encoding/json writes. out may be nil, *json.RawMessage, or
// anything that encoding/json reads; numbers in an any become json.Number. An empty answer leaves out alone.
//
// GET and HEAD are repeated like other reads, everything else like a write.
func (c *Client) Call(ctx context.Context, method, path string, query url.Values, in, out any) error {
	cl := &call{method: method, path: path, query: query.Encode(), batch: true, read: method == http.MethodGet || method == http.MethodHead}
	if err := checkPath(path); err != nil {
		return err
	}
	switch method {
	case http.MethodGet, http.MethodHead:
		if in != nil {
			return fmt.Errorf("datasource: in is set, but %s has no body", method)
		}
	case http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete:
	default:
		return fmt.Errorf("datasource: method %q is not one of GET, HEAD, POST, PUT, PATCH and DELETE", method)
	}
	var err error
	switch in := in.(type) {
	case nil:
	case url.Values:
		cl.body, cl.mime = []byte(in.Encode()), "application/x-www-form-urlencoded"
	case json.RawMessage:
		cl.body = bytes.Clone(in)
	case []byte:
		cl.body = bytes.Clone(in)
	default:
		if cl.body, err = appendValue(nil, in); err != nil {
			return fmt.Errorf("datasource: in: %w", err)
		}
	}
	return c.do(ctx, cl, func(body []byte) error {
		if out == nil || len(bytes.TrimSpace(body)) == 0 {
			return nil
		}
		decoder := json.NewDecoder(bytes.NewReader(body))
		decoder.UseNumber()
		if err := decoder.Decode(out); err != nil {
			return err
		}
		if _, err := decoder.Token(); err != io.EOF {
			return errors.New("the answer has text after its value")
		}
		return nil
	})
}

// checkPath refuses what would leave the API: the token goes along.
func checkPath(path string) error {
	u, err := url.Parse(path)
	switch {
	case err != nil || u.IsAbs() || u.Host != "" || u.Opaque != "" || !strings.HasPrefix(path, "v1/"):
		return errors.New(`datasource: path is not like "v1/session"`)
	case u.RawQuery != "" || u.ForceQuery || strings.Contains(path, "#"):
		return errors.New("datasource: path holds a query or fragment: give it as query, or escape ? and #")
	}
	for part := range strings.SplitSeq(u.Path, "/") {
		if part == "." || part == ".." {
			return errors.New("datasource: path holds a . or .. segment")
		}
	}
	return nil
}
