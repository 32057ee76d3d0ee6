package relay_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
	"github.com/fliplet/fliplet-chat-go/relay"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// shaky is a Relay whose commits fail, before they are made or after, and are slow.
type shaky struct {
	relay.Relay
	n     atomic.Int64
	every int64
}

var errCut = errors.New("the connection was cut")

func (s *shaky) Commit(ctx context.Context, after uint64, position []byte, events []relay.Event) (uint64, error) {
	time.Sleep(5 * time.Millisecond)
	n := s.n.Add(1)
	if s.every == 0 || n%s.every != 0 {
		return s.Relay.Commit(ctx, after, position, events)
	}
	if n%(2*s.every) == 0 {
		_, _ = s.Relay.Commit(ctx, after, position, events)
	}
	return 0, errCut
}

// town is a Fliplet with a bot in some conversations.
func town(t *testing.T, n int) (*fliplettest.Server, chat.Options, []int64) {
	server := fliplettest.New(t, fliplettest.InProcess())
	contacts, _ := server.AddContacts(datasource.M{"Name": "Bot", "flUserId": "bot"}, datasource.M{"Name": "Jane", "flUserId": "jane"})
	var at []int64
	for i := range n {
		at = append(at, server.AddDataSource(datasource.M{"name": fmt.Sprint("talk ", i), "type": "conversation", "definition": datasource.M{"participants": []string{"bot", "jane"}}}))
	}
	return server, chat.Options{Client: server.Client(), DataSourceID: contacts, AppID: server.AppID}, at
}

func connect(t *testing.T, o chat.Options, s storage.Store) *chat.Chat {
	o.Storage = s
	c, err := chat.Connect(t.Context(), o)
	require.NoError(t, err)
	_, err = c.Login(t.Context(), chat.M{"flUserId": "bot"})
	require.NoError(t, err)
	return c
}

func say(s *fliplettest.Server, at int64, n int) (ids []int64) {
	for i := range n {
		ids = append(ids, s.AddRows(at, datasource.M{"body": fmt.Sprint("text ", i), "fromUserId": "jane"})...)
	}
	return ids
}

// Replicas that come and go, over a stream that loses answers: each message is there once.
func TestReplicasPutEachMessageIntoTheStreamOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, o, at := town(t, 3)
		stream, shared := relay.NewMemory(), storage.NewMemory()
		var want []int64
		var wg sync.WaitGroup
		for round := range 6 {
			for _, id := range at {
				want = append(want, say(server, id, 7)...)
			}
			ctx, cancel := context.WithCancel(t.Context())
			for range 2 { // the second one stands by
				store, err := relay.NewStore(shared, "support", &shaky{Relay: stream, every: 5})
				require.NoError(t, err)
				c := connect(t, o, store)
				wg.Go(func() {
					_ = store.Run(ctx, c, chat.StartAt(chat.FromBeginning), chat.Batch(1+round), chat.Parallel(2))
					assert.NoError(t, c.Close())
				})
			}
			time.Sleep(time.Duration(round) * 7 * time.Second)
			cancel()
			wg.Wait()
		}
		ctx, cancel := context.WithCancel(t.Context())
		store, err := relay.NewStore(shared, "support", stream)
		require.NoError(t, err)
		c := connect(t, o, store)
		wg.Go(func() { _ = store.Run(ctx, c, chat.StartAt(chat.FromBeginning)) })
		time.Sleep(2 * time.Minute)
		cancel()
		wg.Wait()
		require.NoError(t, c.Close())

		count := map[int64]int{}
		for _, e := range stream.Events() {
			var envelope relay.Envelope
			require.NoError(t, json.Unmarshal(e.Data, &envelope))
			if envelope.Kind == "message" {
				count[envelope.ID]++
			}
			assert.Equal(t, e.Message, envelope.ID)
			assert.NotEmpty(t, envelope.Message)
		}
		for _, id := range want {
			assert.Equal(t, 1, count[id], "message %d", id)
		}
		assert.Len(t, count, len(want))
	})
}

func TestAStreamThatWasEmptiedEndsRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, o, at := town(t, 1)
		shared := storage.NewMemory()
		run := func(r relay.Relay) error {
			store, err := relay.NewStore(shared, "support", r)
			require.NoError(t, err)
			c := connect(t, o, store)
			defer c.Close()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			return store.Run(ctx, c, chat.StartAt(chat.FromBeginning))
		}
		say(server, at[0], 3)
		first := relay.NewMemory()
		require.ErrorIs(t, run(first), context.DeadlineExceeded)
		assert.Len(t, first.Events(), 3)
		emptied := relay.NewMemory()
		require.ErrorIs(t, run(emptied), relay.ErrOtherStream)
		assert.Empty(t, emptied.Events(), "what it had is not sent again")

		newer := relay.NewMemory()
		_, err := newer.Commit(t.Context(), 0, []byte(`{"v":2,"id":"x"}`), nil)
		require.NoError(t, err)
		require.ErrorIs(t, run(newer), relay.ErrNewer)
		for _, text := range []string{"", "null", "{}", `{"v":1}`, `{"v":-1,"id":"x"}`, "[]", `{"v":1,"id":"x","sizes":7}`, `{"v":1,"id":"x","sizes":{"k":5}}` + "\nfour", `{"v":1,"id":"x","sizes":{"k":-1}}` + "\n", `{"v":1,"id":"x"}` + "\nmore"} {
			forged := relay.NewMemory()
			_, err = forged.Commit(t.Context(), 0, []byte(text), nil)
			require.NoError(t, err)
			store, err := relay.NewStore(storage.NewMemory(), "support", forged)
			require.NoError(t, err)
			_, err = store.Get(t.Context(), "x/consume/support/base")
			require.ErrorContains(t, err, "position", "%q", text)
		}
	})
}

func TestTheEventOfAMessageHasItsKindAndAStub(t *testing.T) {
	t.Parallel()
	m := chat.Message{ID: 5, ConversationID: 7, Body: strings.Repeat("long ", 1000)}
	kinds := map[string]chat.Message{"message": m}
	m.IsUpdate = true
	kinds["update"] = m
	m.IsDeleted = true
	kinds["delete"] = m
	versions := map[string]bool{}
	for kind, m := range kinds {
		e, err := relay.EventOf(&m)
		require.NoError(t, err)
		again, err := relay.EventOf(&m)
		require.NoError(t, err)
		assert.Equal(t, e, again, "the same version has the same event")
		versions[e.Version] = true
		var whole, stub relay.Envelope
		require.NoError(t, json.Unmarshal(e.Data, &whole))
		require.NoError(t, json.Unmarshal(e.Stub, &stub))
		assert.Equal(t, kind, whole.Kind)
		assert.Nil(t, whole.Stub)
		assert.Equal(t, relay.Envelope{V: 1, Kind: kind, Conversation: 7, ID: 5, Stub: &relay.Stub{Bytes: len(e.Data)}}, stub)
		assert.Less(t, len(e.Stub), 200)
	}
	assert.Len(t, versions, 3)
}

func TestMisuseIsSaidWithTheFix(t *testing.T) {
	t.Parallel()
	assert.ErrorContains(t, relay.Publish(t.Context(), relay.Event{}), "relay.Store as Options.Storage")
	s, r := storage.NewMemory(), relay.NewMemory()
	for said, open := range map[string]func() error{
		"s is nil":         func() error { _, err := relay.NewStore(nil, "name", r); return err },
		"r is nil":         func() error { _, err := relay.NewStore(s, "name", nil); return err },
		"name":             func() error { _, err := relay.NewStore(s, " ", r); return err },
		"storage.Lister":   func() error { _, err := relay.NewStore(struct{ storage.Store }{s}, "name", r); return err },
		"none of the posi": func() error { return outside(t, s, r) },
	} {
		assert.ErrorContains(t, open(), said)
	}
}

// outside writes a key of the consumer that is no part of the position, in a transaction.
func outside(t *testing.T, s storage.Store, r relay.Relay) error {
	store := newStore(t, s, r)
	return store.Update(t.Context(), func(ctx context.Context, tx storage.Store) error { return tx.Set(ctx, "x/consume/name/lease", nil) })
}

// plain is a Storage without transactions.
type plain struct {
	storage.Store
	storage.Lister
}

