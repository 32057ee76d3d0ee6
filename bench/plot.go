package main

import (
	"fmt"
	"html"
	"os"
	"path/filepath"
	"strings"
)

// plot draws a table: a bar for the median of each contender's ratios to the floor, and a
// line between the quartiles.
func (t Table) plot() string {
	const left, width, row, top = 190, 440, 26, 44
	longest := 0.0
	for _, r := range t.Rows {
		for _, v := range r.CPU {
			longest = max(longest, v)
		}
	}
	x := func(v float64) float64 { return left + v/max(longest, 1e-9)*width }
	height := top + row*len(t.Rows) + 12
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="13">`+"\n", left+width+70, height)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="#fff"/>`+"\n")
	fmt.Fprintf(&b, `<text x="10" y="22" font-weight="bold" fill="#222">%s: processor time × floor, less is better</text>`+"\n", html.EscapeString(t.Title))
	fmt.Fprintf(&b, `<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="#888" stroke-dasharray="3 3"/>`+"\n", x(1), top-6, x(1), height-8)
	for i, r := range t.Rows {
		y, fill := top+row*i, "#9db4c8"
		switch {
		case strings.HasPrefix(r.Name, "fliplet"):
			fill = "#2b7a4b"
		case strings.HasPrefix(r.Name, "floor"):
			fill = "#c9c9c9"
		}
		mid := median(r.CPU)
		low, high := quartiles(r.CPU)
		fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end" fill="#222">%s</text>`+"\n", left-8, y+14, html.EscapeString(r.Name))
		fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%.1f" height="16" fill="%s"/>`+"\n", left, y+1, x(mid)-left, fill)
		fmt.Fprintf(&b, `<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="#222"/>`+"\n", x(low), y+9, x(high), y+9)
		fmt.Fprintf(&b, `<text x="%.1f" y="%d" fill="#222">%.2f</text>`+"\n", x(high)+6, y+14, mid)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// draw writes the pictures of all tables.
func (r Result) draw(dir string) error {
	for _, t := range r.Tables {
		if err := os.WriteFile(filepath.Join(dir, "bench-"+t.Name+".svg"), []byte(t.plot()), 0o644); err != nil {
			return err
		}
	}
	return nil
}
