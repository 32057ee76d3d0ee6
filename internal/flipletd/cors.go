package flipletd

import (
	"net/http"
	"slices"
	"strings"
)

// Apps of Fliplet run in browsers, on other origins than the API. A page sends its token
// in a header: that is the proof that it may ask, since no browser adds a header to what
// a foreign page sends. A token in a cookie or in an address is none, for a browser sends
// those for anybody. So an answer may be read by pages of all origins when a header has
// a token, and by no other origin otherwise. A page may have its cookies sent along, as
// some do with every request: beside a token in a header no cookie is looked at.

// allowedHeaders are those that Fliplet's JavaScript sends. What else a page names in a
// preflight is allowed, too: it proves nothing.
const allowedHeaders = "Auth-Token, Authorization, Cache-Control, Content-Type, X-App-Locales, X-Device-Platform, X-Device-Tracking"

// tokenHeaders are the headers that a token can come in.
var tokenHeaders = []string{"Auth-Token", "Authorization"}

// Credentialed reports whether a page of another origin may send a request and read the
// answer: it has a token in a header, or it is the preflight of one that will have.
func Credentialed(r *http.Request) bool {
	if isPreflight(r) {
		for _, list := range r.Header.Values("Access-Control-Request-Headers") {
			for name := range strings.SplitSeq(list, ",") {
				if slices.Contains(tokenHeaders, http.CanonicalHeaderKey(strings.TrimSpace(name))) {
					return true
				}
			}
		}
		return false
	}
	return headerToken(r) != ""
}

// SameOrigin reports whether an origin is that of the address under which the request came.
func SameOrigin(r *http.Request, origin string) bool {
	return strings.EqualFold(origin, "http://"+r.Host) || strings.EqualFold(origin, "https://"+r.Host)
}

// isPreflight reports whether a browser asks if a page may send a request.
func isPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && r.Header.Get("Origin") != "" && r.Header.Get("Access-Control-Request-Method") != ""
}

// allowOrigin tells a browser that the page may read the answer. It reports whether that
// was all that the browser wanted to know.
func allowOrigin(h http.Header, r *http.Request) (preflight bool) {
	origin := r.Header.Get("Origin")
	if origin == "" || SameOrigin(r, origin) {
		return false
	}
	h.Set("Vary", "Origin")
	preflight = isPreflight(r)
	if !Credentialed(r) {
		return preflight
	}
	h.Set("Access-Control-Allow-Origin", origin) // browsers take no * when cookies come along
	h.Set("Access-Control-Allow-Credentials", "true")
	if !preflight {
		h.Set("Access-Control-Expose-Headers", "Content-Disposition, Content-Length, Date")
		return false
	}
	h.Set("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, DELETE")
	h.Set("Access-Control-Allow-Headers", allowedHeaders+", "+strings.Join(r.Header.Values("Access-Control-Request-Headers"), ", "))
	h.Set("Access-Control-Max-Age", "600")
	if r.Header.Get("Access-Control-Request-Private-Network") == "true" {
		h.Set("Access-Control-Allow-Private-Network", "true")
	}
	return true
}
