package rows_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/internal/rows"
)

// miser is a server that knows no conditions and sends few rows at a time, whatever it is asked.
type miser struct {
	http.RoundTripper
	most    int
	without []string
}

func (m miser) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.HasSuffix(r.URL.Path, "/data") && !strings.HasSuffix(r.URL.Path, "/data/query") || r.Method != http.MethodPost {
		return m.RoundTripper.RoundTrip(r)
	}
	var asked map[string]any
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
		return nil, err
	}
	for _, name := range append([]string{"where", "id", "createdAt"}, m.without...) {
		delete(asked, name)
	}
	if asked["count"] == nil {
		asked["limit"] = m.most
	}
	text, err := json.Marshal(asked)
	if err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
	return m.RoundTripper.RoundTrip(r)
}

func TestAShortAnswerWithRowsThatWereNotAskedForIsNotTheEnd(t *testing.T) {
	t.Parallel()
	for name, m := range map[string]miser{
		"conditions ignored":        {most: 20},
		"offset ignored, too":       {most: 20, without: []string{"offset"}},
		"order ignored":             {most: 20, without: []string{"order"}},
		"order and offset ignored":  {most: 20, without: []string{"order", "offset"}},
		"everything in one answer":  {most: 1000},
		"as many as a larger page":  {most: 40},
		"more than a larger page":   {most: 50},
		"all but the limit ignored": {most: 10, without: []string{"offset", "order"}},
	} {
		for _, endpoint := range []bool{true, false} {
			b := newBench(t)
			for i := range 11 {
				b.say(b.one, 10*i, 10)
				b.say(b.two, 1000, 1)
			}
			if !endpoint {
				b.Always(fliplettest.CrossSource, fliplettest.Status(404))
			}
			m.RoundTripper = b.Transport()
			client, err := datasource.NewClient(datasource.Config{Token: b.Token, BaseURL: b.URL, HTTPClient: &http.Client{Transport: m}, Limiter: datasource.Unlimited()})
			require.NoError(t, err)
			b.cfg.Client = client
			b.cfg.Endpoint = &rows.Endpoint{}
			s := rows.New(b.cfg)
			check := func(what string, want int, found []datasource.Entry, err error) {
				t.Helper()
				if err != nil { // better than an end that is none
					assert.ErrorContains(t, err, "the server", "%s, %s, endpoint %v", what, name, endpoint)
					assert.Contains(t, name, "ignored", "%s, endpoint %v: %v", what, endpoint, err)
					return
				}
				assert.Len(t, found, want, "%s, %s, endpoint %v", what, name, endpoint)
			}
			var history []datasource.Entry
			for page := (rows.Page{More: true}); page.More; {
				if page, err = s.Older(t.Context(), b.one, page.Next, 10); err != nil {
					break
				}
				history = append(history, page.Rows...)
			}
			check("History", 110, history, err)
			found, err := s.Search(t.Context(), rows.Search{Conversations: []int64{b.one}, Limit: 1000})
			check("Search", 110, found, err)
			found, err = s.Search(t.Context(), rows.Search{Conversations: []int64{b.one}, Limit: 105, Order: []datasource.Order{{Column: "id"}}})
			check("in an order", 105, found, err)
			for i := 1; i < len(found); i++ {
				assert.Less(t, found[i-1].ID, found[i].ID)
			}
		}
	}
}
