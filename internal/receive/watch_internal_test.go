package receive

import (
	"context"
	"testing"
	"time"

	"github.com/fliplet/fliplet-chat-go/hooks"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
)

type idle struct{ n int }

func (c *idle) OnDelivery(hooks.Delivery) { c.n++ }

func (c *idle) OnHandlerStart(ctx context.Context, _ hooks.Delivery) context.Context { return ctx }
func (c *idle) OnHandlerEnd(context.Context, hooks.Delivery, hooks.Outcome)          { c.n++ }

func BenchmarkTellOfAMessage(b *testing.B) {
	ctx := b.Context()
	e := feed.Event{Row: feed.Row{ID: 5003, Conversation: 102, Updated: 1_000_000}}
	for name, w := range map[string]*watch{"none": nil, "all": newWatch([]hooks.Hook{&idle{}})} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var told handling
			for b.Loop() {
				w.begin(ctx, &told, hooks.Events, "", &e, 1)
				w.end(&told, nil)
			}
		})
	}
	b.Run("clock", func(b *testing.B) {
		for b.Loop() {
			_ = time.Since(time.Now())
		}
	})
}
