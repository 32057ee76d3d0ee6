package sqlstore_test

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/storage"
	"github.com/fliplet/fliplet-chat-go/storage/sqlstore"
)

// victimEnv makes this program an archive in the file that it names, until it is killed.
// unsafeEnv makes it one whose rows and position are stored apart.
const (
	victimEnv = "SQLSTORE_VICTIM"
	unsafeEnv = "SQLSTORE_VICTIM_UNSAFE"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(victimEnv); path != "" {
		fmt.Fprintln(os.Stderr, "victim:", victim(context.Background(), path))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// plain hides that a Store has transactions.
type plain struct{ storage.Store }

func (plain) Exclusive() bool { return true }

const (
	schema = `CREATE TABLE IF NOT EXISTS archive (place INTEGER PRIMARY KEY, conversation INTEGER NOT NULL, message INTEGER NOT NULL)`
	insert = `INSERT INTO archive (conversation, message) VALUES (?, ?)`
)

// victim archives the messages of Bob's. It says which one it has archived last, before
// that is committed.
func victim(ctx context.Context, path string) error {
	store, err := sqlstore.Open(ctx, path, sqlstore.Alone())
	if err != nil {
		return err
	}
	if _, err := store.DB().ExecContext(ctx, schema); err != nil {
		return err
	}
	client, err := datasource.NewClient(datasource.Config{Token: os.Getenv("TOKEN"), BaseURL: os.Getenv("URL"), Limiter: datasource.Unlimited()})
	if err != nil {
		return err
	}
	contacts, err := strconv.ParseInt(os.Getenv("CONTACTS"), 10, 64)
	if err != nil {
		return err
	}
	batch, err := strconv.Atoi(os.Getenv("BATCH"))
	if err != nil {
		return err
	}
	opts := chat.Options{
		Client: client, DataSourceID: contacts, AppID: 1, PrimaryKey: "Email", Storage: store,
		LivePollInterval: 50 * time.Millisecond, PollInterval: 100 * time.Millisecond,
	}
	consume := []chat.ConsumeOption{chat.StartAt(chat.FromBeginning), chat.Parallel(4), chat.Batch(batch)}
	archive := func(ctx context.Context, m *chat.Message) error {
		tx, err := sqlstore.Tx(ctx)
		if err == nil {
			_, err = tx.ExecContext(ctx, insert, m.ConversationID, m.ID)
		}
		fmt.Println(m.ID)
		return err
	}
	if os.Getenv(unsafeEnv) != "" {
		opts.Storage = plain{store}
		archive = func(ctx context.Context, m *chat.Message) error {
			_, err := store.DB().ExecContext(ctx, insert, m.ConversationID, m.ID)
			fmt.Println(m.ID)
			return err
		}
	}
	c, err := chat.Connect(ctx, opts)
	if err != nil {
		return err
	}
	if _, err := c.Login(ctx, chat.M{"Email": "bob@example.org"}); err != nil {
		return err
	}
	return c.Consume(ctx, "archive", archive, consume...)
}

// killing is an archive that is killed at random moments.
type killing struct {
	t        *testing.T
	server   *fliplettest.Server
	contacts int64
	author   string
	convs    []int64
	want     map[int64][]int64
	all      int
	path     string
	db       *sql.DB
	rnd      *rand.Rand
	env      []string
}

func newKilling(t *testing.T, conversations int, env ...string) *killing {
	s := fliplettest.New(t)
	k := &killing{
		t: t, server: s, want: map[int64][]int64{}, path: filepath.Join(t.TempDir(), "archive.db"),
		rnd: rand.New(rand.NewPCG(1, 2)), env: env,
	}
	k.contacts, _ = s.AddContacts(datasource.M{"Email": "jane@example.org"}, datasource.M{"Email": "bob@example.org"})
	var users []string
	for _, name := range []string{"jane", "bob"} {
		c, err := chat.Connect(t.Context(), chat.Options{Client: s.Client(), DataSourceID: k.contacts, AppID: s.AppID, PrimaryKey: "Email"})
		require.NoError(t, err)
		_, err = c.Login(t.Context(), chat.M{"Email": name + "@example.org"})
		require.NoError(t, err)
		users = append(users, c.User().UserID)
		require.NoError(t, c.Close())
	}
	k.author = users[0]
	for i := range conversations {
		k.convs = append(k.convs, s.AddDataSource(datasource.M{
			"name": fmt.Sprint("talk ", i), "type": "conversation", "definition": datasource.M{"participants": users},
		}))
	}
	store := open(t, k.path) // it outlives the victims, as a reader may
	k.db = store.DB()
	_, err := k.db.ExecContext(t.Context(), schema)
	require.NoError(t, err)
	return k
}

// say adds messages.
func (k *killing) say(n int) {
	for n > 0 {
		at, some := k.convs[k.rnd.IntN(len(k.convs))], min(n, 1+k.rnd.IntN(8))
		var rows []datasource.M
		for range some {
			rows = append(rows, datasource.M{"body": "hello", "fromUserId": k.author, "readBy": []any{k.author}})
		}
		k.want[at] = append(k.want[at], k.server.AddRows(at, rows...)...)
		n, k.all = n-some, k.all+some
		k.server.ShiftClock(20 * time.Millisecond)
	}
}

// life runs a victim until it has said so many times that it archives a message.
func (k *killing) life(says int) {
	cmd := exec.CommandContext(k.t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), victimEnv+"="+k.path, "URL="+k.server.URL, "TOKEN="+k.server.Token, fmt.Sprintf("CONTACTS=%d", k.contacts))
	cmd.Env = append(cmd.Env, k.env...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(k.t, err)
	require.NoError(k.t, cmd.Start())
	said := make(chan struct{})
	go func() {
		defer close(said)
		for lines := bufio.NewScanner(out); says > 0 && lines.Scan(); says-- {
		}
	}()
	for running, began := true, time.Now(); running && k.rows() < k.all; {
		select {
		case <-said:
			running = false
		case <-time.After(20 * time.Millisecond):
			require.Less(k.t, time.Since(began), 5*time.Minute, "the victim makes no progress")
		}
	}
	require.NoError(k.t, cmd.Process.Kill())
	_ = cmd.Wait()
}

func (k *killing) rows() (n int) {
	require.NoError(k.t, k.db.QueryRowContext(k.t.Context(), `SELECT count(*) FROM archive`).Scan(&n))
	return n
}

// violations tells how the archive differs from what was said.
func (k *killing) violations() (out []string) {
	rows, err := k.db.QueryContext(k.t.Context(), `SELECT conversation, message FROM archive ORDER BY place`)
	require.NoError(k.t, err)
	defer rows.Close()
	next := map[int64]int{}
	for rows.Next() {
		var at, id int64
		require.NoError(k.t, rows.Scan(&at, &id))
		if ids, i := k.want[at], next[at]; i < len(ids) && ids[i] == id {
			next[at]++
		} else {
			out = append(out, fmt.Sprintf("message %d of conversation %d comes after %d others", id, at, i))
		}
	}
	require.NoError(k.t, rows.Err())
	for at, ids := range k.want {
		if next[at] != len(ids) {
			out = append(out, fmt.Sprintf("conversation %d has %d of %d messages in order", at, next[at], len(ids)))
		}
	}
	return out
}

func number(name string, def int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return def
}

// An archive that is killed at random moments has each message once, in order.
// CHAT_KILLS and CHAT_KILL_MESSAGES make it as long as one likes.
func TestAnArchiveThatIsKilledHasEachMessageExactlyOnce(t *testing.T) {
	t.Parallel()
	kills, messages := number("CHAT_KILLS", 20), number("CHAT_KILL_MESSAGES", 2000)
	for _, batch := range []int{1, 20} {
		t.Run(fmt.Sprint("batches of ", batch), func(t *testing.T) {
			t.Parallel()
			k := newKilling(t, 50, fmt.Sprint("BATCH=", batch))
			began := time.Now()
			for range kills / 2 {
				k.say(messages / kills)
				k.life(k.rnd.IntN(2*messages/kills + 1))
			}
			k.say(messages/2 - k.all)
			for k.rows() < k.all {
				k.life(math.MaxInt)
			}
			assert.Empty(t, k.violations())
			t.Logf("%d messages, %d kills: each is there once, in order; %v", k.all, kills/2, time.Since(began).Round(time.Second))
		})
	}
}

// The same archive has messages twice when its rows and its position are stored apart.
func TestAnArchiveWithoutTransactionsHasMessagesTwiceWhenItIsKilled(t *testing.T) {
	t.Parallel()
	k := newKilling(t, 50, "BATCH=1", unsafeEnv+"=1")
	for range 200 {
		k.say(20)
		k.life(1 + k.rnd.IntN(20))
		if n := k.twice(); n > 0 {
			t.Logf("%d of %d messages are there twice", n, k.all)
			return
		}
	}
	t.Error("no kill came between a row and its position")
}

// twice counts the messages that are there more than once.
func (k *killing) twice() (n int) {
	err := k.db.QueryRowContext(k.t.Context(), `SELECT count(*) FROM (SELECT 1 FROM archive GROUP BY message HAVING count(*) > 1)`).Scan(&n)
	require.NoError(k.t, err)
	return n
}
