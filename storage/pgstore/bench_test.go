package pgstore_test

import (
	"context"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/storage"
	"github.com/fliplet/fliplet-chat-go/storage/boltstore"
	"github.com/fliplet/fliplet-chat-go/storage/pgstore/pgtest"
)

// scale counts what is written through a Store.
type scale struct {
	storage.Store
	on            *atomic.Bool
	writes, bytes *atomic.Int64
}

func weigh(s storage.Store) scale {
	return scale{s, &atomic.Bool{}, &atomic.Int64{}, &atomic.Int64{}}
}

func (s scale) CompareAndSwap(ctx context.Context, key string, old, new []byte) (bool, error) {
	if s.on.Load() {
		s.writes.Add(1)
		s.bytes.Add(int64(len(new)))
	}
	return s.Store.CompareAndSwap(ctx, key, old, new)
}

// scaleTx is the same for transactions.
type scaleTx struct {
	scale
	inner storage.Transactional
}

func (s scaleTx) Update(ctx context.Context, fn func(ctx context.Context, tx storage.Store) error) error {
	return s.inner.Update(ctx, func(ctx context.Context, tx storage.Store) error {
		inside := s.scale
		inside.Store = tx
		return fn(ctx, inside)
	})
}

// BenchmarkConsume hands 2,000 messages of 20 conversations to a function that does nothing,
// and says how many a second that are, and what the position takes of each.
func BenchmarkConsume(b *testing.B) {
	const messages = 2000
	server := pgtest.Start(b, pgtest.Durable(), pgtest.Setting("full_page_writes", "on"))
	bolt := func(b *testing.B) (storage.Store, scale) {
		s, err := boltstore.Open(filepath.Join(b.TempDir(), "chat.db"))
		require.NoError(b, err)
		b.Cleanup(func() { s.Close() })
		w := weigh(s)
		return struct {
			scale
			storage.Exclusive
		}{w, s}, w
	}
	pg := func(b *testing.B) (storage.Store, scale) {
		s := open(b, server.Database(b)+"&pool_max_conns=20")
		w := weigh(s)
		return scaleTx{w, s}, w
	}
	apart := func(b *testing.B) (storage.Store, scale) {
		w := weigh(open(b, server.Database(b)+"&pool_max_conns=20"))
		return w, w
	}
	for _, c := range []struct {
		name            string
		open            func(b *testing.B) (storage.Store, scale)
		parallel, batch int
	}{
		{"file", bolt, 1, 1},
		{"file, 8 at a time", bolt, 8, 1},
		{"postgres without transactions", apart, 1, 1},
		{"postgres without transactions, 8 at a time", apart, 8, 1},
		{"postgres", pg, 1, 1},
		{"postgres, 8 at a time", pg, 8, 1},
		{"postgres, batches of 50", pg, 1, 50},
		{"postgres, 8 batches of 50 at a time", pg, 8, 50},
	} {
		b.Run(c.name, func(b *testing.B) {
			conn := connect(b, server.DSN())
			var writes, bytes, logged int64
			for range b.N {
				b.StopTimer()
				store, w := c.open(b)
				bob := talkative(b, store, messages)
				wal := func() (n int64) {
					require.NoError(b, conn.QueryRow(b.Context(), "SELECT pg_current_wal_insert_lsn() - '0/0'").Scan(&n))
					return n
				}
				before := wal()
				w.on.Store(true)
				b.StartTimer()
				consumeAll(b, bob, messages, chat.Parallel(c.parallel), chat.Batch(c.batch))
				b.StopTimer()
				logged += wal() - before
				writes, bytes = writes+w.writes.Load(), bytes+w.bytes.Load()
				b.StartTimer()
			}
			all := float64(messages * b.N)
			b.ReportMetric(all/b.Elapsed().Seconds(), "messages/s")
			b.ReportMetric(float64(writes)/all, "writes/message")
			b.ReportMetric(float64(bytes)/all, "bytes/message")
			b.ReportMetric(float64(logged)/all, "WAL-bytes/message")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// talkative returns the Chat of somebody to whom many messages were sent.
func talkative(b *testing.B, store storage.Store, messages int) *chat.Chat {
	b.Helper()
	srv := fliplettest.New(b)
	contacts, _ := srv.AddContacts(datasource.M{"Email": "jane@example.org"}, datasource.M{"Email": "bob@example.org"})
	login := func(name string, store storage.Store) *chat.Chat {
		c, err := chat.Connect(b.Context(), chat.Options{Client: srv.Client(), DataSourceID: contacts, AppID: srv.AppID, PrimaryKey: "Email", Storage: store})
		require.NoError(b, err)
		b.Cleanup(func() { require.NoError(b, c.Close()) })
		_, err = c.Login(b.Context(), chat.M{"Email": name + "@example.org"})
		require.NoError(b, err)
		return c
	}
	jane, bob := login("jane", nil), login("bob", store)
	members := []string{jane.User().UserID, bob.User().UserID}
	for i := range talks {
		at := srv.AddDataSource(datasource.M{"name": fmt.Sprint("talk ", i), "type": "conversation", "definition": datasource.M{"participants": members}})
		rows := make([]datasource.M, messages/talks)
		for i := range rows {
			rows[i] = datasource.M{"body": fmt.Sprint(i), "fromUserId": members[0], "readBy": []any{members[0]}}
		}
		srv.AddRows(at, rows...)
		srv.ShiftClock(1e9)
	}
	return bob
}

// consumeAll consumes so many messages, and until their position is stored.
func consumeAll(b *testing.B, c *chat.Chat, messages int, opts ...chat.ConsumeOption) {
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	var n atomic.Int64
	err := c.Consume(ctx, "all", func(context.Context, *chat.Message) error {
		if n.Add(1) == int64(messages) {
			cancel()
		}
		return nil
	}, append(opts, chat.StartAt(chat.FromBeginning))...)
	require.ErrorIs(b, err, context.Canceled)
	require.GreaterOrEqual(b, n.Load(), int64(messages))
}
