package pgstore_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/storage"
	"github.com/fliplet/fliplet-chat-go/storage/pgstore"
	"github.com/fliplet/fliplet-chat-go/storage/storagetest"
)

func TestReplicasThatStartAtOnceMakeTheTablesOnce(t *testing.T) {
	t.Parallel()
	dsn := server(t).Database(t) + "&pool_max_conns=2"
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			prefix := []string{"", "eu_"}[i%2] // two applications in one schema
			s, err := pgstore.Open(t.Context(), dsn, pgstore.TablePrefix(prefix))
			if assert.NoError(t, err) {
				assert.NoError(t, s.Set(t.Context(), fmt.Sprint(i), nil))
				assert.NoError(t, s.Close())
			}
		})
	}
	wg.Wait()
	conn := connect(t, dsn)
	assert.Equal(t, 10, number(t, conn, "SELECT count(*) FROM fliplet_chat.store"))
	assert.Equal(t, 10, number(t, conn, "SELECT count(*) FROM fliplet_chat.eu_store"))
	assert.Equal(t, 1, number(t, conn, "SELECT count(*) FROM fliplet_chat.store_version"))
}

func TestTablesOfANewerVersionAreRefusedAndLeftAlone(t *testing.T) {
	t.Parallel()
	dsn := server(t).Database(t)
	require.NoError(t, open(t, dsn).Set(t.Context(), "key", []byte("v")))
	conn := connect(t, dsn)
	_, err := conn.Exec(t.Context(), "INSERT INTO fliplet_chat.store_version (version) VALUES (7)")
	require.NoError(t, err)
	_, err = pgstore.Open(t.Context(), dsn)
	require.ErrorIs(t, err, pgstore.ErrNewerSchema)
	assert.Contains(t, err.Error(), "version 7")
	assert.Contains(t, err.Error(), "versions up to 1")
	assert.Equal(t, 1, number(t, conn, "SELECT count(*) FROM fliplet_chat.store"))
}

func TestAUserWithoutTheRightToMakeTablesCanUseThem(t *testing.T) {
	t.Parallel()
	srv := server(t)
	dsn := srv.Database(t)
	open(t, dsn)
	conn := connect(t, dsn)
	user := "user_of_" + conn.Config().Database // roles belong to the server, and the test may run again
	_, err := conn.Exec(t.Context(), strings.ReplaceAll(`CREATE ROLE $user LOGIN; GRANT USAGE ON SCHEMA fliplet_chat TO $user;
		GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA fliplet_chat TO $user`, "$user", user))
	require.NoError(t, err)
	limited := strings.Replace(dsn, "fliplet@", user+"@", 1)
	storagetest.Run(t, func(t *testing.T) storage.Store {
		return open(t, limited+"&pool_max_conns=3", pgstore.Namespace(t.Name()))
	})
	_, err = pgstore.Open(t.Context(), limited, pgstore.Schema("another"))
	require.ErrorContains(t, err, "permission denied")
}

func TestNamespacesSchemasAndPrefixesKeepKeysApart(t *testing.T) {
	t.Parallel()
	dsn := server(t).Database(t) + "&pool_max_conns=2"
	stores := []*pgstore.Store{
		open(t, dsn), open(t, dsn, pgstore.Namespace("a")), open(t, dsn, pgstore.Namespace("A")), open(t, dsn, pgstore.Namespace(`"'; --`)),
		open(t, dsn, pgstore.Schema("other")), open(t, dsn, pgstore.TablePrefix("eu_")), open(t, dsn, pgstore.Schema("select"), pgstore.TablePrefix("_")),
	}
	for i, s := range stores {
		require.NoError(t, s.Set(t.Context(), "key", fmt.Append(nil, i)))
	}
	for i, s := range stores {
		v, err := s.Get(t.Context(), "key")
		require.NoError(t, err)
		assert.Equal(t, fmt.Sprint(i), string(v))
		n := 0
		for _, err := range s.List(t.Context(), "") {
			require.NoError(t, err)
			n++
		}
		assert.Equal(t, 1, n)
	}
}

