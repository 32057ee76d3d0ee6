package datasource

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"unicode"
)

// Rows and data sources hold tokens, keys and texts of people, and so do requests. No verb of fmt and no log line shows
// what is in them: a %+v that somebody adds for a moment stays for years.

// String names the row by its ids, without its columns.
func (e Entry) String() string {
	return fmt.Sprintf("entry %d of data source %d (%d columns)", e.ID, e.DataSourceID, len(e.Data))
}

// Format writes String for every verb.
func (e Entry) Format(f fmt.State, _ rune) { write(f, e.String()) }

// LogValue is String.
func (e Entry) LogValue() slog.Value { return slog.StringValue(e.String()) }

// MarshalJSON writes the fields, without the members of Data and Extra that are known to be secrets: flUserToken,
// encryptionKey, inviteCode, token, passwords and the like, at any depth, also with a number behind them. A secret under another name cannot be known, and a
// row that was written so is not complete. Marshal Data itself to store a row.
func (e Entry) MarshalJSON() ([]byte, error) {
	type fields Entry
	out := fields(e)
	var err error
	if out.Data, err = shownColumns(e.Data); err == nil {
		out.Extra, err = shownColumns(e.Extra)
	}
	if err != nil {
		return nil, err
	}
	return json.Marshal(struct {
		fields
		Err *struct{} `json:",omitempty"` // an error cannot be read again
	}{fields: out})
}

// String names the data source, without its definition.
func (ds DataSource) String() string {
	return fmt.Sprintf("data source %d of type %q", ds.ID, ds.Type)
}

// Format writes String for every verb.
func (ds DataSource) Format(f fmt.State, _ rune) { write(f, ds.String()) }

// LogValue is String.
func (ds DataSource) LogValue() slog.Value { return slog.StringValue(ds.String()) }

// MarshalJSON writes the fields, without the members of Definition, Hooks and Extra that are known to be secrets, see
// Entry.MarshalJSON. What it writes must not be sent back with UpdateDataSource, which would remove them.
func (ds DataSource) MarshalJSON() ([]byte, error) {
	type fields DataSource
	out := fields(ds)
	out.Definition, out.Hooks, out.AccessRules = shownJSON(ds.Definition), shownJSON(ds.Hooks), shownJSON(ds.AccessRules)
	if ds.Extra != nil {
		out.Extra = make(map[string]json.RawMessage, len(ds.Extra))
		for name, raw := range ds.Extra {
			if !secretName(name) {
				out.Extra[name] = shownJSON(raw)
			}
		}
	}
	return json.Marshal(struct {
		fields
		Err *struct{} `json:",omitempty"`
	}{fields: out})
}

// What is given to requests prints, logs and marshals as a line that says how much there is. No request is made from
// the JSON of these types; each writes its own.

func (w Write) line() string {
	return fmt.Sprintf("write of %d columns and %d files", len(w.Data), len(w.Files))
}

// Format prints how much there is.
func (w Write) Format(f fmt.State, _ rune) { write(f, w.line()) }

// LogValue is what Format prints.
func (w Write) LogValue() slog.Value { return slog.StringValue(w.line()) }

// MarshalJSON is what Format prints, as text.
func (w Write) MarshalJSON() ([]byte, error) { return json.Marshal(w.line()) }

func (p Part) line() string {
	return fmt.Sprintf("part %q (%s), %d bytes", p.Field, p.ContentType, max(int64(len(p.Content)), p.Size))
}

// Format prints the file's column and size.
func (p Part) Format(f fmt.State, _ rune) { write(f, p.line()) }

// LogValue is what Format prints.
func (p Part) LogValue() slog.Value { return slog.StringValue(p.line()) }

// MarshalJSON is what Format prints, as text.
func (p Part) MarshalJSON() ([]byte, error) { return json.Marshal(p.line()) }

func (q Query) line() string { return fmt.Sprintf("query of %d conditions", len(q.Where)) }

// Format prints that there is a query: its conditions may be secrets.
func (q Query) Format(f fmt.State, _ rune) { write(f, q.line()) }

// LogValue is what Format prints.
func (q Query) LogValue() slog.Value { return slog.StringValue(q.line()) }

// MarshalJSON is what Format prints, as text.
func (q Query) MarshalJSON() ([]byte, error) { return json.Marshal(q.line()) }

func (e CommitEntry) line() string {
	return fmt.Sprintf("commit of entry %d (%d columns)", e.ID, len(e.Data))
}

// Format prints the ids of the row.
func (e CommitEntry) Format(f fmt.State, _ rune) { write(f, e.line()) }

