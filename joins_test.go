package chat_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
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

// listening are the ways to listen, with what they got.
func listening(t *testing.T, c *chat.Chat, start chat.From, extra ...chat.ReadMarksOption) map[string]*heard {
	out := map[string]*heard{}
	add := func(name string) *heard { out[name] = &heard{}; return out[name] }
	h := add("stream")
	opts := []chat.StreamOption{chat.StartAt(start), chat.OnGap(h.gap)}
	for _, o := range extra {
		opts = append(opts, o)
	}
	_, err := c.Stream(t.Context(), h.message, opts...)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	looped := add("events")
	events := []chat.StreamOption{chat.StartAt(start), chat.OnGap(looped.gap)}
	for _, o := range extra {
		events = append(events, o)
	}
	go func() {
		for m, err := range c.Events(ctx, events...) {
			if err == nil {
				looped.message(m)
			}
		}
	}()
	consumed := add("consume")
	consume := []chat.ConsumeOption{chat.StartAt(start), chat.OnGap(consumed.gap)}
	for _, o := range extra {
		consume = append(consume, o)
	}
	go func() {
		_ = c.Consume(ctx, "c", func(_ context.Context, m *chat.Message) error { consumed.message(m); return nil }, consume...)
	}()
	return out
}

// heard is what one listener got.
type heard struct {
	mu       sync.Mutex
	messages []*chat.Message
	gaps     []chat.Gap
}

func (h *heard) message(m *chat.Message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.messages = append(h.messages, m)
}

func (h *heard) gap(g chat.Gap) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.gaps = append(h.gaps, g)
}

// in are the texts of one conversation, with what is marked.
func (h *heard) in(conv *chat.Conversation) (history, live, updates []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, m := range h.messages {
		switch {
		case m.ConversationID != conv.ID:
		case m.IsUpdate:
			updates = append(updates, m.Body)
		case m.IsHistory:
			history = append(history, m.Body)
		default:
			live = append(live, m.Body)
		}
	}
	return history, live, updates
}

func numbers(from, to int) (out []string) {
	for i := range to - from {
		out = append(out, fmt.Sprint(from+i))
	}
	return out
}

// servers are those with the query over all conversations and those without.
func servers(t *testing.T, test func(t *testing.T, w *world)) {
	for name, levers := range map[string]func(w *world){
		"with the endpoint":    func(*world) {},
		"without the endpoint": func(w *world) { w.Always(fliplettest.CrossSource, fliplettest.Status(404)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, fliplettest.InProcess())
				levers(w)
				test(t, w)
			})
		})
	}
}

// settle lets everybody hear what there is.
func settle() {
	time.Sleep(3 * time.Minute)
	synctest.Wait()
}

func TestAConversationJoinedLaterComesAsItsStartSays(t *testing.T) {
	t.Parallel()
	old := longtest.Size(450, 5000)
	for name, c := range map[string]struct {
		start   chat.From
		history []string
		left    int // how many are left out
	}{
		"now":       {chat.FromNow, nil, old},
		"newest":    {chat.FromNewest, numbers(old-200, old), old - 200},
		"beginning": {chat.FromBeginning, numbers(0, old), 0},
	} {
		for _, busy := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, busy %v", name, busy), func(t *testing.T) {
				t.Parallel()
				servers(t, func(t *testing.T, w *world) {
					jane, bob := w.login("jane", asUsual), w.login("bob", asUsual)
					conv := w.converse(jane, "eve")
					for _, body := range numbers(0, old) {
						w.AddRows(conv.ID, datasource.M{"body": body, "fromUserId": jane.User().UserID, "guid": "g" + body})
					}
					if busy { // else he has never had a message
						other := w.converse(jane, "bob")
						w.say(jane, other, "hello")
						go func() {
							for range 25 { // as long as the test
								time.Sleep(40 * time.Second)
								_, _ = jane.Message(t.Context(), other.ID, chat.Draft{Body: "another"})
							}
						}()
					}
					time.Sleep(time.Minute)
					listeners := listening(t, bob, c.start)
					settle()
					require.NoError(t, conv.Participants().Add(t.Context(), w.ids["bob"]))
					settle()
					live := []string{"a", "b", "c"}
					for _, body := range live {
						w.say(jane, conv, body)
					}
					settle()
					for way, h := range listeners {
						history, got, updates := h.in(conv)
						assert.Equal(t, c.history, history, way)
						assert.Equal(t, live, got, way)
						assert.Empty(t, updates, way)
						if c.left == 0 {
							assert.Empty(t, h.gaps, way)
							continue
						}
						require.Len(t, h.gaps, 1, way)
						assert.Equal(t, chat.GapHistory, h.gaps[0].Kind, way)
						var filled []string
						for m, err := range bob.Fill(t.Context(), h.gaps[0]) {
							require.NoError(t, err)
							filled = append(filled, m.Body)
						}
						slices.Reverse(filled)
						assert.Equal(t, numbers(0, c.left), filled, way)
					}
					time.Sleep(20 * time.Minute)
					require.NoError(t, bob.Close())
				})
			})
		}
	}
}

