package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"
	"unicode/utf8"

	"golang.org/x/term"
)

// style is a colour or a weight of a terminal.
type style string

const (
	bold    style = "1"
	dim     style = "2"
	red     style = "31"
	green   style = "32"
	yellow  style = "33"
	blue    style = "34"
	magenta style = "35"
	cyan    style = "36"
)

// printer writes for people or for programs.
type printer struct {
	w     io.Writer
	fd    int // of the terminal, -1 for none
	json  bool
	color bool

	mu   sync.Mutex
	err  error // the first failure to write
	shut bool
}

// newPrinter looks at what is behind w: a terminal, or a pipe.
func newPrinter(w io.Writer, format string, noColor bool) *printer {
	p := &printer{w: w, fd: -1}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) { //nolint:gosec // a descriptor
		p.fd = int(f.Fd()) //nolint:gosec // a descriptor
	}
	p.color = p.terminal() && !noColor && os.Getenv("TERM") != "dumb"
	p.json = format == "json" || format == "auto" && !p.terminal()
	return p
}

func (p *printer) terminal() bool { return p.fd >= 0 }

// width is how many columns there are, 0 for any number. A window may change its size.
func (p *printer) width() int {
	if p.terminal() {
		if width, _, err := term.GetSize(p.fd); err == nil && width > 0 {
			return width
		}
		return 80
	}
	width, err := strconv.Atoi(os.Getenv("COLUMNS"))
	if err != nil {
		return 0
	}
	return max(width, 0)
}

// Write remembers the first failure, so that a full disk is not taken for success.
func (p *printer) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shut {
		return 0, os.ErrClosed
	}
	n, err := p.w.Write(b)
	if err != nil && p.err == nil {
		p.err = err
	}
	return n, err
}

// last writes what nothing more comes after.
func (p *printer) last(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.shut {
		_, _ = io.WriteString(p.w, text) // there is nobody left to tell
	}
	p.shut = true
}

// failure is the first failure to write.
func (p *printer) failure() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// Printf writes what is for people. What others have written goes through safe first.
func (p *printer) Printf(format string, a ...any) { fmt.Fprintf(p, format, a...) }

// JSON writes v as one line. What a terminal or an editor would obey is escaped.
func (p *printer) JSON(v any) error {
	line, err := json.Marshal(v)
	if err != nil {
		return err
	}
	out := make([]byte, 0, len(line)+1)
	for i := 0; i < len(line); {
		r, size := utf8.DecodeRune(line[i:])
		if size > 1 && obeyed(r) || r == 0x7f {
			out = fmt.Appendf(out, `\u%04x`, r) // all of them are below 0x10000
		} else {
			out = append(out, line[i:i+size]...)
		}
		i += size
	}
	_, err = p.Write(append(out, '\n'))
	return err
}

// Paint gives text a style, where there are colours.
func (p *printer) Paint(s style, text string) string {
	if !p.color || text == "" || s == "" {
		return text
	}
	return "\x1b[" + string(s) + "m" + text + "\x1b[0m"
}
