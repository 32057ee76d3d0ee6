package otelchat_test

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/trace"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/storage"
	"github.com/fliplet/fliplet-chat-go/telemetry/otelchat"
)

// world is a local Fliplet with Jane, who is watched, and Bob, who is not.
type world struct {
	*fliplettest.Server
	t        *testing.T
	contacts int64
	ids      []int64
	reader   *sdkmetric.ManualReader
	tel      *otelchat.Telemetry
	store    *store

	jane, bob *chat.Chat
	ears      ears // who is watched: Jane, or an App
	talk      *chat.Conversation
}

func newWorld(t *testing.T, tracer trace.TracerProvider) *world {
	w := &world{Server: fliplettest.New(t, fliplettest.InProcess()), t: t, reader: sdkmetric.NewManualReader(), store: &store{Store: storage.NewMemory()}}
	w.contacts, w.ids = w.AddContacts(datasource.M{"Email": "jane@example.org"}, datasource.M{"Email": "bob@example.org"})
	tel, err := otelchat.New(otelchat.Config{
		MeterProvider: sdkmetric.NewMeterProvider(sdkmetric.WithReader(w.reader)), TracerProvider: tracer, TracePolls: tracer != nil,
	})
	require.NoError(t, err)
	w.tel = tel
	return w
}

// ears are who listens.
type ears interface {
	Stream(ctx context.Context, fn func(*chat.Message), opts ...chat.StreamOption) (*chat.Subscription, error)
	Events(ctx context.Context, opts ...chat.StreamOption) iter.Seq2[*chat.Message, error]
	Consume(ctx context.Context, name string, fn func(context.Context, *chat.Message) error, opts ...chat.ConsumeOption) error
}

// client is one with a limit of its own.
func (w *world) client(l datasource.Limiter) *datasource.Client {
	c, err := datasource.NewClient(datasource.Config{
		Token: w.Token, BaseURL: w.URL, HTTPClient: &http.Client{Transport: w.Transport()}, Limiter: l, MaxResponseBytes: 256 << 10,
		Retry: datasource.RetryPolicy{BaseDelay: time.Millisecond, MaxDelay: 10 * time.Millisecond},
	})
	require.NoError(w.t, err)
	return c
}

func (w *world) login(name string, change func(*chat.Options)) *chat.Chat {
	opts := chat.Options{Client: w.client(datasource.Unlimited()), DataSourceID: w.contacts, AppID: w.AppID}
	if change != nil {
		change(&opts)
	}
	c, err := chat.Connect(w.t.Context(), opts)
	require.NoError(w.t, err)
	w.t.Cleanup(func() { require.NoError(w.t, c.Close()) })
	_, err = c.Login(w.t.Context(), chat.M{"Email": name + "@example.org"})
	require.NoError(w.t, err)
	return c
}

// start logs both in, and makes their conversation. Jane is watched.
func (w *world) start(change func(*chat.Options)) {
	w.jane = w.login("jane", func(o *chat.Options) { w.watched(o, change) })
	w.ears = w.jane
	w.t.Cleanup(w.tel.Watch(w.jane))
	w.converse()
}

// open is start with an App that is watched, and not Jane.
func (w *world) open(change func(*chat.Options)) {
	w.jane = w.login("jane", nil)
	w.converse()
	opts := chat.Options{Client: w.client(datasource.Unlimited()), DataSourceID: w.contacts, AppID: w.AppID}
	w.watched(&opts, change)
	app, err := chat.OpenApp(w.t.Context(), chat.AppOptions{Options: opts, Strategy: chat.StrategySweep}) // which asks for nothing that may be refused
	require.NoError(w.t, err)
	w.ears = app
	w.t.Cleanup(func() { require.NoError(w.t, app.Close()) })
	w.t.Cleanup(w.tel.WatchApp(app))
}

func (w *world) watched(o *chat.Options, change func(*chat.Options)) {
	o.Hooks, o.Storage = []chat.Hook{w.tel.Hook()}, w.store
	if change != nil {
		change(o)
	}
}

func (w *world) converse() {
	w.bob = w.login("bob", nil)
	var err error
	w.talk, err = w.bob.Create(w.t.Context(), chat.NewConversation{Participants: w.ids[:1]})
	require.NoError(w.t, err)
}

// listen follows with a stream, or with a loop, until the test ends.
func (w *world) listen(loop bool, fn func(*chat.Message)) {
	ctx, cancel := context.WithCancel(w.t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if !loop {
			sub, err := w.ears.Stream(ctx, fn)
			if err == nil {
				<-sub.Done()
			}
			return
		}
		for m, err := range w.ears.Events(ctx) {
			if err == nil {
				fn(m)
			}
		}
	}()
	w.t.Cleanup(func() { cancel(); <-ended })
	time.Sleep(time.Minute)
}

