package flipletd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// hookHosts are the hosts beside this machine's own that web hooks may ask: names and
// addresses, with or without a port, in lower case.
type hookHosts map[string]bool

func parseHookHosts(list []string) (hookHosts, error) {
	hosts := make(hookHosts, len(list))
	for _, text := range list {
		if err := CheckHookHost(text); err != nil {
			return nil, fmt.Errorf("flipletd: the host of web hooks %.100q: %w", text, err)
		}
		host, port, _ := splitAuthority(text) // which was checked
		hosts[joinAuthority(host, port)] = true
	}
	return hosts, nil
}

// CheckHookHost says what is wrong with a host of Config.
func CheckHookHost(text string) error {
	if _, _, err := splitAuthority(text); err != nil {
		return fmt.Errorf("it %w; give a name or an address, such as hooks.example.org or hooks.example.org:8443", err)
	}
	return nil
}

// named says that an option allows a host, which may then be anywhere.
func (h hookHosts) named(host, port string) bool {
	return h[host] || h[joinAuthority(host, port)]
}

// check says what is wrong with an endpoint, which is a template or what became of one. The
// scheme and the host may not come from a row: they are what is checked.
func (h hookHosts) check(endpoint string) error {
	host, port, err := endpointHost(endpoint)
	if err != nil {
		return err
	}
	if !h.named(host, port) && !isLoopback(host) {
		return fmt.Errorf("the host %q is not allowed: web hooks reach this machine only (127.0.0.1, [::1], localhost) "+
			"unless the server is started with the host: -hook-hosts of fliplet-local, HookHosts of package fliplettest", host)
	}
	return nil
}

var errEndpoint = errors.New("must begin with http:// or https://, a host and a slash that are written out, not filled in from a row")

// endpointHost takes the host and the port out of an endpoint. Anything that two readers of
// an address could understand in different ways is an error.
func endpointHost(endpoint string) (host, port string, err error) {
	scheme, rest, _ := strings.Cut(endpoint, "://")
	scheme = strings.ToLower(scheme)
	if scheme != "http" && scheme != "https" {
		return "", "", errEndpoint
	}
	authority := rest
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		authority = rest[:end]
	}
	if strings.Contains(authority, "{") {
		return "", "", errEndpoint
	}
	host, port, err = splitAuthority(authority)
	switch {
	case errors.Is(err, errUser):
		return "", "", err
	case err != nil:
		return "", "", fmt.Errorf("the host %.100q %w", authority, err)
	}
	return host, orElse(port, defaultPort(scheme)), nil
}

func defaultPort(scheme string) string {
	if strings.EqualFold(scheme, "https") {
		return "443"
	}
	return "80"
}

// errUser has its own words, since what stands before an @ can be a password.
var errUser = errors.New("has a user name, or an @ in the host: put credentials into headers")

// splitAuthority reads a host, as a name or an address, and perhaps a port: in lower case and
// without the brackets of IPv6.
func splitAuthority(s string) (host, port string, err error) {
	host = s
	switch {
	case strings.Contains(s, "@"):
		return "", "", errUser
	case strings.HasPrefix(s, "["):
		end := strings.IndexByte(s, ']')
		if end < 0 {
			return "", "", errors.New("has no ] in it")
		}
		ip, err := netip.ParseAddr(s[1:end])
		if err != nil || !ip.Is6() || ip.Zone() != "" {
			return "", "", errors.New("is no IPv6 address")
		}
		host, port = ip.String(), s[end+1:]
	default:
		if i := strings.IndexByte(s, ':'); i >= 0 {
			host, port = s[:i], s[i:]
		}
		if !isHostName(host) {
			return "", "", errors.New("is no name and no address")
		}
	}
	if port != "" {
		n, err := strconv.ParseUint(strings.TrimPrefix(port, ":"), 10, 16)
		if err != nil || n == 0 || port[0] != ':' {
			return "", "", errors.New("has a port that is none")
		}
		port = strconv.FormatUint(n, 10)
	}
	return strings.ToLower(host), port, nil
}

// isHostName takes names of letters, digits and dashes, and IPv4 addresses in their usual
// form only: 2130706433, 0x7f.1 and 127.1 are addresses to some programs.
func isHostName(s string) bool {
	if ip, err := netip.ParseAddr(s); err == nil {
		return ip.Is4()
	}
	last := ""
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, c := range []byte(label) {
			if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
				return false
			}
		}
		last = label
	}
	return len(s) <= 253 && !(last[0] >= '0' && last[0] <= '9')
}

func joinAuthority(host, port string) string {
	if port == "" {
		return host
	}
	return net.JoinHostPort(host, port)
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// errElsewhere is the error of a connection that would leave this machine.
var errElsewhere = errors.New("the host has an address that is not this machine's")

// hookTransport sends hooks over sockets: no proxy, no redirects, no connections that are
// kept. To this machine, what counts is the address that is dialed and not its name.
func hookTransport(local bool) *http.Transport {
	d := &net.Dialer{Timeout: 5 * time.Second}
	if local {
		d.ControlContext = func(_ context.Context, _, address string, _ syscall.RawConn) error {
			to, err := netip.ParseAddrPort(address)
			if err != nil || !to.Addr().Unmap().IsLoopback() {
				return errElsewhere
			}
			return nil
		}
	}
	return &http.Transport{
		DialContext: d.DialContext, DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: 64 << 10,
	}
}
