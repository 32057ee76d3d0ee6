package storm

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"
)

// Event is what happened to one request.
type Event struct {
	At           time.Time
	N            uint64 // the request's number, from 1 on
	Method, Path string // without the query, which has a token
	GUID         string // of the message that it inserts or looks up, "" otherwise
	Fault        string // "" for none
	Forwarded    int    // how often the server got it
}

func (e Event) String() string {
	return fmt.Sprintf("%s request %d %s %s %s forwarded %d times: %s", e.At.Format("15:04:05.000"), e.N, e.Method, e.Path, e.GUID, e.Forwarded, e.Fault)
}

// Proxy is the network of one client. It is safe for concurrent use.
type Proxy struct {
	backend string
	kinds   []kind
	seed    uint64
	share   float64

	wire sync.RWMutex // read while a request is forwarded, held by a cut

	mu       sync.Mutex
	addr     string
	listener net.Listener // nil while the door is shut
	conns    map[*conn]struct{}
	calm     bool
	closed   bool
	quit     chan struct{}
	n        uint64 // requests
	stormy   int    // those before the calm
	events   []Event
	counts   map[string]int
	doubled  map[string]int
	inserts  []answer // of the service, to be given again to others

	elsewhere *elsewhere
	work      sync.WaitGroup
}

// New starts a proxy to the server at an address. share is how many of the requests
// something happens to, from 0 to 1.
func New(backend string, seed uint64, share float64) (*Proxy, error) {
	other, err := newElsewhere()
	if err != nil {
		return nil, err
	}
	p := &Proxy{
		backend: backend, kinds: kinds, seed: seed, share: share, conns: map[*conn]struct{}{}, quit: make(chan struct{}),
		counts: map[string]int{}, doubled: map[string]int{}, elsewhere: other,
	}
	if err := p.open("127.0.0.1:0"); err != nil {
		other.close()
		return nil, err
	}
	return p, nil
}

// Dial connects to the proxy, wherever it listens now, instead of the server, and to all
// others as it is.
func (p *Proxy) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if addr == p.backend {
		p.mu.Lock()
		addr = p.addr
		p.mu.Unlock()
	}
	return dialer.DialContext(ctx, network, addr)
}

// dialer gives up as a client does.
var dialer = net.Dialer{Timeout: 10 * time.Second}

// open begins to listen.
func (p *Proxy) open(addr string) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("storm: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return l.Close()
	}
	p.listener, p.addr = l, l.Addr().String()
	p.work.Go(func() { p.accept(l) })
	return nil
}

func (p *Proxy) accept(l net.Listener) {
	for {
		nc, err := l.Accept()
		if err != nil {
			return
		}
		c := &conn{p: p, nc: nc.(*net.TCPConn), r: bufio.NewReader(nc)}
		p.mu.Lock()
		if p.closed {
			nc.Close()
		} else {
			p.conns[c] = struct{}{}
			p.work.Go(c.serve)
		}
		p.mu.Unlock()
	}
}

// shut refuses connections for a while.
func (p *Proxy) shut(d time.Duration) {
	p.mu.Lock()
	l := p.listener
	p.listener = nil
	addr := p.addr
	if l != nil && !p.closed {
		p.work.Go(func() {
			p.rest(d)
			if p.open(addr) != nil { // somebody has taken the port
				_ = p.open("127.0.0.1:0")
			}
		})
	}
	p.mu.Unlock()
	if l != nil {
		l.Close()
	}
}

// rest waits, until the proxy is closed at most.
func (p *Proxy) rest(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-p.quit:
	}
}

// Cut ends all connections, as if the client's machine had died. When it returns, nothing
// that came on them reaches the server any more.
func (p *Proxy) Cut() {
	p.wire.Lock()
	defer p.wire.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		c.cut = true
		c.reset()
	}
}

// Calm ends the storm: nothing happens to later requests, and what hangs is over.
func (p *Proxy) Calm() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calm = true
	for c := range p.conns {
		if c.held {
			_ = c.nc.SetReadDeadline(time.Unix(1, 0))
		}
	}
}

// Close ends everything and waits for it.
func (p *Proxy) Close() {
	p.mu.Lock()
	if !p.closed {
		p.closed = true
		close(p.quit)
	}
	if p.listener != nil {
		p.listener.Close()
	}
	for c := range p.conns {
		c.reset()
	}
	p.mu.Unlock()
	p.elsewhere.close()
	p.work.Wait()
}

// Events are the requests that something happened to, in order of time.
func (p *Proxy) Events() []Event {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]Event(nil), p.events...)
}

// Counts says how often each kind of fault happened, and how many requests came before the
// calm.
func (p *Proxy) Counts() (faults map[string]int, requests int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.counts), p.stormy
}

// Doubled says how many further times the network itself has delivered the insert of
// each message, by its guid.
func (p *Proxy) Doubled() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.doubled)
}

// Leaks counts the requests that followed a redirect to another host with a token or a
// body.
func (p *Proxy) Leaks() int { return p.elsewhere.count() }

