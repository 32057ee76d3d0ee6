package pgstore_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
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
	"github.com/fliplet/fliplet-chat-go/storage/pgstore/pgtest"
)

// through opens a Store whose connections go through a proxy, and one that looks at the
// same database without it.
func through(t *testing.T, params string) (*proxy, *pgstore.Store, *pgstore.Store, string) {
	t.Helper()
	srv := server(t)
	dsn := srv.Database(t)
	p := newProxy(t, srv.Addr())
	direct := open(t, dsn+"&pool_max_conns=3")
	via := open(t, strings.Replace(dsn, srv.Addr(), p.addr(), 1)+"&pool_max_conns=3"+params)
	return p, via, direct, dsn
}

// value is that of a key, "none" if there is none.
func value(t *testing.T, s storage.Store, key string) string {
	t.Helper()
	v, err := s.Get(t.Context(), key)
	if errors.Is(err, storage.ErrNotFound) {
		return "none"
	}
	require.NoError(t, err)
	return string(v)
}

// Every call is cut at every packet, before it reaches the server and after. What was
// stored is then the old value or the new one, the new one when the call said so, and the
// next call works.
func TestACallThatIsCutAnywhereIsDoneOrNot(t *testing.T) {
	t.Parallel()
	swap := func(s *pgstore.Store, ctx context.Context, old, new []byte) error { //nolint:revive // as a method
		ok, err := s.CompareAndSwap(ctx, "key", old, new)
		if err == nil && !ok {
			err = errors.New("not swapped")
		}
		return err
	}
	for name, c := range map[string]struct {
		old, new string
		call     func(ctx context.Context, s *pgstore.Store) error
	}{
		"Set":             {"old", "new", func(ctx context.Context, s *pgstore.Store) error { return s.Set(ctx, "key", []byte("new")) }},
		"first Set":       {"none", "new", func(ctx context.Context, s *pgstore.Store) error { return s.Set(ctx, "key", []byte("new")) }},
		"Delete":          {"old", "none", func(ctx context.Context, s *pgstore.Store) error { return s.Delete(ctx, "key") }},
		"swap":            {"old", "new", func(ctx context.Context, s *pgstore.Store) error { return swap(s, ctx, []byte("old"), []byte("new")) }},
		"swap of nothing": {"none", "new", func(ctx context.Context, s *pgstore.Store) error { return swap(s, ctx, nil, []byte("new")) }},
		"swap to nothing": {"old", "none", func(ctx context.Context, s *pgstore.Store) error { return swap(s, ctx, []byte("old"), nil) }},
		"Get": {"old", "old", func(ctx context.Context, s *pgstore.Store) error {
			v, err := s.Get(ctx, "key")
			if err == nil && string(v) != "old" {
				err = fmt.Errorf("got %q", v)
			}
			return err
		}},
		"List": {"old", "old", func(ctx context.Context, s *pgstore.Store) error {
			for key, err := range s.List(ctx, "") {
				if err != nil || key != "key" {
					return fmt.Errorf("listed %q: %w", key, err)
				}
			}
			return nil
		}},
	} {
		for _, mode := range []string{"cache_statement", "simple_protocol"} {
			t.Run(name+" by "+mode, func(t *testing.T) {
				t.Parallel()
				p, s, direct, _ := through(t, "&default_query_exec_mode="+mode)
				for _, what := range []lose{question, answer} {
					for n := 1; ; n++ {
						if c.old == "none" {
							require.NoError(t, direct.Delete(t.Context(), "key"))
						} else {
							require.NoError(t, direct.Set(t.Context(), "key", []byte(c.old)))
						}
						p.arm(n, what)
						err := c.call(t.Context(), s)
						happened, _ := p.disarm()
						got := value(t, direct, "key")
						assert.Contains(t, []string{c.old, c.new}, got)
						if err == nil {
							assert.Equal(t, c.new, got, "packet %d", n)
						} else {
							assert.ErrorContains(t, err, "pgstore: ")
							assert.True(t, happened, "packet %d: %v", n, err)
							assert.NotEqual(t, "Get", name, "a read is made again")
						}
						require.NoError(t, s.Set(t.Context(), "another", nil), "the store recovers")
						require.NoError(t, s.Delete(t.Context(), "another"))
						if !happened {
							require.Greater(t, n, 1)
							break
						}
					}
				}
			})
		}
	}
}

