package chat_test

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"runtime"
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
	"github.com/fliplet/fliplet-chat-go/storage"
)

// gate is a function of a listener that waits in its first call until it is opened.
type gate struct {
	heard
	once sync.Once
	open chan struct{}
}

func newGate() *gate { return &gate{open: make(chan struct{})} }

func (g *gate) wait(m *chat.Message) {
	g.once.Do(func() { <-g.open })
	g.message(m)
}

// sayMany stores messages as another client would.
func sayMany(w *world, from *chat.Chat, conv *chat.Conversation, bodies []string) {
	for _, body := range bodies {
		w.AddRows(conv.ID, datasource.M{"body": body, "fromUserId": from.User().UserID, "guid": "g" + body})
	}
}

func TestPollWaitsASecondAtMostBesideAFullQueue(t *testing.T) {
	t.Parallel()
	for _, reset := range []bool{false, true} {
		t.Run(fmt.Sprintf("reset %v", reset), func(t *testing.T) {
			t.Parallel()
			servers(t, func(t *testing.T, w *world) {
				jane, bob := w.login("jane", asUsual), w.login("bob", asUsual)
				conv := w.converse(jane, "bob")
				var opts []chat.PollOption
				if reset {
					opts = append(opts, chat.Reset())
				}
				poll := func(where string) {
					began := time.Now()
					assert.NoError(t, bob.Poll(t.Context(), opts...), where)
					assert.LessOrEqual(t, time.Since(began), 2*time.Second, where) // a pause between polls, and the second
				}
				blocked := newGate()
				inside := make(chan struct{})
				_, err := bob.Stream(t.Context(), func(m *chat.Message) {
					blocked.once.Do(func() {
						<-inside
						poll("inside")
						<-blocked.open
					})
					blocked.message(m)
				}, chat.StartAt(chat.FromNow))
				require.NoError(t, err)
				settle()
				bodies := numbers(0, 700)
				sayMany(w, jane, conv, bodies)
				settle()
				for range 3 {
					poll("outside")
				}
				close(inside)
				settle()
				poll("outside, later")
				free := &heard{}
				_, err = bob.Stream(t.Context(), free.message, chat.StartAt(chat.FromNow))
				require.NoError(t, err)
				settle()
				w.say(jane, conv, "last")
				poll("beside another stream")
				_, live, _ := free.in(conv)
				assert.Contains(t, live, "last", "what the others get has come")
				close(blocked.open)
				settle()
				require.NoError(t, bob.Close())
			})
		})
	}
}

