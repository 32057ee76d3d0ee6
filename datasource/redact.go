package datasource

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"regexp"
	"strings"
)

const redacted = "REDACTED"

// A secret can be used but not printed: no formatter and no dumper looks inside a function.
type secret func() string

func keep(s string) secret { return func() string { return s } }

// secretValue finds the values that must not be shown whoever they belong to, in a query, in JSON or in Go syntax;
// secretMember finds them in JSON alone, and leaves JSON behind.
var (
	secretValue  = regexp.MustCompile(`(?i)(` + secretNames + `\\*["']?\s*(?:=|:|%3D)\s*\\*["']?)[^\s"'&\\,;)}\]]+`)
	secretMember = regexp.MustCompile(`(?i)(` + secretNames + `\\*"\s*:\s*\\*")[^"\\]*`)
)

const secretNames = `(?:flUserToken|auth[_-]?token|encryptionKey|inviteCode|password|passphrase)`

// scrub removes the client's token, in every form it is sent or could be echoed, and every value that names itself
// a secret.
func (c *Client) scrub(text string) string {
	return secretValue.ReplaceAllString(c.withoutToken(text), "${1}"+redacted)
}

func (c *Client) withoutToken(text string) string {
	token := c.token()
	for _, form := range [...]string{token, url.QueryEscape(token), base64.StdEncoding.EncodeToString([]byte(token))} {
		text = strings.ReplaceAll(text, form, redacted)
	}
	return text
}

// scrubJSON is scrub for a value that has to stay JSON. nil stands for one that did not.
func (c *Client) scrubJSON(raw json.RawMessage) json.RawMessage {
	clean := secretMember.ReplaceAllString(c.withoutToken(string(raw)), "${1}"+redacted)
	if !json.Valid([]byte(clean)) {
		return nil
	}
	return json.RawMessage(clean)
}

// urlQuery finds the query of a URL in a text. It is full of where clauses and keys.
var urlQuery = regexp.MustCompile(`(https?://[^\s"'<>?]+\?)[^\s"'<>]+`)

// scrubText is scrub for a text that people read. It removes the queries of URLs, too.
func (c *Client) scrubText(text string) string {
	return urlQuery.ReplaceAllString(c.scrub(text), "${1}"+redacted)
}

// scrubbed returns err as it is when its text is clean. Otherwise it returns a replacement that still answers errors.Is
// but neither shows nor hands out the original. A *url.Error is unwrapped first: its URL has the whole query.
func (c *Client) scrubbed(cl *call, err error) error {
	if u, ok := err.(*url.Error); ok {
		err = u.Err
	}
	text := withoutEcho(oneLine(c.scrubText(err.Error())), c.values(cl))
	if text == err.Error() {
		return err
	}
	return &veiledError{text, func(target error) bool { return errors.Is(err, target) }}
}

type veiledError struct {
	text string
	is   func(error) bool
}

func (e *veiledError) Error() string        { return e.text }
func (e *veiledError) Is(target error) bool { return e.is(target) }
func (e *veiledError) GoString() string     { return fmt.Sprintf("&datasource.veiledError{%q}", e.text) }

// String leaves the token out.
func (cfg Config) String() string {
	return fmt.Sprintf("datasource.Config{BaseURL:%q UserAgent:%q Token:%s}", cfg.publicURL(), cfg.UserAgent, cfg.shownToken())
}

// Format writes String for every verb.
func (cfg Config) Format(f fmt.State, _ rune) { write(f, cfg.String()) }

// LogValue leaves the token out.
func (cfg Config) LogValue() slog.Value {
	return slog.GroupValue(slog.String("baseURL", cfg.publicURL()), slog.String("userAgent", cfg.UserAgent), slog.String("token", cfg.shownToken()))
}

// MarshalJSON leaves the token out. A Config does not survive being stored.
func (cfg Config) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]string{"baseURL": cfg.publicURL(), "userAgent": cfg.UserAgent, "token": cfg.shownToken()})
}

func (cfg Config) shownToken() string {
	if cfg.Token == "" {
		return "none"
	}
	return redacted
}

// publicURL is BaseURL without the user, query and fragment that somebody may have put there by mistake.
func (cfg Config) publicURL() string {
	u, err := url.Parse(cfg.BaseURL)
	if err != nil {
		return redacted
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// String names the client by its host.
func (c Client) String() string { return "datasource.Client(" + c.root + ")" }

// GoString is String.
func (c Client) GoString() string { return c.String() }

// LogValue is String.
func (c Client) LogValue() slog.Value { return slog.StringValue(c.String()) }

// MarshalJSON gives the host. A Client does not survive being stored.
func (c Client) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]string{"baseURL": c.root})
}
