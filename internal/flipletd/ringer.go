package flipletd

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Bounds of what is sent for hooks.
const (
	maxHooksAtOnce  = 16
	maxHooksWaiting = 10_000
	holdBack        = time.Second // how long a call that is out of order waits for the next
)

// ringer sends the requests of web hooks, in the background and after the write. The calls of
// one hook wait for each other in a lane of their own; a few workers serve all lanes in turn
// and are there only while there is something to send.
type ringer struct {
	hosts   hookHosts
	timeout time.Duration
	custom  http.RoundTripper // instead of sockets; nil
	clock   *clock
	log     *hookLog
	logger  *slog.Logger
	ctx     context.Context
	cancel  context.CancelCauseFunc

	mu      sync.Mutex
	closed  bool
	lanes   map[laneKey]*lane
	ready   []*lane // that have calls and no worker
	workers int
	waiting int                   // calls that are not over yet
	late    map[*ring]*time.Timer // calls that a lever delays
	taken   uint64                // of them
	idle    []chan struct{}       // closed when no call waits
	left    []chan struct{}       // closed when no worker runs
}

type laneKey struct {
	dataSourceID int64
	hook         int
}

type lane struct {
	queue []*ring
	busy  bool    // ready, or a worker has it
	held  []*ring // out of order, behind the next one: a call, and the copy of it
	timer *time.Timer
}

// ring is one call of a web hook.
type ring struct {
	key    laneKey
	hook   *webHook
	row    map[string]any
	body   any // instead of the hook's; nil
	record *HookCall

	late       time.Duration
	due        time.Time // when it is late, and which of those it is
	number     uint64
	outOfOrder bool
	copyOf     *ring // that a lever sends twice: it follows that one, wherever it goes
	lost       bool
	unheard    bool // the answer is lost
}

var errServerClosed = errors.New("the server was closed")

func (r *ringer) start() {
	r.ctx, r.cancel = context.WithCancelCause(context.Background())
	r.lanes, r.late = make(map[laneKey]*lane), make(map[*ring]*time.Timer)
}

// add takes a call over. It never waits.
func (r *ringer) add(x *ring) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.closed:
		r.fail(x, errServerClosed)
		return
	case r.waiting >= maxHooksWaiting:
		r.fail(x, fmt.Errorf("more than %d calls of hooks wait", maxHooksWaiting))
		return
	}
	r.waiting++
	if x.late <= 0 {
		r.push(x)
		return
	}
	r.taken++
	x.due, x.number = time.Now().Add(x.late), r.taken
	r.late[x] = time.AfterFunc(x.late, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.pushLate(x.due)
	})
}

// pushLate puts what is due by then into the lanes. Of calls that are due at the same moment
// the earlier one comes first, whichever timer did.
func (r *ringer) pushLate(due time.Time) {
	var list []*ring
	for x := range r.late {
		if !x.due.After(due) {
			list = append(list, x)
		}
	}
	slices.SortFunc(list, func(a, b *ring) int { return cmp.Or(a.due.Compare(b.due), cmp.Compare(a.number, b.number)) })
	for _, x := range list {
		r.late[x].Stop()
		delete(r.late, x)
		r.push(x)
	}
}

// push puts a call into its lane. The caller holds the lock, here and below.
func (r *ringer) push(x *ring) {
	l := r.lanes[x.key]
	if l == nil {
		l = &lane{}
		r.lanes[x.key] = l
	}
	switch {
	case x.copyOf != nil && slices.Contains(l.held, x.copyOf):
		l.held = append(l.held, x)
		return
	case x.copyOf != nil: // it is not the next one that others wait for
		l.queue = append(l.queue, x)
		r.run(l)
		return
	case x.outOfOrder && len(l.held) == 0:
		l.held = append(l.held, x)
		l.timer = time.AfterFunc(holdBack, func() {
			r.mu.Lock()
			defer r.mu.Unlock()
			if len(l.held) > 0 && l.held[0] == x {
				r.release(l)
			}
		})
		return
	}
	l.queue = append(l.queue, x)
	r.release(l)
}

// release sends what a lane has.
func (r *ringer) release(l *lane) {
	l.take()
	r.run(l)
}

// take puts what a lane holds back into its queue.
func (l *lane) take() {
	if len(l.held) > 0 {
		l.timer.Stop()
		l.queue, l.held = append(l.queue, l.held...), nil
	}
}

// run lets a worker have a lane with calls.
func (r *ringer) run(l *lane) {
	if l.busy || len(l.queue) == 0 {
		return
	}
	l.busy = true
	r.ready = append(r.ready, l)
	if r.workers < maxHooksAtOnce {
		r.workers++
		go r.work()
	}
}

