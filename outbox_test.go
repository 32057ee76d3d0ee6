package chat_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
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

// inOutbox runs a test in virtual time, in a world with a conversation.
func inOutbox(t *testing.T, test func(t *testing.T, w *world, conv int64)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		test(t, w, w.talk())
	})
}

// talk makes a conversation.
func (w *world) talk() int64 {
	return w.addTalk("Talk")
}

// withOutbox logs Jane in on a store.
func (w *world) withOutbox(store storage.Store, change ...func(*chat.OutboxOptions)) *chat.Chat {
	return w.login("jane", func(o *chat.Options) {
		o.Storage, o.EncryptMessages = store, false
		o.Outbox = &chat.OutboxOptions{}
		for _, c := range change {
			c(o.Outbox)
		}
	})
}

// queue adds messages whose bodies and GUIDs are these.
func queue(t *testing.T, c *chat.Chat, conversationID int64, names ...string) {
	t.Helper()
	for _, name := range names {
		guid, err := c.Outbox().Add(t.Context(), conversationID, chat.Draft{Body: name, GUID: name})
		require.NoError(t, err)
		assert.Equal(t, name, guid)
	}
}

// changes records what OnChange is told.
type changes struct {
	mu   sync.Mutex
	list []chat.SendChange
}

func (r *changes) add(c chat.SendChange) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, c)
}

func (r *changes) of(guid string) (states []chat.SendState, last chat.SendChange) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.list {
		if c.GUID == guid {
			states, last = append(states, c.State), c
		}
	}
	return states, last
}

func TestMessageThroughTheOutboxReturnsTheStoredMessage(t *testing.T) {
	inOutbox(t, func(t *testing.T, w *world, conv int64) {
		var seen changes
		jane := w.withOutbox(storage.NewMemory(), func(o *chat.OutboxOptions) { o.OnChange = seen.add })
		draft := chat.Draft{Body: "hi", GUID: "g", Files: []chat.File{{URL: "https://example.org/a.pdf"}}, Data: chat.M{"n": int64(9007199254740993), "tags": []string{"a"}}}
		m, err := jane.Message(t.Context(), conv, draft)
		require.NoError(t, err)
		assert.Equal(t, "hi", m.Body)
		assert.Equal(t, []string{"https://example.org/a.pdf"}, m.Files)
		assert.Equal(t, json.Number("9007199254740993"), m.Data["n"])
		synctest.Wait()
		_, last := seen.of("g")
		assert.Equal(t, chat.SendStored, last.State)
		assert.Equal(t, m.ID, last.Message.ID)
		assert.Zero(t, last.Pending)
		rows := w.Rows(conv)
		require.Len(t, rows, 1)
		assert.Equal(t, json.Number("9007199254740993"), rows[0].Data["n"])
		assert.Equal(t, []any{"a"}, rows[0].Data["tags"])

		again, err := jane.Message(t.Context(), conv, draft)
		require.NoError(t, err)
		assert.Equal(t, m.ID, again.ID, "a GUID that is stored already is not stored twice")
	})
}

func TestOutboxWaitsForAnOutageToEndAndKeepsTheOrder(t *testing.T) {
	inOutbox(t, func(t *testing.T, w *world, conv int64) {
		jane := w.withOutbox(storage.NewMemory())
		down := w.Always(fliplettest.AnyWrite, fliplettest.LoseRequest())
		queue(t, jane, conv, "a", "b", "c")
		time.Sleep(time.Hour)
		assert.Equal(t, 3, jane.Outbox().Len())
		first := jane.Outbox().Pending()[0]
		assert.Equal(t, "a", first.GUID)
		assert.Positive(t, first.Attempts)
		require.Error(t, first.Err)
		assert.True(t, first.NextTry.After(time.Now()))
		assert.Empty(t, w.Rows(conv))
		down.Off()
		began := time.Now()
		require.NoError(t, jane.Outbox().Flush(t.Context()))
		assert.Less(t, time.Since(began), time.Minute)
		assert.Equal(t, []string{"a", "b", "c"}, guids(w, conv))
	})
}

