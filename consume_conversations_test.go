package chat_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
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
	"github.com/fliplet/fliplet-chat-go/storage"
)

// talks is a world on virtual time in which Jane writes to Bob in several
// conversations.
type talks struct {
	*world
	jane  *chat.Chat
	convs []int64
	store storage.Store
}

func inTalks(t *testing.T, n int, test func(t *testing.T, w *talks)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &talks{world: newWorld(t, fliplettest.InProcess()), store: storage.NewMemory()}
		w.jane = w.login("jane")
		for i := range n {
			w.convs = append(w.convs, w.addTalk(fmt.Sprint("talk ", i)))
		}
		test(t, w)
	})
}

// write stores messages of Jane's in a conversation.
func (w *talks) write(talk int, texts ...string) {
	var rows []datasource.M
	for _, text := range texts {
		row := textRows(w.jane, 1)[0]
		row["body"] = text
		rows = append(rows, row)
	}
	w.AddRows(w.convs[talk], rows...)
}

// bob logs in with the store of the world.
func (w *talks) bob(change ...func(*chat.Options)) *chat.Chat {
	return w.login("bob", append([]func(*chat.Options){storing(w.store), unhurried}, change...)...)
}

// witness keeps what a consumer's function got.
type witness struct {
	mu    sync.Mutex
	texts []string
	times map[string]time.Time // of the last call
	calls map[string]int
}

func newWitness() *witness { return &witness{times: map[string]time.Time{}, calls: map[string]int{}} }

func (h *witness) add(m *chat.Message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.texts = append(h.texts, m.Body)
	h.times[m.Body] = time.Now()
	h.calls[m.Body]++
}

func (h *witness) all() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.texts)
}

func (h *witness) count(text string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.calls[text]
}

var errPoison = errors.New("cannot")

func TestAFailingMessageHoldsBackItsOwnConversationOnly(t *testing.T) {
	inTalks(t, 11, func(t *testing.T, w *talks) {
		bob, h := w.bob(), newWitness()
		stop := consume(bob, "bot", func(_ context.Context, m *chat.Message) error {
			h.add(m)
			if m.Body == "poison" {
				return errPoison
			}
			return nil
		})
		time.Sleep(time.Second)
		w.write(0, "poison", "behind it")
		var want []string
		for i := range 10 {
			w.write(i+1, fmt.Sprint(i))
			want = append(want, fmt.Sprint(i))
		}
		time.Sleep(30 * time.Second)
		var got []string
		for _, text := range h.all() {
			if text != "poison" {
				got = append(got, text)
			}
		}
		slices.Sort(got)
		assert.Equal(t, want, got, "within seconds")
		time.Sleep(24 * time.Hour)
		assert.Zero(t, h.count("behind it"), "its own conversation waits")
		assert.Greater(t, h.count("poison"), 1000, "nothing is dropped silently")
		require.ErrorIs(t, stop(), context.Canceled)
		require.NoError(t, w.jane.Close())
		require.NoError(t, bob.Close())
	})
}

