package main

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const (
	beginMark = "<!-- bench: written by \"make bench\"; begin -->"
	endMark   = "<!-- bench: end -->"
	// apart is by how much ratios must differ for the page to claim an order.
	apart = 1.15
	// The columns that are compared.
	cpuColumn, allocsColumn = "CPU × floor", "allocations each"
)

// Result is one whole run.
type Result struct {
	Machine Machine `json:"machine"`
	Rounds  int     `json:"rounds"`
	Quick   bool    `json:"quick"`
	Tables  []Table `json:"tables"`
	Scores  []Score `json:"scores"`
}

// heading is the line above a table.
func (t Table) heading() string {
	return fmt.Sprintf("### %s: %s messages\n", t.Title, thousands(t.N))
}

// markdown is what the page shows of a result.
func (r Result) markdown() string {
	var b strings.Builder
	m := r.Machine
	fmt.Fprintf(&b, "Measured on %d processors (%s), %s, %s/%s, load %s before and %s after, %s of the processors' time taken by the host meanwhile, %s. %d rounds.\n",
		m.CPUs, m.Model, m.Go, m.OS, m.Arch, m.LoadBefore, m.LoadAfter, m.Stolen, m.Date, r.Rounds)
	for _, t := range r.Tables {
		fmt.Fprintf(&b, "\n%s\n![%s](images/bench-%s.svg)\n\n", t.heading(), t.Title, t.Name)
		wire := t.Name == "receive"
		b.WriteString("| " + t.Title + " | " + cpuColumn + " | wall × floor | " + allocsColumn + " | bytes each | peak MB |")
		if wire {
			b.WriteString(" message on the wire, bytes | CPU × floor, for each byte |\n|---|---|---|---|---|---|---|---|\n")
		} else {
			b.WriteString(" CPU × floor of its own service |\n|---|---|---|---|---|---|---|\n")
		}
		floor := 0
		for _, row := range t.Rows {
			if row.Name == "floor" {
				floor = row.Wire
			}
		}
		for _, row := range t.Rows {
			fmt.Fprintf(&b, "| %s | %s | %s | %.1f | %s | %.0f |", row.Name, spread(row.CPU), spread(row.Wall), row.Allocs, thousands(int(row.Bytes)), row.PeakMB)
			if wire {
				fmt.Fprintf(&b, " %d | %.2f |", row.Wire, median(row.CPU)*float64(floor)/float64(max(row.Wire, 1)))
			} else {
				b.WriteString(" " + spread(row.Own) + " |")
			}
			b.WriteByte('\n')
		}
	}
	for _, sc := range scenarios() {
		for _, s := range r.Scores {
			if s.Name == sc.Name {
				s.markdown(&b, sc)
			}
		}
	}
	b.WriteString("\n### The libraries and the calls\n\n| library | version | calls |\n|---|---|---|\n")
	seen := map[string]bool{}
	line := func(name, module, way string) {
		if !seen[name] && module != "" {
			seen[name] = true
			fmt.Fprintf(&b, "| %s | %s | %s |\n", name, m.Versions[module], way)
		}
	}
	for _, c := range everybody() {
		line(c.Name, c.Module, c.Way)
	}
	return b.String()
}

func (s Score) markdown(b *strings.Builder, sc scenario) {
	fmt.Fprintf(b, "\n### %s\n\n| %s |", sc.Title, sc.Title)
	for _, c := range sc.columns {
		b.WriteString(" " + c.title + " |")
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(sc.columns)) + "\n")
	for _, row := range s.Rows {
		fmt.Fprintf(b, "| %s |", row.Name)
		for _, c := range sc.columns {
			b.WriteString(" " + cell(c.key, row.Counts[c.key]) + " |")
		}
		b.WriteByte('\n')
	}
}

func cell(key string, v float64) string {
	switch {
	case v == notApplicable:
		return "has one"
	case v >= ms(stops) && (key == "stop ms" || key == "slowest ms"):
		return fmt.Sprintf("not within %s", thousands(int(ms(stops))))
	case strings.HasSuffix(key, "each"):
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return thousands(int(v + 0.5))
}

// spread is the median, and the quartiles of more than one.
func spread(list []float64) string {
	if len(list) < 2 {
		return fmt.Sprintf("%.2f", median(list))
	}
	low, high := quartiles(list)
	return fmt.Sprintf("%.2f (%.2f–%.2f)", median(list), low, high)
}

// quartiles are the bounds of the middle half. One round in which the machine was busy with
// something else does not move them.
func quartiles(list []float64) (low, high float64) {
	sorted := slices.Sorted(slices.Values(list))
	half := len(sorted) / 2
	if len(sorted) < 2 {
		return median(sorted), median(sorted)
	}
	return median(sorted[:len(sorted)-half]), median(sorted[half:])
}

func thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// split cuts a page at its marks.
func split(page string) (before, inside, after string, err error) {
	before, rest, ok := strings.Cut(page, beginMark)
	if !ok {
		return "", "", "", fmt.Errorf("the page has no %q", beginMark)
	}
	inside, after, ok = strings.Cut(rest, endMark)
	if !ok {
		return "", "", "", fmt.Errorf("the page has no %q", endMark)
	}
	return before, inside, after, nil
}

// write puts a result into the page.
func (r Result) write(path string) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, _, after, err := split(string(raw))
	if err != nil {
		return err
	}
	return os.WriteFile(path, []byte(before+beginMark+"\n\n"+r.markdown()+"\n"+endMark+after), 0o644)
}

