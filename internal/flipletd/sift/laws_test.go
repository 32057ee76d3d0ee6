package sift_test

import (
	"math/rand/v2"
	"testing"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd/sift"
	"github.com/fliplet/fliplet-chat-go/internal/longtest"
)

// builder makes clauses and rows out of a string of choices, so that neither
// random tests nor the fuzzer waste their time on JSON syntax.
type builder struct {
	choices []byte
	pos     int
}

func (b *builder) choose(n int) int {
	if b.pos == len(b.choices) {
		return 0
	}
	b.pos++
	return int(b.choices[b.pos-1]) % n
}

func oneOf[T any](b *builder, values ...T) T { return values[b.choose(len(values))] }

func (b *builder) scalar() any {
	return oneOf[any](b, nil, 0.0, 1.0, -1.5, 5.0, "", "a", "A", "1", " 5 ", "1,2", "null", "2024-05-31", "31.12.2019",
		"$10", "x👍", "ΣΑΣ", "[object Object]", true, false)
}

func (b *builder) list(depth int, elem func(int) any) []any {
	list := make([]any, b.choose(4))
	for i := range list {
		list[i] = elem(depth)
	}
	return list
}

func (b *builder) value(depth int) any {
	switch {
	case depth == 0 || b.choose(3) > 0:
		return b.scalar()
	case b.choose(2) == 0:
		return b.list(depth-1, b.value)
	}
	return b.row(depth - 1)
}

func (b *builder) row(depth int) map[string]any {
	row := map[string]any{}
	for range b.choose(4) {
		row[oneOf(b, "a", "b", "c", "0", "length", "toString")] = b.value(depth)
	}
	return row
}

func (b *builder) condition(depth int) any {
	if depth == 0 {
		return b.scalar()
	}
	depth--
	switch b.choose(20) {
	case 0:
		return b.value(depth)
	case 1, 2, 3, 4:
		return map[string]any{oneOf(b, "$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$like", "$iLike", "$match"): b.value(1)}
	case 5, 6:
		return map[string]any{oneOf(b, "$in", "$nin"): b.list(depth, b.condition)}
	case 7, 8:
		return map[string]any{oneOf(b, "$and", "$or", "$nor", "$all"): b.list(depth, b.condition)}
	case 9, 10:
		return map[string]any{oneOf(b, "$not", "$elemMatch"): b.condition(depth)}
	case 11:
		return map[string]any{"$regex": oneOf(b, "^a", "(.)\\1", "(?=1)", "[^a]$", "\\d+"), "$options": oneOf(b, "", "i", "ms", "u")}
	case 12:
		return map[string]any{"$size": oneOf[any](b, 0.0, 1.0, 2.0, "1"), "$exists": oneOf(b, true, false)}
	case 13:
		return map[string]any{"$type": oneOf(b, "string", "number", "boolean", "array", "object", "date")}
	case 14:
		return map[string]any{"$mod": []any{2.0, b.scalar()}}
	case 15:
		return map[string]any{"$filters": []any{map[string]any{
			"column":    oneOf(b, "a", "b"),
			"condition": oneOf(b, "==", "!=", ">", "<=", "contains", "empty", "between", "oneof", "notin", "dateis", "datebefore"),
			"value":     oneOf[any](b, "a", 1.0, "2024-05-31", map[string]any{"from": 1.0}, []any{"a", 1.0}),
		}}}
	}
	clause := map[string]any{}
	for range 1 + b.choose(2) {
		clause[oneOf(b, "a", "b", "a.b", "a.0", "c.length", "a.b.c", "a.constructor")] = b.condition(depth)
	}
	return clause
}

// answer is what a clause says about a row: yes, no, or an error.
func answer(clause any, row any) string {
	filter, err := sift.Compile(clause)
	if err != nil {
		return "error"
	}
	switch matched, err := filter.Match(row); {
	case err != nil:
		return "error"
	case matched:
		return "yes"
	}
	return "no"
}

func opposite(answer string) string {
	switch answer {
	case "yes":
		return "no"
	case "no":
		return "yes"
	}
	return answer
}

// checkLaws tries what must hold of any condition c, whatever it is.
func checkLaws(t *testing.T, choices []byte) {
	b := &builder{choices: choices}
	c, row := b.condition(4), b.row(3)
	type m = map[string]any
	want := answer(c, row)
	for law, clause := range map[string]any{
		"$and of one":     m{"$and": []any{c}},
		"$all of one":     m{"$all": []any{c}},
		"$or of one":      m{"$or": []any{c}},
		"$or twice":       m{"$or": []any{c, c}},
		"and everything":  m{"$and": []any{m{}, c}},
		"or nothing":      m{"$or": []any{m{"$or": []any{}}, c}},
		"not not":         m{"$not": m{"$not": c}},
		"nor nor":         m{"$nor": []any{m{"$nor": []any{c}}}},
		"no list, itself": m{"$elemMatch": c},
	} {
		if got := answer(clause, row); got != want {
			t.Fatalf("%s: %s, but %s alone\nclause %v\nrow %v", law, got, want, c, row)
		}
	}
	for law, clause := range map[string]any{"$not": m{"$not": c}, "$nor": m{"$nor": []any{c}}} {
		if got := answer(clause, row); got != opposite(want) {
			t.Fatalf("%s: %s, but %s without\nclause %v\nrow %v", law, got, want, c, row)
		}
	}
	list, value := b.list(2, b.condition), b.value(2)
	in := answer(m{"a": m{"$in": list}}, m{"a": value})
	if nin := answer(m{"a": m{"$nin": list}}, m{"a": value}); nin != opposite(in) {
		t.Fatalf("$in: %s, $nin: %s\nlist %v\nvalue %v", in, nin, list, value)
	}
}

func TestLogicalLaws(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(5, 6))
	choices := make([]byte, 96)
	for range longtest.Size(1_000, 5_000) {
		for i := range choices {
			choices[i] = byte(r.Uint32())
		}
		checkLaws(t, choices)
	}
}

// FuzzLaws explores the same laws by the coverage they reach.
func FuzzLaws(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("the fork compares as JavaScript does, which is to say loosely"))
	f.Fuzz(checkLaws)
}