// work sends until nothing is ready.
func (r *ringer) work() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.ready) > 0 {
		l := r.ready[0]
		r.ready = r.ready[1:]
		x := l.queue[0]
		l.queue = l.queue[1:]
		r.mu.Unlock()
		r.send(x)
		r.mu.Lock()
		r.over()
		switch {
		case len(l.queue) > 0:
			r.ready = append(r.ready, l)
		case len(l.held) > 0:
			l.busy = false
		default:
			l.busy = false
			if r.lanes[x.key] == l {
				delete(r.lanes, x.key)
			}
		}
	}
	if r.workers--; r.workers == 0 {
		closeAll(&r.left)
	}
}

// over counts a call that is.
func (r *ringer) over() {
	if r.waiting--; r.waiting == 0 {
		closeAll(&r.idle)
	}
}

func closeAll(list *[]chan struct{}) {
	for _, ch := range *list {
		close(ch)
	}
	*list = nil
}

// wait returns when no call is waiting or under way, or with the cause of ctx.
func (r *ringer) wait(ctx context.Context) error {
	r.mu.Lock()
	if r.waiting == 0 {
		r.mu.Unlock()
		return nil
	}
	done := make(chan struct{})
	r.idle = append(r.idle, done)
	r.mu.Unlock()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// close drops what was not sent, ends what is under way and waits for the workers.
func (r *ringer) close() {
	r.mu.Lock()
	r.closed = true
	drop := func(x *ring) {
		r.fail(x, errServerClosed)
		r.over()
	}
	for x, timer := range r.late {
		timer.Stop()
		delete(r.late, x)
		drop(x)
	}
	for _, l := range r.lanes {
		l.take()
		for _, x := range l.queue {
			drop(x)
		}
		l.queue = nil
	}
	r.ready = nil
	r.cancel(errServerClosed)
	var done chan struct{}
	if r.workers > 0 {
		done = make(chan struct{})
		r.left = append(r.left, done)
	}
	r.mu.Unlock()
	if done != nil {
		<-done
	}
}

func (r *ringer) fail(x *ring, err error) {
	r.log.change(x.record, func(h *HookCall) { h.Err = err.Error() })
	r.note(x, 0, err)
}

// note tells the log: who, whereto and with what result, and nothing of what was sent.
func (r *ringer) note(x *ring, status int, err error) {
	host, _, _ := endpointHost(x.record.URL)
	fields := []slog.Attr{slog.Int64("source", x.key.dataSourceID), slog.Int64("entry", x.record.EntryID), slog.String("host", host), slog.Int("status", status)}
	if err != nil {
		fields = append(fields, slog.String("error", err.Error()))
	}
	r.logger.LogAttrs(context.Background(), slog.LevelInfo, "web hook", fields...)
}

// send makes one call.
func (r *ringer) send(x *ring) {
	ctx, cancel := context.WithTimeout(r.ctx, r.timeout)
	defer cancel()
	req, shown, err := x.hook.request(ctx, r.hosts, x.row, x.body)
	if err != nil {
		r.fail(x, r.reason(ctx, HookError(err.Error())))
		return
	}
	r.log.change(x.record, func(h *HookCall) { h.Payload = shown })
	if x.lost {
		r.fail(x, errors.New("lost by a lever"))
		return
	}
	r.log.change(x.record, func(h *HookCall) { h.Sent = r.clock.now() })
	status, err := r.ask(req)
	if err == nil && x.unheard {
		status, err = 0, HookError("the answer was lost by a lever")
	}
	if err != nil {
		r.fail(x, r.reason(ctx, err))
		return
	}
	r.log.change(x.record, func(h *HookCall) { h.Status = status })
	r.note(x, status, nil)
}

// ask sends a request and reads the answer, or the beginning of a long one.
func (r *ringer) ask(req *http.Request) (status int, err error) {
	transport := r.custom
	if transport == nil {
		host, port, err := endpointHost(req.URL.String())
		if err != nil {
			return 0, err
		}
		t := hookTransport(!r.hosts.named(host, port))
		defer t.CloseIdleConnections()
		transport = t
	}
	res, err := transport.RoundTrip(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	_, _ = io.CopyN(io.Discard, res.Body, 64<<10) // the status is what counts
	return res.StatusCode, nil
}

// HookError is an error of a transport of Config whose text may be shown.
type HookError string

func (e HookError) Error() string { return string(e) }

// reason is an error as it may be shown. What net/http says can repeat an answer.
func (r *ringer) reason(ctx context.Context, err error) error {
	switch {
	case r.ctx.Err() != nil:
		return errServerClosed
	case errors.Is(err, context.DeadlineExceeded), ctx.Err() != nil:
		return fmt.Errorf("no answer within %v", r.timeout)
	case errors.Is(err, errElsewhere):
		return errElsewhere
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the connection was closed before an answer")
	}
	if own, ok := errors.AsType[HookError](err); ok {
		return own
	}
	if network, ok := errors.AsType[*net.OpError](err); ok {
		return network
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return errors.New("the certificate of the host is not trusted")
	}
	return errors.New("the answer is none that HTTP has")
}
