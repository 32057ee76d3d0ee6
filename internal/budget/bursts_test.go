package budget_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/fliplet/fliplet-chat-go/internal/budget"
)

// loads are what others want from a budget.
var loads = []struct {
	name  string
	begin func(p *player)
}{
	{"nothing", func(*player) {}},
	{"polls of 1,000 users", func(p *player) { p.forever(budget.Live, 1000, 1) }},
	{"reads of one fleet", func(p *player) { p.forever(budget.Live, 1, 8) }},
	{"calls of 300 users, again and again", func(p *player) { p.forever(budget.Other, 300, 1) }},
	{"calls of 12 users, 20 at once", func(p *player) { p.forever(budget.Other, 12, 20) }},
	{"500 calls at once, each 11 s", func(p *player) { p.waves(budget.Other, 500, 11*time.Second) }},
	{"500 polls at once, each 15 s", func(p *player) { p.waves(budget.Live, 500, 15*time.Second) }},
	{"a bulk of one user's calls", func(p *player) { p.forever(budget.Other, 1, 500) }},
	{"histories of 500 users", func(p *player) { p.forever(budget.Backfill, 500, 1) }},
	{"all classes", func(p *player) {
		for _, c := range []budget.Class{budget.Other, budget.Live, budget.Backfill, budget.Index, budget.Marks} {
			p.forever(c, 50, 2)
		}
	}},
	{"polls of 1,000 users, 5 sends a second", func(p *player) {
		p.forever(budget.Live, 1000, 1)
		p.waves(budget.Sends, 1, 200*time.Millisecond)
	}},
	{"polls of 1,000 users, a bulk of one user's sends", func(p *player) {
		p.forever(budget.Live, 1000, 1)
		p.forever(budget.Sends, 1, 500)
	}},
}

// forever lets users want so many requests at a time, again and again.
func (p *player) forever(class budget.Class, users, each int) {
	before := p.each
	name := fmt.Sprintf("%s of ", class)
	p.each = func(t *ticket) {
		if t.Class == class && strings.HasPrefix(t.Value, name) {
			p.Ask(p.now, t.Value, class, true, t.Value)
		}
		if before != nil {
			before(t)
		}
	}
	for u := range users {
		for range each {
			p.Ask(p.now, fmt.Sprint(name, u), class, true, fmt.Sprint(name, u))
		}
	}
}

// waves lets users come all at once from time to time.
func (p *player) waves(class budget.Class, users int, every time.Duration) {
	before, next, n := p.tide, p.now, 0
	p.tide = func() time.Time {
		for !next.After(p.now) {
			for u := range users {
				p.ask(class, fmt.Sprintf("%s wave %d", class, (n+u)%5000))
			}
			next, n = next.Add(every), n+users
		}
		if before != nil {
			return sooner(next, before())
		}
		return next
	}
}

func sooner(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// burst is how long the last of so many sends waits at worst, whenever they come, beside a load,
// and how many requests of others start in a window before that.
func burst(load func(*player), sends int, one bool) (worst time.Duration, others int) {
	const before = 4
	for phase := range 7 {
		p := play(documented())
		load(p)
		p.sleep(before*10*time.Second - 1)
		others = len(p.let) / before
		p.sleep(time.Duration(phase)*1457*time.Millisecond + 1)
		asked, last := p.now, p.now
		var all []*ticket
		for i := range sends {
			who := fmt.Sprint("sender ", i)
			if one {
				who = "sender"
			}
			all = append(all, p.ask(budget.Sends, who))
		}
		p.sleep(12 * time.Second)
		for _, t := range all {
			at, ok := p.let[t]
			if !ok {
				at = p.now
			}
			last = later(last, at)
		}
		worst = max(worst, last.Sub(asked))
	}
	return worst, others
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func TestABurstOfSendsWaitsAFifthOfAWindowWhateverFillsIt(t *testing.T) {
	t.Parallel()
	var table strings.Builder
	fmt.Fprintf(&table, "\n%-50s %7s %7s %7s %7s %9s %9s\n", "", "1", "10", "40", "100", "40 of one", "in 10 s")
	for i, l := range loads {
		fmt.Fprintf(&table, "%-50s", l.name)
		others := 0
		for _, c := range []struct {
			sends int
			most  time.Duration
		}{{1, 0}, {10, 0}, {40, 2 * time.Second}, {100, 6 * time.Second}} {
			worst, had := burst(l.begin, c.sends, false)
			others = had
			fmt.Fprintf(&table, " %6.2fs", worst.Seconds())
			assert.LessOrEqual(t, worst, c.most, "%d sends beside %s", c.sends, l.name)
		}
		worst, _ := burst(l.begin, 40, true)
		assert.LessOrEqual(t, worst, 4*time.Second, "40 sends of one beside %s", l.name)
		fmt.Fprintf(&table, " %8.2fs %9d\n", worst.Seconds(), others)
		if i > 0 {
			assert.Greater(t, others, 175, "the others get what the sends leave: %s", l.name)
		}
	}
	t.Log(table.String())
}

func TestAWindowThatNobodyUsesLetsManyCallsStartAtOnce(t *testing.T) {
	t.Parallel()
	p := play(documented())
	p.ask(budget.Sends, "jane")
	p.sleep(time.Minute)
	for u := range 500 {
		p.ask(budget.Other, fmt.Sprint(u))
	}
	p.sleep(0)
	assert.Greater(t, len(p.let), 150)
	p.sleep(10 * time.Second)
	assert.Greater(t, len(p.let), 300)
}
