package chathttp_test

import (
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/chathttp"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

// until polls a condition on the clock of the test.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for range 20_000 {
		if ok() {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	require.FailNow(t, "it does not happen: "+what)
}

// A page whose connections are cut at random, with what is in the buffers on the way, gets
// everything once and in order. Those who give no position show that losses and repetitions
// would be seen.
func TestAPageThatConnectsAgainGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change   []func(*page)
		messages int
		whole    bool
	}{
		"with the id":                     {nil, 300, true},
		"with the id, and acknowledging":  {[]func(*page){acks}, 300, true},
		"without the id, from the newest": {[]func(*page){func(p *page) { p.query = "from=newest" }}, 100, false},
		"without the id, from now":        {[]func(*page){func(p *page) { p.query = "from=now" }}, 100, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, chathttp.Options{LogEvents: 50, LogBytes: 40 << 10})
				conv := w.converse("jane", "bob")
				p := w.page("bob", tc.change...)
				var pages sync.WaitGroup
				pages.Go(p.run)
				random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a seed to repeat it
				w.Sometimes(0.05, fliplettest.AnyRoute, fliplettest.LoseAnswer())
				until(t, "the first connection", func() bool { return p.count("open") > 0 })
				var sent []string
				for i := range tc.messages {
					body := "message " + strconv.Itoa(i) + strings.Repeat(".", random.IntN(2000))
					sent = append(sent, body)
					w.AddRows(conv.ID, w.row("jane", conv.ID, body))
					time.Sleep(time.Duration(random.IntN(600)) * time.Millisecond)
					if random.IntN(15) == 0 {
						w.net.cut()
					}
				}
				time.Sleep(5 * time.Minute)
				p.stop()
				pages.Wait()
				lost, twice, disordered := tally(p.messages(), sent)
				t.Logf("%d connections cut, %d resets, lost %d, twice %d, out of order %d", w.net.cuts(), p.count("reset"), lost, twice, disordered)
				assert.Greater(t, w.net.cuts(), 2)
				if tc.whole {
					assert.Zero(t, lost, "lost")
					assert.Zero(t, twice, "twice")
					assert.Zero(t, disordered, "out of order")
					assert.Zero(t, p.count("reset"))
					assert.Equal(t, 1, p.count("open"))
				} else {
					assert.NotZero(t, lost+twice, "a page that does not say where it is would not be noticed")
				}
			})
		})
	}
}

// row is a message as another client writes it.
func (w *world) row(who string, conversation int64, body string) datasource.M {
	user := w.chats[who].User().UserID
	return datasource.M{"body": body, "fromUserId": user, "readBy": []string{user}, "guid": body, "conversationId": conversation}
}

// A laptop is closed for an hour, while more is written than any page or log holds.
func TestAnHourWithoutNetworkLosesNothing(t *testing.T) {
	t.Parallel()
	for name, change := range map[string][]func(*page){"acknowledging": {acks}, "any other page": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, chathttp.Options{LogEvents: 100, LogBytes: 20 << 10})
				conv := w.converse("jane", "bob")
				var sent []string
				write := func(n int) {
					rows := make([]datasource.M, n)
					for i := range rows {
						body := "message " + strconv.Itoa(len(sent))
						rows[i] = w.row("jane", conv.ID, body)
						sent = append(sent, body)
					}
					w.AddRows(conv.ID, rows...)
				}
				p := w.page("bob", change...)
				closed := make(chan struct{})
				go func() { defer close(closed); p.connect() }()
				until(t, "the stream", func() bool { return p.count("open") == 1 })
				write(10)
				until(t, "the first messages", func() bool { return len(p.messages()) == 10 })
				w.net.cut()
				<-closed
				for range 60 { // an hour
					write(10)
					time.Sleep(time.Minute)
				}
				edited := w.Rows(conv.ID)[2]
				_, err := w.chats["jane"].UpdateMessage(t.Context(), conv.ID, edited.ID, chat.M{"body": "edited"})
				require.NoError(t, err)
				require.NoError(t, w.chats["jane"].DeleteMessage(t.Context(), conv.ID, w.Rows(conv.ID)[3].ID))
				time.Sleep(5 * time.Minute)
				write(5)
				var pages sync.WaitGroup
				pages.Go(p.run)
				until(t, "the rest", func() bool { return len(p.messages()) >= len(sent)+2 })
				time.Sleep(5 * time.Minute)
				p.stop()
				pages.Wait()
				lost, twice, disordered := tally(p.messages(), sent)
				assert.Equal(t, []int{0, 0, 0}, []int{lost, twice, disordered}, "lost, twice, out of order")
				assert.Zero(t, p.count("reset"))
				var updated, deleted int
				for _, m := range p.messages() {
					switch {
					case m.IsDeleted:
						deleted++
					case m.IsUpdate:
						updated++
						assert.Equal(t, "edited", m.Body)
					}
				}
				assert.Equal(t, []int{1, 1}, []int{updated, deleted}, "edited and deleted meanwhile")
			})
		})
	}
}