func TestAConversationJoinedWhileAFunctionBlocksComesAsNew(t *testing.T) {
	t.Parallel()
	const more = 500
	for _, start := range []chat.From{chat.FromNow, chat.FromNewest, chat.FromBeginning} {
		for _, is := range []struct {
			full  bool
			old   int
			pause time.Duration // between two new messages
		}{{true, 250, 100 * time.Millisecond}, {false, 250, 100 * time.Millisecond}, {true, 250, 0}, {true, 0, time.Second}} {
			t.Run(fmt.Sprintf("%v, full queue %v, %d older, %v", start, is.full, is.old, is.pause), func(t *testing.T) {
				t.Parallel()
				servers(t, func(t *testing.T, w *world) {
					jane := w.login("jane", asUsual)
					bob := w.login("bob", asUsual, func(o *chat.Options) { o.Storage = storage.NewMemory() })
					first, second := w.converse(jane, "bob"), w.converse(jane, "eve")
					sayMany(w, jane, second, numbers(0, is.old))
					time.Sleep(time.Minute)
					listeners := map[string]*gate{"stream": newGate(), "consumer": newGate()}
					s, c := listeners["stream"], listeners["consumer"]
					_, err := bob.Stream(t.Context(), s.wait, chat.StartAt(start), chat.OnGap(s.gap))
					require.NoError(t, err)
					ctx, cancel := context.WithCancel(t.Context())
					go func() {
						_ = bob.Consume(ctx, "c", func(_ context.Context, m *chat.Message) error { c.wait(m); return nil }, chat.StartAt(start), chat.OnGap(c.gap))
					}()
					settle()
					before := 1
					if is.full {
						before = 450
					}
					for _, n := range numbers(0, before) {
						sayMany(w, jane, first, []string{n})
						time.Sleep(100 * time.Millisecond)
					}
					settle()
					require.NoError(t, second.Participants().Add(t.Context(), w.ids["bob"]))
					fresh := numbers(1000, 1000+more)
					for _, body := range fresh {
						sayMany(w, jane, second, []string{body})
						time.Sleep(is.pause)
					}
					settle()
					for _, g := range listeners {
						close(g.open)
					}
					settle()
					settle()
					var history []string
					if start != chat.FromNow {
						history = numbers(0, is.old)
					}
					for way, g := range listeners {
						_, live, updates := g.in(first)
						assert.Equal(t, numbers(0, before), live, way)
						assert.Empty(t, updates, way)
						h, live, updates := g.in(second)
						assert.Equal(t, fresh, live, way)
						assert.Empty(t, updates, way)
						want := history
						if start == chat.FromNewest { // a page at most, of which what is new may be a part
							want = append([]string(nil), history[max(0, len(history)-len(h)):]...)
						}
						assert.Equal(t, want, h, way)
					}
					cancel()
					require.NoError(t, bob.Close())
				})
			})
		}
	}
}

// A server that hangs once, and one that hangs for good.
func TestAMessageWithoutADeadlineEnds(t *testing.T) {
	t.Parallel()
	const hours = 1000 * time.Hour
	for name, is := range map[string]struct {
		fault  fliplettest.Fault
		stored bool
	}{
		"the request is not looked at": {fliplettest.Delay(hours), false},
		"the answer never begins":      {fliplettest.DelayAnswer(hours), true},
		"the answer stops":             {fliplettest.Drip(9, hours), true},
	} {
		for _, upload := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, upload %v", name, upload), func(t *testing.T) {
				t.Parallel()
				servers(t, func(t *testing.T, w *world) {
					jane := w.login("jane", asUsual)
					conv := w.converse(jane, "bob")
					w.say(jane, conv, "first")
					draft := chat.Draft{Body: "one"}
					if upload {
						draft.Files = []chat.File{{Name: "a.txt", Content: []byte("text")}}
					}
					lever := w.Next(1, fliplettest.Insert, is.fault)
					began := time.Now()
					m, err := jane.Message(t.Context(), conv.ID, draft)
					assert.Equal(t, 1, lever.Hits())
					assert.LessOrEqual(t, time.Since(began), 32*time.Second)
					if is.stored {
						require.NoError(t, err, "it is looked up")
						assert.Equal(t, "one", m.Body)
					} else {
						require.ErrorIs(t, err, datasource.ErrNoAnswer)
						require.ErrorIs(t, err, chat.ErrOffline)
						assert.True(t, datasource.Doubtful(err))
					}
					require.NoError(t, jane.Close())
				})
			})
		}
	}
}

// abandonments are ways to leave a loop or a stream without its end.
var abandonments = map[string]func(t *testing.T, c *chat.Chat, never <-chan struct{}){
	"a pulled iterator without stop": func(t *testing.T, c *chat.Chat, never <-chan struct{}) {
		go func() { // as a goroutine that somebody forgot
			next, stop := iter.Pull2(c.Events(context.Background()))
			_, _, _ = next()
			<-never
			stop() // only so that the test can end
		}()
	},
	"a loop body that never returns": func(t *testing.T, c *chat.Chat, never <-chan struct{}) {
		go func() {
			for range c.Events(context.Background()) {
				<-never
			}
		}()
	},
	"a stream function that never returns": func(t *testing.T, c *chat.Chat, never <-chan struct{}) {
		_, err := c.Stream(context.Background(), func(*chat.Message) { <-never })
		require.NoError(t, err)
	},
}

