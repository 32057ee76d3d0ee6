package limiter

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/storage"
)

var (
	// ErrClosed is what waits fail with after Close.
	ErrClosed = errors.New("limiter: closed")
	// ErrSettings: the record is of replicas with other settings, or of a newer version of this package. Until the last of
	// these is gone a replica has its fallback only.
	ErrSettings = errors.New("limiter: other settings than those of the other replicas")
	// ErrTooMany: more replicas run than Options.Replicas. They have smaller shares, and the limit may be exceeded when they
	// lose the Store together.
	ErrTooMany = errors.New("limiter: more replicas than Options.Replicas")
)

// Options are those of New. A zero field has its default.
type Options struct {
	// Replicas is how many replicas there are at most at a time, including those that are being replaced. 0 means 4. All
	// replicas must have the same number. Each lowers what one alone can use by one fallback.
	Replicas int
	// Fallback is how many requests each replica may start in a window without the Store. 0 means a tenth of n, divided by
	// Replicas, and at least 1. All replicas must have the same number.
	Fallback int
	// Lease is how long after its last renewal the share of a dead replica is free. 0 means the window and 10 s. It must be
	// at least a second longer than the window. A share lasts 0.8 times the difference, and is renewed four times in that.
	Lease time.Duration
	// OnChange is called with an error that matches datasource.ErrImpaired when this replica has to do with less than its
	// share, and with nil when it has one again. It must neither block nor call Close. nil: nobody is told.
	OnChange func(error)
	// Logger gets a warning when this replica falls back, and a line when it has a share again, without what the Store
	// says. nil logs nothing.
	Logger *slog.Logger
}

// settings are what all replicas have to have in common.
type settings struct {
	n, replicas, fallback int
	per                   time.Duration
}

func (s settings) String() string {
	return fmt.Sprintf("%d requests per %s with %d replicas and a fallback of %d", s.n, s.per, s.replicas, s.fallback)
}

// Limiter is one replica's part of a shared limit. It is a [datasource.TurnLimiter]: give it to the Clients of this
// process. Methods are safe for concurrent use.
type Limiter struct {
	settings

	store    storage.Store
	key      string
	id       string
	span     time.Duration // per, and what one request may be longer on its way than another
	lease    time.Duration
	valid    time.Duration // how long a share lasts
	beat     time.Duration
	opts     Options
	window   *datasource.Window
	born     time.Time
	short    chan struct{}
	done     chan struct{} // closed when nothing runs any more
	stop     context.CancelFunc
	watchdog *time.Timer // tells when the share has ended
	grown    *time.Timer // applies the fallback

	mu     sync.Mutex
	share  int       // beside the fallback
	until  time.Time // of share
	alive  int       // replicas, as read last
	met    error     // what the last attempt to renew has met
	closed bool

	telling sync.Mutex
	told    error

	// Of the goroutine that renews, and of Close after it:
	beats uint64
	seen  map[string]sight
}

// sight is when a state of a member was seen first.
type sight struct {
	beat  uint64
	left  bool
	since time.Time
}

var (
	_ datasource.TurnLimiter     = (*Limiter)(nil)
	_ datasource.ImpairedLimiter = (*Limiter)(nil)
	_ datasource.RefusedLimiter  = (*Limiter)(nil)
	_ datasource.AnsweredLimiter = (*Limiter)(nil)
)

// longest bounds the window. Sums of durations stay far from an overflow.
const longest = 366 * 24 * time.Hour

// New returns the part of this process in the limit of n requests in any window of length per, that all share who call it
// with the same key of the same Store, n, per, Options.Replicas and Options.Fallback. It makes no call and starts one
// goroutine, which Close ends. Keys of limits are their own: nothing else may be stored there.
func New(store storage.Store, key string, n int, per time.Duration, opts Options) (*Limiter, error) {
	if opts.Replicas == 0 {
		opts.Replicas = 4
	}
	if opts.Fallback == 0 {
		opts.Fallback = max(1, n/10/max(1, opts.Replicas))
	}
	if opts.Lease == 0 {
		opts.Lease = per + 10*time.Second
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	var faults []error
	refuse := func(bad bool, format string, args ...any) {
		if bad {
			faults = append(faults, fmt.Errorf("limiter: "+format, args...))
		}
	}
	refuse(store == nil, "store is nil: give the one that all replicas reach")
	refuse(key == "" || len(key) > 1024, "key has %d bytes: give 1 to 1,024", len(key))
	refuse(n < 2, "n is %d: a limit that is shared is at least 2", n)
	refuse(per <= 0 || per > longest, "per is %s: give the length of the window, such as 10 s, and at most %s", per, longest)
	refuse(opts.Replicas < 0 || opts.Replicas > maxMembers, "Options.Replicas is %d: give 1 to %d, or 0 for 4", opts.Replicas, maxMembers)
	refuse(opts.Fallback < 0, "Options.Fallback is %d: give a positive number, or 0 for the default", opts.Fallback)
	refuse(n >= 2 && opts.Replicas > 0 && opts.Fallback > 0 && opts.Fallback > (n-1)/opts.Replicas,
		"Options.Fallback is %d for each of %d replicas: together they must be less than n, %d; give fewer of either", opts.Fallback, opts.Replicas, n)
	refuse(per <= longest && (opts.Lease < per+time.Second || opts.Lease > 2*longest),
		"Options.Lease is %s: give at least %s, a second more than per, and at most %s", opts.Lease, per+time.Second, 2*longest)
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	l := &Limiter{
		settings: settings{n, opts.Replicas, opts.Fallback, per},
		store:    store, key: key, id: rand.Text(), lease: opts.Lease, valid: (opts.Lease - per) / 2, opts: opts,
		born: time.Now(), seen: map[string]sight{},
		short: make(chan struct{}, 1), done: make(chan struct{}), stop: stop,
	}
	l.beat = l.valid / 3
	l.span = per + min(per/50, (opts.Lease-per)/20)
	l.window = datasource.NewLimiter(n, l.span)
	l.watchdog = time.AfterFunc(l.valid, l.tell)
	apply := func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.apply()
	}
	apply()
	l.grown = time.AfterFunc(l.span, apply)
	go l.run(ctx)
	return l, nil
}

