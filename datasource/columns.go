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
	// allFresh is after how many new values of a column most of the next ones are not looked up.
	allFresh = 16
)

// column is a column that is not in the map yet. It holds no pointer: writing those costs more while garbage is collected.
type column struct {
	kind    columnKind
	at, end int32 // of a text or number, in row.bytes; or at is where it is in row.apart, if end is 0
}

type columnKind byte

const (
	ready     columnKind = iota // the value is in row.held
	seenAgain                   // the same, in row.last
	text                        // a string
	number                      // a json.Number
	list                        // row.list, the only one that shares a box
)

// emptyList is in every row that has one, since nothing can be written to it.
var emptyList any = []any{}

// row collects what the columns of one row share. Names and values are those of the column with the same place.
type row struct {
	columns []column
	names   [columnsAtOnce]string // of this row, and behind it of the one before
	members [columnsAtOnce]string // the names as servers write them, with the comma and the colon; "" if they need not be alike
	last    [columnsAtOnce]any    // what repeats, of this row or an earlier one
	held    [columnsAtOnce]any    // other values
	fresh   [columnsAtOnce]uint8  // how many values were new, one after the other, as those of GUIDs are
	bytes   []byte
	apart   []string // texts that are not in bytes
	list    []any    // of the first column with one
	numbers []json.Number
	elems   []any // of the list that is being read, and those around it
	room    []any // for lists of values that repeat
	next    int   // how much room is made next: the first list, which may be that of the only row, gets what it needs
}

// reset forgets the columns.
func (r *row) reset() {
	r.columns, r.bytes, r.apart, r.list = r.columns[:0], r.bytes[:0], r.apart[:0], nil
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
	r.reset()
	var m M
	for first := true; ; first = false {
		if len(r.columns) == columnsAtOnce {
			m = r.into(m)
		}
		place := len(r.columns)
		if !d.follows(r.members[place], first) { // most rows have the columns of the one before
			more, err := d.more('}', first)
			if err != nil {
				return nil, err
			}
			if !more {
				return r.into(m), nil
			}
			if err := d.columnName(place); err != nil {
				return nil, err
			}
		}
		if d.row--; d.row < 0 {
			return nil, errRowValues
		}
		r.columns = append(r.columns, column{})
		if err := d.column(place); err != nil {
			return nil, err
		}
	}
}

// columnName reads the name of a column. One that has come twice is expected of the next row.
func (d *decoder) columnName(place int) error {
	text, err := d.key()
	if err != nil {
		return err
	}
	name, member := d.name(text), &d.cols.members[place]
	switch {
	case name != d.cols.names[place]:
		d.cols.names[place], *member = name, ""
	case *member == "" && len(name) <= maxInterned && plainRun(text) == len(text):
		*member = `,"` + name + `":`
	}
	return nil
}

// column reads the value of a column.
func (d *decoder) column(place int) (err error) {
	r := &d.cols
	c := &r.columns[place]
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
			r.held[place] = emptyList
		case r.list == nil:
			c.kind, r.list = list, l
		default:
			r.held[place] = l
		}
		return nil
	default:
		r.held[place], err = d.value()
		return err
	}
	if err != nil {
		return err
	}
	if len(b) <= maxInterned {
		if same(r.last[place], b, c.kind == number) {
			c.kind = seenAgain
			return nil
		}
		n := &r.fresh[place]
		if *n < allFresh || *n%allFresh == 0 {
			if v := d.again(b, c.kind == number); v != nil {
				c.kind, r.last[place], *n = seenAgain, v, 0
				return nil
			}
		}
		*n++ // from 255 to 0
	}
	if 0 < len(b) && len(b) <= maxShared && len(r.bytes)+len(b) <= maxRowTexts {
		c.at = int32(len(r.bytes)) //nolint:gosec // at most maxRowTexts
		r.bytes = append(r.bytes, b...)
		c.end = int32(len(r.bytes)) //nolint:gosec // the same
	} else {
		c.at = int32(len(r.apart)) //nolint:gosec // at most columnsAtOnce
		r.apart = append(r.apart, string(b))
	}
	return nil
}

// into puts the columns into m, which is made if it is nil. Of two columns with one name the later one counts.
func (r *row) into(m M) M {
	if m == nil {
		m = make(M, len(r.columns))
	}
	bytes := string(r.bytes)
	var texts [columnsAtOnce]string
	n := 0
	r.numbers = r.numbers[:0]
	for _, c := range r.columns {
		switch c.kind {
		case text:
			texts[n] = r.text(bytes, c)
			n++
		case number:
			r.numbers = append(r.numbers, json.Number(r.text(bytes, c)))
		case ready, seenAgain, list:
		}
	}
	b := boxed(texts[:n], r.list)
	numbers := boxed(r.numbers, nil)
	n = 0
	k := 0
	for i, c := range r.columns {
		name := r.names[i]
		switch c.kind {
		case ready:
			m[name] = r.held[i]
		case seenAgain:
			m[name] = r.last[i]
		case list:
			m[name] = b.list
		case text:
			m[name] = b.at(n)
			n++
		case number:
			m[name] = numbers.at(k)
			k++
		}
	}
	r.reset()
	return m
}

// text is the value of a column.
func (r *row) text(bytes string, c column) string {
	if c.end > 0 {
		return bytes[c.at:c.end]
	}
	return r.apart[c.at]
}

// boxes are interfaces of texts or numbers, and perhaps of a list. An interface points to its value, so each would be
// an allocation. Reflection makes interfaces that point into one array, which nobody can write to.
type boxes struct {
	arrays [columnsAtOnce / boxRoom]reflect.Value
	list   any
}

// boxRoom is how many share an allocation.
const boxRoom = 8

func (b *boxes) at(i int) any { return b.arrays[i/boxRoom].Index(i % boxRoom).Interface() }

// boxed puts values into boxes, and a list unless it is nil.
func boxed[T any](values []T, list []any) (b boxes) {
	if len(values) == 0 && list != nil {
		b.list = list
	}
	for i := 0; len(values) > 0; i++ {
		var l any
		n := min(len(values), boxRoom)
		switch n {
		case 1:
			b.arrays[i], l = box([1]T(values), list)
		case 2:
			b.arrays[i], l = box([2]T(values), list)
		case 3:
			b.arrays[i], l = box([3]T(values), list)
		case 4:
			b.arrays[i], l = box([4]T(values), list)
		default:
			var a [boxRoom]T
			copy(a[:], values)
			b.arrays[i], l = box(a, list)
		}
		if list != nil {
			b.list, list = l, nil
		}
		values = values[n:]
	}
	return b
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

func (s *interned) is(b []byte, number bool) bool { return same(s.v, b, number) }

// same reports whether v is a text, or a number, with these bytes.
func same(v any, b []byte, number bool) bool {
	switch v := v.(type) {
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
			r.room = make([]any, max(n, r.next))
			r.next = listRoom
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
	r.list, r.room, r.next = nil, nil, 0
	if cap(r.elems) > 1024 {
		r.elems = nil
	}
	clear(r.bytes[:cap(r.bytes)])
	clear(r.apart[:cap(r.apart)])
	clear(r.numbers[:cap(r.numbers)])
	clear(r.elems[:cap(r.elems)])
	clear(r.last[:])
	clear(r.held[:])
	r.columns, r.apart, r.elems = r.columns[:0], r.apart[:0], r.elems[:0]
}