func TestOptionsThatCannotBeUsedAreRefusedBeforeAnythingIsSent(t *testing.T) {
	t.Parallel()
	const nobody = "postgres://u@127.0.0.1:1/d" // nobody listens there
	for name, c := range map[string]struct {
		dsn  string
		opt  pgstore.Option
		want string
	}{
		"empty dsn":                 {" ", nil, "dsn is empty"},
		"empty schema":              {nobody, pgstore.Schema(""), "Schema"},
		"schema with SQL":           {nobody, pgstore.Schema(`x"; DROP TABLE y; --`), "Schema"},
		"schema of the server":      {nobody, pgstore.Schema("pg_catalog"), "Schema"},
		"schema in upper case":      {nobody, pgstore.Schema("Chat"), "Schema"},
		"long schema":               {nobody, pgstore.Schema(strings.Repeat("s", 64)), "Schema"},
		"schema of two lines":       {nobody, pgstore.Schema("x\n"), "Schema"},
		"prefix with a quote":       {nobody, pgstore.TablePrefix(`"`), "TablePrefix"},
		"long prefix":               {nobody, pgstore.TablePrefix(strings.Repeat("p", 41)), "TablePrefix"},
		"namespace with NUL":        {nobody, pgstore.Namespace("a\x00"), "Namespace"},
		"namespace that is no text": {nobody, pgstore.Namespace("\xff"), "Namespace"},
		"long namespace":            {nobody, pgstore.Namespace(strings.Repeat("n", 201)), "Namespace"},
		"idle time of nothing":      {nobody, pgstore.IdleTimeout(0), "IdleTimeout"},
		"idle time of days":         {nobody, pgstore.IdleTimeout(48 * time.Hour), "IdleTimeout"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			opts := []pgstore.Option{}
			if c.opt != nil {
				opts = append(opts, c.opt)
			}
			_, err := pgstore.Open(t.Context(), c.dsn, opts...)
			require.ErrorContains(t, err, c.want)
			assert.NotContains(t, err.Error(), "refused")
		})
	}
	_, err := pgstore.New(t.Context(), nil)
	require.ErrorContains(t, err, "pool")
}

func TestErrorsHaveNoPassword(t *testing.T) {
	t.Parallel()
	const secret = "hunter2secret"
	for _, dsn := range []string{
		"postgres://u:" + secret + "@127.0.0.1:1/d", "postgres://u:" + secret + "@127.0.0.1:port/d", "postgres://u:" + secret + "%zz@h/d",
		"postgres://u:" + secret + "@h/d?sslmode=wrong", "host=127.0.0.1 port=1 user=u password=" + secret, "host='127.0.0.1 password=" + secret,
		"postgres://u:" + secret + "@h/d?pool_max_conns=" + secret,
	} {
		_, err := pgstore.Open(t.Context(), dsn)
		require.Error(t, err)
		assert.NotContains(t, err.Error(), secret)
	}
	s := open(t, strings.Replace(server(t).Database(t), "fliplet@", "fliplet:"+secret+"@", 1))
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		assert.Equal(t, "pgstore \"fliplet_chat\".\"store\"", fmt.Sprintf(verb, s))
	}
}

func TestAStoreOnTheCallersPoolLeavesItOpen(t *testing.T) {
	t.Parallel()
	pool, err := pgxpool.New(t.Context(), server(t).Database(t))
	require.NoError(t, err)
	defer pool.Close()
	s, err := pgstore.New(t.Context(), pool)
	require.NoError(t, err)
	require.NoError(t, s.Set(t.Context(), "key", nil))
	require.NoError(t, s.Close())
	require.NoError(t, s.Close())
	require.NoError(t, pool.Ping(t.Context()))
}

