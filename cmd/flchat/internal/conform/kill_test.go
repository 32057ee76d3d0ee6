package conform

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

// childVariable makes a run of the test's program: it has the options as JSON.
const childVariable = "FLCHAT_CONFORM_CHILD"

func TestMain(m *testing.M) {
	if text := os.Getenv(childVariable); text != "" {
		var o Options
		if err := json.Unmarshal([]byte(text), &o); err != nil {
			panic(err)
		}
		o.Calls, o.Logs, o.Patience, o.Quiet = datasource.Unlimited(), datasource.Unlimited(), 5*time.Second, 20*time.Millisecond
		if _, err := Run(context.Background(), o); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// anyTime is a kill by the clock, and not by a request.
const anyTime = 3

// killer is a service that kills who asks at the n-th request: before it is served, after that
// and before the answer, or while it is still on its way.
type killer struct {
	next http.Handler

	mu    sync.Mutex
	n, at int
	how   int
	kill  func()
	busy  int // requests that are being served
}

func (k *killer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	k.mu.Lock()
	k.n++
	k.busy++
	now := k.n == k.at
	kill, how := k.kill, k.how
	k.mu.Unlock()
	defer func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.busy--
	}()
	if !now {
		k.next.ServeHTTP(w, r)
		return
	}
	switch how {
	case 0:
		kill()
	case 1:
		k.next.ServeHTTP(httptest.NewRecorder(), r)
		kill()
	case 2:
		kill()
		k.next.ServeHTTP(httptest.NewRecorder(), r.WithContext(context.WithoutCancel(r.Context())))
	}
}

// idle reports whether all requests were served.
func (k *killer) idle() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.busy == 0
}

func (k *killer) killAt(at, how int, kill func()) (was int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	was, k.n, k.at, k.how, k.kill = k.n, 0, at, how, kill
	return was
}

// FLCHAT_KILLS says how many runs are killed.
func TestASweepLeavesNothingOfRunsThatWereKilled(t *testing.T) {
	kills := 4
	if n, err := strconv.Atoi(os.Getenv("FLCHAT_KILLS")); err == nil {
		kills = n
	}
	server := fliplettest.New(t)
	talk := server.AddDataSource(datasource.M{"name": "Talk", "type": "conversation"})
	server.AddRows(talk, datasource.M{"body": "hello"})
	before := []any{server.Sources(), server.Rows(talk)}
	k := &killer{next: server.Handler()}
	front := httptest.NewServer(k)
	defer front.Close()
	a := &account{Server: server, user: server.AddUser("conform@flchat.invalid", "Flchat", "Conform", "a password")}
	a.opts = Options{URL: front.URL, Token: a.user, APIToken: server.Token, App: server.AppID, Dir: t.TempDir()}
	text, err := json.Marshal(a.opts)
	require.NoError(t, err)

	child := func() *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), childVariable+"="+string(text))
		cmd.Stderr = os.Stderr
		return cmd
	}
	began := time.Now()
	require.NoError(t, child().Run(), "a run that nobody kills")
	long := time.Since(began)
	all := k.killAt(0, 0, nil)
	random := rand.New(rand.NewPCG(1, uint64(kills))) //nolint:gosec // the same moments every time
	killed := 0
	for i := 0; killed < kills; i++ { // by the clock a run may have ended before
		cmd := child()
		at, how := 1+random.IntN(all), i%4
		if how == anyTime {
			at = 0
		}
		started := make(chan struct{})
		k.killAt(at, how, func() {
			<-started
			_ = cmd.Process.Kill()
		})
		require.NoError(t, cmd.Start())
		close(started)
		if how == anyTime {
			timer := time.AfterFunc(time.Duration(random.Int64N(int64(long))), func() { _ = cmd.Process.Kill() })
			defer timer.Stop()
		}
		err := cmd.Wait()
		asked := k.killAt(0, 0, nil)
		require.True(t, err != nil || how == anyTime || asked < at, "a run was not killed") // not all runs ask as often
		if err != nil {
			killed++
		}

		require.Eventually(t, k.idle, time.Minute, time.Millisecond, "what was on its way")
		sweep := a.opts
		sweep.Calls, sweep.Settle = datasource.Unlimited(), 500*time.Millisecond
		_, err = Sweep(t.Context(), sweep)
		require.NoError(t, err)
		left, err := os.ReadDir(a.opts.Dir)
		require.NoError(t, err)
		assert.Empty(t, left)
		a.isClean(t)
		require.Equal(t, before, []any{server.Sources(), server.Rows(talk)})
		require.False(t, t.Failed(), "kill %d at request %d of %d, way %d", i, at, all, how)
	}
	t.Log(killed, "runs were killed, each somewhere in", all, "requests")
}
