package storm

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// request is one request as it came, byte for byte.
type request struct {
	method, path string
	raw          []byte
	body         []byte // what of raw is behind the header
}

// answer is one answer, without what tells where its body ends.
type answer struct {
	status  string   // "200 OK"
	headers []string // "Name: value"
	body    []byte
}

// crlf ends a line.
const crlf = "\r\n"

// readHead reads up to the empty line that ends a header.
func readHead(r *bufio.Reader) (first string, headers []string, err error) {
	for {
		line, err := r.ReadBytes('\n')
		if err != nil {
			return "", nil, err
		}
		text := strings.TrimRight(string(line), crlf)
		switch {
		case text == "" && first != "":
			return first, headers, nil
		case first == "":
			first = text
		default:
			headers = append(headers, text)
		}
	}
}

// value returns a header, "" if there is none. name is in lower case.
func value(headers []string, name string) string {
	for _, h := range headers {
		if n, v, _ := strings.Cut(h, ":"); strings.ToLower(n) == name {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// without returns the headers that have other names. names are in lower case.
func without(headers []string, names ...string) []string {
	var out []string
	for _, h := range headers {
		n, _, _ := strings.Cut(h, ":")
		drop := false
		for _, name := range names {
			drop = drop || strings.ToLower(n) == name
		}
		if !drop {
			out = append(out, h)
		}
	}
	return out
}

// readChunks reads a chunked body: as it is on the wire, and what it says.
func readChunks(r *bufio.Reader) (raw, plain []byte, err error) {
	for {
		line, err := r.ReadBytes('\n')
		raw = append(raw, line...)
		if err != nil {
			return raw, plain, err
		}
		text, _, _ := strings.Cut(strings.TrimSpace(string(line)), ";")
		size, err := strconv.ParseUint(text, 16, 31)
		if err != nil {
			return raw, plain, fmt.Errorf("storm: a chunk of %q bytes: %w", text, err)
		}
		piece := make([]byte, int(size)+len(crlf)) // trailers are not sent by these two
		if _, err := io.ReadFull(r, piece); err != nil {
			return raw, plain, err
		}
		raw, plain = append(raw, piece...), append(plain, piece[:size]...)
		if size == 0 {
			return raw, plain, nil
		}
	}
}

// readRequest reads one request. It asks for answers that are not compressed.
func readRequest(r *bufio.Reader) (*request, error) {
	first, headers, err := readHead(r)
	if err != nil {
		return nil, err
	}
	words := strings.Fields(first)
	if len(words) != 3 {
		return nil, fmt.Errorf("storm: %q is no request", first)
	}
	q := &request{method: words[0], path: words[1]}
	switch size := value(headers, "content-length"); {
	case strings.EqualFold(value(headers, "transfer-encoding"), "chunked"):
		q.body, _, err = readChunks(r)
	case size != "":
		var n uint64
		if n, err = strconv.ParseUint(size, 10, 31); err == nil {
			q.body = make([]byte, int(n))
			_, err = io.ReadFull(r, q.body)
		}
	}
	headers = without(headers, "accept-encoding")
	q.raw = append([]byte(first+crlf+strings.Join(headers, crlf)+crlf+crlf), q.body...)
	return q, err
}

// readAnswer reads the final answer to a request of a method.
func readAnswer(r *bufio.Reader, method string) (*answer, error) {
	for {
		first, headers, err := readHead(r)
		if err != nil {
			return nil, err
		}
		_, status, ok := strings.Cut(first, " ")
		if !ok || len(status) < 3 {
			return nil, fmt.Errorf("storm: %q is no answer", first)
		}
		if status[0] == '1' {
			continue
		}
		a := &answer{status: status, headers: without(headers, "content-length", "transfer-encoding", "connection")}
		switch size := value(headers, "content-length"); {
		case method == "HEAD" || status[:3] == "204" || status[:3] == "304":
		case strings.EqualFold(value(headers, "transfer-encoding"), "chunked"):
			_, a.body, err = readChunks(r)
		case size != "":
			var n uint64
			if n, err = strconv.ParseUint(size, 10, 31); err == nil {
				a.body = make([]byte, int(n))
				_, err = io.ReadFull(r, a.body)
			}
		default:
			err = errors.New("storm: an answer that does not say where it ends")
		}
		return a, err
	}
}

// head is everything before the body, with further headers.
func (a *answer) head(version string, more ...string) []byte {
	var b bytes.Buffer
	b.WriteString(version + " " + a.status + crlf)
	for _, h := range append(append([]string(nil), a.headers...), more...) {
		b.WriteString(h + crlf)
	}
	b.WriteString(crlf)
	return b.Bytes()
}

// length is the header that says how long a body is.
func length(n int) string { return "Content-Length: " + strconv.Itoa(n) }

// bytes is the answer as it should be.
func (a *answer) bytes() []byte { return a.with() }

// with is the answer with further headers.
func (a *answer) with(more ...string) []byte {
	if strings.HasPrefix(a.status, "204") {
		return a.head("HTTP/1.1", more...)
	}
	return append(a.head("HTTP/1.1", append(more, length(len(a.body)))...), a.body...)
}

// chunk is a piece of a chunked body.
func chunk(piece []byte) []byte {
	return fmt.Appendf(nil, "%x\r\n%s\r\n", len(piece), piece)
}
