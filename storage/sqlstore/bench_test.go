package sqlstore_test

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/storage"
	"github.com/fliplet/fliplet-chat-go/storage/boltstore"
	"github.com/fliplet/fliplet-chat-go/storage/sqlstore"
)

// scale counts what is written through a Store that one process has.
type scale struct {
	storage.Store
	*weight
}

// weight counts, while it is on.
type weight struct {
	on            atomic.Bool
	writes, bytes atomic.Int64
}

func (scale) Exclusive() bool { return true }

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
		return fn(ctx, scale{tx, s.weight})
	})
}

// BenchmarkConsume hands 2,000 messages of 20 conversations to a function that does nothing,
// and says how many a second that are, and what the position takes of each. The write-ahead
// log is weighed apart, over fewer messages, since it would be emptied meanwhile.
func BenchmarkConsume(b *testing.B) {
	const messages, weighed = 2000, 400
	bolt := func(b *testing.B, _ string) (storage.Store, *weight) {
		s, err := boltstore.Open(filepath.Join(b.TempDir(), "chat.db"))
		require.NoError(b, err)
		b.Cleanup(func() { s.Close() })
		w := &weight{}
		return scale{s, w}, w
	}
	apart := func(b *testing.B, dsn string) (storage.Store, *weight) {
		w := &weight{}
		return scale{newStore(b, dsn), w}, w
	}
	together := func(b *testing.B, dsn string) (storage.Store, *weight) {
		w, s := &weight{}, newStore(b, dsn)
		return scaleTx{scale{s, w}, s}, w
	}
	for _, c := range []struct {
		name            string
		open            func(b *testing.B, dsn string) (storage.Store, *weight)
		parallel, batch int
	}{
		{"file", bolt, 1, 1},
		{"file, 8 at a time", bolt, 8, 1},
		{"sqlite without transactions", apart, 1, 1},
		{"sqlite without transactions, 8 at a time", apart, 8, 1},
		{"sqlite", together, 1, 1},
		{"sqlite, 8 at a time", together, 8, 1},
		{"sqlite, batches of 50", together, 1, 50},
		{"sqlite, 8 batches of 50 at a time", together, 8, 50},
	} {
		opts := []chat.ConsumeOption{chat.StartAt(chat.FromBeginning), chat.Parallel(c.parallel), chat.Batch(c.batch)}
		b.Run(c.name, func(b *testing.B) {
			var writes, bytes int64
			for range b.N {
				b.StopTimer()
				store, w := c.open(b, dsn(filepath.Join(b.TempDir(), "chat.db"), ""))
				bob := talkative(b, store, messages)
				w.on.Store(true)
				b.StartTimer()
				consumeAll(b, bob, messages, opts...)
				b.StopTimer()
				writes, bytes = writes+w.writes.Load(), bytes+w.bytes.Load()
				b.StartTimer()
			}
			all := float64(messages * b.N)
			b.ReportMetric(all/b.Elapsed().Seconds(), "messages/s")
			b.ReportMetric(float64(writes)/all, "writes/message")
			b.ReportMetric(float64(bytes)/all, "bytes/message")
			b.ReportMetric(0, "ns/op")
			b.StopTimer()
			path := filepath.Join(b.TempDir(), "weighed.db")
			store, _ := c.open(b, dsn(path, "&_pragma=wal_autocheckpoint(0)"))
			bob := talkative(b, store, weighed)
			before := logged(path)
			consumeAll(b, bob, weighed, opts...)
			b.ReportMetric(float64(logged(path)-before)/weighed, "WAL-bytes/message")
		})
	}
}

// dsn is that of a Store's own, with more parameters.
func dsn(path, params string) string {
	return "file://" + (&url.URL{Path: path}).EscapedPath() + "?_pragma=busy_timeout(1000)" + params
}

func newStore(b *testing.B, dsn string) *sqlstore.Store {
	b.Helper()
	db, err := sql.Open("sqlite", dsn)
	require.NoError(b, err)
	b.Cleanup(func() { db.Close() })
	s, err := sqlstore.New(b.Context(), db)
	require.NoError(b, err)
	return s
}

// logged is how large the write-ahead log is, 0 if there is none.
func logged(path string) int64 {
	info, err := os.Stat(path + "-wal")
	if err != nil {
		return 0
	}
	return info.Size()
}

// talkative returns the Chat of somebody to whom many messages were sent.
func talkative(b *testing.B, store storage.Store, messages int) *chat.Chat {
	b.Helper()
	const talks = 20
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
	b.Helper()
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	var n atomic.Int64
	err := c.Consume(ctx, "all", func(context.Context, *chat.Message) error {
		if n.Add(1) == int64(messages) {
			cancel()
		}
		return nil
	}, opts...)
	require.ErrorIs(b, err, context.Canceled)
	require.GreaterOrEqual(b, n.Load(), int64(messages))
}