// An effect and a position are stored together at whatever packet the connection is cut,
// and only a lost answer to COMMIT is called uncertain.
func TestATransactionThatIsCutAnywhereIsDoneOrNot(t *testing.T) {
	t.Parallel()
	p, _, direct, dsn := through(t, "")
	pool, err := pgxpool.New(t.Context(), strings.Replace(dsn, server(t).Addr(), p.addr(), 1))
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	s, err := pgstore.New(t.Context(), pool)
	require.NoError(t, err)
	conn := connect(t, dsn)
	_, err = conn.Exec(t.Context(), "CREATE TABLE effects (id integer PRIMARY KEY)")
	require.NoError(t, err)
	for _, what := range []lose{question, answer} {
		uncertain := 0
		for n, id := 1, 0; ; n++ {
			id++
			before := value(t, direct, "position")
			after := fmt.Sprint(what, n)
			var old []byte
			if before != "none" {
				old = []byte(before)
			}
			pool.Reset() // each time the same packets, from the first of a connection
			p.arm(n, what)
			err := s.Update(t.Context(), func(ctx context.Context, tx storage.Store) error {
				if err := insert(ctx, int(what)*1000+id); err != nil {
					return err
				}
				return advance(ctx, tx, old, []byte(after))
			})
			happened, lost := p.disarm()
			rows, now := number(t, conn, "SELECT count(*) FROM effects WHERE id = $1", int(what)*1000+id), value(t, direct, "position")
			if rows == 1 {
				assert.Equal(t, after, now)
			} else {
				assert.Equal(t, before, now)
			}
			switch {
			case err == nil:
				assert.Equal(t, 1, rows)
			case errors.Is(err, pgstore.ErrUncertain):
				uncertain++
				assert.Contains(t, lost, "commit", "packet %d", n)
			default:
				assert.Zero(t, rows, "packet %d: %v", n, err)
				assert.NotContains(t, lost, "commit", "packet %d: %v", n, err)
			}
			if !happened {
				require.NoError(t, err)
				require.Greater(t, n, 3)
				break
			}
		}
		assert.Equal(t, 1, uncertain, "COMMIT, or its answer, was lost")
	}
}

func TestAServerThatIsAwayAtTheStartIsSaidSoAndNotWaitedFor(t *testing.T) {
	t.Parallel()
	p := newProxy(t, server(t).Addr())
	p.refuse(true)
	_, err := pgstore.Open(t.Context(), "postgres://u@"+p.addr()+"/d?sslmode=disable")
	require.ErrorContains(t, err, "pgstore: open: the server cannot be reached")
	p.refuse(false)
	p.hang(true)
	_, err = pgstore.Open(t.Context(), "postgres://u@"+p.addr()+"/d?sslmode=disable&connect_timeout=1")
	require.ErrorContains(t, err, "the server cannot be reached")
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("enough")
	defer time.AfterFunc(100*time.Millisecond, func() { cancel(cause) }).Stop()
	_, err = pgstore.Open(ctx, "postgres://u@"+p.addr()+"/d?sslmode=disable")
	require.ErrorIs(t, err, cause)
}

func TestANetworkThatIsSilentEndsCallsWithTheirContext(t *testing.T) {
	t.Parallel()
	p, s, direct, _ := through(t, "")
	require.NoError(t, s.Set(t.Context(), "key", []byte("1")))
	p.hang(true)
	for range 5 { // more than the pool has connections
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		for name, err := range calls(ctx, s, "key") {
			assert.ErrorIs(t, err, context.DeadlineExceeded, name)
		}
		cancel()
	}
	p.hang(false)
	// What the network held back arrives now, and some of it after what is written now.
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		require.NoError(c, s.Set(t.Context(), "key", []byte("2")))
		v, err := direct.Get(t.Context(), "key")
		assert.NoError(c, err)
		assert.Equal(c, "2", string(v))
	}, patience, time.Millisecond)
}

