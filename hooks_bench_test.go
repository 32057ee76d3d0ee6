package chat_test

import (
	"context"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/hooks"
)

// tally is a hook of every kind that counts, which is the least that a hook can do. handed
// is for one loop, which is one goroutine.
type tally struct {
	n      atomic.Int64
	handed int
}

func (c *tally) OnRequest(context.Context, hooks.Request)  { c.n.Add(1) }
func (c *tally) OnLimiterWait(context.Context, hooks.Wait) { c.n.Add(1) }
func (c *tally) OnPoll(hooks.Poll)                         { c.n.Add(1) }
func (c *tally) OnDelivery(hooks.Delivery)                 { c.handed++ }
func (c *tally) OnGap(hooks.Gap)                           { c.n.Add(1) }
func (c *tally) OnLease(hooks.Lease)                       { c.n.Add(1) }
func (c *tally) OnOutbox(hooks.Outbox)                     { c.n.Add(1) }

func (c *tally) OnSendStart(ctx context.Context, _ hooks.Send) context.Context { return ctx }
func (c *tally) OnSendEnd(context.Context, hooks.Send, hooks.Outcome)          { c.n.Add(1) }

func (c *tally) OnHandlerStart(ctx context.Context, _ hooks.Delivery) context.Context { return ctx }
func (c *tally) OnHandlerEnd(context.Context, hooks.Delivery, hooks.Outcome)          { c.handed++ }

// BenchmarkReceiveWithHooks delivers a backlog with a hook of every kind, and without
// any, which is the floor here.
func BenchmarkReceiveWithHooks(b *testing.B) {
	s := startBenchServer(b)
	s.add(b, benchRows)
	count := &tally{}
	receive := func(c *chat.Chat) func() {
		return func() {
			n := 0
			for _, err := range c.Events(context.Background(), chat.StartAt(chat.FromBeginning)) {
				if err != nil {
					require.FailNow(b, "failed", "%v", err)
				}
				if n++; n == benchRows {
					break
				}
			}
		}
	}
	with, without := s.connect(b, watched(count)), s.connect(b)
	defer with.Close()
	defer without.Close()
	compare(b, benchRows, receive(with), receive(without))
	require.GreaterOrEqual(b, count.handed, 2*benchRows)
	require.Positive(b, count.n.Load())
}

// BenchmarkReceiveFromTape receives a backlog whose answers are in memory, without hooks and
// with one of every kind. Its instructions are counted, which no other work of the machine
// changes: docs/observability.md.
func BenchmarkReceiveFromTape(b *testing.B) {
	for name, change := range map[string]func(*chat.Options){"none": watched(), "all": watched(&tally{})} {
		b.Run(name, func(b *testing.B) {
			read := backlog(b, benchRows, change)
			read(func(*chat.Message) {}) // fills the tape
			for b.Loop() {
				read(func(*chat.Message) {})
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*benchRows), "ns/each")
		})
	}
}

// A count, which no other work of the machine changes. Not parallel: it counts those of
// the process.
func TestHooksTakeNoAllocationForAMessage(t *testing.T) {
	const n = 2_000
	count := &tally{}
	each := func(change func(*chat.Options)) float64 {
		read := backlog(t, n, change)
		read(func(*chat.Message) {}) // fills the tape
		least := 1e9
		for range 3 {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			read(func(*chat.Message) {})
			runtime.ReadMemStats(&after)
			least = min(least, float64(after.Mallocs-before.Mallocs)/n)
		}
		return least
	}
	without, with := each(watched()), each(watched(count))
	t.Logf("%.2f allocations a message without hooks, %.2f with", without, with)
	assert.Less(t, with-without, 0.5)
	assert.GreaterOrEqual(t, count.handed, 4*2*n, "deliveries and handled messages")
}