func TestOutboxLeavesAServerAloneAsLongAsItAsks(t *testing.T) {
	inOutbox(t, func(t *testing.T, w *world, conv int64) {
		jane := w.withOutbox(storage.NewMemory())
		other := w.talk()
		w.Next(4, fliplettest.Insert, fliplettest.TooMany(50*time.Second))
		queue(t, jane, conv, "a")
		queue(t, jane, other, "b")
		began := time.Now()
		require.NoError(t, jane.Outbox().Flush(t.Context()))
		assert.GreaterOrEqual(t, time.Since(began), 50*time.Second)
		assert.Len(t, w.Rows(conv), 1)
		assert.Len(t, w.Rows(other), 1)
	})
}

func TestARefusedMessageIsReportedAndHoldsNobodyBack(t *testing.T) {
	inOutbox(t, func(t *testing.T, w *world, conv int64) {
		var seen changes
		jane := w.withOutbox(storage.NewMemory(), func(o *chat.OutboxOptions) { o.OnChange = seen.add })
		w.Next(1, fliplettest.Insert, fliplettest.Answer(400, `{"type":"datasource.access","message":"no"}`))
		_, err := jane.Message(t.Context(), conv, chat.Draft{Body: "first", GUID: "first"})
		var refused *datasource.Error
		require.ErrorAs(t, err, &refused)
		assert.Equal(t, 400, refused.StatusCode)
		queue(t, jane, conv, "second")
		require.NoError(t, jane.Outbox().Flush(t.Context()))
		synctest.Wait()
		_, last := seen.of("first")
		assert.Equal(t, chat.SendFailed, last.State)
		require.ErrorAs(t, last.Err, &refused)
		assert.Equal(t, "first", last.Message.Body)
		assert.Zero(t, last.Message.ID)
		assert.Equal(t, []string{"second"}, guids(w, conv))

		_, err = jane.Message(t.Context(), 4711, chat.Draft{Body: "nowhere"})
		require.ErrorIs(t, err, chat.ErrNotFound)
	})
}

func TestAFailureInOneConversationHoldsBackNoOther(t *testing.T) {
	inOutbox(t, func(t *testing.T, w *world, conv int64) {
		jane := w.withOutbox(storage.NewMemory())
		stuck := w.Always(fliplettest.Insert, fliplettest.Status(503))
		queue(t, jane, conv, "a")
		synctest.Wait()
		stuck.Off()
		other := w.talk()
		_, err := jane.Message(t.Context(), other, chat.Draft{Body: "b"})
		require.NoError(t, err)
		assert.Equal(t, 1, jane.Outbox().Len())
		require.NoError(t, jane.Outbox().Flush(t.Context()))
	})
}

func TestAFullOutboxRefusesUntilThereIsRoom(t *testing.T) {
	inOutbox(t, func(t *testing.T, w *world, conv int64) {
		jane := w.withOutbox(storage.NewMemory(), func(o *chat.OutboxOptions) { o.Limit = 2 })
		down := w.Always(fliplettest.AnyWrite, fliplettest.LoseRequest())
		queue(t, jane, conv, "a", "b")
		_, err := jane.Outbox().Add(t.Context(), conv, chat.Draft{Body: "c"})
		require.ErrorIs(t, err, chat.ErrOutboxFull)
		queue(t, jane, conv, "b") // is there already
		assert.Equal(t, 2, jane.Outbox().Len())
		down.Off()
		require.NoError(t, jane.Outbox().Flush(t.Context()))
		synctest.Wait()
		queue(t, jane, conv, "c")
		require.NoError(t, jane.Outbox().Flush(t.Context()))
		assert.Equal(t, []string{"a", "b", "c"}, guids(w, conv))
	})
}

