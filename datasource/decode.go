package datasource

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"strconv"
	"sync"
	"time"
)

// A decoder reads the answers of the API in one pass: rows straight into Entry, everything else by its known
// fields. Wrong types become zero values; only a text that is not JSON is an error.
//
// encoding/json would read a page twice, through reflection, and make up most of the cost of receiving it.
type decoder struct {
	scanner
	row     int        // how many values the current row may still have
	left    int        // how many all rows of the answer may
	spare   int        // how many values the columns and unknown fields of the current data source may still have
	rowText int        // how long the text of a row may be
	most    int        // how many rows of a list are kept
	exact   bool       // more rows than that make the answer too large
	gone    bool       // the rows are deleted ones
	odd     int        // how many elements of lists of rows were no row with an id
	widest  int        // bytes of the largest element of the list of rows that was read last
	order   [12]field  // of the fields of the row before
	names   [64]string // of columns, kept for the next decoding, which is likely to have the same
	values  [128]interned
	cols    row
	stamp   struct {
		text [26]byte // with the quotes
		time time.Time
	} // the last timestamp
}

var decoders = sync.Pool{New: func() any { return new(decoder) }}

// decode runs read over body. What read keeps must not point into body.
func decode(body []byte, read func(*decoder) error) error {
	d := decoders.Get().(*decoder)
	d.b, d.deepest, d.gone = body, maxDepth, false
	d.row, d.left, d.spare, d.rowText, d.most, d.exact = math.MaxInt, math.MaxInt, math.MaxInt, maxRowBytes, math.MaxInt, false
	err := read(d)
	if err == nil {
		err = d.end()
	}
	d.scanner = scanner{scratch: d.scratch[:0], open: d.open[:0]}
	clear(d.values[:])
	d.cols.release()
	if cap(d.scratch)+cap(d.open) <= maxPooled {
		decoders.Put(d)
	}
	return err
}

// object calls member for every member of the object at the current byte. member must consume the value.
func (d *decoder) object(member func(name []byte) error) error {
	if err := d.enter(); err != nil {
		return err
	}
	for first := true; ; first = false {
		more, err := d.more('}', first)
		if !more {
			return err
		}
		name, err := d.key()
		if err != nil {
			return err
		}
		if err := member(name); err != nil {
			return err
		}
	}
}

// array calls element for every element of the array at the current byte. element must consume the value.
func (d *decoder) array(element func() error) error {
	if err := d.enter(); err != nil {
		return err
	}
	for first := true; ; first = false {
		more, err := d.more(']', first)
		if !more {
			return err
		}
		if err := element(); err != nil {
			return err
		}
	}
}

// value reads one value of any kind, as encoding/json would into an any with UseNumber.
func (d *decoder) value() (any, error) {
	switch d.peek() {
	case '{':
		return d.columnsOf()
	case '[':
		return d.list()
	case '"':
		text, err := d.text()
		if err != nil {
			return nil, err
		}
		return d.stringOf(text), nil
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		text, err := d.number()
		if err != nil {
			return nil, err
		}
		return d.numberOf(text), nil
	case 't':
		return true, d.literal("true")
	case 'f':
		return false, d.literal("false")
	}
	return nil, d.literal("null")
}

// list reads an array.
func (d *decoder) list() ([]any, error) {
	start := len(d.cols.elems)
	repeated, err := d.elements()
	if err != nil {
		d.cols.elems = d.cols.elems[:start]
		return nil, err
	}
	return d.cols.take(start, repeated), nil
}

// elements reads an array onto the stack of elements. repeated: they are values that are kept for later rows anyway.
func (d *decoder) elements() (repeated bool, err error) {
	if err := d.enter(); err != nil {
		return false, err
	}
	if d.row -= containerCost; d.row < 0 {
		return false, errRowValues
	}
	repeated = true
	for first := true; ; first = false {
		more, err := d.more(']', first)
		if !more {
			return repeated, err
		}
		if d.row--; d.row < 0 {
			return false, errRowValues
		}
		before := d.i
		v, err := d.value()
		if err != nil {
			return false, err
		}
		switch v.(type) {
		case string, json.Number:
			repeated = repeated && d.i-before <= maxInterned
		case bool, nil:
		default:
			repeated = false
		}
		d.cols.elems = append(d.cols.elems, v)
	}
}

// columnsOf reads an object into a map.
func (d *decoder) columnsOf() (M, error) {
	if d.row -= containerCost; d.row < 0 {
		return nil, errRowValues
	}
	m := M{}
	if err := d.enter(); err != nil {
		return nil, err
	}
	for first := true; ; first = false {
		more, err := d.more('}', first)
		if !more {
			return m, err
		}
		text, err := d.key()
		if err != nil {
			return nil, err
		}
		if d.row--; d.row < 0 {
			return nil, errRowValues
		}
		name := d.name(text)
		v, err := d.value()
		if err != nil {
			return nil, err
		}
		m[name] = v
	}
}