// conn is one connection of the client's.
type conn struct {
	p    *Proxy
	nc   *net.TCPConn
	r    *bufio.Reader
	cut  bool // guarded by p.mu and p.wire
	held bool // guarded by p.mu

	back net.Conn // to the server, nil without one
	from *bufio.Reader
}

func (c *conn) serve() {
	defer func() {
		c.p.mu.Lock()
		delete(c.p.conns, c)
		c.p.mu.Unlock()
		c.nc.Close()
		if c.back != nil {
			c.back.Close()
		}
	}()
	for {
		q, err := readRequest(c.r)
		if err != nil {
			return
		}
		if !c.exchange(q) {
			return
		}
	}
}

// exchange serves one request. It reports whether the connection can go on.
func (c *conn) exchange(q *request) bool {
	p := c.p
	p.mu.Lock()
	p.n++
	n, calm := p.n, p.calm
	if !calm {
		p.stormy++
	}
	p.mu.Unlock()
	x := &exchange{c: c, q: q, rand: rand.New(rand.NewPCG(p.seed, n)), n: n}
	k := kind{do: pass}
	if x.rand.Float64() < p.share && !calm {
		k = x.draw()
	}
	began := time.Now()
	keep := k.do(x)
	if k.Name != "" {
		p.mu.Lock()
		p.counts[k.Name]++
		p.events = append(p.events, Event{At: began, N: n, Method: q.method, Path: q.route(), GUID: q.guid(), Fault: k.Name + x.note, Forwarded: x.sent})
		p.mu.Unlock()
	}
	return keep
}

// hold waits with the connection open. It reports whether the client is still there.
func (c *conn) hold(d time.Duration) bool {
	until := time.Now().Add(d)
	c.p.mu.Lock()
	if c.p.calm {
		until = time.Now()
	}
	c.held = true
	_ = c.nc.SetReadDeadline(until)
	c.p.mu.Unlock()
	_, err := c.r.Peek(1)
	c.p.mu.Lock()
	c.held = false
	_ = c.nc.SetReadDeadline(time.Time{})
	c.p.mu.Unlock()
	return err == nil || errors.Is(err, os.ErrDeadlineExceeded)
}

// reset ends the connection without a word.
func (c *conn) reset() {
	_ = c.nc.SetLinger(0)
	c.nc.Close()
}

// errCut is for requests of a client that has died.
var errCut = errors.New("storm: the connection was cut")

// forward gives a request to the server.
func (c *conn) forward(q *request) (*answer, error) {
	c.p.wire.RLock()
	defer c.p.wire.RUnlock()
	if c.cut {
		return nil, errCut
	}
	if c.back == nil {
		back, err := dialer.DialContext(context.Background(), "tcp", c.p.backend)
		if err != nil {
			return nil, err
		}
		c.back, c.from = back, bufio.NewReader(back)
	}
	_ = c.back.SetDeadline(time.Now().Add(time.Minute))
	_, err := c.back.Write(q.raw)
	var a *answer
	if err == nil {
		a, err = readAnswer(c.from, q.method)
	}
	if err != nil {
		c.back.Close()
		c.back = nil
	}
	return a, err
}

// guids finds the guid of a message in the body of a request.
var guids = regexp.MustCompile(`"guid":"([\w-]+)"`)

func (q *request) guid() string {
	if m := guids.FindSubmatch(q.body); m != nil {
		return string(m[1])
	}
	return ""
}

// insert reports whether the request stores a message.
func (q *request) insert() bool {
	return q.method == "PUT" && strings.HasSuffix(q.route(), "/data")
}

// rows reports whether the request asks for rows: of a data source, or across them.
func (q *request) rows() bool {
	switch q.method {
	case "GET":
		return strings.HasSuffix(q.route(), "/data")
	case "POST":
		return strings.HasSuffix(q.route(), "/query") || strings.HasSuffix(q.route(), "/data-sources/data")
	}
	return false
}

// route is the path without its query.
func (q *request) route() string {
	route, _, _ := strings.Cut(q.path, "?")
	return route
}

// elsewhere is another host, which redirects lead to.
type elsewhere struct {
	l     net.Listener
	work  sync.WaitGroup
	mu    sync.Mutex
	leaks int
}

func newElsewhere() (*elsewhere, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("storm: %w", err)
	}
	e := &elsewhere{l: l}
	e.work.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			e.work.Go(func() { e.serve(nc) })
		}
	})
	return e, nil
}

func (e *elsewhere) serve(nc net.Conn) {
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(5 * time.Second))
	q, err := readRequest(bufio.NewReader(nc))
	if err != nil {
		return
	}
	if len(q.body) > 0 || strings.Contains(strings.ToLower(string(q.raw)), "auth-token") {
		e.mu.Lock()
		e.leaks++
		e.mu.Unlock()
	}
	a := answer{status: "200 OK", headers: []string{"Content-Type: text/html", "Connection: close"}, body: []byte(portal)}
	_, _ = nc.Write(a.bytes())
}

func (e *elsewhere) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.leaks
}

func (e *elsewhere) close() {
	e.l.Close()
	e.work.Wait()
}
