package chat

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/envelope"
	"github.com/fliplet/fliplet-chat-go/internal/outbox"
	"github.com/fliplet/fliplet-chat-go/internal/rows"
	"github.com/fliplet/fliplet-chat-go/internal/upload"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// Draft is a message to send.
type Draft struct {
	// Body is the text, UTF-8. It may be empty only beside Files or Data.
	Body string
	// Files are attachments. With content to upload among them the row is sent as a
	// form, which knows text only, and a second request then gives the other columns
	// their types back. Whoever reads the row between the two sees text, and later an
	// update. Should the second request fail, the columns stay text.
	Files []File
	// Progress is called while content is uploaded, on another goroutine, one call
	// at a time; total is -1 when a Reader's size is unknown. A repeated attempt
	// begins at 0.
	Progress func(sent, total int64)
	// GUID identifies the message for whoever sends it; default a new UUID. Send
	// the same GUID again, a few seconds after a failure that [datasource.Doubtful]
	// reports: it is looked up first, and if the first try was stored, nothing is
	// stored twice. Options.Outbox does that by itself. What is found counts only if it
	// is this draft: the same sender, body, columns and files, and what is sealed opens
	// under this Chat's own protection. A row whose columns somebody has changed since
	// is found by an authenticated body only. In plain text others can write such a row.
	GUID string
	// Data holds custom columns, stored as they are. The columns of a message
	// itself (body, file, guid, fromUserId) are refused, and what could be taken for them.
	Data M
}

// Message sends a message and returns it as stored. Every stream of the
// conversation's members gets it with a poll, those of this Chat soon.
//
// The write is never repeated after a failure that leaves open whether it was
// stored, also a refusal that is not [datasource.Error.Coded]: the message is looked up by
// its GUID first; if the look-up fails, too, or finds nothing, the error is one that
// [datasource.Doubtful] reports. Only after a 403 and a new login is it sent once more when
// nothing was found. A success counts only when the answer holds the message.
//
// With Options.Outbox the message is stored in Storage first and sent for as long
// as it takes. Message waits for that; when ctx or the Chat ends before, the error
// matches [ErrQueued], and the message is sent nevertheless. When too many wait
// already it is refused with [ErrOutboxFull].
//
// Errors: [ErrInvalid] for an empty message or an unusable column, before any
// request, and, with [datasource.ErrRowLimit], for one that could not be read again:
// see [datasource.Client.CheckLimits]; [ErrNotFound]; [ErrNotLoggedIn]; [ErrClosed].
func (c *Chat) Message(ctx context.Context, conversationID int64, d Draft) (_ *Message, err error) {
	defer wrap("send", &err)
	if err := c.checkDraft(conversationID, &d); err != nil {
		return nil, c.refused(conversationID, d.GUID, err)
	}
	ctx, s, end, err := c.enter(ctx)
	if err != nil {
		return nil, c.refused(conversationID, d.GUID, err)
	}
	defer end()
	ctx = datasource.InClass(ctx, datasource.ClassSend) // with what it has to read
	send := c.attempt
	if s.outbox != nil {
		send = c.deliver
	}
	row, err := send(ctx, s, conversationID, d)
	if err != nil {
		return nil, err
	}
	return c.message(ctx, row, s.userID, false), nil
}

// attempt is Message without an outbox: one attempt, and a look-up when it is in
// doubt.
func (c *Chat) attempt(ctx context.Context, s *session, conversationID int64, d Draft) (*datasource.Entry, error) {
	if err := s.roster.Check(ctx, conversationID); err != nil {
		return nil, err
	}
	write, err := c.compose(ctx, s, conversationID, d)
	if err != nil {
		return nil, err
	}
	if d.GUID != "" { // it may be sent again
		if row, err := c.storedSend(ctx, conversationID, write); err != nil || row != nil {
			return row, err
		}
	}
	row, err := c.transmit(ctx, s, conversationID, write)
	absent := true
	if datasource.Doubtful(err) {
		stored, lookErr := c.storedSend(datasource.AskAgain(ctx), conversationID, write)
		absent = lookErr == nil && stored == nil
		passed, _ := errors.AsType[*passedOnError](err)
		switch {
		case lookErr != nil:
		case stored != nil:
			row, err = stored, nil
		case passed != nil && passed.held && upload.Rewind(write.Files):
			if row, err = c.transmit(ctx, s, conversationID, write); err != nil {
				err = &passedOnError{error: err} // the first one may still turn up
			}
		}
	}
	if renewal, ok := errors.AsType[*renewalError](err); ok {
		renewal.again = absent && upload.Rewind(write.Files)
	}
	if err == nil {
		s.receiver.Poke()
	}
	return row, err
}

// transmit inserts a row, once, or twice when a new login repairs the first
// attempt. It returns the row as stored.
func (c *Chat) transmit(ctx context.Context, s *session, conversationID int64, write datasource.Write) (row *datasource.Entry, err error) {
	ctx, end := c.told.Begin(ctx, conversationID, wire.Text(write.Data[wire.GUID]))
	err = outbox.ErrExited // unless it returns
	defer func() { end(err) }()
	var failed error
	held := false
	err = c.authorized(ctx, s, func(token string) error {
		if held = failed != nil && (outbox.PassedOn(failed) || !upload.Rewind(write.Files)); held { // a Reader cannot be sent twice
			return failed
		}
		write.Params = s.author.Params(s.userID, token)
		row, failed = c.client.InsertEntry(ctx, conversationID, write)
		return failed
	})
	if err != nil && outbox.PassedOn(failed) { // whatever the new login has met
		err = &passedOnError{err, held}
	}
	if err != nil {
		return nil, missing(err, "conversation", conversationID)
	}
	if wire.Text(row.Data[wire.GUID]) != wire.Text(write.Data[wire.GUID]) {
		return nil, outbox.ErrUnconfirmed // no columns, or those of another message, which may be nobody's business
	}
	row.DataSourceID = conversationID
	c.app.sent(conversationID)
	return c.restoreTypes(ctx, write, row), nil
}

