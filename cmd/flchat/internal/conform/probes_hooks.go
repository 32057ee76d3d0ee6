package conform

import (
	"strings"
	"time"
)

// hooked is a data source with web hooks that reach the run.
type hooked struct {
	source int64
	secret string // a segment of the address
}

func (a *asker) hooked() *hooked {
	return fix(a, "hooked", func() *hooked {
		if a.HookURL == "" || a.Ear == nil {
			a.skip("it takes an address at which web hooks reach this program: give it with --hook-url and --hook-listen")
		}
		h := &hooked{secret: "hook-" + a.id}
		hook := func(on, path string) object {
			return object{"type": "web", "runOn": []any{on}, "conditions": []any{}, "payload": object{
				"method": "POST", "endpoint": strings.TrimSuffix(a.HookURL, "/") + "/" + h.secret + path,
				"headers": object{"Content-Type": "application/json", "X-Conform": "{{{key}}}"},
				"body":    object{"key": "{{{key}}}", "escaped": "{{text}}", "raw": "{{{text}}}", "id": "{{id}}", "source": "{{dataSourceId}}", "created": "{{createdAt}}"},
			}}
		}
		made, answer := a.make("web hooks", object{"accessRules": everybody(), "hooks": []any{hook("insert", "/insert"), hook("update", "/update")}})
		if made == 0 {
			a.skip("a data source with web hooks is refused: status %d", answer.status)
		}
		h.source = made
		return h
	})
}

// ringing is who writes so that hooks run: a change by a user of Studio may run none.
func (a *asker) ringing() credential {
	if a.APIToken != "" {
		return asAPI
	}
	return asUser
}

// write inserts a row and returns its key.
func (h *hooked) write(a *asker, as credential) (key string, row int64) {
	key = random()
	said := a.do(call{method: "PUT", path: path(h.source) + "/data", body: object{"key": key, "text": "<b>"}, as: as})
	if row = id(said.entry()["id"]); row == 0 {
		a.skip("no row could be inserted for it: status %d", said.status)
	}
	return key, row
}

// rang waits for a request of a hook about a key.
func (h *hooked) rang(a *asker, path, key string, patience time.Duration) (*ring, time.Duration) {
	began := time.Now()
	for {
		heard := a.Ear.heard(func(r *ring) bool {
			return strings.HasSuffix(r.path, "/"+h.secret+path) && strings.Contains(r.raw, key)
		})
		if heard != nil {
			return heard, heard.at.Sub(began)
		}
		if time.Since(began) >= patience {
			return nil, 0
		}
		a.pause(min(50*time.Millisecond, patience))
	}
}

// first is the request for one insert.
func (a *asker) first() *ring {
	return fix(a, "first ring", func() *ring {
		h := a.hooked()
		key, _ := h.write(a, a.ringing())
		heard, _ := h.rang(a, "/insert", key, a.Patience)
		if heard == nil {
			a.skip("no web hook rang")
		}
		return heard
	})
}

