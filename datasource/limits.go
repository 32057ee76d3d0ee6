package datasource

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// What one answer may hold. Whoever can write one row, or one definition, decides how large it is, so a row that breaks
// a limit costs that row and no other.
const (
	// maxRowBytes is the text of one row. Of a data source it is the text of one of its fields.
	maxRowBytes = 1 << 20
	// maxRowDepth is how deep the values of a row may nest, the row itself counted. encoding/json refuses more than
	// 10,000, and what a row is stored in needs a few.
	maxRowDepth = 1000
	// maxRowValues counts the values of one row, or data source, an object or array as containerCost of them: an empty
	// one of two bytes takes the memory of several strings.
	maxRowValues  = 50_000
	containerCost = 8
	// maxValues is maxRowValues for all rows of an answer. More makes the answer too large. Of data sources, which cannot
	// be asked for in parts, those with the most values are left out.
	maxValues = 1 << 20
	// maxRows is the number of rows in a list without a limit. More makes the answer too large.
	maxRows = 1 << 18
	// rowsPerLimit is how many times the limit of a query a server may send. What comes after them is left out, so that
	// a server which ignores the limit looks like one that sends larger pages.
	rowsPerLimit = 2
	// goneShare is the part of an answer that its deleted rows may have, of which a limit does not hold for the number: a
	// quarter of the bytes, and of the values. Those that do not fit are read without their columns, and then not at all.
	goneShare = 4
	// plainBytes is the size up to which an answer is decoded as it came. Rows that break a limit are taken out of a
	// longer one while it arrives.
	plainBytes = 8 << 20
	// transferFactor bounds what is read of an answer with rows, in units of Config.MaxResponseBytes: 1.25 GiB. A request
	// to Fliplet, and so a row, holds 1 GB.
	transferFactor = 20
)

// ErrRowLimit is the reason of a row, or data source, that was not read because it breaks a limit: 1 MiB, 1,000 levels,
// 50,000 values. [Entry.Err] and [DataSource.Err] match it.
var ErrRowLimit = errors.New("datasource: it breaks a limit of what is read")

// limitError is an ErrRowLimit with the limit.
type limitError struct{ what string }

func (e *limitError) Error() string        { return ErrRowLimit.Error() + ": " + e.what }
func (e *limitError) Is(target error) bool { return target == ErrRowLimit }

var (
	errRowBytes    = &limitError{fmt.Sprintf("more than %d KiB", maxRowBytes>>10)}
	errRowDepth    = &limitError{fmt.Sprintf("values nested more than %d levels deep", maxRowDepth)}
	errRowValues   = &limitError{fmt.Sprintf("more than %d values", maxRowValues)}
	errAllValues   = &limitError{fmt.Sprintf("it has the most of the more than %d values of the answer", maxValues)}
	errTooManyRows = &ResponseTooLargeError{Limit: maxRows, of: "rows"}
	errManyValues  = &ResponseTooLargeError{Limit: maxValues, of: "values"}
)

// rowBytes is maxRowBytes, or half of a smaller answer.
func rowBytes(answer int64) int { return int(min(maxRowBytes, max(answer/2, 1))) }

// CheckLimits reports whether a value can be read again once it is stored, as the Data of a row or as the Definition of a
// data source: at most 960 KiB of JSON, 999 levels of nesting and 43,750 values, an object or array counting as eight,
// which leaves room for what is added later. Its error matches ErrRowLimit; any other says why the value is no JSON. It
// makes no request, and costs what writing the value costs. The methods that write do not call it, since not everybody who
// writes a row reads it.
func (c *Client) CheckLimits(v any) error {
	most := rowBytes(c.maxBytes)
	most -= most / 16
	if size := (estimate{text: most / 6, values: maxRowValues / 16}); size.fits(v, 64) {
		return nil
	}
	text, ok := v.(json.RawMessage)
	if !ok {
		var err error
		if text, err = appendValue(nil, v); err != nil {
			return fmt.Errorf("datasource: %w", err)
		}
	}
	if len(text) > most {
		return &limitError{fmt.Sprintf("%d bytes, and at most %d can be stored", len(text), most)}
	}
	if n := valuesIn(text); n > maxRowValues-maxRowValues/8 {
		return &limitError{fmt.Sprintf("%d values, and at most %d can be stored", n, maxRowValues-maxRowValues/8)}
	}
	d := scanner{b: text, deepest: maxRowDepth - 1, inRow: true}
	if err := d.skip(); err != nil {
		return err
	}
	return d.end()
}

// estimate is what is left of a budget, so that a usual row need not be written to know that it is small. A byte of text
// becomes at most six of JSON.
type estimate struct{ text, values int }

