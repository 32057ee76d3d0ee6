package conform

import (
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const sourcesAndRows = "Data sources and rows"

// life is a data source that goes to the trash, comes back, and goes for good.
type life struct {
	created, deleted, trashed, restored, live, purged, gone *answer
	source                                                  int64
	name                                                    string
}

func (a *asker) life() *life {
	return fix(a, "life", func() *life {
		l := &life{name: a.name("life")}
		if l.source, l.created = a.make("life", object{"definition": object{}}); l.source == 0 {
			a.skip("no data source could be made for it: status %d", l.created.status)
		}
		trash := "/v1/data-sources/deleted"
		get := func() *answer { return a.do(call{method: "GET", path: path(l.source)}) }
		l.deleted = a.do(call{method: "DELETE", path: path(l.source)})
		l.trashed = a.do(call{method: "GET", path: trash, query: a.inApp()})
		l.restored = a.do(call{method: "POST", path: path(l.source) + "/restore"})
		l.live = get()
		a.do(call{method: "DELETE", path: path(l.source)})
		l.purged = a.do(call{method: "DELETE", path: trash + "/" + strconv.FormatInt(l.source, 10)})
		l.gone = get()
		return l
	})
}

func (a *asker) get(source int64, more ...string) *answer {
	return a.do(call{method: "GET", path: path(source), query: pairs(url.Values{}, more)})
}

func (a *asker) put(source int64, fields object) *answer {
	return a.do(call{method: "PUT", path: path(source), body: fields})
}

// listed are the data sources of the app, with more parameters. Those of others are in it, too, so
// no more is asked for than is looked at.
func (a *asker) listed(more ...string) *answer {
	return a.do(call{method: "GET", path: "/v1/data-sources", query: pairs(a.inApp("attributes", "id,name,updatedAt"), more)})
}

func listing(answer *answer, source int64) object {
	for _, s := range answer.list("dataSources") {
		if id(s["id"]) == source {
			return s
		}
	}
	return nil
}

func sourceProbes() []Probe {
	return []Probe{
		{ID: "sources.create-status", Section: sourcesAndRows, Fact: "Making a data source is answered with 201.", Known: Documented, Expect: "201", Copes: []string{"200"}, ask: func(a *asker) string { return a.life().created.said() }},
		{ID: "sources.create-wrapped", Section: "What counts as a success", Fact: "The answer holds it as dataSource.", Known: Documented, Expect: "dataSource", Copes: []string{"bare"}, ask: func(a *asker) string {
			_, ok := a.life().created.object()["dataSource"]
			return yes(ok, "dataSource", "bare")
		}},
		{ID: "sources.create-echo", Section: "What counts as a success", Fact: "The answer holds the name that was sent.", Known: Documented, Expect: "the name", ask: func(a *asker) string {
			l := a.life()
			return yes(l.created.source()["name"] == l.name, "the name", "another or no name")
		}},
		{ID: "sources.delete", Section: "What counts as a success", Fact: "Deleting a data source is a success.", Known: Documented, Expect: "200", Copes: []string{"201", "202", "204"}, ask: func(a *asker) string { return a.life().deleted.said() }},
		{ID: "sources.trash", Section: sourcesAndRows, Fact: "What was deleted is in the trash.", Known: Seen, Expect: "in the trash", Copes: []string{"not in the trash"}, ask: func(a *asker) string {
			l := a.life()
			return yes(listing(l.trashed, l.source) != nil, "in the trash", "not in the trash")
		}},
		{ID: "sources.restore", Section: sourcesAndRows, Fact: "What is in the trash can be restored.", Known: Seen, Expect: "restored", Copes: []string{"not restored"}, ask: func(a *asker) string {
			l := a.life()
			return yes(l.restored.ok() && l.live.ok(), "restored", "not restored")
		}},
		{ID: "sources.purge", Section: sourcesAndRows, Fact: "What is in the trash can be deleted for good.", Known: Seen, Expect: "deleted for good", ask: func(a *asker) string {
			return yes(a.life().purged.ok(), "deleted for good", "refused")
		}},
		{ID: "sources.missing", Section: "What counts as a refusal", Fact: "A data source that does not exist is 404.", Known: Documented, Expect: "404", ask: func(a *asker) string { return a.life().gone.said() }},
		{ID: "sources.get", Section: "What counts as a success", Fact: "Reading a data source answers dataSource, with its id.", Known: Documented, Expect: "dataSource", Copes: []string{"bare"}, ask: func(a *asker) string {
			l := a.list()
			said := a.get(l.source)
			_, wrapped := said.object()["dataSource"]
			if id(said.source()["id"]) != l.source {
				return "without its id"
			}
			return yes(wrapped, "dataSource", "bare")
		}},
		{ID: "sources.by-name", Section: sourcesAndRows, Fact: "A name in place of an id finds a data source, whatever its characters are.", Known: Documented, Expect: "found", Copes: []string{"not found"}, ask: func(a *asker) string {
			made := a.source("a/b & ü", nil)
			said := a.do(call{method: "GET", path: "/v1/data-sources/" + url.PathEscape(a.name("a/b & ü")), query: a.inApp()})
			return yes(id(said.source()["id"]) == made, "found", "not found")
		}},
		{ID: "sources.dsn", Section: sourcesAndRows, Fact: "With ?dsn digits are a name.", Known: Documented, Expect: "a name", Copes: []string{"an id"}, ask: func(a *asker) string {
			return yes(a.get(a.list().source, "dsn", "").ok(), "an id", "a name")
		}},
		{ID: "sources.list", Section: "What counts as a success", Fact: "The list of data sources is dataSources.", Known: Documented, Expect: "dataSources", Copes: []string{"bare"}, ask: func(a *asker) string {
			l := a.list()
			said := a.listed()
			if listing(said, l.source) == nil {
				return "without what is there"
			}
			_, bare := said.body.([]any)
			return yes(bare, "bare", "dataSources")
		}},
		{ID: "sources.list-type", Section: "Conversations", Fact: "type= leaves only data sources of that type.", Known: Documented, Expect: "only that type", Copes: []string{"others, too"}, ask: func(a *asker) string {
			l, t := a.list(), a.talk()
			said := a.listed("type", "conversation")
			if listing(said, t.talk) == nil {
				return "without what is there"
			}
			return yes(listing(said, l.source) == nil, "only that type", "others, too")
		}},
		{ID: "sources.list-definition", Section: "Conversations", Fact: "definition= leaves what contains it.", Known: Inferred, Expect: "by containment", Copes: []string{"it is ignored"}, ask: func(a *asker) string {
			t := a.talk()
			filter, _ := json.Marshal(object{"participants": []any{t.me}}) //nolint:errchkjson // a text
			said := a.listed("type", "conversation", "definition", string(filter))
			if listing(said, t.talk) == nil {
				return "without what is there"
			}
			return yes(listing(said, t.foreign) == nil, "by containment", "it is ignored")
		}},
		{ID: "sources.list-order", Section: "Conversations", Fact: "order=updatedAt&direction=DESC puts the latest change first.", Known: Documented, Expect: "the latest first", Copes: []string{"otherwise"}, ask: func(a *asker) string {
			first, then := a.source("written", nil), a.source("made", nil)
			a.tick()
			a.put(first, object{"columns": []any{"later"}})
			var order []int64
			for _, s := range a.listed("order", "updatedAt", "direction", "DESC").list("dataSources") {
				if n := id(s["id"]); n == first || n == then {
					order = append(order, n)
				}
			}
			return yes(len(order) >= 2 && order[0] == first, "the latest first", "otherwise")
		}},
		{ID: "sources.attributes", Section: sourcesAndRows, Fact: "attributes= leaves the fields that it names, and the id.", Known: Documented, Expect: "these fields", Copes: []string{"it is ignored"}, ask: func(a *asker) string {
			s := listing(a.listed("attributes", "id,name"), a.list().source)
			_, more := s["createdAt"]
			return yes(s != nil && !more, "these fields", "it is ignored")
		}},
		{ID: "sources.definition", Section: "Conversations", Fact: "A definition is replaced whole.", Known: Seen, Expect: "replaced", ask: func(a *asker) string {
			source := a.source("definition", object{"definition": object{"a": 1, "b": object{"c": 1}}})
			a.put(source, object{"definition": object{"b": object{"d": 1}}})
			def, _ := a.get(source).source()["definition"].(object)
			inner, _ := def["b"].(object)
			_, kept := def["a"]
			_, merged := inner["c"]
			return yes(kept || merged || inner["d"] == nil, "merged", "replaced")
		}},
		{ID: "sources.definition-digits", Section: "Conversations", Fact: "Numbers in a definition keep every digit.", Known: Open, Expect: "they do", ask: func(a *asker) string {
			source := a.source("digits", object{"definition": object{"n": json.Number("9007199254740993")}})
			def, _ := a.get(source).source()["definition"].(object)
			return yes(def["n"] == json.Number("9007199254740993"), "they do", "they do not")
		}},
		{ID: "sources.put-keeps", Section: "Conversations", Fact: "A new definition leaves hooks and access rules as they are.", Known: Inferred, Expect: "kept", ask: func(a *asker) string {
			source := a.source("kept", object{"definition": object{}, "accessRules": everybody(), "hooks": []any{emailHook("kept")}})
			a.put(source, object{"definition": object{"a": 1}})
			s := a.get(source).source()
			rules, _ := s["accessRules"].([]any)
			hooks, _ := s["hooks"].([]any)
			return yes(len(rules) == 1 && len(hooks) == 1, "kept", "lost")
		}},
		{ID: "sources.put-hooks", Section: signs, Fact: "PUT with hooks replaces all hooks of a data source.", Known: Open, Expect: "replaced", ask: func(a *asker) string {
			source := a.source("hooks", object{"hooks": []any{emailHook("one"), emailHook("two")}})
			a.put(source, object{"hooks": []any{emailHook("three")}})
			hooks, _ := a.get(source).source()["hooks"].([]any)
			switch text, _ := json.Marshal(hooks); { //nolint:errchkjson // it came as JSON
			case len(hooks) == 1 && strings.Contains(string(text), "three"):
				return "replaced"
			case len(hooks) == 3:
				return "added"
			}
			return "otherwise"
		}},
		{ID: "sources.columns", Section: sourcesAndRows, Fact: "New columns of rows are added to those of the data source.", Known: Documented, Expect: "added", Copes: []string{"not added"}, ask: func(a *asker) string {
			l := a.list()
			columns, _ := a.get(l.source).source()["columns"].([]any)
			return yes(slices.Contains(columns, any("Name")) && slices.Contains(columns, any("sub")), "added", "not added")
		}},
		{ID: "sources.with-rows", Section: sourcesAndRows, Fact: "entries fill a data source when it is made.", Known: Documented, Expect: "filled", Copes: []string{"empty"}, ask: func(a *asker) string {
			source := a.source("filled", object{"entries": []any{object{"Name": "a"}, object{"Name": "b"}}})
			return yes(len(a.query(source, object{}).entries()) == 2, "filled", "empty")
		}},
		{ID: "sources.guid", Section: sourcesAndRows, Fact: "The column that definition.guid names fills itself.", Known: Documented, Expect: "36 characters", Copes: []string{"otherwise"}, ask: func(a *asker) string {
			source := a.source("guids", object{"definition": object{"guid": "key"}})
			text, _ := data(a.read(source, a.insert(source, object{"Name": "a"})).entry())["key"].(string)
			return yes(len(text) == 36, "36 characters", "otherwise")
		}},
		{ID: "sources.no-rules", Section: sourcesAndRows, Fact: "A data source that is made without access rules has none, which is no restriction.", Known: Inferred, Expect: "none", Copes: []string{"a list"}, ask: func(a *asker) string {
			return yes(a.get(a.list().source).source()["accessRules"] == nil, "none", "a list")
		}},
		{ID: "sources.entries-count", Section: sourcesAndRows, Fact: "includeEntriesCount tells how many rows there are.", Known: Documented, Expect: "the number", Copes: []string{"none or another"}, ask: func(a *asker) string {
			l := a.list()
			_, ok := a.until(func() bool {
				return number(a.get(l.source, "includeEntriesCount", "true").source()["entriesCount"]) == int64(len(l.rows))
			})
			return yes(ok, "the number", "none or another")
		}},
	}
}

// emailHook is one that never runs: nothing has such a status.
func emailHook(name string) object {
	return object{"type": "operations", "runOn": []any{"insert"}, "conditions": []any{object{"status": name}}, "payload": object{"mark": []any{"trim"}}}
}

// moves reports whether the time of a conversation moves with a change of its rows.
func (a *asker) moves(t *talk, patience time.Duration, change func(*talk)) bool {
	before := when(a.get(t.foreign).source()["updatedAt"])
	a.pause(50 * time.Millisecond)
	change(t)
	_, ok := a.within(patience, func() bool { return when(a.get(t.foreign).source()["updatedAt"]).After(before) })
	return ok
}