func TestWhoStopsWaitingDoesNotStopTheMessage(t *testing.T) {
	inOutbox(t, func(t *testing.T, w *world, conv int64) {
		jane := w.withOutbox(storage.NewMemory())
		down := w.Always(fliplettest.AnyWrite, fliplettest.LoseRequest())
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := jane.Message(ctx, conv, chat.Draft{Body: "a", GUID: "a"})
		require.ErrorIs(t, err, chat.ErrQueued)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.NotErrorIs(t, err, chat.ErrOffline, "there is nothing to do again")
		assert.False(t, datasource.Temporary(err))
		down.Off()
		require.NoError(t, jane.Outbox().Flush(t.Context()))
		assert.Equal(t, []string{"a"}, guids(w, conv))
		_, err = jane.Message(ctx, conv, chat.Draft{Body: "b"})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NotErrorIs(t, err, chat.ErrQueued, "nothing was accepted")
	})
}

func TestShutdownSendsWhatItCanAndTheNextLoginTheRest(t *testing.T) {
	inOutbox(t, func(t *testing.T, w *world, conv int64) {
		store := storage.NewMemory()
		jane := w.withOutbox(store)
		w.Always(fliplettest.Insert, fliplettest.Delay(2*time.Second))
		queue(t, jane, conv, "a", "b", "c", "d", "e")
		waited := make(chan error)
		go func() {
			_, err := jane.Message(t.Context(), conv, chat.Draft{Body: "f", GUID: "f"})
			waited <- err
		}()
		synctest.Wait()
		began := time.Now()
		brief, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		require.ErrorIs(t, jane.Shutdown(brief), context.DeadlineExceeded)
		assert.Equal(t, 5*time.Second, time.Since(began))
		err := <-waited
		require.ErrorIs(t, err, chat.ErrQueued)
		require.ErrorIs(t, err, chat.ErrClosed)
		sent := len(w.Rows(conv))
		assert.Positive(t, sent)
		assert.Less(t, sent, 6)
		_, err = jane.Outbox().Add(t.Context(), conv, chat.Draft{Body: "x"})
		require.ErrorIs(t, err, chat.ErrClosed)
		assert.Nil(t, jane.Outbox().Pending())

		w.Release()
		jane = w.withOutbox(store)
		began = time.Now()
		queue(t, jane, conv, "g")
		require.NoError(t, jane.Outbox().Flush(t.Context()))
		assert.LessOrEqual(t, time.Since(began), 6*time.Second, "a claim that was given up is no reason to wait")
		assert.Equal(t, []string{"a", "b", "c", "d", "e", "f", "g"}, guids(w, conv))
	})
}

func TestCloseDoesNotWaitForWhatCannotBeSent(t *testing.T) {
	inOutbox(t, func(t *testing.T, w *world, conv int64) {
		jane := w.withOutbox(storage.NewMemory())
		w.Always(fliplettest.AnyWrite, fliplettest.LoseRequest())
		queue(t, jane, conv, "a")
		time.Sleep(5 * time.Minute)
		began := time.Now()
		require.NoError(t, jane.Close())
		assert.Zero(t, time.Since(began))
	})
}

func TestLogoutKeepsMessagesForTheUserAndFromOthers(t *testing.T) {
	inOutbox(t, func(t *testing.T, w *world, conv int64) {
		store := storage.NewMemory()
		c := w.withOutbox(store)
		down := w.Always(fliplettest.Insert, fliplettest.LoseRequest())
		queue(t, c, conv, "a", "b")
		require.NoError(t, c.Logout(t.Context()))
		assert.Zero(t, c.Outbox().Len())
		down.Off()
		_, err := c.Login(t.Context(), chat.M{"Email": "bob@example.org"})
		require.NoError(t, err)
		time.Sleep(time.Hour)
		assert.Empty(t, w.Rows(conv))
		_, err = c.Login(t.Context(), chat.M{"Email": "jane@example.org"})
		require.NoError(t, err)
		require.NoError(t, c.Outbox().Flush(t.Context()))
		assert.Equal(t, []string{"a", "b"}, guids(w, conv))
	})
}

