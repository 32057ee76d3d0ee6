package chat_test

import (
	"bufio"
	"context"
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
	"github.com/fliplet/fliplet-chat-go/internal/longtest"
	"github.com/fliplet/fliplet-chat-go/storage/boltstore"
)

// killedConsumerEnv makes this program a consumer that writes what it handles to a
// file, until it is killed. Its value is the directory it works in.
const killedConsumerEnv = "CHAT_KILLED_CONSUMER"

// runKilledConsumer consumes with its position in a file. It writes the conversation
// and the id of each message that it handles, and what positions have cost until then.
func runKilledConsumer() {
	dir := os.Getenv(killedConsumerEnv)
	check := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	file, err := boltstore.Open(filepath.Join(dir, "chat.db"))
	check(err)
	store := &scale{Store: file}
	client, err := datasource.NewClient(datasource.Config{Token: os.Getenv("TOKEN"), BaseURL: os.Getenv("URL"), Limiter: datasource.Unlimited()})
	check(err)
	contacts, err := strconv.ParseInt(os.Getenv("CONTACTS"), 10, 64)
	check(err)
	ctx := context.Background()
	c, err := chat.Connect(ctx, chat.Options{
		Client: client, DataSourceID: contacts, AppID: 1, PrimaryKey: "Email", Storage: store,
		LivePollInterval: 100 * time.Millisecond, PollInterval: 200 * time.Millisecond,
	})
	check(err)
	_, err = c.Login(ctx, chat.M{"Email": "bob@example.org"})
	check(err)
	out, err := os.OpenFile(filepath.Join(dir, "handled"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	check(err)
	check(c.Consume(ctx, "archive", func(_ context.Context, m *chat.Message) error {
		writes, bytes := store.read()
		if _, err := fmt.Fprintln(out, m.ConversationID, m.ID, os.Getpid(), writes, bytes); err != nil {
			return err
		}
		fmt.Println(m.ID)
		return nil
	}, chat.StartAt(chat.FromBeginning), chat.Parallel(killedParallel)))
}

// killedParallel is how many conversations the consumer handles at the same time.
const killedParallel = 8

// TestConsumerSurvivesKills kills a consumer of many conversations at random moments.
// It is short every day; CHAT_KILLS and CHAT_KILL_MESSAGES make it as long as one likes.
func TestConsumerSurvivesKills(t *testing.T) {
	t.Parallel()
	number := func(name string, def int) int {
		if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
			return n
		}
		return def
	}
	kills, messages := number("CHAT_KILLS", longtest.Size(2, 20)), number("CHAT_KILL_MESSAGES", longtest.Size(150, 2000))
	w := newWorld(t)
	jane := w.login("jane")
	const conversations = 50
	var convs []int64
	for i := range conversations {
		convs = append(convs, w.addTalk(fmt.Sprint("talk ", i)))
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	want, all := map[int64][]int64{}, 0
	add := func(n int) {
		for n > 0 {
			at := convs[rnd.IntN(conversations)]
			some := min(n, 1+rnd.IntN(8))
			want[at] = append(want[at], w.AddRows(at, textRows(jane, some)...)...)
			n, all = n-some, all+some
			w.ShiftClock(20 * time.Millisecond)
		}
	}
	dir := t.TempDir()
	// start runs the consumer, and returns what it says it has handled.
	start := func() (*exec.Cmd, *bufio.Scanner) {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), killedConsumerEnv+"="+dir, "URL="+w.URL, "TOKEN="+w.Token, fmt.Sprintf("CONTACTS=%d", w.contacts))
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		return cmd, bufio.NewScanner(out)
	}
	seen := map[int64]struct{}{}
	read := func(said *bufio.Scanner, n int) {
		for ; n > 0 && said.Scan(); n-- {
			id, err := strconv.ParseInt(said.Text(), 10, 64)
			require.NoError(t, err)
			if seen[id] = struct{}{}; len(seen) == all {
				return
			}
		}
	}
	kill := func(cmd *exec.Cmd, said *bufio.Scanner) {
		require.NoError(t, cmd.Process.Kill())
		read(said, math.MaxInt) // what it has said before
		_ = cmd.Wait()
	}
	for range kills {
		add(messages / (kills + 1))
		cmd, said := start()
		if n := rnd.IntN(2*messages/(kills+1) + 1); len(seen) < all {
			read(said, n)
		}
		kill(cmd, said)
	}
	add(messages - all)
	cmd, said := start()
	if len(seen) < all {
		read(said, math.MaxInt)
	}
	kill(cmd, said)

	f, err := os.Open(filepath.Join(dir, "handled"))
	require.NoError(t, err)
	defer f.Close()
	next, repeats, writes, bytes := map[int64]int{}, 0, 0, 0
	costs := map[int][2]int{}
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		var at, id int64
		var pid int
		var cost [2]int
		_, err := fmt.Sscan(lines.Text(), &at, &id, &pid, &cost[0], &cost[1])
		require.NoError(t, err, "line %d", n)
		costs[pid] = [2]int{max(cost[0], costs[pid][0]), max(cost[1], costs[pid][1])}
		ids, i := want[at], next[at]
		if i < len(ids) && ids[i] == id {
			next[at]++
			continue
		}
		require.True(t, i > 0 && ids[i-1] == id, "line %d: message %d of conversation %d, after %v", n, id, at, ids[:i])
		repeats++
	}
	for at, ids := range want {
		assert.Equal(t, len(ids), next[at], "messages of conversation %d that were handled", at)
	}
	for _, c := range costs {
		writes, bytes = writes+c[0], bytes+c[1]
	}
	// Those that were running, and those whose acknowledgement was being stored.
	assert.LessOrEqual(t, repeats, 2*killedParallel*kills, "only what was in flight comes again")
	assert.LessOrEqual(t, bytes, 200*all+8_000*(kills+1))
	t.Logf("%d messages of %d conversations, %d kills: all handled, each conversation in order, %d in flight again; %.2f writes and %.0f bytes of position a message",
		all, conversations, kills, repeats, float64(writes)/float64(all), float64(bytes)/float64(all))
}
