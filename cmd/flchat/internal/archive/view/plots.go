package view

import (
	"cmp"
	"context"
	"fmt"
	"html"
	"math"
	"slices"
	"strings"
	"time"
)

// numbers are what the plots show.
type numbers struct {
	days     map[int64]int // messages by day, counted from 1970
	people   map[string]int
	hours    [7][24]int // from Monday
	messages int
	first    time.Time
	last     time.Time
}

func (n *numbers) add(at time.Time, author string) {
	n.messages++
	n.people[author]++
	year, month, day := at.Date()
	n.days[time.Date(year, month, day, 0, 0, 0, 0, time.UTC).Unix()/86400]++
	n.hours[(int(at.Weekday())+6)%7][at.Hour()]++
	if n.first.IsZero() || at.Before(n.first) {
		n.first = at
	}
	if at.After(n.last) {
		n.last = at
	}
}

// count reads the times and authors of all messages that are shown.
func (s *shown) count(ctx context.Context) (*numbers, error) {
	n := &numbers{days: map[int64]int{}, people: map[string]int{}}
	for i := range s.talks {
		for first, err := range s.Firsts(ctx, s.talks[i].ID) {
			if err != nil {
				return nil, err
			}
			at := first.Created
			if !s.o.Since.IsZero() && at.Before(s.o.Since) || !s.o.Until.IsZero() && !at.Before(s.o.Until) {
				continue
			}
			n.add(at.In(s.o.Zone), first.Author)
		}
	}
	return n, nil
}

// mostBars is how many bars the plot of days has: beyond that, days are put together.
const mostBars = 370

// steps are how many days may be put together.
var steps = []int64{1, 7, 28, 91, 364}

const (
	plotWidth  = 900
	plotHeight = 220
	edgeLeft   = 56
	edgeBottom = 28
	edgeTop    = 12
)

// svgHead begins a plot. Colours are those of the page's style.
func svgHead(out *strings.Builder, height int, id, label string) {
	fmt.Fprintf(out, `<svg id="%s" viewBox="0 0 %d %d" role="img" aria-label="%s">`, id, plotWidth, height, html.EscapeString(label))
}

// perDay is a bar for each day, or for some days where there are many.
func (n *numbers) perDay() (title, svg string) {
	if len(n.days) == 0 {
		return "Messages per day", ""
	}
	low, high := int64(math.MaxInt64), int64(math.MinInt64)
	for day := range n.days {
		low, high = min(low, day), max(high, day)
	}
	step := steps[len(steps)-1]
	for _, s := range steps {
		if (high-low)/s < mostBars {
			step = s
			break
		}
	}
	title = "Messages per day"
	if step > 1 {
		title = fmt.Sprintf("Messages in %d days", step)
	}
	first := low
	if bars := (high - low) / step; bars >= 2*mostBars { // a time from nowhere: show the newest
		first = high - (2*mostBars-1)*step
	}
	counts := make([]int, (high-first)/step+1)
	for day, c := range n.days {
		if day >= first {
			counts[(day-first)/step] += c
		}
	}
	top := ceiling(slices.Max(counts))
	var out strings.Builder
	svgHead(&out, plotHeight, "per-day", title)
	y := func(v int) float64 {
		return float64(plotHeight-edgeBottom) - float64(v)*float64(plotHeight-edgeBottom-edgeTop)/float64(top)
	}
	for i := range 5 {
		v := top * i / 4
		fmt.Fprintf(&out, `<path class="rule" d="M%d %.1fH%d"/><text class="end" x="%d" y="%.1f">%d</text>`, edgeLeft, y(v), plotWidth, edgeLeft-6, y(v)+4, v)
	}
	wide := float64(plotWidth-edgeLeft) / float64(len(counts))
	labels := max(1, len(counts)/8)
	for i, c := range counts {
		x := edgeLeft + float64(i)*wide
		date := time.Unix((first+int64(i)*step)*86400, 0).UTC().Format(time.DateOnly)
		if c > 0 {
			fmt.Fprintf(&out, `<rect class="bar" x="%.2f" y="%.1f" width="%.2f" height="%.1f"><title>%s: %d</title></rect>`, x, y(c), max(wide*0.86, 0.5), y(0)-y(c), date, c)
		}
		if i%labels == 0 && x < plotWidth-60 {
			fmt.Fprintf(&out, `<text x="%.1f" y="%d">%s</text>`, x, plotHeight-8, date)
		}
	}
	out.WriteString(`</svg>`)
	return title, out.String()
}

