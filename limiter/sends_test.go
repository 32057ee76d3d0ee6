package limiter_test

import (
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/limiter"
)

// stores answers each request at once, and counts it.
type stores struct{ w *world }

func (s stores) RoundTrip(r *http.Request) (*http.Response, error) {
	s.w.hit()
	return &http.Response{StatusCode: 200, Header: http.Header{}, Request: r,
		Body: io.NopCloser(strings.NewReader(`{"id":1,"entries":[],"data":{}}`))}, nil
}

// sender is the client of a replica, with pollers beside the sends.
type sender struct {
	*datasource.Client
	t    *testing.T
	ctx  context.Context
	stop context.CancelFunc
	all  sync.WaitGroup

	mu    sync.Mutex
	waits []time.Duration
}

func (w *world) sender(r *replica, polls int) *sender {
	c, err := datasource.NewClient(datasource.Config{Token: "eu--abcdef", Limiter: r.Limiter, HTTPClient: &http.Client{Transport: stores{w}}})
	require.NoError(w.t, err)
	s := &sender{Client: c, t: w.t}
	s.ctx, s.stop = context.WithCancel(w.t.Context())
	for i := range polls {
		one := c.View()
		s.all.Go(func() {
			for s.ctx.Err() == nil {
				_, _ = one.Find(datasource.AskAgain(s.ctx), int64(10+i), datasource.Query{})
			}
		})
	}
	return s
}

// sends lets so many people send one message each, now.
func (s *sender) sends(n int) {
	for range n {
		s.all.Go(func() {
			began := time.Now()
			_, err := s.View().Insert(s.t.Context(), 1, datasource.M{})
			assert.NoError(s.t, err)
			s.mu.Lock()
			defer s.mu.Unlock()
			s.waits = append(s.waits, time.Since(began))
		})
	}
}

// count is how many were sent so far.
func (s *sender) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.waits)
}

// at is a quantile of the waits so far.
func (s *sender) at(q float64) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	slices.Sort(s.waits)
	return s.waits[min(int(q*float64(len(s.waits))), len(s.waits)-1)]
}

func (s *sender) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waits = nil
}

func TestSendsOfReplicasDoNotWaitBehindTheirPolls(t *testing.T) {
	virtual(t, func(t *testing.T) {
		w, all := settled(t, 21)
		random := rand.New(rand.NewPCG(21, 1))
		var senders []*sender
		for _, r := range all {
			senders = append(senders, w.sender(r, 40))
		}
		time.Sleep(time.Minute)
		each := func(what string, long time.Duration, rate float64, burst int) (p99 time.Duration) {
			end := time.Now().Add(long)
			for time.Now().Before(end) {
				time.Sleep(time.Duration(random.ExpFloat64() / rate * float64(time.Second)))
				senders[random.IntN(3)].sends(burst)
			}
			time.Sleep(20 * time.Second)
			for i, s := range senders {
				t.Logf("%s, replica %d: %d sends, p50 %s, p99 %s, worst %s", what, i, s.count(), s.at(.5), s.at(.99), s.at(1))
				p99 = max(p99, s.at(.99))
				s.forget()
			}
			return p99
		}
		assert.Less(t, each("3 a second", 2*time.Minute, 3, 1), time.Second)
		assert.Less(t, each("10 at once, each 10 s", 4*time.Minute, .1, 10), 5*time.Second)
		assert.Less(t, each("40 at once, each 30 s", 5*time.Minute, 1./30, 40), 20*time.Second)

		// A replica that begins while the others want everything, and the first message there.
		late := w.start(limiter.Options{})
		s := w.sender(late, 0)
		s.sends(1)
		time.Sleep(time.Minute)
		t.Logf("the first of a replica that has just begun: %s", s.at(1))
		assert.Less(t, s.at(1), 2*per)
		s.forget()
		s.sends(5)
		time.Sleep(time.Minute)
		t.Logf("the first five after that: %s", s.at(1))
		assert.Zero(t, s.at(1))

		for _, r := range all {
			r.way.set(fails)
		}
		time.Sleep(30 * time.Second)
		assert.Less(t, each("0.3 a second without the store", 5*time.Minute, .3, 1), per)
		for _, s := range append(senders, s) {
			s.stop()
			s.all.Wait()
		}
		w.kept()
		for _, r := range append(all, late) {
			r.ends()
		}
	})
}
