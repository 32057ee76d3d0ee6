package datasource

import (
	"errors"
	"fmt"
	"strings"
)

// Direction is a sort direction. The zero value is Asc; lower case is understood.
type Direction string

// The two sort directions.
const (
	Asc  Direction = "ASC"
	Desc Direction = "DESC"
)

func (d Direction) canonical() (Direction, error) {
	switch up := Direction(strings.ToUpper(string(d))); up {
	case "":
		return Asc, nil
	case Asc, Desc:
		return up, nil
	}
	return "", fmt.Errorf("direction %q is neither Asc nor Desc", string(d))
}

// Order sorts by one column: id, order, createdAt, updatedAt, deletedAt, or "data." and the name of a column that the
// data source declares.
type Order struct {
	Column    string
	Direction Direction
}

func (o Order) canonical() (Order, error) {
	d, err := o.Direction.canonical()
	if err != nil {
		return o, err
	}
	o.Direction = d
	switch o.Column {
	case "id", "order", "createdAt", "updatedAt", "deletedAt":
		return o, nil
	case "", "data.":
		return o, errors.New("column is empty")
	}
	if !strings.HasPrefix(o.Column, "data.") {
		return o, fmt.Errorf("column %q is not a field of rows: a column of the data is written %q", o.Column, "data."+o.Column)
	}
	return o, nil
}

// Query is the body of POST v1/data-sources/:id/data/query. Fields left zero are not sent.
type Query struct {
	// Type is "" or "select". UpdateWhere and DeleteWhere set their own.
	Type string
	// Where is a sift query over the columns: M{"id": 1} means a column called id. Note that $iLike finds its operand
	// anywhere in the value.
	Where M
	// Attributes names the columns to return; id, times and such always come.
	Attributes []string
	// Order, when empty, is order ASC, id DESC on the server: newest first.
	Order []Order
	// Limit is the largest number of rows; 0 leaves it to the server. See NoLimit.
	Limit int
	// Offset skips rows.
	Offset int
	// NoLimit asks for all rows. On the wire that is limit 0, which is why it has a field of its own.
	NoLimit bool
	// IncludePagination asks for Result.Total.
	IncludePagination bool
	// ID, CreatedAt and UpdatedAt filter by the row's own fields: a value, or operators such as M{"$gt": t}. A filter by
	// UpdatedAt brings tombstones in Result.Deleted.
	ID, CreatedAt, UpdatedAt any
	// DataSourceEntryID filters by the row's id.
	DataSourceEntryID int64
	// Distinct keeps the first row for each value of this column.
	Distinct string
	// Views names views in the data source's definition; they are ORed.
	Views []string
	// Join is sent as it is; results come in Entry.Extra["joins"]. An outer join adds rows of other data sources, so with
	// one a row that does not say whose it is has no DataSourceID.
	Join M
	// Aggregate is a pipeline of $project, $group and $sort, sent as it is. The fields of its rows are in Entry.Extra.
	Aggregate []M
}

// body checks q and writes it for a query of the given kind.
func (q *Query) body(kind string, patch M) ([]byte, error) {
	if err := q.check(kind); err != nil {
		return nil, fmt.Errorf("datasource: %w", err)
	}
	o := object{b: make([]byte, 0, 256)}
	o.add("type", kind)
	if q.Where != nil {
		o.add("where", q.Where)
	}
	if patch != nil {
		o.add("data", patch)
	}
	if len(q.Attributes) > 0 {
		o.add("attributes", q.Attributes)
	}
	switch {
	case q.NoLimit:
		o.add("limit", 0)
	case q.Limit > 0:
		o.add("limit", q.Limit)
	}
	if q.Offset > 0 {
		o.add("offset", q.Offset)
	}
	if len(q.Order) > 0 {
		pairs := make([]any, len(q.Order))
		for i, by := range q.Order {
			by, err := by.canonical()
			if err != nil {
				return nil, fmt.Errorf("datasource: Query.Order[%d]: %w", i, err)
			}
			pairs[i] = []string{by.Column, string(by.Direction)}
		}
		o.add("order", pairs)
	}
	if q.IncludePagination {
		o.add("includePagination", true)
	}
	if q.Distinct != "" {
		o.add("distinct", q.Distinct)
	}
	if len(q.Views) > 0 {
		o.add("views", q.Views)
	}
	if q.Join != nil {
		o.add("join", q.Join)
	}
	if q.Aggregate != nil {
		o.add("aggregate", q.Aggregate)
	}
	for _, f := range [...]struct {
		name   string
		filter any
	}{{"id", q.ID}, {"createdAt", q.CreatedAt}, {"updatedAt", q.UpdatedAt}} {
		if f.filter != nil {
			o.add(f.name, f.filter)
		}
	}
	if q.DataSourceEntryID != 0 {
		o.add("dataSourceEntryId", q.DataSourceEntryID)
	}
	return o.bytes()
}

// Check reports what would keep Find and Select from making a request for q.
func (q *Query) Check() error {
	_, err := q.body("select", nil)
	return err
}

func (q *Query) check(kind string) error {
	switch {
	case q.Type != "" && q.Type != kind:
		return fmt.Errorf(`Query.Type %q: leave it empty; Find and Select read, UpdateWhere and DeleteWhere write`, q.Type)
	case q.Limit < 0:
		return fmt.Errorf("Query.Limit is %d: give a positive number, or NoLimit for all rows", q.Limit)
	case q.Limit > 0 && q.NoLimit:
		return errors.New("Query.Limit and NoLimit are both set: give one")
	case q.Offset < 0:
		return fmt.Errorf("Query.Offset is %d: give 0 or more", q.Offset)
	case q.DataSourceEntryID < 0:
		return fmt.Errorf("Query.DataSourceEntryID is %d: ids are positive", q.DataSourceEntryID)
	case kind == "select":
		return nil
	case q.Limit > 0 || q.Offset > 0 || q.NoLimit || q.IncludePagination || q.Distinct != "" || q.Join != nil || q.Aggregate != nil:
		// A server that ignored one of these would change more rows than were meant.
		return errors.New("a query that writes takes filters only: Where, ID, CreatedAt, UpdatedAt, DataSourceEntryID, Views")
	case len(q.Where) == 0 && q.ID == nil && q.CreatedAt == nil && q.UpdatedAt == nil && q.DataSourceEntryID == 0 && len(q.Views) == 0:
		return errors.New("no filter: it would write to every row; give Where or another filter")
	}
	return nil
}
