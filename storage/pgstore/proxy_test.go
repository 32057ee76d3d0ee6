package pgstore_test

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// proxy is the network between a Store and its server. It loses what it is told to lose,
// and the connection with it.
type proxy struct {
	listener net.Listener
	to       string

	mu    sync.Mutex
	wg    sync.WaitGroup
	conns map[net.Conn]struct{}
	left  int    // packets until the fault; 0 for none
	what  lose   // what is lost then
	lost  string // the packet that was lost, or whose answer was
	down  bool
	hung  chan struct{} // closed when the network goes on; nil while it works
}

type lose int

const (
	// question: the packet does not reach the server.
	question lose = iota
	// answer: the packet reaches the server, and what it answers is lost.
	answer
)

func newProxy(t *testing.T, to string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &proxy{listener: l, to: to, conns: map[net.Conn]struct{}{}}
	p.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p.wg.Go(func() { p.serve(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		p.hang(false)
		p.cut()
		p.wg.Wait()
	})
	return p
}

func (p *proxy) addr() string { return p.listener.Addr().String() }

// arm loses the n-th packet to the server from now on, or the answer to it.
func (p *proxy) arm(n int, what lose) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.left, p.what = n, what
}

// disarm reports whether the fault has happened, and to which packet.
func (p *proxy) disarm() (happened bool, packet string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	happened, packet = p.left == 0, p.lost
	p.left, p.lost = 0, ""
	return happened, packet
}

// hang lets nothing through, without an error.
func (p *proxy) hang(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if on && p.hung == nil {
		p.hung = make(chan struct{})
	} else if !on && p.hung != nil {
		close(p.hung)
		p.hung = nil
	}
}

// refuse takes no connections, and ends those that there are.
func (p *proxy) refuse(on bool) {
	p.mu.Lock()
	p.down = on
	p.mu.Unlock()
	if on {
		p.cut()
	}
}

// cut ends every connection.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		c.Close()
	}
}

// fault says what becomes of a packet to the server.
func (p *proxy) fault(packet []byte) (what lose, now bool, hung chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.left > 0 && !farewell(packet) {
		p.left--
		if now = p.left == 0; now {
			p.lost = string(packet)
		}
	}
	return p.what, now, p.hung
}

// farewell reports whether a packet ends a connection (Terminate) or what one was asked
// before (CancelRequest, on a connection of its own). Both come whenever they like, beside
// the packets of what happens now, and are not counted.
func farewell(packet []byte) bool {
	const terminate, cancelRequest = "X\x00\x00\x00\x04", "\x04\xd2\x16."
	return string(packet) == terminate || len(packet) > 8 && string(packet[4:8]) == cancelRequest
}

func (p *proxy) serve(client net.Conn) {
	defer client.Close()
	p.mu.Lock()
	down := p.down
	p.mu.Unlock()
	if down {
		return
	}
	server, err := net.Dial("tcp", p.to)
	if err != nil {
		return
	}
	defer server.Close()
	p.mu.Lock()
	p.conns[client], p.conns[server] = struct{}{}, struct{}{}
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.conns, client)
		delete(p.conns, server)
	}()
	var lost atomic.Bool // an answer is not passed on
	answered := make(chan struct{})
	p.wg.Go(func() {
		defer close(answered)
		defer client.Close()
		defer server.Close()
		buf := make([]byte, 64<<10)
		for {
			n, err := server.Read(buf)
			if err != nil || lost.Load() {
				return
			}
			if _, err := client.Write(buf[:n]); err != nil {
				return
			}
		}
	})
	buf := make([]byte, 64<<10)
	for {
		n, err := client.Read(buf)
		if err != nil {
			return
		}
		what, now, hung := p.fault(buf[:n])
		if hung != nil {
			<-hung
		}
		if now && what == question {
			return
		}
		if now {
			lost.Store(true)
		}
		if _, err := server.Write(buf[:n]); err != nil {
			return
		}
		if now {
			<-answered // the server has done what it was asked
			return
		}
	}
}
