package datasource

import (
	"cmp"
	"encoding/json"
	"errors"
	"slices"
	"time"
)

// page is everything that the endpoints which return rows are known to answer with. A bare array is read as entries.
type page struct {
	entries, deleted []Entry
	listed           bool // there was a list of entries
	aside            aside
	odd              int // how many elements of the list are no row with an id
	widest, beside   int // bytes of the largest element of the list, and of the list of deleted rows
	total            *int
	answered         time.Time // as in call
	size, kept       int64     // as in call
	clientIDs        []ClientID
	deletedCount     *int // of a delete query
	deletedIDs       int  // how many ids a delete query listed
	deletes          bool // it listed them
}

// What an answer with a status of success lacks. Anybody on the way may have given such an answer, also before the
// server was asked.
var (
	errNoList    = errors.New("the answer holds no list of rows")
	errNoRow     = errors.New("the answer holds no row")
	errNoSources = errors.New("the answer holds no list of data sources")
	errNoCount   = errors.New("the answer does not say what was deleted")
	errNoFiles   = errors.New("the answer holds no file")
	errNoUser    = errors.New("the answer does not say whose the token is")
	errNoIDs     = errors.New("the answer holds a list, and not one of rows with ids")
	errFaulty    = errors.New("the answer has a status of success and names an error")
)

// listing wants a list. Without one, or beside an error, or with nothing but a message, the answer does not say that
// there are no rows.
func (p *page) listing() error {
	switch {
	case !p.listed:
		return errNoList
	case p.aside.denies(len(p.entries) == 0):
		return errFaulty
	}
	return nil
}

// some wants a list that is empty or has a row with an id in it.
func (p *page) some() error {
	if p.odd > 0 && p.odd >= len(p.entries) && !slices.ContainsFunc(p.entries, func(e Entry) bool { return e.identified() }) {
		return cmp.Or(p.listing(), errNoIDs)
	}
	return p.listing()
}

// all wants a list of rows with ids, and nothing else in it: what is no row could be the one that is looked for.
func (p *page) all() error {
	if p.odd > 0 {
		return cmp.Or(p.listing(), errNoIDs)
	}
	return p.listing()
}

// identified reports whether this is a row of the server, which gives all of them an id.
func (e *Entry) identified() bool { return e.ID > 0 || e.Err != nil }

// counting wants to hear what was deleted, in one of two forms.
func (p *page) counting() error {
	if p.deletedCount == nil && !p.deletes {
		return errNoCount
	}
	return nil
}

// confirming is for batches, which the server may confirm with nothing at all.
func (p *page) confirming() error {
	if p.aside.faulty && len(p.entries)+p.odd == 0 { // an empty list beside an error says nothing
		return errFaulty
	}
	return nil
}

// confirmed reads the answer to a deletion: nothing, or JSON that names no error.
func confirmed(body []byte) error {
	var p page
	if err := decode(body, func(d *decoder) error { return d.page(&p) }); err != nil {
		return err
	}
	return p.confirming()
}

// errNotRows is the error of an answer that is JSON but neither an object nor an array. Such an answer does not say
// that there are no rows.
var errNotRows = errors.New("the answer is neither an object nor an array")

// page reads an answer with rows, appending them to p.entries. The server names its lists, so a bare array is one only
// if it has rows in it.
func (d *decoder) page(p *page) (err error) {
	switch d.peek() {
	case '[':
		before := d.odd
		p.entries, err = d.entries(p.entries)
		p.odd, p.widest = d.odd-before, d.widest
		p.listed = len(p.entries) > 0 || p.odd > 0
	case '{':
		err = d.object(func(name []byte) error { return d.pageField(p, name) })
	case 'n':
		err = d.literal("null")
	case 0:
	default:
		if err = d.skip(); err == nil {
			err = errNotRows
		}
	}
	return err
}

func (d *decoder) pageField(p *page, name []byte) (err error) {
	switch string(name) {
	case "entries":
		c := d.peek()
		p.listed = c == '[' || c == 'n' // a list, or null for an empty one
		before := d.odd
		p.entries, err = d.entries(p.entries)
		p.odd, p.widest = d.odd-before, d.widest
	case "error", "message":
		err = p.aside.read(d, name)
	case "deletedEntries":
		most, exact, left := d.most, d.exact, d.left
		d.most, d.exact, d.gone = maxRows, false, true // a limit does not hold for these
		d.left = min(left, maxValues/goneShare)
		start := d.i
		p.deleted, err = d.entries(p.deleted)
		p.beside = d.i - start
		d.most, d.exact, d.gone, d.left = most, exact, false, left
	case "pagination":
		if d.peek() != '{' {
			return d.skip()
		}
		err = d.object(func(name []byte) error {
			if string(name) != "total" {
				return d.skip()
			}
			p.total, err = d.count()
			return err
		})
	case "clientIds":
		if d.peek() != '[' {
			return d.skip()
		}
		err = d.array(func() error { return d.clientID(p) })
	case "deletedCount":
		p.deletedCount, err = d.count()
	case "deleted":
		if d.peek() != '[' {
			return d.skip()
		}
		p.deletes = true
		err = d.array(func() error {
			p.deletedIDs++
			return d.skip()
		})
	default:
		err = d.skip()
	}
	return err
}

