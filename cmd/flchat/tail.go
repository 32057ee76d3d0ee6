package main

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	chat "github.com/fliplet/fliplet-chat-go"
)

// page is how many of the newest messages a stream begins with.
const page = 200

type tailCmd struct {
	Conversations []int64       `name:"conversation" short:"c" placeholder:"ID" help:"Only this conversation; may be given several times."`
	Since         string        `placeholder:"1h|TIME" help:"Begin with what was sent in the last hour, or since a time such as 2026-01-31T15:04:05Z or 2026-01-31."`
	Lines         int           `short:"n" default:"20" placeholder:"N" help:"Begin with the newest N messages, at most 200. Default: 20."`
	Follow        bool          `short:"f" default:"true" negatable:"" help:"Wait for what comes, until Ctrl-C. The default."`
	Count         int           `placeholder:"N" help:"End after N lines."`
	Reads         bool          `help:"Also tell when somebody has read a message."`
	Poll          time.Duration `placeholder:"DURATION" help:"Ask for news this often. Default: every 2 s while people talk, less often when they do not."`
}

// Run shows messages as they come.
func (cmd *tailCmd) Run(a *app) error {
	var since time.Time
	if cmd.Since != "" {
		var err error
		if since, err = parseSince(cmd.Since, a.now(), a.zone); err != nil {
			return err
		}
	}
	switch {
	case cmd.Lines < 0 || cmd.Lines > page:
		return usagef("-n: give a number from 0 to %d; --since shows more", page)
	case cmd.Count < 0:
		return usagef("--count: give a number above 0")
	case cmd.Poll < 0 || cmd.Poll > 0 && cmd.Poll < 100*time.Millisecond:
		return usagef("--poll: give 100ms or more, such as 5s")
	}
	c, err := a.Connect(a.ctx, func(o *chat.Options) {
		if cmd.Poll > 0 {
			o.LivePollInterval, o.PollInterval, o.MaxPollInterval = cmd.Poll, cmd.Poll, cmd.Poll
		}
	})
	if err != nil {
		return err
	}
	t := &tail{cmd: cmd, a: a, c: c, talk: talk{a: a, names: newNames(c)}, seen: map[int64]time.Time{}, since: since}
	err = t.run(a.ctx)
	if errors.Is(err, errEnough) {
		return nil
	}
	if a.ctx.Err() != nil {
		if onward := t.onward(); onward != "" && a.errs.terminal() {
			a.errs.Printf("flchat: %s\n", onward)
		}
		return nil // Ctrl-C is how it ends
	}
	return err
}

// errEnough ends after --count lines.
var errEnough = errors.New("enough lines")

type tail struct {
	cmd   *tailCmd
	a     *app
	c     *chat.Chat
	talk  talk
	since time.Time
	floor time.Time           // what was created before is history that nobody asked for
	seen  map[int64]time.Time // messages and which version of them
	last  time.Time           // of what was shown
	shown int
	told  time.Time // when it was last said that polls fail
}

func (t *tail) run(ctx context.Context) error {
	if _, err := t.talk.names.load(ctx); err != nil {
		return err
	}
	first, err := t.begin(ctx)
	if err != nil {
		return err
	}
	for _, m := range first {
		if err := t.show(ctx, eventMessage, m); err != nil {
			return err
		}
	}
	if !t.cmd.Follow {
		return nil
	}
	failed := func(err error) { // on a goroutine of its own, one at a time
		if now := t.a.now(); now.Sub(t.told) > time.Minute {
			t.told = now
			t.a.errs.Printf("%s %s; trying again\n", t.a.errs.Paint(yellow, "flchat:"), line(err.Error()))
		}
	}
	var broken error
	gap := func(g chat.Gap) { // in order with the messages
		if t.wanted(g.ConversationID) && g.Kind != chat.GapHistory && broken == nil {
			broken = t.talk.gap(ctx, g)
		}
	}
	for m, err := range t.c.Events(ctx, chat.OnError(failed), chat.OnGap(gap)) {
		if err := errors.Join(err, broken); err != nil {
			return err
		}
		if event := t.event(m); event != "" {
			if err := t.show(ctx, event, m); err != nil {
				return err
			}
		}
	}
	return nil
}

