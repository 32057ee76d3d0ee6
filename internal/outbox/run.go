package outbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/hooks"
	"github.com/fliplet/fliplet-chat-go/internal/life"
	"github.com/fliplet/fliplet-chat-go/internal/wait"
)

const (
	// attemptTimeout bounds one request.
	attemptTimeout = 15 * time.Second
	// refreshEvery is how often an outbox that sends looks for what others have left
	// behind meanwhile.
	refreshEvery = 10 * time.Second
	// watchFirst and watchEvery are how soon, and then how often, segments are looked
	// at that may be abandoned.
	watchFirst = 100 * time.Millisecond
	watchEvery = 2 * time.Second
	// restAfter is how long a claim is kept without anything to send.
	restAfter = 5 * time.Second
)

// run is an outbox at work, from its start until it is stopped or loses its claim.
// The mutex of the outbox guards what is below it.
type run struct {
	box     *Outbox
	life    *life.Life // of what runs for it
	journal *journal

	queue     *Queue
	sends     map[ID]*Sending
	known     map[sendKey]*Sending
	parked    map[sendKey]*Sending // given up, and kept
	timer     *time.Timer
	stopped   bool
	opened    bool                 // the registry was read
	unread    bool                 // a segment of ours could not be
	abandoned map[string][]Waiting // segments that may be, and the messages in them
	backlog   []*Sending           // what was left behind, until it is known what else was
	busyAt    time.Time            // when there was something to send last
	stored    int                  // how many inserts succeeded
	// unavailable are the conversations in which an insert found the server so, since the
	// last one that succeeded.
	unavailable map[int64]struct{}

	syncing bool
	syncAt  time.Time
	syncs   int // in a row that failed, or found something to watch
}

type sendKey struct {
	conversation int64
	guid         string
}

// Sending is a message on its way.
type Sending struct {
	id      ID
	at      slot
	rec     Record
	settled bool // what was sent of it before is visible

	// The mutex of the outbox guards these; row and err do not change once done is
	// closed.
	kept     chan struct{} // closed when it is in the Store, or over
	done     chan struct{} // closed when it is over, or left to another process
	state    State
	adopted  bool // from an earlier process
	sent     bool // by this one, perhaps in vain
	attempts int
	inserts  trial
	lookUps  trial
	err      error
	row      *datasource.Entry
}

func newSending(rec Record) *Sending {
	return &Sending{rec: rec, kept: make(chan struct{}), done: make(chan struct{})}
}

// GUID identifies the message.
func (s *Sending) GUID() string { return s.rec.GUID }

// Done is closed when the outcome is known, or when this process gives up.
func (s *Sending) Done() <-chan struct{} { return s.done }

// Result is the row of the message once Done is closed. An error that matches
// [ErrQueued] says that the message is stored here and will be sent by whoever
// comes next.
func (s *Sending) Result() (*datasource.Entry, error) { return s.row, s.err }

func (s *Sending) key() sendKey { return sendKey{s.rec.Conversation, s.rec.GUID} }
func (s *Sending) over() bool   { return s.state == Stored || s.state == Failed }

func newRun(o *Outbox) *run {
	r := &run{
		box: o, life: life.New(o.life.Context()), syncing: true, busyAt: time.Now(),
		queue: NewQueue(QueueConfig{Limit: o.cfg.Limit, Settle: o.cfg.Settle}),
		sends: map[ID]*Sending{}, known: map[sendKey]*Sending{}, parked: map[sendKey]*Sending{}, abandoned: map[string][]Waiting{},
		unavailable: map[int64]struct{}{},
	}
	r.journal = newJournal(&o.cfg, r.life, func() { o.lose(r) })
	r.journal.told = o.watch
	r.timer = time.AfterFunc(time.Hour, func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		r.kick()
	})
	r.timer.Stop()
	return r
}

// kick does what is to be done now, and sets the timer for the rest. mu is held.
func (r *run) kick() {
	r.box.broadcast()
	if r.stopped {
		return
	}
	now := time.Now()
	watching := r.watching()
	if r.queue.Len() > 0 {
		r.busyAt = now
	}
	var wake time.Time
	if due := r.maintenance(watching); !due.IsZero() && !r.syncing {
		if now.Before(due) {
			sooner(&wake, due)
		} else {
			r.syncing = true
			r.life.Go(func() { r.maintain(r.life.Context()) })
		}
	}
	late := r.journal.until().Sub(now) < attemptMargin
	r.queue.Hold(!r.opened || r.unread || late)
	r.queue.HoldBack(r.awaited())
	if late && r.queue.Len() > 0 {
		sooner(&wake, now.Add(time.Second))
	}
	for {
		a := r.queue.Next(now)
		if a.Kind == Wait {
			if !a.Until.IsZero() {
				sooner(&wake, a.Until)
			}
			break
		}
		s := r.sends[a.ID]
		s.sent = s.sent || a.Kind == Send
		if a.Kind != Forget {
			r.change(s, Running, s.err)
		}
		r.life.Go(func() { r.do(a.Kind, s) })
	}
	if wake.IsZero() {
		r.timer.Stop()
	} else {
		r.timer.Reset(max(0, wake.Sub(now)))
	}
}

