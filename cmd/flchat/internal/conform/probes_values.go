package conform

import (
	"encoding/json"
	"math/big"
)

// kept are values that messages, contacts and the columns of apps hold, by the probe that is about
// them. Each is a column of its own, so that a change of one is told by one probe.
var kept = []struct {
	id, fact string
	known    Known
	value    any
}{
	{"rows.markup", "Characters of markup in texts stay what they are.", Documented, `a & b &amp; <b>bold</b> "quoted" 'single' \n %41 {{x}} z`},
	{"rows.spaces", "Texts keep spaces and line breaks, also at their ends.", Documented, "  two  spaces, a\ttab,\r\nlines\n\n "},
	{"rows.empty", "Empty texts, lists and objects stay empty, and do not become null.", Documented, object{"text": "", "list": []any{}, "object": object{}}},
	{"rows.booleans", "true and false stay what they are.", Documented, []any{true, false, object{"yes": true}}},
	{"rows.numbers", "Numbers keep their value up to 2^53, and fractions their digits.", Documented, []any{
		json.Number("0"), json.Number("-1"), json.Number("9007199254740991"), json.Number("-9007199254740991"),
		json.Number("0.1"), json.Number("123456.789"), json.Number("-2.5e-7"), json.Number("1e21"),
	}},
	{"rows.number-texts", "Texts that look like numbers, flags or times stay texts.", Documented, []any{"007", "1e3", "+1", "0x1f", "true", "null", "2026-01-30T10:00:00Z", "2026-01-30"}},
	{"rows.unicode", "Texts keep every character, and its form: emoji, joined ones, accents apart from their letter, directions.", Documented, "a 👋🏽 👩\u200d🚀 𝒳 é e\u0301 \ufb01 \u00a0 \u202eabc\u202c \u2028 \ufeff 伊芙 z"},
	{"rows.controls", "Texts keep control characters.", Inferred, "a\x01\x08\x0b\x0c\x1b[31m\x1f\x7f\u0085z"},
	{"rows.zero", "A text may have the character zero.", Open, "a\x00z"},
	{"rows.list-order", "Lists keep their order and what is in them twice.", Documented, []any{"b", "a", "b", []any{"d", "c"}}},
	{"rows.one-item", "A list of one stays a list.", Documented, []any{"a"}},
	{"rows.null-inside", "null within lists and objects stays.", Documented, object{"list": []any{"a", nil, "b"}, "nothing": nil}},
	{"rows.column-names", "Names of columns keep spaces, case and letters of all scripts.", Documented, object{"two words": "1", "Case": "2", "case": "3", "ünï-伊": "4", "under_score": "5"}},
}

// column is the name of a value's column.
func column(id string) string { return "flchat-" + id[len("rows."):] }

// ways are how a row with all of these values was read, by how it was written. zero tells whether
// one with the character zero was taken.
type ways struct {
	read []object
	zero *answer
	back object
}

// kept writes the values in all ways in which the SDK writes rows, and reads them in all ways.
func (a *asker) kept() *ways {
	return fix(a, "kept", func() *ways {
		source, imported := a.source("values", nil), a.source("values imported", nil)
		row := object{}
		for _, v := range kept {
			switch id := v.id; {
			case id == "rows.zero": // a service that cannot store it refuses the whole row
			case id == "rows.column-names":
				for name, value := range v.value.(object) {
					row[name] = value
				}
			default:
				row[column(id)] = v.value
			}
		}
		said := a.do(call{method: "PUT", path: path(source) + "/data", body: row})
		inserted := id(said.entry()["id"])
		if inserted == 0 {
			a.skip("no row could be inserted for it: status %d", said.status)
		}
		updated := a.insert(source, object{"what": "updated"})
		a.update(source, updated, row)
		a.append(imported, row)
		w := &ways{read: []object{data(said.entry()), a.columns(source, inserted), a.columns(source, updated)}}
		for _, from := range []int64{source, imported} {
			var rows []object
			a.until(func() bool {
				rows = a.query(from, object{}).entries()
				return len(rows) >= map[bool]int{true: 2, false: 1}[from == source]
			})
			for _, row := range rows {
				w.read = append(w.read, data(row))
			}
		}
		w.zero = a.do(call{method: "PUT", path: path(source) + "/data", body: object{column("rows.zero"): "a\x00z"}})
		if zero := id(w.zero.entry()["id"]); zero != 0 {
			w.back = a.columns(source, zero)
		}
		return w
	})
}

func valueProbes() []Probe {
	var out []Probe
	for _, v := range kept {
		out = append(out, Probe{ID: v.id, Section: sourcesAndRows, Fact: v.fact, Known: v.known, Expect: "as sent", ask: func(a *asker) string {
			w := a.kept()
			switch v.id {
			case "rows.zero":
				if !w.zero.ok() {
					return w.zero.said()
				}
				return yes(same(w.back[column(v.id)], v.value), "as sent", "otherwise")
			case "rows.column-names":
				for _, read := range w.read {
					for name, value := range v.value.(object) {
						if !same(read[name], value) {
							return "otherwise"
						}
					}
				}
				return "as sent"
			}
			for _, read := range w.read {
				if !same(read[column(v.id)], v.value) {
					return "otherwise"
				}
			}
			return "as sent"
		}})
	}
	return out
}

// same reports whether a value is the one that was sent. Numbers may be spelt otherwise.
func same(got, sent any) bool {
	switch sent := sent.(type) {
	case object:
		o, ok := got.(object)
		if !ok || len(o) != len(sent) {
			return false
		}
		for name, v := range sent {
			if inner, there := o[name]; !there || !same(inner, v) {
				return false
			}
		}
		return true
	case []any:
		list, ok := got.([]any)
		if !ok || len(list) != len(sent) {
			return false
		}
		for i, v := range sent {
			if !same(list[i], v) {
				return false
			}
		}
		return true
	case json.Number:
		n, ok := got.(json.Number)
		if !ok {
			return false
		}
		x, fine := new(big.Rat).SetString(n.String())
		y, _ := new(big.Rat).SetString(sent.String())
		return fine && x.Cmp(y) == 0
	}
	return got == sent // texts, flags and null; others do not fit
}
