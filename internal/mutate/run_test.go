package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const subject = `package subject

import (
	"os"
	"time"
)

type pair struct {
	left  any
	wait  time.Duration
	count int64
}

func Twice(n int) int {
	if n < 1 {
		return 0
	}
	p := pair{left: nil, wait: 5, count: int64(n) + 1}
	p.count--
	return int(p.count) + int(p.wait) - 5 + n
}

func Ready() bool { return true }

func Careful(f func()) (ok bool) {
	defer func() { ok = recover() == nil }()
	f()
	return false
}

func Unseen(n *int) { *n = 1 }

func Wrong() bool { return Ready() && len(os.Args) < 0 }
`

const subjectTest = `package subject

import "testing"

func TestTwice(t *testing.T) {
	if Twice(4) != 8 || Twice(0) != 0 || Twice(1) != 2 {
		t.Error("wrong")
	}
}

func TestReady(t *testing.T) {
	if !Ready() {
		t.Error("wrong")
	}
}

func TestCareful(t *testing.T) {
	if Careful(func() { panic(1) }) || !Careful(func() {}) {
		t.Error("wrong")
	}
}

func TestWrong(t *testing.T) { _ = Wrong() }
`

// A small module takes the way of the whole one: every mutant that compiles is noticed by the
// test that checks it, or by none.
func TestMutantsOfEveryFormAreTriedInOneProgram(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for name, text := range map[string]string{"go.mod": "module example.com/m\n\ngo 1.26\n", "subject.go": subject, "subject_test.go": subjectTest} {
		require.NoError(t, os.WriteFile(filepath.Join(root, name), []byte(text), 0o600))
	}
	c, err := newChecker(t.Context(), root, []string{"."})
	require.NoError(t, err)
	sites, err := sitesOf(root, []string{"."})
	require.NoError(t, err)
	mutants, invalid, err := choose(c, sites, 100)
	require.NoError(t, err)
	assert.Zero(t, invalid)
	r := &round{checker: c, dir: t.TempDir(), limit: 1e10}
	require.NoError(t, r.prepare(t.Context(), mutants))
	got := map[string]string{}
	for _, m := range mutants {
		o, decided, err := r.try(t.Context(), m, false)
		require.NoError(t, err)
		require.True(t, decided)
		name := m.What
		if m.solo {
			name += ", alone"
		}
		got[name] = o.Fate + " " + o.By
	}
	assert.Equal(t, map[string]string{
		"in int(p.count) + int(p.wait) - 5 add 1 to 5":            "killed TestTwice",
		"in int64(n) + 1 add 1 to 1":                              "killed TestTwice",
		"in n < 1 add 1 to 1":                                     "killed TestTwice",
		"negate n < 1":                                            "killed TestTwice",
		"return false for return true":                            "killed TestReady",
		"return true for return false":                            "survived ", // a deferred function has the last word
		"use != in recover() == nil, alone":                       "killed TestCareful",
		"use <= in n < 1":                                         "killed TestTwice",
		"use || in Ready() && len(os.Args) < 0":                   "survived ",
		"use <= in len(os.Args) < 0":                              "survived ",
		"in len(os.Args) < 0 add 1 to 0":                          "survived ",
		"without *n = 1":                                          "survived ",
		"without defer func() { ok = recover() == nil }(), alone": "killed TestCareful",
		"without f()":                                             "killed TestCareful",
		"without ok = recover() == nil, alone":                    "killed TestCareful",
		"without p.count--":                                       "killed TestTwice",
		"without the field count: int64(n) + 1":                   "killed TestTwice",
		"without the field left: nil":                             "survived ",
		"without the field wait: 5":                               "killed TestTwice",
	}, got)
}

func TestWhoFailedIsReadFromWhatTheTestsSay(t *testing.T) {
	t.Parallel()
	tests := []*testCase{{name: "TestOne"}, {name: "TestTwo"}, {name: "ExampleThree"}}
	for said, want := range map[string][]string{
		"x\n--- FAIL: TestTwo (0.01s)\n    --- FAIL: TestTwo/sub (0.00s)\n":                                       {"TestTwo", "TestTwo"},
		"--- FAIL: ExampleThree (0.00s)\ngot:\n":                                                                  {"ExampleThree", "ExampleThree"},
		"panic: test timed out after 1s\n\trunning tests:\n\t\tTestOne (1s)\n\t\tTestTwo/sub (0s)\n\ngoroutine 1": {"TestOne", "TestOne", "TestTwo"},
		"panic: in a goroutine":          {"the run", "TestOne", "TestTwo", "ExampleThree"},
		"--- FAIL: TestOfAnother (0s)\n": {"the run", "TestOne", "TestTwo", "ExampleThree"},
	} {
		name, blamed := blame([]byte(said), tests)
		got := []string{name}
		for _, c := range blamed {
			got = append(got, c.name)
		}
		assert.Equal(t, want, got, said)
	}
}
