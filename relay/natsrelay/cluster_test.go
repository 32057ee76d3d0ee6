package natsrelay_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// lease is how long a lease of a consumer lasts that is not renewed.
const lease = 20 * time.Second

// process is a child of the test.
type process struct {
	cmd  *exec.Cmd
	env  []string
	log  string
	said chan struct{} // closed when it has ended and all it said was read

	ready atomic.Bool // a replica has logged in
	told  chan struct{}
}

func (p *process) start(t *testing.T) {
	p.cmd = exec.Command(os.Args[0])
	p.cmd.Env = append(os.Environ(), p.env...)
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(t, err)
	defer log.Close()
	p.cmd.Stderr = log
	out, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
	p.said = make(chan struct{})
	go func(said chan struct{}) {
		defer close(said)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if lines.Text() == ready {
				p.ready.Store(true)
				continue
			}
			select {
			case p.told <- struct{}{}:
			default:
			}
		}
	}(p.said)
}

func (p *process) signal(t *testing.T, s syscall.Signal) { require.NoError(t, p.cmd.Process.Signal(s)) }

func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.said
	_ = p.cmd.Wait()
}

// cluster is three nodes, three replicas, and a Fliplet that gets messages.
type cluster struct {
	t        *testing.T
	nodes    []*process
	replicas []*process
	js       jetstream.JetStream
	fliplet  *fliplettest.Server
	alone    *fliplettest.Server // has one replica, for comparison

	mu       sync.Mutex
	sent     []int64
	takeover []time.Duration
}

// ports are some that nobody listens at. They are below those of connections, one of which would take
// one before its node does.
func ports(n int) (all []string) {
	for len(all) < n {
		port := fmt.Sprint(20_000 + rand.IntN(10_000))
		if l, err := net.Listen("tcp", "127.0.0.1:"+port); err == nil {
			defer l.Close()
			all = append(all, port)
		}
	}
	return all
}

func newCluster(t *testing.T, extra ...string) *cluster {
	x := &cluster{t: t}
	dir := t.TempDir()
	all := ports(6)
	client, route := all[:3], all[3:]
	urls := "nats://127.0.0.1:" + strings.Join(client, ",nats://127.0.0.1:")
	begin := func(name string, env ...string) *process {
		p := &process{env: env, log: filepath.Join(dir, name+".log"), told: make(chan struct{}, 1)}
		p.start(t)
		t.Cleanup(func() {
			p.signal(t, syscall.SIGCONT)
			p.kill()
			if t.Failed() {
				log, _ := os.ReadFile(p.log)
				t.Logf("%s: %s", name, log[max(0, len(log)-2000):])
			}
		})
		return p
	}
	for i := range 3 {
		name := fmt.Sprint("node", i)
		x.nodes = append(x.nodes, begin(name, role+"=server", "NAME="+name, "DIR="+filepath.Join(dir, name), "PORT="+client[i], "ROUTE="+route[i], "ROUTES="+strings.Join(route, ",")))
	}
	nc, err := nats.Connect(urls, nats.MaxReconnects(-1), nats.RetryOnFailedConnect(true), nats.ReconnectWait(50*time.Millisecond))
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	x.js, err = jetstream.New(nc)
	require.NoError(t, err)
	require.EventuallyWithT(t, func(t *assert.CollectT) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_, err := x.js.AccountInfo(ctx)
		assert.NoError(t, err)
	}, time.Minute, 100*time.Millisecond)

	var contacts int64
	x.fliplet, contacts = x.world()
	x.alone, _ = x.world()
	for i := range 3 {
		x.replicas = append(x.replicas, begin(fmt.Sprint("replica", i), append([]string{
			role + "=replica", "NATS=" + urls, "URL=" + x.fliplet.URL, "TOKEN=" + x.fliplet.Token, fmt.Sprint("CONTACTS=", contacts),
		}, extra...)...))
	}
	o := options(x.alone.Client(), contacts)
	o.Storage = storage.NewMemory()
	c, err := chat.Connect(t.Context(), o)
	require.NoError(t, err)
	_, err = c.Login(t.Context(), chat.M{"flUserId": "bot"})
	require.NoError(t, err)
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	wg.Go(func() {
		_ = c.Consume(ctx, "relay", func(context.Context, *chat.Message) error { return nil }, chat.StartAt(chat.FromBeginning), chat.WithoutReadMarks())
	})
	t.Cleanup(func() { cancel(); wg.Wait(); _ = c.Close() })
	return x
}

const conversations = 4

// world is a Fliplet with the same ids each time.
func (x *cluster) world() (*fliplettest.Server, int64) {
	s := fliplettest.New(x.t, fliplettest.WithAppID(1))
	contacts, _ := s.AddContacts(datasource.M{"Name": "Bot", "flUserId": "bot"}, datasource.M{"Name": "Jane", "flUserId": "jane"})
	for i := range conversations {
		s.AddDataSource(datasource.M{"name": fmt.Sprint("talk ", i), "type": "conversation", "definition": datasource.M{"participants": []string{"bot", "jane"}}})
	}
	return s, contacts
}

// send adds messages, a few each second, until the end of ctx.
func (x *cluster) send(ctx context.Context) {
	var at []int64
	for _, s := range x.fliplet.Sources() {
		if s.Type == "conversation" {
			at = append(at, s.ID)
		}
	}
	tick := time.NewTicker(250 * time.Millisecond) // less than half of what a replica can do, since half of the time none works
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		to, row := at[rand.IntN(len(at))], datasource.M{"fromUserId": "jane", "body": fmt.Sprint("message ", n), "guid": fmt.Sprintf("00000000-0000-4000-8000-%012d", n)}
		ids := x.fliplet.AddRows(to, row)
		x.alone.AddRows(to, row)
		x.mu.Lock()
		x.sent = append(x.sent, ids...)
		x.mu.Unlock()
	}
}

