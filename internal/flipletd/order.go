package flipletd

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// ordering is one term of an order.
type ordering struct {
	column string // a metadata column, or the data column when data is set
	data   bool
	desc   bool
}

var metadataColumns = map[string]func(a, b *version) int{
	"id":           func(a, b *version) int { return cmp.Compare(a.ID, b.ID) },
	"dataSourceId": func(a, b *version) int { return cmp.Compare(a.DataSourceID, b.DataSourceID) },
	"order":        func(a, b *version) int { return compareOrder(a.Order, b.Order) },
	"createdAt":    func(a, b *version) int { return a.created.Compare(b.created) },
	"updatedAt":    func(a, b *version) int { return a.updated.Compare(b.updated) },
	"deletedAt": func(a, b *version) int {
		if a.live() != b.live() { // null is last, as in PostgreSQL
			if a.live() {
				return 1
			}
			return -1
		}
		return a.deleted.Compare(b.deleted)
	},
}

// compareOrder puts rows without an order last.
func compareOrder(a, b *int64) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return 1
	case b == nil:
		return -1
	}
	return cmp.Compare(*a, *b)
}

// parseOrder reads [[column, direction], …]. Columns of the data need the
// prefix "data." and must be declared on the source; declared is nil where
// several sources are meant.
func parseOrder(v any, declared map[string]struct{}) ([]ordering, error) {
	if v == nil {
		return nil, nil
	}
	list, ok := v.([]any)
	if !ok {
		return nil, badRequest("order must be an array of [column, direction].")
	}
	terms := make([]ordering, 0, len(list))
	for i, e := range list {
		pair, ok := e.([]any)
		if !ok || len(pair) == 0 || len(pair) > 2 {
			return nil, badRequest("order[%d] must be [column, direction].", i)
		}
		t, err := parseOrdering(pair, declared)
		if err != nil {
			return nil, err
		}
		terms = append(terms, t)
	}
	return terms, nil
}

func parseOrdering(pair []any, declared map[string]struct{}) (ordering, error) {
	column, ok := pair[0].(string)
	if !ok {
		return ordering{}, badRequest("A column to order by must be a text.")
	}
	t := ordering{column: column}
	if name, isData := strings.CutPrefix(column, "data."); isData {
		t.column, t.data = name, true
		if err := t.declaredIn(declared); err != nil {
			return ordering{}, err
		}
	} else if metadataColumns[column] == nil {
		return ordering{}, badRequest("Entries cannot be ordered by %q; columns of the data need the prefix \"data.\".", column)
	}
	if len(pair) == 2 {
		direction, _ := pair[1].(string)
		switch strings.ToUpper(direction) {
		case "ASC":
		case "DESC":
			t.desc = true
		default:
			return ordering{}, badRequest("The direction of an order must be ASC or DESC.")
		}
	}
	return t, nil
}

// declaredIn refuses a column of the data that a source does not have; declared is nil
// where several sources are meant, and for one without any.
func (t ordering) declaredIn(declared map[string]struct{}) error {
	if !t.data || declared == nil || declares(declared, t.column) {
		return nil
	}
	return badRequest("The data source has no column %q to order by.", t.column)
}

// declares reports whether a column is one of a source's, or lies in one.
func declares(columns map[string]struct{}, column string) bool {
	if _, whole := columns[column]; whole {
		return true
	}
	parent, _, _ := strings.Cut(column, ".")
	_, known := columns[parent]
	return known
}

// defaultOrder is the documented one: order ascending, then the newest id.
func defaultOrder(rows []*version) {
	slices.SortFunc(rows, func(a, b *version) int {
		return cmp.Or(compareOrder(a.Order, b.Order), cmp.Compare(b.ID, a.ID))
	})
}

// sortRows sorts by the terms; what they leave open is decided by the id.
func sortRows(rows []*version, terms []ordering) {
	if len(terms) == 0 {
		defaultOrder(rows)
		return
	}
	if !slices.ContainsFunc(terms, func(t ordering) bool { return t.data }) {
		slices.SortFunc(rows, func(a, b *version) int {
			for _, t := range terms {
				c := metadataColumns[t.column](a, b)
				if t.desc {
					c = -c
				}
				if c != 0 {
					return c
				}
			}
			return cmp.Compare(a.ID, b.ID)
		})
		return
	}
	type keyed struct {
		v    *version
		keys []sortKey
	}
	all := make([]keyed, len(rows))
	for i, v := range rows {
		all[i] = keyed{v, make([]sortKey, len(terms))}
		for j, t := range terms {
			if t.data {
				all[i].keys[j] = dataKey(v.data(), t.column)
			}
		}
	}
	slices.SortFunc(all, func(a, b keyed) int {
		for j, t := range terms {
			var c int
			if t.data {
				c = a.keys[j].compare(b.keys[j])
			} else {
				c = metadataColumns[t.column](a.v, b.v)
			}
			if t.desc {
				c = -c
			}
			if c != 0 {
				return c
			}
		}
		return cmp.Compare(a.v.ID, b.v.ID)
	})
	for i := range all {
		rows[i] = all[i].v
	}
}

// sortKey is a value of a data column as it sorts: what looks like a number by
// number, then other text, then nothing.
type sortKey struct {
	rank   int // 0 number, 1 text, 2 null
	number float64
	text   string
}

func (a sortKey) compare(b sortKey) int {
	return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.number, b.number), strings.Compare(a.text, b.text))
}

func dataKey(data map[string]any, column string) sortKey {
	v, ok := lookup(data, column)
	if !ok || v == nil {
		return sortKey{rank: 2}
	}
	s := plainText(v)
	if f, err := strconv.ParseFloat(strings.TrimSpace(s), 64); err == nil {
		return sortKey{number: f}
	}
	return sortKey{rank: 1, text: s}
}

// lookup finds a column, or a value inside one by a dotted path.
func lookup(data map[string]any, path string) (any, bool) {
	if v, ok := data[path]; ok {
		return v, true
	}
	var at any = data
	for part := range strings.SplitSeq(path, ".") {
		switch in := at.(type) {
		case map[string]any:
			v, ok := in[part]
			if !ok {
				return nil, false
			}
			at = v
		case []any:
			i, err := strconv.Atoi(part)
			if err != nil || i < 0 || i >= len(in) {
				return nil, false
			}
			at = in[i]
		default:
			return nil, false
		}
	}
	return at, true
}

// plainText is a value as text: what PostgreSQL's ->> gives.
func plainText(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case json.Number:
		return string(v)
	}
	return string(appendValue(nil, v))
}
