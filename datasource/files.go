package datasource

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"
)

// ErrFileRefused: Download does not go to this address, or a redirect led to one. The text says why, and which field of
// Config would allow it. No request reached the address.
var ErrFileRefused = errors.New("the address of the file is refused")

// A fileRules decides where downloads go and what they take along. The address of a file comes out of a row, so whoever
// writes rows chooses it.
type fileRules struct {
	base     *url.URL
	region   *region         // the installation's other hosts; nil: none, unless base is a published API
	named    map[string]bool // Config.FileHosts as origins
	allow    func(*url.URL) error
	networks []netip.Prefix
}

// A place is where a file lies.
type place int

const (
	foreign    place = iota // gets a plain request
	publicFile              // a file of a published host of the installation: gets a plain request
	ownHost                 // media of the API on such a host: gets the credentials
	apiServer               // the API: gets the credentials, and its rate limit counts
)

// fileRules checks the fields of cfg about files.
func (cfg Config) fileRules(base *url.URL) (*fileRules, error) {
	f := &fileRules{base: base, region: regionOfAPI(base), allow: cfg.AllowFile, networks: cfg.FileNetworks}
	for i, entry := range cfg.FileHosts {
		text := entry
		if !strings.Contains(entry, "://") {
			text = "https://" + entry
		}
		u, err := url.Parse(text)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || hostOf(u) == "" || !printable(u.Host) || u.User != nil ||
			strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" || strings.Contains(u.Host, "*") {
			return nil, fmt.Errorf(`Config.FileHosts[%d] is not a host: give "files.example.org", "files.example.org:8443" or "http://files.example.org"`, i)
		}
		if f.named == nil {
			f.named = map[string]bool{}
		}
		f.named[origin(u)] = true
	}
	for i, p := range cfg.FileNetworks {
		if !p.IsValid() {
			return nil, fmt.Errorf(`Config.FileNetworks[%d] is empty: give netip.MustParsePrefix("10.2.0.0/16")`, i)
		}
	}
	return f, nil
}

// hosted tells by scheme, host and port alone whose u is.
func (f *fileRules) hosted(u *url.URL) place {
	switch {
	case sameOrigin(u, f.base) || upgraded(f.base, u):
		return apiServer
	case u.Scheme == "https" && (u.Port() == "" || u.Port() == "443") && f.region.has(hostOf(u)):
		return ownHost
	}
	return foreign
}

// place tells where u is, or why no request may go there.
func (f *fileRules) place(u *url.URL) (place, error) {
	switch {
	case u.Scheme != "http" && u.Scheme != "https", u.Opaque != "", hostOf(u) == "":
		return foreign, refuse("it is not an http or https URL")
	case u.User != nil:
		return foreign, refuse("it names a user")
	case !printable(u.Host):
		return foreign, refuse("its host is not ASCII: write it in the form that begins with xn--")
	}
	where := f.hosted(u)
	switch path := u.EscapedPath(); where {
	case apiServer:
		rest, below := strings.CutPrefix(path, f.base.EscapedPath()+"/")
		if !below || !mediaPath(rest) {
			return where, refuse("the API serves files below v1/media/files only")
		}
	case ownHost:
		path = strings.TrimPrefix(path, "/")
		switch {
		case mediaPath(path):
		case f.region.serves(hostOf(u)) && filePath(path):
			return publicFile, nil
		default:
			return where, refuse("it is not the path of a file")
		}
	default:
		return where, f.admit(u)
	}
	return where, nil
}

// admit asks whether a foreign host may be asked for a file.
func (f *fileRules) admit(u *url.URL) error {
	if ip, err := netip.ParseAddr(hostOf(u)); err == nil && !f.mayDial(ip) {
		return refuseAddress(ip)
	}
	if f.named[origin(u)] {
		return nil
	}
	if f.allow == nil {
		return refuse("host %q is not one of Fliplet's: name it in Config.FileHosts, or allow it with Config.AllowFile", u.Host)
	}
	asked := *u
	if err := f.allow(&asked); err != nil {
		return fmt.Errorf("%w: Config.AllowFile: %w", ErrFileRefused, err)
	}
	return nil
}

func refuse(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrFileRefused}, args...)...)
}

// mediaPath reports whether an escaped path, without a leading slash, is that of a file's content or thumbnail: the only
// paths of the API that a row may name. It knows one spelling of them.
func mediaPath(escaped string) bool {
	rest, ok := strings.CutPrefix(escaped, "v1/media/files/")
	if !ok || !safeSegments(rest) {
		return false
	}
	parts := strings.Split(rest, "/")
	if id, err := strconv.ParseUint(parts[0], 10, 63); err != nil || id == 0 || len(parts) < 2 {
		return false
	}
	return parts[1] == "contents" || parts[1] == "thumb" && len(parts) > 2
}

// contentPath reports whether the path of a URL, which has a place, is that of a file's content: what a private key
// opens.
func (f *fileRules) contentPath(u *url.URL) bool {
	rest := strings.TrimPrefix(strings.TrimPrefix(u.EscapedPath(), f.base.EscapedPath()), "/")
	parts := strings.Split(rest, "/") // v1/media/files/<id>/contents
	return mediaPath(rest) && parts[4] == "contents"
}

// filePath reports whether an escaped path of a host that serves files can be a file's, and not one of an API that the
// host passes on. Nothing secret goes there.
func filePath(escaped string) bool {
	if !safeSegments(escaped) {
		return false
	}
	first, _, _ := strings.Cut(escaped, "/")
	for range maxDecodings {
		if plain, err := url.PathUnescape(first); err == nil {
			first = plain
		}
	}
	first, _, _ = strings.Cut(strings.ToLower(first), ";")
	number, version := strings.CutPrefix(first, "v")
	return !version || strings.Trim(number, "0123456789.") != "" || number == ""
}

// maxDecodings is how often a path is decoded in search of what it hides.
const maxDecodings = 4

// safeSegments reports whether every proxy and server reads an escaped path alike: no empty segment, no dots that lead
// elsewhere, no slash or control character behind an escape, however often it was escaped, and nothing that some of
// them decode further than is seen here.
func safeSegments(escaped string) bool {
	for s := range strings.SplitSeq(escaped, "/") {
		for round := 0; ; round++ {
			name, _, _ := strings.Cut(s, ";") // parameters, which some servers cut off
			if name == "" || name == "." || name == ".." || strings.ContainsAny(s, `/\`) || strings.ContainsFunc(s, control) || !utf8.ValidString(s) {
				return false // not UTF-8: perhaps an overlong form of these
			}
			if !strings.Contains(s, "%") {
				break
			}
			plain, err := url.PathUnescape(s)
			if err != nil && round > 0 && onlyPercentSigns(s) {
				break // the name of a file has them
			}
			if err != nil || round == maxDecodings {
				return false
			}
			s = plain
		}
	}
	return true
}

// onlyPercentSigns reports whether no percent sign in s could begin an escape for anybody: a lenient decoder skips those
// that are damaged and goes on, and some know %u002e.
func onlyPercentSigns(s string) bool {
	for part := range strings.SplitSeq(s[strings.Index(s, "%")+1:], "%") {
		if part != "" && strings.Contains("uU", part[:1]) || len(part) > 1 && hexDigit(part[0]) && hexDigit(part[1]) {
			return false
		}
	}
	return true
}

func hexDigit(c byte) bool { return strings.IndexByte("0123456789abcdefABCDEF", c) >= 0 }

func control(r rune) bool { return r < ' ' || r == 0x7F }
