package main

import (
	"strings"

	"github.com/alecthomas/kong"
)

// doubleDashes lets long flags begin with one dash, too, as those of Go's programs do.
func doubleDashes(args []string, parser *kong.Kong) []string {
	known := map[string]bool{}
	var collect func(*kong.Node)
	collect = func(n *kong.Node) {
		for _, f := range n.Flags {
			known[f.Name] = true
		}
		for _, child := range n.Children {
			collect(child)
		}
	}
	collect(parser.Model.Node)
	out := make([]string, len(args))
	rest := false
	for i, arg := range args {
		rest = rest || arg == "--"
		name, _, _ := strings.Cut(strings.TrimPrefix(arg, "-"), "=")
		if out[i] = arg; !rest && len(name) > 1 && strings.HasPrefix(arg, "-") && !strings.HasPrefix(arg, "--") && known[name] {
			out[i] = "-" + arg
		}
	}
	return out
}
