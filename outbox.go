package chat

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/outbox"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// OutboxOptions switch the outbox on; see [Options]. The zero value has defaults
// for everything.
//
// With an outbox [Chat.Message] stores a message in Options.Storage before the
// first attempt and sends it for as long as it takes: through outages, rate limits
// and, with a Storage that outlives the process, crashes. What may have been
// stored by the server is looked up by its GUID before it is inserted again, so a
// message is neither lost nor stored twice. Messages of one conversation arrive in
// the order in which they were accepted; one that cannot be sent yet holds back
// those behind it, and no other conversation.
//
// What waits belongs to a user: its keys in Storage hold the API host, the
// contacts data source and the flUserId. Bodies are stored as they go on the wire,
// which is sealed when the chat encrypts. Several processes may share a Storage:
// each sends what it accepted, under a claim that it renews every 5 s, and takes
// over what another left behind when that one has closed, or has not renewed its
// claim for 20 s and Settle, by the clocks of those who wait together. Meanwhile it sends
// what goes to other conversations. So processes that live for seconds only get on, too, if
// a life has room for a login and some requests: with 300 ms a request, lives below about
// 3 s store little or nothing. No two clocks need to agree. On a Storage that one process at a time has open, such
// as storage/boltstore, what a crash left behind is sent at once.
//
// A process that is suspended for longer, while others are at work, sends nothing when it
// goes on: it looks at its claim right before each attempt. Only a request that it was
// sending at that moment can still arrive, one for each conversation; if it does, and the
// message was sent by another process in between, it is stored twice, the second time
// out of its place, and streams leave the copy out. No other message is stored twice or
// overtaken by one that the same process accepted later for the same conversation.
//
// An outage is waited out for as long as it takes. A message fails, which OnChange is
// told and Options.Logger gets, and no longer holds back those behind it, when the security
// rules refuse it ([datasource.ErrAccessDenied]), or because the user is not in the
// conversation any more. Any other failure may be one of a proxy on the way, and is tried
// again: 400, 403, 404 or 422 with an error in JSON, three times in a row while look-ups are
// answered, or for ten minutes while these are refused, too, makes it fail, and so do
// MaxAttempts that were the message's own. Then it stays stored for you to decide: Pending
// lists it, Discard removes it, and Add with its GUID or the next login tries it again.
//
// A Storage that fails or hangs is asked again. Meanwhile nothing is accepted, and
// nothing sent: a message is accepted when it is stored, and an attempt needs a look at the
// claim. Limits: the server must show a stored row within Settle; the calls of Storage
// must not take longer than 5 s.
type OutboxOptions struct {
	// Limit is how many messages may wait, 1,000 by default. What an earlier process
	// left behind counts, but is never refused.
	Limit int
	// Settle is how long after a failed attempt its row may still become visible.
	// Before that, not finding it proves nothing. Default 5 s.
	Settle time.Duration
	// MaxAttempts is after how many attempts a message is given up that fail while the
	// server answers others. Default 40, which takes about five minutes if it answers at
	// once. Any failure of a request counts when another message of the user was stored
	// before the next attempt; no answer, a broken connection and 429 count only then. A
	// status that does not say that the server is unavailable, or a success without the
	// message, counts, too, when the server then answered, in the same conversation, that it
	// does not have the message. One that says so (408, 425, 502, 503, 504) counts a tenth
	// then, if no other conversation met one. In an outage nothing is answered or stored, so
	// nothing counts. A process that comes after this one begins to count anew.
	MaxAttempts int
	// OnChange is told what becomes of each message, in order and one call at a time.
	// When it is slow, steps in between are left out, never Stored or Failed. It runs
	// on a goroutine of its own and may call the Chat, also Close, which does not wait
	// for it. A panic in it is logged.
	OnChange func(SendChange)
}

