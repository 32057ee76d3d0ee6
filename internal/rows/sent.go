package rows

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"path"
	"reflect"
	"strings"
	"unicode"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// errOthers is the error of a look-up that was answered with something else.
var errOthers = errors.New("the answer to a look-up holds rows that were not asked for, and not the one that was")

// LookUp asks for the row of a send by its guid, and returns what Sent finds; nil if it is
// not there. Rows of other guids without it are no answer to that, and an error: whoever
// gave them may have been asked for something else.
func LookUp(ctx context.Context, client *datasource.Client, conversation int64, write datasource.Write, look func(*datasource.Entry) (same, proven bool)) (*datasource.Entry, error) {
	guid := wire.Text(write.Data[wire.GUID])
	q := datasource.Query{Type: "select", Where: M{wire.GUID: guid}, Order: []datasource.Order{{Column: "id", Direction: datasource.Asc}}}
	m, others := match(&q), false
	r := reading{client: client, id: conversation, strict: true, keep: func(e *datasource.Entry) bool {
		// A server may compare without regard to case.
		others = others || e.Err == nil && m.where.Contradicts(e.Data) && !strings.EqualFold(strings.TrimSpace(wire.Text(e.Data[wire.GUID])), strings.TrimSpace(guid))
		return m.keep(e)
	}}
	found, err := r.rows(ctx, q)
	if err != nil {
		return nil, err
	}
	row := Sent(found.Entries, conversation, write, client.BaseURL(), look)
	if row == nil && others {
		return nil, errOthers
	}
	return row, nil
}

// Sent finds the row of a send among rows of its guid: of those that hold what was
// written, the one with the lowest id, or nil. look compares the sealed parts of a row;
// proven: only the sender can have written them, for this send. api is the base URL of the
// server.
//
// A row that is proven was written by this send, whatever became of its other columns
// since. Any other row has to be what was written: the same columns with the same values,
// but for those that the server or a reader adds, and files where uploads go. So a row
// that somebody has added a column to is not found, and the send is repeated.
func Sent(found []datasource.Entry, conversation int64, write datasource.Write, api string, look func(*datasource.Entry) (same, proven bool)) *datasource.Entry {
	var first *datasource.Entry
	for i := range found {
		r := &found[i]
		if first != nil && r.ID >= first.ID || r.Err != nil || wire.Text(r.Data[wire.GUID]) != wire.Text(write.Data[wire.GUID]) ||
			wire.Text(r.Data[wire.From]) != wire.Text(write.Data[wire.From]) {
			continue
		}
		r.DataSourceID = conversation
		same, proven := look(r)
		if same && sameFiles(r.Data, write, api, proven) && (proven || sameColumns(r.Data, write)) {
			first = r
		}
	}
	return first
}

// sameFiles compares attachments: the URLs that were given, how many there are, and
// unless the row is proven whether each other one can be an upload's.
func sameFiles(stored datasource.M, write datasource.Write, api string, proven bool) bool {
	files := wire.Strings(stored[wire.File])
	given := map[string]int{}
	n := len(write.Files)
	for _, f := range append(wire.Strings(write.Data[wire.File]), wire.Strings(write.Data[wire.FileParts])...) {
		given[f]++
		n++
	}
	if len(files) != n {
		return false
	}
	uploads := write.Files
	for _, f := range files {
		if given[f] > 0 {
			given[f]--
			continue
		}
		// The server keeps the order of what is uploaded.
		if len(uploads) == 0 || !proven && !uploaded(f, uploads[0].Filename, api) {
			return false
		}
		uploads = uploads[1:]
	}
	return true
}

// uploaded reports whether a URL can be that of a file that was uploaded under a name.
// The server chooses it: it is on the server's own host, or on one of Fliplet's, and where
// it ends like the content of a media file it has the name.
func uploaded(file, name, api string) bool {
	u, err := url.Parse(file)
	base, baseErr := url.Parse(api)
	if err != nil || baseErr != nil || u.User != nil || u.Scheme != "https" && u.Scheme != base.Scheme {
		return false
	}
	host := strings.ToLower(u.Hostname())
	own := strings.EqualFold(u.Host, base.Host)
	if !own && !strings.HasSuffix(host, ".fliplet.com") {
		return false
	}
	dir, last := path.Split(u.Path)
	switch media := strings.Contains(u.Path, "/v1/media/files/"); {
	case media && strings.HasSuffix(dir, "/contents/"):
		return letters(last) == letters(name)
	default:
		return media || !own // only the API is known not to serve files elsewhere
	}
}

// letters is a file's name without what a server may write in another way.
func letters(name string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, name)
}

// added are columns that a stored row may have beside those that were written: readers,
// the sign of an edit that changed nothing, and what the server notes about uploads.
var added = map[string]bool{
	wire.ReadBy: true, wire.Edited: true, wire.File: true, wire.FileParts: true, wire.FileIDs: true, wire.FileSchema: true,
}

// sameColumns compares all columns but those that are sealed or about files.
func sameColumns(stored datasource.M, write datasource.Write) bool {
	form := len(write.Files) > 0 // the server stores text, and lists of what ends in brackets
	wrote := make(map[string]bool, len(write.Data))
	for name, want := range write.Data {
		if form {
			name = strings.TrimSuffix(name, "[]")
		}
		if wrote[name] = true; added[name] || name == wire.Body || name == wire.SealedFiles {
			continue
		}
		if !sameColumn(stored[name], want, form) {
			return false
		}
	}
	for name, v := range stored {
		if !wrote[name] && !added[name] && v != nil && name != wire.Body {
			return false
		}
	}
	return true
}

// sameColumn compares a stored column with the one that was written.
func sameColumn(got, want any, form bool) bool {
	if want == nil {
		return got == nil || form && wire.Text(got) == ""
	}
	if got == nil {
		return false
	}
	if text := wire.Text(want); text != "" && text == wire.Text(got) {
		return true
	}
	g, w := jsonValue(got, form), jsonValue(want, form)
	return g != nil && reflect.DeepEqual(g, w)
}

// jsonValue is a value as it looks after it was sent; in a form lists and objects are
// text. nil if it cannot be sent.
func jsonValue(v any, form bool) any {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	var out any
	if json.Unmarshal(raw, &out) != nil {
		return nil
	}
	if text, ok := out.(string); ok && form && (strings.HasPrefix(text, "[") || strings.HasPrefix(text, "{")) {
		var inner any
		if json.Unmarshal([]byte(text), &inner) == nil {
			return inner
		}
	}
	return out
}
