package datasource

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// ErrNoAnswer: a request was given up because no answer began. A read waits 30 s for it, or 15 s with AskAgain. A write
// waits 30 s for a connection and for each part of its body to be taken, and then 30 s for the answer and a second more for
// each 64 KiB of the body, 2 min at most; Append, Replace and Call, and a Commit of more than 64 KiB or with Replace, wait
// 10 min for that.
var ErrNoAnswer = errors.New("datasource: no answer began in time")

// noAnswer is an ErrNoAnswer with the limit.
type noAnswer struct {
	what  string
	limit time.Duration
}

func (e *noAnswer) Error() string        { return fmt.Sprintf("datasource: "+e.what, e.limit) }
func (e *noAnswer) Is(target error) bool { return target == ErrNoAnswer }

var (
	errNoAnswer = &noAnswer{"no answer began within %s", firstByte}
	errNotAgain = &noAnswer{"no answer began within %s", firstByteAgain}
	errNotTaken = &noAnswer{"nothing of the request was taken for %s", sendPause}
	errNoBatch  = &noAnswer{noReply, batchAnswer}
	errNoWrite  = &noAnswer{noReply, writeAnswer}

	errSlowBody = fmt.Errorf("the answer arrived too slowly: %d bytes took more than %s, or all of it more than %s",
		paceBytes, paceWindow, slowestBody)
)

const noReply = "no answer began within %s of the request"

// pace ends an attempt that does not get on. The time that the caller needs for what has arrived does not count.
type pace struct {
	outer context.Context // the caller's
	timer *time.Timer
	body  io.ReadCloser // nil before the answer has begun

	window, total time.Duration // what is left of them
	bytes         int           // in this window

	waits *noAnswer // what the timer of a write stands for
	batch bool      // of a write: its answer may take minutes
	sent  int64     // of its body

	repeats // guards what follows, where requests are made again, and the timer of a write

	ctx    context.Context // the attempt's: it ends with outer, at a limit, and with stop
	cancel context.CancelFunc
}

// watch begins to wait for an answer. stop ends it.
func (p *pace) watch(ctx context.Context, c *Client, cl *call) {
	p.window, p.total = paceWindow, slowestBody
	if cl.stream != nil {
		p.total = 1<<63 - 1
	}
	p.outer = ctx
	p.ctx, p.cancel = context.WithCancel(ctx)
	switch {
	case !cl.read:
		p.batch = cl.batch
		p.waits = errNotTaken
		if len(cl.body) == 0 && cl.form == nil {
			p.waits = p.answer()
		}
		p.timer = time.AfterFunc(p.waits.limit, p.cancel)
	case cl.stream != nil || ctx.Value(askingAgain{}) == nil:
		p.timer = time.AfterFunc(firstByte, p.cancel)
	default:
		p.began = time.Now()
		p.mu.Lock()
		p.timer = time.AfterFunc(againAfter, func() { p.fire(c, cl) })
		p.mu.Unlock()
	}
}

// answered begins to watch the body. The rest of a request that is still being sent is not watched any more.
func (p *pace) answered(body io.ReadCloser) io.ReadCloser {
	p.settle()
	p.body = body
	return p
}

// stop ends the watch.
func (p *pace) stop() {
	p.settle()
	p.cancel()
}

// settle ends the wait for an answer.
func (p *pace) settle() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over = true
	p.timer.Stop()
}

// Close implements [io.Closer].
func (p *pace) Close() error { return p.body.Close() }

// Read implements [io.Reader].
func (p *pace) Read(b []byte) (int, error) {
	began := time.Now()
	p.timer.Reset(min(p.window, p.total))
	n, err := p.body.Read(b)
	p.timer.Stop()
	took := time.Since(began)
	p.total -= took
	p.window -= took
	if p.bytes += n; p.bytes >= paceBytes {
		p.window, p.bytes = paceWindow, 0
	}
	return n, p.blame(err)
}

// blame returns the limit that was reached, or err. Before stop, nothing but a limit ends ctx and not outer.
func (p *pace) blame(err error) error {
	switch {
	case err == nil || errors.Is(err, io.EOF) || p.ctx.Err() == nil || p.outer.Err() != nil:
		return err
	case p.body != nil:
		return errSlowBody
	case p.waits == nil && !p.began.IsZero():
		return errNotAgain
	case p.waits == nil:
		return errNoAnswer
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.waits
}

// paceOf marks the context of a write whose body is watched.
type paceOf struct{}

// sending is the body of a write. Each part that is taken is progress.
type sending struct {
	io.ReadCloser
	pace *pace
	left int64 // negative from the beginning: unknown
}

// Read implements [io.Reader]. net/http calls it on a goroutine of its own, which may go on when the answer is there.
func (b *sending) Read(p []byte) (int, error) {
	b.pace.pause()
	n, err := b.ReadCloser.Read(p)
	known := b.left > 0
	b.left -= int64(n)
	b.pace.taken(n, err == io.EOF || known && b.left <= 0)
	return n, err
}

// pause stops the clock while a part of the body is made.
func (p *pace) pause() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.over {
		p.timer.Stop()
	}
}

// taken begins to wait for the next part of the body to be taken, or for the answer.
func (p *pace) taken(n int, all bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over {
		return
	}
	p.sent += int64(n)
	p.waits = errNotTaken
	if all {
		p.waits = p.answer()
	}
	p.timer.Reset(p.waits.limit)
}

// answer is how long a write waits for its answer.
func (p *pace) answer() *noAnswer {
	if p.batch {
		return errNoBatch
	}
	if p.sent < writeShare {
		return errNoWrite
	}
	return &noAnswer{noReply, min(writeAnswer+time.Duration(p.sent/writeShare)*time.Second, longestAnswer)}
}
