package pgstore_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/storage"
	"github.com/fliplet/fliplet-chat-go/storage/pgstore"
)

// victimEnv makes this program a consumer until it is killed. Its value is an order.
const victimEnv = "PGSTORE_VICTIM"

// order says how a victim consumes.
type order struct {
	DSN, URL, Token string
	Contacts        int64
	Parallel, Batch int
	How             how
}

// how is what a victim does to be exactly once. All but the first are not enough.
type how string

const (
	fenced   how = "in a transaction with a fence"
	unfenced how = "in a transaction without a fence"
	apart    how = "without a transaction"
)

// victim archives every message in a table, until it is killed.
func victim(said string) error {
	var o order
	if err := json.Unmarshal([]byte(said), &o); err != nil {
		return err
	}
	ctx := context.Background()
	pool, err := pgxpool.New(ctx, o.DSN+"&pool_max_conns=12")
	if err != nil {
		return err
	}
	// A victim that is suspended holds its locks for no longer than a second.
	s, err := pgstore.New(ctx, pool, pgstore.IdleTimeout(time.Second))
	if err != nil {
		return err
	}
	var store storage.Store = s
	switch o.How {
	case unfenced:
		store = trusting{s}
	case apart:
		store = plain{s, s, s}
	}
	client, err := datasource.NewClient(datasource.Config{Token: o.Token, BaseURL: o.URL, Limiter: datasource.Unlimited()})
	if err != nil {
		return err
	}
	c, err := chat.Connect(ctx, chat.Options{
		Client: client, DataSourceID: o.Contacts, AppID: 1, PrimaryKey: "Email", Storage: store,
		LivePollInterval: 20 * time.Millisecond, PollInterval: 50 * time.Millisecond,
	})
	if err != nil {
		return err
	}
	if _, err := c.Login(ctx, chat.M{"Email": "bob@example.org"}); err != nil {
		return err
	}
	opts := []chat.ConsumeOption{chat.StartAt(chat.FromBeginning), chat.Parallel(o.Parallel), chat.RetryBackoff(10*time.Millisecond, time.Second)}
	if o.Batch > 1 {
		opts = append(opts, chat.Batch(o.Batch))
	}
	return c.Consume(ctx, "archive", func(ctx context.Context, m *chat.Message) error {
		const insert = "INSERT INTO archive (conversation, message, pid) VALUES ($1, $2, $3)"
		args := []any{m.ConversationID, m.ID, os.Getpid()}
		if tx, ok := pgstore.Tx(ctx); ok {
			_, err := tx.Exec(ctx, insert, args...)
			return err
		}
		if o.How != apart {
			return fmt.Errorf("message %d: there is no transaction", m.ID)
		}
		_, err := pool.Exec(ctx, insert, args...)
		return err
	}, opts...)
}

// plain hides the transactions of a Store.
type plain struct {
	storage.Store
	storage.Lister
	storage.Watcher
}

// trusting is a Store whose swaps in transactions compare nothing.
type trusting struct{ *pgstore.Store }

func (s trusting) Update(ctx context.Context, fn func(ctx context.Context, tx storage.Store) error) error {
	return s.Store.Update(ctx, func(ctx context.Context, tx storage.Store) error { return fn(ctx, trustingTx{tx}) })
}

type trustingTx struct{ storage.Store }

func (t trustingTx) CompareAndSwap(ctx context.Context, key string, _, new []byte) (bool, error) {
	if new == nil {
		return true, t.Delete(ctx, key)
	}
	return true, t.Set(ctx, key, new)
}

// scene is a local Fliplet, a database with an archive, and what is to be in it.
type scene struct {
	*fliplettest.Server
	t     *testing.T
	order order
	store *pgstore.Store // to look at leases
	conn  *pgx.Conn

	from  string
	talks []int64
	want  map[int64][]int64 // ids by conversation, in order
	all   int
	procs []*proc
}

const talks = 20

func newScene(t *testing.T, dsn string, how how) *scene {
	t.Helper()
	s := &scene{Server: fliplettest.New(t), t: t, want: map[int64][]int64{}}
	contacts, _ := s.AddContacts(datasource.M{"Email": "jane@example.org"}, datasource.M{"Email": "bob@example.org"})
	s.order = order{DSN: dsn, URL: s.URL, Token: s.Token, Contacts: contacts, Parallel: 8, Batch: 1, How: how}
	members := []string{}
	for _, name := range []string{"jane", "bob"} {
		c, err := chat.Connect(t.Context(), chat.Options{Client: s.Client(), DataSourceID: contacts, AppID: 1, PrimaryKey: "Email"})
		require.NoError(t, err)
		_, err = c.Login(t.Context(), chat.M{"Email": name + "@example.org"})
		require.NoError(t, err)
		members = append(members, c.User().UserID)
		require.NoError(t, c.Close())
	}
	s.from = members[0]
	for i := range talks {
		s.talks = append(s.talks, s.AddDataSource(datasource.M{"name": fmt.Sprint("talk ", i), "type": "conversation", "definition": datasource.M{"participants": members}}))
	}
	s.store = open(t, dsn+"&pool_max_conns=2")
	s.conn = connect(t, dsn)
	_, err := s.conn.Exec(t.Context(), "CREATE TABLE archive (n bigserial PRIMARY KEY, conversation bigint, message bigint, pid int)")
	require.NoError(t, err)
	t.Cleanup(s.end)
	return s
}

