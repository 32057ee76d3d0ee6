package datasource_test

import (
	"context"
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

// swallowing is a network that answers request number i after waits[i]; 0 means never.
type swallowing struct {
	waits []time.Duration
	mu    sync.Mutex
	began []time.Time
	open  int // requests under way
	most  int
	left  int // bodies that nobody closed
}

func (n *swallowing) RoundTrip(r *http.Request) (*http.Response, error) {
	n.mu.Lock()
	i := len(n.began)
	n.began = append(n.began, time.Now())
	n.open++
	n.most = max(n.most, n.open)
	n.mu.Unlock()
	defer func() { n.mu.Lock(); n.open--; n.mu.Unlock() }()
	var answer <-chan time.Time
	if i < len(n.waits) && n.waits[i] > 0 {
		answer = time.After(n.waits[i])
	}
	select {
	case <-answer:
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	n.mu.Lock()
	n.left++
	n.mu.Unlock()
	return &http.Response{StatusCode: 200, Header: http.Header{}, Body: &counted{strings.NewReader(`[{"id":1,"data":{}}]`), n}, Request: r}, nil
}

type counted struct {
	io.Reader
	n *swallowing
}

func (c *counted) Close() error {
	c.n.mu.Lock()
	defer c.n.mu.Unlock()
	c.n.left--
	return nil
}

func (n *swallowing) client(t *testing.T) *datasource.Client {
	t.Helper()
	c, err := datasource.NewClient(datasource.Config{Token: token, HTTPClient: &http.Client{Transport: n}})
	require.NoError(t, err)
	return c
}

func TestAReadThatAsksAgainHasItsAnswerAsSoonAsAnyRequestHas(t *testing.T) {
	t.Parallel()
	const never, at = 0, time.Second
	for name, is := range map[string]struct {
		waits    []time.Duration
		takes    time.Duration
		requests int
	}{
		"at once":                {[]time.Duration{at}, at, 1},
		"the first is swallowed": {[]time.Duration{never, at}, 9 * time.Second, 2},
		"a server needs 12 s":    {[]time.Duration{12 * time.Second, 12 * time.Second}, 12 * time.Second, 2},
		"a server needs 14 s":    {[]time.Duration{14 * time.Second}, 14 * time.Second, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := &swallowing{waits: is.waits}
				began := time.Now()
				rows, err := n.client(t).Find(datasource.AskAgain(t.Context()), 1, datasource.Query{})
				require.NoError(t, err)
				assert.Len(t, rows, 1)
				assert.Equal(t, is.takes, time.Since(began))
				time.Sleep(time.Minute)
				synctest.Wait()
				assert.Len(t, n.began, is.requests)
				assert.Zero(t, n.open, "requests under way")
				assert.Zero(t, n.left, "answers that nobody closed")
				assert.LessOrEqual(t, n.most, 2, "the request and a repetition")
			})
		})
	}
}

func TestAReadThatNobodyAnswersIsGivenUp(t *testing.T) {
	t.Parallel()
	for _, again := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			n := &swallowing{}
			ctx, takes := t.Context(), 60.0 // two attempts
			if again {
				ctx, takes = datasource.AskAgain(ctx), 15 // one, with a repetition
			}
			began := time.Now()
			_, err := n.client(t).Find(ctx, 1, datasource.Query{})
			require.ErrorIs(t, err, datasource.ErrNoAnswer)
			assert.True(t, datasource.Temporary(err))
			assert.InDelta(t, takes, time.Since(began).Seconds(), 1)
			synctest.Wait()
			assert.Len(t, n.began, 2)
			assert.Zero(t, n.open)
		})
	}
}

func TestWritesAndDownloadsAreNotAskedForAgain(t *testing.T) {
	t.Parallel()
	for name, call := range map[string]func(context.Context, *datasource.Client) error{
		"insert": func(ctx context.Context, c *datasource.Client) error {
			_, err := c.Insert(ctx, 1, datasource.M{"a": 1})
			return err
		},
		"download": func(ctx context.Context, c *datasource.Client) error {
			_, _, err := c.Download(ctx, "v1/media/files/1/contents/a.txt", nil, io.Discard, nil)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := &swallowing{}
				ctx, cancel := context.WithTimeout(datasource.AskAgain(t.Context()), 20*time.Second)
				defer cancel()
				require.ErrorIs(t, call(ctx, n.client(t)), context.DeadlineExceeded)
				assert.Len(t, n.began, 1)
			})
		})
	}
}

func TestARefusalOfARepetitionCounts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &swallowing{waits: []time.Duration{0, time.Second}}
		refusing := roundTrip(func(r *http.Request) (*http.Response, error) {
			resp, err := n.RoundTrip(r)
			if err == nil {
				resp.StatusCode = http.StatusNotFound
			}
			return resp, err
		})
		c, err := datasource.NewClient(datasource.Config{Token: token, HTTPClient: &http.Client{Transport: refusing}})
		require.NoError(t, err)
		_, err = c.Find(datasource.AskAgain(t.Context()), 1, datasource.Query{})
		require.ErrorIs(t, err, datasource.ErrNotFound)
		synctest.Wait()
		assert.Zero(t, n.open)
		assert.Zero(t, n.left)
	})
}