// A new conversation has no history, and nothing of it is left out.
func TestAConversationThatIsCreatedWithTheUserIsNoHistory(t *testing.T) {
	t.Parallel()
	for _, start := range []chat.From{chat.FromNow, chat.FromNewest, chat.FromBeginning} {
		t.Run(fmt.Sprint(start), func(t *testing.T) {
			t.Parallel()
			servers(t, func(t *testing.T, w *world) {
				jane, bob := w.login("jane", asUsual), w.login("bob", asUsual)
				listeners := listening(t, bob, start)
				settle()
				conv := w.converse(jane, "bob")
				w.say(jane, conv, "a")
				time.Sleep(time.Second)
				require.NoError(t, conv.Participants().Add(t.Context(), w.ids["eve"])) // its definition changes
				w.say(jane, conv, "b")
				settle()
				for way, h := range listeners {
					history, live, _ := h.in(conv)
					assert.Empty(t, history, way)
					assert.Equal(t, []string{"a", "b"}, live, way)
					assert.Empty(t, h.gaps, way)
				}
				require.NoError(t, bob.Close())
			})
		})
	}
}

func TestHistoryIsMarkedAtTheStart(t *testing.T) {
	t.Parallel()
	for _, start := range []chat.From{chat.FromNewest, chat.FromBeginning} {
		t.Run(fmt.Sprint(start), func(t *testing.T) {
			t.Parallel()
			servers(t, func(t *testing.T, w *world) {
				jane, bob := w.login("jane", asUsual), w.login("bob", asUsual)
				conv := w.converse(jane, "bob")
				w.say(jane, conv, "old")
				time.Sleep(time.Minute)
				listeners := listening(t, bob, start)
				settle()
				w.say(jane, conv, "live")
				settle()
				for way, h := range listeners {
					history, live, _ := h.in(conv)
					assert.Equal(t, []string{"old"}, history, way)
					assert.Equal(t, []string{"live"}, live, way)
				}
				require.NoError(t, bob.Close())
			})
		})
	}
}

