package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"

	"golang.org/x/term"
)

// style is a colour or a weight of a terminal.
type style string

const (
	bold   style = "1"
	dim    style = "2"
	red    style = "31"
	green  style = "32"
	yellow style = "33"
	cyan   style = "36"
)

// printer writes for people or for programs.
type printer struct {
	io.Writer
	json     bool
	color    bool
	terminal bool
	width    int // columns
}

// newPrinter looks at what is behind w: a terminal, or a pipe.
func newPrinter(w io.Writer, format string, noColor bool) *printer {
	p := &printer{Writer: w, width: 80}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) { //nolint:gosec // a descriptor
		p.terminal = true
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 { //nolint:gosec // a descriptor
			p.width = width
		}
	}
	p.color = p.terminal && !noColor && os.Getenv("TERM") != "dumb"
	p.json = format == "json" || format == "auto" && !p.terminal
	return p
}

// Printf writes what is for people. What comes from elsewhere goes through safe first.
func (p *printer) Printf(format string, a ...any) { fmt.Fprintf(p, format, a...) }

// JSON writes v as one line.
func (p *printer) JSON(v any) error {
	line, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = p.Write(append(line, '\n'))
	return err
}

// Paint gives text a style, where there are colours.
func (p *printer) Paint(s style, text string) string {
	if !p.color || text == "" {
		return text
	}
	return "\x1b[" + string(s) + "m" + text + "\x1b[0m"
}

// safe makes text harmless that others have written: a terminal obeys control characters,
// and marks of direction make it show something else than what is there.
func safe(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r), r == '\u2028', r == '\u2029', r == '\ufeff', r == unicode.ReplacementChar:
			return '\ufffd'
		}
		return r
	}, text)
}
