package conform

import (
	"encoding/json"
	"reflect"
	"strings"
	"time"
)

// written is a row that was inserted, as its writer and a reader see it.
type written struct {
	source, row  int64
	sent         object
	insert, read *answer
}

func (a *asker) written() *written {
	return fix(a, "written", func() *written {
		w := &written{source: a.source("writes", nil), sent: object{
			"text": "a text", "list": []any{"a", "b"}, "deep": object{"a": object{"b": []any{"c"}}}, "nothing": nil,
		}}
		w.insert = a.do(call{method: "PUT", path: path(w.source) + "/data", body: w.sent})
		if w.row = id(w.insert.entry()["id"]); w.row == 0 {
			a.skip("no row could be inserted for it: status %d", w.insert.status)
		}
		w.read = a.read(w.source, w.row)
		return w
	})
}

func (a *asker) update(source, row int64, patch object) *answer {
	return a.do(call{method: "PUT", path: rowPath(source, row), body: patch})
}

// columns reads the columns of a row.
func (a *asker) columns(source, row int64) object { return data(a.read(source, row).entry()) }

func rowProbes() []Probe {
	return []Probe{
		{ID: "rows.insert-status", Section: "What counts as a success", Fact: "An insert is answered with 200.", Known: Documented, Expect: "200", Copes: []string{"201"}, ask: func(a *asker) string { return a.written().insert.said() }},
		{ID: "rows.insert-bare", Section: "What counts as a success", Fact: "An insert is answered with the row itself.", Known: Documented, Expect: "bare", Copes: []string{"wrapped"}, ask: func(a *asker) string {
			return yes(id(a.written().insert.object()["id"]) != 0, "bare", "wrapped")
		}},
		{ID: "rows.insert-columns", Section: "What counts as a success", Fact: "The answer to an insert has the columns that were sent.", Known: Documented, Expect: "these columns", ask: func(a *asker) string {
			w := a.written()
			return yes(data(w.insert.entry())["text"] == w.sent["text"], "these columns", "others or none")
		}},
		{ID: "rows.equal-times", Section: "Messages", Fact: "createdAt and updatedAt of a new row are equal.", Known: Documented, Expect: "equal", Copes: []string{"not equal"}, ask: func(a *asker) string {
			row := a.written().read.entry()
			return yes(when(row["createdAt"]).Equal(when(row["updatedAt"])), "equal", "not equal")
		}},
		{ID: "rows.deleted-at", Section: "Messages", Fact: "The answer to an insert has deletedAt: null.", Known: Documented, Expect: "null", Copes: []string{"absent"}, ask: func(a *asker) string {
			at, there := a.written().insert.entry()["deletedAt"]
			switch {
			case !there:
				return "absent"
			case at == nil:
				return "null"
			}
			return "a time"
		}},
		{ID: "rows.id", Section: sourcesAndRows, Fact: "Ids are numbers.", Known: Documented, Expect: "a number", Copes: []string{"a text"}, ask: func(a *asker) string {
			_, text := a.written().read.entry()["id"].(string)
			return yes(text, "a text", "a number")
		}},
		{ID: "rows.values", Section: sourcesAndRows, Fact: "Texts, lists and objects of a row come back as they were sent.", Known: Documented, Expect: "as sent", ask: func(a *asker) string {
			w := a.written()
			got := data(w.read.entry())
			same := true
			for name, v := range w.sent {
				same = same && (v == nil || reflect.DeepEqual(got[name], v))
			}
			return yes(same, "as sent", "otherwise")
		}},
		{ID: "rows.null", Section: sourcesAndRows, Fact: "null is stored in a column.", Known: Documented, Expect: "stored", Copes: []string{"left out"}, ask: func(a *asker) string {
			v, there := data(a.written().read.entry())["nothing"]
			return yes(there && v == nil, "stored", "left out")
		}},
		{ID: "rows.digits", Section: sourcesAndRows, Fact: "Numbers above 2^53 keep every digit.", Known: Open, Expect: "they do", ask: func(a *asker) string {
			source := a.source("writes", nil)
			row := a.insert(source, object{"n": json.Number("9007199254740993")})
			return yes(a.columns(source, row)["n"] == json.Number("9007199254740993"), "they do", "they do not")
		}},
		{ID: "rows.source-id", Section: "Messages", Fact: "A row says which data source it is of.", Known: Documented, Expect: "it does", Copes: []string{"it does not"}, ask: func(a *asker) string {
			w := a.written()
			return yes(id(w.insert.entry()["dataSourceId"]) == w.source, "it does", "it does not")
		}},
		{ID: "rows.get-bare", Section: "What counts as a success", Fact: "A row that is read by its id is bare.", Known: Documented, Expect: "bare", Copes: []string{"wrapped"}, ask: func(a *asker) string {
			return yes(id(a.written().read.object()["id"]) != 0, "bare", "wrapped")
		}},
		{ID: "rows.get-missing", Section: "What counts as a refusal", Fact: "A row that was deleted is 404.", Known: Documented, Expect: "404", ask: func(a *asker) string {
			source := a.source("writes", nil)
			row := a.insert(source, object{"what": "missing"})
			a.remove(source, row)
			return a.read(source, row).said()
		}},
		{ID: "rows.get-elsewhere", Section: sourcesAndRows, Fact: "A row is not found in another data source.", Known: Inferred, Expect: "404", Copes: []string{"400"}, ask: func(a *asker) string {
			return a.read(a.list().source, a.written().row).said()
		}},
		{ID: "rows.bad-id", Section: "What counts as a refusal", Fact: "An id that is no number is 400.", Known: Documented, Expect: "400", Copes: []string{"404"}, ask: func(a *asker) string {
			return a.do(call{method: "GET", path: path(a.list().source) + "/data/not-a-number"}).said()
		}},
		{ID: "rows.update-merges", Section: sourcesAndRows, Fact: "An update leaves columns that are not sent.", Known: Documented, Expect: "merged", ask: func(a *asker) string {
			source := a.source("writes", nil)
			row := a.insert(source, object{"a": "1", "b": "1"})
			a.update(source, row, object{"b": "2"})
			c := a.columns(source, row)
			return yes(c["a"] == "1" && c["b"] == "2", "merged", "otherwise")
		}},
		{ID: "rows.update-nested", Section: sourcesAndRows, Fact: "An update replaces nested values whole.", Known: Documented, Expect: "replaced", ask: func(a *asker) string {
			source := a.source("writes", nil)
			row := a.insert(source, object{"o": object{"a": "1", "b": "1"}, "l": []any{"a", "b"}})
			a.update(source, row, object{"o": object{"b": "2"}, "l": []any{"c"}})
			c := a.columns(source, row)
			return yes(reflect.DeepEqual(c["o"], object{"b": "2"}) && reflect.DeepEqual(c["l"], []any{"c"}), "replaced", "merged")
		}},
		{ID: "rows.update-answer", Section: "What counts as a success", Fact: "An update is answered with all columns of the row.", Known: Documented, Expect: "all columns", Copes: []string{"fewer"}, ask: func(a *asker) string {
			source := a.source("writes", nil)
			row := a.insert(source, object{"a": "1"})
			c := data(a.update(source, row, object{"b": "2"}).entry())
			return yes(c["a"] == "1" && c["b"] == "2", "all columns", "fewer")
		}},
		{ID: "rows.update-time", Section: "Polling", Fact: "An update moves updatedAt and leaves createdAt.", Known: Inferred, Expect: "updatedAt moves", ask: func(a *asker) string { return a.updateMoves(object{"a": "2"}) }},
		{ID: "rows.no-op-time", Section: "Polling", Fact: "An update that changes nothing moves updatedAt, too.", Known: Open, Expect: "updatedAt moves", ask: func(a *asker) string { return a.updateMoves(object{"a": "1"}) }},
		{ID: "rows.update-missing", Section: "What counts as a refusal", Fact: "An update of a row that was deleted is 404.", Known: Documented, Expect: "404", ask: func(a *asker) string {
			source := a.source("writes", nil)
			row := a.insert(source, object{"what": "missing"})
			a.remove(source, row)
			return a.update(source, row, object{"a": "1"}).said()
		}},
		{ID: "rows.delete", Section: "What counts as a success", Fact: "Deleting a row is a success.", Known: Documented, Expect: "200", Copes: []string{"201", "202", "204"}, ask: func(a *asker) string {
			source := a.source("writes", nil)
			return a.remove(source, a.insert(source, object{"what": "deleted"})).said()
		}},
		{ID: "rows.delete-twice", Section: "What counts as a refusal", Fact: "Deleting a row that was deleted is 404.", Known: Documented, Expect: "404", Copes: []string{"200"}, ask: func(a *asker) string {
			source := a.source("writes", nil)
			row := a.insert(source, object{"what": "deleted"})
			a.remove(source, row)
			return a.remove(source, row).said()
		}},
		{ID: "rows.ids-differ", Section: sourcesAndRows, Fact: "Ids are unique across data sources, and grow.", Known: Inferred, Expect: "they grow", ask: func(a *asker) string {
			one, other := a.source("writes", nil), a.source("more writes", nil)
			first, second, third := a.insert(one, object{"what": "id"}), a.insert(other, object{"what": "id"}), a.insert(one, object{"what": "id"})
			return yes(first < second && second < third, "they grow", "otherwise")
		}},
		{ID: "rows.indexes", Section: sourcesAndRows, Fact: "…/indexes/… has the values of columns, as text.", Known: Documented, Expect: "as text", Copes: []string{"as they are", "none"}, ask: func(a *asker) string {
			l := a.list()
			said := a.do(call{method: "GET", path: path(l.source) + "/indexes/n"})
			indexes, _ := said.object()["indexes"].(object)
			values, _ := indexes["n"].([]any)
			if len(values) == 0 {
				return "none"
			}
			for _, v := range values {
				if _, text := v.(string); !text && v != nil {
					return "as they are"
				}
			}
			return "as text"
		}},
		{ID: "rows.get-all", Section: sourcesAndRows, Fact: "GET …/data has all rows.", Known: Seen, Expect: "all rows", ask: func(a *asker) string {
			l := a.list()
			return yes(l.found(a.do(call{method: "GET", path: path(l.source) + "/data"})) == "0123", "all rows", "otherwise")
		}},
	}
}

