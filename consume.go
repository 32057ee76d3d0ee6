package chat

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/internal/receive"
	"github.com/fliplet/fliplet-chat-go/internal/rows"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// ConsumeOption changes a [Chat.Consume]: [StartAt], [Parallel], [Batch], [PerConversation],
// [MaxAttempts], [DeadLetter], [RetryBackoff], [OnGap], [OnError], [WithoutReadMarks], [UntilDone].
type ConsumeOption interface{ applyConsume(*consumeOptions) }

// consumeOptions are the options of one Consume together.
type consumeOptions struct {
	from        From
	filters     []FilterOption
	onGap       func(Gap)
	noMarks     bool
	onError     func(error)
	parallel    int
	batch       int
	policy      Policy
	maxAttempts int
	deadLetter  func(context.Context, *Message, error) error
	minBackoff  time.Duration
	maxBackoff  time.Duration
	untilDone   bool
	err         error // of the first unusable option
}

func (o *consumeOptions) refuse(format string, args ...any) {
	if o.err == nil {
		o.err = invalid(format, args...)
	}
}

type consumeOption func(*consumeOptions)

func (f consumeOption) applyConsume(o *consumeOptions) { f(o) }

// maxParallel bounds [Parallel].
const maxParallel = 1000

// Parallel lets [Chat.Consume] handle messages of up to n conversations at the same
// time. Messages of one conversation are never handled at the same time. Default 1; at
// most 1,000.
func Parallel(n int) ConsumeOption {
	return consumeOption(func(o *consumeOptions) {
		if n <= 0 || n > maxParallel {
			o.refuse("Parallel: %d; give a number from 1 to %d, or leave it out", n, maxParallel)
		}
		o.parallel = n
	})
}

// maxBatch bounds [Batch].
const maxBatch = 1000

// Batch lets [Chat.Consume] handle up to n messages that wait in one transaction, one after
// the other, each conversation in order; it waits for none. When one fails the transaction
// is undone: those of other messages are handled again, and that one waits for an attempt of
// its own. So what fn does outside the transaction may be done twice for n messages, rather
// than for one. Default 1; at most 1,000. More than 1 needs an Options.Storage that is a
// [storage.Transactional]: elsewhere it is an error that matches [ErrInvalid].
func Batch(n int) ConsumeOption {
	return consumeOption(func(o *consumeOptions) {
		if n <= 0 || n > maxBatch {
			o.refuse("Batch: %d; give a number from 1 to %d, or leave it out", n, maxBatch)
		}
		o.batch = n
	})
}

// Policy says which of the waiting messages of a conversation [Chat.Consume] handles:
// [Queue], [Latest] or a [Debounce].
type Policy time.Duration

const (
	// Queue: all of them, in order. The default.
	Queue Policy = iota
	// Latest: the newest. The older ones that wait are acknowledged without a call, also
	// one that failed before, and so are the changes and deletions among them. Of changes
	// after the newest message the newest is handled. A message that is changed while it
	// waits stays new; one that is deleted while it waits is not handled at all.
	Latest
)

// maxDebounce bounds [Debounce].
const maxDebounce = time.Hour

// Debounce is [Latest] for a conversation that has been quiet: the newest message is
// handled when no other has come for d, at the latest 10 times d after the first that
// waits. What counts is when messages arrive, which is when a poll finds them. From 1 ms
// to 1 h. After a restart the wait begins anew.
func Debounce(d time.Duration) Policy {
	if d < time.Millisecond {
		d = -1 // not one of the constants
	}
	return Policy(d)
}

// PerConversation sets what [Chat.Consume] does with messages of a conversation that
// wait for their turn. Default [Queue].
func PerConversation(p Policy) ConsumeOption {
	return consumeOption(func(o *consumeOptions) {
		if p != Queue && p != Latest && (p < Policy(time.Millisecond) || p > Policy(maxDebounce)) {
			o.refuse("PerConversation: give Queue, Latest, or Debounce with a time from 1ms to %v", maxDebounce)
		}
		o.policy = p
	})
}

