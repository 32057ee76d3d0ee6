package chat

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/internal/receive"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// Subscription is a running stream.
type Subscription struct{ pusher *receive.Pusher }

// Stop ends the stream. A call of its function that is running, or just beginning, is
// the last one. Stop does not wait for it, so it may be called from inside one; wait
// for Done if that matters. Stopping again does nothing.
func (s *Subscription) Stop() { s.pusher.Stop(nil) }

// Done returns a channel that is closed when the stream has ended and its function
// has returned.
func (s *Subscription) Done() <-chan struct{} { return s.pusher.Done() }

// Err says why the stream ended: nil after Stop or while it runs, the context's
// cause, [ErrClosed], [ErrNotLoggedIn] after a logout, a [*PanicError],
// [ErrUnauthorized] when the server takes neither the token nor a new login, or
// [ErrContactNotFound] when the user's contact was deleted.
func (s *Subscription) Err() (err error) {
	defer wrap("stream", &err)
	return s.pusher.Err()
}

// PanicError says that a function of the caller's panicked, such as that of a stream or
// consumer. Its text has the value if that is an error, such as a [runtime.Error]; any
// other value, which may be a message, shows its type only. The log of the SDK also has a
// value that is a text, number or [fmt.Stringer], without the body of the message that
// the function was handling.
type PanicError struct {
	Value any
	Stack []byte

	whose string // function it was; "" for that of a stream
	shown string // the value in the log, "" if the text has it or it is not shown
}

func (e *PanicError) Error() string {
	text := fmt.Sprintf("%s panicked with a %T", cmp.Or(e.whose, "stream function"), e.Value)
	if err, ok := e.Value.(error); ok {
		text += fmt.Sprintf(": %v", err)
	}
	return text
}

// Unwrap returns the value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// Format writes Error for every verb.
func (e *PanicError) Format(f fmt.State, _ rune) { io.WriteString(f, e.Error()) } //nolint:errcheck // as fmt itself

// MarshalText is Error, for encoders such as encoding/json.
func (e *PanicError) MarshalText() ([]byte, error) { return []byte(e.Error()), nil }

// GapKind says what a [Gap] is about.
type GapKind uint8

const (
	// GapHistory: older messages of a conversation joined later, or that wrong answers
	// hid. [Chat.Fill] reads them; of a conversation of exactly 200 there are none.
	GapHistory GapKind = iota + 1
	// GapUnreadable: one message that exists but is too large, too deep or has too many
	// values to be read, see [datasource.ErrRowLimit]. Once it is made smaller it comes
	// as an update.
	GapUnreadable
)

// String is a word for the kind.
func (k GapKind) String() string {
	switch k {
	case GapHistory:
		return "history"
	case GapUnreadable:
		return "unreadable"
	}
	return fmt.Sprintf("GapKind(%d)", uint8(k))
}

// Gap is something that a stream could not deliver. [OnGap] reports it.
type Gap struct {
	// Kind says what is missing.
	Kind           GapKind
	ConversationID int64
	// MessageID is the message of a GapUnreadable, else 0.
	MessageID int64
	// Before: messages created before this time were not delivered, nor those of this
	// very time with an id lower than BeforeID. Zero for a GapUnreadable.
	Before   time.Time
	BeforeID int64
	// Reason is a text for people.
	Reason string
}

func (g Gap) String() string {
	if g.Kind == GapUnreadable {
		return fmt.Sprintf("gap in conversation %d, message %d: %s", g.ConversationID, g.MessageID, g.Reason)
	}
	return fmt.Sprintf("gap in conversation %d before %s: %s", g.ConversationID, wire.Timestamp(g.Before), g.Reason)
}

// Stream calls fn with every message of the user's conversations: first the newest
// 200, oldest first, then each new, changed or deleted one when a poll finds it.
//
// New messages of a conversation come in (createdAt, id) order, changes in the
// order in which they happened, each version once. A message that was edited before
// the stream first saw it is new, not an update. Calls of one fn do not overlap. A
// slow fn does not delay other streams; it gets later what it missed. What cannot be
// delivered is reported to [OnGap], and what fails to [OnError]. A panic of fn ends its
// stream only.
//
// fn may call anything of this package, Stop and Close included. The stream lasts
// until Stop, the end of ctx, a logout, Close or Shutdown.
//
// The first stream starts polling, by default 2 s after something happened, growing
// to 20 s, and to 2 min when nothing has happened for half an hour; see [Options].
// After a send the next poll comes soon. All streams share the polls.
//
// With [Offline] the cached messages of the last session are delivered first.
//
// Errors: [ErrInvalid] for a nil fn; [ErrNotLoggedIn]; [ErrClosed].
func (c *Chat) Stream(ctx context.Context, fn func(*Message), opts ...StreamOption) (_ *Subscription, err error) {
	defer wrap("stream", &err)
	if fn == nil {
		return nil, invalid("fn: nil; give a function that takes the messages")
	}
	o := chosen(callOptions{}, opts, StreamOption.applyStream)
	if err := o.from.check(); err != nil {
		return nil, err
	}
	inside, s, end, err := c.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	if s, err = c.listening(s, o.filters, o.offline); err != nil {
		return nil, err
	}
	t := c.teller(s, o.onError)
	f := &streamFunc{chat: c, session: s, fn: fn, onGap: o.onGap, noMarks: o.noMarks, onError: o.onError, teller: t}
	pusher, err := s.receiver.Push(ctx, f, c.listenFrom(inside, s, o, t))
	if err != nil {
		s.watch.leave()
		return nil, err
	}
	return &Subscription{pusher}, nil
}

