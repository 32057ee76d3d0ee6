package flipletd

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// Aggregation: a pipeline of $project, $group and $sort over the entries, with
// $sum, $avg, $min and $max, and $convertToNumber. That is what Fliplet
// documents of MongoDB's language; anything else is refused.

// stage is one checked step of a pipeline.
type stage struct {
	operator string
	fields   map[string]any
	sort     []sortField
}

type sortField struct {
	path string
	desc bool
}

// maxStages bounds a pipeline.
const maxStages = 100

// readPipeline checks a pipeline. The body is read again for $sort, whose keys
// count in the order in which they are written.
func readPipeline(v any, body []byte) ([]stage, error) {
	list, ok := v.([]any)
	if !ok {
		return nil, badRequest("aggregate must be an array of stages.")
	}
	if len(list) > maxStages {
		return nil, badRequest("aggregate has more than %d stages.", maxStages)
	}
	text, _ := asWritten(body, "aggregate", nil).(json.RawMessage)
	var raw []map[string]json.RawMessage
	_ = json.Unmarshal(text, &raw) // decoded before; only the order of keys is missing
	stages := make([]stage, 0, len(list))
	for i, e := range list {
		fields, _ := e.(map[string]any)
		if len(fields) != 1 {
			return nil, badRequest("aggregate[%d] must be an object with one operator.", i)
		}
		for operator, operand := range fields {
			st := stage{operator: operator}
			if st.fields, ok = operand.(map[string]any); !ok {
				return nil, badRequest("aggregate[%d].%s must be an object.", i, operator)
			}
			var err error
			switch operator {
			case "$project":
				err = checkExpressions(st.fields)
			case "$group":
				err = checkGroup(st.fields)
			case "$sort":
				var text json.RawMessage
				if i < len(raw) {
					text = raw[i]["$sort"]
				}
				st.sort, err = readSort(st.fields, text)
			default:
				err = badRequest("Unknown aggregation stage %q.", operator)
			}
			if err != nil {
				return nil, err
			}
			stages = append(stages, st)
		}
	}
	return stages, nil
}

func checkGroup(fields map[string]any) error {
	if _, ok := fields["_id"]; !ok {
		return badRequest("$group needs an _id.")
	}
	for name, e := range inOrder(fields) {
		if name == "_id" {
			if err := checkExpression(e); err != nil {
				return err
			}
			continue
		}
		m, _ := e.(map[string]any)
		if len(m) != 1 {
			return badRequest("$group.%s must be an object with one accumulator.", name)
		}
		for op, operand := range m {
			switch op {
			case "$sum", "$avg", "$min", "$max":
			default:
				return badRequest("Unknown accumulator %q.", op)
			}
			if err := checkExpression(operand); err != nil {
				return err
			}
		}
	}
	return nil
}

func readSort(fields map[string]any, text json.RawMessage) ([]sortField, error) {
	var out []sortField
	for _, name := range keysInOrder(fields, text) {
		n, ok := wholeNumber(fields[name])
		if !ok || n != 1 && n != -1 {
			return nil, badRequest("$sort.%s must be 1 or -1.", name)
		}
		out = append(out, sortField{name, n < 0})
	}
	return out, nil
}

// keysInOrder lists the keys of an object as its text has them.
func keysInOrder(fields map[string]any, text json.RawMessage) []string {
	var keys []string
	dec := json.NewDecoder(bytes.NewReader(text))
	if t, err := dec.Token(); err == nil && t == json.Delim('{') {
		for dec.More() {
			t, err := dec.Token()
			name, ok := t.(string)
			if err != nil || !ok {
				break
			}
			if !slices.Contains(keys, name) {
				keys = append(keys, name)
			}
			var skip json.RawMessage
			if dec.Decode(&skip) != nil {
				break
			}
		}
	}
	if len(keys) != len(fields) {
		return slices.Sorted(maps.Keys(fields)) // a form body has no order
	}
	return keys
}

