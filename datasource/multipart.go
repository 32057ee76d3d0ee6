package datasource

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime/multipart"
	"net/textproto"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// Part is one file of a multipart request: either Content, or Reader with its Size.
type Part struct {
	// Field is the column; "name[]" for a column that holds several files.
	Field string
	// Filename is required: the server refuses a file whose extension it does not know.
	Filename string
	// ContentType defaults to application/octet-stream.
	ContentType string
	// Content is the file.
	Content []byte
	// Reader yields the file when Content is nil. Once something was read from it the request is never repeated. It is
	// not closed.
	Reader io.Reader
	// Size is the number of bytes that Reader yields; 0 or less means unknown, which sends the body in chunks.
	Size int64
}

// maxFile is the limit for one file.
const maxFile = 500 << 20

// fault says what is wrong with p, or nothing.
func (p *Part) fault() string {
	switch {
	case p.Field == "":
		return `Field is empty: name the column, "file[]" for several files`
	case p.Filename == "":
		return "Filename is empty: the server tells the type of a file by its extension"
	case p.Content == nil && p.Reader == nil:
		return "neither Content nor Reader is set (an empty file is Content: []byte{})"
	case p.Content != nil && p.Reader != nil:
		return "Content and Reader are both set: give one"
	case max(int64(len(p.Content)), p.Size) > maxFile:
		return fmt.Sprintf("the file is larger than the %d bytes that the server takes", maxFile)
	case !printable(p.ContentType):
		return "ContentType holds a character that a header cannot carry"
	}
	return ""
}

// A form is a multipart body that is put together while it is sent, so that a file is never held in memory twice.
type form struct {
	contentType string
	size        int64 // -1: unknown
	chunks      []chunk
	values      []string // of the fields, and the names of files
	progress    func(sent, total int64)
	started     atomic.Bool // something was read from a Reader, which cannot be read again
	current     *formBody   // of the running attempt
}

// A chunk is some of the envelope or a file.
type chunk struct {
	bytes  []byte
	reader io.Reader
	file   bool
}

// newForm checks parts and lays the body out: the fields in the order of their names, then the files.
func newForm(fields map[string][]string, parts []Part, progress func(sent, total int64)) (*form, error) {
	f := &form{progress: progress}
	var envelope bytes.Buffer
	w := multipart.NewWriter(&envelope)
	f.contentType = w.FormDataContentType()
	// A bytes.Buffer takes every write.
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		for _, text := range fields[name] {
			_ = w.WriteField(name, text)
			f.values = append(f.values, text)
		}
	}
	for i := range parts {
		p := &parts[i]
		if fault := p.fault(); fault != "" {
			return nil, fmt.Errorf("datasource: Files[%d]: %s", i, fault)
		}
		f.values = append(f.values, p.Filename)
		header := textproto.MIMEHeader{
			"Content-Disposition": {multipart.FileContentDisposition(p.Field, p.Filename)},
			"Content-Type":        {p.ContentType},
		}
		if p.ContentType == "" {
			header.Set("Content-Type", "application/octet-stream")
		}
		_, _ = w.CreatePart(header)
		f.add(chunk{bytes: bytes.Clone(envelope.Bytes())}, int64(envelope.Len()))
		envelope.Reset()
		if p.Reader == nil {
			f.add(chunk{bytes: p.Content, file: true}, int64(len(p.Content)))
		} else {
			f.add(chunk{reader: p.Reader}, p.Size)
		}
	}
	_ = w.Close()
	f.add(chunk{bytes: envelope.Bytes()}, int64(envelope.Len()))
	return f, nil
}

func (f *form) add(c chunk, size int64) {
	f.chunks = append(f.chunks, c)
	if c.reader != nil && size <= 0 {
		f.size = -1
	}
	if f.size >= 0 {
		f.size += size
	}
}

// reusable reports whether the body can be sent from its start once more.
func (f *form) reusable() bool { return !f.started.Load() }

// open returns the body from its start.
func (f *form) open() io.ReadCloser {
	readers := make([]io.Reader, len(f.chunks))
	for i, c := range f.chunks {
		if c.reader != nil {
			readers[i] = &onceReader{c.reader, &f.started}
		} else {
			readers[i] = bytes.NewReader(c.bytes)
		}
	}
	f.current = &formBody{form: f, source: io.MultiReader(readers...)}
	return f.current
}

// stop ends the attempt's reading. When a server answers early, net/http goes on reading the body. After the caller's
// call has returned it must neither read from the caller's Reader nor call Progress, so stop waits for a Read under way.
// It does not wait when ctx has ended, since the Read may hang.
func (f *form) stop(ctx context.Context) {
	b := f.current
	if b == nil {
		return
	}
	b.stopped.Store(true)
	if b.reading.TryLock() || ctx.Err() == nil && lock(&b.reading) {
		b.reading.Unlock()
	}
}

func lock(mu *sync.Mutex) bool {
	mu.Lock()
	return true
}

type formBody struct {
	form    *form
	source  io.Reader
	sent    int64
	reading sync.Mutex
	stopped atomic.Bool
}

func (b *formBody) Read(p []byte) (int, error) {
	b.reading.Lock()
	defer b.reading.Unlock()
	if b.stopped.Load() {
		return 0, errors.New("the call has ended")
	}
	n, err := b.source.Read(p)
	if b.sent += int64(n); n > 0 && b.form.progress != nil && !b.stopped.Load() {
		b.form.progress(b.sent, b.form.size)
	}
	return n, err
}

// Close leaves the callers' readers open.
func (b *formBody) Close() error { return nil }

type onceReader struct {
	io.Reader
	started *atomic.Bool
}

func (r *onceReader) Read(p []byte) (int, error) {
	r.started.Store(true)
	n, err := r.Reader.Read(p)
	if err != nil && err != io.EOF {
		err = &localError{err}
	}
	return n, err
}

// formFields turns columns into text parts. Scalars are plain text, since multipart has no types; nested values are
// JSON. Multipart has no null: a new row goes without the column, and an update is refused. A []string under a name such
// as "file[]" is one part for each text, so that one column can hold URLs beside files.
func formFields(data M, update bool) (map[string][]string, error) {
	fields := make(map[string][]string, len(data))
	for name, v := range data {
		if list, ok := v.([]string); ok && strings.HasSuffix(name, "[]") {
			fields[name] = list
			continue
		}
		text, err := appendValue(nil, v)
		switch {
		case err != nil:
			return nil, fmt.Errorf("datasource: Data[%q]: %w", name, err)
		case string(text) == "null" && update:
			return nil, fmt.Errorf("datasource: Data[%q] is null, which a request with files cannot say: set it with another Update", name)
		case string(text) == "null":
			continue
		case text[0] == '"':
			var plain string
			if err := json.Unmarshal(text, &plain); err != nil {
				return nil, fmt.Errorf("datasource: Data[%q]: %w", name, err)
			}
			fields[name] = []string{plain}
		default:
			fields[name] = []string{string(text)}
		}
	}
	for name := range fields {
		if strings.ContainsAny(name, "\r\n\x00") {
			return nil, fmt.Errorf("datasource: column %q holds a line end, which a request with files cannot carry", name)
		}
	}
	return fields, nil
}
