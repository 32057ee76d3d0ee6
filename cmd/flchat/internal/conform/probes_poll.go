package conform

import (
	"slices"
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
			a.room()
			row := a.insert(source, object{"what": "visible"})
			took, ok := a.until(func() bool { return contains(ids(a.query(source, object{}).entries()), row) })
			return a.visibleIn(took, ok)
		}},
		{ID: "poll.changed", Section: "Polling", Fact: "A query by updatedAt has an edited row within 5 s.", Known: Open, Expect: "within 5 s", ask: func(a *asker) string {
			source := a.source("visible", nil)
			row := a.insert(source, object{"what": "old"})
			since := a.read(source, row).entry()["updatedAt"]
			a.tick()
			a.room()
			a.update(source, row, object{"what": "new"})
			took, ok := a.until(func() bool {
				return slices.ContainsFunc(a.query(source, object{"updatedAt": object{"$gt": since}}).entries(), func(e object) bool {
					return id(e["id"]) == row && data(e)["what"] == "new"
				})
			})
			return a.visibleIn(took, ok)
		}},
		{ID: "poll.across", Section: "Polling", Fact: "The query over all conversations has a new message, and then an edit of it, within 5 s.", Known: Open, Expect: "within 5 s", ask: func(a *asker) string {
			t := a.crossing()
			a.room()
			row := a.insert(t.talk, object{"body": "old", "fromUserId": t.me, "readBy": []any{t.me, t.other}})
			has := func(body string) (time.Duration, bool) {
				return a.until(func() bool {
					return slices.ContainsFunc(a.across(object{"where": object{"id": row}}).entries(), func(e object) bool {
						return id(e["id"]) == row && data(e)["body"] == body
					})
				})
			}
			took, ok := has("old")
			if ok {
				a.room()
				a.update(t.talk, row, object{"body": "new"})
				var edit time.Duration
				edit, ok = has("new")
				took = max(took, edit)
			}
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
func (a *asker) logged(row int64, types ...string) (took time.Duration, ok bool) {
	a.logs(types...) // skips
	return a.until(func() bool {
		return slices.ContainsFunc(a.logs(types...).list("logs"), func(l object) bool { return id(l["dataSourceEntryId"]) == row })
	})
}

// logging is which changes of messages are in the audit log, and how late the first one was.
type logging struct {
	names string
	late  time.Duration
}

func (a *asker) logging() *logging {
	return fix(a, "logging", func() *logging {
		t, found := a.talk(), []string{}
		l := &logging{}
		row := a.insert(t.foreign, object{"body": "logged"})
		took, ok := a.logged(row, "dataSource.entry.create")
		l.late = took
		a.update(t.foreign, row, object{"body": "edited"})
		_, edited := a.logged(row, "dataSource.entry.update")
		a.remove(t.foreign, row)
		_, deleted := a.logged(row, "dataSource.entry.delete")
		for name, is := range map[string]bool{"insert": ok, "edit": edited, "deletion": deleted} {
			if is {
				found = append(found, name)
			}
		}
		slices.Sort(found)
		l.names = yes(len(found) == 0, "none", strings.Join(found, ", "))
		return l
	})
}

func logProbes() []Probe {
	return []Probe{
		{ID: "log.there", Section: signs, Fact: "A user of Studio may read the audit log of the organisation.", Known: Documented, Expect: "200", Copes: []string{"400", "401", "403", "404"}, ask: func(a *asker) string {
			organization := id(a.get(a.talk().talk).source()["organizationId"])
			if organization == 0 {
				a.skip("the data source does not say which organisation it is of")
			}
			return a.do(call{method: "GET", path: "/v1/organizations/" + number64(organization) + "/logs", query: a.inApp("limit", "1")}).said()
		}},
		{ID: "log.rows", Section: signs, Fact: "Changes of messages are in the audit log: new ones, edits, deletions.", Known: Open, Expect: "deletion, edit, insert", ask: func(a *asker) string {
			return a.logging().names
		}},
		{ID: "log.late", Section: signs, Fact: "They are in it within 5 s.", Known: Open, Expect: "within 5 s", ask: func(a *asker) string {
			l := a.logging()
			if !strings.Contains(l.names, "insert") {
				a.skip("new messages are not in the audit log")
			}
			return a.visibleIn(l.late, true)
		}},
		{ID: "log.commit", Section: signs, Fact: "The single rows of a commit are in the audit log.", Known: Open, Expect: "they are", ask: func(a *asker) string {
			t := a.talk()
			if !strings.Contains(a.logging().names, "edit") {
				a.skip("edits are not in the audit log")
			}
			row := a.insert(t.foreign, object{"body": "marked"})
			a.commit(t.foreign, mark(row, t.me))
			_, ok := a.logged(row, "dataSource.entry.update")
			return yes(ok, "they are", "they are not")
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
