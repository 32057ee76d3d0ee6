package wire

import (
	"encoding/base64"
	"errors"
	"net/url"
	"path"
	"strings"
	"unicode"
)

// DataURL is a file inside a URL: data:image/png;base64,….
type DataURL struct {
	ContentType, Name string
	Content           []byte
}

// dataScheme begins every URL that holds a file.
const dataScheme = "data:"

// IsDataURL reports whether a URL holds a file instead of an address, in any form that
// a browser would read. It is documented that such URLs are uploaded.
func IsDataURL(s string) bool {
	_, ok := afterDataScheme(s)
	return ok
}

// afterDataScheme is what follows the scheme of a data URL. A browser ignores space and
// control characters before and inside the scheme.
func afterDataScheme(s string) (string, bool) {
	rest := dataScheme
	for i, r := range s {
		switch {
		case rest == "":
			return s[i:], true
		case ignoredInURL(r):
		case unicode.ToLower(r) == rune(rest[0]):
			rest = rest[1:]
		default:
			return "", false
		}
	}
	return "", rest == ""
}

func ignoredInURL(r rune) bool {
	return unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r)
}

// ParseDataURL reads a data URL: base64, or text with percent escapes. Fliplet's widget
// appends the file's name to base64 as ";filename:photo.png", which no standard has.
func ParseDataURL(s string) (DataURL, error) {
	var d DataURL
	rest, ok := afterDataScheme(s)
	if !ok {
		return d, errors.New("not a data URL")
	}
	head, content, ok := strings.Cut(rest, ",")
	if !ok {
		return d, errors.New("the data URL has no comma before its content")
	}
	kind, parameters, _ := strings.Cut(head, ";")
	if d.ContentType = strings.TrimSpace(kind); strings.ContainsFunc(d.ContentType, func(r rune) bool { return r < ' ' || r > '~' }) {
		return DataURL{}, errors.New("the data URL's media type holds a character that a header cannot carry")
	}
	encoding := parameters[strings.LastIndex(parameters, ";")+1:]
	if !strings.EqualFold(strings.TrimFunc(encoding, ignoredInURL), "base64") {
		text, err := url.PathUnescape(content)
		if err != nil {
			return DataURL{}, errors.New("the data URL has a damaged escape")
		}
		if d.Content = []byte(text); d.ContentType == "" {
			d.ContentType = "text/plain" // as the standard says
		}
		return d, nil
	}
	content, rest, _ = strings.Cut(content, ";")
	if name, ok := strings.CutPrefix(rest, "filename:"); ok {
		if plain, err := url.PathUnescape(name); err == nil {
			name = plain
		}
		if name = path.Base(strings.ReplaceAll(name, `\`, "/")); name != "." && name != "/" {
			d.Name = name
		}
	}
	var err error
	if d.Content, err = decodeBase64(content); err != nil {
		return DataURL{}, errors.New("the data URL is not valid base64")
	}
	return d, nil
}

// decodeBase64 reads base64 as browsers do: with escapes, line breaks and without padding.
func decodeBase64(s string) ([]byte, error) {
	s, err := url.PathUnescape(s)
	if err != nil {
		return nil, err
	}
	s = strings.Map(func(r rune) rune {
		if ignoredInURL(r) {
			return -1
		}
		return r
	}, s)
	return base64.RawStdEncoding.DecodeString(strings.TrimRight(s, "="))
}
