package chat_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/internal/longtest"
)

// pollTimes notes when polls were sent.
type pollTimes struct {
	http.RoundTripper
	mu sync.Mutex
	at []time.Time
}

func (p *pollTimes) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasSuffix(r.URL.Path, "/v1/data-sources/data") {
		p.mu.Lock()
		p.at = append(p.at, time.Now())
		p.mu.Unlock()
	}
	return p.RoundTripper.RoundTrip(r)
}

// times returns when polls were sent until now.
func (p *pollTimes) times() []time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.at)
}

// through makes a Chat talk over a transport without retries, with the cadence of
// production.
func (w *world) through(rt http.RoundTripper) func(*chat.Options) {
	client, err := datasource.NewClient(datasource.Config{
		Token: w.Token, BaseURL: w.URL, HTTPClient: &http.Client{Transport: rt}, Retry: datasource.RetryPolicy{MaxAttempts: 1},
	})
	require.NoError(w.t, err)
	return func(o *chat.Options) { o.Client, o.LivePollInterval, o.PollInterval = client, 0, 0 }
}

// virtual runs a story of Jane, who writes, and Bob, who streams at the cadence of
// production, on virtual time.
func virtual(t *testing.T, story func(t *testing.T, w *world, jane, bob *chat.Chat, conv *chat.Conversation, polls *pollTimes)) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		jane := w.login("jane")
		conv := w.converse(jane, "bob")
		polls := &pollTimes{RoundTripper: w.Transport()}
		bob := w.login("bob", w.through(polls))
		story(t, w, jane, bob, conv, polls)
		require.NoError(t, bob.Close())
		require.NoError(t, jane.Close())
	})
}

func TestPollsOfADayKeepToTheCadence(t *testing.T) {
	virtual(t, func(t *testing.T, w *world, jane, bob *chat.Chat, conv *chat.Conversation, polls *pollTimes) {
		r := newRecorder()
		s, err := bob.Stream(t.Context(), r.add)
		require.NoError(t, err)
		began := time.Now()
		time.Sleep(12 * time.Hour)
		w.say(jane, conv, "noon")
		time.Sleep(12 * time.Hour)
		s.Stop()
		assert.Equal(t, []string{"noon"}, bodies(r.all()))
		live, quiet, times := 0, 0, polls.times()
		for i, at := range times[1:] {
			gap, age := at.Sub(times[i]), times[i].Sub(began)%(12*time.Hour)
			switch {
			case age < 20*time.Minute:
				live++
				assert.LessOrEqual(t, gap, 20*time.Second, "while somebody may answer")
			case age > time.Hour:
				quiet++
				assert.InDelta(t, 108, gap.Seconds(), 12.1, "after a long silence")
			}
		}
		assert.Greater(t, live, 100)
		assert.Greater(t, quiet, 550)
		assert.Less(t, len(times), 1300)
	})
}

func TestPollsNeverTakeMoreThanAQuarterOfTheLimit(t *testing.T) {
	virtual(t, func(t *testing.T, w *world, jane, bob *chat.Chat, conv *chat.Conversation, polls *pollTimes) {
		archive(w, conv, 200, 200) // a page, so that smaller ones are known to be whole
		time.Sleep(time.Minute)
		w.say(jane, conv, "the last one before") // else polls begin with the whole page again, which has one time
		time.Sleep(time.Minute)
		_, err := bob.Stream(t.Context(), func(*chat.Message) {})
		require.NoError(t, err)
		for range 600 { // a busy minute; every own message wakes the poller, too
			w.say(jane, conv, "x")
			w.say(bob, conv, "y")
			time.Sleep(100 * time.Millisecond)
		}
		times := polls.times()
		require.Greater(t, len(times), 100)
		for i := 51; i < len(times); i++ {
			assert.GreaterOrEqual(t, times[i].Sub(times[i-50]), 9900*time.Millisecond)
		}
	})
}

func TestMessagesArriveWithinSecondsWhilePeopleTalk(t *testing.T) {
	for name, talk := range map[string]struct {
		messages       int
		apart, silence time.Duration
	}{
		"busy":   {30, 6 * time.Second, 2 * time.Minute},
		"office": {12, 15 * time.Second, 15 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			virtual(t, func(t *testing.T, w *world, jane, bob *chat.Chat, conv *chat.Conversation, _ *pollTimes) {
				var waits []time.Duration
				_, err := bob.Stream(t.Context(), func(m *chat.Message) { waits = append(waits, time.Since(m.CreatedAt)) })
				require.NoError(t, err)
				rnd := rand.New(rand.NewPCG(1, 2))
				for range 20 {
					for range talk.messages {
						w.say(jane, conv, "x")
						time.Sleep(talk.apart/2 + time.Duration(rnd.Int64N(int64(talk.apart))))
					}
					time.Sleep(talk.silence)
				}
				require.NoError(t, bob.Close()) // nothing appends to waits any more
				require.Len(t, waits, 20*talk.messages)
				slices.Sort(waits)
				p50, p99 := waits[len(waits)/2], waits[len(waits)*99/100]
				t.Logf("p50 %v, p99 %v", p50, p99)
				assert.LessOrEqual(t, p50, 2*time.Second)
				assert.LessOrEqual(t, p99, 20*time.Second)
			})
		})
	}
}

func TestRateLimitIsWaitedOut(t *testing.T) {
	virtual(t, func(t *testing.T, w *world, jane, bob *chat.Chat, conv *chat.Conversation, polls *pollTimes) {
		r := newRecorder()
		_, err := bob.Stream(t.Context(), r.add)
		require.NoError(t, err)
		time.Sleep(time.Minute)
		before := len(polls.times())
		w.Next(1, fliplettest.CrossSource, fliplettest.TooMany(30*time.Second))
		w.say(jane, conv, "x")
		time.Sleep(2 * time.Minute)
		times := polls.times()
		assert.GreaterOrEqual(t, times[before+1].Sub(times[before]), 29*time.Second, "nothing before the named time")
		assert.Equal(t, []string{"x"}, bodies(r.all()))
	})
}