// aside is what an answer says beside its list.
type aside struct {
	faulty  bool // it names an error
	message bool // it has a message
}

// read reads a field beside the list.
func (a *aside) read(d *decoder, name []byte) (err error) {
	switch string(name) {
	case "error":
		a.faulty, err = d.says()
	case "message":
		a.message, err = d.says()
	default:
		err = d.skip()
	}
	return err
}

// denies reports whether the answer is a failure: it names an error, or has a message in place of what a list would hold.
func (a *aside) denies(empty bool) bool { return a.faulty || a.message && empty }

// says reads the value of an "error" or "message". null, false and "" say nothing.
func (d *decoder) says() (bool, error) {
	d.peek()
	start := d.i
	if err := d.skip(); err != nil {
		return false, err
	}
	text := string(d.b[start:d.i])
	return text != "null" && text != "false" && text != `""`, nil
}

func (d *decoder) count() (*int, error) {
	n, ok, err := d.integer()
	if !ok {
		return nil, err
	}
	return new(int(n)), nil
}

func (d *decoder) clientID(p *page) error {
	if d.peek() != '{' {
		return d.skip()
	}
	var id ClientID
	err := d.object(func(name []byte) (err error) {
		switch string(name) {
		case "id":
			id.ID, _, err = d.integer()
		case "clientId":
			// The server returns the caller's value, perhaps as a number.
			var text []byte
			switch c := d.peek(); {
			case c == '"':
				text, err = d.text()
			case c == '-', '0' <= c && c <= '9':
				text, err = d.number()
			default:
				err = d.skip()
			}
			id.ClientID = string(text)
		default:
			err = d.skip()
		}
		return err
	})
	p.clientIDs = append(p.clientIDs, id)
	return err
}

// single reads an answer that is one row: bare, or wrapped in "entry", in "entries" or in an array.
// found is false for an empty body and for anything that holds no row.
func (d *decoder) single(e *Entry) (found bool, err error) {
	switch d.peek() {
	case 0:
		return false, nil
	case '[':
		rows, err := d.entries(nil)
		return first(rows, e), err
	}
	start := d.i
	if found, err = d.entry(e); err != nil || e.ID != 0 {
		return found, err
	}
	_, one := e.Extra["entry"].(M)
	_, many := e.Extra["entries"].([]any)
	if !one && !many && e.Err == nil {
		return e.Data != nil, nil
	}
	*e = Entry{}
	d.i = start
	found = false
	err = d.object(func(name []byte) (err error) {
		switch string(name) {
		case "entry":
			found, err = d.entry(e)
		case "entries":
			var rows []Entry
			rows, err = d.entries(nil)
			found = first(rows, e)
		default:
			err = d.skip()
		}
		return err
	})
	return found, err
}

func first(rows []Entry, e *Entry) bool {
	if len(rows) == 0 {
		return false
	}
	*e = rows[0]
	return true
}

// wrapped calls element at every object that an answer consists of: an array or object below its name
// (many or one), or bare. listed reports a list under its name, which may be empty. beside, if not nil, is called at the
// fields beside these.
func (d *decoder) wrapped(many, one string, element func() error, beside func(name []byte) error) (listed bool, err error) {
	switch d.peek() {
	case 0:
		return false, nil
	case 'n':
		return false, d.literal("null")
	case '[':
		return false, d.array(element)
	case '{':
	default:
		if err := d.skip(); err != nil {
			return false, err
		}
		return false, errNotRows
	}
	start, found := d.i, false
	err = d.object(func(name []byte) error {
		if string(name) != many && string(name) != one {
			if beside != nil {
				return beside(name)
			}
			return d.skip()
		}
		found = true
		c := d.peek()
		listed = listed || string(name) == many && (c == '[' || c == 'n')
		switch c {
		case '[':
			return d.array(element)
		case '{':
			return element()
		}
		return d.skip()
	})
	if err != nil || found {
		return listed, err
	}
	d.i = start
	return false, element()
}

// extra keeps a field that has no place of its own, null included.
func (d *decoder) extra(into *map[string]json.RawMessage, name []byte) error {
	if d.spare -= containerCost; d.spare < 0 {
		return d.skip()
	}
	key := d.name(name)
	d.peek()
	null := d.i < len(d.b) && d.b[d.i] == 'n'
	row := d.row
	d.row = d.spare
	raw, broken, err := d.field()
	d.row, d.spare = row, d.row
	if err != nil || broken != nil {
		return err
	}
	if null {
		raw = json.RawMessage("null")
	}
	if *into == nil {
		*into = map[string]json.RawMessage{}
	}
	(*into)[key] = raw
	return nil
}

// strings reads an array of strings and leaves out other elements. Anything but an array is nil.
func (d *decoder) strings() ([]string, error) {
	if d.peek() != '[' {
		return nil, d.skip()
	}
	list := []string{}
	err := d.array(func() error {
		if d.peek() != '"' {
			return d.skip()
		}
		s, err := d.str()
		if d.spare--; d.spare >= 0 {
			list = append(list, s)
		}
		return err
	})
	return list, err
}