// footprint is how much memory is in use.
func footprint() int {
	var m runtime.MemStats
	for range 2 {
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc + m.StackInuse)
}

// It measures the memory of the process, so nothing runs beside it.
//
//nolint:paralleltest // see above
func TestAThousandAbandonedLoopsCostLittleAndGoOnWhereTheyWere(t *testing.T) {
	loops := longtest.Size(200, 1000)
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		jane, bob := w.login("jane", asUsual), w.login("bob", asUsual)
		conv := w.converse(jane, "bob")
		long := strings.Repeat("x", 500)
		for _, n := range numbers(0, 300) {
			sayMany(w, jane, conv, []string{n + " " + long})
		}
		var nexts []func() (*chat.Message, error, bool)
		before := footprint()
		for range loops {
			next, stop := iter.Pull2(bob.Events(t.Context()))
			defer stop() // only so that the test can end
			_, err, ok := next()
			require.NoError(t, err)
			require.True(t, ok)
			nexts = append(nexts, next)
			time.Sleep(3 * time.Second) // so that each has a page of its own
		}
		settle()
		each := (footprint() - before) / loops
		t.Logf("%d bytes each", each)
		assert.Less(t, each, 32<<10)
		_, err := bob.Stream(t.Context(), func(*chat.Message) {}) // somebody who does read
		require.NoError(t, err)
		for i := range 5 {
			sayMany(w, jane, conv, numbers(1000*(i+1), 1000*(i+1)+100))
			time.Sleep(time.Minute)
		}
		settle()
		rows := 500 * 3 << 10 // of the server's, in this process
		assert.Less(t, (footprint()-before-rows)/loops, 32<<10, "with more that waits")
		for _, i := range []int{0, loops - 1} { // one that goes on after all
			for n := range 199 + 500 {
				m, err, ok := nexts[i]()
				require.NoError(t, err)
				require.True(t, ok)
				require.False(t, m.IsUpdate)
				if n < 199 {
					require.Equal(t, fmt.Sprintf("%d %s", 101+n, long), m.Body)
					require.True(t, m.IsHistory)
				} else {
					require.Equal(t, fmt.Sprint(1000*(1+(n-199)/100)+(n-199)%100), m.Body)
					require.False(t, m.IsHistory)
				}
			}
		}
		began := time.Now()
		require.NoError(t, bob.Close())
		assert.Zero(t, time.Since(began))
	})
}

// It measures the memory of the process, so nothing runs beside it.
//
//nolint:paralleltest // see above
func TestAnAbandonedLoopCostsBoundedMemoryAndHoldsUpNoClose(t *testing.T) {
	const loops = 100
	for name, abandon := range abandonments {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, fliplettest.InProcess())
				jane, bob := w.login("jane", asUsual), w.login("bob", asUsual)
				conv := w.converse(jane, "bob")
				sayMany(w, jane, conv, numbers(0, 300))
				never := make(chan struct{})
				before := footprint()
				for range loops {
					abandon(t, bob, never)
					time.Sleep(time.Minute) // so that each has a page of its own
				}
				settle()
				full := footprint()
				assert.Less(t, (full-before)/loops, 300<<10, "each")
				for i := range 10 {
					sayMany(w, jane, conv, numbers(1000*(i+1), 1000*(i+1)+300))
					time.Sleep(time.Minute)
				}
				settle()
				rows := 3000 * 3 << 10 // of the server's, in this process
				assert.Less(t, footprint()-full, rows+loops*(64<<10), "nothing is added while messages come")
				began := time.Now()
				brief, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				if err := bob.Shutdown(brief); err != nil {
					require.ErrorIs(t, err, context.DeadlineExceeded, "a stream's function runs")
				}
				require.NoError(t, bob.Close())
				assert.LessOrEqual(t, time.Since(began), time.Second)
				synctest.Wait()
				after := footprint()
				assert.Less(t, after-before, rows+loops*(32<<10), "their queues are gone, also while nobody returns")
				close(never)
				synctest.Wait()
			})
		})
	}
}

