package page

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// maxDraftBytes is the size of a draft, with the files that it holds as data URLs.
const maxDraftBytes = 64 << 20

// File is an attachment of a draft: the URL of a file, or one that holds it.
type File struct{ URL, Name string }

// Draft is the one object with which JavaScript sends a message.
type Draft struct {
	Body, GUID string
	Files      []File
	Data       wire.M // nil when there are no further columns
}

// notThePages are the columns that the SDK or the server writes, and the fields of a row
// and of a message in JSON. JavaScript would store them as columns beside the real ones, or
// in their place: a page could hide a message, or mark it as read by others.
var notThePages = []string{
	wire.From, wire.ReadBy, wire.FlagDeleted, wire.FileIDs,
	"id", "dataSourceId", "createdAt", "updatedAt", "deletedAt",
	"isReadByCurrentUser", "isUpdate", "isReplay", "isHistory",
}

// ParseDraft reads a draft.
func ParseDraft(raw []byte) (Draft, error) {
	o, err := Parse(raw, maxDraftBytes)
	if err != nil {
		return Draft{}, err
	}
	if err := o.wellFormed(raw); err != nil {
		return Draft{}, err
	}
	d := Draft{Body: o.Text(wire.Body), GUID: o.Text(wire.GUID)}
	d.Files, err = files(o.Value(wire.File))
	if err = errors.Join(o.Err(), err); err != nil {
		return Draft{}, err
	}
	for _, column := range o.Names() {
		switch column {
		case wire.Body, wire.GUID, wire.File, wire.FileSchema:
			continue
		}
		if slices.Contains(notThePages, column) {
			if o.Has(column) {
				o.refuse(column, "not a page's to set: leave it out, and of a message that was received send columns of its data only")
			}
			continue
		}
		if d.Data == nil {
			d.Data = wire.M{}
		}
		d.Data[column] = o.Value(column)
	}
	if schema := o.Fields(wire.FileSchema); o.Err() == nil && len(schema) > 0 {
		if err := d.follow(schema); err != nil {
			return Draft{}, fmt.Errorf("%s: %w", wire.FileSchema, err)
		}
	}
	if err := o.Err(); err != nil {
		return Draft{}, err
	}
	return d, nil
}

// files reads the column of attachments: one URL, or a list.
func files(v any) ([]File, error) {
	switch v := v.(type) {
	case nil:
		return nil, nil
	case string:
		f, err := file(wire.File, v)
		return []File{f}, err
	case []any:
		var out []File
		for i, item := range v {
			f, err := file(fmt.Sprintf("%s[%d]", wire.File, i), item)
			if err != nil {
				return nil, err
			}
			out = append(out, f)
		}
		return out, nil
	case wire.M:
		return nil, noFile(wire.File)
	}
	return nil, fmt.Errorf("%s: want a URL, a data URL, or a list of them", wire.File)
}

func file(at string, v any) (File, error) {
	text, ok := v.(string)
	if _, object := v.(wire.M); object {
		return File{}, noFile(at)
	}
	if !ok || strings.TrimSpace(text) == "" {
		return File{}, fmt.Errorf("%s: want a URL or a data URL", at)
	}
	if wire.IsDataURL(text) {
		return File{URL: text}, nil
	}
	scheme, _, found := strings.Cut(text, ":")
	switch scheme = strings.ToLower(strings.TrimSpace(scheme)); {
	case !found || scheme == "http" || scheme == "https" || strings.ContainsAny(scheme, "/?#"):
		return File{URL: text}, nil
	case scheme == "blob":
		return File{}, fmt.Errorf("%s: a blob URL works in its own page only; send a data URL", at)
	case scheme == "data":
		return File{}, fmt.Errorf("%s: a data URL without its content", at)
	}
	return File{}, fmt.Errorf("%s: want an http, https or data URL", at)
}

// noFile is the error of a File, which JSON.stringify makes an empty object.
func noFile(at string) error {
	return fmt.Errorf("%s: an object; JSON cannot carry a File, so send its data URL", at)
}

// follow reads the instructions for uploads, which are keyed by the column, or by the
// name of a file. The key is not taken from the page: a file that is to be private gets
// that of the conversation, with which it will be asked for.
func (d *Draft) follow(schema wire.M) error {
	for field, v := range schema {
		if field != wire.File && !slices.ContainsFunc(d.Files, func(f File) bool { return named(f.URL, field) }) {
			return fmt.Errorf("%.60q: there is no such file", field)
		}
		instructions, ok := v.(wire.M)
		if !ok {
			return fmt.Errorf("%s: want an object", field)
		}
		for name, value := range instructions {
			text, isText := value.(string)
			_, isBool := value.(bool)
			switch {
			case value == nil, name == "append" && isBool: // a new message has no list yet
			case name == "encryptionKey" && isText:
				if d.Data == nil {
					d.Data = wire.M{}
				}
				if slices.ContainsFunc(d.Files, func(f File) bool { return wire.IsDataURL(f.URL) }) {
					d.Data[wire.PrivateMedia] = true
				}
			case name == "name" && isText:
				for i := range d.Files {
					if field == wire.File || named(d.Files[i].URL, field) {
						d.Files[i].Name = text
					}
				}
			case name == "mediaFolderId":
				return fmt.Errorf("%s.%s: files of messages have no folder; leave it out", field, name)
			default:
				return fmt.Errorf("%s.%s: want encryptionKey or name with a text, or append with true or false", field, name)
			}
		}
	}
	return nil
}

// named reports whether a data URL gives its file this name.
func named(u, name string) bool {
	if !wire.IsDataURL(u) {
		return false
	}
	data, err := wire.ParseDataURL(u)
	return err == nil && data.Name == name
}
