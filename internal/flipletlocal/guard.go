package flipletlocal

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd"
)

// guard stands before everything that the program serves. A web page from elsewhere
// that is open in a browser on this machine can send requests here, with a name of
// its own that it lets point to this machine (DNS rebinding), or as an image, a form
// or a script. Such requests are refused before anything is read or written.
// Programs that are no browsers send none of the headers that are looked at but Host.
type guard struct {
	next   http.Handler
	hosts  []string // that flags named: a name, or a name and a port
	logger *slog.Logger
}

func newGuard(next http.Handler, hosts []string, logger *slog.Logger) http.Handler {
	return &guard{next: next, hosts: hosts, logger: logger}
}

func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox; frame-ancestors 'none'") // the page has its own
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("X-Frame-Options", "DENY")
	switch {
	case !g.isOurs(r):
		g.refuse(w, r, fmt.Sprintf("The host %.100q is not one of this server's: name it with -host if it is.", r.Host))
	case isForeign(r) && !mayAsk(r):
		g.refuse(w, r, "Pages of another origin may not send requests here without a token in a header: open the address in a tab of its own.")
	default:
		g.next.ServeHTTP(w, r)
	}
}

// isOurs says that a request was meant for this server. A name can be made to point
// here by whoever owns it, so only localhost and what flags name are taken. An
// address cannot, so the one that the connection came in on is taken, too.
func (g *guard) isOurs(r *http.Request) bool {
	name, port := splitHost(r.Host)
	for _, allowed := range g.hosts {
		if n, p := splitHost(allowed); n == name && (p == "" || p == port) {
			return true
		}
	}
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return false
	}
	here, err := netip.ParseAddrPort(local.String())
	if err != nil {
		return false
	}
	if port == "" {
		port = "80"
	}
	if port != fmt.Sprint(here.Port()) {
		return false
	}
	if name == "localhost" {
		return here.Addr().Unmap().IsLoopback()
	}
	ip, err := netip.ParseAddr(name)
	return err == nil && ip.Unmap() == here.Addr().Unmap().WithZone("")
}

// isForeign says that a browser sent the request for a page of another origin, or of
// one that does not tell. New browsers say so about every request, old ones only in
// Origin, when something may be changed or read, or in Referer. A page of another port
// of this machine is foreign, too.
func isForeign(r *http.Request) bool {
	for _, origin := range r.Header.Values("Origin") {
		if !flipletd.SameOrigin(r, origin) {
			return true
		}
	}
	for _, site := range r.Header.Values("Sec-Fetch-Site") {
		if site != "same-origin" && site != "none" { // none is a person: the address bar, a bookmark
			return true
		}
	}
	for _, referrer := range r.Header.Values("Referer") {
		u, err := url.Parse(referrer)
		if err != nil || !flipletd.SameOrigin(r, u.Scheme+"://"+u.Host) {
			return true
		}
	}
	return false
}

// mayAsk says that a foreign page asks the API and has shown a token: a header that no
// browser adds by itself. What it may do is the API's to say. The page at / and what it
// fetches is for nobody else.
func mayAsk(r *http.Request) bool {
	return strings.HasPrefix(r.URL.Path, "/v1/") && r.Header.Get("Origin") != "" && flipletd.Credentialed(r)
}

// refuse answers as the API does.
func (g *guard) refuse(w http.ResponseWriter, r *http.Request, message string) {
	g.logger.Warn("a request was refused", "why", message, "method", r.Method, "path", r.URL.EscapedPath())
	headers(w, "application/json; charset=utf-8")
	w.WriteHeader(http.StatusForbidden)
	writeJSON(w, map[string]string{"message": message})
}

// splitHost takes a Host header apart. The name is in lower case and without the
// brackets of an IPv6 address; the port is "" when there is none.
func splitHost(host string) (name, port string) {
	name, port, err := net.SplitHostPort(host)
	if err != nil {
		name, port = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"), ""
	}
	return strings.ToLower(name), port
}

// checkHost says what is wrong with the value of -host.
func checkHost(value string) error {
	u, err := url.Parse("http://" + value)
	if err != nil || u.Host != value || u.Hostname() == "" || strings.ContainsAny(value, "*@ ") {
		return fmt.Errorf("give a name such as fliplet.test or fliplet.test:8899, without http:// or a path")
	}
	return nil
}
