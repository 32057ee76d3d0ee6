package conform

import (
	"strconv"
)

// filter asks which rows of the list fit a condition.
func filter(want string, where object) func(*asker) string {
	return func(a *asker) string {
		l := a.list()
		said := a.query(l.source, object{"where": where})
		if !said.ok() {
			return said.said()
		}
		return yes(l.found(said) == want, "the rows that fit", "others")
	}
}

const otherFacts = "Other facts, by file"

func queryProbes() []Probe {
	fits := "the rows that fit"
	refused := func(body object) func(*asker) string {
		return func(a *asker) string { return a.query(a.list().source, body).said() }
	}
	return []Probe{
		{ID: "query.root", Section: "What counts as a success", Fact: "A query is answered with entries.", Known: Documented, Expect: "entries", Copes: []string{"a bare list"}, ask: func(a *asker) string {
			said := a.query(a.list().source, object{})
			_, there := said.object()["entries"].([]any)
			_, bare := said.body.([]any)
			switch {
			case there:
				return "entries"
			case bare:
				return "a bare list"
			}
			return "something else"
		}},
		{ID: "query.nothing", Section: "What counts as a success", Fact: "A query that finds nothing has an empty list.", Known: Documented, Expect: "an empty list", Copes: []string{"null"}, ask: func(a *asker) string {
			said := a.query(a.list().source, object{"where": object{"Name": "nobody"}})
			list, ok := said.object()["entries"].([]any)
			_, there := said.object()["entries"]
			switch {
			case ok && len(list) == 0:
				return "an empty list"
			case there && !ok:
				return "null"
			}
			return "something else"
		}},
		{ID: "query.loose", Section: otherFacts, Fact: "A number fits a text of its digits.", Known: Seen, Expect: fits, Copes: []string{"others"}, ask: filter("1", object{"n": 5})},
		{ID: "query.case", Section: otherFacts, Fact: "Equality heeds case.", Known: Seen, Expect: fits, ask: filter("", object{"Name": "ALPHA"})},
		{ID: "query.ilike", Section: otherFacts, Fact: "$iLike, by which people log in, finds its operand anywhere in a value, in any case.", Known: Seen, Expect: fits, ask: filter("0", object{"Name": object{"$iLike": "LPH"}})},
		{ID: "query.element", Section: otherFacts, Fact: "A value fits a list that has it.", Known: Seen, Expect: fits, ask: filter("0", object{"tags": "y"})},
		{ID: "query.path", Section: otherFacts, Fact: "A path with a dot leads into an object.", Known: Seen, Expect: fits, ask: filter("0", object{"sub.k": 1})},
		{ID: "query.in", Section: otherFacts, Fact: "$in takes a list of values.", Known: Documented, Expect: fits, ask: filter("02", object{"Name": object{"$in": []any{"Alpha", "Gamma"}}})},
		{ID: "query.ne", Section: otherFacts, Fact: "$ne fits rows without the column, too.", Known: Seen, Expect: fits, ask: filter("123", object{"tags": object{"$ne": "x"}})},
		{ID: "query.exists", Section: otherFacts, Fact: "$exists heeds the key, and not its value.", Known: Seen, Expect: fits, ask: filter("2", object{"none": object{"$exists": true}})},
		{ID: "query.or", Section: otherFacts, Fact: "$or stands at the root.", Known: Documented, Expect: fits, ask: filter("13", object{"$or": []any{object{"Name": "beta"}, object{"Name": "delta"}}})},
		{ID: "query.gt", Section: otherFacts, Fact: "$gt turns texts into numbers.", Known: Seen, Expect: fits, ask: filter("12", object{"n": object{"$gt": 4}})},
		{ID: "query.regex", Section: otherFacts, Fact: "$regex takes $options.", Known: Seen, Expect: fits, ask: filter("2", object{"Name": object{"$regex": "^ga", "$options": "i"}})},
		{ID: "query.filters", Section: otherFacts, Fact: "$filters holds conditions by name.", Known: Documented, Expect: fits, ask: filter("1", object{"$filters": []any{object{"column": "Name", "condition": "contains", "value": "ET"}}})},
		{ID: "query.unknown-operator", Section: "What counts as a refusal", Fact: "An unknown operator is 400.", Known: Documented, Expect: "400", Copes: []string{"422"}, ask: refused(object{"where": object{"Name": object{"$flchat": 1}}})},
		{ID: "query.id", Section: otherFacts, Fact: "The id of rows is a condition beside where.", Known: Documented, Expect: fits, ask: func(a *asker) string {
			l := a.list()
			return yes(l.found(a.query(l.source, object{"id": object{"$in": []any{l.rows[0], l.rows[3]}}})) == "03", fits, "others")
		}},
		{ID: "query.where-id", Section: otherFacts, Fact: "id within where is a column.", Known: Documented, Expect: fits, ask: func(a *asker) string {
			l := a.list()
			return yes(l.found(a.query(l.source, object{"where": object{"id": l.rows[0]}})) == "", fits, "others")
		}},
		{ID: "query.created-at", Section: otherFacts, Fact: "createdAt is a condition beside where.", Known: Documented, Expect: fits, ask: func(a *asker) string {
			l := a.list()
			third := a.read(l.source, l.rows[2]).entry()["createdAt"]
			return yes(l.found(a.query(l.source, object{"createdAt": object{"$gte": third}})) == "23", fits, "others")
		}},
		{ID: "query.default-order", Section: sourcesAndRows, Fact: "Without an order the newest row is first.", Known: Documented, Expect: "the newest first", Copes: []string{"otherwise"}, ask: func(a *asker) string {
			l := a.list()
			return yes(l.inOrder(a.query(l.source, object{})) == "3210", "the newest first", "otherwise")
		}},
		{ID: "query.order-time", Section: "Polling", Fact: "Rows can be had in the order of updatedAt, then id.", Known: Documented, Expect: "in that order", ask: func(a *asker) string {
			l := a.list()
			return yes(l.inOrder(a.query(l.source, object{"order": []any{[]any{"updatedAt", "ASC"}, []any{"id", "ASC"}}})) == "0123", "in that order", "otherwise")
		}},
		{ID: "query.order-number", Section: otherFacts, Fact: "What looks like a number is sorted as one.", Known: Documented, Expect: "as numbers", Copes: []string{"otherwise"}, ask: func(a *asker) string {
			l := a.list()
			return yes(l.inOrder(a.query(l.source, object{"order": []any{[]any{"data.n", "ASC"}}})) == "0312", "as numbers", "otherwise")
		}},
		{ID: "query.order-undeclared", Section: "What counts as a refusal", Fact: "An order by a column that is not declared is 400.", Known: Documented, Expect: "400", Copes: []string{"200", "422"}, ask: refused(object{"order": []any{[]any{"data.nobody", "ASC"}}})},
		{ID: "query.order-direction", Section: "What counts as a refusal", Fact: "Another direction than ASC and DESC is 400.", Known: Documented, Expect: "400", Copes: []string{"200", "422"}, ask: refused(object{"order": []any{[]any{"createdAt", "UP"}}})},
		{ID: "query.limit", Section: sourcesAndRows, Fact: "limit leaves that many rows, and offset begins behind others.", Known: Documented, Expect: "these rows", Copes: []string{"others"}, ask: func(a *asker) string {
			l := a.list()
			return yes(l.found(a.query(l.source, object{"limit": 2, "offset": 1, "order": []any{[]any{"id", "ASC"}}})) == "12", "these rows", "others")
		}},
		{ID: "query.limit-zero", Section: sourcesAndRows, Fact: "limit: 0 is no limit.", Known: Documented, Expect: "no limit", Copes: []string{"otherwise"}, ask: func(a *asker) string {
			l := a.list()
			return yes(l.found(a.query(l.source, object{"limit": 0})) == "0123", "no limit", "otherwise")
		}},
		{ID: "query.limit-negative", Section: "What counts as a refusal", Fact: "A negative limit is 400.", Known: Documented, Expect: "400", Copes: []string{"200", "422"}, ask: refused(object{"limit": -1})},
		{ID: "query.pagination", Section: sourcesAndRows, Fact: "includePagination tells how many rows there are.", Known: Documented, Expect: "the number", Copes: []string{"none or another"}, ask: func(a *asker) string {
			page, _ := a.query(a.list().source, object{"includePagination": true, "limit": 1}).object()["pagination"].(object)
			return yes(number(page["total"]) == 4, "the number", "none or another")
		}},
		{ID: "query.distinct", Section: sourcesAndRows, Fact: "distinct leaves one row of each value.", Known: Documented, Expect: "one of each", Copes: []string{"otherwise"}, ask: func(a *asker) string {
			values := map[any]int{}
			for _, row := range a.query(a.list().source, object{"distinct": "group"}).entries() {
				values[data(row)["group"]]++
			}
			return yes(values["a"] == 1 && values["b"] == 1, "one of each", "otherwise")
		}},
		{ID: "query.attributes", Section: sourcesAndRows, Fact: "attributes leaves the columns that it names.", Known: Documented, Expect: "these columns", Copes: []string{"all columns"}, ask: func(a *asker) string {
			all := true
			for _, row := range a.query(a.list().source, object{"attributes": []any{"Name"}}).entries() {
				_, more := data(row)["group"]
				all = all && more
			}
			return yes(all, "all columns", "these columns")
		}},
		{ID: "query.update", Section: "What counts as a success", Fact: "A query of type update changes the rows that fit, and answers with them.", Known: Documented, Expect: "with the rows", Copes: []string{"without"}, ask: func(a *asker) string {
			source := a.source("writes", nil)
			row := a.insert(source, object{"what": "query", "a": "1"})
			said := a.query(source, object{"type": "update", "id": row, "where": object{"what": "query"}, "data": object{"a": "2"}})
			if a.columns(source, row)["a"] != "2" {
				return "nothing changes"
			}
			return yes(contains(ids(said.entries()), row), "with the rows", "without")
		}},
		{ID: "query.delete", Section: "What counts as a success", Fact: "A query of type delete answers with deletedCount, and with the ids as deleted.", Known: Open, Expect: "both", ask: func(a *asker) string {
			source := a.source("writes", nil)
			row := a.insert(source, object{"what": "to be deleted"})
			said := a.query(source, object{"type": "delete", "where": object{"what": "to be deleted"}})
			_, list := said.object()["deleted"].([]any)
			count := number(said.object()["deletedCount"]) >= 0
			switch {
			case !said.ok():
				return said.said()
			case a.there(source, row) != "0":
				return "nothing is deleted"
			case list && count:
				return "both"
			case list:
				return "deleted"
			}
			return yes(count, "deletedCount", "neither")
		}},
		{ID: "query.aggregate", Section: sourcesAndRows, Fact: "aggregate groups and sums.", Known: Documented, Expect: "groups", Copes: []string{"otherwise"}, ask: func(a *asker) string {
			said := a.query(a.list().source, object{"aggregate": []any{
				object{"$group": object{"_id": "$data.group", "count": object{"$sum": 1}}}, object{"$sort": object{"_id": 1}},
			}})
			rows := said.entries()
			return yes(len(rows) == 2 && rows[0]["_id"] == "a" && number(rows[0]["count"]) == 2, "groups", "otherwise")
		}},
	}
}

