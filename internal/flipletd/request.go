package flipletd

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
)

// readBody takes in the whole request body, so that a refused request and one
// that is applied twice read the same bytes.
func (c *call) readBody(w http.ResponseWriter) error {
	r := c.req
	if r.Body == nil || r.Body == http.NoBody {
		return nil
	}
	var buf bytes.Buffer
	if n := r.ContentLength; n > 0 {
		buf.Grow(int(min(n, 1<<20)) + bytes.MinRead)
	}
	_, err := buf.ReadFrom(http.MaxBytesReader(w, r.Body, c.srv.maxBody))
	c.body = buf.Bytes()
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return &refusal{status: http.StatusRequestEntityTooLarge, message: "The request body is too large."}
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return badRequest("The request body could not be read.")
	}
	return nil
}

// parseQuery reads a query string, skipping pairs that are malformed.
func parseQuery(raw string) map[string][]string {
	if raw == "" {
		return nil
	}
	values, _ := url.ParseQuery(raw)
	return values
}

// param is a parameter of the query string, "" when absent.
func (c *call) param(name string) string {
	if v := c.query[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// has says that a parameter is there, even empty.
func (c *call) has(name string) bool {
	_, ok := c.query[name]
	return ok
}

// object reads the body as an object: JSON, or a form whose values are texts.
// No body is an empty object. Parameters that a lever ignores are left out.
func (c *call) object() (map[string]any, error) {
	fields, err := c.flat()
	if err != nil {
		return nil, err
	}
	for name := range c.fx.Ignore {
		delete(fields, name)
	}
	return fields, nil
}

// flat is object for bodies whose keys are columns, which levers leave alone.
func (c *call) flat() (map[string]any, error) {
	mediaType, _, _ := mime.ParseMediaType(c.req.Header.Get("Content-Type"))
	if mediaType == "application/x-www-form-urlencoded" {
		values, err := url.ParseQuery(string(c.body))
		if err != nil {
			return nil, badRequest("The request body is not a valid form.")
		}
		fields := make(map[string]any, len(values))
		for k, v := range values {
			name := strings.TrimSuffix(k, "[]")
			if len(v) == 1 && name == k {
				fields[k] = strings.ToValidUTF8(v[0], "\uFFFD")
				continue
			}
			list := make([]any, len(v))
			for i := range v {
				list[i] = strings.ToValidUTF8(v[i], "\uFFFD")
			}
			fields[name] = list
		}
		return fields, nil
	}
	if len(bytes.TrimSpace(c.body)) == 0 {
		return map[string]any{}, nil
	}
	v, err := decodeJSON(c.body)
	if err != nil {
		return nil, err
	}
	fields, ok := v.(map[string]any)
	if !ok {
		return nil, badRequest("The request body must be a JSON object.")
	}
	return fields, nil
}

// isMultipart returns the boundary of a multipart request.
func (c *call) isMultipart() (boundary string, ok bool) {
	mediaType, params, err := mime.ParseMediaType(c.req.Header.Get("Content-Type"))
	if err != nil {
		return "", strings.HasPrefix(strings.ToLower(c.req.Header.Get("Content-Type")), "multipart/form-data")
	}
	return params["boundary"], mediaType == "multipart/form-data"
}

// value answers with a decoded JSON value.
func (c *call) value(status int, v any) error {
	c.status, c.out = status, appendValue(c.out[:0], v)
	return nil
}
