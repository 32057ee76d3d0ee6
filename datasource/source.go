package datasource

import (
	"bytes"
	"cmp"
	"encoding/json"
	"math"
	"slices"
)

// sourceList is a list of data sources with the number of values that each has: in its definition, hooks and rules, and
// in what does without, since every row may add columns.
type sourceList struct {
	sources     []DataSource
	free, spare []int
	listed      bool // the answer has a list, which may be empty
	odd         int  // how many elements are no data source with an id
	aside       aside
}

// believe says what the answer lacks. What is no data source in a list could be the one that is looked for. Where nothing
// names the list, as in a row or a data source alone, what is there has to be of the type that was asked for.
func (l *sourceList) believe(kind string) error {
	switch none := len(l.sources) == 0; {
	case l.listed && l.aside.denies(none):
		return errFaulty
	case none && !l.listed, l.odd > 0:
		return errNoSources
	case !l.listed && kind != "" && slices.ContainsFunc(l.sources, func(ds DataSource) bool { return ds.Type != kind }):
		return errNoSources
	}
	return nil
}

// decodeSources reads an answer with data sources of a type, unless that is "", of which a field may have rowText bytes.
//
// Their free fields stay text, so that reading them costs no more than that. Whoever uses a text decodes it, so that its
// values count all the same.
func decodeSources(body []byte, rowText int, kind string) ([]DataSource, error) {
	var list sourceList
	err := decode(body, func(d *decoder) error {
		d.rowText = rowText
		var err error
		list.listed, err = d.wrapped("dataSources", "dataSource", func() error { return d.source(&list) }, func(name []byte) error { return list.aside.read(d, name) })
		return err
	})
	if err == nil {
		err = list.believe(kind)
	}
	for _, i := range tooMany(list.free) {
		list.sources[i].empty(errAllValues)
	}
	for _, i := range tooMany(list.spare) {
		list.sources[i].Columns, list.sources[i].Extra = nil, nil
	}
	return list.sources, err
}

// tooMany returns the places of the largest numbers, without which all together are no more than maxValues.
func tooMany(counts []int) []int {
	total := 0
	for _, n := range counts {
		total += n
	}
	if total <= maxValues {
		return nil
	}
	largest := make([]int, len(counts))
	for i := range counts {
		largest[i] = i
	}
	slices.SortStableFunc(largest, func(a, b int) int { return cmp.Compare(counts[b], counts[a]) })
	n := 0
	for ; total > maxValues; n++ {
		total -= counts[largest[n]]
	}
	return largest[:n]
}

// empty leaves out what somebody may have written into a data source.
func (ds *DataSource) empty(broken error) {
	ds.Definition, ds.Hooks, ds.AccessRules = nil, nil, nil
	ds.Err = cmp.Or(ds.Err, broken)
}

// source appends the data source at the current byte to list. Anything but an object, and an object without an id, is
// odd, and left out.
func (d *decoder) source(list *sourceList) error {
	if d.peek() != '{' {
		list.odd++
		return d.skip()
	}
	var s DataSource
	d.row, d.spare = maxRowValues, maxRowValues
	err := d.object(func(name []byte) (err error) {
		var broken error
		switch string(name) {
		case "id":
			s.ID, _, err = d.integer()
		case "name":
			s.Name, err = d.str()
		case "type":
			s.Type, err = d.str()
		case "appId":
			s.AppID, _, err = d.integer()
		case "organizationId":
			s.OrganizationID, _, err = d.integer()
		case "columns":
			start := d.i
			if s.Columns, err = d.strings(); d.i-start > d.rowText || d.spare < 0 {
				s.Columns = nil
			}
		case "definition":
			s.Definition, broken, err = d.field()
		case "hooks":
			s.Hooks, broken, err = d.field()
		case "accessRules":
			s.AccessRules, broken, err = d.field()
		case cutMark:
			broken = errRowBytes
			err = d.skip()
		case "createdAt":
			s.CreatedAt, err = d.time()
		case "updatedAt":
			s.UpdatedAt, err = d.time()
		case "deletedAt":
			s.DeletedAt, err = d.deletion()
		default:
			err = d.extra(&s.Extra, name)
		}
		s.Err = cmp.Or(s.Err, broken)
		return err
	})
	if d.row < 0 {
		s.empty(errRowValues)
		d.row = maxRowValues
	}
	if s.ID <= 0 && s.Err == nil {
		list.odd++
	}
	if s.ID != 0 {
		list.sources = append(list.sources, s)
		list.free = append(list.free, maxRowValues-d.row)
		list.spare = append(list.spare, min(maxRowValues-d.spare, maxRowValues))
	}
	return err
}

// field reads a value as it stands, if it keeps to the limits of a row. Otherwise broken says which it breaks.
func (d *decoder) field() (raw json.RawMessage, broken, err error) {
	d.peek()
	start, depth := d.i, d.depth
	deepest, inRow := d.deepest, d.inRow
	d.deepest, d.inRow = min(deepest, depth+maxRowDepth), true
	text, err := d.raw()
	if err == errRowDepth { //nolint:errorlint // it comes from here
		broken, d.i, d.depth, d.deepest = err, start, depth, math.MaxInt
		err = d.skip()
	}
	d.deepest, d.inRow = deepest, inRow
	switch {
	case err != nil || broken != nil:
		return nil, broken, err
	case len(text) > d.rowText:
		return nil, errRowBytes, nil
	case string(text) == "null":
		return nil, nil, nil
	}
	if d.row -= valuesIn(text); d.row < 0 {
		return nil, errRowValues, nil
	}
	return bytes.Clone(text), nil, nil
}

// valuesIn counts the values in a text of JSON, as those of a row are counted.
func valuesIn(text []byte) int {
	n, quoted := 1, false
	for i := 0; i < len(text); i++ {
		if quoted {
			i += plainRun(text[i:])
			if i < len(text) {
				switch text[i] {
				case '\\':
					i++
				case '"':
					quoted = false
				}
			}
			continue
		}
		switch text[i] {
		case '"':
			quoted = true
		case '{', '[':
			n += containerCost
		case ',':
			n++
		}
	}
	return n
}