func (p Policy) receive() receive.Policy {
	if p == Queue || p == Latest {
		return receive.Policy{Newest: p == Latest}
	}
	return receive.Policy{Quiet: time.Duration(p)}
}

// Permanent returns err marked as one that another attempt would meet again. If the
// function of [Chat.Consume] returns it, perhaps wrapped, the message goes to
// [DeadLetter] at once. Without DeadLetter, or when the function of DeadLetter returns
// it, the message is given up: it is logged at level Error with the ids of message and
// conversation and the text of err, told to [OnError] with both, and the next message
// follows. Permanent(nil) is nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return receive.Permanent(err)
}

// MaxAttempts is how often a message is handed to a failing function before it goes
// to [DeadLetter]. Default 10. A restart of the process begins the count anew. An
// outage is waited out: an attempt does not count, whatever its error, when the last poll
// has failed too. Nor does one whose error says that the server is down ([ErrOffline], or
// [datasource.Temporary]), except for a 500, which a server may answer to one message
// alone, nor one with [ErrQueued], whose message is in the outbox. Send with a
// [Draft.GUID] made from the message, so that another attempt queues no second one.
func MaxAttempts(n int) ConsumeOption {
	return consumeOption(func(o *consumeOptions) {
		if n <= 0 {
			o.refuse("MaxAttempts: %d; give a positive number, or leave it out", n)
		}
		o.maxAttempts = n
	})
}

// DeadLetter makes [Chat.Consume] call fn with a message that failed [MaxAttempts]
// times, not counting those in an outage, or with a [Permanent] error, and with the last
// error. If fn returns nil the
// message is done with; a Permanent error of fn gives it up, in the log and to [OnError];
// after any other it is tried again. Without DeadLetter a message that fails is tried for
// ever, unless the error is Permanent, and only its conversation waits for it: nothing is
// dropped silently. A [Gap] at which the function of [OnGap] panics is tried and given up in
// the same way, but not handed to fn.
func DeadLetter(fn func(ctx context.Context, m *Message, err error) error) ConsumeOption {
	return consumeOption(func(o *consumeOptions) {
		if fn == nil {
			o.refuse("DeadLetter: nil; give a function, or leave it out")
		}
		o.deadLetter = fn
	})
}

// maxRetryBackoff bounds [RetryBackoff].
const maxRetryBackoff = 24 * time.Hour

// RetryBackoff bounds the wait before a failed message is tried again. The wait
// doubles each time. Defaults: 1 s and 1 min.
func RetryBackoff(shortest, longest time.Duration) ConsumeOption {
	return consumeOption(func(o *consumeOptions) {
		if shortest <= 0 || longest < shortest || longest > maxRetryBackoff {
			o.refuse("RetryBackoff: %v to %v; give two positive times of at most %v, the shorter one first", shortest, longest, maxRetryBackoff)
		}
		o.minBackoff, o.maxBackoff = shortest, longest
	})
}

// UntilDone makes [Chat.Consume] return nil, and not the cause, when its context has ended: that
// somebody asked it to end is no failure.
func UntilDone() ConsumeOption { return consumeOption(func(o *consumeOptions) { o.untilDone = true }) }

