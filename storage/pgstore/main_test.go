package pgstore_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/leaktest"
	"github.com/fliplet/fliplet-chat-go/storage"
	"github.com/fliplet/fliplet-chat-go/storage/pgstore"
	"github.com/fliplet/fliplet-chat-go/storage/pgstore/pgtest"
	"github.com/fliplet/fliplet-chat-go/storage/storagetest"
)

// one is the server of all tests that do not stop it.
var one struct {
	once   sync.Once
	server *pgtest.Server
	err    error
}

// shared returns the server of all tests.
func shared() (*pgtest.Server, error) {
	one.once.Do(func() { one.server, one.err = pgtest.Run(context.Background()) })
	return one.server, one.err
}

// withServer stops the server when the tests have run.
type withServer struct{ *testing.M }

func (m withServer) Run() int {
	flag.Parse()
	if !pgtest.Installed() { // an example cannot skip itself
		if err := flag.Set("test.skip", "^Example"); err != nil {
			panic(err)
		}
	}
	code := m.M.Run()
	if one.server != nil {
		if err := one.server.Close(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	return code
}

func TestMain(m *testing.M) {
	if said := os.Getenv(victimEnv); said != "" {
		fmt.Fprintln(os.Stderr, victim(said)) // it ends when it is killed
		os.Exit(1)
	}
	leaktest.Main(withServer{m})
}

// server returns the server of all tests, or skips the test.
func server(t testing.TB) *pgtest.Server {
	t.Helper()
	srv, err := shared()
	if errors.Is(err, pgtest.ErrNotFound) {
		t.Skip(err)
	}
	require.NoError(t, err)
	return srv
}

// open opens a Store until the end of the test.
func open(t testing.TB, dsn string, opts ...pgstore.Option) *pgstore.Store {
	t.Helper()
	s, err := pgstore.Open(t.Context(), dsn, opts...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// connect opens a connection to look at a database from outside.
func connect(t testing.TB, dsn string) *pgx.Conn {
	t.Helper()
	dsn, _, _ = strings.Cut(dsn, "&pool_")
	conn, err := pgx.Connect(t.Context(), dsn)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close(context.Background())) })
	return conn
}

// number is the answer to a query.
func number(t testing.TB, conn *pgx.Conn, sql string, args ...any) (n int) {
	t.Helper()
	require.NoError(t, conn.QueryRow(t.Context(), sql, args...).Scan(&n))
	return n
}

func TestStore(t *testing.T) {
	t.Parallel()
	dsn := server(t).Database(t)
	var n atomic.Int64
	in := map[storage.Store]pgstore.Option{}
	var mu sync.Mutex
	place := func(t *testing.T, namespace pgstore.Option) storage.Store {
		s := open(t, dsn+"&pool_max_conns=4", namespace)
		mu.Lock()
		defer mu.Unlock()
		in[s] = namespace
		return s
	}
	storagetest.Run(t, func(t *testing.T) storage.Store { return place(t, pgstore.Namespace(fmt.Sprint("test ", n.Add(1)))) },
		storagetest.Reopen(func(t *testing.T, s storage.Store) storage.Store {
			require.NoError(t, s.(*pgstore.Store).Close())
			mu.Lock()
			namespace := in[s]
			mu.Unlock()
			return place(t, namespace)
		}), storagetest.Beside(func(t *testing.T, s storage.Store) storage.Store {
			mu.Lock()
			namespace := in[s]
			mu.Unlock()
			return place(t, namespace)
		}))
}