func TestAClosedStoreRefusesEveryCall(t *testing.T) {
	t.Parallel()
	s := open(t, server(t).Database(t))
	require.NoError(t, s.Close())
	for name, err := range calls(t.Context(), s, "key") {
		assert.ErrorIs(t, err, pgstore.ErrClosed, name)
	}
	_, err := s.Watch(t.Context(), "key")
	require.ErrorIs(t, err, pgstore.ErrClosed)
}

func TestKeysThatCannotBeAreRefused(t *testing.T) {
	t.Parallel()
	s := open(t, server(t).Database(t))
	for _, key := range []string{"", strings.Repeat("k", 1025)} {
		for name, err := range calls(t.Context(), s, key) {
			if name != "List" && name != "Update" {
				assert.ErrorContains(t, err, "give 1 to 1024", name)
			}
		}
	}
}

// calls makes every call of a Store, and returns their errors.
func calls(ctx context.Context, s *pgstore.Store, key string) map[string]error {
	errs := map[string]error{"Set": s.Set(ctx, key, []byte("1")), "Delete": s.Delete(ctx, key)}
	_, errs["CompareAndSwap"] = s.CompareAndSwap(ctx, key, nil, []byte("2"))
	if _, errs["Get"] = s.Get(ctx, key); errors.Is(errs["Get"], storage.ErrNotFound) {
		errs["Get"] = nil
	}
	for _, err := range s.List(ctx, "") {
		errs["List"] = err
	}
	errs["Update"] = s.Update(ctx, func(ctx context.Context, tx storage.Store) error { return tx.Set(ctx, "other", nil) })
	return errs
}

// Where a database has another isolation by default each statement has, and is refused when somebody
// else was faster.
func TestWritersOfOneKeyDoNotFailWhateverTheIsolationIsByDefault(t *testing.T) {
	t.Parallel()
	for _, isolation := range []string{"repeatable%20read", "serializable"} {
		t.Run(isolation, func(t *testing.T) {
			t.Parallel()
			dsn := server(t).Database(t)
			s := open(t, dsn+"&pool_max_conns=8&default_transaction_isolation="+isolation)
			var writers sync.WaitGroup
			var swapped atomic.Int64
			for i := range 8 {
				writers.Go(func() {
					for n := range 50 {
						assert.NoError(t, s.Set(t.Context(), "key", []byte{byte(i)}))
						now, err := s.Get(t.Context(), "counter")
						if !errors.Is(err, storage.ErrNotFound) {
							assert.NoError(t, err)
						}
						ok, err := s.CompareAndSwap(t.Context(), "counter", now, fmt.Append(nil, i, n))
						assert.NoError(t, err)
						if ok {
							swapped.Add(1)
						}
					}
				})
			}
			writers.Wait()
			assert.Equal(t, int(swapped.Load()), number(t, connect(t, dsn), "SELECT version FROM fliplet_chat.store WHERE key = 'counter'"))
		})
	}
}

func TestEachWriteRaisesTheVersionOfItsRow(t *testing.T) {
	t.Parallel()
	dsn := server(t).Database(t)
	s := open(t, dsn)
	conn := connect(t, dsn)
	version := func() int { return number(t, conn, "SELECT version FROM fliplet_chat.store WHERE key = 'key'") }
	require.NoError(t, s.Set(t.Context(), "key", []byte("1")))
	assert.Equal(t, 1, version())
	require.NoError(t, s.Set(t.Context(), "key", []byte("1")))
	assert.Equal(t, 2, version())
	ok, err := s.CompareAndSwap(t.Context(), "key", []byte("1"), []byte("2"))
	require.NoError(t, err)
	require.True(t, ok)
	assert.Equal(t, 3, version())
	ok, err = s.CompareAndSwap(t.Context(), "key", []byte("1"), []byte("2"))
	require.NoError(t, err)
	require.False(t, ok)
	assert.Equal(t, 3, version())
}
