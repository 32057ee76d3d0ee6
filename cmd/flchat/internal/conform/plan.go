package conform

import (
	"fmt"
	"strings"
	"time"
)

// Plan says in words which writes a run like this one makes.
func (r *Report) Plan() string {
	var b strings.Builder
	probe, sources, files := "", 0, 0
	for _, w := range r.Writes {
		if w.Probe != probe {
			probe = w.Probe
			fmt.Fprintf(&b, "%s\n", probe)
		}
		fmt.Fprintf(&b, "  %-6s %s", w.Method, w.Path)
		if w.What != "" {
			fmt.Fprintf(&b, "  %s", w.What)
		}
		b.WriteByte('\n')
		switch {
		case w.Method == "POST" && w.Path == "/v1/data-sources":
			sources++
		case w.Method == "DELETE" && strings.HasPrefix(w.Path, "/v1/media/files/"):
			files++
		}
	}
	pace := time.Duration(r.Requests) * window / callsShare
	fmt.Fprintf(&b, "\n%d probes, %d requests, of which these %d write; about %s at %d requests in %v, and longer where something comes late.\n",
		len(r.Results), r.Requests, len(r.Writes), pace.Round(10*time.Second), callsShare, window)
	fmt.Fprintf(&b, "%d data sources and %d files are made, each named %q and a random number, and deleted for good at the end.\n", sources, files, strings.TrimSpace(prefix))
	return b.String()
}