// fits reports whether a value certainly fits.
func (s *estimate) fits(v any, depth int) bool {
	const brackets = 32 // of JSON around a value, or for a number
	s.text -= brackets
	s.values--
	switch v := v.(type) {
	case nil, bool, int, int64, float64:
	case string:
		s.text -= len(v)
	case json.Number:
		s.text -= len(v)
	case []string:
		for _, e := range v {
			s.text -= brackets + len(e)
		}
		s.values -= len(v)
	case []any:
		for _, e := range v {
			if depth == 0 || !s.fits(e, depth-1) {
				return false
			}
		}
	case M:
		for name, e := range v {
			if s.text -= len(name); depth == 0 || !s.fits(e, depth-1) {
				return false
			}
		}
	default:
		return false
	}
	return s.text > 0 && s.values > 0
}

// rowsFor is how many rows are kept of the answer to a query with a limit, or without one for 0, and whether more are an
// error.
func rowsFor(limit int) (most int, exact bool) {
	if limit <= 0 || limit > maxRows/rowsPerLimit {
		return maxRows, true
	}
	return limit * rowsPerLimit, false
}

// bound sets the limits of an answer with rows.
func (d *decoder) bound(answer int64, limit int) {
	d.left, d.rowText = maxValues, rowBytes(answer)
	d.most, d.exact = rowsFor(limit)
}

// limitOf reads the limit in the body of a query, 0 if there is none.
func limitOf(body []byte) (limit int) {
	_ = decode(body, func(d *decoder) error {
		if d.peek() != '{' {
			return nil
		}
		return d.object(func(name []byte) error {
			if string(name) != "limit" {
				return d.skip()
			}
			n, _, err := d.integer()
			limit = int(min(max(n, 0), maxRows))
			return err
		})
	})
	return limit
}

// errorOf names the row or data source that cannot be read.
func errorOf(what string, id int64, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("datasource: %s %d: %w", what, id, err)
}

// What is done with the text of an error.
const (
	// maxCompared is how many bytes of a request's values are looked for in it.
	maxCompared = 4 << 20
	// maxViews is how many bytes all forms may have in which it can be read. A text that has more was made to have them,
	// and is dropped.
	maxViews = 256 << 10
	// maxPayload is the size up to which the payload of an error is kept.
	maxPayload = 16 << 10
)

// LongestWait is the longest that a server can make a Client wait with one answer, whatever it says: a Retry-After of
// years, a nextValidRequestDate in the year 9999. Error.RetryAfter is never more, and the streams, sends and outbox of
// package chat, which wait for that long and up to a quarter more, obey the same limit. A Window holds requests back for
// longer, while one a minute finds that the server still refuses it.
const LongestWait = time.Minute

// What a request may take, phase by phase. An attempt that takes longer fails like one whose connection broke: reads are
// tried again, writes are tried again if they did not leave, and are doubtful otherwise. What moves steadily is never cut
// off, but for an answer that is read into memory, at slowestBody. docs/performance.md says what follows for whole calls.
const (
	// dialTime is how long a connection to one address may take, and then the agreement on its encryption.
	dialTime = 10 * time.Second
	// firstByte is how long a read waits for the beginning of the answer, from its beginning on, and firstByteAgain is the
	// same for reads that are asked for again meanwhile: polls, and the look-ups of the outbox.
	firstByte      = 30 * time.Second
	firstByteAgain = 15 * time.Second
	// sendPause is how long a write waits for a connection, and for each next part of its body to be taken, of at most
	// 32 KiB or what a Reader yields at once. The time that a caller's Reader takes does not count.
	sendPause = 30 * time.Second
	// writeAnswer is how long a write waits for the beginning of the answer once its body was taken. What the operating
	// system still has to send is part of it, so each writeShare bytes of the body add a second, up to longestAnswer.
	writeAnswer   = 30 * time.Second
	writeShare    = 64 << 10
	longestAnswer = 2 * time.Minute
	// batchAnswer is the same for Append, Replace and Call, and for a Commit with more than smallCommit bytes or with
	// Replace: it can be minutes of work for the server.
	batchAnswer = 10 * time.Minute
	smallCommit = 64 << 10
	// againAfter is how long a request has no answer before AskAgain sends another one.
	againAfter = 8 * time.Second
	// repeatFor is the time that attempts may have taken, with the pauses between them, for another one to begin. The
	// waits that a server names do not count, nor do those for the rate limit.
	repeatFor = 45 * time.Second
	// In every paceWindow at least paceBytes of the body have to arrive, or its end.
	paceWindow = 15 * time.Second
	paceBytes  = 4 << 10
	// slowestBody is when a body that is read into memory has to be complete, however steadily it arrives. Downloads,
	// which are written as they come, have no such limit.
	slowestBody = 2 * time.Minute
)