// Consume hands every message of the user's conversations to fn, at least once,
// also across restarts: the position is kept in Options.Storage and moves only after
// fn returned nil. Where that is a [storage.Transactional], fn runs in the transaction that
// moves it: what fn writes there is there once for each message. Consume blocks until ctx
// ends, the user logs out or the Chat is closed, and returns why.
//
// Messages of a conversation come in the order of [Chat.Stream], one after the other;
// see [PerConversation] for others. Several conversations take turns, or are handled at
// the same time with [Parallel]; then all functions have to be safe for that. When fn
// fails or panics, it gets the same message again after a growing wait. Meanwhile the
// rest of its conversation waits, and other conversations go on. [MaxAttempts],
// [DeadLetter] and [Permanent] are for giving up, which an outage is no reason for.
// After a crash Consume resumes, in the
// same order, with the messages that fn had not finished.
//
// Memory is bounded: of a conversation that waits for long one message is kept, and the
// rest is read again later, in about one request for 200 messages. That is done for up
// to 1,000 conversations. When every message fails, Consume waits, and reads no more.
//
// The position costs one write of about 100 bytes a message, and less when several are
// done with at once. Now and then, and when the user joins a conversation, it is
// written as a whole: some kilobytes, or 36 bytes for each message of the last seconds.
// While nothing comes only a small lease is written, every 5 seconds. The cache of the
// Chat comes besides: its list of conversations when that changes, its newest messages.
//
// fn's context ends with Consume and when the Chat is closed. If fn returns nil
// after that, its message is acknowledged all the same. [Chat.Shutdown] waits for
// fn, which may make calls with its context until it returns.
//
// Several consumers may share a user, a name and a store, and with them one
// position. One of them receives; the others stand by. One takes over when it stops,
// or within half a minute when its process dies or is suspended. What a suspended process
// writes when it goes on is refused, with a transaction, and it stands by then. So of n
// messages that it handles at the same time ([Parallel]) n may be handled twice, and no other.
//
// When Storage fails, or does not answer within 5 s, Consume asks again, at most 10 s
// later, for as long as it takes. Meanwhile nothing is handled: a message whose
// acknowledgement is not stored holds up the others, and none is left out. [OnError] is
// told every 5 to 15 s, and [Chat.Health] tells, too.
//
// What cannot be delivered is reported to [OnGap]. Every failure of fn is logged with its
// text, a panic with its stack, and told to [OnError] with the polls that fail;
// [Chat.Health] has the message that is being tried again. Positions are stored by API host,
// contacts data source, user and name.
//
// Errors: [ErrInvalid] for an empty name, a nil fn or an unusable option;
// [ErrNotLoggedIn]; [ErrClosed]; the context's cause; [ErrUnauthorized] and
// [ErrContactNotFound] as in [Subscription.Err]; a stored position that cannot be read,
// which names its key; storage.ErrWrongKey and storage.ErrTampered.
func (c *Chat) Consume(ctx context.Context, name string, fn func(context.Context, *Message) error, opts ...ConsumeOption) (err error) {
	defer wrap("consume", &err)
	if strings.TrimSpace(name) == "" || len(name) > 200 {
		return invalid("name: want 1 to 200 characters that name this consumer")
	}
	if fn == nil {
		return invalid("fn: nil; give a function that takes the messages")
	}
	o := chosen(consumeOptions{parallel: 1, maxAttempts: 10, minBackoff: time.Second, maxBackoff: time.Minute}, opts, ConsumeOption.applyConsume)
	if err := cmp.Or(o.err, o.from.check()); err != nil {
		return err
	}
	defer func(asked context.Context) {
		if o.untilDone && asked != nil && asked.Err() != nil {
			err = nil
		}
	}(ctx)
	ctx, s, end, err := c.enter(ctx)
	if err != nil {
		return err
	}
	defer end()
	running := s.consumers.Get() // an App has one list, and its listeners a session each
	if s, err = c.listening(s, o.filters, false); err != nil {
		return err
	}
	defer s.watch.leave()
	if _, ok := c.cache.Store().(storage.Transactional); o.batch > 1 && !ok {
		return invalid("Batch: Options.Storage is a %T, which has no transactions; give a storage.Transactional, such as sqlstore, or leave Batch out", c.cache.Store())
	}
	receiver, late, leave := c.durable(s)
	defer leave()
	t := c.teller(s, o.onError)
	h := &consumeFunc{chat: c, session: s, fn: fn, opts: o, teller: t}
	k := &receive.Consumer{
		Receiver: receiver, Store: c.cache.Store(), Key: c.cache.Key(s.userID, "consume/"+url.PathEscape(name)), Name: name,
		Start: o.from.start(), Parallel: o.parallel, Batch: o.batch, Policy: o.policy.receive(), Handle: h.handle, MaxAttempts: o.maxAttempts,
		MinBackoff: o.minBackoff, MaxBackoff: o.maxBackoff, OnError: pollFailed(t), Log: c.alarm(o.onError != nil),
		OnStorage: func(err error) { t.Tell(failure("consume", err), false) }, Undone: h.undone,
	}
	if c.app != nil && o.policy == Queue { // others do not handle all deletions
		k.Begins = func(told *receive.Told) { late(told) }
	}
	k.Outage = func(err error) bool { // it says nothing about the message: the server answers polls no better, or an answer waits in the outbox
		return errors.Is(err, ErrQueued) || s.receiver.Status().Failed > 0 || rows.Down(err, errors.Is(err, ErrOffline))
	}
	if o.noMarks {
		k.Ignore = func(e feed.Event) bool { _, wanted := e.Without(feed.PartSet(ChangedReaders)); return !wanted }
	}
	if o.deadLetter != nil {
		k.GiveUp = h.giveUp
	}
	h.consumer = k
	defer t.Stop()
	return running.Run(context.WithValue(ctx, consuming{}, c), k)
}

