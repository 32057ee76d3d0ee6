package chat_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/hooks"
)

// tally is a hook of every kind that counts, which is the least that a hook can do.
type tally struct{ n atomic.Int64 }

func (c *tally) OnRequest(context.Context, hooks.Request)  { c.n.Add(1) }
func (c *tally) OnLimiterWait(context.Context, hooks.Wait) { c.n.Add(1) }
func (c *tally) OnPoll(hooks.Poll)                         { c.n.Add(1) }
func (c *tally) OnDelivery(hooks.Delivery)                 { c.n.Add(1) }
func (c *tally) OnGap(hooks.Gap)                           { c.n.Add(1) }
func (c *tally) OnLease(hooks.Lease)                       { c.n.Add(1) }
func (c *tally) OnOutbox(hooks.Outbox)                     { c.n.Add(1) }

func (c *tally) OnSendStart(ctx context.Context, _ hooks.Send) context.Context { return ctx }
func (c *tally) OnSendEnd(context.Context, hooks.Send, hooks.Outcome)          { c.n.Add(1) }

func (c *tally) OnHandlerStart(ctx context.Context, _ hooks.Delivery) context.Context { return ctx }
func (c *tally) OnHandlerEnd(context.Context, hooks.Delivery, hooks.Outcome)          { c.n.Add(1) }

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
	require.GreaterOrEqual(b, count.n.Load(), int64(2*benchRows))
}