// maintenance is when the registry is looked at next, or the claim given up; the
// zero time for never. mu is held.
func (r *run) maintenance(watching bool) time.Time {
	switch {
	case watching, r.queue.Len() > 0:
		return r.syncAt
	case r.journal.holding() && r.journal.unused():
		return r.busyAt.Add(restAfter)
	}
	return time.Time{}
}

// maintain makes the registry and this run agree, or gives the claim up when there
// is nothing to send.
func (r *run) maintain(ctx context.Context) {
	ctx, cancel := wait.Both(ctx, r.life.Context())
	defer cancel()
	err := r.journal.changes.Lock(ctx)
	if err == nil {
		if r.idle() {
			err = r.rest()
		} else {
			err = r.sync(ctx, false)
		}
		r.journal.changes.Unlock()
	}
	if errors.Is(err, errLost) {
		r.box.lose(r)
		return
	}
	if err != nil && r.life.Context().Err() == nil {
		r.box.cfg.Log.Warn("the outbox cannot use its Storage", "error", err)
		r.box.watch.leased(hooks.LeaseFailing, err)
	}
	r.box.mu.Lock()
	defer r.box.mu.Unlock()
	r.syncing = false
	wait := refreshEvery
	switch {
	case err != nil:
		wait = min(time.Second<<min(r.syncs, 3), 5*time.Second)
		r.syncs++
	case r.watching():
		wait = min(watchFirst<<min(r.syncs, 5), watchEvery)
		r.syncs++
	default:
		r.syncs = 0
	}
	r.syncAt = time.Now().Add(wait)
	r.kick()
}

// idle reports whether nothing needs the claim. changes is held, so that no message
// can be accepted meanwhile.
func (r *run) idle() bool {
	r.box.mu.Lock()
	defer r.box.mu.Unlock()
	return !r.watching() && r.queue.Len() == 0 && r.journal.unused()
}

// rest gives the claim up.
func (r *run) rest() error {
	ctx, cancel := context.WithTimeout(r.life.Context(), tidyFor)
	defer cancel()
	held := r.journal.holding()
	if err := r.journal.giveUp(ctx); err != nil {
		return fmt.Errorf("the claim was not given up, and will run out: %w", err)
	}
	if held {
		r.box.watch.leased(hooks.LeaseReleased, nil)
	}
	return nil
}

// sync makes the registry and this run agree. changes is held.
func (r *run) sync(ctx context.Context, reserve bool) error {
	j := r.journal
	now := time.Now()
	var left []*Sending
	res, err := j.sync(ctx, reserve)
	for err == nil && len(res.adopted) > 0 {
		var list []*Sending
		list, err = r.adopt(ctx, res.adopted)
		left = append(left, list...)
		if err == nil {
			// Once more, so that the next process, should this one die, reads no more
			// than what is left.
			res, err = j.sync(ctx, false)
		}
	}
	var abandoned map[string][]Waiting
	if err == nil {
		abandoned, err = r.inspect(ctx, res.foreign)
	}
	r.box.mu.Lock()
	defer r.box.mu.Unlock()
	r.backlog = append(r.backlog, left...)
	r.unread = err != nil
	if err != nil {
		return err
	}
	r.opened, r.abandoned = true, abandoned
	r.load(now, res.rank)
	return nil
}

// awaited are the conversations with messages in abandoned segments. mu is held.
func (r *run) awaited() map[int64]struct{} {
	if len(r.abandoned) == 0 {
		return nil
	}
	out := map[int64]struct{}{}
	for _, list := range r.abandoned {
		for _, w := range list {
			out[w.Conversation] = struct{}{}
		}
	}
	return out
}

// adopt reads the messages of segments that were taken over.
func (r *run) adopt(ctx context.Context, segments []segment) (left []*Sending, err error) {
	j := r.journal
	for _, s := range segments {
		list, loadErr := j.load(ctx, s)
		if loadErr != nil {
			j.disown(s)
			err = loadErr
			continue
		}
		for _, f := range list {
			j.keep(f.at)
			rec, err := parseRecord(f.raw)
			if err != nil {
				// It is left for a version that can read it.
				r.box.cfg.Log.Error("a message in the outbox cannot be read", "key", j.key(f.at))
				continue
			}
			sd := newSending(rec)
			sd.at, sd.settled, sd.adopted = f.at, s.settled, true
			close(sd.kept)
			left = append(left, sd)
		}
	}
	return left, err
}