func TestFailedPollIsToldToWhoAskedAndTheStreamGoesOn(t *testing.T) {
	virtual(t, func(t *testing.T, w *world, jane, bob *chat.Chat, conv *chat.Conversation, _ *pollTimes) {
		r := newRecorder()
		_, err := bob.Stream(t.Context(), r.add)
		require.NoError(t, err)
		require.NoError(t, bob.Poll(t.Context()))
		w.Next(1, fliplettest.CrossSource, fliplettest.Status(500))
		w.say(jane, conv, "x")
		var refused *datasource.Error
		require.ErrorAs(t, bob.Poll(t.Context()), &refused)
		assert.Equal(t, 500, refused.StatusCode)
		require.NoError(t, bob.Poll(t.Context()))
		assert.Equal(t, []string{"x"}, bodies(r.all()))
	})
}

func TestStartStopStormsLeaveNothingBehind(t *testing.T) {
	w := newWorld(t)
	jane := w.login("jane")
	conv := w.converse(jane, "bob")
	storms := longtest.Size(200, 2000)
	for storm := range storms / 5 {
		bob := w.login("bob")
		var wg sync.WaitGroup
		for i := range 5 {
			wg.Go(func() {
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				subs := make(chan *chat.Subscription, 1)
				s, err := bob.Stream(ctx, func(*chat.Message) {
					if i == 0 {
						select {
						case sub := <-subs:
							sub.Stop() // from inside
						default:
						}
					}
				})
				if err != nil {
					assert.ErrorIs(t, err, chat.ErrClosed)
					return
				}
				subs <- s
				switch (storm + i) % 5 {
				case 0:
					s.Stop()
					s.Stop()
				case 1:
					cancel()
					ended(t, s.Done())
				case 2:
					_ = bob.Poll(ctx)
				case 3:
					_ = bob.Close()
				case 4:
					_, _ = bob.Message(ctx, conv.ID, chat.Draft{Body: "x"})
				}
			})
		}
		wg.Wait()
		require.NoError(t, bob.Close())
	}
}

func TestBlockedListenerHurtsNobodyAndGetsEverythingLater(t *testing.T) {
	w := newWorld(t)
	jane, bob := w.login("jane"), w.login("bob")
	conv := w.converse(jane, "bob")
	release := make(chan struct{})
	blocked := newRecorder()
	_, err := bob.Stream(context.Background(), func(m *chat.Message) { <-release; blocked.add(m) })
	require.NoError(t, err)
	quick := newRecorder()
	_, err = bob.Stream(context.Background(), quick.add)
	require.NoError(t, err)
	rounds, each := longtest.Size(10, 30), 200
	for i := range rounds {
		w.AddRows(conv.ID, textRows(jane, each)...)
		quick.wait(t, (i+1)*each)
	}
	assert.Empty(t, blocked.all())
	close(release)
	got := blocked.wait(t, rounds*each)
	for i := 1; i < len(got); i++ {
		require.Greater(t, got[i].ID, got[i-1].ID)
	}
}

func textRows(from *chat.Chat, n int) []datasource.M {
	rows := make([]datasource.M, n)
	for i := range rows {
		rows[i] = datasource.M{"body": fmt.Sprint(i), "fromUserId": from.User().UserID, "readBy": []any{from.User().UserID}}
	}
	return rows
}

// BenchmarkBlockedListener reports how the heap grows while a million rows arrive
// that a blocked listener does not take, and lets it have them then.
func BenchmarkBlockedListener(b *testing.B) {
	const rows, each = 1_000_000, 10_000
	w := newWorld(b)
	jane := w.login("jane")
	conv := w.converse(jane, "bob")
	for b.Loop() {
		bob := w.login("bob")
		release := make(chan struct{})
		var got, quick atomic.Int64
		_, err := bob.Stream(context.Background(), func(*chat.Message) { <-release; got.Add(1) }, chat.StartAt(chat.FromNow))
		require.NoError(b, err)
		_, err = bob.Stream(context.Background(), func(*chat.Message) { quick.Add(1) }, chat.StartAt(chat.FromNow))
		require.NoError(b, err)
		require.NoError(b, bob.Poll(b.Context()))
		for range rows / each {
			w.AddRows(conv.ID, textRows(jane, each)...)
			w.ShiftClock(10 * time.Second)
		}
		base := inUse()
		for quick.Load() < rows {
			runtime.Gosched()
			require.NoError(b, bob.Poll(b.Context()))
		}
		b.ReportMetric((float64(inUse())-float64(base))/1e6, "MB-while-blocked")
		close(release)
		for got.Load() < rows {
			runtime.Gosched()
			require.NoError(b, bob.Poll(b.Context()))
		}
		require.Equal(b, int64(rows), quick.Load())
		b.ReportMetric(rows, "rows")
		require.NoError(b, bob.Close())
	}
}

func TestPollReturnsWhenTheLastStreamPanics(t *testing.T) {
	w := newWorld(t)
	jane, bob := w.login("jane"), w.login("bob")
	conv := w.converse(jane, "bob")
	w.say(jane, conv, "x")
	s, err := bob.Stream(context.Background(), func(*chat.Message) { panic("handler") })
	require.NoError(t, err)
	require.NoError(t, bob.Poll(t.Context()))
	ended(t, s.Done())
	require.NoError(t, bob.Poll(t.Context()))
}