func TestAnIDThatIsNotThatOfAStreamIsAResetWithItsReason(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, chathttp.Options{LogEvents: 10})
		conv := w.converse("jane", "bob")
		eve := w.open("eve", "", "")
		others := eve.want("open").id
		s := w.open("bob", "", "")
		first := s.want("open").id
		time.Sleep(10 * time.Second) // its newest messages are read
		for i := range 30 {
			w.AddRows(conv.ID, w.row("jane", conv.ID, strconv.Itoa(i)))
		}
		var last event
		for range 30 {
			last = s.want("")
		}
		s.close()
		name, _, _ := strings.Cut(first, ".")
		for id, reason := range map[string]string{
			strings.Repeat("A", 26) + ".3": "unknown", others: "unknown", first: "old", name + ".3": "old", name + ".31": "invalid", name + ".99999999999999999999": "invalid",
			"x": "invalid", "1234": "invalid", name: "invalid", name + ".": "invalid", name + ".-1": "invalid", name + "x.1": "invalid", strings.Repeat("9", 5000): "invalid",
			name + ".1.2": "invalid", "null": "invalid",
		} {
			s := w.open("bob", id, "from=now")
			assert.Equal(t, `{"reason":"`+reason+`"}`, s.want("reset").data, "%.60s", id)
			opened := s.want("open")
			assert.NotEqual(t, id, opened.id)
			s.close()
		}
		s = w.open("bob", last.id, "")
		w.AddRows(conv.ID, w.row("jane", conv.ID, "more"))
		assert.Equal(t, "more", s.want("").message(t).Body, "the stream itself has come to no harm")
	})
}

func TestAStreamIsGivenUpWhenItsPageDoesNotComeBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, chathttp.Options{Keep: time.Hour})
		s := w.open("bob", "", "")
		id := s.want("open").id
		s.close()
		time.Sleep(59 * time.Minute)
		s = w.open("bob", id, "")
		s.close()
		time.Sleep(59 * time.Minute)
		assert.Equal(t, 1, w.chats["bob"].Health().Listeners)
		time.Sleep(2 * time.Minute)
		assert.Equal(t, 0, w.chats["bob"].Health().Listeners, "nothing is polled for nobody")
		s = w.open("bob", id, "")
		assert.Contains(t, s.want("reset").data, "unknown")
	})
}

func TestAPersonHasSoManyStreamsAndTheOneThatWaitsLongestMakesRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, chathttp.Options{Streams: 3})
		var ids []string
		for range 3 {
			s := w.open("bob", "", "")
			ids = append(ids, s.want("open").id)
			s.close()
			time.Sleep(time.Second)
		}
		a, b := w.open("bob", ids[0], ""), w.open("bob", "", "")
		assert.NotEmpty(t, b.want("open").id, "the second one made room")
		c := w.open("bob", ids[2], "")
		res, body := w.request("bob", http.MethodGet, "stream", "")
		assert.Equal(t, http.StatusTooManyRequests, res.StatusCode)
		assert.Contains(t, rejected(t, res, body), "too many streams")
		d := w.open("jane", "", "")
		d.want("open")
		for _, s := range []*stream{a, b, c, d} {
			s.close()
		}
		time.Sleep(time.Second)
		s := w.open("bob", ids[1], "")
		assert.Contains(t, s.want("reset").data, "unknown")
	})
}

func TestTwoTabsGetEverythingAndOneStreamHasOneConnection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, chathttp.Options{})
		conv := w.converse("jane", "bob")
		one, two := w.open("bob", "", ""), w.open("bob", "", "")
		id := one.want("open").id
		two.want("open")
		again := w.open("bob", id, "") // such as a connection that is half dead
		_, ok := one.next()
		assert.False(t, ok, "the older connection has ended")
		w.call("jane", "message", nil, conv.ID, object{"body": "to both"})
		assert.Equal(t, "to both", again.want("").message(t).Body)
		assert.Equal(t, "to both", two.want("").message(t).Body)
		w.call("bob", "message", nil, conv.ID, object{"body": "from one of them"})
		assert.Equal(t, "from one of them", again.want("").message(t).Body)
		assert.Equal(t, "from one of them", two.want("").message(t).Body)
	})
}

