package storagetest

import (
	"context"
	"net"
	"sync"
	"testing"
)

// Proxy passes TCP connections on to a server, until it is told to cut them: [Proxy.Cut]
// and [Proxy.Hit] are those of a [Faulty]. A step is what one side has sent at once.
type Proxy struct {
	listener net.Listener
	server   string

	mu    sync.Mutex
	conns map[net.Conn]struct{}
	left  int // steps until the cut, negative for none
	hit   bool
	down  bool
	done  sync.WaitGroup
}

// NewProxy starts a proxy before the server at an address, such as 127.0.0.1:5432. It ends
// with the test.
func NewProxy(t testing.TB, server string) *Proxy {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("proxy: %v", err)
	}
	p := &Proxy{listener: l, server: server, conns: map[net.Conn]struct{}{}, left: -1}
	p.done.Go(p.accept)
	t.Cleanup(func() {
		l.Close()
		p.Down(true)
		p.done.Wait()
	})
	return p
}

// Addr is where the proxy listens.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Cut cuts all connections when so many steps more have been passed on; see [Faulty].
func (p *Proxy) Cut(after int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.left, p.hit = after, false
}

// Hit reports whether connections were cut since Cut was called last.
func (p *Proxy) Hit() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.hit
}

// Down cuts all connections at once, and lets none in until it is called with false.
func (p *Proxy) Down(down bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.down = down; down {
		p.cut()
	}
}

// cut closes all connections. mu is held.
func (p *Proxy) cut() {
	for c := range p.conns {
		c.Close()
	}
	clear(p.conns)
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := new(net.Dialer).DialContext(context.Background(), "tcp", p.server)
		if err != nil {
			client.Close()
			continue
		}
		p.mu.Lock()
		if p.down {
			client.Close()
			server.Close()
		} else {
			p.conns[client], p.conns[server] = struct{}{}, struct{}{}
		}
		p.mu.Unlock()
		p.done.Go(func() { p.pass(client, server) })
		p.done.Go(func() { p.pass(server, client) })
	}
}

// pass passes on what one side sends.
func (p *Proxy) pass(from, to net.Conn) {
	defer func() {
		from.Close()
		to.Close()
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.conns, from)
		delete(p.conns, to)
	}()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 && (!p.step() || write(to, buf[:n]) != nil) || err != nil {
			return
		}
	}
}

func write(to net.Conn, b []byte) error {
	_, err := to.Write(b)
	return err
}

// step reports whether one more step may be made.
func (p *Proxy) step() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.left < 0:
		return true
	case p.left > 0:
		p.left--
		return true
	}
	p.left, p.hit = -1, true
	p.cut()
	return false
}
