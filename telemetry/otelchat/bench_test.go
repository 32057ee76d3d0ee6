package otelchat_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/fliplet/fliplet-chat-go/hooks"
	"github.com/fliplet/fliplet-chat-go/telemetry/otelchat"
)

// BenchmarkMessage is what the metrics of one message that is received cost.
func BenchmarkMessage(b *testing.B) {
	tel, err := otelchat.New(otelchat.Config{
		MeterProvider: sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader())), TracerProvider: noop.NewTracerProvider(),
	})
	require.NoError(b, err)
	h := tel.Hook().(interface {
		hooks.DeliveryHook
		hooks.HandlerHook
	})
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		d := hooks.Delivery{Kind: hooks.Events, Conversation: 102, Message: 5003, Attempt: 1}
		h.OnDelivery(d)
		h.OnHandlerEnd(h.OnHandlerStart(ctx, d), d, hooks.Outcome{Duration: 1000})
	}
}