func TestTwoProcessesWithOneStoreSendEachMessageOnce(t *testing.T) {
	inOutbox(t, func(t *testing.T, w *world, conv int64) {
		store := storage.NewMemory()
		w.Sometimes(0.3, fliplettest.Insert, fliplettest.LoseAnswer())
		w.Sometimes(0.1, fliplettest.Insert, fliplettest.LoseRequest())
		both := []*chat.Chat{w.withOutbox(store), w.withOutbox(store)}
		var work sync.WaitGroup
		for i, c := range both {
			work.Go(func() {
				for n := range 100 {
					_, err := c.Message(t.Context(), conv, chat.Draft{Body: "x", GUID: fmt.Sprintf("%d/%03d", i, n)})
					assert.NoError(t, err)
				}
			})
		}
		work.Wait()
		got := guids(w, conv)
		assert.Len(t, got, 200)
		for i := range both {
			own := slices.DeleteFunc(slices.Clone(got), func(s string) bool { return !strings.HasPrefix(s, fmt.Sprint(i)) })
			assert.Len(t, own, 100)
			assert.True(t, slices.IsSorted(own), "order of process %d", i)
		}
	})
}

// A process that is not dead but slow finds its messages taken over.
func TestAProcessThatSleptTooLongSendsNothingTwice(t *testing.T) {
	inOutbox(t, func(t *testing.T, w *world, conv int64) {
		disk := storage.NewMemory()
		frozen := &machine{disk: disk, network: w.Transport()}
		slow := frozen.boot(w)
		_, err := slow.Login(t.Context(), chat.M{"Email": "jane@example.org"})
		require.NoError(t, err)
		down := w.Always(fliplettest.Insert, fliplettest.LoseRequest())
		queue(t, slow, conv, "a", "b", "c")
		frozen.dead.Store(true)
		jane := w.withOutbox(disk)
		down.Off()
		time.Sleep(3 * time.Minute)
		assert.Equal(t, []string{"a", "b", "c"}, guids(w, conv))
		frozen.dead.Store(false)
		time.Sleep(3 * time.Minute)
		_, err = slow.Message(t.Context(), conv, chat.Draft{Body: "d", GUID: "d"})
		require.NoError(t, err)
		assert.Equal(t, []string{"a", "b", "c", "d"}, guids(w, conv))
		assert.Zero(t, slow.Outbox().Len())
		assert.Zero(t, jane.Outbox().Len())
		require.NoError(t, slow.Close())
	})
}

func TestOrderIsThatOfAcceptanceUnderConcurrency(t *testing.T) {
	inOutbox(t, func(t *testing.T, w *world, conv int64) {
		jane := w.withOutbox(storage.NewMemory())
		w.Sometimes(0.2, fliplettest.Insert, fliplettest.LoseAnswer())
		var work sync.WaitGroup
		for sender := range 10 {
			work.Go(func() {
				for n := range 20 {
					_, err := jane.Outbox().Add(t.Context(), conv, chat.Draft{Body: "x", GUID: fmt.Sprintf("%d/%02d", sender, n)})
					assert.NoError(t, err)
				}
			})
		}
		work.Wait()
		require.NoError(t, jane.Outbox().Flush(t.Context()))
		got := guids(w, conv)
		assert.Len(t, got, 200)
		for sender := range 10 {
			own := slices.DeleteFunc(slices.Clone(got), func(s string) bool { return !strings.HasPrefix(s, fmt.Sprintf("%d/", sender)) })
			assert.Len(t, own, 20)
			assert.True(t, slices.IsSorted(own), "order of sender %d", sender)
		}
	})
}

func TestARowThatBecomesVisibleLateIsNotStoredTwice(t *testing.T) {
	inOutbox(t, func(t *testing.T, w *world, conv int64) {
		jane := w.withOutbox(storage.NewMemory())
		w.Next(1, fliplettest.Insert, fliplettest.LoseAnswer(), fliplettest.VisibleAfter(4*time.Second))
		_, err := jane.Message(t.Context(), conv, chat.Draft{Body: "a"})
		require.NoError(t, err)
		assert.Len(t, w.Rows(conv), 1)
		assert.Equal(t, 1, w.Count(fliplettest.Insert))
	})
}

