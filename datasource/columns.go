package datasource

import (
	"encoding/json"
	"reflect"
)

// The columns of a row are a map of interfaces, in which each text would be two allocations: its bytes and its header.
// A row takes one for the bytes of all its texts, and one for their headers. Nothing is shared with other rows but short
// values that repeat, and the room of short lists of them, so whoever keeps a row does not keep its page.
const (
	// maxShared is the length of the longest text that shares its bytes with others of its row, and maxRowTexts that of
	// all of them: whoever keeps one of the texts keeps that much.
	maxShared   = 512
	maxRowTexts = 2048
	// columnsAtOnce is how many columns are collected before they go into the map.
	columnsAtOnce = 32
	// listRoom is for how many elements the lists of consecutive rows share an allocation.
	listRoom = 32
)

// column is a column that is not in the map yet.
type column struct {
	name string
	kind columnKind
	v    any
	// The text is apart from that of the row, or, with an end that is not 0, a part of it.
	apart   string
	at, end int
}

type columnKind byte

const (
	ready  columnKind = iota // v is the value
	text                     // a string
	number                   // a json.Number
	list                     // v is nil; the list is the only one that shares a box
)

// emptyList is in every row that has one, since nothing can be written to it.
var emptyList any = []any{}

// row collects what the columns of one row share.
type row struct {
	columns []column
	names   [columnsAtOnce]string // of the row before, as they are written
	bytes   []byte
	list    []any // of the first column with one
	texts   []string
	numbers []json.Number
	values  []any
	elems   []any // of the list that is being read, and those around it
	room    []any // for lists of values that repeat
}

// data reads the columns of a row.
func (d *decoder) data() (M, error) {
	if d.row -= containerCost; d.row < 0 {
		return nil, errRowValues
	}
	if err := d.enter(); err != nil {
		return nil, err
	}
	r := &d.cols
	r.columns, r.bytes, r.list = r.columns[:0], r.bytes[:0], nil
	var m M
	for first := true; ; first = false {
		more, err := d.more('}', first)
		if err != nil {
			return nil, err
		}
		if !more {
			return r.into(m), nil
		}
		if len(r.columns) == columnsAtOnce {
			m = r.into(m)
		}
		name, err := d.columnName(len(r.columns))
		if err != nil {
			return nil, err
		}
		if d.row--; d.row < 0 {
			return nil, errRowValues
		}
		r.columns = append(r.columns, column{name: name})
		if err := d.column(&r.columns[len(r.columns)-1]); err != nil {
			return nil, err
		}
	}
}

// columnName reads the name of a column. Most often it is that of the row before.
func (d *decoder) columnName(place int) (string, error) {
	expected := &d.cols.names[place]
	if n := len(*expected); n > 0 && d.peek() == '"' {
		if rest := d.b[d.i+1:]; len(rest) > n+1 && rest[n] == '"' && rest[n+1] == ':' && string(rest[:n]) == *expected {
			d.i += n + 3
			return *expected, nil
		}
	}
	text, err := d.key()
	if err != nil {
		return "", err
	}
	name := d.name(text)
	*expected = ""
	if len(name) <= maxInterned && plainRun(text) == len(text) {
		*expected = name
	}
	return name, nil
}

// column reads the value of a column.
func (d *decoder) column(c *column) (err error) {
	var b []byte
	switch d.peek() {
	case '"':
		c.kind = text
		b, err = d.text()
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		c.kind = number
		b, err = d.number()
	case '[':
		l, err := d.list()
		switch {
		case err != nil:
			return err
		case len(l) == 0:
			c.v = emptyList
		case d.cols.list == nil:
			c.kind, d.cols.list = list, l
		default:
			c.v = l
		}
		return nil
	default:
		c.v, err = d.value()
		return err
	}
	if err != nil {
		return err
	}
	if len(b) <= maxInterned {
		if v := d.again(b, c.kind == number); v != nil {
			c.kind, c.v = ready, v
			return nil
		}
	}
	if r := &d.cols; 0 < len(b) && len(b) <= maxShared && len(r.bytes)+len(b) <= maxRowTexts {
		c.at = len(r.bytes)
		r.bytes = append(r.bytes, b...)
		c.end = len(r.bytes)
	} else {
		c.apart = string(b)
	}
	return nil
}

