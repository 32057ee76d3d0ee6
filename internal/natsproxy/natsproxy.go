// Package natsproxy stands before a nats-server in tests, and cuts connections.
package natsproxy

import (
	"context"
	"io"
	"math/rand/v2"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// Proxy stands before a server, and cuts connections.
type Proxy struct {
	listen net.Listener
	server string

	each func() Fate
	cuts atomic.Int64

	mu    sync.Mutex
	conns map[net.Conn]struct{}
	down  bool
}

// Fate is what becomes of a piece of what a client sends.
type Fate uint8

const (
	Passed Fate = iota
	Cut         // the connection ends before the server gets it
	Mute        // the server gets it, and the connection ends before the client gets an answer
)

// New starts a proxy, which ends with the test. each says of the next piece of a client's calls what
// happens to it; it may be nil.
func New(t testing.TB, server string, each func() Fate) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{listen: l, server: u.Host, each: each, conns: map[net.Conn]struct{}{}}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { p.serve(c) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		p.Down(true)
		wg.Wait()
	})
	return p
}

// URL is where clients connect to.
func (p *Proxy) URL() string { return "nats://" + p.listen.Addr().String() }

// Down cuts every connection and refuses new ones, or takes them again.
func (p *Proxy) Down(down bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = down
	if down {
		for c := range p.conns {
			_ = c.Close()
		}
	}
}

// Cuts is how many pieces were cut.
func (p *Proxy) Cuts() int64 { return p.cuts.Load() }

// keep notes a connection, so that Down ends it.
func (p *Proxy) keep(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		p.conns[c] = struct{}{}
	}
	return !p.down
}

func (p *Proxy) serve(client net.Conn) {
	defer client.Close()
	server, err := new(net.Dialer).DialContext(context.Background(), "tcp", p.server)
	if err != nil {
		return
	}
	defer server.Close()
	if !p.keep(client, server) {
		return
	}
	var muted atomic.Bool
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer client.Close()
		b := make([]byte, 64<<10)
		for {
			n, err := server.Read(b)
			if err != nil {
				return
			}
			if muted.Load() {
				return // what is lost here is the answer
			}
			if _, err := client.Write(b[:n]); err != nil {
				return
			}
		}
	}()
	b := make([]byte, 64<<10)
	for {
		n, err := client.Read(b)
		if err != nil {
			break
		}
		what := Passed
		// What begins a connection passes: faults are for calls.
		if p.each != nil && strings.Contains(string(b[:n]), "PUB ") {
			what = p.each()
		}
		if what == Cut {
			p.cuts.Add(1)
			break
		}
		if what == Mute {
			p.cuts.Add(1)
			muted.Store(true)
		}
		if _, err := server.Write(b[:n]); err != nil {
			break
		}
	}
	if !muted.Load() {
		_ = server.Close()
	}
	_ = client.Close()
	<-ended
	_, _ = io.Copy(io.Discard, server)
}

// Sometimes makes one of n pieces fail, in a way that chance chooses.
func Sometimes(n int) func() Fate {
	return func() Fate {
		if rand.IntN(n) > 0 { //nolint:gosec // it chooses what fails
			return Passed
		}
		return Fate(1 + rand.IntN(2)) //nolint:gosec // it chooses what fails
	}
}
