package debugpage

import (
	"bytes"
	"fmt"
	"html"
	"strconv"
	"time"
)

// The page is written by hand: html/template would keep the linker from leaving out
// methods that a program does not use.

const head = `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Chat</title><style>body{font:14px/1.4 system-ui,sans-serif;margin:1.5em;max-width:75em}table{border-collapse:collapse;margin:0 0 1.5em}
th,td{border:1px solid #ccc;padding:.2em .6em;text-align:left;vertical-align:top}th{background:#f3f3f3}
.bad{background:#fdd}</style></head><body>
`

// writer writes the page. Everything that is no constant goes through text.
type writer struct {
	bytes.Buffer
	at time.Time
}

func (w *writer) text(s string) { w.WriteString(html.EscapeString(s)) }

func (w *writer) table(title string, columns ...string) {
	w.WriteString("<h2>")
	w.text(title)
	w.WriteString("</h2>\n<table><tr>")
	for _, c := range columns {
		w.WriteString("<th>")
		w.text(c)
		w.WriteString("</th>")
	}
	w.WriteString("</tr>\n")
}

func (w *writer) row(bad bool, cells ...any) {
	if bad {
		w.WriteString(`<tr class="bad">`)
	} else {
		w.WriteString("<tr>")
	}
	for _, c := range cells {
		w.WriteString("<td>")
		w.text(w.cell(c))
		w.WriteString("</td>")
	}
	w.WriteString("</tr>\n")
}

func (w *writer) cell(c any) string {
	switch c := c.(type) {
	case time.Time:
		if c.IsZero() {
			return "–"
		}
		age := w.at.Sub(c).Round(time.Second)
		if age < 0 {
			return fmt.Sprintf("%s, in %v", c.UTC().Format("2006-01-02 15:04:05.000"), -age)
		}
		return fmt.Sprintf("%s, %v ago", c.UTC().Format("2006-01-02 15:04:05.000"), age)
	case bool:
		if c {
			return "yes"
		}
		return ""
	case int64:
		if c == 0 {
			return ""
		}
	case float64:
		return strconv.FormatFloat(c, 'f', 3, 64) + " s"
	}
	return fmt.Sprint(c)
}

func (w *writer) end() { w.WriteString("</table>\n") }

func page(s *State) []byte {
	w := &writer{at: s.At}
	w.WriteString(head)
	w.WriteString("<h1>Chat over ")
	w.text(s.Host)
	w.WriteString("</h1>\n<p>")
	switch {
	case s.App != nil:
		w.WriteString("An app, with its own listeners; each user has a page of their own.")
	case s.User == "":
		w.WriteString("Nobody is logged in.")
	default:
		w.WriteString("User ")
		w.text(s.User)
	}
	w.WriteString(" At ")
	w.text(s.At.UTC().Format(time.RFC3339))
	w.WriteString(`. <a href="?format=json">JSON</a></p>` + "\n")

	if a := s.App; a != nil {
		w.table("App", "strategy", "since", "a better one is tried", "users")
		w.row(false, a.Strategy, a.Since, a.Again, a.Users)
		w.end()
	}
	w.table("Polls", "last that succeeded", "next", "failed since")
	w.row(s.Polls.Failed > 0, s.Polls.Last, s.Polls.Next, s.Polls.Failed)
	w.end()
	w.table("Limiter", "started in this window", "of", "waiting", "a request now would wait")
	w.row(s.Limiter.Wait > 0, s.Limiter.Used, s.Limiter.Of, s.Limiter.Waiting, s.Limiter.Wait)
	w.end()
	w.table("Listeners", "kind", "consumer", "doing", "settled up to", "newest seen", "queued", "room", "aside", "handled", "busy", "behind", "parked")
	for _, l := range s.Listeners {
		w.row(l.Behind || l.Parked, l.Kind, l.Consumer, l.Doing, l.Settled, l.Newest, l.Queued, l.Room, l.Aside, l.Handled, l.Busy, l.Behind, l.Parked)
	}
	w.end()
	w.table("Consumers", "name", "receiving", "lag", "failing messages", "storage")
	for _, c := range s.Consumers {
		w.row(c.Failing > 0 || c.Storage != "", c.Name, c.Receiving, c.Lag, c.Failing, c.Storage)
	}
	w.end()
	w.table("Outbox", "left to send", "of these given up", "oldest", "next attempt")
	w.row(s.Outbox.Failed > 0, s.Outbox.Pending, s.Outbox.Failed, s.Outbox.Oldest, s.Outbox.Next)
	w.end()
	w.table("Last errors", "at", "where", "conversation", "message", "attempts", "error")
	for _, e := range s.Errors {
		w.row(true, e.At, e.Where, e.Conversation, e.Message, e.Attempts, e.Text)
	}
	w.end()
	w.WriteString("</body></html>\n")
	return w.Bytes()
}
