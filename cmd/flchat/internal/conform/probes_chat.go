package conform

import (
	"encoding/json"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

func conversationProbes() []Probe {
	return []Probe{
		{ID: "conversations.moves", Section: "Conversations", Fact: "updatedAt of a conversation moves with its messages: with a new one, an edit, a read mark and a deletion.", Known: Open, Expect: "insert, edit, mark, deletion", ask: func(a *asker) string {
			var moves []string
			patience := a.Patience
			for _, c := range []struct {
				name   string
				change func(t *talk)
			}{
				{"insert", func(t *talk) { a.insert(t.foreign, object{"body": "moves"}) }},
				{"edit", func(t *talk) { a.update(t.foreign, t.stranger, object{"body": "edited"}) }},
				{"mark", func(t *talk) { a.commit(t.foreign, mark(t.stranger, t.other, t.me)) }},
				{"deletion", func(t *talk) { a.remove(t.foreign, a.insert(t.foreign, object{"body": "to be deleted"})) }},
			} {
				if a.moves(a.talk(), patience, c.change) {
					moves = append(moves, c.name)
				} else {
					patience = a.Quiet
				}
			}
			return yes(moves == nil, "none", strings.Join(moves, ", "))
		}},
		{ID: "conversations.list-moves", Section: "Conversations", Fact: "The list of data sources shows that a conversation has changed.", Known: Open, Expect: "it does", ask: func(a *asker) string {
			t := a.talk()
			listed := func() object { return listing(a.listed("type", "conversation"), t.foreign) }
			a.room()
			before := when(listed()["updatedAt"])
			a.pause(50 * time.Millisecond)
			a.insert(t.foreign, object{"body": "moves"})
			took, ok := a.until(func() bool { return when(listed()["updatedAt"]).After(before) })
			if !ok {
				return "it does not"
			}
			a.measure(took.Milliseconds(), "ms late")
			return "it does"
		}},
		{ID: "conversations.fields", Section: "Conversations", Fact: "The list has the definition of a conversation, with its participants.", Known: Seen, Expect: "it has", ask: func(a *asker) string {
			t := a.talk()
			filter, _ := json.Marshal(object{"participants": []any{t.me}}) //nolint:errchkjson // a text
			def, _ := listing(a.listed("type", "conversation", "definition", string(filter), "attributes", "id,definition"), t.talk)["definition"].(object)
			return yes(reflect.DeepEqual(def["participants"], []any{t.me, t.other}), "it has", "it has not")
		}},
		{ID: "conversations.type", Section: "Conversations", Fact: "A conversation keeps its type.", Known: Documented, Expect: "it does", ask: func(a *asker) string {
			return yes(a.get(a.talk().talk).source()["type"] == "conversation", "it does", "it does not")
		}},
	}
}

// mark is a commit that sets who has read a message.
func mark(row int64, readers ...any) object {
	return object{"append": true, "extend": true, "returnEntries": false, "runHooks": []any{}, "entries": []any{set(row, object{"readBy": readers})}}
}

func messageProbes() []Probe {
	return []Probe{
		{ID: "messages.guid", Section: "Messages", Fact: "A message is found by its guid.", Known: Seen, Expect: "found", ask: func(a *asker) string {
			t := a.talk()
			guid := random()
			row := a.insert(t.talk, object{"body": "guid", "guid": guid, "fromUserId": t.me, "readBy": []any{t.me, t.other}})
			found := false
			took, _ := a.until(func() bool {
				found = contains(ids(a.query(t.talk, object{"where": object{"guid": guid}}).entries()), row)
				return found
			})
			a.measure(took.Milliseconds(), "ms late")
			return yes(found, "found", "not found")
		}},
		{ID: "messages.guid-twice", Section: "Messages", Fact: "Two messages of one guid are two rows.", Known: Inferred, Expect: "two rows", Copes: []string{"one row"}, ask: func(a *asker) string {
			t := a.talk()
			row := object{"body": "twice", "guid": random(), "fromUserId": t.me, "readBy": []any{t.me, t.other}}
			first := a.insert(t.talk, row)
			return yes(a.insert(t.talk, row) != first, "two rows", "one row")
		}},
		{ID: "messages.user-token", Section: "People", Fact: "The flUserToken beside an insert is not stored.", Known: Inferred, Expect: "not stored", ask: func(a *asker) string {
			t := a.talk()
			said := a.do(call{method: "PUT", path: path(t.talk) + "/data", query: url.Values{"flUserToken": {a.canary}}, body: object{"body": "token", "fromUserId": t.me, "readBy": []any{t.me, t.other}}})
			row := id(said.entry()["id"])
			if row == 0 {
				return said.said()
			}
			_, stored := a.columns(t.talk, row)["flUserToken"]
			return yes(stored, "stored", "not stored")
		}},
		{ID: "messages.bad-user-token", Section: "People", Fact: "An insert with an flUserToken of nobody is 403.", Known: Open, Expect: "403", ask: func(a *asker) string {
			t := a.talk()
			return a.do(call{method: "PUT", path: path(t.talk) + "/data", query: url.Values{"flUserToken": {"nobody" + a.id}}, body: object{"body": "token", "fromUserId": t.me, "readBy": []any{t.me, t.other}}}).said()
		}},
		{ID: "messages.read-mark", Section: "Messages", Fact: "A read mark by a commit is stored as it was sent.", Known: Documented, Expect: "stored", ask: func(a *asker) string {
			t := a.talk()
			row := a.insert(t.foreign, object{"body": "mark", "readBy": []any{t.other}})
			a.commit(t.foreign, mark(row, t.other, t.me))
			return yes(reflect.DeepEqual(a.columns(t.foreign, row)["readBy"], []any{t.other, t.me}), "stored", "otherwise")
		}},
		{ID: "messages.login", Section: "People", Fact: "A contact is found by flUserToken, which is a column.", Known: Seen, Expect: "found", ask: func(a *asker) string {
			t := a.talk()
			return yes(len(a.query(t.contacts, object{"where": object{"flUserToken": a.canary}}).entries()) == 1, "found", "not found")
		}},
	}
}

const searching = "Searching all conversations at once"

// crossing is a probe of the query over all conversations whose answer is judged by what it shows.
func crossing(more func(*talk) object, judge func(*talk, *answer) string) func(*asker) string {
	return func(a *asker) string {
		t := a.crossing()
		said := a.across(more(t))
		if !said.ok() {
			return said.said()
		}
		return judge(t, said)
	}
}

// shows is a judge of which messages there are, whatever else is.
func shows(want, dont []int, phrase, other string) func(*talk, *answer) string {
	return func(t *talk, said *answer) string {
		there := ids(said.entries())
		for _, i := range want {
			if !contains(there, t.all()[i]) {
				return other
			}
		}
		for _, i := range dont {
			if contains(there, t.all()[i]) {
				return other
			}
		}
		return phrase
	}
}

func nothing(*talk) object { return nil }

// ordered is those of the talk's messages in an answer, in its order.
func (t *talk) ordered(said *answer) string {
	out := ""
	for _, n := range ids(said.entries()) {
		if digit := strconv.Itoa(slices.Index(t.all(), n)); slices.Contains(t.all(), n) && !strings.Contains(out, digit) {
			out += digit
		}
	}
	return out
}

// unique is how many rows an answer has.
func unique(said *answer) int {
	rows := map[int64]bool{}
	for _, n := range ids(said.entries()) {
		rows[n] = true
	}
	return len(rows)
}

// within asks for the four live messages of the talk.
func within(t *talk, more object) object {
	out := object{"where": object{"id": object{"$in": []any{t.fromOther, t.fromMe, t.read, t.unmarked}}}}
	for k, v := range more {
		out[k] = v
	}
	return out
}

func crossProbes() []Probe {
	oldest := []any{[]any{"createdAt", "ASC"}, []any{"id", "ASC"}}
	return []Probe{
		{ID: "across.there", Section: searching, Fact: "There is a query over all conversations of a person, by flUserToken.", Known: Seen, Expect: "200", Copes: []string{"400", "403", "404", "405"}, ask: func(a *asker) string {
			a.talk()
			return a.across(nil).said()
		}},
		{ID: "across.entries", Section: searching, Fact: "It answers with entries.", Known: Seen, Expect: "entries", Copes: []string{"a bare list"}, ask: crossing(nothing, func(_ *talk, said *answer) string {
			if _, bare := said.body.([]any); bare {
				return "a bare list"
			}
			return yes(len(said.entries()) > 0, "entries", "something else")
		})},
		{ID: "across.members", Section: searching, Fact: "It has the messages of the person's conversations.", Known: Inferred, Expect: "it has", ask: crossing(nothing, shows([]int{0, 1, 2, 3}, nil, "it has", "it lacks some"))},
		{ID: "across.only-members", Section: searching, Fact: "It has no messages of other people's conversations.", Known: Inferred, Expect: "none", Copes: []string{"some"}, ask: crossing(nothing, func(t *talk, said *answer) string {
			return yes(contains(ids(said.entries()), t.stranger), "some", "none")
		})},
		{ID: "across.source-id", Section: searching, Fact: "Each row says which conversation it is of.", Known: Seen, Expect: "it does", Copes: []string{"it does not"}, ask: crossing(nothing, func(t *talk, said *answer) string {
			for _, row := range said.entries() {
				if contains(t.all(), id(row["id"])) && id(row["dataSourceId"]) != t.talk {
					return "it does not"
				}
			}
			return "it does"
		})},
		{ID: "across.deleted-at", Section: searching, Fact: "Live rows have deletedAt: null.", Known: Seen, Expect: "null", Copes: []string{"absent"}, ask: crossing(nothing, func(t *talk, said *answer) string {
			for _, row := range said.entries() {
				if _, there := row["deletedAt"]; id(row["id"]) == t.fromMe && !there {
					return "absent"
				}
			}
			return "null"
		})},
		{ID: "across.no-deleted", Section: searching, Fact: "Deleted rows are left out unless they are asked for.", Known: Inferred, Expect: "left out", Copes: []string{"there"}, ask: crossing(nothing, shows(nil, []int{4}, "left out", "there"))},
		{ID: "across.include-deleted", Section: searching, Fact: "includeDeleted: true asks for deleted rows.", Known: Open, Expect: "they come", ask: crossing(func(*talk) object { return object{"includeDeleted": true} }, func(t *talk, said *answer) string {
			for _, row := range said.entries() {
				if id(row["id"]) == t.deleted {
					return yes(row["deletedAt"] != nil, "they come", "they come without a time")
				}
			}
			return "they do not come"
		})},
		{ID: "across.deleted-data", Section: searching, Fact: "Deleted rows come without their columns.", Known: Open, Expect: "without", ask: crossing(func(*talk) object { return object{"includeDeleted": true} }, func(t *talk, said *answer) string {
			for _, row := range said.entries() {
				if id(row["id"]) == t.deleted {
					return yes(len(data(row)) == 0, "without", "with")
				}
			}
			return "without" // what does not come is told by another probe
		})},
		{ID: "across.bad-token", Section: searching, Fact: "A token of nobody is 403.", Known: Seen, Expect: "403", ask: func(a *asker) string {
			a.crossing()
			return a.do(call{method: "POST", path: "/v1/data-sources/data", body: object{"flUserToken": "nobody" + a.id}}).said()
		}},
		{ID: "across.no-token", Section: searching, Fact: "Without a token it is refused.", Known: Open, Expect: "400", ask: func(a *asker) string {
			a.crossing()
			return a.do(call{method: "POST", path: "/v1/data-sources/data", body: object{}}).said()
		}},
		{ID: "across.count", Section: searching, Fact: "count: true answers with a number in entries and in count.", Known: Open, Expect: "in both", ask: crossing(func(*talk) object { return object{"count": true} }, func(_ *talk, said *answer) string {
			count, entries := number(said.object()["count"]) >= 0, number(said.object()["entries"]) >= 0
			switch {
			case count && entries:
				return "in both"
			case count:
				return "in count"
			case entries:
				return "in entries"
			}
			return yes(len(said.entries()) > 0, "the rows", "otherwise")
		})},
		{ID: "across.unread", Section: searching, Fact: "$not and $contains over readBy find what is unread.", Known: Seen, Expect: "what is unread", ask: crossing(
			func(t *talk) object {
				return object{"where": object{"$not": object{"data": object{"$contains": object{"readBy": []any{t.me}}}}}}
			}, shows([]int{0, 3}, []int{1, 2}, "what is unread", "otherwise"))},
		{ID: "across.contains", Section: searching, Fact: "$contains over data is containment.", Known: Inferred, Expect: "containment", ask: crossing(
			func(t *talk) object {
				return object{"where": object{"data": object{"$contains": object{"fromUserId": t.me}}}}
			}, shows([]int{1}, []int{0, 2, 3}, "containment", "otherwise"))},
		{ID: "across.contains-types", Section: searching, Fact: "$contains heeds types: a number is no text.", Known: Inferred, Expect: "it does", Copes: []string{"it does not"}, ask: crossing(
			func(t *talk) object {
				return object{"where": object{"data": object{"$contains": object{"conversationId": strconv.FormatInt(t.talk, 10)}}}}
			}, shows(nil, []int{0, 1, 2, 3}, "it does", "it does not"))},
		{ID: "across.scope", Section: searching, Fact: "where.dataSourceId.$in leaves the rows of these conversations.", Known: Open, Expect: "these", ask: crossing(
			func(t *talk) object {
				return object{"where": object{"dataSourceId": object{"$in": []any{t.foreign}}}}
			}, shows(nil, []int{0, 1, 2, 3}, "these", "others, too"))},
		{ID: "across.scope-body", Section: searching, Fact: "dataSourceIds beside where does the same.", Known: Open, Expect: "these", ask: crossing(
			func(t *talk) object { return object{"dataSourceIds": []any{t.foreign}} }, shows(nil, []int{0, 1, 2, 3}, "these", "others, too"))},
		{ID: "across.order", Section: searching, Fact: "order sorts.", Known: Inferred, Expect: "it sorts", Copes: []string{"it does not"}, ask: crossing(
			func(t *talk) object { return within(t, object{"order": oldest}) }, func(t *talk, said *answer) string {
				return yes(t.ordered(said) == "0123", "it sorts", "it does not")
			})},
		{ID: "across.limit", Section: searching, Fact: "limit leaves that many rows.", Known: Inferred, Expect: "it does", Copes: []string{"it does not"}, ask: crossing(
			func(t *talk) object { return within(t, object{"limit": 2}) }, func(_ *talk, said *answer) string {
				return yes(unique(said) == 2, "it does", "it does not")
			})},
		{ID: "across.offset", Section: searching, Fact: "offset leaves rows out.", Known: Inferred, Expect: "it does", Copes: []string{"it does not"}, ask: crossing(
			func(t *talk) object { return within(t, object{"offset": 3}) }, func(_ *talk, said *answer) string {
				return yes(unique(said) == 1, "it does", "it does not")
			})},
		{ID: "across.page", Section: searching, Fact: "A page begins behind a time and an id, by $or of two conditions.", Known: Inferred, Expect: "it does", ask: func(a *asker) string {
			t := a.crossing()
			at := a.read(t.talk, t.fromMe).entry()["updatedAt"]
			said := a.across(object{"order": []any{[]any{"updatedAt", "ASC"}, []any{"id", "ASC"}}, "where": object{"$or": []any{
				object{"updatedAt": object{"$gt": at}}, object{"updatedAt": at, "id": object{"$gt": t.fromMe}},
			}}})
			if !said.ok() {
				return said.said()
			}
			return shows([]int{2, 3}, []int{0, 1}, "it does", "it does not")(t, said)
		}},
		{ID: "across.once", Section: searching, Fact: "No row comes twice.", Known: Inferred, Expect: "once", Copes: []string{"twice"}, ask: crossing(nothing, func(_ *talk, said *answer) string {
			return yes(unique(said) == len(said.entries()), "once", "twice")
		})},
		{ID: "across.default-limit", Section: searching, Fact: "Without limit there are 200 rows at most.", Known: Open, Expect: "200", ask: func(a *asker) string {
			a.crossing()
			a.whole()
			many := a.many()
			n := 0
			a.until(func() bool {
				n = unique(a.across(nil))
				return n >= 200
			})
			a.do(call{method: "DELETE", path: path(many)}) // the answers to other probes have room again
			switch {
			case n == 200:
				return "200"
			case n >= 250:
				return "more"
			}
			return "fewer"
		}},
	}
}
