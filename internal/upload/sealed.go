package upload

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/envelope"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// List says what the files of a message are. It travels sealed in the message's row.
type List []Item

// Item is a file: a URL that is stored as it is, or a file that was encrypted before it
// was uploaded, whose URL the server made.
type Item struct {
	URL string `json:"url,omitempty"`

	Key   []byte `json:"key,omitempty"`
	Index int    `json:"index,omitempty"` // that the file is sealed to
	Type  string `json:"type,omitempty"`
}

// ErrNotListed: a message has a file that its List does not know.
var ErrNotListed = errors.New("the message's list of files does not have it")

// sealedSuffix makes a name whose type the server takes, and does not look into.
const sealedSuffix = ".txt"

// String is the list as it is sealed.
func (l List) String() string {
	raw, _ := json.Marshal(l) // plain fields always marshal
	return string(raw)
}

// ParseList reads what String wrote.
func ParseList(text string) (List, error) {
	l := List{}
	if json.Unmarshal([]byte(text), &l) != nil || l == nil {
		return nil, errors.New("not a list of files")
	}
	for _, item := range l {
		if item.URL == "" && (len(item.Key) != envelope.FileKeySize || item.Index < 0) {
			return nil, errors.New("not a list of files")
		}
	}
	return l, nil
}

// seal encrypts a part under a key of its own, and adds it to the list. Content is
// encrypted at once, a Reader while it is sent.
func (l *List) seal(p *datasource.Part, conversationID int64, guid string) error {
	item := Item{Key: envelope.NewFileKey(), Type: p.ContentType}
	for _, other := range *l {
		if other.URL == "" {
			item.Index++
		}
	}
	s := &sealedBody{key: item.Key, at: envelope.FileBinding{ConversationID: conversationID, GUID: guid, Index: item.Index}}
	if p.Reader == nil {
		s.plain = bytes.NewReader(p.Content)
		content := bytes.NewBuffer(make([]byte, 0, envelope.SealedFileSize(int64(len(p.Content)))+bytes.MinRead))
		if _, err := content.ReadFrom(s); err != nil {
			return err
		}
		p.Content = content.Bytes()
	} else {
		s.plain, p.Reader = p.Reader, s
		if p.Size > 0 {
			p.Size = envelope.SealedFileSize(p.Size)
		}
	}
	p.Filename, p.ContentType = p.Filename+sealedSuffix, "application/octet-stream"
	*l = append(*l, item)
	return nil
}

// sealedBody is a file that is encrypted while it is read.
type sealedBody struct {
	plain io.Reader
	key   []byte
	at    envelope.FileBinding
	seals *envelope.FileSealer // nil until the first Read
}

func (s *sealedBody) Read(p []byte) (n int, err error) {
	if s.seals == nil {
		if s.seals, err = envelope.SealFile(s.key, s.at, s.plain); err != nil {
			return 0, err
		}
	}
	return s.seals.Read(p)
}

// Rewind makes the file readable from its beginning again, like [body.Rewind].
func (s *sealedBody) Rewind() bool {
	if b, ok := s.plain.(*body); !ok || !b.Rewind() {
		return false
	}
	s.seals = nil
	return true
}

// Alike reports whether two lists, as String wrote them, have the same files under
// whatever keys: each attempt at a send has keys of its own.
func Alike(got, want string) bool {
	l, err := ParseList(got)
	other, otherErr := ParseList(want)
	return err == nil && otherErr == nil && slices.EqualFunc(l, other, func(a, b Item) bool {
		return a.URL == b.URL && a.Type == b.Type && a.Index == b.Index && len(a.Key) == len(b.Key)
	})
}