// A page that does not read holds no more memory than its log. One that acknowledges gets
// everything all the same; another one is told that what it has not read is gone.
func TestASlowReaderHoldsNoMoreThanItsLog(t *testing.T) {
	t.Parallel()
	for name, acknowledges := range map[string]bool{"acknowledging": true, "any other page": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, chathttp.Options{LogEvents: 50, LogBytes: 64 << 10, WriteTimeout: 20 * time.Second})
				conv := w.converse("jane", "bob")
				query := ""
				if acknowledges {
					query = "ack=1"
				}
				s := w.open("bob", "", query)
				id := s.want("open").id
				time.Sleep(10 * time.Second) // its newest messages are read
				var sent []string
				for i := range 400 {
					body := strconv.Itoa(i) + strings.Repeat("x", 1000)
					sent = append(sent, body)
					w.AddRows(conv.ID, w.row("jane", conv.ID, body))
				}
				time.Sleep(10 * time.Minute)
				events, bytes, connected := w.handler.Kept()
				assert.Positive(t, events)
				assert.LessOrEqual(t, events, 50)
				assert.LessOrEqual(t, bytes, 64<<10)
				if !acknowledges {
					assert.Zero(t, connected, "it was cut off")
					assert.Contains(t, w.open("bob", id, "").want("reset").data, "old")
					return
				}
				p := w.page("bob", acks)
				p.id = id
				var pages sync.WaitGroup
				pages.Go(p.run)
				until(t, "the rest", func() bool { return len(p.messages()) >= len(sent) })
				p.stop()
				pages.Wait()
				lost, twice, disordered := tally(p.messages(), sent)
				assert.Equal(t, []int{0, 0, 0}, []int{lost, twice, disordered}, "lost, twice, out of order")
			})
		})
	}
}

func TestAQuietStreamBeatsAndTellsOfTrouble(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, chathttp.Options{Heartbeat: 15 * time.Second})
		conv := w.converse("jane", "bob")
		s := w.open("bob", "", "")
		s.want("open")
		began := time.Now()
		for range 4 {
			line, err := s.lines.ReadString('\n')
			require.NoError(t, err)
			require.Equal(t, ": \n", line)
			_, err = s.lines.ReadString('\n')
			require.NoError(t, err)
		}
		assert.Equal(t, time.Minute, time.Since(began).Round(time.Second))
		lever := w.Always(fliplettest.AnyRead, fliplettest.Status(503))
		e := s.want("trouble")
		assert.Contains(t, e.data, "503")
		assert.Empty(t, e.id, "it is no position")
		lever.Off()
		w.AddRows(conv.ID, w.row("jane", conv.ID, "after it"))
		for {
			if e, ok := s.next(); !ok || e.kind == "" {
				assert.Equal(t, "after it", e.message(t).Body)
				break
			}
		}
	})
}

func TestAStreamBeginsAsItIsAsked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, chathttp.Options{})
		conv := w.converse("jane", "bob")
		for i := range 250 {
			w.AddRows(conv.ID, w.row("jane", conv.ID, strconv.Itoa(i)))
		}
		for query, first := range map[string]string{"": "50", "from=newest": "50", "from=beginning": "0", "from=now": "later", "offline=1": "50", "from=now&marks=0": "later"} {
			s := w.open("bob", "", query)
			s.want("open")
			if strings.Contains(query, "now") {
				time.Sleep(10 * time.Second)
				if strings.Contains(query, "marks=0") {
					w.call("bob", "markMessagesAsRead", nil, w.fetch(conv.ID, 1))
				}
				time.Sleep(30 * time.Second)
				w.AddRows(conv.ID, w.row("jane", conv.ID, "later"))
				assert.Equal(t, "later", s.want("").message(t).Body, query)
				s.close()
				rows := w.Rows(conv.ID)
				require.NoError(t, w.chats["jane"].DeleteMessage(t.Context(), conv.ID, rows[len(rows)-1].ID))
				time.Sleep(time.Minute)
				continue
			}
			assert.Equal(t, first, s.want("").message(t).Body, query)
			s.close()
		}
	})
}

// fetch reads the newest messages as a page has them.
func (w *world) fetch(conversation int64, n int) (out []any) {
	w.t.Helper()
	w.call("bob", "messages", &out, object{"conversations": []int64{conversation}, "limit": n})
	return out
}

func TestCloseEndsStreamsAndCallsFindNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, chathttp.Options{})
		one, two := w.open("bob", "", ""), w.open("jane", "", "")
		one.want("open")
		two.want("open")
		waits := w.open("bob", "", "")
		waits.close()
		require.NoError(t, w.handler.Close())
		for _, s := range []*stream{one, two} {
			_, ok := s.next()
			assert.False(t, ok, "a page is told nothing, since another server may answer it")
		}
		status, _ := w.refused("bob", "user")
		assert.Equal(t, http.StatusServiceUnavailable, status)
		synctest.Wait()
		assert.Zero(t, w.chats["bob"].Health().Listeners)
		require.NoError(t, w.handler.Close())
	})
}

// A connection lasts for days, and a login may not.
func TestAStreamEndsWhenItsLoginRunsOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, chathttp.Options{})
		conv := w.converse("jane", "bob")
		busy, quiet, fresh := w.open("bob", "", ""), w.open("eve", "", ""), w.open("jane", "", "")
		for _, s := range []*stream{busy, quiet, fresh} {
			s.want("open")
		}
		w.expire("bob", nil)
		w.expire("eve", nil)
		w.expire("jane", w.chats["eve"]) // the page has another user now
		var over sync.WaitGroup
		defer over.Wait()
		over.Go(func() { // a stream that is never quiet is asked, too
			for range 60 {
				w.AddRows(conv.ID, w.row("jane", conv.ID, "more"))
				time.Sleep(time.Second)
			}
		})
		began := time.Now()
		last := func(s *stream) (kind, data string) {
			for {
				e, ok := s.next()
				if !ok {
					return kind, data
				}
				kind, data = e.kind, e.data
			}
		}
		for name, s := range map[string]*stream{"busy": busy, "quiet": quiet} {
			kind, data := last(s)
			assert.Equal(t, "end", kind, name)
			assert.Contains(t, data, "401", name)
		}
		kind, _ := last(fresh)
		assert.NotEqual(t, "end", kind, "it is to connect again")
		assert.LessOrEqual(t, time.Since(began), time.Minute)
	})
}

// A page that connects again does not end the connection that it believes to be dead, which
// may take nothing that is meant for the new one.
func TestAConnectionThatWasReplacedTakesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, chathttp.Options{LogEvents: 40, Calls: 10_000})
		conv := w.converse("jane", "bob")
		s := w.open("bob", "", "ack=1")
		id := s.want("open").id
		time.Sleep(10 * time.Second)          // its newest messages are read
		random := rand.New(rand.NewPCG(3, 4)) //nolint:gosec // a seed to repeat it
		var sent []string
		var writing sync.WaitGroup
		for i := range 400 {
			sent = append(sent, "message "+strconv.Itoa(i))
		}
		writing.Go(func() {
			for _, body := range sent {
				w.AddRows(conv.ID, w.row("jane", conv.ID, body))
				time.Sleep(50 * time.Millisecond)
			}
		})
		var got []*chat.Message
		for len(got) < len(sent) {
			for range min(1+random.IntN(5), len(sent)-len(got)) {
				e := s.want("")
				got = append(got, e.message(t))
				id = e.id
			}
			s = w.open("bob", id, "")
		}
		writing.Wait()
		lost, twice, disordered := tally(got, sent)
		assert.Equal(t, []int{0, 0, 0}, []int{lost, twice, disordered}, "lost, twice, out of order")
	})
}

func TestAPageThatGoesTakesItsStreamWithIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, chathttp.Options{})
		s, others := w.open("bob", "", ""), w.open("jane", "", "")
		id, hers := s.want("open").id, others.want("open").id
		for _, body := range []string{`{"id":"` + hers + `"}`, `{"id":"x"}`, `{}`} {
			res, _ := w.request("bob", http.MethodPost, "stream/close", body)
			assert.Equal(t, http.StatusOK, res.StatusCode, "there is nothing to tell about the streams of others")
		}
		res, body := w.request("bob", http.MethodPost, "stream/close", `[]`)
		assert.Equal(t, http.StatusBadRequest, res.StatusCode)
		rejected(t, res, body)
		assert.Equal(t, 1, w.chats["bob"].Health().Listeners)
		w.request("bob", http.MethodPost, "stream/close", `{"id":"`+id+`"}`)
		_, ok := s.next()
		assert.False(t, ok)
		synctest.Wait()
		assert.Equal(t, 0, w.chats["bob"].Health().Listeners)
		assert.Equal(t, 1, w.chats["jane"].Health().Listeners)
		s = w.open("bob", id, "")
		assert.Contains(t, s.want("reset").data, "unknown")
	})
}
