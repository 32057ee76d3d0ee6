package otelchat_test

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/hooks"
)

// everyMetric makes each instrument have a value, and returns them by name, with the
// attributes that they can have.
func everyMetric(t *testing.T) (kinds map[string]string, attributes map[string][]string) {
	t.Helper()
	w := newWorld(t, noop.NewTracerProvider())
	ctx, h := t.Context(), w.tel.Hook()
	for _, err := range []error{nil, &datasource.Error{StatusCode: 500}} {
		h.(hooks.RequestHook).OnRequest(ctx, hooks.Request{Err: err})
		h.(hooks.PollHook).OnPoll(hooks.Poll{Err: err})
		h.(hooks.SendHook).OnSendEnd(ctx, hooks.Send{}, hooks.Outcome{Err: err})
		h.(hooks.HandlerHook).OnHandlerEnd(ctx, hooks.Delivery{}, hooks.Outcome{Err: err})
	}
	h.(hooks.WaitHook).OnLimiterWait(ctx, hooks.Wait{})
	h.(hooks.DeliveryHook).OnDelivery(hooks.Delivery{})
	h.(hooks.GapHook).OnGap(hooks.Gap{})
	h.(hooks.LeaseHook).OnLease(hooks.Lease{})
	h.(hooks.OutboxHook).OnOutbox(hooks.Outbox{State: hooks.OutboxStored})
	var data metricdata.ResourceMetrics
	require.NoError(t, w.reader.Collect(ctx, &data))
	kinds, attributes = map[string]string{}, map[string][]string{}
	add := func(name, attribute string) {
		if !slices.Contains(attributes[name], attribute) {
			attributes[name] = append(attributes[name], attribute)
		}
	}
	for _, m := range data.ScopeMetrics[0].Metrics {
		switch d := m.Data.(type) {
		case metricdata.Sum[int64]:
			kinds[m.Name] = "counter"
			for _, p := range d.DataPoints {
				for _, kv := range p.Attributes.ToSlice() {
					add(m.Name, string(kv.Key))
				}
			}
		case metricdata.Histogram[float64]:
			kinds[m.Name] = "histogram"
			for _, p := range d.DataPoints {
				for _, kv := range p.Attributes.ToSlice() {
					add(m.Name, string(kv.Key))
				}
			}
		case metricdata.Gauge[int64]:
			kinds[m.Name] = "gauge"
			for _, p := range d.DataPoints {
				for _, kv := range p.Attributes.ToSlice() {
					add(m.Name, string(kv.Key))
				}
			}
		default:
			kinds[m.Name] = "gauge"
		}
	}
	return kinds, attributes
}

// prometheus is a name as the exporters for Prometheus write it.
func prometheus(name, kind string) string {
	out := strings.ReplaceAll(name, ".", "_")
	switch {
	case kind == "counter":
		return out + "_total"
	case kind == "histogram" || name == "chat.limiter.delay": // in seconds
		return out + "_seconds"
	}
	return out
}

func TestTheDashboardShowsEveryMetricAndNoOther(t *testing.T) {
	t.Parallel()
	kinds, attributes := everyMetric(t)
	require.Len(t, kinds, 20)
	raw, err := os.ReadFile("dashboard.json")
	require.NoError(t, err)
	var board struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	require.NoError(t, json.Unmarshal(raw, &board))
	known := map[string][]string{}
	for name, kind := range kinds {
		known[prometheus(name, kind)] = attributes[name]
	}
	metric := regexp.MustCompile(`\b((?:chat|messaging)_[a-z_]+)\{([^}]*)\}`)
	by := regexp.MustCompile(`by \(([^)]*)\)`)
	shown := map[string]bool{}
	for _, p := range board.Panels {
		for _, target := range p.Targets {
			found := metric.FindAllStringSubmatch(target.Expr, -1)
			require.Len(t, found, 1, "%s: %s", p.Title, target.Expr)
			name := strings.TrimSuffix(strings.TrimSuffix(found[0][1], "_bucket"), "_count")
			attrs, ok := known[name]
			require.True(t, ok, "%s: there is no %s", p.Title, name)
			shown[name] = true
			for _, m := range by.FindAllStringSubmatch(target.Expr, -1) {
				for _, label := range strings.Split(m[1], ", ") {
					if label == "le" {
						continue
					}
					has := slices.ContainsFunc(attrs, func(a string) bool { return strings.ReplaceAll(a, ".", "_") == label })
					assert.True(t, has, "%s: %s has no %s", p.Title, name, label)
				}
			}
		}
	}
	for name := range known {
		assert.True(t, shown[name], "no panel shows %s", name)
	}
}

func TestTheDocumentationNamesEveryMetricAttributeAndFault(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../../docs/observability.md")
	require.NoError(t, err)
	text := string(raw)
	kinds, attributes := everyMetric(t)
	for name := range kinds {
		assert.Contains(t, text, "`"+name+"`")
		for _, a := range attributes[name] {
			assert.Contains(t, text, "`"+a+"`")
		}
	}
	for _, f := range faults[1:] {
		assert.Contains(t, text, "| "+f.name+" |")
	}
}