// One conversation fails with hundreds of messages before, among and after ten
// thousand others, and the process is started anew again and again.
func TestAPoisonConversationStopsNoOtherAlsoAcrossRestarts(t *testing.T) {
	const others, rounds, each = 10, 5, 200
	inTalks(t, others+1, func(t *testing.T, w *talks) {
		h := newWitness()
		var healed atomic.Bool
		var asked []int
		for round := range rounds + 1 {
			bob := w.bob()
			stop := consume(bob, "bot", func(_ context.Context, m *chat.Message) error {
				if strings.HasPrefix(m.Body, "poison") && !healed.Load() {
					return errPoison
				}
				h.add(m)
				return nil
			}, chat.Parallel(2), chat.StartAt(chat.FromBeginning))
			if round == rounds {
				healed.Store(true)
			} else {
				for i := range each {
					w.write(0, fmt.Sprintf("poison %d.%03d", round, i), fmt.Sprintf("poison %d.%03d+", round, i))
				}
				time.Sleep(time.Second)
				for i := range each {
					for c := range others {
						w.write(c+1, fmt.Sprintf("%d: %d.%03d", c, round, i))
					}
				}
			}
			before := len(w.Requests())
			time.Sleep(5 * time.Minute)
			asked = append(asked, len(w.Requests())-before)
			require.ErrorIs(t, stop(), context.Canceled)
			require.NoError(t, bob.Close())
			if round < rounds {
				assert.Len(t, h.all(), (round+1)*others*each, "round %d", round)
			}
		}
		got := map[string][]string{}
		for _, text := range h.all() {
			name, _, _ := strings.Cut(text, " ")
			got[name] = append(got[name], text)
		}
		assert.Len(t, got, others+1)
		assert.Len(t, got["poison"], 2*rounds*each)
		for name, texts := range got {
			assert.True(t, slices.IsSorted(texts), "the order of %s", name)
			assert.Len(t, slices.Compact(texts), len(texts), "%s: each once", name)
		}
		for round, n := range asked {
			assert.Less(t, n, 400, "requests in round %d", round)
		}
		require.NoError(t, w.jane.Close())
	})
}

func TestParallelHandlesSeveralConversationsAtOnceAndEachInOrder(t *testing.T) {
	const n, messages = 20, 30
	inTalks(t, n, func(t *testing.T, w *talks) {
		bob, h := w.bob(), newWitness()
		var mu sync.Mutex
		running, most := map[int64]bool{}, 0
		stop := consume(bob, "bot", func(_ context.Context, m *chat.Message) error {
			mu.Lock()
			assert.False(t, running[m.ConversationID], "two messages of one conversation at a time")
			running[m.ConversationID] = true
			most = max(most, len(running))
			mu.Unlock()
			time.Sleep(time.Second)
			h.add(m)
			mu.Lock()
			defer mu.Unlock()
			delete(running, m.ConversationID)
			return nil
		}, chat.Parallel(8))
		time.Sleep(time.Second)
		for i := range messages {
			for c := range n {
				w.write(c, fmt.Sprintf("%d: %02d", c, i))
			}
		}
		time.Sleep(n*messages/8*time.Second + 10*time.Second)
		assert.Len(t, h.all(), n*messages, "eight at a time take an eighth of the time")
		assert.Equal(t, 8, most)
		got := map[string][]string{}
		for _, text := range h.all() {
			name, _, _ := strings.Cut(text, " ")
			got[name] = append(got[name], text)
		}
		for name, texts := range got {
			assert.True(t, slices.IsSorted(texts), name)
		}
		require.ErrorIs(t, stop(), context.Canceled)
		require.NoError(t, w.jane.Close())
		require.NoError(t, bob.Close())
	})
}

// A function that takes an hour is not a failure, but holds up the position like one.
func TestASlowFunctionHoldsUpItsOwnConversationOnly(t *testing.T) {
	inTalks(t, 2, func(t *testing.T, w *talks) {
		bob, h := w.bob(), newWitness()
		stop := consume(bob, "bot", func(_ context.Context, m *chat.Message) error {
			if m.Body == "slow 0" {
				time.Sleep(time.Hour)
			}
			h.add(m)
			return nil
		}, chat.Parallel(2))
		time.Sleep(time.Second)
		w.write(0, "slow 0", "slow 1")
		for range 600 {
			w.write(0, "slow 2")
			w.write(1, "quick")
			time.Sleep(time.Second)
		}
		time.Sleep(time.Minute)
		assert.Len(t, h.all(), 600)
		time.Sleep(time.Hour)
		assert.Equal(t, []string{"slow 0", "slow 1", "slow 2"}, h.all()[600:603])
		assert.Len(t, h.all(), 1202)
		require.ErrorIs(t, stop(), context.Canceled)
		require.NoError(t, w.jane.Close())
		require.NoError(t, bob.Close())
	})
}

