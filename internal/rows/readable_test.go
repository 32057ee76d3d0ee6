package rows_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/internal/rows"
)

// requests counts them.
type requests struct {
	http.RoundTripper
	n int
}

func (r *requests) RoundTrip(q *http.Request) (*http.Response, error) {
	r.n++
	return r.RoundTripper.RoundTrip(q)
}

func TestAPageOfOneConversationThatIsTooLargeIsReadInPieces(t *testing.T) {
	t.Parallel()
	const n, size = 80, 2 << 10
	desc := []datasource.Order{{Column: "data.n", Direction: datasource.Desc}, {Column: "id"}}
	for name, test := range map[string]struct {
		faults        []fliplettest.Fault
		order         []datasource.Order
		limit, offset int
		most          int // requests
	}{
		"the first":                      {order: []datasource.Order{{Column: "createdAt"}, {Column: "id"}}, limit: 20, most: 12},
		"behind an offset":               {order: []datasource.Order{{Column: "id"}}, limit: 10, offset: 15, most: 14},
		"by a column":                    {order: desc, limit: 20, most: 12},
		"all":                            {order: desc, most: 40},
		"more than there are":            {order: desc, limit: 500, most: 45},
		"on a server that repeats":       {faults: []fliplettest.Fault{fliplettest.DuplicateRow()}, order: desc, limit: 20, most: 60},
		"on one that ignores the offset": {faults: []fliplettest.Fault{fliplettest.Ignore("offset")}, order: desc, limit: 20, offset: 3, most: 60},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			list := make([]datasource.M, n)
			for i := range list {
				list[i] = datasource.M{"n": i * 37 % n, "body": strings.Repeat("x", size)}
			}
			stored := b.AddRows(b.one, list...)
			if test.faults != nil {
				b.Always(fliplettest.Query, test.faults...)
			}
			count := &requests{RoundTripper: b.Transport()}
			client, err := datasource.NewClient(datasource.Config{
				Token: b.Token, BaseURL: b.URL, HTTPClient: &http.Client{Transport: count}, Limiter: datasource.Unlimited(), MaxResponseBytes: 20 << 10,
			})
			require.NoError(t, err)
			b.cfg.Client = client
			var want []int64
			for i := range n {
				k := i // by id, which is by time
				if test.order[0].Column == "data.n" {
					for j := range n {
						if j*37%n == n-1-i {
							k = j
						}
					}
				}
				want = append(want, stored[k])
			}
			want = want[test.offset:]
			if test.limit > 0 {
				want = want[:min(len(want), test.limit)]
			}
			result, err := rows.New(b.cfg).Find(t.Context(), b.one, datasource.Query{Order: test.order, Limit: test.limit, Offset: test.offset})
			found := result.Entries
			require.NoError(t, err)
			for _, e := range found {
				require.NoError(t, e.Err)
				require.Len(t, e.Data["body"], size)
			}
			assert.LessOrEqual(t, count.n, test.most, "requests")
			assert.Equal(t, fmt.Sprint(want), fmt.Sprint(ids(found)))

			q := datasource.Query{Order: test.order, Limit: test.limit, Offset: test.offset}
			for _, read := range []func() ([]datasource.Entry, error){
				func() ([]datasource.Entry, error) { return rows.Readable(t.Context(), client, b.one, q) },
				func() ([]datasource.Entry, error) {
					found, err := rows.Listed(t.Context(), client, b.one, q)
					return found.Entries, err
				},
			} {
				found, err := read()
				require.NoError(t, err)
				assert.Equal(t, fmt.Sprint(want), fmt.Sprint(ids(found)))
			}
		})
	}
}

// sent counts the rows in answers.
type sent struct {
	http.RoundTripper
	rows atomic.Int64
}

func (s *sent) RoundTrip(q *http.Request) (*http.Response, error) {
	resp, err := s.RoundTripper.RoundTrip(q)
	if err != nil {
		return nil, err
	}
	raw, err := io.ReadAll(resp.Body)
	s.rows.Add(int64(bytes.Count(raw, []byte(`"body"`))))
	resp.Body = io.NopCloser(bytes.NewReader(raw))
	return resp, err
}

// A backlog is read up to a time. What was stored later is not sent, also by a server that
// is asked for each conversation.
func TestNoRowBehindTheEndOfABacklogIsSent(t *testing.T) {
	t.Parallel()
	for name, faults := range map[string][]fliplettest.Fault{"with the endpoint": nil, "without": {fliplettest.Status(404)}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.say(b.one, 0, 3)
			end := feed.Time(b.Now().UnixMicro())
			b.FreezeClockAt(b.Now().Add(time.Hour))
			b.say(b.one, 3, 30)
			b.say(b.two, 33, 30)
			if faults != nil {
				b.Always(fliplettest.CrossSource, faults...)
			}
			counted := &sent{RoundTripper: b.Transport()}
			client, err := datasource.NewClient(datasource.Config{Token: b.Token, BaseURL: b.URL, HTTPClient: &http.Client{Transport: counted}, Limiter: datasource.Unlimited()})
			require.NoError(t, err)
			b.cfg.Client = client
			answer, err := rows.New(b.cfg).Answer(t.Context(), feed.Query{Kind: feed.Changes, UpdatedTo: end, Limit: 100})
			require.NoError(t, err)
			assert.Len(t, answer.Rows, 3)
			assert.EqualValues(t, 3, counted.rows.Load())
		})
	}
}

// What has been read is not sent to somebody who asks for what has not.
func TestNoRowThatWasReadIsSent(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.say(b.one, 0, 3)
	for i := range 30 {
		b.AddRows(b.two, datasource.M{"body": fmt.Sprint(i), "readBy": []string{"u-bob", "u-jane"}})
	}
	counted := &sent{RoundTripper: b.Transport()}
	client, err := datasource.NewClient(datasource.Config{Token: b.Token, BaseURL: b.URL, HTTPClient: &http.Client{Transport: counted}, Limiter: datasource.Unlimited()})
	require.NoError(t, err)
	b.cfg.Client = client
	list, err := rows.New(b.cfg).Unread(t.Context(), 100)
	require.NoError(t, err)
	assert.Len(t, list, 3)
	assert.EqualValues(t, 3, counted.rows.Load())
}
