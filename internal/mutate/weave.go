package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Every program would have to be compiled and linked anew for every mutant, which takes ten
// times as long as its tests. Therefore all mutants are woven into one program, in which an
// environment variable turns one of them on. The same program tells which of them a test
// reaches: only those tests can notice it.
const (
	chosenEnv  = "FLIPLET_CHAT_MUTANT"  // number of the mutant that is on
	reachedEnv = "FLIPLET_CHAT_REACHED" // file for the numbers of those that are reached
)

// runtimeName is the file that is added to each package with mutants.
const runtimeName = "mutant_woven.go"

// runtimeOf is its text. The first use of a mutant writes its number into the file of
// reachedEnv.
func runtimeOf(pkg string) string {
	return `package ` + pkg + `

import (
	mutantOS "os"
	mutantConv "strconv"
	mutantAtomic "sync/atomic"
)

var (
	mutantChosen, _ = mutantConv.Atoi(mutantOS.Getenv("` + chosenEnv + `"))
	mutantReached   = mutantOS.Getenv("` + reachedEnv + `")
	mutantSeen      [10000]mutantAtomic.Bool
)

func mutantOn(n int) bool {
	if mutantReached != "" && !mutantSeen[n].Swap(true) {
		f, err := mutantOS.OpenFile(mutantReached, mutantOS.O_APPEND|mutantOS.O_CREATE|mutantOS.O_WRONLY, 0o600)
		if err != nil {
			panic(err)
		}
		f.WriteString(mutantConv.Itoa(n) + "\n")
		f.Close()
	}
	return n == mutantChosen
}
`
}

// edit is another text for a piece of a file.
type edit struct {
	span
	text string
}

// apply makes edits that do not overlap.
func apply(source string, edits ...edit) string {
	edits = slices.SortedFunc(slices.Values(edits), func(a, b edit) int { return b.from - a.from })
	for _, e := range edits {
		source = source[:e.from] + e.text + source[e.to:]
	}
	return source
}

// plain is the mutant without a switch.
func (s site) plain() edit { return edit{span{s.from, s.to}, s.text} }

// probe tells only that the function of the mutant runs.
func (s site) probe(n int) edit { return edit{span{s.body, s.body}, fmt.Sprintf(" mutantOn(%d); ", n)} }

// woven is the mutant with a switch, if it can have one.
func (s site) woven(n int, source string, c *checked) (edit, bool) {
	was := strings.TrimRight(source[s.from:s.to], " \t,")
	if strings.Contains(was, "recover()") { // works in the function itself only
		return edit{}, false
	}
	on := "mutantOn(" + strconv.Itoa(n) + ")"
	e := edit{span: span{s.from, s.from + len(was)}}
	typ := c.typeAt(e.span)
	switch s.form {
	case expression:
		e.text = fmt.Sprintf("func() %s { if %s { return %s }; return %s }()", typ, on, s.text, was)
	case statement:
		e.text = fmt.Sprintf("if !%s { %s }", on, was)
	case result:
		e.text = fmt.Sprintf("if %s { %s }; %s", on, s.text, was)
	case field:
		key, value, _ := strings.Cut(was, ":")
		e.text = fmt.Sprintf("%s: func() (mutantZero %s) { if %s { return mutantZero }; return %s }()", key, typ, on, value)
	}
	return e, typ != "" || s.form == statement || s.form == result
}

// mutant is a site that compiles, with what turns it on.
type mutant struct {
	site
	n    int
	edit edit
	solo bool // needs a program of its own; the edit is a probe
}

// choose makes mutants of the first sites that compile, until there are enough.
func choose(c *checker, sites []site, enough int) (out []*mutant, invalid int, err error) {
	edits := map[string][]edit{}
	for _, s := range sites {
		if len(out) == enough {
			break
		}
		raw, err := os.ReadFile(filepath.Join(c.root, filepath.FromSlash(s.File)))
		if err != nil {
			return nil, 0, err
		}
		source := string(raw)
		before, err := c.check(s.File, source)
		if err != nil {
			return nil, 0, err
		}
		if _, err := c.check(s.File, apply(source, s.plain())); err != nil {
			invalid++
			continue
		}
		m := &mutant{site: s, n: len(out) + 1}
		e, ok := s.woven(m.n, source, before)
		ok = ok && !slices.ContainsFunc(edits[s.File], func(o edit) bool { return o.from < e.to && e.from < o.to })
		if ok {
			_, err := c.check(s.File, apply(source, e))
			ok = err == nil
		}
		if m.edit = e; !ok {
			m.solo, m.edit = true, s.probe(m.n)
		}
		edits[s.File] = append(edits[s.File], m.edit)
		out = append(out, m)
	}
	return out, invalid, nil
}