func (a *asker) updateMoves(patch object) string {
	source := a.source("writes", nil)
	row := a.insert(source, object{"a": "1"})
	before := a.read(source, row).entry()
	a.tick()
	a.update(source, row, patch)
	after := a.read(source, row).entry()
	switch {
	case !when(after["createdAt"]).Equal(when(before["createdAt"])):
		return "createdAt moves"
	case when(after["updatedAt"]).After(when(before["updatedAt"])):
		return "updatedAt moves"
	}
	return "updatedAt stays"
}

// there reports which of some rows there are, as "0" and "1".
func (a *asker) there(source int64, rows ...int64) string {
	var b strings.Builder
	for _, row := range rows {
		b.WriteString(yes(a.read(source, row).ok(), "1", "0"))
	}
	return b.String()
}

// pair inserts two rows.
func (a *asker) pair(source int64) (kept, other int64) {
	return a.insert(source, object{"a": "kept", "b": "1"}), a.insert(source, object{"a": "other", "b": "1"})
}

// set is an update in a commit.
func set(row int64, columns object) object { return object{"id": row, "data": columns} }

func batchProbes() []Probe {
	return []Probe{
		{ID: "batch.append-keeps", Section: sourcesAndRows, Fact: "An import with append leaves the rows that are there.", Known: Documented, Expect: "it does", ask: func(a *asker) string {
			source := a.source("batches", nil)
			row, _ := a.pair(source)
			a.append(source, object{"a": "new"})
			return yes(a.there(source, row) == "1", "it does", "it does not")
		}},
		{ID: "batch.replaces", Section: sourcesAndRows, Fact: "An import without append removes the rows that are there.", Known: Documented, Expect: "it does", Copes: []string{"it does not"}, ask: func(a *asker) string {
			source := a.source("replaced", nil)
			row, _ := a.pair(source)
			a.do(call{method: "POST", path: path(source) + "/data", body: object{"entries": []any{object{"a": "new"}}}})
			return yes(a.there(source, row) == "0", "it does", "it does not")
		}},
		{ID: "batch.append-answer", Section: "What counts as a success", Fact: "An import is answered with a list of the rows.", Known: Open, Expect: "a list", ask: func(a *asker) string {
			said := a.append(a.source("batches", nil), object{"a": "new"})
			if _, list := said.body.([]any); list {
				return "a list"
			}
			switch {
			case len(said.raw) == 0:
				return "empty"
			case len(said.entries()) > 0:
				return "entries"
			}
			return "something else"
		}},
		{ID: "batch.append-times", Section: "Polling", Fact: "Rows of one import may share one time.", Known: Open, Expect: "they share it", ask: func(a *asker) string {
			source := a.source("times", nil)
			a.append(source, object{"a": "1"}, object{"a": "2"}, object{"a": "3"})
			times := map[time.Time]bool{}
			for _, row := range a.query(source, object{}).entries() {
				times[when(row["createdAt"])] = true
			}
			return yes(len(times) == 1, "they share it", "they differ")
		}},
		{ID: "batch.commit-lists", Section: sourcesAndRows, Fact: "A commit without append and delete removes the rows that it does not list.", Known: Documented, Expect: "it does", Copes: []string{"it does not"}, ask: func(a *asker) string {
			source := a.source("committed", nil)
			kept, other := a.pair(source)
			a.commit(source, object{"entries": []any{set(kept, object{"a": "kept"})}, "extend": true})
			return yes(a.there(source, kept, other) == "10", "it does", "it does not")
		}},
		{ID: "batch.commit-append", Section: sourcesAndRows, Fact: "A commit with append leaves the rows that it does not list.", Known: Documented, Expect: "it does", ask: func(a *asker) string {
			source := a.source("batches", nil)
			kept, other := a.pair(source)
			a.commit(source, object{"append": true, "extend": true, "returnEntries": false, "entries": []any{set(kept, object{"a": "kept"})}})
			return yes(a.there(source, kept, other) == "11", "it does", "it does not")
		}},
		{ID: "batch.commit-delete", Section: sourcesAndRows, Fact: "A commit removes the rows in delete, and with that list no others.", Known: Documented, Expect: "these rows", ask: func(a *asker) string {
			source := a.source("batches", nil)
			kept, other := a.pair(source)
			a.commit(source, object{"delete": []any{other}, "entries": []any{}, "returnEntries": false, "append": true})
			return yes(a.there(source, kept, other) == "10", "these rows", "others")
		}},
		{ID: "batch.commit-extends", Section: "Messages", Fact: "With extend a commit leaves columns that are not sent, as a read mark needs.", Known: Documented, Expect: "it does", ask: func(a *asker) string {
			source := a.source("batches", nil)
			row, _ := a.pair(source)
			a.commit(source, object{"append": true, "extend": true, "returnEntries": false, "runHooks": []any{}, "entries": []any{set(row, object{"b": "2"})}})
			c := a.columns(source, row)
			return yes(c["a"] == "kept" && c["b"] == "2", "it does", "it does not")
		}},
		{ID: "batch.commit-replaces", Section: sourcesAndRows, Fact: "Without extend a commit removes columns that are not sent.", Known: Documented, Expect: "it does", Copes: []string{"it does not"}, ask: func(a *asker) string {
			source := a.source("batches", nil)
			row, _ := a.pair(source)
			a.commit(source, object{"append": true, "returnEntries": false, "entries": []any{set(row, object{"b": "2"})}})
			return yes(a.columns(source, row)["a"] == nil, "it does", "it does not")
		}},
		{ID: "batch.client-ids", Section: "What counts as a success", Fact: "A commit answers with the ids of what it inserts, by their clientId.", Known: Documented, Expect: "with ids", Copes: []string{"without"}, ask: func(a *asker) string {
			said := a.commit(a.source("batches", nil), object{"append": true, "returnEntries": false, "entries": []any{object{"clientId": "mine", "data": object{"a": "new"}}}})
			for _, c := range said.list("clientIds") {
				if c["clientId"] == "mine" && id(c["id"]) != 0 {
					return "with ids"
				}
			}
			return "without"
		}},
		{ID: "batch.return-entries", Section: "What counts as a success", Fact: "With returnEntries: false a commit does not answer with the rows.", Known: Documented, Expect: "no rows", Copes: []string{"rows"}, ask: func(a *asker) string {
			said := a.commit(a.source("batches", nil), object{"append": true, "returnEntries": false, "entries": []any{object{"data": object{"a": "new"}}}})
			return yes(len(said.entries()) == 0, "no rows", "rows")
		}},
		{ID: "batch.unknown-id", Section: sourcesAndRows, Fact: "A commit ignores an update of a row that does not exist.", Known: Open, Expect: "ignored", ask: func(a *asker) string {
			source := a.source("batches", nil)
			_, gone := a.pair(source)
			a.remove(source, gone)
			said := a.commit(source, object{"append": true, "extend": true, "returnEntries": false, "entries": []any{set(gone, object{"b": "2"})}})
			switch {
			case !said.ok():
				return said.said()
			case a.there(source, gone) == "0":
				return "ignored"
			}
			return "the row is there again"
		}},
		{ID: "batch.deletes-repeat", Section: sourcesAndRows, Fact: "A commit may delete what was deleted.", Known: Seen, Expect: "200", Copes: []string{"201", "204"}, ask: func(a *asker) string {
			source := a.source("batches", nil)
			_, gone := a.pair(source)
			a.remove(source, gone)
			return a.commit(source, object{"append": true, "entries": []any{}, "delete": []any{gone, gone}, "returnEntries": false}).said()
		}},
		{ID: "batch.no-list", Section: "What counts as a refusal", Fact: "A commit whose entries are no list is 400.", Known: Documented, Expect: "400", Copes: []string{"422"}, ask: func(a *asker) string {
			return a.commit(a.source("batches", nil), object{"append": true, "entries": object{}}).said()
		}},
	}
}

// append imports rows beside those that are there.
func (a *asker) append(source int64, rows ...any) *answer {
	return a.do(call{method: "POST", path: path(source) + "/data", body: object{"append": true, "entries": rows}})
}
