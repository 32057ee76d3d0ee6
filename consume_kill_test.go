package chat_test

import (
	"bufio"
	"context"
	"fmt"
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

// runKilledConsumer consumes with its position in a file.
func runKilledConsumer() {
	dir := os.Getenv(killedConsumerEnv)
	check := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	store, err := boltstore.Open(filepath.Join(dir, "chat.db"))
	check(err)
	client, err := datasource.NewClient(datasource.Config{Token: os.Getenv("TOKEN"), BaseURL: os.Getenv("URL"), Limiter: datasource.Unlimited()})
	check(err)
	contacts, err := strconv.ParseInt(os.Getenv("CONTACTS"), 10, 64)
	check(err)
	ctx := context.Background()
	c, err := chat.Connect(ctx, chat.Options{
		Client: client, DataSourceID: contacts, AppID: 1, PrimaryKey: "Email", Storage: store,
	})
	check(err)
	_, err = c.Login(ctx, chat.M{"Email": "bob@example.org"})
	check(err)
	out, err := os.OpenFile(filepath.Join(dir, "handled"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	check(err)
	check(c.Consume(ctx, "archive", func(_ context.Context, m *chat.Message) error {
		if _, err := fmt.Fprintln(out, m.ID); err != nil {
			return err
		}
		fmt.Println(m.ID)
		return nil
	}, chat.StartAt(chat.FromBeginning)))
}

// TestConsumerSurvivesKills kills a consumer at random moments. It is short every
// day; CHAT_KILLS and CHAT_KILL_MESSAGES make it as long as one likes.
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
	conv := w.converse(jane, "bob")
	var want []int64
	add := func(n int) {
		for ; n > 0; n -= 100 {
			want = append(want, w.AddRows(conv.ID, textRows(jane, min(n, 100))...)...)
			w.ShiftClock(time.Second)
		}
	}
	dir := t.TempDir()
	// start runs the consumer and returns what it says it has handled.
	start := func() (*exec.Cmd, *bufio.Scanner) {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), killedConsumerEnv+"="+dir, "URL="+w.URL, "TOKEN="+w.Token, fmt.Sprintf("CONTACTS=%d", w.contacts))
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		return cmd, bufio.NewScanner(out)
	}
	kill := func(cmd *exec.Cmd) {
		require.NoError(t, cmd.Process.Kill())
		_ = cmd.Wait()
	}
	handled := func() (ids []int64) {
		f, err := os.Open(filepath.Join(dir, "handled"))
		if err != nil {
			return nil
		}
		defer f.Close()
		for s := bufio.NewScanner(f); s.Scan(); {
			id, err := strconv.ParseInt(s.Text(), 10, 64)
			require.NoError(t, err)
			ids = append(ids, id)
		}
		return ids
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	for range kills {
		add(messages / (kills + 1))
		cmd, said := start()
		for n := rnd.IntN(max(1, messages/(kills+1))); n > 0 && said.Scan(); n-- {
			if said.Text() == fmt.Sprint(want[len(want)-1]) {
				break
			}
		}
		kill(cmd)
	}
	add(messages - len(want))
	cmd, said := start()
	for said.Scan() && said.Text() != fmt.Sprint(want[len(want)-1]) {
	}
	kill(cmd)

	repeats, next := 0, 0
	for i, id := range handled() {
		if next < len(want) && id == want[next] {
			next++
			continue
		}
		require.True(t, next > 0 && id == want[next-1], "line %d: message %d, want %d", i, id, want[min(next, len(want)-1)])
		repeats++
	}
	assert.Equal(t, len(want), next, "messages handled")
	assert.LessOrEqual(t, repeats, kills, "only the message in flight comes again")
	t.Logf("%d messages, %d kills: all handled, in order, %d in flight again", len(want), kills, repeats)
}
