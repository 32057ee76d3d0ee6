package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"
)

// report prints what a run has shown.
func (r *run) report(out io.Writer) {
	o := r.oracle
	line := func(name, format string, args ...any) {
		fmt.Fprintf(out, "%-34s %s\n", name, fmt.Sprintf(format, args...))
	}
	line("strategy", "%s, seed %d", r.opt.Strategy, r.opt.Seed)
	line("users, conversations", "%d, %d", r.opt.Users, r.opt.Conversations)
	line("messages written", "%d", len(r.world.rows))
	line("delivered: new, changed, deleted", "%d, %d, %d", o.News, o.Updates, o.Deleted)
	line("lost, twice, out of order, stale", "%d, %d, %d, %d", o.Lost, o.Twice, o.Disorder, o.Stale)
	line("without content", "%d", o.Blank)
	line("deletions not told yet", "%d", o.Undeleted)
	line("gaps", "%d", o.Gaps)
	line("answers of 429", "%d", r.world.refused)
	line("first message after", "%s", round(o.first))
	line("delivery p50, p95, p99, worst", "%s, %s, %s, %s", round(o.delays.at(.5)), round(o.delays.at(.95)), round(o.delays.at(.99)), round(o.delays.most))
	if r.opt.FloodOne {
		line("  in the conversation that is rung", "%s, %s, %s, %s", round(o.victims.at(.5)), round(o.victims.at(.95)), round(o.victims.at(.99)), round(o.victims.most))
	}
	line("before a join was noticed p50, p95", "%s, %s (%d messages)", round(o.joins.at(.5)), round(o.joins.at(.95)), o.joins.n)
	median, worst := o.medians()
	line("median user, worst user's median", "%s, %s (%.1f ×)", round(median), round(worst), float64(worst)/float64(max(median, 1)))
	line("sends p50, p99, worst", "%s, %s, %s", round(r.sends.at(.5)), round(r.sends.at(.99)), round(r.sends.most))
	if r.after.n > 0 {
		line("  after an outage p50, p99, worst", "%s, %s, %s", round(r.after.at(.5)), round(r.after.at(.99)), round(r.after.most))
	}
	total := 0
	for _, n := range r.kinds {
		total += n
	}
	line("requests, in a second", "%d, %.2f", total, float64(total)/r.opt.For.Seconds())
	for _, k := range slices.SortedFunc(maps.Keys(r.kinds), func(a, b string) int { return cmp.Compare(r.kinds[b], r.kinds[a]) }) {
		line("  "+k, "%d, %.2f", r.kinds[k], float64(r.kinds[k])/r.opt.For.Seconds())
	}
	s := r.fleet.Stats()
	line("conversations read, with news", "%d, %d", s.Places, s.Hits)
	line("rows in the log", "%d", s.Rows)
	if r.bells > 0 {
		line("bells", "%d", r.bells)
	}
	for _, p := range o.problems {
		fmt.Fprintf(out, "  %s\n", p)
	}
}

// medians are the median of the users' medians, and the worst.
func (o *oracle) medians() (median, worst time.Duration) {
	var all []time.Duration
	for i := range o.users {
		if o.users[i].n >= 10 {
			all = append(all, o.users[i].at(.5))
		}
	}
	if len(all) == 0 {
		return 0, 0
	}
	slices.Sort(all)
	return all[len(all)/2], all[len(all)-1]
}

func round(d time.Duration) time.Duration {
	if d > time.Second {
		return d.Round(10 * time.Millisecond)
	}
	return d.Round(time.Millisecond)
}
