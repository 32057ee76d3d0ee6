package chathttp_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
)

// page is what a page makes of its stream: it connects again with the id that it has.
type page struct {
	w    *world
	who  string
	acks bool
	// query replaces what it gives when it connects again, and forgets the id: a page that
	// does not say where it is.
	query string

	mu     sync.Mutex
	id     string
	got    []*chat.Message
	events map[string]int
	once   sync.Once
	dead   chan struct{} // closed when it is to stop
}

func (w *world) page(who string, change ...func(*page)) *page {
	p := &page{w: w, who: who, events: map[string]int{}, dead: make(chan struct{})}
	for _, c := range change {
		c(p)
	}
	w.t.Cleanup(p.stop)
	return p
}

func acks(p *page) { p.acks = true }

// run connects until the page stops.
func (p *page) run() {
	for {
		p.connect()
		select {
		case <-p.dead:
			return
		case <-time.After(time.Second):
		}
	}
}

// connect reads one connection until it ends.
func (p *page) connect() {
	query := "from=newest"
	if p.acks {
		query += "&ack=1"
	}
	p.mu.Lock()
	after := p.id
	if p.query != "" && after != "" {
		query, after = p.query, ""
	}
	p.mu.Unlock()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		select {
		case <-p.dead:
		case <-stop:
		}
		cancel()
	}()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://chat.example.org/chat/stream?"+query, nil)
	require.NoError(p.w.t, err)
	r.Header.Set(asking, p.who)
	r.Header.Set("Last-Event-ID", after)
	res, err := p.w.client.Do(r)
	if err != nil {
		return // the connection was cut
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		p.mu.Lock()
		p.events["refused"]++
		p.mu.Unlock()
		return
	}
	s := newStream(p.w.t, res)
	if p.acks {
		go func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(3 * time.Second):
					p.acknowledge()
				}
			}
		}()
	}
	for {
		e, ok := s.next()
		if !ok {
			return
		}
		p.take(e)
	}
}

func (p *page) take(e event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.events[e.kind]++
	if e.kind == "" {
		p.got = append(p.got, e.message(p.w.t))
	}
	if e.id != "" {
		p.id = e.id
	}
}

// acknowledge says what the page has; it may be lost.
func (p *page) acknowledge() {
	p.mu.Lock()
	body := fmt.Sprintf(`{"id":%q}`, p.id)
	p.mu.Unlock()
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "http://chat.example.org/chat/stream/ack", strings.NewReader(body))
	require.NoError(p.w.t, err)
	r.Header.Set(asking, p.who)
	r.Header.Set("Content-Type", "application/json")
	if res, err := p.w.client.Do(r); err == nil {
		_ = res.Body.Close()
	}
}

func (p *page) stop() { p.once.Do(func() { close(p.dead) }) }

func (p *page) messages() []*chat.Message {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]*chat.Message(nil), p.got...)
}

func (p *page) count(kind string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.events[kind]
}

// tally compares what a page got with what was sent: how many are missing, how many came
// twice as new, and how many before an earlier one.
func tally(got []*chat.Message, sent []string) (lost, twice, disordered int) {
	at := map[string]int{}
	for i, body := range sent {
		at[body] = i
	}
	seen := map[int64]bool{}
	last, news := -1, 0
	for _, m := range got {
		if m.IsUpdate || m.IsDeleted {
			continue
		}
		i, ok := at[m.Body]
		if seen[m.ID] || !ok {
			twice++
			continue
		}
		seen[m.ID] = true
		news++
		if i < last {
			disordered++
		}
		last = i
	}
	return len(sent) - news, twice, disordered
}
