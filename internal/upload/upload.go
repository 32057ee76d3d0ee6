// Package upload prepares files for their way to the server: it finds out what they are, encrypts them,
// and can go back to their beginning for a second attempt.
package upload

import (
	"bytes"
	"context"
	"image"
	_ "image/gif" // the formats whose size is looked up
	_ "image/jpeg"
	_ "image/png"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
)

// headBytes is how much of a Reader is buffered at most to find its type and the
// size of its image.
const headBytes = 1 << 20

// sniffBytes is how much [http.DetectContentType] looks at.
const sniffBytes = 512

// examine reads from a file its type, unless that is known, and the size of an
// image.
func examine(r io.Reader, contentType *string) (image.Config, bool) {
	var head bytes.Buffer
	if *contentType == "" {
		// Errors are ignored: a file may be shorter, and a broken Reader fails again
		// when the file is sent.
		_, _ = io.CopyN(&head, r, sniffBytes)
		*contentType = http.DetectContentType(head.Bytes())
	}
	if !strings.HasPrefix(*contentType, "image/") {
		return image.Config{}, false
	}
	cfg, _, err := image.DecodeConfig(io.MultiReader(&head, r))
	return cfg, err == nil
}

// body is the content of an upload. Bytes read by peek are read again.
type body struct {
	source interruptibleReader
	head   []byte
	rest   io.Reader // nil until the first Read
	seeker io.Seeker // nil when the Reader cannot seek
	start  int64
	used   atomic.Bool
}

func newBody(ctx context.Context, r io.Reader) *body {
	b := &body{source: interruptibleReader{ctx: ctx, from: r}}
	if s, ok := r.(io.Seeker); ok {
		if at, err := s.Seek(0, io.SeekCurrent); err == nil {
			b.seeker, b.start = s, at
		}
	}
	return b
}

// peek calls look with the beginning of the file, and buffers what it reads.
func (b *body) peek(look func(io.Reader)) {
	var head bytes.Buffer
	look(io.TeeReader(io.LimitReader(&b.source, headBytes), &head))
	b.head = head.Bytes()
}

func (b *body) Read(p []byte) (int, error) {
	if b.rest == nil {
		b.rest = io.MultiReader(bytes.NewReader(b.head), &b.source)
	}
	b.used.Store(true)
	return b.rest.Read(p)
}

// Rewind makes the file readable from its beginning again. It reports false when the
// Reader cannot seek.
func (b *body) Rewind() bool {
	if !b.used.Load() {
		return true
	}
	if b.seeker == nil {
		return false
	}
	if _, err := b.seeker.Seek(b.start, io.SeekStart); err != nil {
		return false
	}
	b.head, b.rest = nil, nil
	b.used.Store(false)
	return true
}

// interruptibleReader returns when its context ends, even if the Reader blocks:
// net/http waits for a Read of the body even after the request was cancelled. The
// abandoned Read has a buffer of its own.
type interruptibleReader struct {
	ctx  context.Context
	from io.Reader
	buf  []byte
}

func (r *interruptibleReader) Read(p []byte) (int, error) {
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
