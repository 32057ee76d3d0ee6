package datasource

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
)

const redacted = "REDACTED"

// A secret can be used but not printed: no formatter and no dumper looks inside a function.
type secret func() string

func keep(s string) secret { return func() string { return s } }

// secretNames are the names of parameters and members that this SDK keeps out of what it prints of rows.
const secretNames = `(?:flUserToken|auth[_-]?token|encryptionKey|inviteCode|password|passphrase)`

// scrub makes one line of a text from outside, without the client's token, in every form it is sent or could be
// echoed, and without what looks like a secret.
func (c *Client) scrub(text string) string { return hideSecrets(c.withoutToken(oneLine(text))) }

func (c *Client) withoutToken(text string) string {
	token := c.token()
	for _, form := range [...]string{token, url.QueryEscape(token), base64.StdEncoding.EncodeToString([]byte(token))} {
		text = strings.ReplaceAll(text, form, redacted)
	}
	return text
}

// scrubbed returns err as it is when its text is clean. Otherwise it returns a replacement that still answers errors.Is
// but neither shows nor hands out the original. A *url.Error is unwrapped first: its URL has the whole query.
func (c *Client) scrubbed(cl *call, err error) error {
	if u, ok := err.(*url.Error); ok {
		err = u.Err
	}
	text := withoutEcho(c.scrub(err.Error()), c.values(cl))
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
