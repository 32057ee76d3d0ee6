package conform

import (
	"strconv"
	"strings"
)

func number64(n int64) string { return strconv.FormatInt(n, 10) }

// ruled is a data source with access rules, with one row.
func (a *asker) ruled(role string, rules ...any) (source, row int64) {
	a.needsAPI()
	if rules == nil {
		rules = []any{}
	}
	source = a.source(role, object{"accessRules": rules})
	row = fix(a, "row of "+role, func() int64 { return a.insert(source, object{"Name": "a", "secret": "s"}) })
	return source, row
}

func grant(verbs ...any) object {
	return object{"type": verbs, "allow": "all", "enabled": true}
}

func (a *asker) asAPI(method, path string, body any) *answer {
	return a.do(call{method: method, path: path, body: body, as: asAPI})
}

// refusal is how a refusal of access rules looks.
func refusal(said *answer) string {
	if said.ok() {
		return "allowed"
	}
	return said.said() + yes(said.object()["type"] == "datasource.access", ", datasource.access", "")
}

func rightsProbes() []Probe {
	return []Probe{
		{ID: "rights.api-user", Section: "People", Fact: "v1/user of an API token says appToken or integrationToken as its type.", Known: Seen, Expect: "it does", Copes: []string{"otherwise"}, ask: func(a *asker) string {
			a.needsAPI()
			who, _ := a.asAPI("GET", "/v1/user", nil).object()["user"].(object)
			return yes(who["type"] == "appToken" || who["type"] == "integrationToken", "it does", "otherwise")
		}},
		{ID: "rights.none", Section: "What counts as a refusal", Fact: "An empty list of access rules refuses an API token with 400 and datasource.access.", Known: Documented, Expect: "400, datasource.access", Copes: []string{"401, datasource.access", "403, datasource.access"}, ask: func(a *asker) string {
			source, _ := a.ruled("no rules")
			return refusal(a.asAPI("POST", path(source)+"/data/query", object{}))
		}},
		{ID: "rights.none-insert", Section: "What counts as a refusal", Fact: "A single insert that rules refuse is refused so, too.", Known: Documented, Expect: "400, datasource.access", Copes: []string{"401, datasource.access", "403, datasource.access"}, ask: func(a *asker) string {
			source, _ := a.ruled("no rules")
			return refusal(a.asAPI("PUT", path(source)+"/data", object{"Name": "b"}))
		}},
		{ID: "rights.payload", Section: "What counts as a refusal", Fact: "Such a refusal names the data source in payload.", Known: Documented, Expect: "it does", Copes: []string{"it does not"}, ask: func(a *asker) string {
			source, _ := a.ruled("no rules")
			payload, _ := a.asAPI("POST", path(source)+"/data/query", object{}).object()["payload"].(object)
			return yes(id(payload["dataSourceId"]) == source, "it does", "it does not")
		}},
		{ID: "rights.select", Section: "Conversations", Fact: "A rule for everybody lets an API token select.", Known: Documented, Expect: "allowed", ask: func(a *asker) string {
			source, _ := a.ruled("select and update", grant("select", "update"))
			return refusal(a.asAPI("POST", path(source)+"/data/query", object{}))
		}},
		{ID: "rights.update", Section: "Conversations", Fact: "A rule for everybody lets an API token update.", Known: Documented, Expect: "allowed", ask: func(a *asker) string {
			source, row := a.ruled("select and update", grant("select", "update"))
			return refusal(a.asAPI("PUT", rowPath(source, row), object{"Name": "b"}))
		}},
		{ID: "rights.delete", Section: "Conversations", Fact: "What no rule grants is refused: a deletion where select and update are granted.", Known: Documented, Expect: "400, datasource.access", Copes: []string{"401, datasource.access", "403, datasource.access"}, ask: func(a *asker) string {
			source, row := a.ruled("select and update", grant("select", "update"))
			return refusal(a.asAPI("DELETE", rowPath(source, row), nil))
		}},
		{ID: "rights.exclude", Section: otherFacts, Fact: "Columns that a rule excludes are not read.", Known: Documented, Expect: "not read", ask: func(a *asker) string {
			rule := grant("select")
			rule["exclude"] = []any{"secret"}
			source, row := a.ruled("exclude", rule)
			said := a.do(call{method: "GET", path: rowPath(source, row), as: asAPI})
			if !said.ok() {
				return said.said()
			}
			_, there := data(said.entry())["secret"]
			return yes(there, "read", "not read")
		}},
		{ID: "rights.api-creates", Section: "Conversations", Fact: "An API token may make a conversation.", Known: Open, Expect: "it may", ask: func(a *asker) string {
			return yes(a.madeByAPI() != 0, "it may", "it may not")
		}},
		{ID: "rights.api-changes", Section: "Conversations", Fact: "An API token may change the definition of a conversation.", Known: Open, Expect: "it may", ask: func(a *asker) string {
			a.needsAPI()
			t := a.talk()
			return yes(a.asAPI("PUT", path(t.foreign), object{"definition": object{"participants": []any{t.other, "third-" + a.id}, "group": object{"public": false}, "metadata": object{}}}).ok(), "it may", "it may not")
		}},
		{ID: "rights.api-deletes", Section: sourcesAndRows, Fact: "An API token may not delete a data source.", Known: Documented, Expect: "it may not", Copes: []string{"it may"}, ask: func(a *asker) string {
			a.needsAPI()
			source := a.source("to be deleted", object{"accessRules": everybody()})
			return yes(a.asAPI("DELETE", path(source), nil).ok(), "it may", "it may not")
		}},
		{ID: "rights.api-lists", Section: "Conversations", Fact: "An API token sees conversations in the list of data sources.", Known: Open, Expect: "it does", ask: func(a *asker) string {
			a.needsAPI()
			t := a.talk()
			said := a.do(call{method: "GET", path: "/v1/data-sources", query: a.inApp("type", "conversation", "attributes", "id"), as: asAPI})
			return yes(listing(said, t.talk) != nil, "it does", "it does not")
		}},
		{ID: "rights.api-across", Section: searching, Fact: "An API token may ask the query over all conversations.", Known: Open, Expect: "it may", ask: func(a *asker) string {
			a.needsAPI()
			a.crossing()
			return yes(a.asAPI("POST", "/v1/data-sources/data", object{"flUserToken": a.canary}).ok(), "it may", "it may not")
		}},
		{ID: "rights.api-log", Section: signs, Fact: "An API token may not read the audit log.", Known: Documented, Expect: "it may not", Copes: []string{"it may"}, ask: func(a *asker) string {
			a.needsAPI()
			organization := id(a.get(a.talk().talk).source()["organizationId"])
			if organization == 0 {
				a.skip("the data source does not say which organisation it is of")
			}
			return yes(a.asAPI("GET", "/v1/organizations/"+number64(organization)+"/logs", nil).ok(), "it may", "it may not")
		}},
	}
}