func TestAServerThatIsAwayForAWhileIsUsedAgainWhenItIsBack(t *testing.T) {
	t.Parallel()
	p, s, direct, _ := through(t, "")
	watch := watched(t, t.Context(), s, "key")
	require.NoError(t, s.Set(t.Context(), "key", []byte("1")))
	told(t, watch)
	p.refuse(true)
	for name, err := range calls(t.Context(), s, "key") {
		assert.ErrorContains(t, err, "the server cannot be reached", name)
	}
	require.NoError(t, direct.Set(t.Context(), "key", []byte("2")))
	p.refuse(false)
	told(t, watch) // of what was written meanwhile
	assert.Equal(t, "2", value(t, s, "key"))
	require.NoError(t, direct.Set(t.Context(), "key", []byte("3")))
	told(t, watch)
}

// A server that crashes again and again has in the end what it acknowledged, and no more
// than what was tried.
func TestWhatWasAcknowledgedOutlivesCrashesOfTheServer(t *testing.T) {
	t.Parallel()
	srv := pgtest.Start(t)
	dsn := srv.Database(t) + "&pool_max_conns=6"
	s := open(t, dsn)
	require.NoError(t, s.Set(t.Context(), "counter", []byte("0")))
	var acknowledged, uncertain atomic.Int64
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	var said sync.Map // what errors said
	for i := range 4 {
		wg.Go(func() {
			for ctx.Err() == nil {
				increment := func(ctx context.Context, tx storage.Store) (bool, error) {
					old, err := tx.Get(ctx, "counter")
					if err != nil {
						return false, err
					}
					n, err := strconv.Atoi(string(old))
					if err != nil {
						return false, err
					}
					return tx.CompareAndSwap(ctx, "counter", old, fmt.Append(nil, n+1))
				}
				var ok bool
				var err error
				if i%2 == 0 {
					ok, err = increment(ctx, s)
				} else {
					err = s.Update(ctx, func(ctx context.Context, tx storage.Store) error {
						ok, err = increment(ctx, tx)
						return err
					})
				}
				switch {
				case err == nil && ok:
					acknowledged.Add(1)
				case err != nil:
					uncertain.Add(1)
					said.Store(err.Error(), true)
					time.Sleep(time.Millisecond)
				}
			}
		})
	}
	for i := range 4 {
		before := acknowledged.Load()
		require.Eventually(t, func() bool { return acknowledged.Load() > before+20 }, patience, time.Millisecond, "it goes on after a crash")
		if i%2 == 0 {
			require.NoError(t, srv.Kill())
		} else {
			require.NoError(t, srv.Stop())
		}
		require.NoError(t, srv.Start(t.Context()))
	}
	before := acknowledged.Load()
	require.Eventually(t, func() bool { return acknowledged.Load() > before+20 }, patience, time.Millisecond)
	cancel()
	wg.Wait()
	n, err := strconv.ParseInt(value(t, s, "counter"), 10, 64)
	require.NoError(t, err)
	assert.GreaterOrEqual(t, n, acknowledged.Load(), "what was acknowledged is there")
	assert.LessOrEqual(t, n, acknowledged.Load()+uncertain.Load())
	var errs []string
	said.Range(func(k, _ any) bool { errs = append(errs, k.(string)); return true })
	slices.Sort(errs)
	t.Logf("%d acknowledged, %d failed, %d stored; errors:\n%s", acknowledged.Load(), uncertain.Load(), n, strings.Join(errs[:min(len(errs), 12)], "\n"))
	for _, e := range errs {
		assert.True(t, strings.HasPrefix(e, "pgstore: ") || e == "context canceled", e)
	}
}