// find is the item of files[i]. The server keeps the order of what is uploaded, but
// not between uploads and URLs.
func (l List) find(files []string, i int) (Item, error) {
	at := func(file string) int { return slices.IndexFunc(l, func(item Item) bool { return item.URL == file }) }
	if n := at(files[i]); n >= 0 {
		return l[n], nil
	}
	uploads := 0
	for _, file := range files[:i] {
		if at(file) < 0 {
			uploads++
		}
	}
	for _, item := range l {
		if item.URL == "" {
			if uploads == 0 {
				return item, nil
			}
			uploads--
		}
	}
	return Item{}, ErrNotListed
}

// Describe tells the name and, if it is known without the content, the type of files[i].
func (l List) Describe(files []string, i int) (name, contentType string, err error) {
	file := files[i]
	if wire.IsDataURL(file) {
		data, err := wire.ParseDataURL(file)
		return cmp.Or(data.Name, wire.NameFor(data.ContentType)), data.ContentType, err
	}
	if u, err := url.Parse(file); err == nil {
		name = path.Base(u.Path)
	}
	if l != nil {
		item, err := l.find(files, i)
		if err != nil {
			return "", "", err
		}
		if item.URL == "" {
			name, contentType = strings.TrimSuffix(name, sealedSuffix), item.Type
		}
	}
	if path.Ext(name) == "" { // such as v1/media/files/9/contents
		name = wire.NameFor(contentType)
	}
	return name, cmp.Or(contentType, wire.ContentTypeOf(name)), nil
}

// Replace is the list for other files of the message: those that were uploaded with it,
// and URLs.
func (l List) Replace(was, files []string) List {
	next := List{}
	for _, file := range files {
		item := Item{URL: file}
		if i := slices.Index(was, file); i >= 0 {
			if known, err := l.find(was, i); err == nil {
				item = known
			}
		}
		next = append(next, item)
	}
	return next
}

// Fetch writes a file to w as it is stored.
type Fetch func(w io.Writer, progress func(got, total int64)) (contentType string, n int64, err error)

// Open writes files[i] to w, decrypted if it is sealed. A nil list is that of a message
// without one. Nothing reaches w that was not
// verified. progress counts what w gets, and may be nil.
func (l List) Open(files []string, i int, conversationID int64, guid string, w io.Writer, progress func(got, total int64), fetch Fetch) (string, int64, error) {
	if l == nil {
		u := &unsealed{to: w}
		kind, n, err := fetch(u, progress)
		if err == nil {
			err = u.flush()
		}
		return kind, n, err
	}
	item, err := l.find(files, i)
	if err != nil {
		return "", 0, err
	}
	if item.URL != "" {
		return fetch(w, progress)
	}
	o, err := envelope.OpenFile(item.Key, envelope.FileBinding{ConversationID: conversationID, GUID: guid, Index: item.Index}, w)
	if err != nil {
		return "", 0, err
	}
	of := int64(-1)
	_, _, err = fetch(o, func(_, total int64) {
		if total >= 0 {
			of = envelope.FileSize(total)
		}
		if progress != nil {
			progress(o.Written(), of)
		}
	})
	if err == nil {
		if err = o.Close(); err == nil && progress != nil {
			progress(o.Written(), of)
		}
	}
	return item.Type, o.Written(), err
}

// unsealed passes on a file unless it is a sealed one, which somebody took the list of
// keys from.
type unsealed struct {
	to     io.Writer
	head   []byte // not passed on yet
	passed bool
}

func (u *unsealed) Write(p []byte) (int, error) {
	if u.passed {
		return u.to.Write(p)
	}
	u.head = append(u.head, p...)
	if len(u.head) < len(envelope.FileMagic) {
		return len(p), nil
	}
	if string(u.head[:len(envelope.FileMagic)]) == envelope.FileMagic {
		return 0, ErrNotListed
	}
	if err := u.flush(); err != nil {
		return 0, err
	}
	return len(p), nil
}

// flush passes on what was held back.
func (u *unsealed) flush() error {
	if u.passed {
		return nil
	}
	u.passed = true
	_, err := u.to.Write(u.head)
	return err
}