func TestOtherConsumersOfAChatGoOnBesideTheStream(t *testing.T) {
	t.Parallel()
	memory := storage.NewMemory()
	for kind, shared := range map[string]storage.Store{
		"with transactions":    storage.NewMemory(),
		"without transactions": plain{memory, memory.(storage.Lister)},
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server, o, at := town(t, 2)
				stream := relay.NewMemory()
				var mu sync.Mutex
				calls := map[int64]int{}
				for range 2 {
					say(server, at[0], 5)
					say(server, at[1], 5)
					store, err := relay.NewStore(shared, "support", stream)
					require.NoError(t, err)
					c := connect(t, o, store)
					ctx, cancel := context.WithCancel(t.Context())
					var wg sync.WaitGroup
					wg.Go(func() { _ = store.Run(ctx, c, chat.StartAt(chat.FromBeginning)) })
					wg.Go(func() {
						_ = c.Consume(ctx, "bot", func(_ context.Context, m *chat.Message) error {
							mu.Lock()
							defer mu.Unlock()
							calls[m.ID]++
							return nil
						}, chat.StartAt(chat.FromBeginning))
					})
					time.Sleep(time.Minute)
					cancel()
					wg.Wait()
					require.NoError(t, c.Close())
				}
				assert.Len(t, stream.Events(), 20)
				assert.Len(t, calls, 20)
				for id, n := range calls {
					assert.Equal(t, 1, n, "message %d", id)
				}
			})
		})
	}
}

// Consumers of an App note which deletions they have told.
func TestADeletionInAnAppIsInTheStreamOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, o, at := town(t, 1)
		stream, shared := relay.NewMemory(), storage.NewMemory()
		ids := say(server, at[0], 3)
		for round := range 2 {
			store, err := relay.NewStore(shared, "all", stream)
			require.NoError(t, err)
			o.Storage = store
			a, err := chat.OpenApp(t.Context(), chat.AppOptions{Options: o})
			require.NoError(t, err)
			ctx, cancel := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			wg.Go(func() {
				_ = a.Consume(ctx, "all", func(ctx context.Context, m *chat.Message) error {
					e, err := relay.EventOf(m)
					if err != nil {
						return err
					}
					return relay.Publish(ctx, e)
				}, chat.StartAt(chat.FromBeginning))
			})
			time.Sleep(time.Minute)
			if round == 0 {
				require.NoError(t, server.Client().Delete(t.Context(), at[0], ids[1]))
				time.Sleep(10 * time.Minute)
			}
			say(server, at[0], 1)
			time.Sleep(time.Minute)
			cancel()
			wg.Wait()
			require.NoError(t, a.Close())
		}
		var kinds []string
		for _, e := range stream.Events() {
			var envelope relay.Envelope
			require.NoError(t, json.Unmarshal(e.Data, &envelope))
			kinds = append(kinds, envelope.Kind)
		}
		assert.Equal(t, "message message message delete message message", strings.Join(kinds, " "))
	})
}

// What is around the Store hides the position from it, which would move without the stream.
func TestAWrapperAroundTheStoreEndsRunBeforeAnythingIsLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, o, at := town(t, 1)
		say(server, at[0], 3)
		stream, key := relay.NewMemory(), []byte(strings.Repeat("0123456789abcdef", 2))
		run := func(shared storage.Store, around func(storage.Store) storage.Store) error {
			store, err := relay.NewStore(shared, "support", stream)
			require.NoError(t, err)
			c := connect(t, o, around(store))
			defer c.Close()
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			return store.Run(ctx, c, chat.StartAt(chat.FromBeginning), chat.MaxAttempts(1), chat.DeadLetter(func(_ context.Context, m *chat.Message, err error) error {
				t.Error("message ", m.ID, " was put aside: ", err)
				return nil
			}))
		}
		encrypted := func(s storage.Store) storage.Store {
			s, err := storage.Encrypted(s, key)
			require.NoError(t, err)
			return s
		}
		require.ErrorContains(t, run(storage.NewMemory(), encrypted), "the Store itself as Options.Storage")
		other := func(storage.Store) storage.Store { return plain{storage.NewMemory(), nil} }
		require.ErrorContains(t, run(storage.NewMemory(), other), "the Store itself as Options.Storage")
		assert.Empty(t, stream.Events())
		require.ErrorIs(t, run(encrypted(storage.NewMemory()), func(s storage.Store) storage.Store { return s }), context.DeadlineExceeded)
		assert.Len(t, stream.Events(), 3)
	})
}
