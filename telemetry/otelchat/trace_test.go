package otelchat_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/hooks"
	"github.com/fliplet/fliplet-chat-go/telemetry/otelchat"
)

func tracing() (*tracetest.InMemoryExporter, *sdktrace.TracerProvider) {
	exporter := tracetest.NewInMemoryExporter()
	return exporter, sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter))
}

// attributes are those of a span, as text.
func attributes(s tracetest.SpanStub) map[string]string {
	out := map[string]string{}
	for _, kv := range s.Attributes {
		out[string(kv.Key)] = kv.Value.String()
	}
	return out
}

func named(spans tracetest.SpanStubs, name string) (out tracetest.SpanStubs) {
	for _, s := range spans {
		if s.Name == name {
			out = append(out, s)
		}
	}
	return out
}

func TestASendHasASpanWithItsRequestsInside(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		exporter, provider := tracing()
		w := newWorld(t, provider)
		w.start(nil)
		exporter.Reset()
		ctx, own := provider.Tracer("test").Start(t.Context(), "own")
		_, err := w.jane.Message(ctx, w.talk.ID, chat.Draft{Body: "hello", GUID: "g-1"})
		require.NoError(t, err)
		own.End()

		sends := named(exporter.GetSpans(), "send")
		require.Len(t, sends, 1)
		s := sends[0]
		assert.Equal(t, own.SpanContext().SpanID(), s.Parent.SpanID(), "it is part of the caller's trace")
		assert.Equal(t, trace.SpanKindProducer, s.SpanKind)
		assert.Equal(t, codes.Unset, s.Status.Code)
		assert.Equal(t, map[string]string{
			"messaging.system": "fliplet", "messaging.operation.name": "send", "messaging.operation.type": "send",
			"messaging.message.conversation_id": fmt.Sprint(w.talk.ID), "messaging.message.id": "g-1",
		}, attributes(s))
		inserts := named(exporter.GetSpans(), "PUT v1/data-sources/{}/data")
		require.Len(t, inserts, 1)
		assert.Equal(t, s.SpanContext.SpanID(), inserts[0].Parent.SpanID())
		assert.Equal(t, map[string]string{
			"http.request.method": "PUT", "url.template": "v1/data-sources/{}/data", "http.response.status_code": "200",
		}, attributes(inserts[0]))
	})
}

func TestWhatAFunctionSendsIsPartOfTheTraceOfTheMessage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		exporter, provider := tracing()
		w := newWorld(t, provider)
		w.start(nil)
		w.follow(func(ctx context.Context, m *chat.Message) error {
			if m.Body != "ping" {
				return nil
			}
			_, err := w.jane.Message(ctx, m.ConversationID, chat.Draft{Body: "pong"})
			return err
		})
		require.NoError(t, w.say(w.bob, "ping"))
		time.Sleep(time.Minute)

		spans := exporter.GetSpans()
		sends := named(spans, "send")
		require.Len(t, sends, 1)
		processes := named(spans, "process")
		require.Len(t, processes, 2)
		p := processes[0]
		assert.Equal(t, p.SpanContext.SpanID(), sends[0].Parent.SpanID())
		assert.Equal(t, trace.SpanKindConsumer, p.SpanKind)
		got := attributes(p)
		assert.Equal(t, "archive", got["messaging.consumer.group.name"])
		assert.Equal(t, fmt.Sprint(w.talk.ID), got["messaging.message.conversation_id"])
		assert.NotEmpty(t, named(spans, "poll"), "polls have spans when they are asked for")
	})
}

// Canary: of a Chat in which much goes wrong no secret is in spans or metrics, and ids are
// on spans alone.
func TestHandlingAMessageIsATraceOfItsOwnWithALinkToWhatTheConsumerRunsIn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		exporter, provider := tracing()
		w := newWorld(t, provider)
		w.start(nil)
		ctx, own := provider.Tracer("test").Start(t.Context(), "own")
		ctx, cancel := context.WithCancel(ctx)
		ended := make(chan error, 1)
		go func() {
			ended <- w.jane.Consume(ctx, "traced", func(context.Context, *chat.Message) error { return nil })
		}()
		time.Sleep(time.Minute)
		require.NoError(t, w.say(w.bob, "hello"))
		require.NoError(t, w.say(w.bob, "hello"))
		time.Sleep(time.Minute)
		cancel()
		<-ended
		own.End()
		spans := named(exporter.GetSpans(), "process")
		require.Len(t, spans, 2)
		assert.NotEqual(t, spans[0].SpanContext.TraceID(), spans[1].SpanContext.TraceID())
		for _, s := range spans {
			assert.False(t, s.Parent.IsValid(), "a root")
			assert.NotEqual(t, own.SpanContext().TraceID(), s.SpanContext.TraceID())
			require.Len(t, s.Links, 1)
			assert.Equal(t, own.SpanContext().SpanID(), s.Links[0].SpanContext.SpanID())
		}
	})
}