// Streams whose functions begin to block with what the poll brings, beside one that goes
// on with what later polls bring.
func TestPollWaitsASecondAtMostWhateverOthersDo(t *testing.T) {
	t.Parallel()
	for _, rows := range []int{0, 3000} {
		t.Run(fmt.Sprint(rows, " rows"), func(t *testing.T) {
			t.Parallel()
			servers(t, func(t *testing.T, w *world) {
				jane, bob := w.login("jane", asUsual), w.login("bob", asUsual)
				conv := w.converse(jane, "bob")
				sayMany(w, jane, conv, numbers(0, rows))
				time.Sleep(time.Hour)
				poll := func(where string) {
					began := time.Now()
					assert.NoError(t, bob.Poll(t.Context()), where)
					assert.LessOrEqual(t, time.Since(began), 1500*time.Millisecond, where) // a pause between polls, and the second
				}
				never, inside, polled := make(chan struct{}), make(chan struct{}), make(chan struct{})
				for _, f := range []func(*chat.Message){
					func(m *chat.Message) {
						if m.Body == "first" {
							<-inside
							sayMany(w, jane, conv, []string{"second"})
							poll("inside")
							close(polled)
							<-never
						}
					},
					func(m *chat.Message) {
						if m.Body == "second" {
							<-never
						}
					},
					func(*chat.Message) {},
				} {
					_, err := bob.Stream(t.Context(), f, chat.StartAt(chat.FromBeginning))
					require.NoError(t, err)
				}
				settle()
				sayMany(w, jane, conv, []string{"first"})
				settle()
				close(inside)
				go func() { poll("outside") }()
				for i := range 10 {
					time.Sleep(600 * time.Millisecond)
					sayMany(w, jane, conv, numbers(10_000+i, 10_001+i))
					go func() { poll("outside, later") }()
				}
				<-polled
				close(never)
				settle()
				require.NoError(t, bob.Close())
			})
		})
	}
}

// Nobody answers: neither the list of conversations nor a query.
func TestAPollThatHangsIsGivenUpOnce(t *testing.T) {
	t.Parallel()
	for name, hangs := range map[string]func(r *http.Request) bool{
		"everything": func(*http.Request) bool { return true },
		"the list":   func(r *http.Request) bool { return r.Method == http.MethodGet },
		"queries":    func(r *http.Request) bool { return r.Method == http.MethodPost },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			servers(t, func(t *testing.T, w *world) {
				jane := w.login("jane", asUsual)
				conv := w.converse(jane, "bob")
				var sick atomic.Bool
				bob := w.login("bob", asUsual, w.through(roundTripper(func(r *http.Request) (*http.Response, error) {
					if sick.Load() && hangs(r) {
						<-r.Context().Done()
						return nil, r.Context().Err()
					}
					return w.Transport().RoundTrip(r)
				})))
				h := &heard{}
				_, err := bob.Stream(t.Context(), h.message, chat.StartAt(chat.FromNow))
				require.NoError(t, err)
				settle()
				w.say(jane, conv, "while it hangs")
				sick.Store(true)
				for range 6 {
					began := time.Now()
					err := bob.Poll(t.Context())
					took := time.Since(began)
					const pause = 3500 * time.Millisecond // more than 1.25 s and LivePollInterval
					if assert.LessOrEqual(t, took, 15*time.Second+pause); err == nil {
						assert.LessOrEqual(t, took, pause)
					}
				}
				if name == "the list" {
					_, live, _ := h.in(conv)
					assert.Equal(t, []string{"while it hangs"}, live)
				}
				sick.Store(false)
				settle()
				_, live, _ := h.in(conv)
				assert.Equal(t, []string{"while it hangs"}, live)
				require.NoError(t, bob.Close())
			})
		})
	}
}