func TestADiscardedMessageIsNotSent(t *testing.T) {
	inOutbox(t, func(t *testing.T, w *world, conv int64) {
		store := storage.NewMemory()
		jane := w.withOutbox(store)
		down := w.Always(fliplettest.AnyWrite, fliplettest.LoseRequest())
		queue(t, jane, conv, "a", "b")
		waited := make(chan error)
		go func() {
			_, err := jane.Message(t.Context(), conv, chat.Draft{Body: "b", GUID: "b"})
			waited <- err
		}()
		synctest.Wait()
		gone, err := jane.Outbox().Discard(t.Context(), conv, "b")
		require.NoError(t, err)
		assert.True(t, gone)
		require.ErrorIs(t, <-waited, context.Canceled)
		gone, err = jane.Outbox().Discard(t.Context(), conv, "b")
		require.NoError(t, err)
		assert.False(t, gone)
		down.Off()
		require.NoError(t, jane.Outbox().Flush(t.Context()))
		require.NoError(t, jane.Close())
		require.NoError(t, w.withOutbox(store).Outbox().Flush(t.Context()))
		assert.Equal(t, []string{"a"}, guids(w, conv))
	})
}

func TestOnChangeMaySendPanicAndClose(t *testing.T) {
	inOutbox(t, func(t *testing.T, w *world, conv int64) {
		var jane *chat.Chat
		closed := make(chan error, 1)
		jane = w.withOutbox(storage.NewMemory(), func(o *chat.OutboxOptions) {
			o.OnChange = func(c chat.SendChange) {
				if c.State != chat.SendStored {
					return
				}
				if c.GUID == "a" {
					_, err := jane.Message(t.Context(), conv, chat.Draft{Body: "b", GUID: "b"})
					assert.NoError(t, err)
					panic("a user's mistake")
				}
				closed <- jane.Close()
			}
		})
		queue(t, jane, conv, "a")
		require.NoError(t, <-closed)
		assert.Equal(t, []string{"a", "b"}, guids(w, conv))
	})
}

// spy is a store that remembers everything it was given.
type spy struct {
	storage.Store
	mu  sync.Mutex
	all []string
}

func (s *spy) Set(ctx context.Context, key string, value []byte) error {
	s.mu.Lock()
	s.all = append(s.all, key+"="+string(value))
	s.mu.Unlock()
	return s.Store.Set(ctx, key, value)
}

func TestBodiesWaitSealedAndTokensDoNotWait(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	store := &spy{Store: storage.NewMemory()}
	jane := w.login("jane", func(o *chat.Options) { o.Storage, o.Outbox = store, &chat.OutboxOptions{} })
	conv := w.converse(jane, "bob")
	m, err := jane.Message(t.Context(), conv.ID, chat.Draft{Body: "secret plans"})
	require.NoError(t, err)
	assert.Equal(t, "secret plans", m.Body)
	waited := 0
	for _, entry := range store.all {
		assert.NotContains(t, entry, "secret plans")
		if strings.Contains(entry, "/outbox/") {
			waited++
			assert.Contains(t, entry, `"body":"U2FsdGVkX1`)
			assert.NotContains(t, entry, "flUserToken")
		}
	}
	assert.Equal(t, 1, waited)
	row, err := w.Client().FindByID(t.Context(), conv.ID, m.ID)
	require.NoError(t, err)
	assert.True(t, strings.HasPrefix(row.Data["body"].(string), "U2FsdGVkX1"))

	_, err = jane.Message(t.Context(), conv.ID, chat.Draft{Files: []chat.File{{Name: "a.txt", Content: []byte("x")}}})
	require.ErrorIs(t, err, chat.ErrInvalid)
}

