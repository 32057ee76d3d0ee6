package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
)

type doctorCmd struct{}

// The colours of a check.
const (
	isGreen  = "green"
	isYellow = "yellow" // works, but look at it
	isRed    = "red"    // does not work
	skipped  = "skipped"
)

// finding is what a check has found.
type finding struct {
	Check  string `json:"check"`
	Status string `json:"status"`
	Text   string `json:"text"`
	Do     string `json:"do,omitempty"` // what to do about it

	err error // why it is red
}

// doctor looks at everything that a chat needs, and writes nothing to the server.
type doctor struct {
	a       *app
	client  *datasource.Client
	watch   *watch
	broken  string // why nothing more can be checked
	worst   error  // of the red ones: a failure of the service before a mistake
	counts  map[string]int
	account account
	source  *datasource.DataSource // the contacts
	me      *datasource.Entry      // the contact of --as
	talks   []datasource.DataSource
}

// Run checks one thing after another.
func (*doctorCmd) Run(a *app) error {
	w := &watch{next: http.DefaultTransport.(*http.Transport).Clone()}
	a.transport = w
	d := &doctor{a: a, watch: w, counts: map[string]int{}}
	for _, check := range []struct {
		name string
		run  func(context.Context) finding
	}{
		{"token", d.checkToken},
		{"region", d.checkRegion},
		{"clock", d.checkClock},
		{"contacts", d.checkContacts},
		{"primary key", d.checkKey},
		{"login", d.checkLogin},
		{"conversations", d.checkConversations},
		{"rights", d.checkRights},
		{"encryption", d.checkEncryption},
		{"cross-source", d.checkAcross},
		{"limits", d.checkLimits},
	} {
		f := finding{Status: skipped, Text: d.broken}
		if d.broken == "" {
			f = check.run(a.ctx)
		}
		if a.ctx.Err() != nil {
			return a.ctx.Err()
		}
		f.Check = check.name
		if err := d.show(f); err != nil {
			return err
		}
	}
	if !a.out.json {
		a.out.Printf("\n%s\n", d.summary())
	}
	switch {
	case d.counts[isRed] == 0:
		return nil
	case status(d.worst) == exitService:
		return exitError(exitService)
	}
	return exitError(exitUsage)
}

func (d *doctor) summary() string {
	var parts []string
	for _, s := range []string{isGreen, isYellow, isRed, skipped} {
		if n := d.counts[s]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, s))
		}
	}
	return strings.Join(parts, ", ")
}

// show writes one line, and below it what to do.
func (d *doctor) show(f finding) error {
	d.counts[f.Status]++
	if f.Status == isRed && (d.worst == nil || status(f.err) == exitService) {
		d.worst = f.err
	}
	p := d.a.out
	if p.json {
		return p.JSON(f)
	}
	mark, look := map[string]string{isGreen: "ok", isYellow: "look", isRed: "FAIL", skipped: "-"}[f.Status], map[string]style{isGreen: green, isYellow: yellow, isRed: red, skipped: dim}[f.Status]
	const markWidth, nameWidth = 4, 13
	indent := markWidth + 2 + nameWidth + 2
	room, first := 0, pad(f.Check, nameWidth)
	if width := p.width(); width > 0 {
		room = width - indent
		if room < 20 { // too narrow for columns
			indent, room = 2, max(width-2, 4)
			p.Printf("%s %s\n", p.Paint(look, mark), p.Paint(bold, f.Check))
			first = ""
		}
	}
	text := wrap(safe(f.Text), room)
	if f.Do != "" {
		text = append(text, wrap("-> "+safe(f.Do), room)...)
	}
	for i, l := range text {
		if i == 0 && first != "" {
			p.Printf("%s  %s  %s\n", p.Paint(look, pad(mark, markWidth)), p.Paint(bold, first), l)
			continue
		}
		p.Printf("%s%s\n", strings.Repeat(" ", indent), l)
	}
	return p.failure()
}

// fine, look and fail make findings.
func fine(format string, a ...any) finding {
	return finding{Status: isGreen, Text: fmt.Sprintf(format, a...)}
}

func look(do, format string, a ...any) finding {
	return finding{Status: isYellow, Text: fmt.Sprintf(format, a...), Do: do}
}

func fail(err error, do, format string, a ...any) finding {
	return finding{Status: isRed, Text: fmt.Sprintf(format, a...), Do: do, err: err}
}

// failed is a request that failed. what is the advice when nothing better is known.
func failed(err error, what string) finding {
	text, do := err.Error(), advice(err)
	var usage *usageError
	if do == "" && !errors.As(err, &usage) {
		do = what
	}
	if datasource.Temporary(err) {
		do = "Fliplet cannot be reached or is busy: check the network, --region and --url, and try again."
	}
	return fail(err, do, "%s", text)
}

// watch counts what goes over the network, and looks at the server's clock.
type watch struct {
	next http.RoundTripper

	mu       sync.Mutex
	requests int
	refused  int           // with 429
	slowest  time.Duration // to the head of the answer
	skew     time.Duration // of the server's clock to this one
	margin   time.Duration // how far off skew may be
	dated    bool
}

// RoundTrip makes the request.
func (w *watch) RoundTrip(r *http.Request) (*http.Response, error) {
	start := time.Now()
	resp, err := w.next.RoundTrip(r)
	took := time.Since(start)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.requests++
	w.slowest = max(w.slowest, took)
	if err != nil {
		return resp, err
	}
	if resp.StatusCode == http.StatusTooManyRequests {
		w.refused++
	}
	if at, err := http.ParseTime(resp.Header.Get("Date")); err == nil && (!w.dated || took/2+time.Second < w.margin) {
		// Date has whole seconds, so half a second is the best guess of what was cut off.
		w.skew, w.margin, w.dated = at.Add(500*time.Millisecond).Sub(start.Add(took/2).Round(0)), took/2+time.Second, true
	}
	return resp, nil
}
