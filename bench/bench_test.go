package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/bench/contender"
	"github.com/fliplet/fliplet-chat-go/bench/fake"
)

// TestMain makes the test program a child, as the program itself is one.
func TestMain(m *testing.M) {
	if raw := os.Getenv(childEnv); raw != "" {
		if err := child(raw); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// service starts a fake with messages of some time ago.
func service(t *testing.T, c contender.Contender, n int) *fake.Service {
	t.Helper()
	s, err := fake.Start(c.Service)
	require.NoError(t, err)
	t.Cleanup(s.Close)
	s.AddOld(n)
	return s
}

func TestEveryContenderReceivesEveryMessageInOrder(t *testing.T) {
	t.Parallel()
	const n = 2*fake.PageSize + 50
	for _, c := range contender.Receive() {
		used, err := receive(t.Context(), c, task{N: n, Where: service(t, c, n).Where})
		require.NoError(t, err, c.Name)
		assert.Positive(t, used.CPU, c.Name)
		assert.Positive(t, used.Allocs, c.Name)
	}
}

// Not parallel: discordgo has the address of its service in a variable of the process.
func TestEveryContenderSends(t *testing.T) {
	for _, c := range contender.Send() {
		for _, atOnce := range []int{1, 4} {
			_, err := once(t.Context(), work{Name: "send", N: 40, AtOnce: atOnce, Repeat: 2}, c, send)
			require.NoError(t, err, c.Name)
		}
	}
}

// TestWhatAContenderDoesNotSendFailsItsRun breaks each contender between the harness and its
// library. Not parallel, as above.
func TestWhatAContenderDoesNotSendFailsItsRun(t *testing.T) {
	type sender = func(string) error
	const outOfOrder = "sends the second message before the first"
	mutants := map[string]func(sender) sender{
		"sends every second message": func(one sender) sender {
			var n atomic.Int64
			return func(text string) error {
				if n.Add(1)%2 == 0 {
					return nil
				}
				return one(text)
			}
		},
		"always sends the first text": func(one sender) sender { return func(string) error { return one(fake.Text(1)) } },
		"changes the text":            func(one sender) sender { return func(text string) error { return one(text + "!") } },
		"sends each message twice":    func(one sender) sender { return func(text string) error { return errors.Join(one(text), one(text)) } },
		"sends nothing":               func(sender) sender { return func(string) error { return nil } },
		outOfOrder:                    swapped,
	}
	for _, c := range contender.Send() {
		for name, mutate := range mutants {
			broken := c
			broken.Send = func(ctx context.Context, at fake.Where) (func(string) error, error) {
				one, err := c.Send(ctx, at)
				if err != nil {
					return nil, err
				}
				return mutate(one), nil
			}
			for _, atOnce := range []int{1, 4} {
				if name == outOfOrder && atOnce > 1 {
					continue // senders at the same time have no order among each other
				}
				_, err := once(t.Context(), work{Name: "send", N: 8, AtOnce: atOnce}, broken, send)
				require.ErrorContains(t, err, "arrived", "%s %s", c.Name, name)
			}
		}
	}
}

// swapped holds back every other text of a sender, and sends it after the next one.
func swapped(one func(string) error) func(string) error {
	var mu sync.Mutex
	held := ""
	return func(text string) error {
		mu.Lock()
		defer mu.Unlock()
		if held == "" {
			held = text
			return nil
		}
		first := held
		held = ""
		return errors.Join(one(text), one(first))
	}
}

func TestMessagesThatAreMissingOrOutOfOrderAreFound(t *testing.T) {
	t.Parallel()
	for name, seqs := range map[string][]int{
		"one missing": {1, 2, 4}, "one twice": {1, 2, 2}, "the first missing": {2, 3, 4}, "two swapped": {1, 3, 2}, "down and up": {3, 2, 3}, "no number": {0, 1, 2},
	} {
		s := &sequence{total: 3, all: make(chan struct{})}
		for _, seq := range seqs {
			s.take(seq)
		}
		assert.NotEmpty(t, s.wrong, name)
	}
	for _, seqs := range [][]int{{1, 2, 3}, {3, 2, 1}} {
		s := &sequence{total: 3, all: make(chan struct{})}
		for _, seq := range seqs {
			s.take(seq)
		}
		assert.Empty(t, s.wrong)
	}
	assert.Equal(t, 1234, fake.Seq(fake.Text(1234)))
	assert.Zero(t, fake.Seq("something else"))
}

func TestARunIsMeasuredInAProcessOfItsOwn(t *testing.T) {
	t.Parallel()
	list := contender.Receive()
	w := work{Name: "receive", Title: "Receive", N: 300, contenders: []contender.Contender{list[0], list[1]}}
	table, err := race(t.Context(), w, 2, io.Discard)
	require.NoError(t, err)
	require.Len(t, table.Rows, 2)
	for _, r := range table.Rows {
		assert.Len(t, r.CPU, 2, r.Name)
		assert.Positive(t, median(r.CPU), r.Name)
		if r.Name == "floor" {
			assert.Equal(t, []float64{1, 1}, r.CPU)
		}
	}
}

func TestAScenarioCountsTheSameForALibraryThatLosesAndOneThatDoesNot(t *testing.T) {
	t.Parallel()
	find := func(name string) scenario {
		for _, sc := range scenarios() {
			if sc.Name == name {
				return sc
			}
		}
		return scenario{}
	}
	for _, want := range []struct {
		contender, scenario, key string
		atLeast                  float64 // 0: none at all
	}{
		{"fliplet-chat-go, Consume", "shutdown", "lost", 0},
		{"fliplet-chat-go, Consume", "shutdown", "twice", 0},
		{"fliplet-chat-go, Stream", "order", "late", 0},
		{"go-telegram/bot, in order", "shutdown", "lost", 1},
		{"mautrix", "crash", "lost", 1},
	} {
		t.Run(want.scenario+" "+want.key+" "+want.contender, func(t *testing.T) {
			t.Parallel()
			c, ok := contender.Find(want.contender)
			require.True(t, ok)
			sc := find(want.scenario)
			sc.N = max(sc.N/5, 20)
			got, err := playOne(t.Context(), sc, c)
			require.NoError(t, err)
			if want.atLeast == 0 {
				assert.Zero(t, got[want.key], "%v", got)
			} else {
				assert.GreaterOrEqual(t, got[want.key], want.atLeast, "%v", got)
			}
		})
	}
}

func sample() Result {
	return Result{Rounds: 3, Machine: Machine{Versions: map[string]string{}}, Tables: []Table{{
		Name: "receive", Title: "Receive", N: 20_000, Rows: []Row{
			{Name: "fliplet-chat-go", CPU: []float64{0.9, 0.8, 1.0}, Wall: []float64{1}, Allocs: 6},
			{Name: "floor", CPU: []float64{1, 1, 1}, Wall: []float64{1}, Allocs: 5},
			{Name: "other", CPU: []float64{2, 2.5, 3}, Wall: []float64{1}, Allocs: 9.5},
		},
	}}, Scores: []Score{{Name: "order", Rows: []Count{
		{Name: "fliplet-chat-go, Stream", Counts: counts{"late": 0, "at once": 1}},
		{Name: "other", Counts: counts{"late": 912, "at once": 80}},
	}}}}
}

func TestAnOrderThatThePageClaimsAndARunDoesNotShowIsFound(t *testing.T) {
	t.Parallel()
	page := sample().markdown()
	assert.Equal(t, []claim{
		{"fliplet-chat-go", 0.9, 0.85, 0.95}, {"floor", 1, 1, 1}, {"other", 2.5, 2.25, 2.75},
	}, claims(page, "Receive", "CPU × floor"))
	assert.Empty(t, sample().contradictions(page))
	assert.Empty(t, sample().drifts(page))

	near := sample()
	near.Tables[0].Rows[0].CPU = []float64{1.01}
	assert.Empty(t, near.contradictions(page), "the page has 0.9 and 1, which is too near to claim an order")
	wide := sample()
	wide.Tables[0].Rows[2].CPU = []float64{0.8, 1.6, 1.7, 0.9, 1.5}
	far := sample()
	far.Tables[0].Rows[2].CPU = []float64{0.5}
	assert.Len(t, far.contradictions(page), 2, "the other is behind both")
	assert.Empty(t, far.contradictions(wide.markdown()), "quartiles that overlap claim no order")
	assert.Len(t, far.drifts(page), 1)
	low, high := quartiles([]float64{9, 1, 2, 3, 4})
	assert.Equal(t, [2]float64{2, 4}, [2]float64{low, high}, "one that is far away moves nothing")
	late := sample()
	late.Scores[0].Rows[0].Counts["late"] = 3
	assert.Len(t, late.contradictions(page), 1)
	for _, change := range []func(*Result){
		func(r *Result) { r.Tables[0].Rows[2].Name = "renamed" },
		func(r *Result) { r.Scores[0].Rows = r.Scores[0].Rows[:1] },
	} {
		less := sample()
		change(&less)
		assert.Len(t, less.contradictions(page), 1, "nothing is compared with whom the page has")
	}
	others := sample()
	others.Scores[0].Rows[1].Counts["late"] = 3
	assert.Empty(t, others.contradictions(page))
}

func TestACheckFailsWhenSomethingCannotBeCompared(t *testing.T) {
	t.Parallel()
	page := beginMark + "\n" + sample().markdown() + endMark
	check := func(t *testing.T, page, only string, change func(*Result)) error {
		t.Helper()
		path := filepath.Join(t.TempDir(), "performance.md")
		require.NoError(t, os.WriteFile(path, []byte(page), 0o600))
		r := sample()
		change(&r)
		return r.finish(options{check: true, page: path, only: only}, io.Discard)
	}
	same := func(*Result) {}
	require.NoError(t, check(t, page, "receive,order", same))
	for name, c := range map[string]struct {
		page, only string
		change     func(*Result)
		want       string
	}{
		"nothing was measured":        {page, "receive", func(r *Result) { *r = Result{} }, "nothing was measured of receive"},
		"a table without rows":        {page, "receive", func(r *Result) { r.Tables[0].Rows = nil }, "nothing was measured of receive"},
		"a part of a whole run":       {page, "", same, "nothing was measured of send32"},
		"a name that does not exist":  {page, "receiving", same, `there is no "receiving"; there are receive, send, `},
		"a ratio that is no number":   {strings.Replace(page, "2.50 (", "2,5O (", 1), "receive", same, `"2,5O (2.25–2.75)" for other`},
		"a quartile that is none":     {strings.Replace(page, "2.25–", "2.25-", 1), "receive", same, "is no number"},
		"allocations that are none":   {strings.Replace(page, "9.5", "few", 1), "receive", same, `"few" for other`},
		"a count that is no number":   {strings.Replace(page, "| 912 |", "| many |", 1), "order", same, `"many" for other`},
		"a row without a cell":        {strings.Replace(page, "| 912 | 80 |", "| 912 |", 1), "order", same, "2 cells, not a whole one with 3"},
		"a row twice":                 {strings.Replace(page, "| floor |", "| other |", 1), "receive", same, "has other twice"},
		"a row that the page lacks":   {strings.Replace(page, "| other | 912 | 80 |\n", "", 1), "order", same, "this run has other, and the page has not"},
		"a row that is no row":        {strings.Replace(page, "| other | 912", "other | 912", 1), "order", same, "the page has a row with 3 cells"},
		"no column of allocations":    {strings.Replace(page, "allocations each", "allocations", 1), "receive", same, "Receive, allocations each"},
		"another number of messages":  {page, "receive", func(r *Result) { r.Tables[0].N = 10 }, "not about 10 messages"},
		"more allocations":            {page, "receive", func(r *Result) { r.Tables[0].Rows[0].Allocs = 7 }, "6.0 allocations for fliplet-chat-go; this run 7.0"},
		"fewer than the page says":    {page, "receive", func(r *Result) { r.Tables[0].Rows[0].Allocs = 5 }, "this run 5.0"},
		"whoever was not in the page": {page, "order", func(r *Result) { r.Scores[0].Rows[1].Name = "new" }, "this run has new"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.ErrorContains(t, check(t, c.page, c.only, c.change), c.want)
		})
	}
	require.NoError(t, check(t, strings.Replace(page, "| 912 | 80 |", "| has one | 80 |", 1), "order", func(r *Result) { r.Scores[0].Rows[1].Counts["late"] = notApplicable }), "a word in place of the first number")
	require.NoError(t, check(t, page, "receive,order", func(r *Result) { r.Tables[0].Rows[0].Allocs, r.Tables[0].N, r.Quick = 7, 10, true }), "a quick look has other allocations")
	require.ErrorContains(t, run(t.Context(), options{only: "receive,snd", check: true}, io.Discard, io.Discard), `there is no "snd"`)
	require.ErrorContains(t, run(t.Context(), options{only: "receive", check: true}, io.Discard, io.Discard), "-rounds is 0")
	require.ErrorContains(t, run(t.Context(), options{force: true, check: true, rounds: 1}, io.Discard, io.Discard), "-force")
}

func TestNoAllocationIsNotedWhileProcessorTimeIs(t *testing.T) {
	rate := runtime.MemProfileRate
	t.Cleanup(func() { runtime.MemProfileRate = rate })
	for kind, noted := range map[string]bool{cpuProfile: false, allocsProfile: true} {
		path := filepath.Join(t.TempDir(), "receive"+kind)
		t.Setenv(profileEnv, path)
		require.NoError(t, profiled(func() error {
			assert.Equal(t, noted, runtime.MemProfileRate > 0, kind)
			return nil
		}))
		info, err := os.Stat(path)
		require.NoError(t, err)
		assert.Positive(t, info.Size(), kind)
	}
	t.Setenv(profileEnv, "")
	dir := t.TempDir()
	require.NoError(t, profile(t.Context(), dir, []work{{Name: "receive", N: 300}, {Name: "send", N: 10, AtOnce: 1}}, 2))
	for _, name := range []string{"receive.cpu.prof", "receive.allocs.prof", "send.cpu.prof", "send.allocs.prof"} {
		assert.FileExists(t, filepath.Join(dir, name))
	}
}

func TestThisRepositorysModulesHaveNoOtherVersion(t *testing.T) {
	t.Parallel()
	assert.Equal(t, map[string]string{"a": "v1.2.3", "b": "this one", "c": "this one"}, versions(&debug.BuildInfo{Deps: []*debug.Module{
		{Path: "a", Version: "v1.2.3"}, {Path: "b", Version: "v0.0.0", Replace: &debug.Module{Path: "../"}}, {Path: "c", Version: "(devel)"},
	}}))
}

func TestThePageIsWrittenOnlyWhenItsOrderIsReproduced(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "performance.md")
	require.NoError(t, os.Mkdir(filepath.Join(dir, "images"), 0o755))
	require.NoError(t, os.WriteFile(path, []byte("before\n"+beginMark+"\n"+endMark+"\nafter\n"), 0o600))
	content := func() string {
		raw, err := os.ReadFile(path)
		require.NoError(t, err)
		return string(raw)
	}
	write := options{write: true, page: path, rounds: 3}
	require.NoError(t, sample().finish(write, io.Discard))
	page := content()
	assert.True(t, strings.HasPrefix(page, "before\n") && strings.HasSuffix(page, "\nafter\n"))
	assert.Contains(t, page, "| fliplet-chat-go | 0.90 (0.85–0.95) |")
	assert.FileExists(t, filepath.Join(dir, "images", "bench-receive.svg"))

	other := sample()
	other.Tables[0].Rows[2].CPU = []float64{0.5}
	require.ErrorContains(t, other.finish(write, io.Discard), "not reproduced")
	assert.Equal(t, page, content())
	force := write
	force.force = true
	require.NoError(t, other.finish(force, io.Discard))
	assert.NotEqual(t, page, content())
	check := options{check: true, page: path, rounds: 3, only: "receive,order"}
	require.NoError(t, other.finish(check, io.Discard))
	require.ErrorContains(t, sample().finish(check, io.Discard), "not reproduced")
	for _, table := range []string{"| Receive |", "| Order of 1,000 |"} { // a page that says nothing bears out everything
		require.NoError(t, os.WriteFile(path, []byte(strings.ReplaceAll(content(), table, "| Something |")), 0o600))
		require.ErrorContains(t, other.finish(check, io.Discard), "does not have what was to be compared")
	}
	short := write
	short.short = true
	require.Error(t, sample().finish(short, io.Discard), "a quick look is not for the page")
}

func TestThePageOfThisRepositoryHasItsMarksAndItsPictures(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile(filepath.Join("..", "docs", "performance.md"))
	require.NoError(t, err)
	_, inside, _, err := split(string(raw))
	require.NoError(t, err)
	assert.Empty(t, unreadable(inside))
	for _, w := range works(false) {
		said := claims(inside, w.Title, "CPU × floor")
		assert.Len(t, said, len(w.contenders), w.Title)
		assert.FileExists(t, filepath.Join("..", "docs", "images", "bench-"+w.Name+".svg"))
	}
	for _, sc := range scenarios() {
		for _, col := range sc.columns {
			assert.NotEmpty(t, claims(inside, sc.Title, col.title), "%s, %s", sc.Title, col.title)
		}
	}
}