func TestUploadsWaitInTheOutboxOfAChatThatDoesNotEncrypt(t *testing.T) {
	inOutbox(t, func(t *testing.T, w *world, conv int64) {
		jane := w.withOutbox(storage.NewMemory())
		w.Next(1, fliplettest.Insert, fliplettest.LoseRequest())
		m, err := jane.Message(t.Context(), conv, chat.Draft{Files: []chat.File{{Name: "a.txt", Content: []byte("text")}}})
		require.NoError(t, err)
		assert.Len(t, m.Files, 1)
		big := chat.File{Name: "big.bin", Content: make([]byte, 1<<20)}
		_, err = jane.Message(t.Context(), conv, chat.Draft{Files: []chat.File{big}})
		require.ErrorIs(t, err, chat.ErrInvalid)
		_, err = jane.Message(t.Context(), conv, chat.Draft{Files: []chat.File{{Name: "r.txt", Reader: strings.NewReader("x")}}})
		require.ErrorIs(t, err, chat.ErrInvalid)
		assert.Len(t, w.Rows(conv), 1)
	})
}

func TestABrokenRegistryIsAnErrorAndNoNewBeginning(t *testing.T) {
	inOutbox(t, func(t *testing.T, w *world, conv int64) {
		store := &spy{Store: storage.NewMemory()}
		jane := w.withOutbox(store)
		queue(t, jane, conv, "a")
		require.NoError(t, jane.Outbox().Flush(t.Context()))
		require.NoError(t, jane.Close())
		key, _, _ := strings.Cut(store.all[slices.IndexFunc(store.all, func(s string) bool { return strings.Contains(s, "/outbox/") })], "/outbox/")
		require.NoError(t, store.Set(t.Context(), key+"/outbox", []byte("{")))
		jane = w.withOutbox(store)
		_, err := jane.Outbox().Add(t.Context(), conv, chat.Draft{Body: "b"})
		require.ErrorContains(t, err, "cannot be read")
	})
}

func TestOutboxOptionsAreChecked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, o := range map[string]chat.OutboxOptions{"Limit": {Limit: -1}, "Settle": {Settle: -1}} {
		_, err := chat.Connect(t.Context(), chat.Options{Client: w.Client(), DataSourceID: w.contacts, Outbox: &o})
		require.ErrorIs(t, err, chat.ErrInvalid)
		assert.ErrorContains(t, err, "Options.Outbox."+name)
	}
	jane := w.login("jane")
	_, err := jane.Outbox().Add(t.Context(), 1, chat.Draft{Body: "x"})
	require.ErrorIs(t, err, chat.ErrInvalid)
	require.ErrorIs(t, jane.Outbox().Flush(t.Context()), chat.ErrInvalid)
	assert.Nil(t, jane.Outbox().Pending())
}

// What refuses everything, look-ups, too, says nothing about the message.
func TestAGatewayThatRefusesEverythingForMinutesEndsNoMessage(t *testing.T) {
	t.Parallel()
	for _, said := range []answer{{403, `{"message":"Forbidden"}`}, {404, `{"message":"no Route matched with those values"}`}, {400, `{"error":"RBAC","message":"RBAC: access denied"}`}} {
		for _, lasts := range []time.Duration{5 * time.Second, time.Minute, 9 * time.Minute} {
			t.Run(fmt.Sprint(said, lasts), func(t *testing.T) {
				inOutbox(t, func(t *testing.T, w *world, conv int64) {
					jane := w.withOutbox(storage.NewMemory())
					queue(t, jane, conv, "a")
					require.NoError(t, jane.Outbox().Flush(t.Context()))
					w.Always(fliplettest.AnyRoute, fliplettest.Answer(said.code, said.body))
					queue(t, jane, conv, "b")
					time.Sleep(lasts)
					w.Release()
					require.NoError(t, jane.Outbox().Flush(t.Context()))
					assert.Equal(t, []string{"a", "b"}, guids(w, conv))
					assert.Empty(t, jane.Outbox().Pending())
				})
			})
		}
	}
}
