package main

import (
	"fmt"
	"strings"

	"github.com/alecthomas/kong"
)

type manCmd struct{}

// Help is the part of -h that says how to use it.
func (*manCmd) Help() string { return "flchat man | man -l -" }

// Run prints the manual page, made of the same words as -h.
func (*manCmd) Run(a *app, k *kong.Kong) error {
	a.out.Printf("%s", manPage(k.Model.Node))
	return nil
}

const manAbout = `flchat shows the chats of a Fliplet app to whoever runs it, sends messages, and says what a chat lacks. On a terminal it writes for people: colours, names, local times, lines as wide as the terminal. Into a pipe or a file it writes one JSON object a line, without colours.

The token is never a flag, since everybody on a machine can read command lines. It comes from --token-file, or else from FLIPLET_TOKEN, or from the configuration, or is asked for on a terminal.`

// manAfter is what follows the options: a title, and lines. A line with a tab is a term and what it means.
var manAfter = []struct{ title, text string }{
	{"EXIT STATUS", "0\tall went well\n1\tsomething else failed, such as a full disk, or a check found something\n2\twhat was given cannot be used; the message names what to do\n3\tthe network or the service failed; the same command may work later\n130\tCtrl-C"},
	{"FILES", "flchat/config.json\tThe configuration, in the user's directory of configurations (~/.config on Linux): a JSON object of the long names of flags and their values, and \"token\". Others must not be able to read it (mode 0600).\n"},
	{"EXAMPLES", "flchat doctor\tsays what is in order and what is not\nflchat tail -c 123 --since 1h\tshows the last hour of a conversation, and what comes\nflchat tail -o json | jq -r .body\tthe same for programs\necho hello | flchat send -c 123\tsends a message\nflchat tail --local\tneeds no account: a local Fliplet with a few people in it"},
}

func manPage(root *kong.Node) string {
	var b strings.Builder
	b.WriteString(".TH FLCHAT 1\n.SH NAME\nflchat \\- look into the chats of a Fliplet app, send, and check\n.SH SYNOPSIS\n.B flchat\n.I command\n.RI [ flags ]\n.SH DESCRIPTION\n")
	for paragraph := range strings.SplitSeq(manAbout, "\n\n") {
		fmt.Fprintf(&b, ".PP\n%s\n", roff(paragraph))
	}
	b.WriteString(".SH COMMANDS\n")
	for _, c := range shown(root) {
		fmt.Fprintf(&b, ".SS %s\n%s\n", roff(strings.TrimPrefix(c.Summary(), "flchat ")), roff(c.Help))
		if c.Detail != "" {
			fmt.Fprintf(&b, ".PP\n.nf\n%s\n.fi\n", roff(c.Detail))
		}
		for _, p := range c.Positional {
			fmt.Fprintf(&b, ".TP\n%s\n%s\n", roff(p.Summary()), roff(p.Help))
		}
		manFlags(&b, flagsOf(c))
	}
	b.WriteString(".SH OPTIONS\nThese serve all commands.\n")
	manFlags(&b, flagsOf(root))
	b.WriteString(".SH ENVIRONMENT\n.TP\nFLIPLET_TOKEN\nThe token.\n.TP\nNO_COLOR\nNo colours, if it is not empty.\n")
	for _, f := range flagsOf(root) {
		if from := f.Tag.Get("from"); from != "" {
			fmt.Fprintf(&b, ".TP\n%s\nAs \\-\\-%s.\n", roff(from), roff(f.Name))
		}
	}
	for _, s := range manAfter {
		fmt.Fprintf(&b, ".SH %s\n", s.title)
		for l := range strings.Lines(s.text) {
			term, text, _ := strings.Cut(strings.TrimSuffix(l, "\n"), "\t")
			fmt.Fprintf(&b, ".TP\n%s\n%s\n", roff(term), roff(text))
		}
	}
	return b.String()
}

func manFlags(b *strings.Builder, flags []*kong.Flag) {
	for _, f := range flags {
		name := strings.Join(spellings(f), ", ")
		if !f.IsBool() {
			name += " " + f.FormatPlaceHolder()
		}
		fmt.Fprintf(b, ".TP\n%s\n%s\n", roff(name), roff(f.Help))
	}
}

// roff makes text harmless for the formatter: no escapes, and no requests at the beginning of a line.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text)
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, ".") || strings.HasPrefix(l, "'") {
			lines[i] = `\&` + l
		}
	}
	return strings.Join(lines, "\n")
}
