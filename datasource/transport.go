package datasource

import (
	"errors"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/go-resty/resty/v2"
)

// sharedTransport serves every client without an HTTPClient. The pool is sized for bursts of sends: the two idle
// connections per host that net/http keeps by default make every burst dial anew.
var sharedTransport = sync.OnceValue(func() *http.Transport {
	dialer := &net.Dialer{Timeout: 15 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           dialer.DialContext,
		ForceAttemptHTTP2:     true,
		MaxIdleConns:          256,
		MaxIdleConnsPerHost:   64,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   15 * time.Second,
		ResponseHeaderTimeout: 2 * time.Minute,
		ExpectContinueTimeout: time.Second,
		// Pings find connections that are dead although nobody closed them.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 30 * time.Second, PingTimeout: 15 * time.Second},
	}
})

// sharedResty is the one resty client behind all clients without an HTTPClient: what differs travels with the request.
var sharedResty = sync.OnceValue(func() *resty.Client { return buildResty(http.Client{}) })

func newResty(given *http.Client) *resty.Client {
	if given == nil {
		return sharedResty()
	}
	return buildResty(*given)
}

func buildResty(hc http.Client) *resty.Client {
	if hc.Transport == nil {
		hc.Transport = sharedTransport()
	}
	next := hc.CheckRedirect
	hc.CheckRedirect = func(req *http.Request, via []*http.Request) error {
		if err := checkRedirect(req, via); err != nil || next == nil {
			return err
		}
		return next(req, via)
	}
	r := resty.NewWithClient(&hc)
	r.SetLogger(silent{})
	r.SetPreRequestHook(streamBody)
	return r
}

// silent keeps resty from writing to the standard error stream.
type silent struct{}

func (silent) Errorf(string, ...any) {}
func (silent) Warnf(string, ...any)  {}
func (silent) Debugf(string, ...any) {}

const maxRedirects = 5

var errRedirects = errors.New("stopped after 5 redirects")

// followAnywhere marks the context of a request that may be redirected to another host, without its credentials.
type followAnywhere struct{}

// checkRedirect is the redirect policy. net/http would carry the Auth-token header to any host.
//
// Calls of the API stay on their host, since their bodies and queries are as secret as the header. A redirect must not
// turn a write into a GET, whose answer would look like success. Downloads may leave, without credentials.
func checkRedirect(req *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return errRedirects
	}
	first := via[0]
	if req.Method != first.Method && first.Method != http.MethodGet && first.Method != http.MethodHead {
		return http.ErrUseLastResponse
	}
	stays := sameHost(first, req)
	for _, earlier := range via[1:] {
		stays = stays && sameHost(first, earlier)
	}
	if stays {
		return nil
	}
	if first.Context().Value(followAnywhere{}) == nil {
		return http.ErrUseLastResponse
	}
	for _, name := range [...]string{"Auth-Token", "Authorization", "Cookie", "Referer"} {
		req.Header.Del(name)
	}
	return nil
}

// sameHost allows the step from http to https on one host, and no other change of origin.
func sameHost(from, to *http.Request) bool {
	if sameOrigin(from.URL, to.URL) {
		return true
	}
	upgraded := *from.URL
	upgraded.Scheme = "https"
	return from.URL.Scheme == "http" && from.URL.Port() == "" && sameOrigin(&upgraded, to.URL)
}

// bodyOf marks the context of a request whose body is streamed.
type bodyOf struct{}

// streamBody gives a request the body that resty would otherwise read into memory.
func streamBody(_ *resty.Client, req *http.Request) error {
	if f, ok := req.Context().Value(bodyOf{}).(*form); ok {
		req.Body, req.ContentLength, req.GetBody = f.open(), f.size, nil
	}
	return nil
}