// Wait implements [datasource.Limiter].
func (l *Limiter) Wait(ctx context.Context) error { return l.WaitTurn(ctx, datasource.Turn{}) }

// WaitTurn implements [datasource.TurnLimiter]. Turns are those of a [datasource.Window], within this replica. Of a call
// with a deadline it says at once that it cannot be met only when no share would be large enough.
func (l *Limiter) WaitTurn(ctx context.Context, t datasource.Turn) error {
	if used, of, waiting := l.window.Load(); used+waiting >= of {
		select {
		case l.short <- struct{}{}:
		default:
		}
	}
	return l.window.WaitTurn(ctx, t)
}

// Refused implements [datasource.RefusedLimiter], as a [datasource.Window] does, within this replica. The others learn of the
// server's limit when they are refused themselves.
func (l *Limiter) Refused(until time.Time) { l.window.Refused(until) }

// Answered implements [datasource.AnsweredLimiter], as a [datasource.Window] does, within this replica.
func (l *Limiter) Answered(started time.Time) { l.window.Answered(started) }

// Unanswered implements [datasource.AnsweredLimiter], as a [datasource.Window] does, within this replica.
func (l *Limiter) Unanswered() { l.window.Unanswered() }

// Delay implements [datasource.Limiter], by the share that this replica has now.
func (l *Limiter) Delay() time.Duration { return l.window.Delay() }

// DelayTurn implements [datasource.TurnLimiter], by the share that this replica has now.
func (l *Limiter) DelayTurn(t datasource.Turn) time.Duration { return l.window.DelayTurn(t) }

// Load implements [datasource.Limiter]: of is the share of this replica now, with its fallback.
func (l *Limiter) Load() (used, of, waiting int) { return l.window.Load() }

// Replicas is how many replicas had a part in the limit when the record was read last, this one included; 0 before that.
func (l *Limiter) Replicas() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.alive
}

// Err implements [datasource.ImpairedLimiter]. It is nil while this replica has a share. Otherwise it says what has kept it
// from one, such as the error of the Store, or ErrSettings; ErrTooMany also comes with a share. It is ErrClosed after Close.
func (l *Limiter) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err()
}

// err is Err. mu is held.
func (l *Limiter) err() error {
	switch {
	case l.closed:
		return ErrClosed
	case over(l.until, time.Now()):
		if l.met == nil && time.Since(l.born) < l.valid { // it has just begun
			return nil
		}
		return &impaired{l.fallback, l.per, l.met}
	case errors.Is(l.met, ErrTooMany):
		return &impaired{l.share + l.fallback, l.per, l.met}
	}
	return nil
}

// impaired is an ErrImpaired.
type impaired struct {
	has int
	per time.Duration
	met error // may be nil
}

func (e *impaired) Error() string {
	met := e.met
	if met == nil {
		met = errors.New("the store has not answered")
	}
	return fmt.Sprintf("limiter: this replica starts at most %d requests per %s: %v", e.has, e.per, met)
}
func (e *impaired) Unwrap() error        { return e.met }
func (e *impaired) Is(target error) bool { return target == datasource.ErrImpaired }

// over reports whether a moment has come, by the monotonic or the wall clock: the first stands still in machines that
// are suspended.
func over(until, now time.Time) bool {
	return !now.Before(until) || !now.Round(0).Before(until.Round(0))
}

// Close gives the share back and ends the goroutine. Waits fail with ErrClosed from now on, so close it after the Clients'
// users. It writes to the Store and takes 5 s at most. An error says that the share is free after the lease only. A second
// Close does nothing.
func (l *Limiter) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	l.mu.Unlock()
	l.window.Fail(ErrClosed)
	l.stop()
	l.grown.Stop()
	defer l.watchdog.Stop()
	ctx, cancel := context.WithTimeout(context.Background(), closing)
	defer cancel()
	select {
	case <-l.done:
	case <-ctx.Done():
		return fmt.Errorf("limiter: the store has not answered before Close: %w", context.DeadlineExceeded)
	}
	if err := l.renew(ctx, true); err != nil {
		return fmt.Errorf("limiter: the share could not be given back: %w", err)
	}
	return nil
}

// closing is how long Close takes at most.
const closing = 5 * time.Second
