// Command sim plays a fleet against a model of a server on virtual time, and compares what
// its listeners get with what was written.
//
//	go run ./internal/fleet/sim -users 5000 -conversations 10000 -rate 200 -for 1h
package main

import (
	"flag"
	"fmt"
	"os"
	"reflect"
	"runtime"
	"slices"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/feed"
)

func byCreation(rows []feed.Row, limit int) []feed.Row {
	sortCreated(rows)
	slices.Reverse(rows)
	return rows[:min(len(rows), limit)]
}

func sortCreated(rows []feed.Row) {
	slices.SortFunc(rows, func(a, b feed.Row) int {
		return feed.Key{Time: a.Created, ID: a.ID}.Compare(feed.Key{Time: b.Created, ID: b.ID})
	})
}

func options(f *flag.FlagSet) *Options {
	o := new(Options)
	f.StringVar(&o.Strategy, "strategy", "list", "sweep, list, bell, audit, cover, across, single, or choose")
	f.Uint64Var(&o.Seed, "seed", 1, "of the run")
	f.IntVar(&o.Users, "users", 5000, "who listen")
	f.IntVar(&o.Conversations, "conversations", 10000, "of two to four users each")
	f.IntVar(&o.Bot, "bot", 2000, "conversations that one user is in")
	f.Float64Var(&o.Rate, "rate", 200, "messages of others in a second")
	f.Float64Var(&o.Sends, "sends", 5, "messages of the process's own in a second")
	f.Float64Var(&o.Edits, "edits", 0.05, "changes for each message")
	f.Float64Var(&o.Deletes, "deletes", 0.001, "deletions for each message")
	f.IntVar(&o.Bursts, "bursts", 10, "of messages in one conversation")
	f.IntVar(&o.Burst, "burst", 300, "messages in a burst of 20 s")
	f.IntVar(&o.Joins, "joins", 500, "users who join a conversation within 10 s")
	f.IntVar(&o.Blocked, "blocked", 20, "listeners that take nothing for 3 min")
	f.DurationVar(&o.For, "for", time.Hour, "how long the run is, on virtual time")
	f.IntVar(&o.Limit, "limit", 200, "requests in any window of -per")
	f.DurationVar(&o.Per, "per", 10*time.Second, "the window of the limit")
	f.DurationVar(&o.Outage, "outage", 30*time.Second, "how long the server is down, each time")
	f.IntVar(&o.Outages, "outages", 1, "times that it is")
	f.BoolVar(&o.Archive, "archive", false, "one listener to all conversations in place of the users")
	f.Float64Var(&o.BellsLost, "lost", 0.01, "share of bells that are lost")
	f.Float64Var(&o.BellsDoubled, "doubled", 0.01, "share that ring twice")
	f.Float64Var(&o.BellsForged, "forged", 0, "forged bells for each true one")
	f.Float64Var(&o.Flood, "flood", 0, "forged bells in a second")
	f.BoolVar(&o.FloodOne, "one", false, "all of them name one conversation, which gets a message a second")
	f.DurationVar(&o.AuditLag, "auditlag", 3*time.Second, "of the audit log")
	f.BoolVar(&o.Stuck, "stuck", false, "the times in the list of conversations do not move")
	f.IntVar(&o.Contents, "contents", 0, "entries whose content the log keeps, 0 for the default")
	f.Float64Var(&o.Failing, "failing", 0, "share of the reads of forgotten content that fail")
	f.Float64Var(&o.Behind, "behind", 0, "share of the reads that are answered by a machine that is behind")
	f.DurationVar(&o.Lag, "lag", 20*time.Second, "how far it is")
	f.DurationVar(&o.Back, "back", 0, "by how much the server's clock is set back in the middle of the run")
	f.DurationVar(&o.Stand, "stand", 0, "how long it stands still then")
	f.IntVar(&o.Strangers, "strangers", 0, "requests of another process that shares the limit, in 10 s")
	f.DurationVar(&o.Refuse, "refuse", 0, "how long joins and the audit log are refused, and half as long queries across, from a quarter of the run on")
	return o
}

func main() {
	o := options(flag.CommandLine)
	beside := flag.Bool("naive", true, "play a poller for each user, too")
	flag.Parse()
	if strategies[o.Strategy] == nil {
		fmt.Fprintf(os.Stderr, "sim: there is no strategy %q\n", o.Strategy)
		os.Exit(2)
	}
	began := time.Now()
	r := newRun(*o, none)
	r.play()
	r.report(os.Stdout)
	if *beside {
		reportNaive(os.Stdout, *o)
	}
	failed := r.oracle.failed()
	fmt.Fprintf(os.Stdout, "%-34s %.1f KB\n", "heap for each user", r.heap()/float64(o.Users)/1024)
	fmt.Fprintf(os.Stdout, "%-34s %s\n", "wall time", time.Since(began).Round(100*time.Millisecond))
	if failed {
		os.Exit(1)
	}
}

// heap is what the fleet, its log and all listeners take, at most. The run is over after it.
func (r *run) heap() float64 {
	versions := cap(r.world.vers) * int(reflect.TypeFor[wver]().Size()) // rows in the log point to them
	r.world, r.oracle, r.queue = nil, nil, queue{}
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	runtime.KeepAlive(r)
	return float64(m.HeapAlloc) - float64(versions)
}
