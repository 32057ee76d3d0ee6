package otelchat_test

import (
	"context"
	"fmt"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/telemetry/otelchat"
)

// A program would leave Config empty, and set up the providers of package otel.
func Example() {
	srv, err := fliplettest.Start(fliplettest.InProcess())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Close()
	contacts, ids := srv.AddContacts(datasource.M{"Email": "jane@example.org"}, datasource.M{"Email": "bob@example.org"})

	reader := sdkmetric.NewManualReader()
	tel, err := otelchat.New(otelchat.Config{MeterProvider: sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	jane, err := chat.Connect(ctx, chat.Options{
		Client: srv.Client(), DataSourceID: contacts, AppID: srv.AppID, Hooks: []chat.Hook{tel.Hook()},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer jane.Close()
	defer tel.Watch(jane)() // for the gauges

	if _, err := jane.Login(ctx, chat.M{"Email": "jane@example.org"}); err != nil {
		fmt.Println(err)
	}
	talk, err := jane.Create(ctx, chat.NewConversation{Participants: ids[1:]})
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := jane.Message(ctx, talk.ID, chat.Draft{Body: "Hello"}); err != nil {
		fmt.Println(err)
	}

	var data metricdata.ResourceMetrics
	if err := reader.Collect(ctx, &data); err != nil {
		fmt.Println(err)
	}
	for _, m := range data.ScopeMetrics[0].Metrics {
		if sum, ok := m.Data.(metricdata.Sum[int64]); ok && m.Name == "messaging.client.sent.messages" {
			fmt.Println(m.Name, sum.DataPoints[0].Value)
		}
	}
	// Output: messaging.client.sent.messages 1
}

// The gauges of an App are those of its own streams, loops and consumers.
func ExampleTelemetry_WatchApp() {
	srv, err := fliplettest.Start(fliplettest.InProcess())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Close()
	contacts, _ := srv.AddContacts(datasource.M{"Email": "jane@example.org"})
	reader := sdkmetric.NewManualReader()
	tel, err := otelchat.New(otelchat.Config{MeterProvider: sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	app, err := chat.OpenApp(ctx, chat.AppOptions{Options: chat.Options{
		Client: srv.Client(), DataSourceID: contacts, Hooks: []chat.Hook{tel.Hook()},
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer app.Close()
	defer tel.WatchApp(app)()
	if _, err := app.Stream(ctx, func(*chat.Message) {}); err != nil {
		fmt.Println(err)
	}

	var data metricdata.ResourceMetrics
	if err := reader.Collect(ctx, &data); err != nil {
		fmt.Println(err)
	}
	for _, m := range data.ScopeMetrics[0].Metrics {
		if g, ok := m.Data.(metricdata.Gauge[int64]); ok && m.Name == "chat.listeners" {
			fmt.Println(m.Name, g.DataPoints[0].Value)
		}
	}
	// Output: chat.listeners 1
}
