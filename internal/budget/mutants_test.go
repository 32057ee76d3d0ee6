package budget_test

import (
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/longtest"
	"github.com/fliplet/fliplet-chat-go/internal/patch"
)

// Each is a defect that a test of this package has to notice.
var mutants = map[string]patch.Edit{
	"sends take turns":                         {File: "internal/budget/turns.go", Old: "if t, at = b.send(now); t != nil {", New: "if t, at = b.send(now); t != nil && b.waiting < 0 {"},
	"nothing is left free for sends":           {File: "internal/budget/turns.go", Old: "base = max(limit/20, min(11*lately/2-b.sent.len(), limit/2))", New: "base = 0"},
	"a burst finds what others have left":      {File: "internal/budget/turns.go", Old: "limit/2); n <= base {", New: "limit/2); n <= limit {"},
	"somebody's burst is late":                 {File: "internal/budget/budget.go", Old: "if c == Sends { // what", New: "if c == Sends && b.n < 0 { // what"},
	"what comes free soon does not count":      {File: "internal/budget/turns.go", Old: "lately)-freed, limit/2)", New: "lately), limit/2)"},
	"polls come all at once":                   {File: "internal/budget/turns.go", Old: "} else if c.paced() && !b.alone() {", New: "} else if c.paced() && b.alone() {"},
	"more sends than slots leave nothing":      {File: "internal/budget/budget.go", Old: "most = 4 * round", New: "most = 1 << 40"},
	"all classes weigh the same":               {File: "internal/budget/budget.go", Old: "Index: 4, Marks: 2, Backfill: 1}", New: "Index: 8, Marks: 8, Backfill: 8}"},
	"a class that is passed stays so":          {File: "internal/budget/turns.go", Old: "b.served-b.lines[c].served >= patience", New: "b.served-b.lines[c].served >= 1<<30"},
	"one user goes on as long as there is one": {File: "internal/budget/turns.go", Old: "ring.MoveToBack(f.place)", New: "ring.MoveToFront(f.place)"},
	"a refusal does not hold":                  {File: "internal/budget/turns.go", Old: "case now.Before(b.until):\n\t\treturn b.ask", New: "case now.Before(b.until) && b.n < 0:\n\t\treturn b.ask"},
	"a refusal does not make less":             {File: "internal/budget/budget.go", Old: "max(b.part/2, leastPart)", New: "b.part"},
	"what a refusal took does not come back":   {File: "internal/budget/budget.go", Old: "growth = 1.0 / 100", New: "growth = 1.0 / 1000000000"},
	"one refusal counts as often as it comes":  {File: "internal/budget/budget.go", Old: "now.Sub(b.cut) >= b.per/10", New: "now.Sub(b.cut) >= 0"},
	"a server silences everybody":              {File: "internal/budget/budget.go", Old: "probes = time.Minute", New: "probes = 1000 * time.Hour"},
	"a moment that is far away does not hold":  {File: "internal/budget/turns.go", Old: "b.probe, b.asked = now.Add(probes), now", New: "b.asked = now"},
	"a probe that is answered ends nothing":    {File: "internal/budget/budget.go", Old: "b.until, b.asked, b.grown = time.Time{}, time.Time{}, now", New: "b.asked = time.Time{}"},
	"any answer ends a hold":                   {File: "internal/budget/budget.go", Old: "b.asked.IsZero() || started.Before(b.asked) {", New: "b.n < 0 {"},
	"an outage uses up the slots":              {File: "internal/budget/turns.go", Old: "if down && now.Before(b.quiet) {", New: "if down && now.Before(b.until) {"},
	"one answer does not end an outage":        {File: "internal/budget/budget.go", Old: "more = b.silent()\n\tb.lost = 0", New: "more = b.silent()"},
	"a moment is an outage":                    {File: "internal/budget/budget.go", Old: "b.still.Sub(b.since) >= b.per/10", New: "b.still.Sub(b.since) >= 0"},
	"anybody is the probe":                     {File: "internal/budget/turns.go", Old: "{Sends, Other, Live, Index, Marks, Backfill}", New: "{Backfill, Marks, Index, Live, Other, Sends}"},
	"what a probe is told comes too late":      {File: "internal/budget/budget.go", Old: "b.until = until // what", New: "b.until = later(b.until, until) // what"},
	"who has a deadline is no probe":           {File: "internal/budget/turns.go", Old: "held = probe.Sub(now)", New: "_ = probe"},
	"a slot is free when its request ends":     {File: "internal/budget/budget.go", Old: "b.starts.push(started[U]{now, t.of})", New: "t.of.had--"},
	"a window is a little shorter":             {File: "internal/budget/budget.go", Old: "now.Sub(b.starts.at(0).at) >= b.per {", New: "now.Sub(b.starts.at(0).at) >= b.per-b.per/10 {"},
	"the first of each user is not late":       {File: "internal/budget/budget.go", Old: "b.flows[k] = f\n\t\tb.arrange(f)", New: "b.flows[k] = f"},
	"whoever begins to wait catches up":        {File: "internal/budget/budget.go", Old: "l.served = max(l.served, b.served)", New: "_ = l"},
	"whoever leaves keeps the place":           {File: "internal/budget/budget.go", Old: "	b.count(f, -1)\n	if f.queue.Len() == 0 {", New: "	b.count(f, -1)\n	if f.queue.Len() < 0 {"},
}

func TestTheTestsNoticeDefects(t *testing.T) {
	t.Parallel()
	longtest.Only(t, "it compiles the budget with defects")
	root, err := patch.Root()
	require.NoError(t, err)
	for name, edit := range mutants {
		t.Run(name, func(t *testing.T) {
			overlay, err := patch.Overlay(root, t.TempDir(), []patch.Edit{edit})
			require.NoError(t, err)
			cmd := exec.CommandContext(t.Context(), "go", "test", "-overlay="+overlay, "-count=1", "-timeout=1m", "./internal/budget")
			cmd.Dir, cmd.Env = root, append(os.Environ(), "CHAT_LONG=")
			out, err := cmd.CombinedOutput()
			require.Error(t, err, "nobody noticed")
			require.NotContains(t, string(out), "[build failed]")
		})
	}
}
