package outbox

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/hooks"
	"github.com/fliplet/fliplet-chat-go/internal/life"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// ErrQueued: the message is stored in the outbox, but not sent yet.
var ErrQueued = errors.New("chat: the message is queued and not sent yet")

// State is where a message in the outbox stands.
type State uint8

const (
	// Queued: it waits to be sent, for the first time or again.
	Queued State = iota
	// Running: an attempt or a look-up is under way.
	Running
	// Stored: the server has it.
	Stored
	// Failed: the server refused it for good, or it was discarded.
	Failed
)

// Config says what an [Outbox] works with. Store, Key, Insert and LookUp are
// required.
type Config struct {
	Store storage.Store
	Key   string // everything is stored under it
	Log   *slog.Logger
	Life  *life.Life // what the outbox is a part of; nil for nothing

	Limit  int           // messages that may wait, 1,000 by default
	Settle time.Duration // until a stored row is certainly visible, 5 s by default

	// Insert makes one attempt to store a message on the server, and returns its row.
	Insert func(ctx context.Context, r Record) (*datasource.Entry, error)
	// LookUp returns the row of a message, nil when there is none. A row of the same guid
	// that holds something else is none.
	LookUp func(ctx context.Context, r Record) (*datasource.Entry, error)
	// Judge says what an error of Insert or LookUp means for the message. nil: the
	// function of this name.
	Judge func(error) Verdict
	// MaxAttempts is after how many failures of its own a message is given up, 40 by
	// default; see Verdict.
	MaxAttempts int
	// Doubtful reports whether an error leaves open whether the message was stored.
	// nil: datasource.Doubtful tells.
	Doubtful func(error) bool
	// RetryAfter is how long an error asks to be left alone, 0 when it does not say.
	// nil: none does.
	RetryAfter func(error) time.Duration
	// Sent is called when the server has one more message. It must not block. May be
	// nil.
	Sent func()
	// OnChange is told by Notifier what becomes of each message. Both may be nil.
	OnChange func(Change)
	Notifier *Notifier
	// Hooks are told the same by Notifier, and of the claim. They may be none.
	Hooks []hooks.Hook

	// Process identifies this process to others that use the Store. Default: see
	// package claim. Tests play other processes.
	Process string
}

// Outbox sends the messages of one user, from Start until Stop. It has a goroutine
// for each request under way and one that keeps its claim; without anything to
// send it has none. It is safe for concurrent use.
type Outbox struct {
	cfg   Config
	life  *life.Life
	watch *watch
	tell  func(Change) // what Notifier calls; nil if nobody is to be told

	mu      sync.Mutex
	run     *run          // nil before Start, after Stop, and after a loss
	ending  int           // runs that are over, but not at rest
	changed chan struct{} // closed and replaced when anything changes
}

// New returns an outbox that does nothing before Start.
func New(cfg Config) *Outbox {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Limit == 0 {
		cfg.Limit = 1000
	}
	if cfg.Settle == 0 {
		cfg.Settle = 5 * time.Second
	}
	if cfg.Judge == nil {
		cfg.Judge = Judge
	}
	if cfg.MaxAttempts == 0 {
		cfg.MaxAttempts = 40
	}
	if cfg.Doubtful == nil {
		cfg.Doubtful = datasource.Doubtful
	}
	if cfg.RetryAfter == nil {
		cfg.RetryAfter = func(error) time.Duration { return 0 }
	}
	if cfg.Sent == nil {
		cfg.Sent = func() {}
	}
	if cfg.Life == nil {
		cfg.Life = life.New(context.Background())
	}
	part := cfg.Life.Part()
	w := newWatch(cfg.Hooks, part)
	return &Outbox{cfg: cfg, life: part, watch: w, tell: w.teller(cfg.OnChange), changed: make(chan struct{})}
}

// Start finds what was left behind, and begins to send it. A Store that fails now
// is asked again later. Start fails only when the outbox was stopped, with the
// cause of that, or when ctx ends before the outbox could be opened. Starting again
// does nothing.
func (o *Outbox) Start(ctx context.Context) error {
	_, err := o.begin(ctx)
	return err
}