func (a *asker) madeByAPI() int64 {
	a.needsAPI()
	return fix(a, "made by the API token", func() int64 {
		made, _ := a.makeAs(asAPI, "of the API token", conversation("nobody-"+a.id))
		return made
	})
}

// pixel is a picture of one.
const pixel = "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89" +
	"\x00\x00\x00\rIDATx\x9cc\xf8\xcf\xc0\xf0\x1f\x00\x05\x00\x01\xff\x89\x99=\x1d\x00\x00\x00\x00IEND\xaeB`\x82"

func (a *asker) uploaded() *answer {
	return fix(a, "uploaded", func() *answer {
		said := a.upload(a.source("files", nil), "pixel.png", pixel, part{name: "n", content: "5"}, part{name: "list", content: `["a"]`})
		if !said.ok() {
			a.skip("a picture is refused: status %d", said.status)
		}
		return said
	})
}

// keyed is a file with a key of its own.
type keyed struct {
	said *answer
	file int64
}

func (a *asker) keyed() *keyed {
	return fix(a, "keyed", func() *keyed {
		k := &keyed{said: a.upload(a.source("files", nil), "keyed.png", pixel, part{name: "_flSchema", content: `{"file":{"encryptionKey":"` + a.canary + `"}}`})}
		list, _ := data(k.said.entry())["fileMediaFileId"].([]any)
		if len(list) == 0 {
			a.skip("a picture with a key is refused: status %d", k.said.status)
		}
		k.file = id(list[0])
		return k
	})
}

