package flipletd

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

// How much of a dump is shown.
const (
	dumpedSources  = 30
	dumpedRows     = 5
	dumpedRequests = 30
	dumpedHooks    = 10
)

// Dump writes the state and the last requests for a person to read. It names
// columns but shows no values except those that identify a message: a dump
// ends up in logs, and rows hold tokens and bodies.
func (s *Server) Dump(w io.Writer) {
	sources := s.Sources()
	fmt.Fprintf(w, "fliplet at %s: %d data sources, %d pushes, %d rows dropped by omission\n",
		timeText(s.Now()), len(sources), len(s.Pushes()), s.Dropped())
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	for i, src := range sources {
		if i == dumpedSources {
			fmt.Fprintf(t, "\t… and %d more\n", len(sources)-i)
			break
		}
		kind := orElse(src.Type, "-")
		if src.Trashed {
			kind += " (trashed)"
		}
		fmt.Fprintf(t, "%d\t%s\t%q\t%d live\t%d deleted\tupdated %s\n", src.ID, kind, src.Name, src.Live, src.Deleted, timeText(src.UpdatedAt))
		if p := textList(src.Definition["participants"]); p != nil {
			fmt.Fprintf(t, "\tparticipants\t%s\n", strings.Join(p, ", "))
		}
		rows := s.Rows(src.ID)
		for _, r := range rows[max(0, len(rows)-dumpedRows):] {
			fmt.Fprintf(t, "\t#%d\t%s\n", r.ID, describe(r))
		}
	}
	_ = t.Flush()
	requests := s.Requests()
	requests = requests[max(0, len(requests)-dumpedRequests):]
	fmt.Fprintf(w, "last %d requests\n", len(requests))
	for _, r := range requests {
		query := r.Query
		if query != "" {
			query = "?" + query
		}
		status := "dropped"
		if r.Status != 0 {
			status = fmt.Sprint(r.Status)
		}
		fmt.Fprintf(w, "  %s %s %s%s (%d bytes) %s\n", timeText(r.Time), r.Method, r.Path, query, r.BodySize, status)
	}
	hooks := s.HookCalls()
	if hooks = hooks[max(0, len(hooks)-dumpedHooks):]; len(hooks) > 0 {
		fmt.Fprintf(w, "last %d hooks\n", len(hooks))
	}
	for _, h := range hooks {
		fmt.Fprintf(w, "  %s %s on %s of %d#%d", timeText(h.Time), h.Type, orElse(h.RunOn, "nothing"), h.DataSourceID, h.EntryID)
		for _, part := range []string{h.Lever, h.Err} {
			if part != "" {
				fmt.Fprintf(w, ", %s", part)
			}
		}
		if h.Status != 0 {
			fmt.Fprintf(w, ", answered %d", h.Status)
		}
		fmt.Fprintln(w)
	}
	for _, err := range s.Faults() {
		fmt.Fprintf(w, "server error: %v\n", err)
	}
}

// describe is one row without its contents.
func describe(r Row) string {
	var b strings.Builder
	fmt.Fprintf(&b, "created %s updated %s", timeText(r.CreatedAt), timeText(r.UpdatedAt))
	if r.DeletedAt != nil {
		fmt.Fprintf(&b, " deleted %s", timeText(*r.DeletedAt))
	}
	if from, ok := r.Data["fromUserId"].(string); ok {
		fmt.Fprintf(&b, " from %s", from)
	}
	if read := textList(r.Data["readBy"]); read != nil {
		fmt.Fprintf(&b, " read by %s", strings.Join(read, ", "))
	}
	fmt.Fprintf(&b, " columns %s", strings.Join(slices.Sorted(maps.Keys(r.Data)), ", "))
	return b.String()
}
