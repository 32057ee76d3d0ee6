package datasource

import (
	"net/url"
	"slices"
	"strings"
)

// A region is one of Fliplet's installations. The host names are published.
type region struct {
	prefix string // of its tokens
	api    string
	cdns   []string // hosts that serve files under any path
	apps   string   // serves apps, and passes a part of the API on
}

var regions = [...]region{
	{"eu", "api.fliplet.com", []string{"cdn.fliplet.com", "cdn.api.fliplet.com"}, "apps.fliplet.com"},
	{"us", "us.api.fliplet.com", []string{"us.cdn.fliplet.com", "us.cdn.api.fliplet.com"}, "us-apps.fliplet.com"},
	{"ca", "ca.api.fliplet.com", []string{"ca.cdn.fliplet.com", "ca.cdn.api.fliplet.com"}, "ca-apps.fliplet.com"},
}

// regionOf picks the region of a token by its first two letters, as Fliplet's own clients do, or nil.
func regionOf(token string) *region {
	for i := range regions {
		if len(token) >= 2 && strings.EqualFold(token[:2], regions[i].prefix) {
			return &regions[i]
		}
	}
	return nil
}

// regionAt is the region that a published host, as hostOf gives it, belongs to, or nil.
func regionAt(host string) *region {
	for i := range regions {
		if regions[i].has(host) {
			return &regions[i]
		}
	}
	return nil
}

// regionOfAPI is the region whose API is at base, or nil. Another port, or another published host, may be anybody's
// forwarding, so its client has no other hosts.
func regionOfAPI(base *url.URL) *region {
	r := regionAt(hostOf(base))
	if r == nil || !sameOrigin(base, &url.URL{Scheme: "https", Host: r.api}) || base.Path != "" {
		return nil
	}
	return r
}

func (r *region) has(host string) bool {
	return r != nil && (host == r.api || host == r.apps || slices.Contains(r.cdns, host))
}

// serves reports whether a host has files elsewhere than under the API's paths.
func (r *region) serves(host string) bool { return r != nil && slices.Contains(r.cdns, host) }

// hostOf is the host of u in the one spelling that is compared: small letters, without the dot that may end it.
func hostOf(u *url.URL) string { return strings.ToLower(strings.TrimSuffix(u.Hostname(), ".")) }

// sameOrigin compares scheme, host and port.
func sameOrigin(a, b *url.URL) bool { return origin(a) == origin(b) }

func origin(u *url.URL) string {
	port := strings.TrimLeft(u.Port(), "0")
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return u.Scheme + "://" + hostOf(u) + ":" + port
}