// owner waits until a replica begins with a message, and returns it.
func (x *cluster) owner(but *process) *process {
	x.t.Helper()
	for _, p := range x.replicas {
		select {
		case <-p.told: // what was before
		default:
		}
	}
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); {
		for _, p := range x.replicas {
			select {
			case <-p.told:
				if p != but {
					return p
				}
			default:
			}
		}
		time.Sleep(time.Millisecond)
	}
	x.t.Fatal("no replica works")
	return nil
}

// replace makes another one the owner, and notes how long that took.
func (x *cluster) replace(end func(*process)) *process {
	p := x.owner(nil) // it has begun with a message, which is not in the stream yet
	end(p)
	began := time.Now()
	x.owner(p)
	x.takeover = append(x.takeover, time.Since(began))
	return p
}

// steady waits while the replica for comparison polls some times, so that whoever was suspended
// has done what it was about to do.
func (x *cluster) steady() {
	polls := len(x.alone.Requests()) + 10
	require.Eventually(x.t, func() bool { return len(x.alone.Requests()) >= polls }, time.Minute, 20*time.Millisecond)
}

func (x *cluster) restart(p *process) {
	p.kill()
	p.start(x.t)
}

// settle waits until the stream has what was sent, and reports what it has too few or too many.
func (x *cluster) settle() (lost, twice int) {
	x.mu.Lock()
	sent := len(x.sent)
	x.mu.Unlock()
	var ids []string
	ctx := context.Background()
	// What has piled up during the faults takes its time: as long as it gets less.
	for most, end := uint64(0), time.Now().Add(2*time.Minute); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		stream, err := x.js.Stream(ctx, "CHAT")
		if err != nil {
			continue
		}
		n := stream.CachedInfo().State.Msgs
		if n > most {
			most, end = n, time.Now().Add(2*time.Minute)
		}
		if n < uint64(sent)+1 {
			continue
		}
		// A cluster that has just lost a node does not answer everything.
		if some, err := read(ctx, x.js); err == nil {
			if ids = some; len(ids) >= sent {
				break
			}
		}
	}
	if ids == nil {
		var err error
		ids, err = read(ctx, x.js)
		assert.NoError(x.t, err, "what is there at last")
	}
	have := map[string]int{}
	for _, id := range ids {
		have[id]++
	}
	for _, id := range x.sent {
		n := have[fmt.Sprint(id)]
		if n == 0 {
			lost++
		}
		twice += max(0, n-1)
	}
	return lost, twice
}

// Three replicas and three nodes. The replica that works is suspended in the middle of a message,
// for longer than its lease, and goes on when another one has taken over; a node is killed meanwhile.
// NATSRELAY_SOAK, a duration such as 10m, makes it that long, with kills of replicas in between;
// NATSRELAY_UNSAFE leaves out the expected sequence, and then it fails.
func TestReplicasLoseAndRepeatNothingInTheStream(t *testing.T) {
	var extra []string
	if os.Getenv("NATSRELAY_UNSAFE") != "" {
		extra = append(extra, "UNSAFE=1")
	}
	soak, _ := time.ParseDuration(os.Getenv("NATSRELAY_SOAK"))
	x := newCluster(t, extra...)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { x.send(ctx) })
	t.Cleanup(wg.Wait)
	t.Cleanup(cancel)
	x.owner(nil)
	require.Eventually(t, func() bool {
		return !slices.ContainsFunc(x.replicas, func(p *process) bool { return !p.ready.Load() })
	}, 2*time.Minute, 20*time.Millisecond, "logins, whose requests are not counted")
	before, beforeAlone := len(x.fliplet.Requests()), len(x.alone.Requests())
	began, stops, kills, nodes := time.Now(), 0, 0, 0
	x.steady()
	calm, calmAlone := len(x.fliplet.Requests())-before, len(x.alone.Requests())-beforeAlone
	for round := 0; round == 0 || time.Since(began) < soak; round++ {
		node := x.nodes[rand.IntN(len(x.nodes))]
		nodes++
		if round%2 == 0 {
			stops++
			zombie := x.replace(func(p *process) {
				p.signal(t, syscall.SIGSTOP)
				x.restart(node)
			})
			zombie.signal(t, syscall.SIGCONT)
		} else {
			kills++
			dead := x.replace(func(p *process) {
				p.kill()
				x.restart(node)
			})
			dead.start(t)
		}
		x.steady()
	}
	took := time.Since(began)
	requests, alone := len(x.fliplet.Requests())-before, len(x.alone.Requests())-beforeAlone
	cancel()
	wg.Wait()
	lost, twice := x.settle()
	t.Logf("%d messages in %v: %d lost, %d twice; %d suspended, %d killed, %d nodes restarted; take-over at most %v; requests %d, of one replica %d; before the first fault %d and %d",
		len(x.sent), took.Round(time.Second), lost, twice, stops, kills, nodes, longest(x.takeover), requests, alone, calm, calmAlone)
	assert.Zero(t, lost, "lost")
	assert.Zero(t, twice, "twice")
	if soak > 0 { // which wants a machine of its own
		assert.Less(t, longest(x.takeover), 2*lease)
	}
	// When polls happen is not the same.
	assert.LessOrEqual(t, float64(calm), 1.2*float64(calmAlone)+10, "requests to the API of three replicas")
	// A login of each process that was started again comes besides.
	assert.LessOrEqual(t, float64(requests), 1.2*float64(alone)+10, "requests to the API")
}

func longest(all []time.Duration) (most time.Duration) {
	for _, d := range all {
		most = max(most, d)
	}
	return most.Round(10 * time.Millisecond)
}
