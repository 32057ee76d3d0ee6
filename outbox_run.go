package chat

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
	engine "github.com/fliplet/fliplet-chat-go/internal/outbox"
)

const (
	// sendTimeout bounds one request. It is shorter than what is left of a claim
	// when we still send under it, so no request outlives the claim.
	sendTimeout = 15 * time.Second
	// watchEvery is how often a lane is looked at that may belong to a dead process.
	watchEvery = 5 * time.Second
	// tidyFor bounds the work on Storage that is left to do at the end.
	tidyFor = 2 * time.Second
)

// outbox drives the engine of package internal/outbox with a real clock, Storage
// and HTTP. It has a goroutine for each request under way and only a timer while
// it waits.
type outbox struct {
	chat  *Chat
	opts  OutboxOptions
	blind bool // see engine.Config

	mu     sync.Mutex
	run    *outboxRun
	ending map[*outboxRun]struct{}
	events changeQueue
}

// outboxRun is the outbox of one session.
type outboxRun struct {
	session *session
	ctx     context.Context
	cancel  context.CancelCauseFunc
	journal *journal
	work    sync.WaitGroup

	// Guarded by outbox.mu.
	queue    *engine.Queue
	sends    map[engine.ID]*send
	known    map[sendKey]*send
	timer    *time.Timer
	stopped  bool
	ended    chan struct{}  // closed when nothing of it runs and its claims are given up
	changed  chan struct{}  // closed and replaced when anything changes
	wake     time.Time      // when the engine goes on by itself
	adding   int            // messages being stored
	opened   bool           // the registry was read
	unread   bool           // a lane of ours could not be
	suspects map[string]int // claimed lanes whose owner may be dead, and the messages in them
	backlog  []*send        // what was left behind, until there are no suspects
	syncing  bool
	syncAt   time.Time
	syncs    int // that failed in a row
}

type sendKey struct {
	conversation int64
	guid         string
}

// send is a message in the outbox.
type send struct {
	id  engine.ID
	at  place
	rec *record

	// Guarded by outbox.mu; row and err do not change once done is closed.
	kept     chan struct{} // closed when it is in Storage, or over
	state    SendState
	attempts int
	err      error
	row      *datasource.Entry
	done     chan struct{} // closed when it is over, or left to another process
}

func (s *send) key() sendKey { return sendKey{s.rec.Conversation, s.rec.GUID} }
func (s *send) over() bool   { return s.state == SendStored || s.state == SendFailed }

func newOutbox(c *Chat) *outbox {
	if c.opts.Outbox == nil {
		return nil
	}
	return &outbox{chat: c, opts: *c.opts.Outbox, ending: map[*outboxRun]struct{}{}}
}

// start opens the outbox of a session, if that is still the one of the Chat, and
// loads what was left behind. A Storage that fails now is asked again later.
func (o *outbox) start(ctx context.Context, s *session) *outboxRun {
	if o == nil || s == nil {
		return nil
	}
	if !o.await(ctx, s) {
		return nil
	}
	// o.mu is held.
	if o.run != nil && o.run.session == s {
		defer o.mu.Unlock()
		return o.run
	}
	if !o.current(s) {
		o.mu.Unlock()
		return nil
	}
	if before := o.run; before != nil {
		cause := fmt.Errorf("another user logged in: %w", ErrNotLoggedIn)
		o.halt(before, cause)
		go o.end(before, cause)
	}
	run := &outboxRun{
		session: s, journal: newJournal(o.chat.store, o.chat.cache.Key(s.userID, "outbox")),
		queue: engine.New(engine.Config{Limit: o.opts.Limit, Settle: o.opts.Settle, Blind: o.blind}),
		sends: map[engine.ID]*send{}, known: map[sendKey]*send{}, suspects: map[string]int{}, changed: make(chan struct{}), ended: make(chan struct{}),
	}
	run.ctx, run.cancel = context.WithCancelCause(context.Background())
	run.timer = time.AfterFunc(time.Hour, func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.kick(run)
	})
	run.syncing = true
	o.run = run
	run.work.Add(1)
	o.mu.Unlock()
	defer run.work.Done()
	o.maintain(ctx, run)
	return run
}

// await waits until earlier runs of a user have given up their claims. Then it
// returns true with mu held, and false without when ctx ended first.
func (o *outbox) await(ctx context.Context, s *session) bool {
	for {
		o.mu.Lock()
		var before *outboxRun
		for run := range o.ending {
			if run.session.userID == s.userID {
				before = run
			}
		}
		if before == nil {
			return true
		}
		o.mu.Unlock()
		select {
		case <-before.ended:
		case <-ctx.Done():
			return false
		}
	}
}

// kick does what is to be done now, and sets the timer for the rest. mu is held.
func (o *outbox) kick(run *outboxRun) {
	close(run.changed)
	run.changed = make(chan struct{})
	if run.stopped {
		return
	}
	now := time.Now()
	until := run.journal.until()
	watching := run.watching()
	var wake time.Time
	if due := until.Add(-claimRenew); !run.syncing && (watching || run.queue.Len() > 0) {
		if watching || due.Before(run.syncAt) {
			due = run.syncAt
		}
		if now.Before(due) {
			wake = due
		} else {
			run.syncing = true
			run.work.Go(func() { o.maintain(run.ctx, run) })
		}
	}
	run.queue.Hold(watching || until.Sub(now) < sendTimeout)
	for {
		a := run.queue.Next(now)
		if a.Kind == engine.Wait {
			run.wake = a.Until
			break
		}
		sd := run.sends[a.ID]
		if a.Kind != engine.Forget {
			o.change(run, sd, SendRunning, sd.err)
		}
		run.work.Go(func() { o.do(run, a.Kind, sd) })
	}
	if wake.IsZero() || !run.wake.IsZero() && run.wake.Before(wake) {
		wake = run.wake
	}
	if wake.IsZero() {
		run.timer.Stop()
	} else {
		run.timer.Reset(max(0, wake.Sub(now)))
	}
}

