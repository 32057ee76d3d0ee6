package otelchat_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace/noop"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/hooks"
)

// mostSeries is what the documentation promises, with each bucket of a histogram counted.
const mostSeries = 200

func TestFiveThousandChatsHaveFewSeries(t *testing.T) {
	t.Parallel()
	const chats = 5000
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, noop.NewTracerProvider())
		client := w.client(datasource.Unlimited())
		var sources []int64
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, chats)
		for i := 0; i < chats; i += 100 { // a hundred in each source and conversation
			var members []string
			var people []datasource.M
			for j := i; j < i+100; j++ {
				members = append(members, fmt.Sprintf("u-%d", j))
				people = append(people, datasource.M{"flUserId": fmt.Sprintf("u-%d", j), "flUserToken": fmt.Sprintf("t-%d", j)})
			}
			contacts, _ := w.AddContacts(people...)
			sources = append(sources, contacts)
			id := w.AddDataSource(datasource.M{"name": fmt.Sprint("talk", i), "type": "conversation", "definition": datasource.M{"participants": members}})
			w.AddRows(id, datasource.M{"body": "hello", "guid": fmt.Sprint("g", i), "fromUserId": members[0]})
		}
		for i := range chats {
			c, err := chat.Connect(t.Context(), chat.Options{Client: client, DataSourceID: sources[i/100], AppID: w.AppID, Hooks: []chat.Hook{w.tel.Hook()}})
			require.NoError(t, err)
			defer c.Close()
			_, err = c.Login(t.Context(), chat.M{"flUserToken": fmt.Sprintf("t-%d", i)})
			require.NoError(t, err)
			defer w.tel.Watch(c)()
			name := fmt.Sprintf("consumer of %d", i)
			go func() {
				ended <- c.Consume(ctx, name, func(context.Context, *chat.Message) error { return nil })
			}()
		}
		time.Sleep(10 * time.Second)
		w.Next(50, fliplettest.AnyRead, fliplettest.Status(500))
		time.Sleep(10 * time.Second)
		values, n := w.series()
		assert.Equal(t, float64(chats), values["messaging.client.consumed.messages{messaging.operation.name=poll}"])
		assert.Equal(t, float64(chats), values["chat.watched{}"])
		assert.Equal(t, float64(chats), values["chat.consumers{chat.consumer.state=receiving}"])
		assert.LessOrEqual(t, n, mostSeries, "series of %d chats", chats)
		t.Logf("%d series of %d chats", n, chats)
		cancel()
		for range chats {
			<-ended
		}
	})
}

func TestAChatThatIsWatchedTwiceCountsOnceUntilBothAreStopped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, noop.NewTracerProvider())
		jane := w.login("jane", nil)
		watched := func() float64 {
			values, _ := w.series()
			return values["chat.watched{}"]
		}
		first, second := w.tel.Watch(jane), w.tel.Watch(jane)
		assert.InDelta(t, 1, watched(), 0)
		first()
		first()
		assert.InDelta(t, 1, watched(), 0)
		second()
		assert.InDelta(t, 0, watched(), 0)
	})
}

func TestWhatIsNewsAtItsFirstCountBeginsAtZero(t *testing.T) {
	t.Parallel()
	w := newWorld(t, noop.NewTracerProvider())
	values, _ := w.series()
	for _, name := range []string{
		failures("_OTHER"), failures("panic"), leased("lost"), leased("failing"), outboxed("failed"), outboxed("kept"), outboxed("retried"),
		refusal("invalid"), refusal("full"), refusal("storage"), refusal("other"),
		"chat.gaps{chat.gap.kind=history}", "chat.gaps{chat.gap.kind=unreadable}",
	} {
		v, has := values[name]
		assert.True(t, has && v == 0, "%s: %v", name, v)
	}
	w.tel.Hook().(hooks.GapHook).OnGap(hooks.Gap{})
	values, _ = w.series()
	assert.Equal(t, 1.0, values["chat.gaps{chat.gap.kind=history}"])
}

// Whatever happens to however many, a hostile server's statuses included, the series stay
// as few.
func TestNoInputMakesMoreSeries(t *testing.T) {
	t.Parallel()
	w := newWorld(t, noop.NewTracerProvider())
	ctx, h := t.Context(), w.tel.Hook()
	errs := []error{
		nil, errors.New("own"), context.Canceled, context.DeadlineExceeded, datasource.ErrNoSlot, datasource.ErrNoAnswer, &chat.PanicError{},
		&net.OpError{Op: "dial", Err: errors.New("refused")},
	}
	for status := range 1000 {
		errs = append(errs, &datasource.Error{StatusCode: status})
	}
	for i, err := range errs {
		n := int64(i)
		h.(hooks.RequestHook).OnRequest(ctx, hooks.Request{Method: fmt.Sprint("M", i), Route: fmt.Sprint("r", i), Status: i, Err: err})
		h.(hooks.WaitHook).OnLimiterWait(ctx, hooks.Wait{Write: i%2 == 0, Duration: time.Duration(i), Err: err})
		h.(hooks.PollHook).OnPoll(hooks.Poll{Requests: i, Rows: i, Err: err})
		s := hooks.Send{Conversation: n, GUID: fmt.Sprint("g", i)}
		h.(hooks.SendHook).OnSendEnd(h.(hooks.SendHook).OnSendStart(ctx, s), s, hooks.Outcome{Err: err})
		d := hooks.Delivery{Kind: hooks.Kind(i % 256), Consumer: fmt.Sprint("c", i), Conversation: n, Message: n, Attempt: i} //nolint:gosec // below 256
		h.(hooks.DeliveryHook).OnDelivery(d)
		h.(hooks.HandlerHook).OnHandlerEnd(h.(hooks.HandlerHook).OnHandlerStart(ctx, d), d, hooks.Outcome{Err: err})
		h.(hooks.GapHook).OnGap(hooks.Gap{Conversation: n, Message: n % 2, Consumer: fmt.Sprint("c", i)})
		h.(hooks.LeaseHook).OnLease(hooks.Lease{Consumer: fmt.Sprint("c", i)[:i%2], Event: hooks.LeaseEvent(i % 256), Err: err})                                                     //nolint:gosec // below 256
		h.(hooks.OutboxHook).OnOutbox(hooks.Outbox{Conversation: n, GUID: fmt.Sprint("g", i), State: hooks.OutboxState(i % 256), Err: err, Kept: i%3 == 0, Pending: i, Attempts: i}) //nolint:gosec // below 256
		h.(hooks.RefusalHook).OnRefusal(hooks.Refusal{Conversation: n, GUID: fmt.Sprint("g", i), Reason: hooks.RefusalReason(i % 256), Err: err})                                    //nolint:gosec // below 256
	}
	_, n := w.series()
	assert.LessOrEqual(t, n, mostSeries)
	t.Logf("%d series", n)
}
