package world

import (
	"fmt"
	"strings"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/feed"
)

var opNames = [...]string{
	"Send", "Resend", "Import", "Edit", "Remove", "Pass", "Run", "Fetch", "Refuse", "Repeat", "Lie", "Wait", "Drain",
	"Subscribe", "Leave", "Poke", "Reset", "Joined", "Enter", "Exit", "Found", "Crash", "Stick", "Heal", "Aside", "Shift", "Check",
}

func (o Op) String() string { return opNames[o] }

// String tells a step in a few words.
func (x *Step) String() string {
	switch x.Op {
	case Send:
		how := ""
		if x.D > 0 {
			how = fmt.Sprintf(", visible %v late", x.D)
			if x.C != 0 {
				how = fmt.Sprintf(", stamped %v ago", x.D)
			}
		}
		return fmt.Sprintf("send %d to conversation %d%s", x.B, x.A+1, how)
	case Resend:
		return fmt.Sprintf("the send of %d rows ago is repeated", x.A)
	case Import:
		return fmt.Sprintf("import %d into conversation %d, created %v ago", x.B, x.A+1, x.D)
	case Edit:
		return fmt.Sprintf("edit %d from %d rows ago on, visible %v late", x.B, x.A, x.D)
	case Remove:
		return fmt.Sprintf("delete the row of %d rows ago, visible %v late", x.A, x.D)
	case Pass:
		return fmt.Sprintf("%v pass", x.D)
	case Run:
		return fmt.Sprintf("up to %d requests are answered", x.A)
	case Fetch:
		return "a request is answered, the answer is still on its way"
	case Refuse:
		return fmt.Sprintf("a request %s (%v)", [...]string{"meets a 429", "fails", "is answered, but the answer is lost"}[x.A], x.D)
	case Repeat:
		return "a request is answered twice"
	case Wait:
		return fmt.Sprintf("%d times as long as the engine wants pass", x.A)
	case Drain:
		return fmt.Sprintf("listener %d takes up to %d", x.A, x.B)
	case Subscribe:
		what := [...]string{"the newest page", "now", "the beginning"}[x.A]
		if x.B != 0 {
			what += ", durable"
		}
		return "a listener subscribes from " + what
	case Leave:
		return fmt.Sprintf("listener %d leaves", x.A)
	case Poke:
		return fmt.Sprintf("%d pokes", x.A)
	case Enter:
		return fmt.Sprintf("the user joins conversation %d%s", x.A+1, [...]string{"", ", and polls", " with a call of their own"}[x.B])
	case Exit:
		return fmt.Sprintf("the user leaves conversation %d", x.A+1)
	case Found:
		return "a conversation is created with the user in it"
	case Stick:
		return fmt.Sprintf("consumers fail with conversation %d from now on", x.A+1)
	case Heal:
		return fmt.Sprintf("consumers get on with conversation %d again", x.A+1)
	case Aside:
		return fmt.Sprintf("listener %d sets conversation %d aside", x.A, x.B+1)
	case Shift:
		return fmt.Sprintf("the server's clock moves by %v", x.D)
	case Crash:
		return fmt.Sprintf("the process dies %s", [...]string{
			"while nothing is handled", "before an event is acknowledged", "before a position is stored",
			"while a position is stored"}[x.A])
	}
	return strings.ToLower(x.Op.String())
}

// Tell prints a story, and what happens in it.
func (r *Runner) Tell(s *Story) string {
	var b strings.Builder
	c, t := &s.Config, &s.Traits
	fmt.Fprintf(&b, "seed %d: pages of %d, overlap %v, queue %d, collect %d, remember %d, list every %v\n",
		s.Seed, c.PageSize, c.Overlap, c.Queue, c.Collect, c.Remember, c.Roster)
	fmt.Fprintf(&b, "server: clock %+v, rows up to %dms late, replicas up to %dms behind, shuffles %v, ignores limits %v, doubles %v, backwards %v, poison %v, clock moves %v, at most %d rows in a page; "+
		"user in %d of %d conversations; blocked listeners %b, lazy %v, parallel %d\n",
		t.Skew, t.Late/ms, t.Lag/ms, t.Shuffle, t.NoLimit, t.Doubles, t.Backwards, t.Poison, t.Shifts, t.Cap, t.Joined, t.Conversations, s.Blocked, s.Lazy, s.Parallel)
	trace := r.Trace
	r.Trace = func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	v := r.Play(s)
	r.Trace = trace
	if v != nil {
		fmt.Fprintf(&b, "VIOLATION %s: %s\n", v.Rule, v.Text)
	}
	return b.String()
}

func clock(t feed.Time) string {
	if t == beginning {
		return "ever"
	}
	return fmt.Sprint(time.Duration(t-epoch) * time.Microsecond)
}

func describeKey(k feed.Key) string {
	if k.WholeInstant() {
		return clock(k.Time) + "/all"
	}
	return fmt.Sprintf("%s/%d", clock(k.Time), k.ID)
}

func describeQuery(q feed.Query) string {
	kind := [...]string{"", "members", "newest", "changes", "created", "latest"}[q.Kind]
	out := fmt.Sprintf("asks for %d %s", q.Limit, kind)
	if q.Conversation != 0 {
		out += fmt.Sprintf(" of conversation %d", q.Conversation)
	}
	if q.After != (feed.Key{}) {
		out += " after " + describeKey(q.After)
	}
	if q.Beyond != 0 {
		out += fmt.Sprintf(" or beyond row %d", q.Beyond)
	}
	if q.From != (feed.Key{}) {
		out += " from " + describeKey(q.From)
	}
	if q.Before != (feed.Key{}) {
		out += " before " + describeKey(q.Before)
	}
	if q.UpdatedTo != 0 {
		out += ", updated to " + clock(q.UpdatedTo)
	}
	if q.CreatedTo != 0 {
		out += ", created to " + clock(q.CreatedTo)
	}
	return out
}

func (r *Runner) describeRow(row *feed.Row) string {
	end := ""
	if row.Deleted {
		end = ", deleted"
	}
	return fmt.Sprintf("row %d version %d of conversation %d (created %s, updated %s%s)",
		row.ID, row.Hash, row.Conversation, clock(row.Created), clock(row.Updated), end)
}

func (r *Runner) describeVersion(at int32) string {
	row := r.srv.render(at)
	return r.describeRow(&row)
}

func (r *Runner) describeEvent(e *feed.Event) string {
	kind := "new"
	switch {
	case e.Gap != nil && e.Gap.Row == 0:
		return fmt.Sprintf("gap in conversation %d before %s", e.Gap.Conversation, clock(e.Gap.Before.Time))
	case e.Replay:
		kind = "replay"
	case e.Deleted:
		kind = "end"
	case e.Update:
		kind = "update"
	}
	if e.Gap != nil {
		kind += ", unreadable"
	}
	return kind + " " + r.describeRow(&e.Row)
}