// begin reads what is shown at once. All of the newest page is marked as seen, since the
// stream begins with it, too.
func (t *tail) begin(ctx context.Context) ([]*chat.Message, error) {
	var in []chat.MessagesOption
	if len(t.cmd.Conversations) > 0 {
		in = append(in, chat.In(t.cmd.Conversations...))
	}
	found, err := t.c.Messages(ctx, append(in, chat.Limit(page))...)
	if err != nil {
		return nil, err
	}
	for _, m := range found {
		t.seen[m.ID] = m.UpdatedAt
	}
	if len(found) == page {
		t.floor = found[0].CreatedAt
	}
	if t.since.IsZero() {
		return found[max(len(found)-t.cmd.Lines, 0):], nil
	}
	full := len(found) == page
	for limit := page; full && !found[0].CreatedAt.Before(t.since); {
		older, err := t.c.Messages(ctx, append(in, chat.Limit(limit), chat.WhereRow(chat.M{"createdAt": chat.M{"$gte": t.since, "$lte": found[0].CreatedAt}}))...)
		if err != nil {
			return nil, err
		}
		full = len(older) == limit
		older = slices.DeleteFunc(older, func(m *chat.Message) bool { _, ok := t.seen[m.ID]; return ok })
		for _, m := range older {
			t.seen[m.ID] = m.UpdatedAt
		}
		found = append(older, found...)
		if len(older) == 0 { // more messages of one moment than fit
			limit *= 2
		}
	}
	t.floor = t.since
	return slices.DeleteFunc(found, func(m *chat.Message) bool { return m.CreatedAt.Before(t.since) }), nil
}

func (t *tail) wanted(conversation int64) bool {
	return len(t.cmd.Conversations) == 0 || slices.Contains(t.cmd.Conversations, conversation)
}

// event is what to show of something that the stream brings, "" for nothing.
func (t *tail) event(m *chat.Message) string {
	if !t.wanted(m.ConversationID) {
		return ""
	}
	version, seen := t.seen[m.ID]
	delete(t.seen, m.ID) // from here on the stream remembers
	switch {
	case m.IsDeleted:
		return eventDelete
	case m.IsUpdate:
		if m.Change == chat.ChangedReaders && !t.cmd.Reads {
			return ""
		}
		if m.Change == chat.ChangedReaders {
			return eventRead
		}
		return eventEdit
	case seen && !m.UpdatedAt.After(version):
		return ""
	case seen: // between the first reading and the stream
		return eventEdit
	case m.CreatedAt.Before(t.floor):
		return ""
	}
	return eventMessage
}

// onward says how to go on, "" when there is nothing to go on from: a local Fliplet ends with the command.
func (t *tail) onward() string {
	if t.last.IsZero() || t.a.Local {
		return ""
	}
	return "stopped; to go on: " + commandSince(t.a.args, t.last)
}

// commandSince is the same command, from another time on.
func commandSince(args []string, since time.Time) string {
	words := []string{"flchat"}
	for i := 0; i < len(args); i++ {
		switch {
		case args[i] == "--since":
			i++
		case !strings.HasPrefix(args[i], "--since="):
			words = append(words, quoted(args[i]))
		}
	}
	return strings.Join(append(words, "--since", since.UTC().Format("2006-01-02T15:04:05.000Z")), " ")
}

// quoted is a word as a shell takes it. Nothing in it moves a terminal.
func quoted(word string) string {
	word = safe(word)
	if word != "" && !strings.ContainsFunc(word, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("-_=+,./:@%", r)
	}) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

func (t *tail) show(ctx context.Context, event string, m *chat.Message) error {
	t.a.ifCut(t.onward(), exitInterrupted)
	if err := t.talk.show(ctx, event, m); err != nil {
		return err
	}
	if m.UpdatedAt.After(t.last) {
		t.last = m.UpdatedAt
	}
	t.a.ifCut(t.onward(), exitOK) // Ctrl-C is how it ends
	if t.shown++; t.cmd.Count > 0 && t.shown >= t.cmd.Count {
		return errEnough
	}
	return nil
}

// parseSince reads an age, or a time in the given zone.
func parseSince(text string, now time.Time, zone *time.Location) (time.Time, error) {
	if age, err := time.ParseDuration(text); err == nil && age >= 0 {
		return now.Add(-age), nil
	}
	if n := len(text); n > 1 && text[n-1] == 'd' {
		if days, err := strconv.ParseUint(text[:n-1], 10, 16); err == nil {
			return now.AddDate(0, 0, -int(days)), nil //nolint:gosec // 16 bits
		}
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02"} {
		if at, err := time.ParseInLocation(layout, text, zone); err == nil {
			return at, nil
		}
	}
	return time.Time{}, usagef("--since: %q is neither an age such as 90s, 1h or 7d nor a time such as 2026-01-31 or 2026-01-31T15:04:05Z", text)
}