func TestAnUpdateSaysWhatHasChanged(t *testing.T) {
	t.Parallel()
	servers(t, func(t *testing.T, w *world) {
		jane, bob := w.login("jane", asUsual), w.login("bob", asUsual)
		conv := w.converse(jane, "bob")
		all, quiet := listening(t, bob, chat.FromNow), listening(t, jane, chat.FromNow, chat.WithoutReadMarks())
		settle()
		m := w.say(jane, conv, "text")
		settle()
		change := func(data datasource.M) {
			_, err := w.Client().Update(t.Context(), conv.ID, m.ID, data)
			require.NoError(t, err)
			settle()
		}
		require.NoError(t, bob.MarkMessagesAsRead(t.Context(), m))
		settle()
		change(datasource.M{"body": "other text"})
		change(datasource.M{"file": []string{"v1/media/files/1/contents/a.png"}})
		change(datasource.M{"colour": "red"})
		change(datasource.M{"colour": "blue", "body": "third text"})
		change(datasource.M{"colour": "blue", "body": "third text"}) // as it was: nobody has changed anything
		want := []chat.Change{chat.ChangedReaders, chat.ChangedBody, chat.ChangedFiles, chat.ChangedColumns, chat.ChangedBody | chat.ChangedColumns}
		for way, h := range all {
			var got []chat.Change
			for _, m := range h.messages {
				if m.IsUpdate {
					got = append(got, m.Change)
				} else {
					assert.Zero(t, m.Change)
				}
			}
			assert.Equal(t, want, got, way)
			var unmarked []chat.Change
			for _, m := range quiet[way].messages {
				if m.IsUpdate {
					unmarked = append(unmarked, m.Change)
				}
			}
			assert.Equal(t, want[1:], unmarked, way)
		}
		require.NoError(t, bob.Close())
		require.NoError(t, jane.Close())
	})
}

// More rows than a page fall into the window that each poll reads again.
func TestAMessageThatNobodyChangedIsNoUpdate(t *testing.T) {
	t.Parallel()
	for _, start := range []chat.From{chat.FromNow, chat.FromNewest, chat.FromBeginning} {
		for _, before := range []time.Duration{0, time.Second, time.Hour} {
			t.Run(fmt.Sprint(start, " ", before), func(t *testing.T) {
				t.Parallel()
				servers(t, func(t *testing.T, w *world) {
					jane, bob := w.login("jane", asUsual), w.login("bob", asUsual)
					conv := w.converse(jane, "bob")
					for _, body := range numbers(0, 330) {
						w.AddRows(conv.ID, datasource.M{"body": body, "fromUserId": jane.User().UserID, "guid": "g" + body})
					}
					time.Sleep(before)
					listeners := listening(t, bob, start)
					settle()
					w.say(jane, conv, "live")
					settle()
					for way, h := range listeners {
						_, _, updates := h.in(conv)
						assert.Empty(t, updates, way)
					}
					require.NoError(t, bob.Close())
				})
			})
		}
	}
}

func TestAResetReplaysWithoutUpdatesAndWithoutWhatAJoinHasBrought(t *testing.T) {
	t.Parallel()
	servers(t, func(t *testing.T, w *world) {
		jane, bob := w.login("jane", asUsual), w.login("bob", asUsual)
		first, second := w.converse(jane, "bob"), w.converse(jane, "eve")
		w.say(jane, first, "one")
		w.say(jane, second, "two")
		time.Sleep(time.Minute)
		toBob := &heard{}
		_, err := bob.Stream(t.Context(), toBob.message)
		require.NoError(t, err)
		settle()
		require.NoError(t, bob.Poll(t.Context())) // so that none of its own comes between the join and the reset
		require.NoError(t, second.Participants().Add(t.Context(), w.ids["bob"]))
		require.NoError(t, bob.Poll(t.Context(), chat.Reset()))
		settle()
		var got []string
		for _, m := range toBob.messages {
			assert.False(t, m.IsUpdate, m.Body)
			got = append(got, fmt.Sprint(m.Body, " ", m.IsReplay, " ", m.IsHistory))
		}
		assert.Equal(t, []string{"one false true", "two false true", "one true false"}, got)
		require.NoError(t, bob.Close())
	})
}

// A read mark is no update for whoever wants none, and takes away no replay.
func TestAResetReplaysAMessageOfWhichOnlyTheReadersHaveChanged(t *testing.T) {
	t.Parallel()
	servers(t, func(t *testing.T, w *world) {
		jane, bob := w.login("jane", asUsual), w.login("bob", asUsual)
		conv := w.converse(jane, "bob")
		m := w.say(jane, conv, "one")
		toJane := &heard{}
		_, err := jane.Stream(t.Context(), toJane.message, chat.WithoutReadMarks())
		require.NoError(t, err)
		settle()
		require.NoError(t, bob.MarkMessagesAsRead(t.Context(), m))
		require.NoError(t, jane.Poll(t.Context(), chat.Reset()))
		settle()
		require.Len(t, toJane.messages, 2)
		again := toJane.messages[1]
		assert.True(t, again.IsReplay)
		assert.False(t, again.IsUpdate)
		assert.Len(t, again.ReadBy, 2)
		require.NoError(t, jane.Close())
	})
}

