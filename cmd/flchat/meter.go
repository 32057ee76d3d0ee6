package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/fliplet/fliplet-chat-go/cmd/flchat/internal/archive"
)

// meter shows how far something is: as a bar on a terminal, and as lines elsewhere.
type meter struct {
	out   *printer
	now   func() time.Time
	bar   *progressbar.ProgressBar
	phase archive.Phase
	began time.Time // of the phase
	line  time.Time // when the last line was written
}

// between is the time between two lines where there is no terminal.
const between = 5 * time.Second

func newMeter(out *printer, now func() time.Time) *meter { return &meter{out: out, now: now} }

// show takes how far it is.
func (m *meter) show(p archive.Progress) {
	if p.Phase != m.phase {
		m.end()
		m.phase, m.began, m.line = p.Phase, m.now(), m.now()
		if !m.out.terminal() && p.Phase != archive.Done {
			m.out.Printf("flchat: %s\n", p.Phase)
		}
	}
	n := p.Messages
	if p.Phase == archive.Attachments {
		n = p.Files
	}
	switch {
	case p.Phase == archive.Done || p.Phase == archive.Reading:
	case m.out.terminal():
		m.draw(n, p)
	case m.now().Sub(m.line) >= between:
		m.line = m.now()
		m.out.Printf("flchat: %s\n", m.text(n, p))
	}
}

// draw brings the bar up to date.
func (m *meter) draw(n int64, p archive.Progress) {
	if m.bar == nil {
		m.bar = progressbar.NewOptions64(-1,
			progressbar.OptionSetWriter(m.out),
			progressbar.OptionSetWidth(max(10, min(30, m.out.width()-60))),
			progressbar.OptionSetPredictTime(false),
			progressbar.OptionSetElapsedTime(false),
			progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionClearOnFinish(),
		)
	}
	if p.Total > 0 && n <= p.Total && m.bar.GetMax64() != p.Total {
		m.bar.ChangeMax64(p.Total)
	}
	m.bar.Describe(m.text(n, p))
	_ = m.bar.Set64(n)
}

// text is how far it is, in words.
func (m *meter) text(n int64, p archive.Progress) string {
	seconds := m.now().Sub(m.began).Seconds()
	parts := []string{counted(n, strings.TrimSuffix(string(p.Phase), "s"))}
	if p.Total > 0 && n <= p.Total {
		parts[0] = fmt.Sprintf("%s of %d", parts[0], p.Total)
	}
	parts = append(parts, fmt.Sprintf("%.1f MB", float64(p.Bytes)/1e6))
	if seconds > 0 && n > 0 {
		rate := float64(n) / seconds
		parts = append(parts, fmt.Sprintf("%.0f a second", rate))
		if p.Total > n {
			left := time.Duration(float64(p.Total-n) / rate * float64(time.Second))
			parts = append(parts, left.Round(time.Second).String()+" left")
		}
	}
	return strings.Join(parts, ", ")
}

// end removes the bar.
func (m *meter) end() {
	if m.bar != nil {
		_ = m.bar.Finish()
		m.bar = nil
	}
}

// counted is a number with its noun.
func counted(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// number is an id as text.
func number(id int64) string { return strconv.FormatInt(id, 10) }