// follow consumes until the test ends.
func (w *world) follow(fn func(context.Context, *chat.Message) error) {
	ctx, cancel := context.WithCancel(w.t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- w.ears.Consume(ctx, "archive", fn, chat.OnError(func(error) {}), chat.OnGap(func(chat.Gap) {}))
	}()
	w.t.Cleanup(func() { cancel(); <-ended })
	time.Sleep(time.Minute)
}

func (w *world) say(c *chat.Chat, body string) error {
	_, err := c.Message(w.t.Context(), w.talk.ID, chat.Draft{Body: body})
	return err
}

// store is a Storage that can fail, and whose leases can be stolen.
type store struct {
	storage.Store
	mu     sync.Mutex
	leases []string
	fails  error
	full   error // of what is stored
}

func (s *store) CompareAndSwap(ctx context.Context, key string, old, value []byte) (bool, error) {
	s.mu.Lock()
	if strings.HasSuffix(key, "/lease") && !slices.Contains(s.leases, key) {
		s.leases = append(s.leases, key)
	}
	err := s.fails
	s.mu.Unlock()
	if err != nil {
		return false, err
	}
	return s.Store.CompareAndSwap(ctx, key, old, value)
}

func (s *store) Set(ctx context.Context, key string, value []byte) error {
	s.mu.Lock()
	err := s.full
	s.mu.Unlock()
	if err != nil {
		return err
	}
	return s.Store.Set(ctx, key, value)
}

// refuse makes it store nothing more but leases and registries.
func (s *store) refuse(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.full = err
}

func (s *store) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fails = err
}

// steal writes another owner into every lease of a consumer.
func (s *store) steal(t *testing.T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	require.NotEmpty(t, s.leases)
	for _, key := range s.leases {
		require.NoError(t, s.Store.Set(t.Context(), key, []byte(`{"owner":"thief","process":"elsewhere","beat":1}`)))
	}
}

// series are the values of all series by name and attributes, histograms by their count,
// and how many there are when each bucket counts.
func (w *world) series() (values map[string]float64, n int) {
	w.t.Helper()
	var data metricdata.ResourceMetrics
	require.NoError(w.t, w.reader.Collect(w.t.Context(), &data))
	values = map[string]float64{}
	name := func(metric string, set attribute.Set) string {
		var parts []string
		for _, kv := range set.ToSlice() {
			switch kv.Key {
			case "messaging.system", "messaging.operation.type", "chat.listener.kind":
			default:
				parts = append(parts, fmt.Sprintf("%s=%s", kv.Key, kv.Value.String()))
			}
		}
		return metric + "{" + strings.Join(parts, ",") + "}"
	}
	for _, scope := range data.ScopeMetrics {
		for _, m := range scope.Metrics {
			switch d := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range d.DataPoints {
					values[name(m.Name, p.Attributes)] += float64(p.Value)
					n++
				}
			case metricdata.Gauge[int64]:
				for _, p := range d.DataPoints {
					values[name(m.Name, p.Attributes)] += float64(p.Value)
					n++
				}
			case metricdata.Gauge[float64]:
				for _, p := range d.DataPoints {
					values[name(m.Name, p.Attributes)] += p.Value
					n++
				}
			case metricdata.Histogram[float64]:
				for _, p := range d.DataPoints {
					values[name(m.Name, p.Attributes)] += float64(p.Count)
					n += len(p.BucketCounts) + 2
					if m.Name == "chat.delivery.lag" {
						for i, bound := range p.Bounds {
							if bound >= 10 {
								values["chat.delivery.lag over 10 s"] += float64(p.BucketCounts[i+1])
							}
						}
					}
				}
			default:
				require.Fail(w.t, "unknown metric", "%s: %T", m.Name, m.Data)
			}
		}
	}
	return values, n
}

// alarms are the series that say that something is wrong, in order.
func (w *world) alarms() []string {
	values, _ := w.series()
	out := []string{}
	for name, v := range values {
		metric, _, _ := strings.Cut(name, "{")
		wrong := strings.Contains(name, "error.type")
		switch metric {
		case "chat.gaps", "chat.limiter.wait", "chat.polls.failing", "chat.outbox.depth", "chat.consumer.lag", "chat.listener.lag", "chat.delivery.lag over 10 s", "chat.limiter.delay":
			wrong = true
		case "chat.lease.events":
			wrong = strings.Contains(name, "=lost") || strings.Contains(name, "=failing")
		case "chat.consumers":
			wrong = strings.Contains(name, "=failing")
		case "chat.outbox.refusals":
			wrong = true
		case "chat.outbox.messages":
			wrong = !strings.Contains(name, "=stored")
		}
		if wrong && v > 0 {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}
