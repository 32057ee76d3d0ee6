package datasource_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/hooks"
)

// waits keeps how long requests waited.
type waits struct {
	mu   sync.Mutex
	list []time.Duration
}

func (w *waits) OnLimiterWait(_ context.Context, l hooks.Wait) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.list = append(w.list, l.Duration)
}

// crowded is a Window on a machine where a call takes a second to get a processor.
type crowded struct{ *datasource.Window }

func (b crowded) WaitTurn(ctx context.Context, t datasource.Turn) error {
	time.Sleep(time.Second)
	return b.Window.WaitTurn(ctx, t)
}

// other is a Limiter that says nothing of what it does.
type other struct{ datasource.Limiter }

func (other) Wait(context.Context) error { time.Sleep(time.Second); return nil }

func TestOnlyARequestThatHadToQueueHasWaitedForTheLimiter(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		limiter func() datasource.Limiter
		want    []time.Duration // of two requests with a deadline of a minute
	}{
		"no limit":                    {func() datasource.Limiter { return datasource.Unlimited() }, nil},
		"a free slot":                 {func() datasource.Limiter { return datasource.NewLimiter(100, time.Hour) }, nil},
		"a busy machine":              {func() datasource.Limiter { return crowded{datasource.NewLimiter(100, time.Hour)} }, nil},
		"a busy machine without one":  {func() datasource.Limiter { return crowded{datasource.Unlimited()} }, nil},
		"a queue":                     {func() datasource.Limiter { return datasource.NewLimiter(1, 10*time.Second) }, []time.Duration{10 * time.Second}},
		"a queue of a busy machine":   {func() datasource.Limiter { return crowded{datasource.NewLimiter(1, 10*time.Second)} }, []time.Duration{10 * time.Second}},
		"a queue that is too long":    {func() datasource.Limiter { return datasource.NewLimiter(1, time.Hour) }, nil},
		"a limiter that says nothing": {func() datasource.Limiter { return other{datasource.Unlimited()} }, []time.Duration{time.Second, time.Second}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				srv := fliplettest.New(t, fliplettest.InProcess())
				contacts, _ := srv.AddContacts(datasource.M{"Email": "jane@example.org"})
				client, err := datasource.NewClient(datasource.Config{
					Token: srv.Token, BaseURL: srv.URL, HTTPClient: &http.Client{Transport: srv.Transport()}, Limiter: c.limiter(),
				})
				require.NoError(t, err)
				told := &waits{}
				view := client.View(told)
				for range 2 {
					ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
					_, _ = view.Find(ctx, contacts, datasource.Query{}) // refused or not, which the hook is told
					cancel()
				}
				assert.Equal(t, c.want, told.list)
			})
		})
	}
}