// LogValue is what Format prints.
func (e CommitEntry) LogValue() slog.Value { return slog.StringValue(e.line()) }

// MarshalJSON is what Format prints, as text.
func (e CommitEntry) MarshalJSON() ([]byte, error) { return json.Marshal(e.line()) }

func (f SourceFilter) line() string {
	return fmt.Sprintf("filter for data sources of app %d of type %q", f.AppID, f.Type)
}

// Format prints the app and the type, without the definition.
func (f SourceFilter) Format(to fmt.State, _ rune) { write(to, f.line()) }

// LogValue is what Format prints.
func (f SourceFilter) LogValue() slog.Value { return slog.StringValue(f.line()) }

// MarshalJSON is what Format prints, as text.
func (f SourceFilter) MarshalJSON() ([]byte, error) { return json.Marshal(f.line()) }

func (n NewDataSource) line() string { return fmt.Sprintf("new data source of type %q", n.Type) }

// Format prints the type, without the definition and rows.
func (n NewDataSource) Format(f fmt.State, _ rune) { write(f, n.line()) }

// LogValue is what Format prints.
func (n NewDataSource) LogValue() slog.Value { return slog.StringValue(n.line()) }

// MarshalJSON is what Format prints, as text.
func (n NewDataSource) MarshalJSON() ([]byte, error) { return json.Marshal(n.line()) }

func (p SourcePatch) line() string { return "patch of a data source" }

// Format prints that there is a patch, without the definition.
func (p SourcePatch) Format(f fmt.State, _ rune) { write(f, p.line()) }

// LogValue is what Format prints.
func (p SourcePatch) LogValue() slog.Value { return slog.StringValue(p.line()) }

// MarshalJSON is what Format prints, as text.
func (p SourcePatch) MarshalJSON() ([]byte, error) { return json.Marshal(p.line()) }

func write(f fmt.State, text string) { _, _ = f.Write([]byte(text)) } // as fmt itself

// secretMembers are the names of secrets, in letters and digits.
var secretMembers = map[string]bool{
	"flusertoken": true, "authtoken": true, "accesstoken": true, "refreshtoken": true, "authorization": true,
	"encryptionkey": true, "invitecode": true, "password": true, "passphrase": true, "apikey": true, "secret": true, "token": true,
}

// secretName reports whether a member is known to hold a secret, however its name is spelled.
func secretName(name string) bool {
	plain := strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, name)
	return secretMembers[plain] || secretMembers[strings.TrimRight(plain, "0123456789")] // a second one has a number
}

// shownColumns copies columns without secrets. It changes no value otherwise: numbers stay as they are written.
func shownColumns(m M) (M, error) {
	if m == nil {
		return nil, nil
	}
	raw, err := appendValue(nil, m)
	if err != nil {
		return nil, err
	}
	shown, _ := decodedWithoutSecrets(raw).(M)
	return shown, nil
}

// shownJSON is a JSON value without secrets; nil stands for one that is no JSON.
func shownJSON(raw json.RawMessage) json.RawMessage {
	if raw == nil || !json.Valid(raw) {
		return nil
	}
	out, err := appendValue(nil, decodedWithoutSecrets(raw))
	if err != nil {
		return nil
	}
	return out
}

func decodedWithoutSecrets(raw []byte) any {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	if dec.Decode(&v) != nil {
		return nil
	}
	return withoutSecrets(v)
}

func withoutSecrets(v any) any {
	switch v := v.(type) {
	case M:
		for name, inner := range v {
			if secretName(name) {
				delete(v, name)
			} else {
				v[name] = withoutSecrets(inner)
			}
		}
	case []any:
		for i, inner := range v {
			v[i] = withoutSecrets(inner)
		}
	case string:
		return shownText(v)
	}
	return v
}

// secretParameter finds the value of a secret in the query of a URL.
var secretParameter = regexp.MustCompile(`(?i)([?&]` + secretNames + `=)[^&#\s"'<>]*`)

// shownText is a text without the secrets of a URL, or of JSON that is kept as text, as forms do. Other texts stay.
func shownText(text string) string {
	if trimmed := strings.TrimLeft(text, " \t\r\n"); trimmed != "" && (trimmed[0] == '{' || trimmed[0] == '[') && json.Valid([]byte(text)) {
		if secretKey.MatchString(text) {
			return string(shownJSON(json.RawMessage(text)))
		}
	}
	return secretParameter.ReplaceAllString(text, "${1}"+redacted)
}

// secretKey finds the name of a secret in JSON.
var secretKey = regexp.MustCompile(`(?i)` + secretNames + `\\*"\s*:`)
