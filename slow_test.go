package chat_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/internal/longtest"
)

// sluggish is a way to the server on which queries about some conversations take 4 to 14 s,
// by themselves or together with others. It may refuse joins.
type sluggish struct {
	next    http.RoundTripper
	refuses bool
	stale   bool // they are answered at once, and the answers take that time
	mu      sync.Mutex
	slow    map[int64]bool
	n       int
	asked   map[int64]int // queries about a conversation alone
	after   time.Time     // the latest position of them
}

var asksAfter = regexp.MustCompile(`"updatedAt":\{"\$gte?":"([^"]+)"`)

var asksAbout = regexp.MustCompile(`"dataSourceId":(\d+)`)

func (s *sluggish) RoundTrip(r *http.Request) (*http.Response, error) {
	path, query := strings.CutSuffix(r.URL.Path, "/data/query")
	if !query {
		return s.next.RoundTrip(r)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	joins := bytes.Contains(body, []byte(`"join"`))
	if s.refuses && joins {
		return &http.Response{StatusCode: 400, Header: http.Header{}, Request: r, Body: io.NopCloser(strings.NewReader(`{"message":"join is not known"}`))}, nil
	}
	var about []int64
	add := func(text string) {
		if id, err := strconv.ParseInt(text, 10, 64); err == nil {
			about = append(about, id)
		}
	}
	add(path[strings.LastIndex(path, "/")+1:])
	for _, m := range asksAbout.FindAllSubmatch(body, -1) {
		add(string(m[1]))
	}
	var takes time.Duration
	s.mu.Lock()
	if !joins {
		s.asked[about[0]]++
		if m := asksAfter.FindSubmatch(body); m != nil {
			if at, err := time.Parse(time.RFC3339, string(m[1])); err == nil && at.After(s.after) {
				s.after = at
			}
		}
	}
	for _, id := range about {
		if s.slow[id] {
			s.n++
			takes = max(takes, time.Duration(4+s.n*7%11)*time.Second)
		}
	}
	s.mu.Unlock()
	var answer *http.Response
	if s.stale {
		answer, err = s.next.RoundTrip(r)
	}
	if takes > 0 {
		select {
		case <-time.After(takes):
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	if s.stale {
		return answer, err
	}
	return s.next.RoundTrip(r)
}

func (s *sluggish) set(slow bool, ids ...int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		s.slow[id] = slow
	}
}

func (s *sluggish) alone(id int64) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[id]
}

func (s *sluggish) position() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.after
}

// arrivals tells when messages came.
type arrivals struct {
	mu    sync.Mutex
	sent  map[string]time.Time
	late  map[string]time.Duration
	order map[int64][]string
}

func newArrivals() *arrivals {
	return &arrivals{sent: map[string]time.Time{}, late: map[string]time.Duration{}, order: map[int64][]string{}}
}

func (a *arrivals) send(w *world, conversation int64, body string) {
	a.mu.Lock()
	a.sent[body] = time.Now()
	a.mu.Unlock()
	w.AddRows(conversation, chat.M{"body": body, "fromUserId": "somebody", "guid": body})
}

func (a *arrivals) add(m *chat.Message) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if sent, known := a.sent[m.Body]; known {
		a.late[m.Body] = time.Since(sent)
	}
	a.order[m.ConversationID] = append(a.order[m.ConversationID], m.Body)
}

// delays are the mean and the longest of messages whose text begins so.
func (a *arrivals) delays(prefix string) (mean, longest time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := 0
	for body, d := range a.late {
		if strings.HasPrefix(body, prefix) {
			mean, longest, n = mean+d, max(longest, d), n+1
		}
	}
	return mean / time.Duration(max(n, 1)), longest
}

func (a *arrivals) of(conversation int64) []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]string{}, a.order[conversation]...)
}

