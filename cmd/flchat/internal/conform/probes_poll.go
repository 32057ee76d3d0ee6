package conform

import (
	"strings"
	"time"
)

// visibleIn says how late a row became visible, in words.
func (a *asker) visibleIn(took time.Duration, ok bool) string {
	if ok {
		a.measure(took.Milliseconds(), "ms late")
	}
	switch {
	case !ok:
		return "it does not come"
	case took <= 5*time.Second:
		return "within 5 s"
	}
	return "later than 5 s"
}

func pollProbes() []Probe {
	return []Probe{
		{ID: "poll.query", Section: "Polling", Fact: "A query has a new row within 5 s.", Known: Open, Expect: "within 5 s", ask: func(a *asker) string {
			source := a.source("visible", nil)
			row := a.insert(source, object{"what": "visible"})
			took, ok := a.until(func() bool { return contains(ids(a.query(source, object{}).entries()), row) })
			return a.visibleIn(took, ok)
		}},
		{ID: "poll.changed", Section: "Polling", Fact: "A query by updatedAt has an edited row within 5 s.", Known: Open, Expect: "within 5 s", ask: func(a *asker) string {
			source := a.source("visible", nil)
			row := a.insert(source, object{"what": "old"})
			since := a.read(source, row).entry()["updatedAt"]
			a.tick()
			a.update(source, row, object{"what": "new"})
			took, ok := a.until(func() bool {
				for _, e := range a.query(source, object{"updatedAt": object{"$gt": since}}).entries() {
					if id(e["id"]) == row && data(e)["what"] == "new" {
						return true
					}
				}
				return false
			})
			return a.visibleIn(took, ok)
		}},
		{ID: "poll.across", Section: "Polling", Fact: "The query over all conversations has a new message within 5 s.", Known: Open, Expect: "within 5 s", ask: func(a *asker) string {
			t := a.crossing()
			row := a.insert(t.talk, object{"body": "visible", "fromUserId": t.me, "readBy": []any{t.me, t.other}})
			took, ok := a.until(func() bool { return contains(ids(a.across(object{"where": object{"id": row}}).entries()), row) })
			return a.visibleIn(took, ok)
		}},
		{ID: "poll.across-edit", Section: "Polling", Fact: "The query over all conversations has an edit within 5 s.", Known: Open, Expect: "within 5 s", ask: func(a *asker) string {
			t := a.crossing()
			row := a.insert(t.talk, object{"body": "old", "fromUserId": t.me, "readBy": []any{t.me, t.other}})
			a.update(t.talk, row, object{"body": "new"})
			took, ok := a.until(func() bool {
				for _, e := range a.across(object{"where": object{"id": row}}).entries() {
					if id(e["id"]) == row && data(e)["body"] == "new" {
						return true
					}
				}
				return false
			})
			return a.visibleIn(took, ok)
		}},
		{ID: "poll.deleted", Section: otherFacts, Fact: "A query by updatedAt reports deleted rows as deletedEntries.", Known: Documented, Expect: "reported", ask: func(a *asker) string {
			source, row, since := a.deletion()
			_, ok := a.until(func() bool {
				return contains(ids(a.query(source, object{"updatedAt": object{"$gte": since}}).list("deletedEntries")), row)
			})
			return yes(ok, "reported", "not reported")
		}},
		{ID: "poll.deleted-only-then", Section: otherFacts, Fact: "A query without updatedAt reports no deleted rows.", Known: Documented, Expect: "none", Copes: []string{"some"}, ask: func(a *asker) string {
			source, row, _ := a.deletion()
			return yes(contains(ids(a.query(source, object{}).list("deletedEntries")), row), "some", "none")
		}},
		{ID: "poll.deleted-live", Section: "Messages", Fact: "Deleted rows are not among the live ones.", Known: Documented, Expect: "they are not", ask: func(a *asker) string {
			source, row, _ := a.deletion()
			return yes(contains(ids(a.query(source, object{}).entries()), row), "they are", "they are not")
		}},
	}
}

// deletion deletes a row, once for all who ask.
func (a *asker) deletion() (source, row int64, since any) {
	type deletion struct {
		source, row int64
		since       any
	}
	d := fix(a, "deletion", func() *deletion {
		d := &deletion{source: a.source("deletions", nil)}
		d.row = a.insert(d.source, object{"what": "to be deleted"})
		d.since = a.read(d.source, d.row).entry()["updatedAt"]
		a.remove(d.source, d.row)
		return d
	})
	return d.source, d.row, d.since
}

const signs = "Other signs of change"

// logs asks the audit log for rows of a data source, the newest first.
func (a *asker) logs(types ...string) *answer {
	organization := id(a.get(a.talk().talk).source()["organizationId"])
	if organization == 0 {
		a.skip("the data source does not say which organisation it is of")
	}
	said := a.do(call{method: "GET", path: "/v1/organizations/" + number64(organization) + "/logs", query: a.inApp("type", strings.Join(types, ","), "limit", "50")})
	if !said.ok() {
		a.skip("the audit log cannot be read with this token: status %d", said.status)
	}
	return said
}

// logged waits for a line about a row.
func (a *asker) logged(row int64, types ...string) string {
	a.logs(types...) // skips
	took, ok := a.until(func() bool {
		for _, l := range a.logs(types...).list("logs") {
			if id(l["dataSourceEntryId"]) == row {
				return true
			}
		}
		return false
	})
	if !ok {
		return "it is not"
	}
	a.measure(took.Milliseconds(), "ms late")
	return "it is"
}

func logProbes() []Probe {
	return []Probe{
		{ID: "log.create", Section: signs, Fact: "A new message is in the audit log.", Known: Open, Expect: "it is", ask: func(a *asker) string {
			t := a.talk()
			return a.logged(a.insert(t.foreign, object{"body": "logged"}), "dataSource.entry.create")
		}},
		{ID: "log.update", Section: signs, Fact: "An edited message is in the audit log.", Known: Open, Expect: "it is", ask: func(a *asker) string {
			t := a.talk()
			row := a.insert(t.foreign, object{"body": "logged"})
			a.update(t.foreign, row, object{"body": "edited"})
			return a.logged(row, "dataSource.entry.update")
		}},
		{ID: "log.delete", Section: signs, Fact: "A deleted message is in the audit log.", Known: Open, Expect: "it is", ask: func(a *asker) string {
			t := a.talk()
			row := a.insert(t.foreign, object{"body": "logged"})
			a.remove(t.foreign, row)
			return a.logged(row, "dataSource.entry.delete")
		}},
		{ID: "log.commit", Section: signs, Fact: "The single rows of a commit are in the audit log.", Known: Open, Expect: "it is", ask: func(a *asker) string {
			t := a.talk()
			row := a.insert(t.foreign, object{"body": "marked"})
			a.commit(t.foreign, object{"append": true, "extend": true, "returnEntries": false, "runHooks": []any{}, "entries": []any{set(row, object{"readBy": []any{t.me}})}})
			return a.logged(row, "dataSource.entry.update")
		}},
		{ID: "log.types", Section: signs, Fact: "type leaves lines of that type.", Known: Documented, Expect: "it does", Copes: []string{"it does not"}, ask: func(a *asker) string {
			for _, l := range a.logs("dataSource.entry.create").list("logs") {
				if l["type"] != "dataSource.entry.create" {
					return "it does not"
				}
			}
			return "it does"
		}},
	}
}
