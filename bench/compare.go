package main

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
)

// What a check has to know before it compares: whether the page can be read, whether
// everything was measured, and whether both are about the same contenders.

// readable is what a cell may hold: a number, with its quartiles in brackets, or one of the
// words of the scoreboard.
var readable = regexp.MustCompile(`^(\d[\d,]*(\.\d+)?( \(\d+\.\d+–\d+\.\d+\))?|has one|not within \d[\d,]*)$`)

// unreadable are the rows of the page's tables that do not hold what a table of a result holds.
func unreadable(page string) []string {
	titles := map[string]bool{}
	for _, w := range works(false) {
		titles[w.Title] = true
	}
	for _, sc := range scenarios() {
		titles[sc.Title] = true
	}
	var out, seen []string
	table, columns := "", 0
	for line := range strings.Lines(page) {
		line = strings.TrimSpace(line)
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		switch {
		case line == "":
			table = ""
		case table == "" && titles[cells[0]]:
			table, columns, seen = cells[0], len(cells), nil
		case table == "" || strings.Trim(line, "|-") == "":
		case len(cells) != columns || !strings.HasPrefix(line, "|") || !strings.HasSuffix(line, "|"):
			out = append(out, fmt.Sprintf("%s: the page has a row with %d cells, not a whole one with %d: %s", table, len(cells), columns, line))
		case slices.Contains(seen, cells[0]):
			out = append(out, fmt.Sprintf("%s: the page has %s twice", table, cells[0]))
		default:
			seen = append(seen, cells[0])
			for _, c := range cells[1:] {
				if !readable.MatchString(c) {
					out = append(out, fmt.Sprintf("%s: the page has %q for %s, which is no number", table, c, cells[0]))
				}
			}
		}
	}
	return out
}

// unmeasured are the works and scenarios that were wanted, and of which a result has nothing.
func (r Result) unmeasured(wanted func(name string) bool) []string {
	var out []string
	for _, name := range allNames() {
		table := slices.ContainsFunc(r.Tables, func(t Table) bool { return t.Name == name && len(t.Rows) > 0 })
		score := slices.ContainsFunc(r.Scores, func(s Score) bool { return s.Name == name && len(s.Rows) > 0 })
		if wanted(name) && !table && !score {
			out = append(out, "nothing was measured of "+name)
		}
	}
	return out
}

// unsaid is what a result has, and the page has not, so that it could not be compared.
func (r Result) unsaid(page string) []string {
	var out []string
	compare := func(table string, columns, names []string) {
		has := map[string]bool{} // not in every column: some cells are words
		for _, column := range columns {
			said := claims(page, table, column)
			if len(said) == 0 {
				out = append(out, fmt.Sprintf("the page does not have what was to be compared: %s, %s", table, column))
			}
			for _, c := range said {
				has[c.name] = true
			}
		}
		for _, name := range names {
			if len(has) > 0 && !has[name] {
				out = append(out, fmt.Sprintf("%s: this run has %s, and the page has not", table, name))
			}
		}
	}
	for _, t := range r.Tables {
		var names []string
		for _, row := range t.Rows {
			names = append(names, row.Name)
		}
		compare(t.Title, []string{cpuColumn, allocsColumn}, names)
	}
	for _, sc := range scenarios() {
		for _, s := range r.Scores {
			if s.Name != sc.Name {
				continue
			}
			var names, columns []string
			for _, row := range s.Rows {
				names = append(names, row.Name)
			}
			for _, col := range sc.columns {
				columns = append(columns, col.title)
			}
			compare(sc.Title, columns, names)
		}
	}
	return out
}

// allocations are those that are more than 15 % away from those of the page, either way: what
// else the machine does moves them by a few percent only. Those of a quick look have another
// share of what happens once, and are left out.
func (r Result) allocations(page string, out io.Writer) []string {
	var wrong []string
	for _, t := range r.Tables {
		if !strings.Contains(page, t.heading()) {
			text := fmt.Sprintf("%s: the page is not about %s messages, so allocations are not compared", t.Title, thousands(t.N))
			if fmt.Fprintln(out, text); !r.Quick {
				wrong = append(wrong, text)
			}
			continue
		}
		for _, said := range claims(page, t.Title, allocsColumn) {
			for _, row := range t.Rows {
				if row.Name == said.name && max(row.Allocs, said.value) > apart*min(row.Allocs, said.value) {
					wrong = append(wrong, fmt.Sprintf("%s: the page has %.1f allocations for %s; this run %.1f", t.Title, said.value, row.Name, row.Allocs))
				}
			}
		}
	}
	return wrong
}
