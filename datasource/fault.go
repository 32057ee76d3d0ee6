package datasource

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxMessage is how much of a server's text becomes part of an error.
const maxMessage = 1000

// fault turns an answer that is not a success into an *Error. It reads the body as tolerantly as Fliplet's
// JavaScript helper does: message, error_message, description, or an error that is a text or holds these itself.
func (c *Client) fault(cl *call, status int, header http.Header, body []byte) *Error {
	e := &Error{StatusCode: status, op: cl.op()}
	var named string
	if decode(body, func(d *decoder) (err error) { named, err = d.fault(e); return err }) != nil {
		*e = Error{StatusCode: status, op: cl.op()}
		named = ""
		if text := bytes.TrimSpace(body); len(text) > 0 && text[0] != '<' && text[0] != '{' { // not a page of HTML, not half an object
			e.Message = string(text)
		}
	}
	text := bytes.TrimSpace(body)
	e.FromService = len(text) > 0 && text[0] == '{' && (e.Type != "" || e.Code != "" || e.Message != "")
	if e.Message == "" {
		e.Message = e.Code
	}
	if e.Message == "" {
		e.Message = http.StatusText(status)
	}
	c.clean(cl, e)
	e.RetryAt, e.RetryAfter, e.named = retryTime(header, named)
	return e
}

// clean removes from what the server wrote everything that looks like a secret, repeats the request, or would do
// something when it is printed.
func (c *Client) clean(cl *call, e *Error) {
	sent := c.values(cl)
	text := func(s string) string {
		s = c.scrub(s)
		return shorten(withoutEcho(s[:min(len(s), 2*maxMessage)], sent))
	}
	for _, s := range [...]*string{&e.Message, &e.Code, &e.Type, &e.ReferenceURL} {
		if *s != codeSource && *s != codeFile { // what Is tells refusals by stays, also where the request has the words
			*s = text(*s)
		}
	}
	if strings.Contains(e.ReferenceURL, redacted) {
		e.ReferenceURL = ""
	}
	e.Payload = jsonWithoutEcho(c.scrubJSON(e.Payload), sent)
}

// shorten cuts a text to what an error has room for.
func shorten(text string) string {
	if len(text) > maxMessage {
		text = strings.ToValidUTF8(text[:maxMessage], "") + "…"
	}
	return text
}

// fault reads an error body, or the object inside its "error". named is the nextValidRequestDate.
func (d *decoder) fault(e *Error) (named string, err error) {
	if d.peek() == '"' {
		e.Message, err = d.str()
		return "", err
	}
	if d.peek() != '{' {
		return "", d.skip()
	}
	var second string     // used when there is no message
	var words, own string // "error" and "message" of this object, if they are texts
	err = d.object(func(name []byte) (err error) {
		switch string(name) {
		case "message":
			if err = d.setText(&own); own != "" {
				e.Message = own
			}
		case "error_message", "description", "responseText":
			err = d.setText(&second)
		case "type":
			err = d.setText(&e.Type)
		case "code":
			err = d.setText(&e.Code)
		case "payload":
			var raw []byte
			if raw, err = d.raw(); err == nil && string(raw) != "null" {
				e.Payload = json.RawMessage(bytes.Clone(raw))
			}
		case "nextValidRequestDate":
			named, err = d.str()
		case "referenceUrl":
			e.ReferenceURL, err = d.str()
		case "error":
			if d.peek() == '"' {
				words, err = d.str()
				e.Code = words
				return err
			}
			fallthrough
		case "responseJSON":
			err = d.faultInside(e, &named)
		default:
			err = d.skip()
		}
		return err
	})
	e.coded = words == codeFile && own != "" || words == codeToken && strings.Contains(own, tokenWord)
	if e.Message == "" {
		e.Message = second
	}
	return named, err
}

// faultInside reads the value of "error": a code in words, or an object like the one around it. Fields of the outer
// object win.
func (d *decoder) faultInside(e *Error, named *string) error {
	if d.peek() != '{' {
		return d.setText(&e.Code)
	}
	var inner Error
	date, err := d.fault(&inner)
	for _, f := range [...]struct{ into, from *string }{
		{&e.Message, &inner.Message}, {&e.Type, &inner.Type}, {&e.Code, &inner.Code},
		{&e.ReferenceURL, &inner.ReferenceURL}, {named, &date},
	} {
		if *f.into == "" {
			*f.into = *f.from
		}
	}
	if e.Payload == nil {
		e.Payload = inner.Payload
	}
	return err
}

// setText reads a string or a number into s, and leaves s alone at anything else.
func (d *decoder) setText(s *string) error {
	switch c := d.peek(); {
	case c == '"':
		text, err := d.text()
		*s = string(text)
		return err
	case c == '-', '0' <= c && c <= '9':
		text, err := d.number()
		*s = string(text)
		return err
	}
	return d.skip()
}

// retryTime finds out when the next request is welcome: Retry-After when there is one, else the date in the body.
// Dates are measured from the answer's own Date, since both come from the same clock. What cannot be read, or is negative,
// was not said. at and after are LongestWait ahead at most; named is what was said.
func retryTime(header http.Header, date string) (at time.Time, after, named time.Duration) {
	now, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		now = time.Now()
	}
	given := strings.TrimSpace(header.Get("Retry-After"))
	if seconds, ok := wholeSeconds(given); ok {
		named = time.Duration(min(seconds, math.MaxInt64/uint64(time.Second))) * time.Second
		after = min(named, LongestWait)
		return now.Add(after).UTC(), after, named
	}
	for _, text := range [...]string{given, strings.TrimSpace(date)} {
		if at, err = http.ParseTime(text); err != nil {
			at = parseTime([]byte(text))
		}
		if at.IsZero() {
			continue
		}
		named = max(0, at.Sub(now)) // which is at most what a Duration holds
		if latest := now.Add(LongestWait); at.After(latest) {
			at = latest
		}
		return at.UTC(), min(named, LongestWait), named
	}
	return time.Time{}, 0, 0
}

// wholeSeconds reads a number of seconds. One that is too large for the type is the largest of it.
func wholeSeconds(text string) (uint64, bool) {
	seconds, err := strconv.ParseUint(text, 10, 64)
	return seconds, err == nil || errors.Is(err, strconv.ErrRange)
}