// prepare checks the options. Package outbox has the defaults.
func (o OutboxOptions) prepare() (OutboxOptions, error) {
	var errs []error
	if o.Limit < 0 {
		errs = append(errs, invalid("Options.Outbox.Limit: %d is negative; 0 takes the default", o.Limit))
	}
	if o.Settle < 0 {
		errs = append(errs, invalid("Options.Outbox.Settle: %v is negative; 0 takes the default", o.Settle))
	}
	if o.MaxAttempts < 0 {
		errs = append(errs, invalid("Options.Outbox.MaxAttempts: %d is negative; 0 takes the default", o.MaxAttempts))
	}
	return o, errors.Join(errs...)
}

var (
	// ErrQueued: the message is stored in the outbox, but not sent yet. It will be,
	// by this process or by the one that logs the user in next; do not send it again.
	// So it is not [ErrOffline], also when the context's deadline ended the wait.
	ErrQueued = named(outbox.ErrQueued)
	// ErrOutboxFull: as many messages wait as OutboxOptions.Limit allows. This one was
	// not accepted.
	ErrOutboxFull = named(outbox.ErrFull)
)

// SendState is where a message in the outbox stands.
type SendState uint8

const (
	// SendQueued: it waits to be sent, for the first time or again.
	SendQueued SendState = iota
	// SendRunning: an attempt is under way, or the server is asked whether an earlier
	// one succeeded.
	SendRunning
	// SendStored: the server has it.
	SendStored
	// SendFailed: it was refused and taken out, or given up and kept; see [OutboxOptions].
	SendFailed
)

// String is a word for the state.
func (s SendState) String() string {
	switch s {
	case SendQueued:
		return "queued"
	case SendRunning:
		return "sending"
	case SendStored:
		return "stored"
	case SendFailed:
		return "failed"
	}
	return fmt.Sprintf("SendState(%d)", uint8(s))
}

// SendChange is what happened to a message in the outbox.
type SendChange struct {
	// GUID identifies the message, ConversationID is where it goes.
	GUID           string
	ConversationID int64
	// State is where it stands now.
	State SendState
	// Message is the message as stored, when it is. When it failed it is what could
	// not be sent, without an ID. nil otherwise.
	Message *Message
	// Err is why it failed, or why the last attempt did, when there is another one.
	Err error
	// Pending is how many messages of the user are left to send.
	Pending int
}

// PendingSend is a message that waits in the outbox.
type PendingSend struct {
	// GUID identifies the message, ConversationID is where it goes.
	GUID           string
	ConversationID int64
	// State is SendQueued, SendRunning or, of one that was given up and is kept, SendFailed.
	State SendState
	// QueuedAt is when it was accepted, by the clock of the process that did.
	QueuedAt time.Time
	// Attempts counts the requests of this process that failed, look-ups included,
	// and Err is what the last of them met. nil when none failed.
	Attempts int
	Err      error
	// NextTry is when it is tried again; zero when it only waits for its turn.
	NextTry time.Time
}

// Outbox is a handle on the messages that wait to be sent. Get it from
// [Chat.Outbox]. It is safe for concurrent use.
type Outbox struct{ chat *Chat }

// Format prints the kind of handle.
func (b Outbox) Format(f fmt.State, _ rune) { fmt.Fprint(f, "outbox of a ", b.chat.String()) }

// Outbox returns a handle; it makes no request. Its calls need Options.Outbox.
func (c *Chat) Outbox() Outbox { return Outbox{c} }

