package flipletd

import (
	"encoding/json"
	"strconv"
	"time"
)

// When an entry's deletedAt is written although the entry lives.
const (
	perEndpoint = "" // as the documentation shows it for the call
	always      = "always"
	never       = "never"
)

// Shape is how answers are spelled where deployments or documents differ. The
// zero Shape is the documented one.
type Shape struct {
	DeletedAt      string // "", "always" or "never": deletedAt:null on live entries
	KeepTombstones bool   // deleted entries keep their columns
	IDsAsStrings   bool
	UnknownFields  bool            // objects carry a field nobody knows
	Omit, Null     map[string]bool // fields of entries and data sources to leave out, or to send as null
	NullLists      bool            // an empty list is null
	EmptyBody      bool            // no body at all
	WrapEntry      bool            // a single entry comes as {"entry":…}
	Count          string          // "", "entries", "count" or "array": the cross-source count
	Bulk           string          // "", "wrapped": {"entries":[…]}
	Deleted        string          // "", "count", "ids": the answer to a delete query
	InsertCreated  bool            // 201 for an insert
	Denied401      bool            // access rules refuse single writes with 401
	Host           string          // what v1/user says that the API's base is
	CDN            bool            // media objects lead to the CDN, which serves anybody
}

// object writes the fields of one entry or data source.
type object struct {
	shape *Shape
	only  map[string]bool // nil: all
	some  bool            // a field has been written
}

// wants writes the key of a field and says whether the value is wanted.
func (o *object) wants(b *[]byte, name string) bool {
	if o.only != nil && !o.only[name] && name != "id" || o.shape.Omit[name] {
		return false
	}
	if o.some {
		*b = append(*b, ',')
	}
	o.some = true
	*b = append(*b, '"')
	*b = append(*b, name...)
	*b = append(*b, '"', ':')
	if o.shape.Null[name] {
		*b = append(*b, "null"...)
		return false
	}
	return true
}

func (o *object) id(b []byte, name string, id int64) []byte {
	if !o.wants(&b, name) {
		return b
	}
	if o.shape.IDsAsStrings {
		b = strconv.AppendInt(append(b, '"'), id, 10)
		return append(b, '"')
	}
	return strconv.AppendInt(b, id, 10)
}

func (o *object) optionalID(b []byte, name string, id int64) []byte {
	if id != 0 {
		return o.id(b, name, id)
	}
	if o.wants(&b, name) {
		b = append(b, "null"...)
	}
	return b
}

func (o *object) text(b []byte, name, s string) []byte {
	if o.wants(&b, name) {
		b = appendString(b, s)
	}
	return b
}

func (o *object) raw(b []byte, name string, v json.RawMessage, otherwise string) []byte {
	if !o.wants(&b, name) {
		return b
	}
	if v == nil {
		return append(b, otherwise...)
	}
	return append(b, v...)
}

func (o *object) time(b []byte, name string, t time.Time) []byte {
	if o.wants(&b, name) {
		b = appendTime(b, t)
	}
	return b
}

func (o *object) unknown(b []byte) []byte {
	if !o.shape.UnknownFields {
		return b
	}
	if o.some {
		b = append(b, ',')
	}
	return append(b, `"x-unknown":{"nested":[1,"two",null]}`...)
}

// listing is how the entries of one answer are written.
type listing struct {
	shape     *Shape
	deletedAt bool                              // this call shows deletedAt:null
	columns   *columnView                       // nil: all
	views     map[*version]*columnView          // instead of columns, of the rows in it
	extra     func(b []byte, v *version) []byte // further fields, each with its comma before
}

// columnView is which columns of the data are shown.
type columnView struct {
	only   map[string]bool // nil: all
	except map[string]bool
}

func (c *columnView) shows(name string) bool {
	return (c.only == nil || c.only[name]) && !c.except[name]
}

func (c *columnView) project(data map[string]any) map[string]any {
	out := make(map[string]any, len(data))
	for k, v := range data {
		if c.shows(k) {
			out[k] = v
		}
	}
	return out
}

// view is the columns of a row that are shown, nil for all.
func (l *listing) view(v *version) *columnView {
	if columns, ok := l.views[v]; ok {
		return columns
	}
	return l.columns
}

// appendEntry writes one entry.
func appendEntry(b []byte, v *version, l *listing) []byte {
	o := object{shape: l.shape}
	b = append(b, '{')
	b = o.id(b, "id", v.ID)
	b = o.id(b, "dataSourceId", v.DataSourceID)
	if o.wants(&b, "data") {
		switch {
		case !v.live() && !l.shape.KeepTombstones:
			b = append(b, '{', '}')
		default:
			if columns := l.view(v); columns != nil {
				b = appendValue(b, columns.project(v.data()))
			} else {
				b = append(b, v.raw...)
			}
		}
	}
	if o.wants(&b, "order") {
		if v.Order == nil {
			b = append(b, "null"...)
		} else {
			b = strconv.AppendInt(b, *v.Order, 10)
		}
	}
	b = o.time(b, "createdAt", v.created)
	b = o.time(b, "updatedAt", v.updated)
	switch {
	case !v.live():
		b = o.time(b, "deletedAt", v.deleted)
	case l.shape.DeletedAt == always || l.shape.DeletedAt == perEndpoint && l.deletedAt:
		if o.wants(&b, "deletedAt") {
			b = append(b, "null"...)
		}
	}
	if l.extra != nil {
		b = l.extra(b, v)
	}
	b = o.unknown(b)
	return append(b, '}')
}

// appendEntries writes a list of entries.
func appendEntries(b []byte, rows []*version, l *listing) []byte {
	if len(rows) == 0 && l.shape.NullLists {
		return append(b, "null"...)
	}
	b = append(b, '[')
	for i, v := range rows {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendEntry(b, v, l)
	}
	return append(b, ']')
}