// ceiling is a round number not below n, and a multiple of 4.
func ceiling(n int) int {
	for unit := 1; ; unit *= 10 {
		for _, f := range []int{4, 8, 12, 16, 20, 24, 32, 40, 48, 60, 80} {
			if f*unit >= n {
				return f * unit
			}
		}
	}
}

// mostPeople is how many people have a bar of their own.
const mostPeople = 20

// perPerson is a bar for each person, the one with the most messages first.
func (n *numbers) perPerson(name func(string) string) string {
	type person struct {
		id string
		n  int
	}
	var list []person
	for id, c := range n.people {
		list = append(list, person{id, c})
	}
	slices.SortFunc(list, func(a, b person) int { return cmp.Or(cmp.Compare(b.n, a.n), cmp.Compare(a.id, b.id)) })
	rest := 0
	for _, p := range list[min(len(list), mostPeople):] {
		rest += p.n
	}
	others := len(list) - mostPeople
	list = list[:min(len(list), mostPeople)]
	if len(list) == 0 {
		return ""
	}
	top := max(list[0].n, rest)
	const row, left = 24, 220
	rows := len(list)
	if rest > 0 {
		rows++
	}
	var out strings.Builder
	svgHead(&out, rows*row+6, "per-person", "Messages per person")
	bar := func(i int, label string, c int) {
		y := i * row
		wide := float64(c) * float64(plotWidth-left-80) / float64(top)
		fmt.Fprintf(&out, `<text class="end" x="%d" y="%d">%s</text><rect class="bar" x="%d" y="%d" width="%.1f" height="%d"/><text x="%.1f" y="%d">%d</text>`,
			left-8, y+17, html.EscapeString(short(label, 28)), left, y+4, max(wide, 1), row-8, left+wide+6, y+17, c)
	}
	for i, p := range list {
		bar(i, name(p.id), p.n)
	}
	if rest > 0 {
		bar(len(list), fmt.Sprintf("%d others", others), rest)
	}
	out.WriteString(`</svg>`)
	return out.String()
}

// short cuts a text.
func short(text string, n int) string {
	runes := []rune(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, text))
	if len(runes) > n {
		return string(runes[:n-1]) + "…"
	}
	return string(runes)
}

var weekdays = [7]string{"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"}

// heatMap has a field for each hour of each weekday.
func (n *numbers) heatMap() string {
	most := 0
	for _, day := range n.hours {
		most = max(most, slices.Max(day[:]))
	}
	if most == 0 {
		return ""
	}
	const wide, high = 34, 26
	var out strings.Builder
	svgHead(&out, 7*high+edgeBottom, "heat-map", "Messages by hour and weekday")
	for d, day := range n.hours {
		fmt.Fprintf(&out, `<text class="end" x="%d" y="%d">%s</text>`, edgeLeft-8, d*high+18, weekdays[d])
		for h, c := range day {
			// By the square root, so that the quiet hours can be told from the silent ones.
			fmt.Fprintf(&out, `<rect class="cell" x="%d" y="%d" width="%d" height="%d" rx="3" fill-opacity="%.3f"><title>%s %02d:00: %d</title></rect>`,
				edgeLeft+h*wide, d*high+2, wide-3, high-3, 0.06+0.94*math.Sqrt(float64(c)/float64(most))*min(1, float64(c)), weekdays[d], h, c)
		}
	}
	for h := 0; h < 24; h += 3 {
		fmt.Fprintf(&out, `<text x="%d" y="%d">%02d:00</text>`, edgeLeft+h*wide, 7*high+20, h)
	}
	out.WriteString(`</svg>`)
	return out.String()
}
