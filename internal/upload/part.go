package upload

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"image"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// File is what a caller uploads; see chat.File.
type File struct {
	URL, Name, ContentType string
	Content                []byte
	Reader                 io.Reader
	Size                   int64
}

// Check reports what is wrong with a file.
func (f File) Check() error {
	given := 0
	for _, is := range []bool{f.URL != "", len(f.Content) > 0, f.Reader != nil} {
		if is {
			given++
		}
	}
	switch {
	case given == 0:
		return errors.New("neither URL nor Content nor Reader; give one of them")
	case given > 1:
		return errors.New("more than one of URL, Content and Reader; give one of them")
	case f.Size < 0:
		return fmt.Errorf("Size: %d is negative; 0 means unknown", f.Size)
	case f.Size != 0 && f.Reader == nil:
		return errors.New("Size: only a Reader needs it")
	case strings.ContainsFunc(f.ContentType, func(r rune) bool { return r < ' ' || r == 0x7F }):
		return errors.New("ContentType: holds a character that a header cannot carry")
	case wire.IsDataURL(f.URL):
		data, err := wire.ParseDataURL(f.URL)
		if err != nil {
			return fmt.Errorf("URL: %w", err)
		}
		return File{Name: cmp.Or(f.Name, data.Name), ContentType: cmp.Or(f.ContentType, data.ContentType), Content: data.Content}.checkName()
	case f.Reader == nil && f.URL == "":
		return f.checkName()
	}
	return nil
}

// checkName reports content without a name of which the type is not known.
func (f File) checkName() error {
	if strings.TrimSpace(f.Name) == "" && wire.NameFor(cmp.Or(f.ContentType, http.DetectContentType(f.Content))) == "" {
		return errNoName
	}
	return nil
}

var errNoName = errors.New("Name: empty, and the content does not tell its type; give a name with an extension")

// CheckURLs refuses what would store the content of a file in a row beside an encrypted
// body: a data URL, or a value that is no list of URLs.
func CheckURLs(value any) error {
	list, ok := value.([]any)
	switch v := value.(type) {
	case nil:
		return nil
	case string:
		list, ok = []any{v}, !strings.HasPrefix(v, "[") // which would be read as a list
	case []string:
		list, ok = make([]any, len(v)), true
		for i := range v {
			list[i] = v[i]
		}
	}
	for _, e := range list {
		file, isText := e.(string)
		if wire.IsDataURL(file) {
			return errors.New("holds a data URL, whose content would be stored unencrypted; send it with Message")
		}
		ok = ok && isText
	}
	if !ok {
		return errors.New("is not a list of URLs; other content would be stored unencrypted")
	}
	return nil
}

// Files collects the files of a message.
type Files struct {
	Row   wire.M            // gets the columns about files
	Parts []datasource.Part // to upload
	urls  []string          // stored as they are
	// Seal encrypts what is uploaded, for a message of a conversation, and makes List.
	Seal           bool
	ConversationID int64
	GUID           string
	List           List
}

// Add adds a file. Its error is that of ctx once that has ended.
func (s *Files) Add(ctx context.Context, f File) error {
	if f.URL != "" && !wire.IsDataURL(f.URL) {
		s.urls, s.List = append(s.urls, f.URL), append(s.List, Item{URL: f.URL})
		return nil
	}
	p, err := part(ctx, f, s.Row)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err == nil && s.Seal {
		err = s.List.seal(&p, s.ConversationID, s.GUID)
	}
	s.Parts = append(s.Parts, p)
	return err
}

// noURLs is in the row of every message without files, since nothing can be written to it.
var noURLs any = []string{}

// Write is the row with its files.
func (s *Files) Write(progress func(sent, total int64)) datasource.Write {
	switch {
	case len(s.Parts) == 0:
		s.Row[wire.File] = noURLs
		if len(s.urls) > 0 {
			s.Row[wire.File] = slices.Clone(s.urls)
		}
	case len(s.urls) > 0:
		s.Row[wire.FileParts] = s.urls
	}
	return datasource.Write{Data: s.Row, Files: s.Parts, Progress: progress}
}

// part makes the multipart part of one file, and describes an image in the row. When
// ctx has ended the part is not complete.
func part(ctx context.Context, f File, row wire.M) (datasource.Part, error) {
	p := datasource.Part{Field: wire.FileParts, Filename: strings.TrimSpace(f.Name), ContentType: f.ContentType, Content: f.Content}
	if f.URL != "" {
		data, err := wire.ParseDataURL(f.URL)
		if err != nil {
			return p, err
		}
		p.Content = data.Content
		p.Filename, p.ContentType = cmp.Or(p.Filename, data.Name), cmp.Or(p.ContentType, data.ContentType)
	}
	p.ContentType = cmp.Or(p.ContentType, wire.ContentTypeOf(p.Filename))
	var size image.Config
	var sized bool
	look := func(r io.Reader) { size, sized = examine(r, &p.ContentType) }
	if f.Reader == nil {
		look(bytes.NewReader(p.Content))
	} else {
		body := newBody(ctx, f.Reader)
		if p.ContentType == "" || strings.HasPrefix(p.ContentType, "image/") {
			body.peek(look)
		}
		p.Reader, p.Size = body, f.Size
	}
	if p.Filename == "" {
		if p.Filename = wire.NameFor(p.ContentType); p.Filename == "" {
			return p, errNoName
		}
	}
	if strings.HasPrefix(p.ContentType, "image/") {
		describe(row, size, sized)
	}
	return p, nil
}

// describe sets the columns of a message's first image, unless the caller has.
func describe(row wire.M, size image.Config, known bool) {
	if _, said := row[wire.FileType]; !said {
		row[wire.FileType] = wire.ImageFile
	}
	_, width := row[wire.ImageWidth]
	_, height := row[wire.ImageHeight]
	if known && !width && !height {
		row[wire.ImageWidth], row[wire.ImageHeight] = size.Width, size.Height
	}
}

// Rewind makes files readable again. It reports whether it could for all of them.
func Rewind(files []datasource.Part) bool {
	for i := range files {
		if body, ok := files[i].Reader.(interface{ Rewind() bool }); ok && !body.Rewind() {
			return false
		}
	}
	return true
}
