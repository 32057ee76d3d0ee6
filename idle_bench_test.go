package chat_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
)

// atRest is the memory of a process that has let go of what it can.
type atRest struct {
	heap, stack, resident uint64
	goroutines            int
}

func resting(b *testing.B) (a atRest) {
	b.Helper()
	for range 3 {
		runtime.GC()
		debug.FreeOSMemory()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	raw, err := os.ReadFile("/proc/self/statm")
	require.NoError(b, err)
	pages, err := strconv.ParseUint(strings.Fields(string(raw))[1], 10, 64)
	require.NoError(b, err)
	return atRest{m.HeapAlloc, m.StackInuse, pages * uint64(os.Getpagesize()), runtime.NumGoroutine()}
}

// counting counts requests.
type counting struct {
	next http.RoundTripper
	n    atomic.Int64
}

func (c *counting) RoundTrip(r *http.Request) (*http.Response, error) {
	c.n.Add(1)
	return c.next.RoundTrip(r)
}

// BenchmarkIdleChats reports what logged-in, idle chats with a stream cost, which share a
// client, and an empty poll of theirs beside that of a timer with a bare request.
func BenchmarkIdleChats(b *testing.B) {
	for _, chats := range []int{1_000, 10_000} {
		b.Run(fmt.Sprint(chats), func(b *testing.B) { benchmarkIdle(b, chats) })
	}
}

func benchmarkIdle(b *testing.B, chats int) {
	every := time.Duration(chats) * time.Millisecond // a thousand polls a second
	s := startBenchServer(b)
	s.add(b, 200)
	s.add(b, 1)
	f := newFloor(s)
	tap := &counting{next: f.http.Transport}
	client, err := datasource.NewClient(datasource.Config{
		Token: s.Token, BaseURL: s.URL, Limiter: datasource.Unlimited(), HTTPClient: &http.Client{Transport: tap},
	})
	require.NoError(b, err)
	begin := func(n int, every time.Duration) []*chat.Chat {
		list := make([]*chat.Chat, n)
		for i := range list {
			list[i] = s.connect(b, func(o *chat.Options) {
				o.Client = client
				o.LivePollInterval, o.PollInterval, o.MaxPollInterval = every, every, every
			})
			_, err := list[i].Stream(context.Background(), func(*chat.Message) {}, chat.StartAt(chat.FromNow))
			require.NoError(b, err)
			require.NoError(b, list[i].Poll(context.Background()))
		}
		return list
	}
	end := func(list []*chat.Chat) {
		for _, c := range list {
			require.NoError(b, c.Shutdown(context.Background()))
		}
	}
	end(begin(100, time.Hour)) // what they share is not theirs
	// Before any timers of the floor: the Go runtime keeps those that were stopped for a while, and
	// memory that they give back meanwhile would seem to be that of chats. What the process has
	// once for so many is in the first time.
	memory := map[string]float64{}
	for _, name := range []string{"first-RSS-B/chat", "second-RSS-B/chat", "RSS-B/chat"} {
		f.http.CloseIdleConnections()
		before := resting(b)
		list := begin(chats, time.Hour)
		f.http.CloseIdleConnections()
		after := resting(b)
		end(list)
		each := func(before, after uint64) float64 { return float64(int64(after-before)) / float64(chats) } //nolint:gosec // sizes
		memory["heap-B/chat"], memory["stack-B/chat"] = each(before.heap, after.heap), each(before.stack, after.stack)
		memory[name] = each(before.resident, after.resident)
		memory["goroutines/chat"] = float64(after.goroutines-before.goroutines) / float64(chats)
	}
	for b.Loop() {
		list := begin(chats, every)
		requests := tap.n.Load()
		mine := measure(func() { time.Sleep(10 * time.Second) })
		polls := tap.n.Load() - requests
		end(list)
		b.ReportMetric(float64(mine.cpu.Nanoseconds())/float64(polls), "cpu-ns/poll")
		b.ReportMetric(float64(mine.allocs)/float64(polls), "allocs/poll")

		theirs, bare := bareTimers(s, f, chats, every)
		for unit, n := range memory {
			b.ReportMetric(n, unit)
		}
		b.ReportMetric(float64(theirs.cpu.Nanoseconds())/float64(bare), "floor-cpu-ns/poll")
		b.ReportMetric(float64(theirs.allocs)/float64(bare), "floor-allocs/poll")
		b.ReportMetric(float64(mine.cpu.Nanoseconds())/float64(polls)/(float64(theirs.cpu.Nanoseconds())/float64(bare)), "cpu-x-floor")
	}
}

// bareTimers polls as often with nothing but a timer for each chat and a request.
func bareTimers(s *benchServer, shared *floorClient, chats int, every time.Duration) (used, int64) {
	where := map[string]any{"updatedAt": map[string]any{"$gt": "2100-01-01T00:00:00.000Z"}}
	var polls atomic.Int64
	var over atomic.Bool
	timers, made := make([]*time.Timer, chats), make(chan struct{})
	for i := range timers {
		timers[i] = time.AfterFunc(time.Duration(i)*every/time.Duration(chats), func() {
			if <-made; over.Load() {
				return
			}
			polls.Add(1)
			f := &floorClient{s: s, http: shared.http}
			f.do(http.MethodPost, "/v1/data-sources/data", map[string]any{
				"flUserToken": s.UserToken, "where": where, "limit": 200, "includeDeleted": true,
				"order": [][2]string{{"updatedAt", "ASC"}, {"id", "ASC"}},
			}, &f.page)
			timers[i].Reset(every - every/10)
		})
	}
	close(made)
	time.Sleep(every / 2)
	n := polls.Load()
	u := measure(func() { time.Sleep(10 * time.Second) })
	n = polls.Load() - n
	over.Store(true)
	for _, t := range timers {
		t.Stop()
	}
	time.Sleep(time.Second)
	return u, n
}
