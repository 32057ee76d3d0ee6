package rows_test

import (
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/internal/rows"
)

// scale weighs the heap before each request.
type scale struct {
	http.RoundTripper
	mu   sync.Mutex
	most uint64
}

func (s *scale) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	s.most = max(s.most, heap())
	s.mu.Unlock()
	return s.RoundTripper.RoundTrip(r)
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// What is read in pieces is not kept, however much there is. Not parallel: it looks at the heap.
func TestARowThatIsNotWantedIsNotHeld(t *testing.T) {
	for _, endpoint := range []bool{true, false} {
		b := newBench(t)
		const n, size = 300, 64 << 10 // 19 MiB
		list := make([]datasource.M, n)
		for i := range list {
			list[i] = datasource.M{"body": fmt.Sprint(i, strings.Repeat("x", size)), "readBy": []string{"u-bob"}}
		}
		b.AddRows(b.one, list...)
		clear(list)
		if !endpoint {
			b.Always(fliplettest.CrossSource, fliplettest.Status(404))
		}
		s := &scale{RoundTripper: b.Transport()}
		client, err := datasource.NewClient(datasource.Config{
			Token: b.Token, BaseURL: b.URL, HTTPClient: &http.Client{Transport: s}, Limiter: datasource.Unlimited(), MaxResponseBytes: 512 << 10,
		})
		require.NoError(t, err)
		b.cfg.Client = client
		source := rows.New(b.cfg)
		for name, ask := range map[string]func() (int, error){
			"in an order": func() (int, error) {
				found, err := source.Search(t.Context(), rows.Search{Order: []datasource.Order{{Column: "id", Direction: datasource.Desc}}, Limit: 10})
				return len(found), err
			},
			"of one conversation": func() (int, error) {
				found, err := source.Find(t.Context(), b.one, datasource.Query{Order: []datasource.Order{{Column: "id"}}, Limit: 10})
				return len(found.Entries), err
			},
			"of one conversation, offset ignored": func() (int, error) {
				defer b.Always(fliplettest.Query, fliplettest.Ignore("offset")).Off()
				found, err := source.Find(t.Context(), b.one, datasource.Query{Order: []datasource.Order{{Column: "id"}}, Limit: 10})
				return len(found.Entries), err
			},
			"counted": func() (int, error) {
				b.cfg.Roster = strangers(func([]int64) (map[int64]bool, error) { return map[int64]bool{b.two: true}, nil })
				b.cfg.Endpoint = &rows.Endpoint{}
				n, err := rows.New(b.cfg).CountUnread(t.Context())
				return n / 30, err
			},
		} {
			before := heap()
			s.most = 0
			got, err := ask()
			require.NoError(t, err, name)
			assert.Equal(t, 10, got, name)
			assert.Less(t, int64(s.most)-int64(before), int64(12<<20), "%s, endpoint %v", name, endpoint)
		}
	}
}