// Not parallel: it counts the allocations of the process, and sets the global provider.
func TestWithoutAnSDKMessagesTakeNoAllocationAndWithOneThatComesLaterTheyHaveSpans(t *testing.T) {
	tel, err := otelchat.New(otelchat.Config{})
	require.NoError(t, err)
	h := tel.Hook().(interface {
		hooks.DeliveryHook
		hooks.HandlerHook
		hooks.SendHook
	})
	ctx := context.Background()
	message := func() {
		d := hooks.Delivery{Kind: hooks.Events, Conversation: 102, Message: 5003, Attempt: 1}
		h.OnDelivery(d)
		h.OnHandlerEnd(h.OnHandlerStart(ctx, d), d, hooks.Outcome{Duration: 1000})
	}
	assert.Zero(t, testing.AllocsPerRun(100, message))
	exporter, provider := tracing()
	otel.SetTracerProvider(provider)
	message()
	assert.Len(t, named(exporter.GetSpans(), "process"), 1)
}

func TestNoSecretIsExported(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		exporter, provider := tracing()
		w := newWorld(t, provider)
		w.start(func(o *chat.Options) { o.Outbox, o.EncryptMessages = &chat.OutboxOptions{}, true })
		tries := 0
		w.follow(func(_ context.Context, m *chat.Message) error {
			if tries++; tries < 4 {
				return fmt.Errorf("cannot take %q from https://files.example.org/x?signature=canary-url: %w", m.Body, errors.New(w.Token))
			}
			return nil
		})
		w.Next(1, fliplettest.Insert, fliplettest.Answer(400, `{"message":"canary-body `+w.Token+`"}`))
		w.Next(1, fliplettest.CrossSource, fliplettest.LoseAnswer())
		_, err := w.jane.Message(t.Context(), w.talk.ID, chat.Draft{
			Body: "canary-body", Data: chat.M{"note": "canary-column"},
			Files: []chat.File{{URL: "https://files.example.org/y?signature=canary-url"}},
		})
		require.NoError(t, err)
		time.Sleep(time.Minute)
		w.store.fail(errors.New("dial postgres://me:canary-store@db"))
		time.Sleep(time.Minute)
		w.store.fail(nil)
		time.Sleep(time.Minute)

		spans := exporter.GetSpans()
		require.Greater(t, len(spans), 10)
		var text strings.Builder
		for _, s := range spans {
			fmt.Fprintf(&text, "%s %v %+v %+v %+v\n", s.Name, attributes(s), s.Events, s.Status, s.Resource)
		}
		traced := text.String()
		var data metricdata.ResourceMetrics
		require.NoError(t, w.reader.Collect(t.Context(), &data))
		raw, err := json.Marshal(data)
		require.NoError(t, err)
		values, _ := w.series()
		measured := string(raw) + fmt.Sprint(values)
		secrets := []string{
			"canary-", w.Token, w.talk.EncryptionKey(), w.jane.User().Data["flUserToken"].(string), w.bob.User().Data["flUserToken"].(string),
			"?", "://", "signature", "flUserToken", "Auth-token",
		}
		for _, secret := range secrets {
			require.NotEmpty(t, secret)
			assert.NotContains(t, traced, secret, "spans")
			assert.NotContains(t, measured, secret, "metrics")
		}
		ids := []string{fmt.Sprint(w.talk.ID), w.jane.User().UserID, w.bob.User().UserID, "archive"}
		for _, id := range ids {
			for name := range values {
				assert.NotContains(t, name, id, "metrics")
			}
		}
		assert.Contains(t, traced, ids[0], "the conversation is on spans")
	})
}