func hookProbes() []Probe {
	value := func(name string, judge func(string) string) func(*asker) string {
		return func(a *asker) string {
			body, _ := a.first().body.(object)
			text, _ := body[name].(string)
			return judge(text)
		}
	}
	filled := func(text string) string { return yes(text == "", "empty", "filled in") }
	return []Probe{
		{ID: "hooks.insert", Section: signs, Fact: "A web hook rings for an insert.", Known: Documented, Expect: "it rings", ask: func(a *asker) string {
			h := a.hooked()
			key, _ := h.write(a, a.ringing())
			heard, took := h.rang(a, "/insert", key, a.Patience)
			if heard == nil {
				return "it does not ring"
			}
			a.measure(max(0, took.Milliseconds()), "ms late")
			return "it rings"
		}},
		{ID: "hooks.late", Section: signs, Fact: "It rings within 5 s.", Known: Open, Expect: "within 5 s", ask: func(a *asker) string {
			h := a.hooked()
			key, _ := h.write(a, a.ringing())
			heard, took := h.rang(a, "/insert", key, a.Patience)
			if heard == nil {
				a.skip("no web hook rang")
			}
			return a.visibleIn(max(0, took), true)
		}},
		{ID: "hooks.update", Section: signs, Fact: "A web hook rings for an update.", Known: Documented, Expect: "it rings", ask: func(a *asker) string {
			h := a.hooked()
			key, row := h.write(a, a.ringing())
			if heard, _ := h.rang(a, "/insert", key, a.Patience); heard == nil {
				a.skip("no web hook rang")
			}
			a.do(call{method: "PUT", path: rowPath(h.source, row), body: object{"text": "changed"}, as: a.ringing()})
			heard, _ := h.rang(a, "/update", key, a.Patience)
			return yes(heard != nil, "it rings", "it does not ring")
		}},
		{ID: "hooks.commit", Section: signs, Fact: "A commit rings only if runHooks asks for it.", Known: Documented, Expect: "only if asked", Copes: []string{"always"}, ask: func(a *asker) string {
			h, key := a.hooked(), random()
			row := object{"data": object{"key": key, "text": "x"}}
			a.do(call{method: "POST", path: path(h.source) + "/commit", body: object{"append": true, "returnEntries": false, "entries": []any{row}}, as: a.ringing()})
			heard, _ := h.rang(a, "/insert", key, a.Quiet)
			return yes(heard == nil, "only if asked", "always")
		}},
		{ID: "hooks.delete", Section: signs, Fact: "No web hook rings for a deletion.", Known: Documented, Expect: "none", Copes: []string{"one"}, ask: func(a *asker) string {
			h := a.hooked()
			key, row := h.write(a, a.ringing())
			h.rang(a, "/insert", key, a.Patience)
			a.do(call{method: "DELETE", path: rowPath(h.source, row), as: a.ringing()})
			heard, _ := h.rang(a, "/update", key, a.Quiet)
			return yes(heard == nil, "none", "one")
		}},
		{ID: "hooks.studio", Section: signs, Fact: "An insert with the token of a user of Studio rings none.", Known: Open, Expect: "none", ask: func(a *asker) string {
			h := a.hooked()
			key, _ := h.write(a, asUser)
			heard, _ := h.rang(a, "/insert", key, a.Quiet)
			return yes(heard == nil, "none", "one")
		}},
		{ID: "hooks.column", Section: signs, Fact: "{{{column}}} is filled in, in the body.", Known: Documented, Expect: "filled in", ask: value("key", filled)},
		{ID: "hooks.header", Section: signs, Fact: "{{{column}}} is filled in, in a header.", Known: Documented, Expect: "filled in", ask: func(a *asker) string {
			return filled(a.first().header.Get("X-Conform"))
		}},
		{ID: "hooks.escaped", Section: signs, Fact: "{{column}} is escaped as HTML.", Known: Documented, Expect: "escaped", Copes: []string{"as it is"}, ask: value("escaped", func(text string) string {
			return yes(text == "<b>", "as it is", "escaped")
		})},
		{ID: "hooks.raw", Section: signs, Fact: "{{{column}}} is not escaped.", Known: Documented, Expect: "as it is", Copes: []string{"escaped"}, ask: value("raw", func(text string) string {
			return yes(text == "<b>", "as it is", "escaped")
		})},
		{ID: "hooks.id", Section: signs, Fact: "{{id}} and {{dataSourceId}} of the row are empty.", Known: Open, Expect: "empty", ask: func(a *asker) string {
			body, _ := a.first().body.(object)
			return yes(body["id"] == "" && body["source"] == "", "empty", "filled in")
		}},
		{ID: "hooks.created", Section: signs, Fact: "{{createdAt}} of the row is empty.", Known: Open, Expect: "empty", ask: value("created", filled)},
		{ID: "hooks.json", Section: signs, Fact: "A body that is an object is sent as JSON.", Known: Documented, Expect: "JSON", ask: func(a *asker) string {
			_, is := a.first().body.(object)
			return yes(is, "JSON", "something else")
		}},
		{ID: "hooks.signature", Section: signs, Fact: "Requests of web hooks have no signature.", Known: Open, Expect: "none", ask: func(a *asker) string {
			for name := range a.first().header {
				if lower := strings.ToLower(name); strings.Contains(lower, "signature") || strings.Contains(lower, "hmac") {
					return "one"
				}
			}
			return "none"
		}},
		{ID: "hooks.once", Section: signs, Fact: "A web hook rings once for a change.", Known: Inferred, Expect: "once", Copes: []string{"again"}, ask: func(a *asker) string {
			h := a.hooked()
			key, _ := h.write(a, a.ringing())
			first, _ := h.rang(a, "/insert", key, a.Patience)
			if first == nil {
				a.skip("no web hook rang")
			}
			a.pause(a.Quiet)
			n := 0
			a.Ear.heard(func(r *ring) bool {
				if strings.HasSuffix(r.path, "/"+h.secret+"/insert") && strings.Contains(r.raw, key) {
					n++
				}
				return false
			})
			return yes(n == 1, "once", "again")
		}},
	}
}