func fileProbes() []Probe {
	return []Probe{
		{ID: "files.url", Section: "Attachments", Fact: "A part file[] becomes a list of addresses in the column file.", Known: Documented, Expect: "a list", Copes: []string{"a text"}, ask: func(a *asker) string {
			switch v := data(a.uploaded().entry())["file"].(type) {
			case []any:
				return yes(len(v) == 1, "a list", "otherwise")
			case string:
				return "a text"
			}
			return "otherwise"
		}},
		{ID: "files.id", Section: "Attachments", Fact: "The id of the file is in a list, in the column fileMediaFileId.", Known: Documented, Expect: "a list", Copes: []string{"a number"}, ask: func(a *asker) string {
			switch v := data(a.uploaded().entry())["fileMediaFileId"].(type) {
			case []any:
				return yes(len(v) == 1 && id(v[0]) != 0, "a list", "otherwise")
			case nil:
				return "otherwise"
			}
			return "a number"
		}},
		{ID: "files.scalars", Section: "Messages", Fact: "Numbers in a form become texts.", Known: Documented, Expect: "texts", Copes: []string{"numbers"}, ask: func(a *asker) string {
			_, text := data(a.uploaded().entry())["n"].(string)
			return yes(text, "texts", "numbers")
		}},
		{ID: "files.lists", Section: "Messages", Fact: "A JSON list in a form becomes a list.", Known: Open, Expect: "a list", ask: func(a *asker) string {
			_, list := data(a.uploaded().entry())["list"].([]any)
			return yes(list, "a list", "a text")
		}},
		{ID: "files.contents", Section: "Attachments", Fact: "The content of a file comes back as it was sent.", Known: Documented, Expect: "as sent", Copes: []string{"otherwise"}, ask: func(a *asker) string {
			list, _ := data(a.uploaded().entry())["fileMediaFileId"].([]any)
			if len(list) == 0 {
				a.skip("the answer does not say which file it is")
			}
			said := a.do(call{method: "GET", path: "/v1/media/files/" + number64(id(list[0])) + "/contents"})
			return yes(string(said.raw) == pixel, "as sent", "otherwise")
		}},
		{ID: "files.forbidden", Section: "Attachments", Fact: "A program is refused with 422.", Known: Documented, Expect: "422", Copes: []string{"400"}, ask: func(a *asker) string {
			return a.upload(a.source("files", nil), "program.exe", strings.Repeat("MZ", 10)).said()
		}},
		{ID: "files.schema", Section: "Attachments", Fact: "_flSchema is not stored.", Known: Open, Expect: "not stored", ask: func(a *asker) string {
			_, stored := data(a.keyed().said.entry())["_flSchema"]
			return yes(stored, "stored", "not stored")
		}},
		{ID: "files.key", Section: "Attachments", Fact: "A file with a key is not had without it.", Known: Open, Expect: "refused", ask: func(a *asker) string {
			said := a.do(call{method: "GET", path: "/v1/media/files/" + number64(a.keyed().file) + "/contents"})
			return yes(said.ok() && string(said.raw) == pixel, "its content comes", "refused")
		}},
	}
}

func sizeProbes() []Probe {
	body := func(n int) func(*asker) string {
		return func(a *asker) string {
			source := a.source("sizes", nil)
			said := a.do(call{method: "PUT", path: path(source) + "/data", body: object{"body": strings.Repeat("x", n)}})
			if !said.ok() {
				return said.said()
			}
			text, _ := a.columns(source, id(said.entry()["id"]))["body"].(string)
			return yes(len(text) == n, "stored", "cut")
		}
	}
	return []Probe{
		{ID: "sizes.body-64k", Section: "Messages", Fact: "A message may have 64 KiB.", Known: Open, Expect: "stored", ask: body(64 << 10)},
		{ID: "sizes.body-1m", Section: "Messages", Fact: "A message may have 1 MiB.", Known: Open, Expect: "stored", ask: body(1 << 20)},
		{ID: "sizes.ids", Section: otherFacts, Fact: "A query may name 500 ids.", Known: Open, Expect: "200", ask: func(a *asker) string {
			l := a.list()
			list := []any{l.rows[0]}
			for len(list) < 500 {
				list = append(list, l.rows[1])
			}
			return a.query(l.source, object{"id": object{"$in": list}}).said()
		}},
		{ID: "sizes.columns", Section: sourcesAndRows, Fact: "A row may have 200 columns.", Known: Open, Expect: "stored", ask: func(a *asker) string {
			row := object{}
			for i := range 200 {
				row["column "+strconv.Itoa(i)] = "x"
			}
			source := a.source("sizes", nil)
			said := a.do(call{method: "PUT", path: path(source) + "/data", body: row})
			if !said.ok() {
				return said.said()
			}
			return yes(len(a.columns(source, id(said.entry()["id"]))) == 200, "stored", "cut")
		}},
	}
}