func joinProbes() []Probe {
	return []Probe{
		{ID: "joins.on", Section: otherFacts, Fact: "A join has the rows of another data source that fit, as joins.", Known: Documented, Expect: "as joins", Copes: []string{"otherwise"}, ask: func(a *asker) string {
			l := a.list()
			said := a.query(l.source, object{"id": l.rows[0], "join": object{"Same": object{"dataSourceId": l.source, "on": object{"data.group": "data.group"}}}})
			for _, row := range said.entries() {
				joined, _ := row["joins"].(object)
				if list, _ := joined["Same"].([]any); id(row["id"]) == l.rows[0] && len(list) == 2 {
					return "as joins"
				}
			}
			return "otherwise"
		}},
		{ID: "joins.outer", Section: otherFacts, Fact: "A join without on adds the rows of another data source to the answer.", Known: Documented, Expect: "added", ask: func(a *asker) string {
			l, w := a.list(), a.written()
			said := a.query(l.source, object{"join": object{"Other": object{"dataSourceId": w.source}}})
			return yes(contains(ids(said.entries()), w.row) && contains(ids(said.entries()), l.rows[0]), "added", "not added")
		}},
		{ID: "joins.limit", Section: otherFacts, Fact: "A join has an order and a limit of its own.", Known: Documented, Expect: "its own", ask: func(a *asker) string {
			w, l := a.written(), a.list()
			said := a.query(w.source, object{"limit": 1, "join": object{"List": object{"dataSourceId": l.source, "order": []any{"createdAt", "DESC"}, "limit": 1}}})
			return yes(l.inOrder(said) == "3", "its own", "otherwise")
		}},
		{ID: "joins.source-id", Section: otherFacts, Fact: "Joined rows say which data source they are of.", Known: Inferred, Expect: "they do", ask: func(a *asker) string {
			w, l := a.written(), a.list()
			for _, row := range a.query(w.source, object{"join": object{"List": object{"dataSourceId": l.source}}}).entries() {
				if contains(l.rows, id(row["id"])) && id(row["dataSourceId"]) != l.source {
					return "they do not"
				}
			}
			return "they do"
		}},
		{ID: "joins.most", Section: otherFacts, Fact: "A query may have 100 joins at least.", Known: Open, Expect: "100 or more", ask: func(a *asker) string {
			l, w := a.list(), a.written()
			most := 0
			for _, n := range []int{1, 3, 10, 30, 60, 100, 200} {
				joins := object{}
				for i := range n {
					joins["j"+strconv.Itoa(i)] = object{"dataSourceId": w.source, "order": []any{"createdAt", "DESC"}, "limit": 1, "attributes": []any{"what"}}
				}
				if !a.query(l.source, object{"limit": 1, "attributes": []any{"Name"}, "join": joins}).ok() {
					break
				}
				most = n
			}
			a.measure(int64(most), "joins")
			return yes(most >= 100, "100 or more", "fewer than 100")
		}},
	}
}