// maxInterned is the length of the longest string that is looked up; a GUID fits.
const maxInterned = 40

// name returns text as a string, and the same string for the same text where it can.
func (d *decoder) name(text []byte) string {
	if len(text) > maxInterned {
		return string(text)
	}
	slot := &d.names[hash(text)%uint64(len(d.names))]
	if *slot != string(text) {
		*slot = string(text)
	}
	return *slot
}

func (d *decoder) stringOf(text []byte) any {
	if len(text) > maxInterned {
		return string(text)
	}
	return d.repeated(text, false)
}

func (d *decoder) numberOf(text []byte) any {
	if len(text) > maxInterned {
		return json.Number(text)
	}
	return d.repeated(text, true)
}

// hash is quick and good enough to spread a few dozen texts, also those that differ in their last letters only; a
// collision costs no more than an allocation. No word waits for the one before it.
func hash(b []byte) uint64 {
	const prime = 0x9E3779B97F4A7C15
	h, factor := uint64(len(b)), uint64(prime)
	switch n := len(b); {
	case n >= 8:
		for rest := b; len(rest) > 8; rest = rest[8:] {
			h += binary.LittleEndian.Uint64(rest) * factor
			factor *= prime
		}
		h += binary.LittleEndian.Uint64(b[n-8:]) * factor
	case n >= 4:
		h += (uint64(binary.LittleEndian.Uint32(b))<<32 | uint64(binary.LittleEndian.Uint32(b[n-4:]))) * factor
	default:
		for _, c := range b {
			h = h<<8 | uint64(c)
		}
	}
	h = (h ^ h>>32) * prime
	return h >> 32
}

// str reads a string; anything else is "".
func (d *decoder) str() (string, error) {
	if d.peek() != '"' {
		return "", d.skip()
	}
	text, err := d.text()
	return string(text), err
}

// integer reads a whole number, plain or as a string. ok is false for anything else.
func (d *decoder) integer() (n int64, ok bool, err error) {
	if n, ok := d.plainInteger(); ok {
		return n, true, nil
	}
	var text []byte
	switch c := d.peek(); {
	case c == '"':
		text, err = d.text()
	case c == '-', '0' <= c && c <= '9':
		text, err = d.number()
	default:
		return 0, false, d.skip()
	}
	if err != nil {
		return 0, false, err
	}
	n, ok = parseInteger(text)
	return n, ok, nil
}

// plainInteger reads a number of digits only, as ids are, that begins at the current byte. Anything else is left to others.
func (d *decoder) plainInteger() (n int64, ok bool) {
	digits := d.b[d.i:]
	for i, c := range digits[:min(len(digits), maxPlainDigits+1)] {
		if digit := c - '0'; digit <= 9 {
			n = n*10 + int64(digit)
			continue
		}
		if (c == ',' || c == '}') && (i == 1 || i > 1 && digits[0] != '0') { // 01 is no number
			d.i += i
			return n, true
		}
		break
	}
	return 0, false
}

// maxPlainDigits is how many digits a number has at most that cannot overflow.
const maxPlainDigits = 18

// parseInteger also takes 5.0 and 5e3 where they are whole and exact.
func parseInteger(text []byte) (int64, bool) {
	if n := len(text); n > 0 && n <= maxPlainDigits {
		var v int64
		for i, c := range text {
			if c < '0' || c > '9' {
				break
			}
			if v = v*10 + int64(c-'0'); i == n-1 {
				return v, true
			}
		}
	}
	if n, err := strconv.ParseInt(string(text), 10, 64); err == nil {
		return n, true
	}
	if f, err := strconv.ParseFloat(string(text), 64); err == nil && f == math.Trunc(f) && math.Abs(f) <= 1<<53 {
		return int64(f), true
	}
	return 0, false
}

// boolean reads true or false; anything else is false.
func (d *decoder) boolean() (bool, error) {
	yes := d.peek() == 't'
	return yes, d.skip()
}

// time reads a timestamp; anything else is the zero time.
func (d *decoder) time() (time.Time, error) {
	if d.peek() != '"' {
		return time.Time{}, d.skip()
	}
	if n := d.i + len(d.stamp.text); n <= len(d.b) && string(d.b[d.i:n]) == string(d.stamp.text[:]) {
		d.i = n // most rows have the same time twice
		return d.stamp.time, nil
	}
	start := d.i
	text, err := d.text()
	if err != nil {
		return time.Time{}, err
	}
	t := parseTime(text)
	if d.i-start == len(d.stamp.text) {
		copy(d.stamp.text[:], d.b[start:])
		d.stamp.time = t
	}
	return t, nil
}

// deletion reads deletedAt. It is nil unless there is a date or something that was meant to be one. A row whose date
// cannot be read is deleted at the zero time.
func (d *decoder) deletion() (*time.Time, error) {
	if d.peek() != '"' {
		return nil, d.skip()
	}
	text, err := d.text()
	if err != nil || len(text) == 0 {
		return nil, err
	}
	return new(parseTime(text)), nil
}
