package limiter_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/longtest"
	"github.com/fliplet/fliplet-chat-go/internal/patch"
	"github.com/fliplet/fliplet-chat-go/limiter"
)

// Replicas join, leave, die, are suspended and cut off, answers and the record are lost, and what they want changes all
// the time. The server counts in a sliding window.
func TestReplicasNeverExceedTheLimitWhateverHappensToThem(t *testing.T) {
	t.Parallel()
	for seed := range uint64(longtest.Size(1, 8)) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			virtual(t, func(t *testing.T) { soak(t, seed, time.Hour) })
		})
	}
}

// Whoever closes gives back what it has not started. What it has started is nobody's until the window is over, also of a
// process that had not been there for a window.
func TestReplicasNeverExceedTheLimitWhenTheyAreReplacedSoonerThanAWindow(t *testing.T) {
	t.Parallel()
	for replicas := 1; replicas <= 4; replicas++ {
		for _, pause := range []time.Duration{500 * time.Millisecond, 2 * time.Second, 6 * time.Second} {
			t.Run(fmt.Sprintf("%d of 4, one every %s", replicas, pause), func(t *testing.T) {
				virtual(t, func(t *testing.T) {
					w := newWorld(t, uint64(replicas))
					var all []*replica
					begin := func() *replica {
						r := w.start(limiter.Options{Replicas: 4})
						w.wants(r, 50)
						return r
					}
					for range replicas {
						all = append(all, begin())
					}
					time.Sleep(time.Minute)
					for range 100 {
						time.Sleep(time.Duration(w.random.Int64N(int64(2 * pause))))
						i := w.random.IntN(replicas)
						all[i].closes(t)
						all[i] = begin()
					}
					time.Sleep(time.Minute)
					_, fullest := w.seen()
					t.Log("the fullest window has", fullest)
					w.kept()
					for _, r := range all {
						r.ends()
					}
				})
			})
		}
	}
}

func soak(t *testing.T, seed uint64, length time.Duration) {
	const most = 4
	w := newWorld(t, seed)
	w.travel = per / 50
	r := w.random
	var all, asleep []*replica
	begin := func() {
		one := w.start(limiter.Options{Replicas: most})
		w.wants(one, r.IntN(60))
		all = append(all, one)
	}
	happened := map[string]int{}
	begin()
	for began := time.Now(); time.Since(began) < length; {
		time.Sleep(time.Duration(r.IntN(15_000)) * time.Millisecond)
		if len(all) == 0 {
			begin()
		}
		i := r.IntN(len(all))
		one := all[i]
		what := ""
		switch k := r.IntN(24); {
		case k < 7:
			what = "demand"
			w.wants(one, []int{0, 1, 10, 100, 200}[r.IntN(5)])
		case k < 10 && len(all) < most:
			what = "join"
			begin()
		case k < 11:
			what = "leave"
			if len(asleep) == 0 || one != asleep[0] {
				one.ends()
				all = append(all[:i], all[i+1:]...)
			}
		case k < 13:
			what = "death"
			if len(asleep) == 0 || one != asleep[0] {
				one.dies()
				all = append(all[:i], all[i+1:]...)
				if r.IntN(2) == 0 {
					begin() // at once
				}
			}
		case k < 15:
			what = "suspension"
			if len(asleep) == 0 {
				one.way.suspend()
				asleep = append(asleep, one)
			}
		case k < 17:
			what = "resumption"
			if len(asleep) > 0 {
				asleep[0].way.resume()
				asleep = nil
			}
		case k < 20:
			what = "fault of one"
			one.way.set(fault(r.IntN(int(faults))))
		case k < 21:
			what = "fault of all"
			f := fault(r.IntN(int(faults)))
			for _, one := range all {
				one.way.set(f)
			}
		case k < 23:
			what = "repair"
			for _, one := range all {
				one.way.set(well)
			}
		case r.IntN(3) == 0:
			what = "loss of the record"
			if r.IntN(2) == 0 {
				require.NoError(t, w.store.Delete(t.Context(), key))
			} else {
				require.NoError(t, w.store.Set(t.Context(), key, []byte("damaged")))
			}
		}
		happened[what]++
	}
	if len(asleep) > 0 {
		asleep[0].way.resume()
	}
	for _, one := range all {
		one.way.set(well)
	}
	time.Sleep(90 * time.Second)
	for _, one := range all {
		require.NoError(t, one.Err(), "it recovers by itself")
		w.wants(one, 100)
	}
	time.Sleep(30 * time.Second)
	assert.GreaterOrEqual(t, rate(all...), n*85/100)
	refused, fullest := w.seen()
	t.Logf("seed %d: %d requests, %d refused, the fullest window has %d; %v", seed, w.count(), refused, fullest, happened)
	w.kept()
	assert.Greater(t, fullest, n*85/100, "it has to come near the limit")
	for _, one := range all {
		one.ends()
	}
}

// Each is a defect that the soak has to notice.
var mutants = map[string]patch.Edit{
	"a share may grow before others have given theirs back": {File: "limiter/record.go", Old: "n -= m.Hold", New: "n -= min(m.Hold, r.share(m.ID))"},
	"what was started is forgotten when a share shrinks":    {File: "limiter/renew.go", Old: "max(share, used-own, 0)", New: "max(share, 0*own)"},
	"what was started before the fallback is taken for it":  {File: "limiter/renew.go", Old: "own := l.own()", New: "own := l.fallback"},
	"a share does not end by itself":                        {File: "limiter/renew.go", Old: "Until: l.until,", New: "Until: l.until.Add(time.Hour),"},
	"a lease counts from its answer":                        {File: "limiter/renew.go", Old: "from.Add(l.valid)", New: "from.Add(l.valid + time.Since(from))"},
	"the share of the dead is taken when it ends":           {File: "limiter/renew.go", Old: "unseen >= l.lease-l.beat*3/2", New: "unseen >= l.valid"},
	"a share is taken before it is written":                 {File: "limiter/renew.go", Old: "l.share = min(l.share, share) //", New: "l.share = share //"},
	"requests that travel longer are not thought of":        {File: "limiter/limiter.go", Old: "per + min(per/50, (opts.Lease-per)/20)", New: "per"},
	"a look counts from before it":                          {File: "limiter/renew.go", Old: "now := time.Now()\n\tthere", New: "now := read\n\tthere"},
	"a lost record is taken for the first one":              {File: "limiter/record.go", Old: "Hold: s.n - s.replicas*s.fallback", New: "Hold: 0"},
	"the fallback is used at once":                          {File: "limiter/renew.go", Old: "time.Since(l.born) < l.span", New: "l.n == 0"},
	"those that have left are forgotten at once":            {File: "limiter/renew.go", Old: "m.Left && unseen >= l.per+l.per/10", New: "m.Left"},
}

func TestTheSoakNoticesDefects(t *testing.T) {
	t.Parallel()
	longtest.Only(t, "it compiles the limiter with defects")
	root, err := patch.Root()
	require.NoError(t, err)
	for name, edit := range mutants {
		t.Run(name, func(t *testing.T) {
			overlay, err := patch.Overlay(root, t.TempDir(), []patch.Edit{edit})
			require.NoError(t, err)
			cmd := exec.CommandContext(t.Context(), "go", "test", "-overlay="+overlay, "-count=1", "-run=^TestReplicasNeverExceed", "./limiter")
			cmd.Dir, cmd.Env = root, append(os.Environ(), "CHAT_LONG=1")
			out, err := cmd.CombinedOutput()
			require.Error(t, err, "nobody noticed")
			require.True(t, strings.Contains(string(out), "requests that the server refused"), "%s", out)
		})
	}
}
