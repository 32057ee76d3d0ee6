package datasource_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/datasource"
)

// busy refuses the first requests for the rate, and takes its time for the others.
type busy struct {
	mu      sync.Mutex
	refuses int
	takes   time.Duration
}

func (b *busy) RoundTrip(r *http.Request) (*http.Response, error) {
	b.mu.Lock()
	refused := b.refuses > 0
	b.refuses--
	b.mu.Unlock()
	if refused {
		return &http.Response{StatusCode: 429, Header: http.Header{"Retry-After": {"7"}}, Request: r, Body: io.NopCloser(strings.NewReader(`{}`))}, nil
	}
	time.Sleep(b.takes)
	return &http.Response{StatusCode: 200, Header: http.Header{}, Request: r, Body: io.NopCloser(strings.NewReader(`{"entries":[]}`))}, nil
}

func TestWaitsForALimitAreNoTimeOfTheServers(t *testing.T) {
	t.Parallel()
	for _, refuses := range []int{0, 2} {
		synctest.Test(t, func(t *testing.T) {
			limiter := datasource.NewLimiter(1, 30*time.Second)
			client, err := datasource.NewClient(datasource.Config{
				Token: "eu--abcdef", Limiter: limiter, HTTPClient: &http.Client{Transport: &busy{refuses: refuses, takes: 3 * time.Second}},
			})
			require.NoError(t, err)
			require.NoError(t, limiter.Wait(t.Context()))
			var since time.Time
			var spent time.Duration
			began := time.Now()
			_, err = client.Find(datasource.UnderWay(t.Context(), func(sent bool) {
				if sent {
					since = time.Now()
				} else {
					spent += time.Since(since)
				}
			}), 123, datasource.Query{})
			require.NoError(t, err)
			assert.Equal(t, 3*time.Second, spent)
			assert.GreaterOrEqual(t, time.Since(began), 30*time.Second, "with the waits")
		})
	}
}

func ExampleUnderWay() {
	server := exampleServer()
	defer server.Close()
	client, err := datasource.NewClient(datasource.Config{Token: "eu--abcdef", BaseURL: server.URL})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := datasource.UnderWay(context.Background(), func(sent bool) { fmt.Println("under way:", sent) })
	rows, err := client.Find(ctx, 123, datasource.Query{})
	fmt.Println(len(rows), err)
	// Output:
	// under way: true
	// under way: false
	// 1 <nil>
}
