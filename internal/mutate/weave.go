package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
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

// insertion surrounds a piece of a file. Those of one file may be inside each other.
type insertion struct {
	span
	n             int
	before, after string
}

// insert makes some insertions.
func insert(source string, list []insertion) string {
	type end struct {
		insertion
		at, order, near int // near puts the inner one beside what it surrounds
		text            string
	}
	var ends []end
	for _, i := range list {
		ends = append(ends, end{i, i.from, 1, -i.to, i.before}, end{i, i.to, 0, -i.from, i.after})
	}
	slices.SortStableFunc(ends, func(a, b end) int {
		inner := cmp.Compare(a.n, b.n) // of two that surround the same, the first is the outer one
		if a.order == 0 {
			inner = -inner
		}
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.order, b.order), cmp.Compare(a.near, b.near), inner)
	})
	var out strings.Builder
	done := 0
	for _, e := range ends {
		out.WriteString(source[done:e.at] + e.text)
		done = e.at
	}
	return out.String() + source[done:]
}

// plain is the file with the mutant, without a switch.
func (s site) plain(source string) string { return source[:s.from] + s.text + source[s.to:] }

// probe tells only that the function of the mutant runs.
func (s site) probe(n int) insertion {
	return insertion{span{s.body, s.body}, n, fmt.Sprintf(" mutantOn(%d); ", n), ""}
}

// woven is the mutant with a switch, if it can have one.
func (s site) woven(n int, source string, c *checked) (insertion, bool) {
	was := strings.TrimRight(source[s.from:s.to], " \t,")
	if strings.Contains(was, "recover()") { // works in the function itself only
		return insertion{}, false
	}
	on := "mutantOn(" + strconv.Itoa(n) + ")"
	i := insertion{span: span{s.from, s.from + len(was)}, n: n}
	typ := c.typeAt(i.span)
	switch s.form {
	case expression:
		i.before, i.after = fmt.Sprintf("func() %s { if %s { return %s }; return ", typ, on, s.text), " }()"
	case statement:
		i.before, i.after = fmt.Sprintf("if !%s { ", on), " }"
	case result:
		i.before = fmt.Sprintf("if %s { %s }; ", on, s.text)
	case field:
		i.from += strings.Index(was, ":") + 1
		i.before, i.after = fmt.Sprintf(" func() (mutantZero %s) { if %s { return mutantZero }; return ", typ, on), " }()"
	}
	return i, typ != "" || s.form == statement || s.form == result
}

// mutant is a site that compiles, with what turns it on.
type mutant struct {
	site
	n        int
	switched insertion
	solo     bool // needs a program of its own; the insertion is a probe
	outcome  outcome
	took     time.Duration
}

// choose makes mutants of the first sites that compile, until there are enough.
func choose(c *checker, sites []site, enough int) (out []*mutant, invalid int, err error) {
	before := map[string]*checked{}
	for _, s := range sites {
		if len(out) == enough {
			break
		}
		raw, err := os.ReadFile(filepath.Join(c.root, filepath.FromSlash(s.File)))
		if err != nil {
			return nil, 0, err
		}
		source := string(raw)
		if before[s.File] == nil {
			if before[s.File], err = c.check(s.File, source); err != nil {
				return nil, 0, err
			}
		}
		if _, err := c.check(s.File, s.plain(source)); err != nil {
			invalid++
			continue
		}
		m := &mutant{site: s, n: len(out) + 1}
		i, ok := s.woven(m.n, source, before[s.File])
		if ok && s.form != statement && s.form != result { // which always may be surrounded
			_, err := c.check(s.File, insert(source, []insertion{i}))
			ok = err == nil
		}
		if m.switched = i; !ok {
			m.solo, m.switched = true, s.probe(m.n)
		}
		out = append(out, m)
	}
	return out, invalid, nil
}
