package natsrelay_test

import (
	"io"
	"math/rand/v2"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// proxy stands before a server, and cuts connections.
type proxy struct {
	t      *testing.T
	listen net.Listener
	server string

	// each says of the next piece of a client what happens to it. It may be nil.
	each func() fate
	cuts atomic.Int64

	mu    sync.Mutex
	conns map[net.Conn]struct{}
	down  bool
}

// fate is what becomes of a piece of what a client sends.
type fate uint8

const (
	passed fate = iota
	cut         // the connection ends before the server gets it
	mute        // the server gets it, and the connection ends before the client gets an answer
)

func newProxy(t *testing.T, server string, each func() fate) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	u, err := url.Parse(server)
	require.NoError(t, err)
	p := &proxy{t: t, listen: l, server: u.Host, each: each, conns: map[net.Conn]struct{}{}}
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
		p.setDown(true)
		wg.Wait()
	})
	return p
}

func (p *proxy) url() string { return "nats://" + p.listen.Addr().String() }

// setDown cuts every connection and refuses new ones, or takes them again.
func (p *proxy) setDown(down bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = down
	if down {
		for c := range p.conns {
			_ = c.Close()
		}
	}
}

// keep notes a connection, so that setDown ends it.
func (p *proxy) keep(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		p.conns[c] = struct{}{}
	}
	return !p.down
}

func (p *proxy) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", p.server)
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
		what := passed
		// What begins a connection passes: faults are for calls.
		if p.each != nil && strings.Contains(string(b[:n]), "PUB ") {
			what = p.each()
		}
		if what == cut {
			p.cuts.Add(1)
			break
		}
		if what == mute {
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

// sometimes makes one of n pieces fail, in a way that chance chooses.
func sometimes(n int) func() fate {
	return func() fate {
		if rand.IntN(n) > 0 {
			return passed
		}
		return fate(1 + rand.IntN(2))
	}
}