func TestPermanentGivesUpAtOnce(t *testing.T) {
	useless := func(text string) error { return fmt.Errorf("%s: %w", text, chat.Permanent(errPoison)) }
	for name, is := range map[string]struct {
		deadLetter func() error // nil: there is none
		told       []string     // the errors of OnError, without the ids
		log        string
	}{
		"no dead letter": {nil, []string{"is given up after attempt 1: the archive: cannot"}, `level=ERROR msg="a consumer's function failed: given up"`},
		"a dead letter":  {func() error { return nil }, []string{"attempt 1: the archive: cannot"}, ""},
		"a dead letter that is useless": {func() error { return useless("the shelf") }, []string{
			"attempt 1: the archive: cannot", "is given up after attempt 2: the shelf: cannot",
		}, `level=ERROR msg="a dead letter was not taken: given up"`},
	} {
		t.Run(name, func(t *testing.T) {
			inTalks(t, 1, func(t *testing.T, w *talks) {
				h := newWitness()
				var log syncBuffer
				var told, dead errorList
				bob := w.bob(func(o *chat.Options) { o.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
				opts := []chat.ConsumeOption{chat.OnError(told.add)}
				if is.deadLetter != nil {
					opts = append(opts, chat.DeadLetter(func(_ context.Context, m *chat.Message, err error) error {
						assert.Equal(t, "poison", m.Body)
						dead.add(err)
						return is.deadLetter()
					}))
				}
				var id int64
				stop := consume(bob, "archive", func(_ context.Context, m *chat.Message) error {
					h.add(m)
					if m.Body == "poison" {
						id = m.ID
						return useless("the archive")
					}
					return nil
				}, opts...)
				time.Sleep(time.Second)
				w.write(0, "poison", "next")
				time.Sleep(time.Hour)
				assert.Equal(t, []string{"poison", "next"}, h.all(), "one attempt, and it holds nothing up")
				require.Len(t, dead.all(), map[bool]int{true: 1}[is.deadLetter != nil])
				for _, err := range append(dead.all(), told.all()...) {
					require.ErrorIs(t, err, errPoison)
				}
				require.Len(t, told.all(), len(is.told))
				for i, want := range is.told {
					require.ErrorContains(t, told.all()[i], want)
					require.ErrorContains(t, told.all()[i], fmt.Sprintf("message %d", id))
				}
				if is.log == "" {
					assert.NotContains(t, log.String(), "given up")
				} else {
					require.ErrorContains(t, told.all()[len(is.told)-1], fmt.Sprintf("message %d of conversation %d", id, w.convs[0]))
					for _, part := range []string{is.log, "cannot", fmt.Sprintf("conversation=%d", w.convs[0]), fmt.Sprintf("message=%d", id)} {
						assert.Contains(t, log.String(), part)
					}
				}
				for _, k := range bob.Health().Consumers {
					assert.Empty(t, k.Failing)
				}
				require.ErrorIs(t, stop(), context.Canceled)
				require.NoError(t, bob.Close())
				require.NoError(t, w.jane.Close())
			})
		})
	}
	require.NoError(t, chat.Permanent(nil))
}

func TestLatestHandlesTheNewestOfTheWaitingMessages(t *testing.T) {
	inTalks(t, 2, func(t *testing.T, w *talks) {
		bob, h := w.bob(), newWitness()
		stop := consume(bob, "bot", func(_ context.Context, m *chat.Message) error {
			h.add(m)
			time.Sleep(time.Minute)
			return nil
		}, chat.Parallel(2), chat.PerConversation(chat.Latest))
		time.Sleep(time.Second)
		w.write(0, "0")
		w.write(1, "other")
		time.Sleep(5 * time.Second)
		for i := range 5 {
			w.write(0, fmt.Sprint(i+1))
			time.Sleep(3 * time.Second)
		}
		time.Sleep(5 * time.Minute)
		assert.Equal(t, []string{"0", "5"}, slices.DeleteFunc(h.all(), func(s string) bool { return s == "other" }))
		require.ErrorIs(t, stop(), context.Canceled)
		require.NoError(t, bob.Close())

		bob = w.bob()
		stop = consume(bob, "bot", func(_ context.Context, m *chat.Message) error { h.add(m); return nil })
		time.Sleep(time.Minute)
		assert.Len(t, h.all(), 3, "the others were acknowledged")
		require.ErrorIs(t, stop(), context.Canceled)
		require.NoError(t, bob.Close())
		require.NoError(t, w.jane.Close())
	})
}

func TestLatestDropsAFailingMessageForANewerOne(t *testing.T) {
	inTalks(t, 1, func(t *testing.T, w *talks) {
		bob, h := w.bob(), newWitness()
		stop := consume(bob, "bot", func(_ context.Context, m *chat.Message) error {
			h.add(m)
			if m.Body == "poison" {
				return errPoison
			}
			return nil
		}, chat.PerConversation(chat.Latest))
		time.Sleep(time.Second)
		w.write(0, "poison")
		time.Sleep(time.Hour)
		tries := h.count("poison")
		assert.Greater(t, tries, 10)
		w.write(0, "newer")
		time.Sleep(3 * time.Minute) // polls are rare after an hour of silence
		assert.Equal(t, 1, h.count("newer"))
		tries = h.count("poison")
		time.Sleep(time.Hour)
		assert.Equal(t, tries, h.count("poison"))
		require.ErrorIs(t, stop(), context.Canceled)
		require.NoError(t, bob.Close())
		require.NoError(t, w.jane.Close())
	})
}

func TestDebounceWaitsUntilAConversationIsQuiet(t *testing.T) {
	inTalks(t, 2, func(t *testing.T, w *talks) {
		const quiet = 20 * time.Second
		bob, h := w.bob(), newWitness()
		stop := consume(bob, "bot", func(_ context.Context, m *chat.Message) error { h.add(m); return nil },
			chat.PerConversation(chat.Debounce(quiet)))
		time.Sleep(time.Second)
		var last time.Time
		for i := range 4 {
			last = time.Now()
			w.write(0, fmt.Sprint(i))
			time.Sleep(10 * time.Second)
		}
		time.Sleep(time.Minute)
		require.Equal(t, []string{"3"}, h.all())
		h.mu.Lock()
		wait := h.times["3"].Sub(last)
		h.mu.Unlock()
		assert.GreaterOrEqual(t, wait, quiet)
		assert.Less(t, wait, quiet+10*time.Second, "the quiet, and the time until a poll finds the message")
		// One who never stops is heard all the same.
		began := time.Now()
		for i := range 100 {
			w.write(1, fmt.Sprint("chatter ", i))
			time.Sleep(5 * time.Second)
		}
		first := h.all()[1]
		h.mu.Lock()
		assert.InDelta(t, 10*quiet.Seconds(), h.times[first].Sub(began).Seconds(), 10)
		h.mu.Unlock()
		time.Sleep(time.Minute)
		assert.Len(t, h.all(), 1+3, "every 200 s of 500, and the last one")
		assert.Equal(t, "chatter 99", h.all()[3])
		require.ErrorIs(t, stop(), context.Canceled)
		require.NoError(t, bob.Close())
		require.NoError(t, w.jane.Close())
	})
}

// When everything fails that is an outage: nothing is given up, nothing is reordered,
// and hundreds of conversations take no hundreds of requests.
func TestAnOutageOfTheFunctionIsWaitedOut(t *testing.T) {
	const n = 60
	inTalks(t, n, func(t *testing.T, w *talks) {
		bob, h := w.bob(), newWitness()
		var up atomic.Bool
		stop := consume(bob, "bot", func(_ context.Context, m *chat.Message) error {
			if !up.Load() {
				return errPoison
			}
			h.add(m)
			return nil
		}, chat.Parallel(4))
		time.Sleep(time.Second)
		for i := range 20 {
			for c := range n {
				w.write(c, fmt.Sprintf("%02d: %02d", c, i))
			}
			time.Sleep(10 * time.Second)
		}
		time.Sleep(10 * time.Minute)
		up.Store(true)
		before := len(w.Requests())
		time.Sleep(10 * time.Minute)
		assert.Less(t, len(w.Requests())-before, 1000)
		require.Len(t, h.all(), 20*n)
		got := h.all()
		slices.SortStableFunc(got, func(a, b string) int { return strings.Compare(a[:2], b[:2]) })
		assert.True(t, slices.IsSorted(got), "in order within each conversation")
		require.ErrorIs(t, stop(), context.Canceled)
		require.NoError(t, bob.Close())
		require.NoError(t, w.jane.Close())
	})
}

// An outage says nothing about a message: it is no reason for a dead letter.
func TestAnOutageMakesNoDeadLetter(t *testing.T) {
	inTalks(t, 1, func(t *testing.T, w *talks) {
		bob, h := w.bob(), newWitness()
		var dead atomic.Int32
		var works atomic.Bool
		stop := consume(bob, "bot", func(_ context.Context, m *chat.Message) error {
			if !works.Load() {
				return fmt.Errorf("reply: %w", chat.ErrOffline)
			}
			h.add(m)
			return nil
		}, chat.DeadLetter(func(context.Context, *chat.Message, error) error {
			dead.Add(1)
			return nil
		}))
		time.Sleep(time.Second)
		w.write(0, "question")
		time.Sleep(2 * time.Hour)
		assert.Zero(t, dead.Load())
		works.Store(true)
		time.Sleep(3 * time.Minute)
		assert.Equal(t, []string{"question"}, h.all())
		require.ErrorIs(t, stop(), context.Canceled)
		require.NoError(t, bob.Close())
		require.NoError(t, w.jane.Close())
	})
}

// A server that is down as a whole, or hidden behind a gateway, says nothing about a
// message; one that fails at a message alone does. Nor does an answer that waits in the
// outbox.
func TestWhatAlsoPollsMeetMakesNoDeadLetter(t *testing.T) {
	errOwn := errors.New("a bug")
	page, missing := fliplettest.Answer(200, "<html>"), fliplettest.Answer(404, "<html>nothing</html>")
	for name, is := range map[string]struct {
		route    fliplettest.Route
		fault    fliplettest.Fault
		outbox   bool // and a deadline
		own      error
		attempts bool // many of them
		dead     bool
	}{
		"everything answers 500":                 {route: fliplettest.AnyRoute, fault: fliplettest.Status(500), attempts: true},
		"everything answers 521":                 {route: fliplettest.AnyRoute, fault: fliplettest.Status(521), attempts: true},
		"everything answers a page":              {route: fliplettest.AnyRoute, fault: page, attempts: true},
		"everything answers nothing":             {route: fliplettest.AnyRoute, fault: fliplettest.Answer(200, ""), attempts: true},
		"everything is not found":                {route: fliplettest.AnyRoute, fault: missing, attempts: true},
		"its own error, and everything is lost":  {route: fliplettest.AnyRoute, fault: fliplettest.LoseRequest(), own: errOwn, attempts: true},
		"for good, and everything is lost":       {route: fliplettest.AnyRoute, fault: fliplettest.LoseRequest(), own: chat.Permanent(errOwn), dead: true},
		"its own error, and polls are well":      {route: fliplettest.Insert, fault: page, own: errOwn, dead: true},
		"sends answer 500":                       {route: fliplettest.Insert, fault: fliplettest.Status(500), dead: true},
		"sends answer 521":                       {route: fliplettest.Insert, fault: fliplettest.Status(521), attempts: true},
		"sends answer a page":                    {route: fliplettest.Insert, fault: page, dead: true},
		"queued while everything answers 503":    {route: fliplettest.AnyRoute, fault: fliplettest.Status(503), outbox: true, attempts: true},
		"queued while everything answers a page": {route: fliplettest.AnyRoute, fault: page, outbox: true, attempts: true},
		"queued while sends take forever":        {route: fliplettest.Insert, fault: fliplettest.Delay(24 * time.Hour), outbox: true, attempts: true},
	} {
		t.Run(name, func(t *testing.T) {
			inTalks(t, 1, func(t *testing.T, w *talks) {
				bob := w.bob(func(o *chat.Options) {
					if is.outbox {
						o.Outbox = &chat.OutboxOptions{}
					}
				})
				var dead, attempts atomic.Int32
				var down atomic.Pointer[fliplettest.Lever]
				stop := consume(bob, "bot", func(ctx context.Context, m *chat.Message) error {
					if m.FromUserID == bob.User().UserID {
						return nil
					}
					if attempts.Add(1) == 1 {
						down.Store(w.Always(is.route, is.fault))
						time.Sleep(30 * time.Second) // polls meet it, too
					}
					if is.own != nil {
						return is.own
					}
					if is.outbox {
						var cancel context.CancelFunc
						ctx, cancel = context.WithTimeout(ctx, 5*time.Second)
						defer cancel()
					}
					_, err := bob.Message(ctx, m.ConversationID, chat.Draft{Body: "reply", GUID: fmt.Sprint("reply to ", m.ID)})
					return err
				}, chat.DeadLetter(func(context.Context, *chat.Message, error) error { dead.Add(1); return nil }))
				time.Sleep(time.Second)
				w.write(0, "question")
				time.Sleep(2 * time.Hour)
				assert.Equal(t, is.dead, dead.Load() > 0)
				assert.Equal(t, is.attempts, attempts.Load() > 20, "%d attempts", attempts.Load())
				down.Load().Off()
				time.Sleep(time.Hour)
				if is.own == nil && !is.dead {
					replies := 0
					for _, row := range w.Rows(w.convs[0]) {
						if row.Data["fromUserId"] == bob.User().UserID {
							replies++
						}
					}
					assert.Equal(t, 1, replies)
				}
				assert.Equal(t, is.dead || is.own != nil, dead.Load() > 0, "what it meets when all is well is its own")
				require.ErrorIs(t, stop(), context.Canceled)
				require.NoError(t, bob.Close())
				require.NoError(t, w.jane.Close())
			})
		})
	}
}

// A gap has no message for a dead letter. It is not dropped silently either.
func TestAGapThatOnGapNeverTakesIsGivenUpAndTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		jane := w.login("jane")
		conv := w.converse(jane, "eve")
		w.say(jane, conv, "before")
		h := newWitness()
		var log syncBuffer
		var told errorList
		bob := w.login("bob", unhurried, func(o *chat.Options) { o.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
		stop := consume(bob, "bot", func(_ context.Context, m *chat.Message) error { h.add(m); return nil },
			chat.StartAt(chat.FromNow), chat.MaxAttempts(2), chat.OnGap(func(chat.Gap) { panic("no room") }), chat.OnError(told.add),
			chat.DeadLetter(func(context.Context, *chat.Message, error) error { assert.Fail(t, "there is no message"); return nil }))
		time.Sleep(time.Minute)
		require.NoError(t, conv.Participants().Add(t.Context(), w.ids["bob"]))
		time.Sleep(10 * time.Minute)
		w.say(jane, conv, "after")
		time.Sleep(10 * time.Minute)
		assert.Equal(t, []string{"after"}, h.all())
		require.Len(t, told.all(), 3)
		require.ErrorContains(t, told.all()[2], fmt.Sprintf("of conversation %d is given up", conv.ID))
		assert.Contains(t, log.String(), `level=ERROR msg="the function of OnGap failed: given up"`)
		assert.Contains(t, log.String(), `panic="no room"`)
		require.ErrorIs(t, stop(), context.Canceled)
		require.NoError(t, bob.Close())
		require.NoError(t, jane.Close())
	})
}