// passedOnError is the failure of a message that was refused in another form than the
// server's. Whoever did may have passed it on before. held: it was not repeated after a new login.
type passedOnError struct {
	error
	held bool
}

func (e *passedOnError) Unwrap() error    { return e.error }
func (*passedOnError) MayBeApplied() bool { return true }

// restoreTypes stores the columns of an uploaded row again that the form has turned
// into text. The message is sent by then, so a failure leaves text, which readers take.
func (c *Chat) restoreTypes(ctx context.Context, write datasource.Write, row *datasource.Entry) *datasource.Entry {
	if len(write.Files) == 0 || row.ID == 0 {
		return row
	}
	patch := upload.Retype(write.Data, row.Data)
	if len(patch) == 0 {
		return row
	}
	typed, err := c.client.Update(ctx, row.DataSourceID, row.ID, patch)
	if err != nil {
		c.log.Warn("columns of a message with files stay text", "conversation", row.DataSourceID, "message", row.ID, "error", err)
		return row
	}
	typed.ID, typed.DataSourceID = row.ID, row.DataSourceID
	return typed
}

// renewalError is what a new login met, as opposed to what a message met. again: the message is
// not there, and may be sent by whom its sender's query finds now.
type renewalError struct {
	err   error
	again bool
}

func (e *renewalError) Error() string { return e.err.Error() }
func (e *renewalError) Unwrap() error { return e.err }

// storedSend looks a send up by its guid: the row with the lowest id that holds what
// was to be written, nil if there is none. Others can write a row of the same guid.
func (c *Chat) storedSend(ctx context.Context, conversationID int64, write datasource.Write) (*datasource.Entry, error) {
	at := bindingOf(conversationID, write.Data)
	row, err := rows.LookUp(ctx, c.client, conversationID, write, func(row *datasource.Entry) (same, proven bool) {
		same, proven = c.bodies.Same(ctx, at, row.Data[wire.Body], write.Data[wire.Body], nil)
		if list := write.Data[wire.SealedFiles]; same && !proven && list != nil {
			return c.bodies.Same(ctx, filesBinding(row), row.Data[wire.SealedFiles], list, upload.Alike)
		}
		return same, proven
	})
	if err != nil {
		return nil, missing(err, "conversation", conversationID)
	}
	if row != nil {
		row = c.restoreTypes(ctx, write, row)
	}
	return row, nil
}

// compose makes the row of a draft. The draft is not changed.
func (c *Chat) compose(ctx context.Context, s *session, conversationID int64, d Draft) (datasource.Write, error) {
	row := wire.CloneMap(d.Data)
	if row == nil {
		row = M{}
	}
	guid := d.GUID
	if guid == "" {
		guid = wire.NewGUID()
	}
	at := envelope.Binding{ConversationID: conversationID, GUID: guid, Sender: s.userID}
	body, err := c.bodies.Seal(ctx, at, d.Body)
	if err != nil {
		return datasource.Write{}, err
	}
	row[wire.Body], row[wire.GUID] = body, guid
	s.author.Sign(row, s.userID, *s.token.Load())
	if _, ok := row[wire.Conversation]; !ok {
		row[wire.Conversation] = conversationID
	}
	write, err := c.attach(ctx, conversationID, row, &d)
	if err == nil && (len(d.Data) > 0 || largeDraft(len(body), d.Files)) {
		if err = c.client.CheckLimits(write.Data); err != nil {
			err = fmt.Errorf("what is stored of the Draft: %w", err) // of what the server told
		}
	}
	return write, err
}

// Format prints the draft without its content.
func (d Draft) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "draft of %d bytes with %d files", len(d.Body), len(d.Files))
}

// judge says what a failure means for a message that waits. What a new login met was not
// said of the message.
func judge(err error) outbox.Verdict {
	if _, login := errors.AsType[*renewalError](err); login {
		return outbox.Passing
	}
	if _, answer := errors.AsType[*datasource.Error](err); !answer && errors.Is(err, ErrNotFound) {
		return outbox.Refused // the user is not a member
	}
	return outbox.Judge(err)
}

// gone makes sure of a 404, which may be that of somebody on the way: when the list of the
// user's conversations lacks this one, and its own data source says so, too, the user is not in
// it. What is in doubt is looked up first.
func (c *Chat) gone(ctx context.Context, s *session, conversationID int64, err error) error {
	if answer, ok := errors.AsType[*datasource.Error](err); !ok || answer.StatusCode != http.StatusNotFound || datasource.Doubtful(err) {
		return err
	}
	list, failed := c.memberships(ctx, s)
	if failed != nil || len(list) == 0 || slices.ContainsFunc(list, func(d datasource.DataSource) bool { return d.ID == conversationID }) {
		return err
	}
	if d, failed := c.freshDefinition(ctx, conversationID); failed != nil && !errors.Is(failed, ErrNotFound) || failed == nil && d.Has(s.userID) {
		return err
	}
	return fmt.Errorf("conversation %d: %w", conversationID, ErrNotFound)
}

// askedToWait is how long the server asked to be left alone.
func askedToWait(err error) time.Duration {
	if refused, ok := errors.AsType[*datasource.Error](err); ok && errors.Is(err, datasource.ErrRateLimited) {
		return refused.RetryAfter
	}
	return 0
}
