package conform

// pageRows is how many rows the SDK asks for at once.
const pageRows = 200

// manyRows are more than a page.
const manyRows = 250

// many is a conversation with that many messages.
func (a *asker) many() int64 {
	return fix(a, "many", func() int64 {
		many := a.source("conversation of many", conversation(a.talk().me))
		rows := make([]any, manyRows)
		for i := range rows {
			rows[i] = object{"body": "many", "readBy": []any{a.talk().me}}
		}
		if said := a.append(many, rows...); !said.ok() {
			a.skip("no rows could be imported for it: status %d", said.status)
		}
		return many
	})
}

// cap is how many rows came at most where more were asked for; 0 if all came.
func (a *asker) cap() int {
	return fix(a, "cap", func() int {
		many := a.many()
		asks := []struct {
			want int
			ask  func() *answer
		}{
			{pageRows, func() *answer { return a.query(many, object{"limit": pageRows}) }},
			{manyRows, func() *answer { return a.query(many, object{}) }},
			{manyRows, func() *answer { return a.do(call{method: "GET", path: path(many) + "/data"}) }},
			{pageRows, func() *answer { return a.across(object{"limit": pageRows}) }},
		}
		found := 0
		for _, x := range asks {
			n := 0
			refused := false      // other probes tell
			a.until(func() bool { // rows may come late
				said := x.ask()
				n, refused = unique(said), !said.ok()
				return refused || n >= x.want
			})
			if !refused && n < x.want && (found == 0 || n < found) {
				found = max(n, 1)
			}
		}
		if found > 0 {
			a.do(call{method: "DELETE", path: path(many)}) // the answers to other probes need the room
		}
		return found
	})
}

// whole skips a probe of larger answers where not even a page is whole, which a probe of its own tells.
func (a *asker) whole() {
	if a.cap() > 0 {
		a.skip("answers have fewer rows than are asked for; see sizes.whole")
	}
}

// imported is a data source, and the answer to an import of rows into it.
type imported struct {
	source int64
	said   *answer
}

func (a *asker) imported(role string, n int) *imported {
	return fix(a, role, func() *imported {
		rows := make([]any, n)
		for i := range rows {
			rows[i] = object{"n": i}
		}
		source := a.source(role, nil)
		return &imported{source, a.append(source, rows...)}
	})
}

func pageProbes() []Probe {
	return []Probe{
		{ID: "sizes.import", Section: sourcesAndRows, Fact: "An import may have 1,000 rows.", Known: Open, Expect: "stored", ask: func(a *asker) string {
			said := a.imported("import", 1000).said
			return yes(said.ok(), "stored", said.said())
		}},
		{ID: "sizes.whole", Section: "Polling", Fact: "An answer has as many rows as were asked for, 200 or all. Of one that has fewer and may have been cut the rest is asked for.", Known: Inferred, Expect: "it does", Copes: []string{"fewer come, which costs requests"}, ask: func(a *asker) string {
			found := a.cap()
			if found > 0 {
				a.measure(int64(found), "rows")
			}
			return yes(found == 0, "it does", "fewer come, which costs requests")
		}},
		{ID: "sizes.page", Section: "Polling", Fact: "A page may have 1,000 rows.", Known: Open, Expect: "1000", ask: func(a *asker) string {
			a.whole()
			said := a.query(a.imported("import", 1000).source, object{"limit": 1000, "attributes": []any{"n"}})
			return yes(unique(said) == 1000, "1000", "fewer")
		}},
		{ID: "sizes.all", Section: sourcesAndRows, Fact: "A query without limit has all rows, 2,000 of them: contacts are read so.", Known: Documented, Expect: "all", ask: func(a *asker) string {
			a.whole()
			all := a.imported("import of all", 2000)
			if !all.said.ok() {
				a.skip("no rows could be imported for it: status %d", all.said.status)
			}
			n := 0
			a.until(func() bool {
				n = unique(a.query(all.source, object{"attributes": []any{"n"}}))
				return n == 2000
			})
			a.measure(int64(n), "rows")
			return yes(n == 2000, "all", "fewer")
		}},
	}
}