// load hands the backlog to the queue, the older segments first. A message stays behind
// when one of its conversation may turn up in an older segment. mu is held.
func (r *run) load(now time.Time, rank map[string]int) {
	list := r.backlog
	r.backlog = nil
	slices.SortFunc(list, func(a, b *Sending) int {
		return cmp.Or(cmp.Compare(rank[a.at.segment], rank[b.at.segment]), cmp.Compare(a.at.n, b.at.n))
	})
	first := map[int64]int{} // the oldest segment that is awaited, by conversation
	for id, waiting := range r.abandoned {
		for _, w := range waiting {
			if oldest, known := first[w.Conversation]; !known || rank[id] < oldest {
				first[w.Conversation] = rank[id]
			}
		}
	}
	list = slices.DeleteFunc(list, func(s *Sending) bool {
		oldest, awaited := first[s.rec.Conversation]
		if awaited = awaited && oldest < rank[s.at.segment]; awaited {
			r.backlog = append(r.backlog, s)
		}
		return awaited
	})
	conversations := make([]int64, len(list))
	for i, s := range list {
		conversations[i] = s.rec.Conversation
	}
	for i, id := range r.queue.Load(now, conversations) {
		s := list[i]
		s.id = id
		if s.settled {
			r.queue.Settled(now, id)
		}
		r.sends[id] = s
		if r.known[s.key()] == nil {
			r.known[s.key()] = s
		}
		r.change(s, Queued, nil)
	}
}

// watching reports whether messages may turn up that come before ours. mu is held.
func (r *run) watching() bool {
	return !r.opened || r.unread || len(r.abandoned) > 0
}

// inspect returns the segments that another process has claimed, but that may be
// what a crash left behind: those found at the beginning with messages in them,
// until their claim is renewed, given up or taken over. Nothing is sent before that
// is known, since their messages come first.
func (r *run) inspect(ctx context.Context, foreign []segment) (map[string][]Waiting, error) {
	out := map[string][]Waiting{}
	for _, s := range foreign {
		waiting, known := r.abandoned[s.ID]
		if !r.journal.maybeAbandoned(s) || r.opened && !known {
			continue
		}
		if !known {
			list, err := r.journal.load(ctx, s)
			if err != nil {
				return nil, err
			}
			if len(list) == 0 {
				continue
			}
			for _, f := range list {
				if rec, err := parseRecord(f.raw); err == nil {
					waiting = append(waiting, Waiting{GUID: rec.GUID, Conversation: rec.Conversation, QueuedAt: rec.QueuedAt})
				}
			}
		}
		out[s.ID] = waiting
	}
	return out, nil
}

// waiting counts the messages against the limit. mu is held.
func (r *run) waiting() int { return r.queue.Len() + len(r.parked) + r.leftBehind() }

// leftBehind counts the messages of other processes that are not in the queue yet.
// mu is held.
func (r *run) leftBehind() int {
	n := len(r.backlog)
	for _, list := range r.abandoned {
		n += len(list)
	}
	return n
}

// end waits for what is under way, puts the Store in order and tells who waits.
func (r *run) end(cause error) {
	_ = r.life.Wait(context.Background()) // every attempt ends with its context
	ctx, cancel := context.WithTimeout(context.Background(), tidyFor)
	defer cancel()
	r.box.mu.Lock()
	var left []*Sending
	for _, s := range r.sends {
		left = append(left, s)
	}
	r.box.mu.Unlock()
	for _, s := range left {
		if s.over() {
			_ = r.remove(ctx, s) // else it is found stored when it is looked up
		}
	}
	if err := r.journal.changes.Lock(ctx); err == nil {
		held := r.journal.holding()
		if err := r.journal.giveUp(ctx); err != nil {
			r.box.cfg.Log.Warn("the claim on the outbox was not given up, and will run out", "error", err)
		}
		if held && !errors.Is(cause, errLost) {
			r.box.watch.leased(hooks.LeaseReleased, nil)
		}
		r.journal.changes.Unlock()
	}
	r.box.mu.Lock()
	defer r.box.mu.Unlock()
	for _, s := range left {
		if !s.over() {
			s.err = fmt.Errorf("%w: %w", ErrQueued, cause)
			close(s.done)
		}
	}
}
