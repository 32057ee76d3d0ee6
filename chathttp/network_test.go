package chathttp_test

import (
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// conns are connections within the process, with buffers between their ends.
type conns struct {
	mu   sync.Mutex
	all  []*pipe
	cuts int
}

// pair makes both ends of a connection.
func (c *conns) pair() (a, b net.Conn) {
	there, back := newPipe(), newPipe()
	c.mu.Lock()
	c.all = append(c.all, there, back)
	c.mu.Unlock()
	return &conn{in: back, out: there}, &conn{in: there, out: back}
}

// cut breaks all connections, and loses what is in their buffers.
func (c *conns) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.all {
		p.close(true)
	}
	c.cuts += len(c.all) / 2
	c.all = nil
}

// pipe carries bytes one way.
type pipe struct {
	mu        sync.Mutex
	buffer    []byte
	most      int
	hold      bool // nothing arrives
	changed   chan struct{}
	closed    bool
	readUntil time.Time
	writeTill time.Time
}

// bufferSize is what the machines on the way keep.
const bufferSize = 64 << 10

func newPipe() *pipe { return &pipe{most: bufferSize, changed: make(chan struct{})} }

func (p *pipe) change(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *pipe) close(lose bool) {
	p.change(func() {
		p.closed = true
		if lose {
			p.buffer = nil
		}
	})
}

// wait waits for a change, until a time.
func wait(changed <-chan struct{}, until time.Time) error {
	if until.IsZero() {
		<-changed
		return nil
	}
	t := time.NewTimer(time.Until(until))
	defer t.Stop()
	select {
	case <-changed:
		return nil
	case <-t.C:
		return os.ErrDeadlineExceeded
	}
}

func (p *pipe) read(b []byte) (int, error) {
	for {
		p.mu.Lock()
		if len(p.buffer) > 0 && !p.hold {
			n := copy(b, p.buffer)
			p.buffer = p.buffer[n:]
			close(p.changed)
			p.changed = make(chan struct{})
			p.mu.Unlock()
			return n, nil
		}
		closed, changed, until := p.closed, p.changed, p.readUntil
		p.mu.Unlock()
		if closed {
			return 0, io.EOF
		}
		if err := wait(changed, until); err != nil {
			return 0, err
		}
	}
}

func (p *pipe) write(b []byte) (n int, err error) {
	for {
		p.mu.Lock()
		if p.closed {
			p.mu.Unlock()
			return n, net.ErrClosed
		}
		if room := min(p.most-len(p.buffer), len(b)); room > 0 {
			p.buffer = append(p.buffer, b[:room]...)
			b = b[room:]
			n += room
			close(p.changed)
			p.changed = make(chan struct{})
		}
		changed, until := p.changed, p.writeTill
		p.mu.Unlock()
		if len(b) == 0 {
			return n, nil
		}
		if err := wait(changed, until); err != nil {
			return n, err
		}
	}
}

// conn is one end of a connection.
type conn struct{ in, out *pipe }

func (c *conn) Read(b []byte) (int, error)  { return c.in.read(b) }
func (c *conn) Write(b []byte) (int, error) { return c.out.write(b) }
func (c *conn) Close() error {
	c.in.close(true)
	c.out.close(false)
	return nil
}
func (c *conn) LocalAddr() net.Addr  { return &net.IPAddr{} }
func (c *conn) RemoteAddr() net.Addr { return &net.IPAddr{} }
func (c *conn) SetDeadline(t time.Time) error {
	_ = c.SetReadDeadline(t)
	return c.SetWriteDeadline(t)
}

func (c *conn) SetReadDeadline(t time.Time) error {
	c.in.change(func() { c.in.readUntil = t })
	return nil
}

func (c *conn) SetWriteDeadline(t time.Time) error {
	c.out.change(func() { c.out.writeTill = t })
	return nil
}