// begin returns the run under way, or makes one.
func (o *Outbox) begin(ctx context.Context) (*run, error) {
	for {
		o.mu.Lock()
		if o.run == nil && o.ending == 0 && o.life.Enter() {
			o.run = newRun(o)
			r := o.run
			r.life.Enter()
			o.mu.Unlock()
			r.maintain(ctx)
			r.life.Leave()
			return r, nil
		}
		r, changed := o.run, o.changed
		o.mu.Unlock()
		switch {
		case o.life.Over():
			return nil, o.cause()
		case r != nil:
			return r, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// cause is why the outbox was stopped.
func (o *Outbox) cause() error {
	<-o.life.Context().Done() // Stop is about to end it
	return context.Cause(o.life.Context())
}

// Stop ends the outbox. It waits for nothing: what is under way ends soon, what is
// unsent stays stored, and whoever waits for a message is told so.
func (o *Outbox) Stop(cause error) {
	o.life.Stop(cause)
	o.mu.Lock()
	defer o.mu.Unlock()
	if r := o.run; r != nil {
		o.halt(r, cause, false)
	}
	o.broadcast()
}

// Wait returns when nothing of the outbox runs any more after Stop, or with the
// cause of ctx.
func (o *Outbox) Wait(ctx context.Context) error { return o.life.Wait(ctx) }

// lose ends a run whose messages another process has, and begins a new one.
func (o *Outbox) lose(r *run) {
	if o.lost(r) {
		o.watch.leased(hooks.LeaseLost, nil)
	}
}

// lost is the part of lose that holds mu. It reports whether the run was at work.
func (o *Outbox) lost(r *run) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if r.stopped {
		return false
	}
	o.halt(r, errLost, true)
	return true
}

// halt lets a run do no more, and brings it to rest in the background. mu is held.
func (o *Outbox) halt(r *run, cause error, again bool) {
	o.run = nil
	o.ending++
	r.stopped = true
	r.timer.Stop()
	r.life.Stop(cause)
	o.broadcast()
	// The run entered the life of the outbox when it began.
	go func() {
		defer o.life.Leave()
		r.end(cause)
		o.mu.Lock()
		o.ending--
		o.broadcast()
		o.mu.Unlock()
		if again {
			ctx, cancel := context.WithTimeout(o.life.Context(), tidyFor)
			defer cancel()
			_ = o.Start(ctx) // it fails when the outbox was stopped
		}
	}()
}

// broadcast wakes whoever waits for a change. mu is held.
func (o *Outbox) broadcast() {
	close(o.changed)
	o.changed = make(chan struct{})
}

// Flush waits until nothing is left to send, which can take as long as an outage.
// It fails with the cause of ctx, or of Stop.
func (o *Outbox) Flush(ctx context.Context) error {
	if err := o.Start(ctx); err != nil {
		return err
	}
	return o.await(ctx, func() bool { return o.run != nil && !o.run.watching() && len(o.run.known) == 0 })
}

// Drain waits until nothing that this outbox has accepted is left to send, or to
// remove from the Store. It does not start the outbox. It fails with the cause of
// ctx, or of Stop.
func (o *Outbox) Drain(ctx context.Context) error {
	return o.await(ctx, func() bool { return o.ending == 0 && (o.run == nil || o.run.queue.Len() == 0) })
}

// await waits for a state, which is looked at with mu held.
func (o *Outbox) await(ctx context.Context, state func() bool) error {
	for {
		o.mu.Lock()
		reached, changed := state(), o.changed
		o.mu.Unlock()
		switch {
		case reached:
			return nil
		case o.life.Over():
			return o.cause()
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Waiting is a message that waits to be sent.
type Waiting struct {
	GUID         string
	Conversation int64
	State        State
	QueuedAt     time.Time
	Attempts     int   // of this process that failed, look-ups included
	Err          error // what the last of them met
	NextTry      time.Time
}
