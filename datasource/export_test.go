package datasource

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
