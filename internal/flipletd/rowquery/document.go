package rowquery

import "encoding/json"

// document is the data column as a whole, a jsonb value.
type document struct{}

func (document) label() string { return "data" }

func (document) relate(op relation, operand any) (node, error) {
	if op != equal && op != unequal {
		return nil, refused("data has an order that only PostgreSQL knows: compare a column in it")
	}
	want, err := operandJSON(operand)
	if err != nil {
		return nil, err
	}
	return sameDocument{list: []any{want}, unlike: op == unequal}, nil
}

func (document) among(list []any) (node, error) {
	var n sameDocument
	for _, operand := range list {
		if operand == nil {
			n.orNull = true
			continue
		}
		want, err := operandJSON(operand)
		if err != nil {
			return nil, err
		}
		n.list = append(n.list, want)
	}
	return n, nil
}

func (document) isNull() node { return noDocument{} }

// sameDocument is data IN (list) by jsonb's equality, or data != list[0].
type sameDocument struct {
	list           []any
	orNull, unlike bool
}

func (n sameDocument) eval(r *Row) (truth, error) {
	if r.Data == nil {
		return isNull, nil
	}
	for _, want := range n.list {
		if equalJSON(r.Data, want) {
			return truthOf(!n.unlike), nil
		}
	}
	if n.orNull {
		return isNull, nil
	}
	return truthOf(n.unlike), nil
}
func (sameDocument) trueIn() region  { return everywhere() }
func (sameDocument) falseIn() region { return everywhere() }

// noDocument is data IS NULL.
type noDocument struct{}

func (noDocument) eval(r *Row) (truth, error) { return truthOf(r.Data == nil), nil }
func (noDocument) trueIn() region             { return everywhere() }
func (noDocument) falseIn() region            { return everywhere() }

// containment is data @> operand, or data <@ operand when inverse.
type containment struct {
	operand any
	inverse bool
}

func (n containment) eval(r *Row) (truth, error) {
	switch {
	case r.Data == nil:
		return isNull, nil
	case n.inverse:
		return truthOf(Contains(n.operand, r.Data)), nil
	}
	return truthOf(Contains(r.Data, n.operand)), nil
}
func (containment) trueIn() region  { return everywhere() }
func (containment) falseIn() region { return everywhere() }

// operandJSON checks and copies a JSON operand, so that a filter stays what
// it was when the caller changes the clause.
//
// Sequelize replaces operator names wherever it finds them and drops them
// again when it writes JSON: {"$contains": {"n": {"$gt": 5}}} becomes
// @> '{"n": {}}'. No caller means that, so it is refused.
func operandJSON(v any) (any, error) {
	switch v := v.(type) {
	case nil, bool, string:
		return v, nil
	case json.Number:
		if d, ok := parseDecimal(string(v)); !ok || !d.fits() {
			return nil, badValue("data: a number is beyond PostgreSQL's numeric type")
		}
		return v, nil
	case []any:
		list := make([]any, 0, len(v))
		for _, element := range v {
			element, err := operandJSON(element)
			if err != nil {
				return nil, err
			}
			list = append(list, element)
		}
		return list, nil
	case map[string]any:
		object := make(map[string]any, len(v))
		for key, value := range v {
			if isOperator(key) {
				return nil, refused("data: %s stands inside of a JSON value, where Sequelize drops it; put it under data or a path in data", key)
			}
			value, err := operandJSON(value)
			if err != nil {
				return nil, err
			}
			object[key] = value
		}
		return object, nil
	}
	return nil, badValue("data takes JSON decoded with json.Number")
}