// Conversations whose reads succeed, but slowly, each time.
func TestASlowConversationHoldsUpItselfOnly(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		conversations, slow int
		refuses             bool
	}{{50, 0, false}, {2, 1, false}, {50, 1, false}, {50, 4, false}, {50, 8, false}, {50, 1, true}, {50, 4, true}, {50, 8, true}, {250, 3, false}} {
		t.Run(fmt.Sprintf("%d of %d, joins refused %v", c.slow, c.conversations, c.refuses), func(t *testing.T) {
			t.Parallel()
			if c.conversations > 50 || c.refuses && c.slow == 4 {
				longtest.Only(t, "it plays many requests")
			}
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, fliplettest.InProcess())
				w.Always(fliplettest.CrossSource, fliplettest.Status(404))
				ids := many(w, c.conversations)
				time.Sleep(time.Hour)
				way := &sluggish{next: w.Transport(), refuses: c.refuses, slow: map[int64]bool{}, asked: map[int64]int{}}
				bob := w.login("bob", asUsual, func(o *chat.Options) { o.Client = w.over(way) })
				got := newArrivals()
				_, err := bob.Stream(t.Context(), got.add, chat.StartAt(chat.FromNow))
				require.NoError(t, err)
				settle()
				slow, healthy := ids[:c.slow], ids[c.slow:]
				way.set(true, slow...)
				want := map[int64][]string{}
				send := func(id int64, body string) {
					got.send(w, id, body)
					want[id] = append(want[id], body)
				}
				const messages = 80
				for i := range messages {
					send(healthy[i%len(healthy)], fmt.Sprint("quick ", i))
					if i%5 == 0 {
						for k, id := range slow {
							send(id, fmt.Sprint("slow ", k, " ", i))
						}
					}
					time.Sleep(5 * time.Second)
				}
				assert.Less(t, time.Since(way.position()), 5*time.Minute, "positions move on")
				settle()
				mean, longest := got.delays("quick")
				slowMean, slowLongest := got.delays("slow")
				t.Logf("others: %v, at most %v; slow ones: %v, at most %v", mean, longest, slowMean, slowLongest)
				assert.LessOrEqual(t, mean, 6*time.Second, "14 s and more when it holds up the others")
				assert.LessOrEqual(t, longest, time.Minute, "the first of all, which comes in a quiet poll")
				assert.LessOrEqual(t, slowMean, time.Minute)
				assert.LessOrEqual(t, slowLongest, 3*time.Minute)
				for id, bodies := range want {
					assert.Equal(t, bodies, got.of(id), "all of them, in order, once")
				}
				if c.slow == 0 {
					return
				}

				// It is a part of the common poll again.
				way.set(false, slow...)
				time.Sleep(5 * time.Minute)
				before := way.alone(slow[0])
				for i := range 20 {
					send(slow[0], fmt.Sprint("healed ", i))
					time.Sleep(30 * time.Second)
				}
				after := way.alone(slow[0])
				mean, longest = got.delays("healed")
				t.Logf("healed: %v, at most %v, with %d queries", mean, longest, after-before)
				assert.LessOrEqual(t, longest, time.Minute, "at the pace of quiet polls")
				assert.Equal(t, want[slow[0]], got.of(slow[0]))
				if !c.refuses && c.conversations > 2 {
					time.Sleep(10 * time.Minute)
					before = way.alone(slow[0])
					time.Sleep(10 * time.Minute)
					after = way.alone(slow[0])
					assert.Zero(t, after-before, "it is looked at together with others")
				}
				require.NoError(t, bob.Close())
			})
		})
	}
}

// What a slow read brings is of the moment when it began, and no time tells of a message that
// is stamped too early: its id does, there too.
func TestAMessageThatIsStampedTooEarlyInASlowConversationArrives(t *testing.T) {
	t.Parallel()
	for _, conversations := range []int{5, 12} {
		for _, slow := range []int{1, 2} {
			for phase := range 3 {
				t.Run(fmt.Sprintf("%d of %d, phase %d", slow, conversations, phase), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						w := newWorld(t, fliplettest.InProcess())
						w.Always(fliplettest.CrossSource, fliplettest.Status(404))
						ids := many(w, conversations)
						time.Sleep(25 * time.Hour)
						way := &sluggish{next: w.Transport(), slow: map[int64]bool{}, asked: map[int64]int{}}
						bob := w.login("bob", asUsual, func(o *chat.Options) { o.Client = w.over(way) })
						got := newArrivals()
						_, err := bob.Stream(t.Context(), got.add, chat.StartAt(chat.FromNow))
						require.NoError(t, err)
						settle()
						way.set(true, ids[:slow]...)
						want := []string{}
						send := func(body string) {
							got.send(w, ids[0], body)
							want = append(want, body)
						}
						for i := range 40 {
							if i == 20 {
								time.Sleep(time.Duration(phase) * time.Second)
								w.ShiftClock(-time.Hour)
								send("early")
								w.ShiftClock(time.Hour)
							}
							got.send(w, ids[4], fmt.Sprint("quick ", i))
							if i%4 == 0 {
								send(fmt.Sprint("slow ", i))
							}
							time.Sleep(3 * time.Second)
						}
						settle()
						assert.ElementsMatch(t, want, got.of(ids[0]))
						assert.Len(t, got.of(ids[4]), 40)
						require.NoError(t, bob.Close())
					})
				})
			}
		}
	}
}

// An answer that takes long has an early date. That is no clock that was set back.
func TestAConversationWhoseAnswersComeLongAfterTheirDateGetsItsMessages(t *testing.T) {
	t.Parallel()
	for _, conversations := range []int{2, 8, 12} {
		t.Run(fmt.Sprint(conversations), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, fliplettest.InProcess())
				w.Always(fliplettest.CrossSource, fliplettest.Status(404))
				ids := many(w, conversations)
				time.Sleep(25 * time.Hour)
				way := &sluggish{next: w.Transport(), stale: true, slow: map[int64]bool{}, asked: map[int64]int{}}
				bob := w.login("bob", asUsual, func(o *chat.Options) { o.Client = w.over(way) })
				got := newArrivals()
				_, err := bob.Stream(t.Context(), got.add, chat.StartAt(chat.FromNow))
				require.NoError(t, err)
				settle()
				way.set(true, ids[0])
				var slow, quick []string
				for i := range 20 {
					slow, quick = append(slow, fmt.Sprint("slow ", i)), append(quick, fmt.Sprint("quick ", i))
					got.send(w, ids[0], slow[i])
					got.send(w, ids[1], quick[i])
					time.Sleep(20 * time.Second)
				}
				settle()
				assert.Equal(t, slow, got.of(ids[0]))
				assert.Equal(t, quick, got.of(ids[1]))
				_, longest := got.delays("slow")
				assert.LessOrEqual(t, longest, 2*time.Minute)
				require.NoError(t, bob.Close())
			})
		})
	}
}
