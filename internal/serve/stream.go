package serve

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
)

// sniffed is how much [http.DetectContentType] looks at.
const sniffed = 512

// stream reads a file while it is fetched. It can skip, and not go back.
type stream struct {
	cancel context.CancelFunc
	ready  chan struct{} // closed when the size is known
	done   chan struct{} // closed when fetch has returned
	in     *io.PipeWriter
	out    *io.PipeReader

	// Written by the fetching goroutine before ready is closed, and read afterwards.
	head   []byte
	size   int64
	opened bool // the fetching goroutine's

	r      *bufio.Reader
	at     int64 // what was read of r
	want   int64 // where the next Read begins
	failed error // why the file ended early
}

// start begins to fetch.
func start(ctx context.Context, fetch func(context.Context, io.Writer, func(got, total int64)) error) *stream {
	s := &stream{ready: make(chan struct{}), done: make(chan struct{})}
	s.out, s.in = io.Pipe()
	ctx, s.cancel = context.WithCancel(ctx)
	go func() {
		defer close(s.done)
		err := fetch(ctx, writer{s}, func(_, total int64) { s.know(total) })
		if !s.opened && err == nil {
			s.know(int64(len(s.head)))
		}
		if err != nil {
			err = &fetchError{err}
		}
		_ = s.in.CloseWithError(err)
		s.know(-1)
	}()
	return s
}

// fetchError is an error of fetch. It hides what that wraps, which may be [io.EOF]: a
// connection that was closed is not the end of the file.
type fetchError struct{ err error }

func (e *fetchError) Error() string { return e.err.Error() }

// cause is the error of fetch, as it returned it.
func cause(err error) error {
	var f *fetchError
	if errors.As(err, &f) {
		return f.err
	}
	return err
}

// know sets the size once.
func (s *stream) know(size int64) {
	if !s.opened {
		s.opened, s.size = true, size
		close(s.ready)
	}
}

// writer keeps the first bytes, behind which the size comes.
type writer struct{ *stream }

func (w writer) Write(p []byte) (int, error) {
	if !w.opened {
		if len(w.head) == 0 {
			w.head = append(w.head, p...)
			return len(p), nil
		}
		w.know(-1)
	}
	return w.in.Write(p)
}

// open waits for the first bytes, which it returns, or for the reason why there are none.
func (s *stream) open() ([]byte, error) {
	<-s.ready
	s.r = bufio.NewReaderSize(io.MultiReader(bytes.NewReader(s.head), s.out), 32<<10)
	first, err := s.r.Peek(sniffed)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, cause(err)
	}
	return first, nil
}

// Read reads from where Seek went.
func (s *stream) Read(p []byte) (int, error) {
	if s.want < s.at {
		return 0, s.fail(errors.New("a file that arrives as a stream does not go back"))
	}
	if s.want > s.at {
		n, err := io.CopyN(io.Discard, s.r, s.want-s.at)
		if s.at += n; errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return 0, s.fail(err)
		}
	}
	n, err := s.r.Read(p)
	s.at += int64(n)
	s.want = s.at
	if errors.Is(err, io.EOF) && s.size >= 0 && s.at < s.size {
		err = io.ErrUnexpectedEOF
	}
	return n, s.fail(err)
}

// fail remembers an error that is not the end of the file.
func (s *stream) fail(err error) error {
	if err != nil && !errors.Is(err, io.EOF) && s.failed == nil {
		s.failed = cause(err)
	}
	return err
}

// Seek sets where the next Read begins.
func (s *stream) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += s.want
	case io.SeekEnd:
		offset += s.size
	}
	if offset < 0 {
		return 0, errors.New("before the beginning")
	}
	s.want = offset
	return offset, nil
}

// stop ends the fetching and waits for its end.
func (s *stream) stop() {
	s.cancel()
	_ = s.out.CloseWithError(errStopped)
	<-s.done
}
