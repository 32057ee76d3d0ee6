package datasource

import (
	"math"
	"slices"
	"time"
)

// M is a where clause or the columns of a row. In rows read from the server numbers are json.Number, so that they
// stay exact; nested objects are M, nested arrays []any.
type M = map[string]any

// Entry is one row of a data source.
//
// Fields that the server left out, sent as null or with another type are zero. Times are UTC, in milliseconds.
type Entry struct {
	// ID is unique across all data sources.
	ID, DataSourceID int64
	// Data holds the columns. nil when the server sent none, as it may for a tombstone.
	Data M
	// Order is the manual sort position, or nil.
	Order *int64
	// CreatedAt and UpdatedAt are equal until the row is changed.
	CreatedAt, UpdatedAt time.Time
	// DeletedAt is nil for a live row, and the zero time for a deleted one whose date could not be read.
	DeletedAt *time.Time
	// Extra holds every field that has no place above ("joins", "clientId" …). nil when there is none.
	Extra M
	// Err says why the row could not be read, although it exists: it breaks a limit, and matches ErrRowLimit. Then the
	// ids and times are those of the row, as far as it has them, and everything else is zero. Only methods that return
	// several rows return such a row; for others this is their error.
	Err error
}

// entry reads a row. Anything but an object is skipped, with ok false.
func (d *decoder) entry(e *Entry) (ok bool, err error) {
	if d.peek() != '{' {
		return false, d.skip()
	}
	start, depth := d.i, d.depth
	deepest, inRow := d.deepest, d.inRow
	before := min(d.left, maxRowValues)
	d.deepest, d.inRow, d.row = min(deepest, depth+maxRowDepth), true, before
	err = d.fields(e)
	d.deepest, d.inRow = deepest, inRow
	used := before - d.row
	d.row = math.MaxInt
	if err == nil && d.i-start > d.rowText {
		err = errRowBytes
	}
	if broken, _ := err.(*limitError); broken != nil { //nolint:errorlint // it comes from here
		if before < maxRowValues && broken == errRowValues && !d.gone {
			return false, errManyValues
		}
		d.i, d.depth = start, depth
		return d.shell(e, broken)
	}
	d.left -= used
	if e.Err != nil {
		*e = Entry{ID: e.ID, DataSourceID: e.DataSourceID, CreatedAt: e.CreatedAt, UpdatedAt: e.UpdatedAt, DeletedAt: e.DeletedAt, Err: e.Err}
	}
	return err == nil, err
}

func (d *decoder) fields(e *Entry) error {
	if err := d.enter(); err != nil {
		return err
	}
	for place := 0; ; place++ {
		if place < len(d.order) && d.follows(fieldNames[d.order[place]], place == 0) {
			if err := d.entryField(e, d.order[place], nil); err != nil {
				return err
			}
			continue
		}
		more, err := d.more('}', place == 0)
		if !more {
			return err
		}
		f, name, err := d.fieldName(place)
		if err != nil {
			return err
		}
		if err := d.entryField(e, f, name); err != nil {
			return err
		}
	}
}

// field is a field of a row that has a place in Entry.
type field uint8

const (
	otherField field = iota
	fieldID
	fieldDataSourceID
	fieldData
	fieldOrder
	fieldCreatedAt
	fieldUpdatedAt
	fieldDeletedAt
	fieldCut
)

// fieldNames are the names as servers write them, with the comma before them and the colon.
var fieldNames = [...]string{
	fieldID: `,"id":`, fieldDataSourceID: `,"dataSourceId":`, fieldData: `,"data":`, fieldOrder: `,"order":`,
	fieldCreatedAt: `,"createdAt":`, fieldUpdatedAt: `,"updatedAt":`, fieldDeletedAt: `,"deletedAt":`,
}

func fieldOf(name []byte) field {
	switch string(name) {
	case "id":
		return fieldID
	case "dataSourceId":
		return fieldDataSourceID
	case "data":
		return fieldData
	case "order":
		return fieldOrder
	case "createdAt":
		return fieldCreatedAt
	case "updatedAt":
		return fieldUpdatedAt
	case "deletedAt":
		return fieldDeletedAt
	case cutMark:
		return fieldCut
	}
	return otherField
}

// fieldName reads the name of a row's field, and expects it of the next row.
func (d *decoder) fieldName(place int) (f field, name []byte, err error) {
	if name, err = d.key(); err != nil {
		return otherField, nil, err
	}
	f = fieldOf(name)
	if place < len(d.order) {
		if d.order[place] = f; f >= fieldCut {
			d.order[place] = otherField
		}
	}
	return f, name, nil
}

// shell reads the ids and times of a row that breaks a limit.
func (d *decoder) shell(e *Entry, broken error) (ok bool, err error) {
	*e = Entry{Err: broken}
	if d.gone { // it would have been deleted all the same
		e.Err = nil
	}
	deepest := d.deepest
	d.deepest = math.MaxInt
	err = d.object(func(name []byte) error {
		if rowFields.limit(name) == 0 {
			return d.skip()
		}
		return d.entryField(e, fieldOf(name), name)
	})
	d.deepest = deepest
	return err == nil, err
}

func (d *decoder) entryField(e *Entry, f field, name []byte) (err error) {
	switch f {
	case fieldID:
		e.ID, _, err = d.integer()
	case fieldDataSourceID:
		e.DataSourceID, _, err = d.integer()
	case fieldData:
		if d.peek() != '{' {
			e.Data = nil
			return d.skip()
		}
		e.Data, err = d.data()
	case fieldOrder:
		var n int64
		var ok bool
		if n, ok, err = d.integer(); ok {
			e.Order = new(n)
		} else {
			e.Order = nil
		}
	case fieldCreatedAt:
		e.CreatedAt, err = d.time()
	case fieldUpdatedAt:
		e.UpdatedAt, err = d.time()
	case fieldDeletedAt:
		e.DeletedAt, err = d.deletion()
	case fieldCut:
		e.Err = errRowBytes
		err = d.skip()
	case otherField:
		key := d.name(name)
		var v any
		if v, err = d.value(); err == nil {
			if e.Extra == nil {
				e.Extra = M{}
			}
			e.Extra[key] = v
		}
	}
	return err
}

// entries appends the rows of the array at the current byte. Anything but an array has no rows. Of more rows than
// allowed the rest is left out.
func (d *decoder) entries(into []Entry) ([]Entry, error) {
	if d.peek() != '[' {
		return into, d.skip()
	}
	seen, start := 0, d.i
	d.widest = 0
	err := d.array(func() error {
		if seen++; seen > d.most {
			return d.passed()
		}
		if len(into) == cap(into) && seen == 2 {
			into = slices.Grow(into, d.expected(d.i-start))
		}
		into = append(into, Entry{})
		e := &into[len(into)-1]
		begin := d.i
		ok, err := d.entry(e)
		d.widest = max(d.widest, d.i-begin)
		if !ok {
			into = into[:len(into)-1]
		}
		if !ok || !e.identified() {
			d.odd++
		}
		return err
	})
	return into, err
}

// expected is how many rows follow one of this size, if they are alike. Growing with each row would take twice the memory.
func (d *decoder) expected(size int) int {
	const most = 1024 // the first row may be much smaller than the others
	return min((len(d.b)-d.i)/max(size, 1)+1, d.most, most)
}

// passed skips a row too many.
func (d *decoder) passed() error {
	if d.exact {
		return errTooManyRows
	}
	deepest := d.deepest
	d.deepest = math.MaxInt
	err := d.skip()
	d.deepest = deepest
	return err
}