// aggregate runs the pipeline over the rows found.
func (c *call) aggregate(q *entryQuery, rows []*version, l *listing, sourceID int64) error {
	docs := make([]map[string]any, len(rows))
	for i, v := range rows {
		docs[i] = entryValue(v)
		if columns := l.view(v); columns != nil {
			docs[i]["data"] = columns.project(v.data())
		}
	}
	for _, st := range q.pipeline {
		switch st.operator {
		case "$project":
			for i := range docs {
				docs[i] = project(docs[i], st.fields)
			}
		case "$group":
			docs = group(docs, st.fields)
		case "$sort":
			sortDocs(docs, st.sort)
		}
	}
	list := make([]any, len(docs))
	for i, d := range docs {
		list[i] = d
	}
	return c.value(http.StatusOK, map[string]any{"entries": list, "dataSourceId": sourceID, "count": len(list)})
}

// project keeps, drops or computes fields. As in MongoDB, naming fields to
// keep drops the others; only dropping keeps them.
func project(doc, fields map[string]any) map[string]any {
	dropping := true
	for name, e := range fields {
		if name != "_id" && !isZero(e) {
			dropping = false
		}
	}
	out := make(map[string]any)
	if dropping {
		maps.Copy(out, doc)
		for name := range fields {
			delete(out, name)
		}
		return out
	}
	if id, ok := doc["_id"]; ok && !isZero(fields["_id"]) {
		out["_id"] = id
	}
	for name, e := range inOrder(fields) { // one may be inside another
		switch {
		case isZero(e):
		case isOne(e):
			if v, ok := lookup(doc, name); ok {
				place(out, name, v)
			}
		default:
			if v, ok := evaluate(doc, e); ok {
				place(out, name, v)
			}
		}
	}
	return out
}

// place puts a value at a dotted path.
func place(doc map[string]any, path string, v any) {
	for {
		first, rest, nested := strings.Cut(path, ".")
		if !nested {
			doc[first] = v
			return
		}
		in, ok := doc[first].(map[string]any)
		if !ok {
			in = make(map[string]any)
			doc[first] = in
		} else {
			in = maps.Clone(in)
			doc[first] = in
		}
		doc, path = in, rest
	}
}

func isZero(e any) bool {
	f, ok := number(e)
	return e == false || ok && f == 0 && !isText(e)
}

func isOne(e any) bool {
	f, ok := number(e)
	return e == true || ok && f != 0 && !isText(e)
}

func isText(e any) bool {
	_, ok := e.(string)
	return ok
}

// group gathers documents by the value of _id, in the order of first
// appearance, and accumulates.
func group(docs []map[string]any, fields map[string]any) []map[string]any {
	byKey := make(map[string][]map[string]any)
	var keys []string
	ids := make(map[string]any)
	for _, d := range docs {
		id, _ := evaluate(d, fields["_id"])
		key := string(appendValue(nil, id))
		if _, seen := byKey[key]; !seen {
			keys = append(keys, key)
			ids[key] = id
		}
		byKey[key] = append(byKey[key], d)
	}
	out := make([]map[string]any, len(keys))
	for i, key := range keys {
		row := map[string]any{"_id": ids[key]}
		for name, e := range fields {
			if name == "_id" {
				continue
			}
			for op, operand := range e.(map[string]any) { // checked by checkGroup
				row[name] = accumulate(op, operand, byKey[key])
			}
		}
		out[i] = row
	}
	return out
}

func accumulate(op string, operand any, docs []map[string]any) any {
	var sum float64
	var n int
	var best any
	for _, d := range docs {
		v, ok := evaluate(d, operand)
		if !ok || v == nil {
			continue
		}
		if f, ok := number(v); ok {
			sum += f
			n++
		}
		switch {
		case best == nil, op == "$min" && compareValues(v, best) < 0, op == "$max" && compareValues(v, best) > 0:
			best = v
		}
	}
	switch op {
	case "$sum":
		return sum
	case "$avg":
		if n == 0 {
			return nil
		}
		return sum / float64(n)
	}
	return best
}

func sortDocs(docs []map[string]any, fields []sortField) {
	slices.SortStableFunc(docs, func(a, b map[string]any) int {
		for _, f := range fields {
			x, _ := lookup(a, f.path)
			y, _ := lookup(b, f.path)
			c := compareValues(x, y)
			if f.desc {
				c = -c
			}
			if c != 0 {
				return c
			}
		}
		return 0
	})
}
