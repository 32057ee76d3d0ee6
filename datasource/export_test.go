package datasource

import "net/url"

// DecodeValue reads one value the way row data is read.
func DecodeValue(text []byte) (v any, err error) {
	err = decode(text, func(d *decoder) error {
		v, err = d.value()
		return err
	})
	return v, err
}

// SkipValue reads one value the way unknown parts of an answer are passed over.
func SkipValue(text []byte) error { return decode(text, func(d *decoder) error { return d.skip() }) }

// DecodePage reads an answer with rows.
func DecodePage(text []byte) (entries, deleted []Entry, err error) {
	var p page
	err = decode(text, func(d *decoder) error { return d.page(&p) })
	return p.entries, p.deleted, err
}

// ReadTimestamp reads a timestamp.
var ReadTimestamp = parseTime

// EncodeValue writes one value the way request bodies are written.
func EncodeValue(v any) ([]byte, error) { return appendValue(nil, v) }

// WaitTime is the wait of a retry policy.
var WaitTime = RetryPolicy.wait

// PublicAddress reports whether an address is on the internet.
var PublicAddress = public

// DecodePageOf is DecodePage with the limits of a query and of bytes in a row.
func DecodePageOf(text []byte, row, limit int) (entries, deleted []Entry, err error) {
	var p page
	err = decode(text, func(d *decoder) error {
		d.bound(1<<30, limit)
		d.rowText = row
		return d.page(&p)
	})
	return p.entries, p.deleted, err
}

// Sift passes an answer through a sieve, in chunks.
func Sift(text []byte, row, limit, chunk int) ([]byte, error) {
	s := &sieve{fields: rowFields, size: row, max: 1 << 30}
	s.most, s.exact = rowsFor(limit)
	for len(text) > 0 {
		n := min(chunk, len(text))
		if err := s.write(text[:n]); err != nil {
			return nil, err
		}
		text = text[n:]
	}
	return s.out, nil
}

// Located is the query of a call, and its URL.
func Located(root, path string, params url.Values) (query, whole string) {
	var cl call
	cl.locate(root, path, params)
	return cl.query, cl.whole
}