// Add accepts a message and returns its GUID once it is stored in Storage. It is
// sent in the background; OutboxOptions.OnChange tells how that ends. A draft
// whose GUID waits already in the same conversation is that message, not another
// one.
//
// The body is sealed here, so the conversation's key must be at hand: offline, the
// conversation must have been seen before. Files with content are stored along, a
// megabyte in all, and refused in chats that encrypt, since they would lie in
// Storage unsealed; a Reader is refused.
//
// Errors: those of [Chat.Message] for an unusable draft; [ErrOutboxFull];
// [ErrInvalid] when there is no outbox; what Storage said. When Storage failed in
// the middle, the message may have been accepted nevertheless.
func (b Outbox) Add(ctx context.Context, conversationID int64, d Draft) (guid string, err error) {
	defer func() { err = b.chat.refused(conversationID, d.GUID, err) }()
	defer wrap("queue message", &err)
	if err := b.chat.checkDraft(conversationID, &d); err != nil {
		return "", err
	}
	ctx, s, end, err := b.enter(ctx)
	if err != nil {
		return "", err
	}
	defer end()
	sending, err := b.chat.queue(ctx, s, conversationID, d)
	if err != nil {
		return "", err
	}
	return sending.GUID(), nil
}

// Len is how many messages are in Pending; 0 without an outbox or login.
func (b Outbox) Len() int { return len(b.Pending()) }

// Pending lists the messages of the user that are left to send, and those that were
// given up and are kept, in the order of acceptance. Those count that another process has left behind, also while it is not
// known yet whether it is dead; those of one that is known to run do not. It makes no
// request; nil without an outbox or login. [OutboxOwners] tells without a login.
func (b Outbox) Pending() []PendingSend {
	s := b.chat.current()
	if s == nil {
		return nil
	}
	waiting := s.outbox.Pending()
	if waiting == nil {
		return nil
	}
	out := make([]PendingSend, len(waiting))
	for i, w := range waiting {
		out[i] = PendingSend{
			GUID: w.GUID, ConversationID: w.Conversation, State: SendState(w.State), QueuedAt: w.QueuedAt,
			Attempts: w.Attempts, Err: failure("send", w.Err), NextTry: w.NextTry,
		}
	}
	return out
}

// Flush waits until nothing is left to send, which can take as long as an outage.
//
// Errors: the context's cause; [ErrNotLoggedIn]; [ErrClosed]; [ErrInvalid] when
// there is no outbox.
func (b Outbox) Flush(ctx context.Context) (err error) {
	defer wrap("flush outbox", &err)
	ctx, s, end, err := b.enter(ctx)
	if err != nil {
		return err
	}
	defer end()
	return s.outbox.Flush(ctx)
}

// Discard takes a message out that was not sent. It reports false for one that is
// not there any more, or whose attempt is under way. Whoever waits for it gets an
// error that matches context.Canceled. After an attempt whose outcome is unknown
// the server may have the message.
//
// Errors: [ErrNotLoggedIn]; [ErrClosed]; [ErrInvalid]; what Storage said.
func (b Outbox) Discard(ctx context.Context, conversationID int64, guid string) (_ bool, err error) {
	defer wrap("discard message", &err)
	ctx, s, end, err := b.enter(ctx)
	if err != nil {
		return false, err
	}
	defer end()
	return s.outbox.Discard(ctx, conversationID, guid)
}

// enter is Chat.enter for calls that need an outbox.
func (b Outbox) enter(ctx context.Context) (_ context.Context, s *session, end func(), err error) {
	if err := b.chat.made(); err != nil {
		return nil, nil, nil, err
	}
	if err := b.chat.needsOutbox(); err != nil {
		return nil, nil, nil, err
	}
	return b.chat.enter(ctx)
}

func (c *Chat) needsOutbox() error {
	if c.opts.Outbox == nil {
		return invalid("Options.Outbox: nil; set it to &chat.OutboxOptions{} to have an outbox")
	}
	return nil
}

// changeTimeout bounds what is read to tell OnChange of a message.
const changeTimeout = 15 * time.Second

