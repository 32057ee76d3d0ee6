package datasource

import "time"

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
}

// entry reads a row. Anything but an object is skipped, with ok false.
func (d *decoder) entry(e *Entry) (ok bool, err error) {
	if d.peek() != '{' {
		return false, d.skip()
	}
	if err := d.enter(); err != nil {
		return false, err
	}
	for first := true; ; first = false {
		more, err := d.more('}', first)
		if !more {
			return err == nil, err
		}
		name, err := d.key()
		if err != nil {
			return false, err
		}
		if err := d.entryField(e, name); err != nil {
			return false, err
		}
	}
}

func (d *decoder) entryField(e *Entry, name []byte) (err error) {
	switch string(name) {
	case "id":
		e.ID, _, err = d.integer()
	case "dataSourceId":
		e.DataSourceID, _, err = d.integer()
	case "data":
		if d.peek() != '{' {
			e.Data = nil
			return d.skip()
		}
		e.Data, err = d.columnsOf(d.columns)
		d.columns = min(len(e.Data), 64)
	case "order":
		var n int64
		var ok bool
		if n, ok, err = d.integer(); ok {
			e.Order = new(n)
		} else {
			e.Order = nil
		}
	case "createdAt":
		e.CreatedAt, err = d.time()
	case "updatedAt":
		e.UpdatedAt, err = d.time()
	case "deletedAt":
		e.DeletedAt, err = d.deletion()
	default:
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

// entries appends the rows of the array at the current byte. Anything but an array has no rows.
func (d *decoder) entries(into []Entry) ([]Entry, error) {
	if d.peek() != '[' {
		return into, d.skip()
	}
	err := d.array(func() error {
		into = append(into, Entry{})
		ok, err := d.entry(&into[len(into)-1])
		if !ok {
			into = into[:len(into)-1]
		}
		return err
	})
	return into, err
}
