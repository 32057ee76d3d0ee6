package main

import (
	"strings"
	"unicode"

	"github.com/rivo/uniseg"
)

// obeyed says that terminals act on a character instead of showing it, or that it lets them
// show something else than what is there. Marks that only say which way a word runs are none.
func obeyed(r rune) bool {
	switch {
	case r == '\u200e', r == '\u200f', r == '\u061c':
		return false
	case r == '\u2028', r == '\u2029', r == '\ufeff':
		return true
	}
	return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)
}

// safe makes text harmless that others have written. Lines and tabs stay.
func safe(text string) string {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n':
			return r
		case r == '\t':
			return r
		case obeyed(r):
			return unicode.ReplacementChar
		}
		return r
	}, text)
}

// line is text that others have written, on one line.
func line(text string) string {
	return strings.Join(strings.Fields(safe(text)), " ")
}

// columns is how wide a terminal shows text.
func columns(text string) int { return uniseg.StringWidth(text) }

// cut shortens text to a width.
func cut(text string, width int) string {
	if columns(text) <= width {
		return text
	}
	head, _ := split(text, width-1)
	return head + "…"
}

// pad fills text up to a width.
func pad(text string, width int) string {
	return text + strings.Repeat(" ", max(width-columns(text), 0))
}

// split takes what fits into a width off the front. A character that is wider than that is taken nevertheless.
func split(text string, width int) (head, rest string) {
	used, end, state := 0, 0, -1
	for left := text; left != ""; {
		cluster, next, w, s := uniseg.FirstGraphemeClusterInString(left, state)
		if used+w > width && end > 0 {
			break
		}
		used, end, left, state = used+w, end+len(cluster), next, s
	}
	return text[:end], text[end:]
}

// wrap breaks text into lines of a width, between words where that is possible; 0 does not
// break any line.
func wrap(text string, width int) []string {
	var out []string
paragraphs:
	for paragraph := range strings.SplitSeq(strings.ReplaceAll(text, "\t", "    "), "\n") {
		for width > 0 && columns(paragraph) > width {
			head, rest := split(paragraph, width)
			if at := strings.LastIndexByte(head, ' '); at > 0 && rest[0] != ' ' && strings.TrimSpace(head[:at]) != "" {
				head, rest = head[:at], paragraph[at+1:]
			}
			out = append(out, strings.TrimRight(head, " "))
			if paragraph = strings.TrimLeft(rest, " "); paragraph == "" {
				continue paragraphs
			}
		}
		out = append(out, paragraph)
	}
	return out
}

// table shows rows below a header. On a narrow terminal the widest columns are cut. Styles
// are those of the columns.
func table(p *printer, header []string, rows [][]string, styles ...style) {
	widths := make([]int, len(header))
	for _, row := range append([][]string{header}, rows...) {
		for i, cell := range row {
			widths[i] = max(widths[i], columns(cell))
		}
	}
	if room := p.width(); room > 0 {
		total := 2 * (len(widths) - 1)
		for _, w := range widths {
			total += w
		}
		for ; total > room; total-- {
			widest := 0
			for i, w := range widths {
				if w > widths[widest] {
					widest = i
				}
			}
			if widths[widest] <= 3 {
				break
			}
			widths[widest]--
		}
	}
	show := func(row []string, styles ...style) {
		var b strings.Builder
		for i, cell := range row {
			text := cut(cell, widths[i])
			if i < len(row)-1 {
				text = pad(text, widths[i])
			}
			if i < len(styles) {
				text = p.Paint(styles[i], text)
			}
			b.WriteString(text)
			if i < len(row)-1 {
				b.WriteString("  ")
			}
		}
		p.Printf("%s\n", strings.TrimRight(b.String(), " "))
	}
	all := make([]style, len(header))
	for i := range all {
		all[i] = bold
	}
	show(header, all...)
	for _, row := range rows {
		show(row, styles...)
	}
}
