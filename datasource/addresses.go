package datasource

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"syscall"
	"time"
)

// unreachable are the networks inside the public ranges that are not on the internet, from the IANA registries of
// special-purpose addresses. Loopback, private and link-local addresses and the like are found without a list.
var unreachable = func() (list []netip.Prefix) {
	for _, p := range [...]string{
		"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24",
		"203.0.113.0/24", "240.0.0.0/4", // 100.64.0.0/10 is carrier-grade NAT
		"2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", // Teredo and others, documentation, 6to4, documentation
	} {
		list = append(list, netip.MustParsePrefix(p))
	}
	return list
}()

// globalIPv6 holds all public IPv6 addresses. What carries an IPv4 address inside, such as NAT64, is outside.
var globalIPv6 = netip.MustParsePrefix("2000::/3")

// public reports whether ip is an address on the internet.
func public(ip netip.Addr) bool {
	if !ip.IsValid() || ip.Is4In6() || ip.Is6() && !globalIPv6.Contains(ip) {
		return false
	}
	return ip.IsGlobalUnicast() && !ip.IsPrivate() && !slices.ContainsFunc(unreachable, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// mayDial reports whether a foreign host may have this address.
func (f *fileRules) mayDial(ip netip.Addr) bool {
	ip = ip.WithZone("")
	return public(ip) || slices.ContainsFunc(f.networks, func(p netip.Prefix) bool { return p.Contains(ip) || p.Contains(ip.Unmap()) })
}

func refuseAddress(ip netip.Addr) error {
	return refuse("the host's address %s is not on the internet: if it is meant, name its network in Config.FileNetworks", ip)
}

// checkDial refuses the address of a connection.
func (f *fileRules) checkDial(address string) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return refuse("the address of its host cannot be seen")
	}
	if !f.mayDial(at.Addr()) {
		return refuseAddress(at.Addr())
	}
	return nil
}

// filesOf marks the context of a download. Its value is the *fileRules.
type filesOf struct{}

// fileRouter sends downloads from foreign hosts through a transport that sees every address before it is used, so that
// a name cannot lead into the program's own network, and takes the credentials away from them.
type fileRouter struct {
	own     http.RoundTripper
	foreign func() *http.Transport
}

func (r *fileRouter) RoundTrip(req *http.Request) (*http.Response, error) {
	f, ok := req.Context().Value(filesOf{}).(*fileRules)
	if !ok || f.hosted(req.URL) != foreign {
		return r.own.RoundTrip(req)
	}
	bare := req.Clone(req.Context())
	for _, name := range credentialHeaders {
		bare.Header.Del(name)
	}
	return r.foreign().RoundTrip(bare)
}

// CloseIdleConnections closes those of both transports.
func (r *fileRouter) CloseIdleConnections() {
	if own, ok := r.own.(interface{ CloseIdleConnections() }); ok {
		own.CloseIdleConnections()
	}
	r.foreign().CloseIdleConnections()
}

// guardedTransport is a copy of t that dials only what f allows. Proxies are left out, because nobody here sees what a
// proxy dials, and so are certificates, which are credentials, too. A dialer of the caller's own stays in use; its
// connections are checked before they carry anything.
func guardedTransport(t *http.Transport, f *fileRules) *http.Transport {
	dial, dialTLS := t.DialContext, t.DialTLSContext
	t = t.Clone()
	t.Proxy = nil
	t.Dial, t.DialTLS = nil, nil //nolint:staticcheck // old fields that would go around the check
	if t.TLSClientConfig != nil {
		t.TLSClientConfig.Certificates, t.TLSClientConfig.GetClientCertificate = nil, nil
	}
	t.DialContext = f.dialer().DialContext
	if dial != nil {
		t.DialContext = f.checked(dial)
	}
	if dialTLS != nil {
		t.DialTLSContext = f.checked(dialTLS)
	}
	return t
}

// dialer refuses an address after it was resolved and before anything is sent to it.
func (f *fileRules) dialer() *net.Dialer {
	return &net.Dialer{Timeout: 15 * time.Second, KeepAlive: 30 * time.Second, Control: func(network, address string, _ syscall.RawConn) error {
		return f.checkDial(address)
	}}
}

type dialFunc = func(ctx context.Context, network, address string) (net.Conn, error)

// checked refuses the connections of a dialer of the caller's own.
func (f *fileRules) checked(dial dialFunc) dialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		if err := f.checkDial(conn.RemoteAddr().String()); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
		return conn, nil
	}
}