// maintain renews the claims and takes over what others left behind.
func (o *outbox) maintain(ctx context.Context, run *outboxRun) {
	run.journal.changing.Lock()
	err := o.sync(ctx, run, false)
	run.journal.changing.Unlock()
	o.mu.Lock()
	defer o.mu.Unlock()
	run.syncing = false
	run.syncs++
	run.syncAt = time.Now().Add(min(time.Second<<min(run.syncs-1, 5), watchEvery))
	switch {
	case err == nil:
		run.syncs, run.syncAt = 0, time.Now().Add(watchEvery)
	case errors.Is(err, errLaneLost):
		o.replace(run)
		return
	case run.ctx.Err() == nil:
		o.chat.log.Warn("the outbox cannot be read", "error", err)
	}
	o.kick(run)
}

// errLaneLost: another process took over what was ours, since our claim had lapsed.
var errLaneLost = errors.New("another process took over the outbox")

// sync makes the registry and this run agree. journal.changing is held.
func (o *outbox) sync(ctx context.Context, run *outboxRun, reserve bool) error {
	j := run.journal
	now := time.Now()
	var found []*send
	res, err := j.claim(ctx, now, reserve)
	for err == nil {
		if res.lost {
			return errLaneLost
		}
		var list []*send
		list, err = o.adopt(ctx, run, res.adopted)
		found = append(found, list...)
		if err != nil || len(res.adopted) == 0 {
			break
		}
		// Once more, so that the next process, should this one die, reads no more than
		// what is left.
		res, err = j.claim(ctx, now, false)
	}
	var suspects map[string]int
	if err == nil {
		suspects, err = o.suspect(ctx, run, res.foreign)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	run.backlog = append(run.backlog, found...)
	run.unread = err != nil
	if err != nil {
		return err
	}
	run.opened, run.suspects = true, suspects
	if len(suspects) == 0 {
		o.load(run, now, res.rank)
	}
	return nil
}

// adopt reads the messages of lanes that were taken over.
func (o *outbox) adopt(ctx context.Context, run *outboxRun, lanes []lane) (found []*send, err error) {
	j := run.journal
	for _, l := range lanes {
		list, loadErr := j.load(ctx, l)
		if loadErr != nil {
			j.disown(l)
			err = loadErr
			continue
		}
		for _, e := range list {
			j.keep(e.at)
			sd := &send{at: e.at, rec: &record{}, kept: make(chan struct{}), done: make(chan struct{})}
			close(sd.kept)
			if unmarshal(e.raw, sd.rec) != nil || sd.rec.Version != 1 || sd.rec.Conversation <= 0 || sd.rec.GUID == "" {
				// It is left for a version that can read it.
				o.chat.log.Error("a message in the outbox cannot be read", "key", j.key(e.at))
				continue
			}
			found = append(found, sd)
		}
	}
	return found, err
}

// load hands the backlog to the engine, the older lanes first. mu is held.
func (o *outbox) load(run *outboxRun, now time.Time, rank map[string]int) {
	list := run.backlog
	run.backlog = nil
	slices.SortFunc(list, func(a, b *send) int {
		return cmp.Or(cmp.Compare(rank[a.at.lane], rank[b.at.lane]), cmp.Compare(a.at.n, b.at.n))
	})
	conversations := make([]int64, len(list))
	for i, sd := range list {
		conversations[i] = sd.rec.Conversation
	}
	for i, id := range run.queue.Load(now, conversations) {
		sd := list[i]
		sd.id = id
		run.sends[id] = sd
		if run.known[sd.key()] == nil {
			run.known[sd.key()] = sd
		}
		o.change(run, sd, SendQueued, nil)
	}
}

// watching reports whether messages may turn up that come before ours.
// outbox.mu is held.
func (run *outboxRun) watching() bool {
	return !run.opened || run.unread || len(run.suspects) > 0
}

// suspect returns the lanes that another process has claimed, but that may be what
// a crash left behind: those found at the beginning with messages in them, until
// they are renewed, emptied or taken over. Nothing is sent before that is known,
// since their messages come first.
func (o *outbox) suspect(ctx context.Context, run *outboxRun, foreign []lane) (map[string]int, error) {
	out := map[string]int{}
	for _, l := range foreign {
		n, known := run.suspects[l.ID]
		if !run.journal.stillborn(l) || run.opened && !known {
			continue
		}
		if known {
			used, err := run.journal.inUse(ctx, l)
			if err != nil {
				return nil, err
			}
			if !used {
				continue
			}
		} else {
			list, err := run.journal.load(ctx, l)
			if err != nil {
				return nil, err
			}
			n = len(list)
		}
		if n > 0 {
			out[l.ID] = n
		}
	}
	return out, nil
}

// waiting counts the messages against the limit. outbox.mu is held.
func (run *outboxRun) waiting() int {
	n := run.queue.Len() + len(run.backlog)
	for _, m := range run.suspects {
		n += m
	}
	return n
}