// end kills all victims.
func (s *scene) end() {
	for _, p := range s.procs {
		p.kill()
	}
	s.procs = nil
}

// add sends n messages to conversations in turn, some to each.
func (s *scene) add(n int) {
	for n > 0 {
		at := s.talks[s.all%len(s.talks)]
		some := min(n, 1+s.all%7)
		rows := make([]datasource.M, some)
		for i := range rows {
			rows[i] = datasource.M{"body": fmt.Sprint(s.all + i), "fromUserId": s.from, "readBy": []any{s.from}}
		}
		s.want[at] = append(s.want[at], s.AddRows(at, rows...)...)
		n, s.all = n-some, s.all+some
		s.ShiftClock(5 * time.Millisecond)
	}
}

// proc is a victim.
type proc struct {
	t     *testing.T
	cmd   *exec.Cmd
	once  sync.Once
	ended chan struct{}
	mu    sync.Mutex
	said  bytes.Buffer
}

func (p *proc) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.said.Write(b)
}

func (s *scene) start() *proc {
	s.t.Helper()
	said, err := json.Marshal(s.order)
	require.NoError(s.t, err)
	p := &proc{t: s.t, cmd: exec.Command(os.Args[0]), ended: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), victimEnv+"="+string(said))
	p.cmd.Stderr = p
	require.NoError(s.t, p.cmd.Start())
	go func() {
		_ = p.cmd.Wait()
		close(p.ended)
	}()
	s.procs = append(s.procs, p)
	return p
}

func (p *proc) signal(sig syscall.Signal) { _ = p.cmd.Process.Signal(sig) }

// kill ends a victim at once. One that has ended by itself has said why.
func (p *proc) kill() { p.once.Do(p.end) }

func (p *proc) end() {
	select {
	case <-p.ended:
		p.mu.Lock()
		defer p.mu.Unlock()
		p.t.Errorf("a victim ended by itself: %s", p.said.String())
	default:
		p.signal(syscall.SIGKILL)
		<-p.ended
	}
}

// expire does what time does to the lease of somebody who is gone. Whether it is right about
// that does not matter: a lease says who should work, and not who may.
func (s *scene) expire() {
	for key, err := range s.store.List(s.t.Context(), "") {
		require.NoError(s.t, err)
		if strings.HasSuffix(key, "/lease") {
			require.NoError(s.t, s.store.Delete(s.t.Context(), key))
		}
	}
}

// tried is how many messages were handled, also those whose transaction was undone.
func (s *scene) tried() int {
	return number(s.t, s.conn, "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM archive_n_seq")
}

func (s *scene) rows() int { return number(s.t, s.conn, "SELECT count(*) FROM archive") }

// reach waits until a number has reached some value, for as long as it grows now and then.
func (s *scene) reach(what string, n func() int, want int, within time.Duration) bool {
	most := 0
	for end := time.Now().Add(within); ; time.Sleep(2 * time.Millisecond) {
		switch have := n(); {
		case have >= want:
			return true
		case have > most:
			most, end = have, time.Now().Add(within)
		case time.Now().After(end):
			s.t.Logf("%d of %d %s", have, want, what)
			return false
		}
	}
}

// verdict compares the archive with what was said.
type verdict struct{ rows, lost, twice, disordered int }

func (s *scene) verdict() (v verdict) {
	rows, err := s.conn.Query(s.t.Context(), "SELECT conversation, message FROM archive ORDER BY n")
	require.NoError(s.t, err)
	got, last := map[int64]int{}, map[int64]int64{}
	var talk, message int64
	_, err = pgx.ForEachRow(rows, []any{&talk, &message}, func() error {
		v.rows++
		if got[message]++; got[message] > 1 {
			v.twice++
		} else if message < last[talk] {
			v.disordered++
		}
		last[talk] = max(last[talk], message)
		return nil
	})
	require.NoError(s.t, err)
	for _, ids := range s.want {
		for _, id := range ids {
			if got[id] == 0 {
				v.lost++
			}
		}
	}
	return v
}