// streamFunc calls the function of a stream. It holds the next message or gap.
type streamFunc struct {
	chat    *Chat
	session *session
	fn      func(*Message)
	onGap   func(Gap)
	noMarks bool
	onError func(error)
	teller  *receive.Teller

	message *Message
	gap     *Gap
}

func (f *streamFunc) Prepare(ctx context.Context, e feed.Event, shared bool) bool {
	if f.gap = gapOf(&e); f.gap != nil {
		return true
	}
	if f.noMarks {
		var ok bool
		if e, ok = e.Without(feed.PartSet(ChangedReaders)); !ok {
			return false
		}
	}
	f.message = f.chat.received(ctx, f.session, &e, shared)
	return f.message != nil
}

func (f *streamFunc) Handle() error {
	m, g := f.message, f.gap
	f.message, f.gap = nil, nil
	err := guarded("stream function", m, func() error {
		if g != nil {
			f.chat.reportGap(*g, f.onGap)
		} else {
			f.fn(m)
		}
		return nil
	})
	if err != nil {
		f.chat.logFailure(slog.LevelWarn, f.onError, "a stream's function failed", err)
		f.teller.Tell(failure("stream", err), true)
	}
	return err
}

// guarded calls a function of the user's, and turns a panic into an error. m is the
// message that it handles, nil if there is none.
func guarded(whose string, m *Message, fn func() error) (err error) {
	body := ""
	if m != nil {
		body = m.Body
	}
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Value: v, Stack: debug.Stack(), whose: whose, shown: receive.Shown(v, body)}
		}
	}()
	return fn()
}

// gapOf is the gap of an event, nil if it has a message.
func gapOf(e *feed.Event) *Gap {
	switch g := e.Gap; {
	case g == nil:
		return nil
	case g.Row == 0:
		return &Gap{
			Kind: GapHistory, ConversationID: g.Conversation, Reason: g.Reason,
			Before: time.UnixMicro(int64(g.Before.Time)).UTC(), BeforeID: g.Before.ID,
		}
	default:
		row := e.Row.Payload.(*datasource.Entry)
		return &Gap{Kind: GapUnreadable, ConversationID: g.Conversation, MessageID: g.Row, Reason: unreadable(row).Error()}
	}
}

// reportGap calls the function of OnGap, or logs the gap.
func (c *Chat) reportGap(g Gap, fn func(Gap)) {
	if fn == nil {
		c.alarm(false).Warn("a stream has a gap", "conversation", g.ConversationID, "message", g.MessageID, "reason", g.Reason)
		return
	}
	fn(g)
}

// Events is [Chat.Stream] for range loops: it yields the same messages in the same
// order, one at a time, to the goroutine that ranges over it.
//
//	for m, err := range c.Events(ctx) {
//		if err != nil {
//			return err
//		}
//		…
//	}
//
// Each loop is a stream of its own that begins with the newest 200 messages and
// ends with the loop. A slow loop body does not delay other streams; it gets later
// what it missed. The body may call anything of this package, Close included.
//
// An error ends the loop and comes with a nil message: the context's cause,
// [ErrNotLoggedIn] before a login or after a logout, [ErrClosed], [ErrUnauthorized] and
// [ErrContactNotFound] as in [Subscription.Err]. Polls that fail do not end it: see
// [OnError].
func (c *Chat) Events(ctx context.Context, opts ...StreamOption) iter.Seq2[*Message, error] {
	return func(yield func(*Message, error) bool) {
		if err := c.events(ctx, opts, func(m *Message) bool { return yield(m, nil) }); err != nil {
			wrap("events", &err)
			yield(nil, err)
		}
	}
}

// events runs one loop; yield reports whether to go on.
func (c *Chat) events(ctx context.Context, opts []StreamOption, yield func(*Message) bool) error {
	o := chosen(callOptions{}, opts, StreamOption.applyStream)
	if err := o.from.check(); err != nil {
		return err
	}
	inside, s, end, err := c.enter(ctx)
	if err != nil {
		return err
	}
	if s, err = c.listening(s, o.filters, o.offline); err != nil {
		end()
		return err
	}
	from := c.listenFrom(inside, s, o, c.teller(s, o.onError))
	end() // Shutdown does not wait for the loop body
	rd, err := s.receiver.Read(ctx, from)
	if err != nil {
		s.watch.leave()
		return err
	}
	defer rd.Close()
	e, err := rd.Next(ctx)
	for err == nil {
		var m *Message
		if m, err = c.prepare(rd, s, e, &o); err != nil {
			break
		}
		if m != nil {
			rd.Begin(e)
			if !yield(m) {
				return nil
			}
		}
		e, err = rd.AckNext(ctx)
	}
	return err
}

// prepare makes the message of a loop's next step, or reports the gap that it is. It
// is a call of its own, so that Shutdown waits for it.
func (c *Chat) prepare(rd *receive.Reader, s *session, e *feed.Event, o *callOptions) (*Message, error) {
	// The reader's context ends with the Chat: a message needs none of its own.
	ctx := rd.Context()
	switch {
	case ctx.Err() != nil:
		return nil, cmp.Or(rd.Stopped(), context.Cause(ctx))
	case !c.calls.Enter() && !c.mayFinish(ctx):
		return nil, cmp.Or(rd.Stopped(), ErrClosed)
	}
	defer c.calls.Leave()
	if g := gapOf(e); g != nil {
		rd.Begin(e)
		c.reportGap(*g, o.onGap)
		return nil, rd.Stopped()
	}
	if o.noMarks {
		unmarked, ok := e.Without(feed.PartSet(ChangedReaders))
		if !ok {
			return nil, rd.Stopped()
		}
		e = &unmarked
	}
	return c.received(ctx, s, e, rd.Shared()), rd.Stopped()
}