// outboxOf returns the outbox of a new session, nil if there is to be none. It
// begins to send with Start.
func (c *Chat) outboxOf(s *session) *outbox.Outbox {
	if c.opts.Outbox == nil {
		return nil
	}
	cfg := outbox.Config{
		Store: c.cache.Store(), Key: c.cache.Key(s.userID, "outbox"), Log: c.log, Life: &c.work,
		Limit: c.opts.Outbox.Limit, Settle: c.opts.Outbox.Settle,
		Insert: func(ctx context.Context, r outbox.Record) (*datasource.Entry, error) {
			if err := s.roster.Check(ctx, r.Conversation); err != nil {
				return nil, err
			}
			row, err := c.transmit(ctx, s, r.Conversation, r.Write())
			return row, c.gone(ctx, s, r.Conversation, err)
		},
		LookUp: func(ctx context.Context, r outbox.Record) (*datasource.Entry, error) {
			row, err := c.storedSend(ctx, r.Conversation, r.Write())
			return row, c.gone(ctx, s, r.Conversation, err)
		},
		MaxAttempts: c.opts.Outbox.MaxAttempts,
		Judge:       judge, RetryAfter: askedToWait, Sent: s.receiver.Poke, Notifier: c.told.Notifier, Hooks: c.opts.Hooks,
	}
	if tell := c.opts.Outbox.OnChange; tell != nil {
		cfg.OnChange = func(ch outbox.Change) { tell(c.sendChange(s.userID, ch)) }
	}
	return outbox.New(cfg)
}

// queue accepts a message into the outbox.
func (c *Chat) queue(ctx context.Context, s *session, conversationID int64, d Draft) (*outbox.Sending, error) {
	// Without a network a conversation that is not known is checked at the first attempt.
	checking, end := context.WithTimeout(ctx, 5*time.Second) // a network may swallow requests
	defer end()
	if err := s.roster.Check(checking, conversationID); errors.Is(err, ErrNotFound) && judge(err) == outbox.Refused {
		return nil, err
	}
	write, err := c.compose(ctx, s, conversationID, d)
	if err != nil {
		return nil, err
	}
	rec, err := outbox.NewRecord(conversationID, write)
	if err != nil {
		return nil, invalid("Draft: %w", err)
	}
	return s.outbox.Add(ctx, rec, d.GUID != "")
}

// deliver is Message through the outbox: it waits for the outcome.
func (c *Chat) deliver(ctx context.Context, s *session, conversationID int64, d Draft) (*datasource.Entry, error) {
	sending, err := c.queue(ctx, s, conversationID, d)
	if err != nil {
		return nil, c.refused(conversationID, d.GUID, err)
	}
	select {
	case <-sending.Done():
	default:
		select {
		case <-sending.Done():
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", ErrQueued, context.Cause(ctx))
		}
	}
	row, err := sending.Result()
	if err != nil {
		return nil, err
	}
	own := *row
	own.Data = wire.CloneMap(row.Data)
	return &own, nil
}

// sendChange is a change as OnChange is told it.
func (c *Chat) sendChange(userID string, ch outbox.Change) SendChange {
	ctx, cancel := context.WithTimeout(context.Background(), changeTimeout)
	defer cancel()
	out := SendChange{
		GUID: ch.Record.GUID, ConversationID: ch.Record.Conversation, State: SendState(ch.State), Err: failure("send", ch.Err), Pending: ch.Pending,
	}
	switch ch.State {
	case outbox.Stored:
		row := *ch.Row
		row.Data = wire.CloneMap(row.Data)
		out.Message = c.message(ctx, &row, userID, false)
	case outbox.Failed:
		at := ch.Record.QueuedAt.Truncate(time.Millisecond)
		out.Message = c.message(ctx, &datasource.Entry{
			DataSourceID: ch.Record.Conversation, Data: wire.CloneMap(ch.Record.Data), CreatedAt: at, UpdatedAt: at,
		}, userID, false)
	}
	return out
}

// refused tells the hooks of a message that is not accepted, and returns why.
func (c *Chat) refused(conversationID int64, guid string, err error) error {
	if err == nil || c.made() != nil {
		return err
	}
	return c.told.Tell(conversationID, guid, err)
}
