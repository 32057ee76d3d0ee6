package chat

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"image"
	"io"
	"net/url"
	"strings"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/upload"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// File is an attachment: a URL, or content to upload.
//
// A URL is stored as it is. The exception is a base64 data URL, such as
// "data:image/png;base64,…": its content is uploaded.
type File struct {
	// URL, Content and Reader are alternatives: set exactly one of them.
	URL string
	// Name is the file's name. The server takes the file's type from its extension.
	// Default: "file" with the extension of ContentType.
	Name string
	// ContentType is the media type. Default: derived from Name, or else from the
	// content.
	ContentType string
	// Content is the file's bytes.
	Content []byte
	// Reader yields the file, which is streamed rather than held in memory. It is
	// not closed. When the server refuses the chat token, the upload is repeated
	// after a new login, but only if Reader is an io.Seeker.
	Reader io.Reader
	// Size is how many bytes Reader yields; 0 when unknown.
	Size int64
}

// check reports what is wrong with a file.
func (f *File) check() error {
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
		_, err := wire.ParseDataURL(f.URL)
		if err != nil {
			return fmt.Errorf("URL: %w", err)
		}
	}
	return nil
}

// attach adds the files of a draft to its row: URLs are stored as they are,
// content is uploaded with the row.
func (c *Chat) attach(ctx context.Context, conversationID int64, row M, d *Draft) (datasource.Write, error) {
	urls := []string{}
	w := datasource.Write{Data: row, Progress: d.Progress}
	for i := range d.Files {
		f := &d.Files[i]
		if f.URL != "" && !wire.IsDataURL(f.URL) {
			urls = append(urls, f.URL)
			continue
		}
		part, err := filePart(ctx, f, row)
		if err != nil {
			return w, fmt.Errorf("Draft.Files[%d]: %w", i, err)
		}
		w.Files = append(w.Files, part)
	}
	if len(w.Files) == 0 {
		row[wire.File] = urls
		return w, nil
	}
	if len(urls) > 0 {
		row[wire.FileParts] = urls
	}
	if c.opts.EncryptMessages {
		key, err := c.keys().Key(ctx, conversationID)
		if err != nil {
			return w, fmt.Errorf("key of conversation %d: %w", conversationID, err)
		}
		row[wire.PrivateMedia], row[wire.FileSchema] = true, wire.FileKey(key)
	}
	return w, nil
}

// filePart makes the multipart part of one file, and describes an image in the row.
func filePart(ctx context.Context, f *File, row M) (datasource.Part, error) {
	p := datasource.Part{Field: wire.FileParts, Filename: strings.TrimSpace(f.Name), ContentType: f.ContentType, Content: f.Content}
	if f.URL != "" {
		data, err := wire.ParseDataURL(f.URL)
		if err != nil {
			return p, invalid("URL: %v", err)
		}
		p.Content = data.Content
		p.Filename, p.ContentType = cmp.Or(p.Filename, data.Name), cmp.Or(p.ContentType, data.ContentType)
	}
	p.ContentType = cmp.Or(p.ContentType, wire.ContentTypeOf(p.Filename))
	var size image.Config
	var sized bool
	look := func(r io.Reader) { size, sized = upload.Examine(r, &p.ContentType) }
	if f.Reader == nil {
		look(bytes.NewReader(p.Content))
	} else {
		body := upload.NewBody(ctx, f.Reader)
		if p.ContentType == "" || strings.HasPrefix(p.ContentType, "image/") {
			if body.Peek(look); ctx.Err() != nil {
				return p, context.Cause(ctx)
			}
		}
		p.Reader, p.Size = body, f.Size
	}
	if p.Filename == "" {
		if p.Filename = wire.NameFor(p.ContentType); p.Filename == "" {
			return p, invalid("Name: empty, and the content does not tell its type; give a name with an extension")
		}
	}
	if strings.HasPrefix(p.ContentType, "image/") {
		describe(row, size, sized)
	}
	return p, nil
}

// describe sets the columns of a message's first image, unless the caller has.
func describe(row M, size image.Config, known bool) {
	if _, said := row[wire.FileType]; !said {
		row[wire.FileType] = wire.ImageFile
	}
	_, width := row[wire.ImageWidth]
	_, height := row[wire.ImageHeight]
	if known && !width && !height {
		row[wire.ImageWidth], row[wire.ImageHeight] = size.Width, size.Height
	}
}

// DownloadOption changes a [Chat.Download].
type DownloadOption interface{ applyDownload(*downloadOptions) }

type downloadOptions struct{ progress func(got, total int64) }

type progressOption func(got, total int64)

func (o progressOption) applyDownload(d *downloadOptions) { d.progress = o }

// Progress makes a [Chat.Download] call fn on its own goroutine with the number of
// bytes written so far and in total; total is -1 when the server does not send it.
func Progress(fn func(got, total int64)) DownloadOption { return progressOption(fn) }

// Download writes the attachment m.Files[i] to w and returns its content type and
// size in bytes.
//
// Attachments that an encrypting chat uploaded are private: the server needs the
// conversation's key with the request. Key and token are sent to Fliplet's own
// hosts only; any other host gets a plain request. A message can name any address,
// so a program that must not reach internal hosts has to check the URL first. The
// size is not limited: w has to enforce a limit.
//
// A failed download is retried until the first byte is written. After an error w
// may hold a part of the file.
//
// Errors: [ErrInvalid] for a message without such a file or a nil w; [ErrNotFound];
// [ErrNotLoggedIn]; [ErrClosed]. A [datasource.Error] that matches
// [datasource.ErrAccessDenied] when the server does not accept the key.
func (c *Chat) Download(ctx context.Context, m *Message, i int, w io.Writer, opts ...DownloadOption) (contentType string, n int64, err error) {
	defer wrap("download", &err)
	switch {
	case m == nil:
		return "", 0, invalid("m: nil")
	case i < 0 || i >= len(m.Files):
		return "", 0, invalid("i: the message has %d files, there is no number %d", len(m.Files), i)
	case w == nil:
		return "", 0, invalid("w: nil; give io.Discard to throw the file away")
	}
	var o downloadOptions
	for _, opt := range opts {
		opt.applyDownload(&o)
	}
	ctx, s, end, err := c.enter(ctx)
	if err != nil {
		return "", 0, err
	}
	defer end()
	file := m.Files[i]
	if wire.IsDataURL(file) { // some clients store small files in the row itself
		data, err := wire.ParseDataURL(file)
		if err != nil {
			return "", 0, fmt.Errorf("file %d: %w", i, err)
		}
		written, err := w.Write(data.Content)
		return data.ContentType, int64(written), err
	}
	if m.ConversationID > 0 { // else the message was made by the caller
		if err := s.roster.Check(ctx, m.ConversationID); err != nil {
			return "", 0, err
		}
	}
	var extra url.Values
	if wire.Bool(m.Data[wire.PrivateMedia]) {
		key, err := c.keys().Key(ctx, m.ConversationID)
		if err != nil {
			return "", 0, fmt.Errorf("key of conversation %d: %w", m.ConversationID, err)
		}
		extra = wire.DownloadKey(key)
	}
	contentType, n, err = c.client.Download(ctx, file, extra, w, o.progress)
	return contentType, n, missing(err, "file of message", m.ID)
}
