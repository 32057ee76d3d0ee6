package chat

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"image"
	_ "image/gif" // the formats whose size is looked up
	_ "image/jpeg"
	_ "image/png"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// File is an attachment: a URL, or content to upload.
//
// A URL is stored as it is, except that a base64 data URL, such as
// "data:image/png;base64,…", is uploaded (documented).
type File struct {
	// URL, Content and Reader are alternatives: give one of them.
	URL string
	// Name is the file's name, whose extension tells the server what it is.
	// Without one it is "file" and the extension of its type.
	Name string
	// ContentType is told from the name or the content when it is empty.
	ContentType string
	// Content is the file.
	Content []byte
	// Reader yields the file, which is streamed rather than held in memory. It is
	// not closed. If it is an io.Seeker, it can be sent again after the one failure
	// that a new login repairs; otherwise that failure is returned.
	Reader io.Reader
	// Size is how many bytes Reader yields; 0 when unknown.
	Size int64
}

// headBytes is how much of a Reader may be looked at to tell its type and the
// size of its image; what tells them is hardly ever further in.
const headBytes = 1 << 20

// sniffBytes is how much of a file tells its type.
const sniffBytes = 512

// check refuses a file that is not one.
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
		part, err := upload(ctx, f, row)
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

// upload makes the part of one file and notes in the row what it is.
func upload(ctx context.Context, f *File, row M) (datasource.Part, error) {
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
	look := func(r io.Reader) { size, sized = examine(r, &p.ContentType) }
	if f.Reader == nil {
		look(bytes.NewReader(p.Content))
	} else {
		body := newFileBody(ctx, f.Reader)
		if p.ContentType == "" || strings.HasPrefix(p.ContentType, "image/") {
			if body.peek(look); ctx.Err() != nil {
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

// describe notes the first image of a message, unless the caller said it all.
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

// examine looks into a file for its type, if that is not known, and for the size
// of an image.
func examine(r io.Reader, contentType *string) (image.Config, bool) {
	var head bytes.Buffer
	if *contentType == "" {
		// What was read is read again for the size.
		_, _ = io.CopyN(&head, r, sniffBytes) // a shorter file is no failure, and one that fails does so again when it is sent
		*contentType = http.DetectContentType(head.Bytes())
	}
	if !strings.HasPrefix(*contentType, "image/") {
		return image.Config{}, false
	}
	cfg, _, err := image.DecodeConfig(io.MultiReader(&head, r))
	return cfg, err == nil
}

// fileBody is a Reader on its way to the server. What was looked at comes again.
type fileBody struct {
	source patientReader
	head   []byte
	rest   io.Reader // nil until the first Read
	seeker io.Seeker // nil when the Reader cannot go back
	start  int64
	used   atomic.Bool
}

func newFileBody(ctx context.Context, r io.Reader) *fileBody {
	b := &fileBody{source: patientReader{ctx: ctx, from: r}}
	if s, ok := r.(io.Seeker); ok {
		if at, err := s.Seek(0, io.SeekCurrent); err == nil {
			b.seeker, b.start = s, at
		}
	}
	return b
}

// peek lets look read the beginning, which is kept.
func (b *fileBody) peek(look func(io.Reader)) {
	var head bytes.Buffer
	look(io.TeeReader(io.LimitReader(&b.source, headBytes), &head))
	b.head = head.Bytes()
}

func (b *fileBody) Read(p []byte) (int, error) {
	if b.rest == nil {
		b.rest = io.MultiReader(bytes.NewReader(b.head), &b.source)
	}
	b.used.Store(true)
	return b.rest.Read(p)
}

// rewind makes files readable once more. It reports whether all of them are.
func rewind(files []datasource.Part) bool {
	for i := range files {
		b, ok := files[i].Reader.(*fileBody)
		if !ok || !b.used.Load() {
			continue
		}
		if b.seeker == nil {
			return false
		}
		if _, err := b.seeker.Seek(b.start, io.SeekStart); err != nil {
			return false
		}
		b.head, b.rest = nil, nil
		b.used.Store(false)
	}
	return true
}

// patientReader reads until its context ends, also when the Reader hangs: net/http
// waits for a Read of a body, whatever becomes of the request. Such a Read is left
// behind with a buffer of its own.
type patientReader struct {
	ctx  context.Context
	from io.Reader
	buf  []byte
}

func (r *patientReader) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	if len(r.buf) < len(p) {
		r.buf = make([]byte, len(p))
	}
	type result struct {
		n   int
		err error
	}
	done := make(chan result, 1)
	buf := r.buf[:len(p)]
	go func() {
		n, err := r.from.Read(buf)
		done <- result{n, err}
	}()
	select {
	case got := <-done:
		return copy(p, buf[:got.n]), got.err
	case <-r.ctx.Done():
		return 0, context.Cause(r.ctx)
	}
}

// DownloadOption changes a [Chat.Download].
type DownloadOption interface{ applyDownload(*downloadOptions) }

type downloadOptions struct{ progress func(got, total int64) }

type progressOption func(got, total int64)

func (o progressOption) applyDownload(d *downloadOptions) { d.progress = o }

// Progress is called while a [Chat.Download] runs, on its goroutine, with the bytes
// written so far and how many there are, -1 when the server does not say.
func Progress(fn func(got, total int64)) DownloadOption { return progressOption(fn) }

// Download writes the attachment m.Files[i] to w and returns its content type and
// size.
//
// An attachment that was uploaded by an encrypting chat is private: the server
// wants the conversation's key with the request. That key and the token go to
// Fliplet's own hosts only. Any other host gets a plain request, and since a
// message can name any address, a program that must not reach internal hosts has
// to check the URL itself. There is no limit on the size: let w have one.
//
// Until the first byte is written a failed download is repeated; afterwards w may
// hold a part of the file.
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
	ctx, _, end, err := c.enter(ctx)
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
