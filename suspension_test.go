package chat_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// sleeper is a process that can be suspended. What it does to Storage, to the network and
// in its functions goes on when it is resumed, and has its effect then, whatever context
// has ended meanwhile.
type sleeper struct {
	disk    storage.Store
	network http.RoundTripper

	mu    sync.Mutex
	awake chan struct{} // closed while it is not suspended
	rand  *rand.Rand
	naps  int // how often it was suspended
	// careful: a request that has not left is not sent when its context has ended.
	careful bool
}

func newSleeper(disk storage.Store, network http.RoundTripper, seed uint64) *sleeper {
	p := &sleeper{disk: disk, network: network, awake: make(chan struct{}), rand: rand.New(rand.NewPCG(seed, 2))}
	close(p.awake)
	return p
}

// step lets a little time go by, and the time that the process is suspended.
func (p *sleeper) step() {
	p.mu.Lock()
	d := time.Duration(p.rand.IntN(5000)) * time.Microsecond
	p.mu.Unlock()
	time.Sleep(d)
	p.mu.Lock()
	awake := p.awake
	p.mu.Unlock()
	<-awake
}

// nap suspends the process for a while.
func (p *sleeper) nap(d time.Duration) {
	p.mu.Lock()
	p.awake = make(chan struct{})
	p.naps++
	p.mu.Unlock()
	time.Sleep(d)
	p.mu.Lock()
	close(p.awake)
	p.mu.Unlock()
}

func (p *sleeper) Get(ctx context.Context, key string) ([]byte, error) {
	p.step()
	defer p.step()
	return p.disk.Get(context.WithoutCancel(ctx), key)
}

func (p *sleeper) Set(ctx context.Context, key string, value []byte) error {
	p.step()
	defer p.step()
	return p.disk.Set(context.WithoutCancel(ctx), key, value)
}

func (p *sleeper) Delete(ctx context.Context, key string) error {
	p.step()
	defer p.step()
	return p.disk.Delete(context.WithoutCancel(ctx), key)
}

func (p *sleeper) CompareAndSwap(ctx context.Context, key string, old, new []byte) (bool, error) {
	p.step()
	defer p.step()
	return p.disk.CompareAndSwap(context.WithoutCancel(ctx), key, old, new)
}

// RoundTrip sends a request. One that the process has begun when it is suspended arrives
// when it is resumed, unless the process is careful.
func (p *sleeper) RoundTrip(r *http.Request) (*http.Response, error) {
	p.step()
	defer p.step()
	if err := r.Context().Err(); p.careful && err != nil {
		return nil, err
	}
	return p.network.RoundTrip(r.WithContext(context.WithoutCancel(r.Context())))
}

// boot returns a Chat of a user who has logged in in this process.
func (p *sleeper) boot(w *world, name string, change ...func(*chat.Options)) *chat.Chat {
	client, err := datasource.NewClient(datasource.Config{
		Token: w.Token, BaseURL: w.URL, HTTPClient: &http.Client{Transport: p}, Limiter: datasource.Unlimited(),
	})
	require.NoError(w.t, err)
	return w.login(name, append([]func(*chat.Options){storing(p), unhurried, func(o *chat.Options) { o.Client = client }}, change...)...)
}

// handlings are the calls of a consumer's function that have returned, in several
// processes.
type handlings struct {
	mu    sync.Mutex
	naps  int // suspensions so far
	count map[string]int
	first map[int64][]string // by conversation, in the order of their first time
	twice map[int]int        // how many were handled again, by the suspensions before
}

func (h *handlings) add(m *chat.Message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.count[m.Body]++; h.count[m.Body] == 1 {
		h.first[m.ConversationID] = append(h.first[m.ConversationID], m.Body)
		return
	}
	h.twice[h.naps]++
}

// For each suspension one message may be handled twice: the one that the process was
// about to acknowledge. Everything else is handled once and in order, whatever the
// process writes after it was resumed.
func TestAConsumerThatIsSuspendedAgainAndAgainHandlesOneMessageTwiceAtMost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const suspensions, talks = 200, 3
		w := newWorld(t, fliplettest.InProcess())
		jane := w.login("jane", unhurried)
		disk := storage.NewMemory()
		var convs []int64
		for i := range talks {
			convs = append(convs, w.addTalk(fmt.Sprint("talk ", i)))
		}
		h := &handlings{count: map[string]int{}, first: map[int64][]string{}, twice: map[int]int{}}
		var processes []*sleeper
		var stops []func() error
		for i := range 2 {
			p := newSleeper(disk, w.Transport(), uint64(i))
			bob := p.boot(w, "bob")
			processes = append(processes, p)
			stops = append(stops, consume(bob, "archive", func(_ context.Context, m *chat.Message) error {
				p.step()
				time.Sleep(20 * time.Millisecond)
				p.step()
				h.add(m)
				return nil
			}))
		}
		random := rand.New(rand.NewPCG(12, 12))
		want := map[int64][]string{}
		for n := range suspensions {
			for i := range 40 {
				conv := convs[random.IntN(talks)]
				body := fmt.Sprintf("%d/%d", n, i)
				row := textRows(jane, 1)[0]
				row["body"] = body
				w.AddRows(conv, row)
				want[conv] = append(want[conv], body)
			}
			time.Sleep(time.Duration(random.IntN(10_000)) * time.Millisecond)
			h.mu.Lock()
			h.naps++
			h.mu.Unlock()
			processes[n%2].nap(time.Duration(15+random.IntN(30)) * time.Second)
		}
		time.Sleep(5 * time.Minute)
		for _, stop := range stops {
			require.ErrorIs(t, stop(), context.Canceled)
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		total := 0
		for naps, n := range h.twice {
			total += n
			assert.LessOrEqual(t, n, 1, "after %d suspensions", naps)
		}
		assert.Equal(t, want, h.first)
		t.Logf("%d messages, %d of them twice, %d suspensions", len(h.count), total, suspensions)
	})
}