// claim is what the page says of one contender in one table: the median of its ratios and
// their quartiles, or a count of the scoreboard.
type claim struct {
	name             string
	value, low, high float64
}

// before reports whether a claims to be before b: apart, and by more than what varies.
func (a claim) before(b claim) bool { return a.value*apart <= b.value && a.high < b.low }

var (
	leading = regexp.MustCompile(`^[\d.,]+`)
	bracket = regexp.MustCompile(`\(([\d.]+)–([\d.]+)\)`)
)

// claims reads a table of the page: its first two columns, or the one of that title.
func claims(page, table, title string) []claim {
	var out []claim
	at := -1
	for line := range strings.Lines(page) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		switch {
		case at < 0 && cells[0] == table:
			for i, c := range cells {
				if c == title {
					at = i
				}
			}
		case at >= 0 && len(cells) <= at:
			return out
		case at >= 0:
			if v, err := strconv.ParseFloat(strings.ReplaceAll(leading.FindString(cells[at]), ",", ""), 64); err == nil {
				c := claim{cells[0], v, v, v}
				if m := bracket.FindStringSubmatch(cells[at]); m != nil {
					c.low, _ = strconv.ParseFloat(m[1], 64)
					c.high, _ = strconv.ParseFloat(m[2], 64)
				}
				out = append(out, c)
			}
		}
	}
	return out
}

// contradictions are the claims of a page that a result does not bear out: an order of two
// whose ratios the page has at least 15 % apart and whose quartiles do not overlap, and a zero of this SDK
// on the scoreboard. Whoever the page has and the run has not, such as a library that was renamed, bears nothing out.
func (r Result) contradictions(page string) []string {
	out := r.absent(page)
	for _, t := range r.Tables {
		now := map[string]float64{}
		for _, row := range t.Rows {
			now[row.Name] = median(row.CPU)
		}
		said := claims(page, t.Title, cpuColumn)
		for i, a := range said {
			for _, b := range said[i+1:] {
				if a.value > b.value {
					a, b = b, a
				}
				x, known := now[a.name]
				y, too := now[b.name]
				if known && too && a.before(b) && x >= y {
					out = append(out, fmt.Sprintf("%s: the page has %s at %.2f and %s at %.2f; this run %.2f and %.2f", t.Title, a.name, a.value, b.name, b.value, x, y))
				}
			}
		}
	}
	for _, sc := range scenarios() {
		for _, s := range r.Scores {
			if s.Name != sc.Name {
				continue
			}
			for _, col := range sc.columns {
				for _, c := range claims(page, sc.Title, col.title) {
					for _, row := range s.Rows {
						if row.Name == c.name && promised(row.Name, col.key) && c.value == 0 && row.Counts[col.key] > 0 {
							out = append(out, fmt.Sprintf("%s, %s: the page has none for %s; this run %v", sc.Title, col.title, c.name, row.Counts[col.key]))
						}
					}
				}
			}
		}
	}
	return out
}

// absent are those of whom the page claims something in a table of which the result knows nothing.
func (r Result) absent(page string) []string {
	var out []string
	missing := func(table string, said []claim, has func(name string) bool) {
		for _, c := range said {
			if !has(c.name) {
				out = append(out, fmt.Sprintf("%s: the page has %s, and this run has not", table, c.name))
			}
		}
	}
	for _, t := range r.Tables {
		missing(t.Title, claims(page, t.Title, cpuColumn), func(name string) bool {
			return slices.ContainsFunc(t.Rows, func(row Row) bool { return row.Name == name })
		})
	}
	for _, sc := range scenarios() {
		for _, s := range r.Scores {
			if s.Name == sc.Name {
				missing(sc.Title, claims(page, sc.Title, sc.columns[0].title), func(name string) bool {
					return slices.ContainsFunc(s.Rows, func(row Count) bool { return row.Name == name })
				})
			}
		}
	}
	return out
}

// promised are the zeros that this SDK promises. What other libraries do in a race may be
// another thing in another run.
func promised(name, key string) bool {
	return strings.HasPrefix(name, "fliplet-chat-go") && (key == "lost" || key == "twice" || key == "late" || key == "running" || key == "later")
}

// drifts are ratios that are more than 15 % away from those of the page.
func (r Result) drifts(page string) []string {
	var out []string
	for _, t := range r.Tables {
		for _, said := range claims(page, t.Title, cpuColumn) {
			for _, row := range t.Rows {
				if now := median(row.CPU); row.Name == said.name && max(now, said.value) > apart*min(now, said.value) {
					out = append(out, fmt.Sprintf("%s: %s is at %.2f; the page has %.2f", t.Title, row.Name, now, said.value))
				}
			}
		}
	}
	return out
}
