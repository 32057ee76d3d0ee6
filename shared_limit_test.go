package chat_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

// patience checks that nothing is sent before the date that a refusal has named.
type patience struct {
	http.RoundTripper
	t       *testing.T
	mu      sync.Mutex
	until   time.Time
	refused int
}

func (p *patience) RoundTrip(r *http.Request) (*http.Response, error) {
	p.mu.Lock()
	assert.False(p.t, time.Now().Before(p.until), "%s %s comes %s early", r.Method, r.URL.Path, time.Until(p.until))
	p.mu.Unlock()
	resp, err := p.RoundTripper.RoundTrip(r)
	if err != nil || resp.StatusCode != http.StatusTooManyRequests {
		return resp, err
	}
	body, err := io.ReadAll(resp.Body)
	require.NoError(p.t, err)
	var said struct{ NextValidRequestDate time.Time }
	require.NoError(p.t, json.Unmarshal(body, &said))
	resp.Body = io.NopCloser(bytes.NewReader(body))
	p.mu.Lock()
	defer p.mu.Unlock()
	p.until = said.NextValidRequestDate
	p.refused++
	return resp, nil
}

// times is how often requests were refused.
func (p *patience) times() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.refused
}

// Another program of the organisation uses up the limit that everybody shares, again and again.
func TestALimitOfTheOrganizationIsWaitedOutAndNothingIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		hers, his := &patience{RoundTripper: w.Transport(), t: t}, &patience{RoundTripper: w.Transport(), t: t}
		jane := w.login("jane", func(o *chat.Options) {
			client, err := datasource.NewClient(datasource.Config{Token: w.Token, BaseURL: w.URL, HTTPClient: &http.Client{Transport: hers}})
			require.NoError(t, err)
			o.Client = client
		})
		conv := w.converse(jane, "bob")
		bob := w.login("bob", w.through(his))
		r := newRecorder()
		_, err := bob.Stream(t.Context(), r.add)
		require.NoError(t, err)
		time.Sleep(time.Minute)

		const window = 30 * time.Second
		w.Limit(fliplettest.DataSourceCalls, fliplettest.PerOrganization, 60, window)
		greedy, _ := w.AddToken(fliplettest.OrganizationToken)
		var want []string
		for round := range 5 {
			for w.Used(fliplettest.DataSourceCalls, fliplettest.PerOrganization, w.OrganizationID).InWindow < 60 {
				_, err := w.ClientFor(greedy).Find(t.Context(), w.contacts, datasource.Query{})
				require.NoError(t, err)
			}
			want = append(want, fmt.Sprintf("round %d", round))
			w.say(jane, conv, want[round])
			assert.Greater(t, hers.times(), round, "the send was refused, and waited")
			time.Sleep(2 * window)
		}
		assert.Equal(t, want, bodies(r.all()))
		assert.Len(t, w.Rows(conv.ID), len(want), "each was stored once")
		assert.Positive(t, his.times())
		require.NoError(t, bob.Close())
		require.NoError(t, jane.Close())
	})
}
