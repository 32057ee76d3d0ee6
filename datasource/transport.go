package datasource

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/go-resty/resty/v2"
)

// sharedTransport serves every client without an HTTPClient. The pool is sized for bursts of sends: the two idle
// connections per host that net/http keeps by default make every burst dial anew.
var sharedTransport = sync.OnceValue(func() *http.Transport {
	t := newTransport()
	t.Proxy = http.ProxyFromEnvironment
	t.DialContext = (&net.Dialer{Timeout: dialTime, KeepAlive: 30 * time.Second}).DialContext
	return t
})

// sharedGuarded serves the foreign hosts of clients without a transport or networks of their own.
var sharedGuarded = sync.OnceValue(func() *http.Transport { return guardedTransport(newTransport(), &fileRules{}) })

func newTransport() *http.Transport {
	return &http.Transport{
		ForceAttemptHTTP2:     true,
		MaxIdleConns:          256,
		MaxIdleConnsPerHost:   64,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   dialTime,
		ExpectContinueTimeout: time.Second,
		// Pings find connections that are dead although nobody closed them.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 10 * time.Second, PingTimeout: 5 * time.Second},
	}
}

// sharedResty is the one resty client behind all clients without an HTTPClient: what differs travels with the request.
var sharedResty = sync.OnceValue(func() *requester {
	return buildResty(http.Client{}, &fileRouter{sharedTransport(), sharedGuarded})
})

func newResty(given *http.Client, f *fileRules) *requester {
	var hc http.Client
	if given != nil {
		hc = *given
	} else if len(f.networks) == 0 {
		return sharedResty()
	}
	router := &fileRouter{hc.Transport, sharedGuarded}
	if router.own == nil {
		router.own = sharedTransport()
	}
	if own, ok := hc.Transport.(*http.Transport); ok {
		router.foreign = sync.OnceValue(func() *http.Transport { return guardedTransport(own, f) })
	} else if len(f.networks) > 0 {
		router.foreign = sync.OnceValue(func() *http.Transport { return guardedTransport(newTransport(), f) })
	}
	return buildResty(hc, router)
}

func buildResty(hc http.Client, router *fileRouter) *requester {
	hc.Transport = router
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
	_, traces := router.own.(*http.Transport)
	return &requester{Client: r, traces: traces}
}

// silent keeps resty from writing to the standard error stream.
type silent struct{}

func (silent) Errorf(string, ...any) {}
func (silent) Warnf(string, ...any)  {}
func (silent) Debugf(string, ...any) {}

const maxRedirects = 5

var errRedirects = errors.New("stopped after 5 redirects")

// credentialHeaders are taken away from a request that leaves for another host.
var credentialHeaders = [...]string{"Auth-Token", "Authorization", "Cookie", "Referer"}

// checkRedirect is the redirect policy. net/http would carry the Auth-token header to any host.
//
// Calls of the API stay on their host, since their bodies and queries are as secret as the header. A redirect must not
// turn a write into a GET, whose answer would look like success. Downloads may leave, without credentials, for where
// their rules let them.
func checkRedirect(req *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return errRedirects
	}
	first := via[0]
	files, download := first.Context().Value(filesOf{}).(*fileRules)
	secrets := true
	if download {
		where, err := files.place(req.URL)
		if err != nil {
			return err
		}
		secrets = where == apiServer || where == ownHost
	}
	if req.Method != first.Method && first.Method != http.MethodGet && first.Method != http.MethodHead {
		return http.ErrUseLastResponse
	}
	stays := secrets && sameHost(first, req)
	for _, earlier := range via[1:] {
		stays = stays && sameHost(first, earlier)
	}
	if stays {
		return nil
	}
	if !download {
		return http.ErrUseLastResponse
	}
	for _, name := range credentialHeaders {
		req.Header.Del(name)
	}
	return nil
}

// sameHost allows the step from http to https on one host, and no other change of origin.
func sameHost(from, to *http.Request) bool {
	return sameOrigin(from.URL, to.URL) || upgraded(from.URL, to.URL)
}

// upgraded reports whether to is the https address of what from is without.
func upgraded(from, to *url.URL) bool {
	https := *from
	https.Scheme = "https"
	return from.Scheme == "http" && from.Port() == "" && sameOrigin(&https, to)
}

// bodyOf marks the context of a request whose body is streamed.
type bodyOf struct{}

// streamBody gives a request the body that resty would otherwise read into memory, and has the body of a write watched.
func streamBody(_ *resty.Client, req *http.Request) error {
	if f, ok := req.Context().Value(bodyOf{}).(*form); ok {
		req.Body, req.ContentLength, req.GetBody = f.open(), f.size, nil
	}
	p, ok := req.Context().Value(paceOf{}).(*pace)
	if !ok || req.Body == nil || req.Body == http.NoBody {
		return nil
	}
	req.Body = &sending{ReadCloser: req.Body, pace: p, left: req.ContentLength}
	if again := req.GetBody; again != nil {
		req.GetBody = func() (io.ReadCloser, error) {
			body, err := again()
			if err != nil {
				return nil, err
			}
			return &sending{ReadCloser: body, pace: p, left: req.ContentLength}, nil
		}
	}
	return nil
}