// consumeFunc calls the functions of one Consume.
type consumeFunc struct {
	chat     *Chat
	session  *session
	consumer *receive.Consumer
	fn       func(context.Context, *Message) error
	opts     consumeOptions
	teller   *receive.Teller
}

func (f *consumeFunc) handle(ctx context.Context, e feed.Event) error {
	if f.opts.noMarks {
		e, _ = e.Without(feed.PartSet(ChangedReaders))
	}
	var err error
	if g := gapOf(&e); g != nil {
		err = guarded("function of OnGap", nil, func() error { f.chat.reportGap(*g, f.opts.onGap); return nil })
	} else {
		err = f.call(ctx, e, "consumer's function", f.fn)
	}
	f.note(ctx, e, "a consumer's function failed", err, f.opts.deadLetter == nil)
	return err
}

func (f *consumeFunc) giveUp(ctx context.Context, e feed.Event, failed error) error {
	if e.Gap != nil { // there is no message to hand over
		err := receive.Permanent(failed)
		f.note(ctx, e, "the function of OnGap failed", err, true)
		return err
	}
	err := f.call(ctx, e, "function of DeadLetter", func(ctx context.Context, m *Message) error { return f.opts.deadLetter(ctx, m, failed) })
	f.note(ctx, e, "a dead letter was not taken", err, true)
	return err
}

// undone notes that the transaction of a message failed after its function.
func (f *consumeFunc) undone(ctx context.Context, e feed.Event, failed error) {
	f.note(ctx, e, "a message's transaction failed", failed, false)
}

// note logs and tells that a message failed, and remembers it until it does not. last: a
// permanent error gives it up.
func (f *consumeFunc) note(ctx context.Context, e feed.Event, what string, err error, last bool) {
	if err != nil && ctx.Err() != nil {
		return // it was interrupted
	}
	m := f.consumer.Failing.Note(e, err)
	if err == nil {
		return
	}
	level, told := slog.LevelWarn, fmt.Errorf("message %d, attempt %d: %w", m.Row, m.Attempts, err)
	if last && receive.IsPermanent(err) {
		level, what = slog.LevelError, what+": given up"
		told = fmt.Errorf("message %d of conversation %d is given up after attempt %d: %w", m.Row, m.Conversation, m.Attempts, err)
	}
	f.chat.logFailure(level, f.opts.onError, what, err, "name", f.consumer.Name, "conversation", m.Conversation, "message", m.Row, "attempt", m.Attempts)
	f.teller.Tell(failure("consume", told), false)
}

// call hands fn a new copy of the message, so that a failed attempt cannot change
// what the next one gets.
func (f *consumeFunc) call(ctx context.Context, e feed.Event, whose string, fn func(context.Context, *Message) error) error {
	m := f.chat.received(ctx, f.session, &e, true)
	if m == nil {
		return context.Cause(ctx)
	}
	return guarded(whose, m, func() error { return fn(ctx, m) })
}