// into puts the columns into m, which is made if it is nil.
func (r *row) into(m M) M {
	if m == nil {
		m = make(M, len(r.columns))
	}
	bytes := string(r.bytes)
	r.texts, r.numbers = r.texts[:0], r.numbers[:0]
	for i := range r.columns {
		c := &r.columns[i]
		if c.end > 0 {
			c.apart = bytes[c.at:c.end]
		}
		switch c.kind {
		case text:
			r.texts = append(r.texts, c.apart)
		case number:
			r.numbers = append(r.numbers, json.Number(c.apart))
		case ready, list:
		}
	}
	var boxedList any
	r.values, boxedList = boxed(r.values[:0], r.texts, r.list)
	r.values, _ = boxed(r.values, r.numbers, nil)
	texts, numbers := r.values, r.values[len(r.texts):]
	for i := range r.columns {
		c := &r.columns[i]
		switch c.kind {
		case ready:
		case text:
			c.v, texts = texts[0], texts[1:]
		case number:
			c.v, numbers = numbers[0], numbers[1:]
		case list:
			c.v = boxedList
		}
		m[c.name] = c.v
	}
	r.columns, r.bytes, r.list = r.columns[:0], r.bytes[:0], nil
	return m
}

// boxed appends interfaces of values, and makes one of a list unless it is nil. An interface points to its value, so
// each would be an allocation. Reflection makes interfaces that point into one array, which nobody can write to.
func boxed[T any](out []any, values []T, list []any) (_ []any, boxedList any) {
	for len(values) > 0 {
		var array reflect.Value
		var l any
		n := min(len(values), 8)
		switch {
		case n == 1 && list == nil:
			return append(out, values[0]), boxedList
		case n == 1:
			array, l = box([1]T(values), list)
		case n == 2:
			array, l = box([2]T(values), list)
		case n == 3:
			array, l = box([3]T(values), list)
		case n == 4:
			array, l = box([4]T(values), list)
		default:
			var a [8]T
			copy(a[:], values)
			array, l = box(a, list)
		}
		if list != nil {
			boxedList, list = l, nil
		}
		for i := range n {
			out = append(out, array.Index(i).Interface())
		}
		values = values[n:]
	}
	if list != nil {
		boxedList = list
	}
	return out, boxedList
}

// box makes an array of values in one allocation, together with a list unless that is nil.
func box[A any](values A, list []any) (array reflect.Value, boxedList any) {
	if list == nil {
		return reflect.ValueOf(values), nil
	}
	b := reflect.ValueOf(struct {
		Values A
		List   []any
	}{values, list})
	return b.Field(0), b.Field(1).Interface()
}

// A value that repeats is in one of two slots, so that hardly any two of them are in each other's way.
type interned struct {
	v    any
	seen uint64 // the hash of what was looked for there last, with its lowest bit set
}

// again returns the value of a short text that was there before, or nil.
func (d *decoder) again(b []byte, number bool) any {
	h := hash(b)
	slot, found := d.slot(h, b, number)
	if found {
		return slot.v
	}
	if slot.seen != h|1 {
		slot.seen = h | 1
		return nil
	}
	return slot.set(b, number)
}

// repeated returns the value of a short text.
func (d *decoder) repeated(b []byte, number bool) any {
	slot, found := d.slot(hash(b), b, number)
	if found {
		return slot.v
	}
	return slot.set(b, number)
}

// slot returns the slot that holds a value, or the one that is to hold it.
func (d *decoder) slot(h uint64, b []byte, number bool) (_ *interned, found bool) {
	const n = uint64(len(d.values))
	first, second := &d.values[h%n], &d.values[h/n%n]
	switch {
	case first.is(b, number):
		return first, true
	case second.is(b, number):
		return second, true
	case first.v != nil && second.v == nil:
		return second, false
	}
	return first, false
}

func (s *interned) is(b []byte, number bool) bool {
	switch v := s.v.(type) {
	case string:
		return !number && v == string(b)
	case json.Number:
		return number && string(v) == string(b)
	}
	return false
}

func (s *interned) set(b []byte, number bool) any {
	if number {
		s.v = json.Number(b)
	} else {
		s.v = string(b)
	}
	return s.v
}

// take makes a list of the elements from start on. repeated: they are values that are kept for later rows anyway.
func (r *row) take(start int, repeated bool) (list []any) {
	from := r.elems[start:]
	r.elems = r.elems[:start]
	switch n := len(from); {
	case n == 0:
		return []any{}
	case repeated && n <= listRoom/2:
		if len(r.room) < n {
			r.room = make([]any, listRoom)
		}
		list, r.room = r.room[:n:n], r.room[n:]
	default:
		list = make([]any, n)
	}
	copy(list, from)
	return list
}

// release forgets the values of an answer.
func (r *row) release() {
	r.list, r.room = nil, nil
	if cap(r.elems) > 1024 {
		r.elems = nil
	}
	clear(r.columns[:cap(r.columns)])
	clear(r.bytes[:cap(r.bytes)])
	clear(r.texts[:cap(r.texts)])
	clear(r.numbers[:cap(r.numbers)])
	clear(r.values[:cap(r.values)])
	clear(r.elems[:cap(r.elems)])
	r.columns, r.elems = r.columns[:0], r.elems[:0]
}
