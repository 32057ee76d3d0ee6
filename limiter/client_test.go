package limiter_test

import (
	"io"
	"net/http"
	"strings"
)

// client is an HTTP client whose requests the server counts.
func (w *world) client() *http.Client { return &http.Client{Transport: counted{w}} }

type counted struct{ w *world }

func (c counted) RoundTrip(r *http.Request) (*http.Response, error) {
	c.w.hit()
	return &http.Response{
		StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}}, Request: r, Body: io.NopCloser(strings.NewReader(`{"entries":[]}`)),
	}, nil
}
