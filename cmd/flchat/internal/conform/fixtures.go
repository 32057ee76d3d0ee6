package conform

import (
	"slices"
	"strconv"
	"time"
)

// fixture is what several probes ask about, or why there is none.
type fixture struct {
	value any
	why   string
}

// fix makes a fixture once.
func fix[T any](a *asker, name string, make func() T) T {
	f, ok := a.fixtures[name]
	if !ok {
		f = &fixture{}
		func() {
			defer func() {
				switch why := recover().(type) {
				case nil:
				case skipped:
					f.why = why.why
				default:
					panic(why)
				}
			}()
			f.value = make()
		}()
		a.fixtures[name] = f
	}
	if f.why != "" {
		a.skip("%s", f.why)
	}
	return f.value.(T)
}

// source makes a data source, and skips the probe when there is none.
func (a *asker) source(role string, fields object) int64 {
	return fix(a, "source "+role, func() int64 {
		made, answer := a.make(role, fields)
		if made == 0 {
			a.skip("no data source could be made for it: status %d", answer.status)
		}
		return made
	})
}

// insert inserts a row and returns its id.
func (a *asker) insert(source int64, row object) int64 {
	answer := a.do(call{method: "PUT", path: path(source) + "/data", body: row})
	made := id(answer.entry()["id"])
	if made == 0 {
		a.skip("no row could be inserted for it: status %d", answer.status)
	}
	return made
}

func rowPath(source, row int64) string { return path(source) + "/data/" + strconv.FormatInt(row, 10) }

// read reads a row; its status tells whether there is one.
func (a *asker) read(source, row int64) *answer {
	return a.do(call{method: "GET", path: rowPath(source, row)})
}

func (a *asker) remove(source, row int64) *answer {
	return a.do(call{method: "DELETE", path: rowPath(source, row)})
}

func (a *asker) query(source int64, body object) *answer {
	return a.do(call{method: "POST", path: path(source) + "/data/query", body: body})
}

func (a *asker) commit(source int64, body object) *answer {
	return a.do(call{method: "POST", path: path(source) + "/commit", body: body})
}

// tick lets the clock of the service move on, so that times of two writes differ.
func (a *asker) tick() { a.pause(20 * time.Millisecond) }

// list is a data source whose rows nobody changes.
type list struct {
	source int64
	rows   []int64
}

func (a *asker) list() *list {
	return fix(a, "list", func() *list {
		l := &list{source: a.source("list", nil)}
		for _, row := range []object{
			{"Name": "Alpha", "n": 1, "group": "a", "tags": []any{"x", "y"}, "sub": object{"k": 1, "l": 2}},
			{"Name": "beta", "n": "5", "group": "a"},
			{"Name": "Gamma", "n": 10, "group": "b", "none": nil},
			{"Name": "delta", "n": 2, "group": "b"},
		} {
			l.rows = append(l.rows, a.insert(l.source, row))
			a.tick()
		}
		return l
	})
}

// found says which rows of the list an answer has, as in "02"; x is for others. Order and
// repetitions are told apart by inOrder only.
func (l *list) found(answer *answer) string {
	out := ""
	for i, row := range l.rows {
		if contains(ids(answer.entries()), row) {
			out += strconv.Itoa(i)
		}
	}
	for _, n := range ids(answer.entries()) {
		if !contains(l.rows, n) {
			return out + "x"
		}
	}
	return out
}

func (l *list) inOrder(answer *answer) string {
	out := ""
	for _, n := range ids(answer.entries()) {
		for i, row := range l.rows {
			if row == n {
				out += strconv.Itoa(i)
			}
		}
	}
	return out
}

// talk is a chat of two people, as far as the service has to know.
type talk struct {
	contacts, talk, foreign     int64
	me, other                   string
	fromOther, fromMe, read     int64 // messages: unread, mine, and read
	unmarked, deleted, stranger int64 // without readers; deleted; of a conversation of others
}

func (t *talk) all() []int64 { return []int64{t.fromOther, t.fromMe, t.read, t.unmarked, t.deleted} }

func everybody() []any {
	return []any{object{"type": []any{"select", "insert", "update", "delete"}, "allow": "all", "enabled": true}}
}

func conversation(participants ...any) object {
	return object{
		"type": "conversation", "definition": object{"participants": participants, "group": object{"public": false}},
		"hooks": []any{}, "accessRules": everybody(), "bundle": false,
	}
}

func (a *asker) talk() *talk {
	return fix(a, "talk", func() *talk {
		t := &talk{me: "me-" + a.id, other: "other-" + a.id}
		t.contacts = a.source("contacts", nil)
		a.insert(t.contacts, object{"Email": "me@flchat.invalid", "flUserId": t.me, "flUserToken": a.canary})
		a.insert(t.contacts, object{"Email": "other@flchat.invalid", "flUserId": t.other})
		t.talk = a.source("conversation", conversation(t.me, t.other))
		t.foreign = a.source("conversation of others", conversation(t.other, "third-"+a.id))
		say := func(in int64, from string, readBy ...any) int64 {
			row := object{"body": "hello", "fromUserId": from, "conversationId": in, "guid": random()}
			if readBy != nil {
				row["readBy"] = readBy
			}
			made := a.insert(in, row)
			a.tick()
			return made
		}
		t.fromOther = say(t.talk, t.other, t.other)
		t.fromMe = say(t.talk, t.me, t.me)
		t.read = say(t.talk, t.other, t.other, t.me)
		t.unmarked = say(t.talk, t.other)
		t.deleted = say(t.talk, t.other, t.other)
		t.stranger = say(t.foreign, t.other, t.other)
		a.remove(t.talk, t.deleted)
		return t
	})
}

// across asks the query over all conversations.
func (a *asker) across(more object) *answer {
	body := object{"flUserToken": a.canary}
	for k, v := range more {
		body[k] = v
	}
	return a.do(call{method: "POST", path: "/v1/data-sources/data", body: body})
}

// crossing skips the probe when there is no such query.
func (a *asker) crossing() *talk {
	t := a.talk()
	fix(a, "crossing", func() bool {
		if first := a.across(nil); !first.ok() {
			a.skip("the query over all conversations is answered with status %d", first.status)
		}
		a.until(func() bool { // how late messages come is for another probe
			shown := ids(a.across(object{"limit": 200}).entries())
			return !slices.ContainsFunc(t.all()[:4], func(row int64) bool { return !contains(shown, row) }) && !contains(shown, t.deleted)
		})
		return true
	})
	return t
}

// needsAPI skips the probe without the token of the app.
func (a *asker) needsAPI() {
	if a.APIToken == "" {
		a.skip("it takes an API token of the app: give one with --api-token-file")
	}
}
