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
	others []string // hosts that serve files of the region
}

var regions = [...]region{
	{"eu", "api.fliplet.com", []string{"cdn.fliplet.com", "cdn.api.fliplet.com", "apps.fliplet.com"}},
	{"us", "us.api.fliplet.com", []string{"us.cdn.fliplet.com", "us.cdn.api.fliplet.com", "us-apps.fliplet.com"}},
	{"ca", "ca.api.fliplet.com", []string{"ca.cdn.fliplet.com", "ca.cdn.api.fliplet.com", "ca-apps.fliplet.com"}},
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

// regionAt is the region that a published host belongs to, or nil.
func regionAt(host string) *region {
	for i := range regions {
		if regions[i].has(host) {
			return &regions[i]
		}
	}
	return nil
}

func (r *region) has(host string) bool {
	return r != nil && (strings.EqualFold(host, r.api) ||
		slices.ContainsFunc(r.others, func(h string) bool { return strings.EqualFold(h, host) }))
}

// trusts reports whether u may see the client's credentials: it is the API host itself, or over https a published
// host of its region.
func (c *Client) trusts(u *url.URL) bool {
	return sameOrigin(u, c.base) ||
		u.Scheme == "https" && (u.Port() == "" || u.Port() == "443") && c.region.has(u.Hostname())
}

// sameOrigin compares scheme, host and port.
func sameOrigin(a, b *url.URL) bool { return origin(a) == origin(b) }

func origin(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return u.Scheme + "://" + strings.ToLower(u.Hostname()) + ":" + port
}