func TestFillReadsAMessageThatCouldNotBeRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	jane := w.login("jane")
	conv := w.converse(jane, "bob")
	large := w.AddRows(conv.ID, datasource.M{"body": string(make([]byte, 2<<20)), "fromUserId": "u"})[0]
	for m, err := range jane.Fill(t.Context(), chat.Gap{Kind: chat.GapUnreadable, ConversationID: conv.ID, MessageID: large}) {
		if err != nil {
			require.ErrorIs(t, err, datasource.ErrRowLimit)
			continue
		}
		require.ErrorIs(t, m.Err, datasource.ErrRowLimit)
	}
	for _, gap := range []chat.Gap{{}, {Kind: chat.GapHistory}, {Kind: chat.GapHistory, ConversationID: conv.ID}, {Kind: chat.GapUnreadable, ConversationID: conv.ID}} {
		for m, err := range jane.Fill(t.Context(), gap) {
			require.Nil(t, m)
			require.ErrorIs(t, err, chat.ErrInvalid)
		}
	}
}

// A consumer that ends in the middle of the history goes on there, and what was left out
// stays a gap.
func TestAConsumerThatEndsInTheHistoryOfAJoinGoesOnThere(t *testing.T) {
	t.Parallel()
	for _, start := range []chat.From{chat.FromNow, chat.FromNewest, chat.FromBeginning} {
		for _, prior := range []bool{false, true} {
			for _, stop := range []int{1, 20, 199} {
				t.Run(fmt.Sprint(start, " ", prior, " ", stop), func(t *testing.T) {
					t.Parallel()
					servers(t, func(t *testing.T, w *world) {
						const old = 450
						jane := w.login("jane", asUsual)
						store := storage.NewMemory()
						conv := w.converse(jane, "eve")
						for _, body := range numbers(0, old) {
							w.AddRows(conv.ID, datasource.M{"body": body, "fromUserId": jane.User().UserID, "guid": "g" + body})
							time.Sleep(time.Second)
						}
						if prior {
							w.say(jane, w.converse(jane, "bob"), "hello")
						}
						h := &heard{}
						run := func(during func(), most int) {
							bob := w.login("bob", asUsual, func(o *chat.Options) { o.Storage = store })
							ctx, cancel := context.WithCancel(t.Context())
							done := make(chan error, 1)
							go func() {
								done <- bob.Consume(ctx, "c", func(_ context.Context, m *chat.Message) error {
									h.message(m)
									if history, _, _ := h.in(conv); len(history) == most {
										cancel()
									}
									return nil
								}, chat.StartAt(start), chat.OnGap(h.gap))
							}()
							during()
							cancel()
							<-done
							require.NoError(t, bob.Close())
						}
						run(func() {
							settle()
							require.NoError(t, conv.Participants().Add(t.Context(), w.ids["bob"]))
							settle()
						}, stop)
						live := numbers(9000, 9060)
						for _, body := range live {
							w.say(jane, conv, body)
							time.Sleep(time.Second)
						}
						run(settle, -1)
						history, got, updates := h.in(conv)
						assert.Equal(t, map[chat.From][]string{chat.FromNewest: numbers(old-200, old), chat.FromBeginning: numbers(0, old)}[start], history)
						assert.Equal(t, live, got)
						assert.Empty(t, updates)
						if start == chat.FromBeginning {
							assert.Empty(t, h.gaps)
						} else {
							assert.Len(t, h.gaps, 1)
						}
					})
				})
			}
		}
	}
}
