package chat

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/bodies"
	"github.com/fliplet/fliplet-chat-go/internal/envelope"
	"github.com/fliplet/fliplet-chat-go/internal/rows"
	"github.com/fliplet/fliplet-chat-go/internal/upload"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// Message is one message as the user sees it. Every call and every stream gets a copy
// of its own.
type Message struct {
	// ID is the row's id, ConversationID the conversation's data source.
	ID, ConversationID int64
	// GUID is the sender's id for the message, the same when a send is repeated.
	GUID string
	// Body is the decrypted text; "" for a message with attachments only. When Err is
	// set it is as stored, or "" with Options.MinProtection.
	Body string
	// FromUserID is the flUserId of the sender.
	FromUserID string
	// ReadBy are the flUserIds of those who have read the message, the sender first.
	ReadBy []string
	// Files are the URLs of the attachments.
	Files []string
	// Data holds every column, with the body decrypted. Numbers are json.Number.
	Data M
	// Extra holds what a [Query] adds to the row: "joins", or the fields of an aggregate,
	// whose rows have nothing else. JSON leaves it out.
	Extra M
	// CreatedAt and UpdatedAt are the server's times, UTC with milliseconds.
	CreatedAt, UpdatedAt time.Time
	// DeletedAt is set on a tombstone, whose other fields may be empty.
	DeletedAt *time.Time
	// IsReadByCurrentUser: the user is in ReadBy.
	IsReadByCurrentUser bool
	// IsUpdate: the stream has delivered this message before, or the message belongs to
	// history that the stream never loaded. Check IsDeleted first.
	IsUpdate bool
	// IsDeleted: the message was deleted.
	IsDeleted bool
	// IsHistory: a new message that was created before the stream began, as far as the
	// first reading shows it, or before the user joined the conversation.
	IsHistory bool
	// IsReplay: the message is of the newest page that [Reset] asked for, which every
	// listener gets, whether or not it has had the message, or acknowledged it.
	IsReplay bool
	// Change says what an update has changed. It is empty for messages that are no
	// updates, and has all parts when the stream does not know the version before: it
	// remembers the 16,384 newest messages since it began.
	Change Change
	// Protection says how well the stored body was protected, as far as that was verified.
	// It is Plain for an empty body, and for one that does not open, which has an Err. A
	// body that is withheld has the protection that it claims, and one that opens in the
	// copy of another message's row has what was verified.
	Protection Protection
	// Err says why Body is not the text. It matches [ErrUnreadable] and the reason,
	// such as [ErrWrongKey], [ErrTampered] or [datasource.ErrRowLimit]; with the last,
	// only the ids and times are known. nil if Body is the text. With a Cipher it also
	// says that the sealed list of files does not belong to a message without text.
	Err error
}

// message makes the message of a row as a user sees it, and keeps the row's data. ordinary: see [rows.Row].
func (c *Chat) message(ctx context.Context, row *datasource.Entry, userID string, ordinary bool) *Message {
	m := decode(ctx, &c.bodies, row, userID, ordinary)
	if c.opts.FileKeysInURLs && !ordinary && (row.Err == nil || m.IsDeleted) && wire.Bool(m.Data[wire.PrivateMedia]) {
		c.showFileKeys(ctx, m)
	}
	return m
}

// decode makes the message of a row, whose data it keeps.
func decode(ctx context.Context, b *bodies.Bodies, row *datasource.Entry, userID string, ordinary bool) *Message {
	data := row.Data
	if data == nil {
		data = M{}
	}
	m, readers := wire.WithRoom[Message]()
	m.ID, m.ConversationID, m.Data, m.ReadBy = row.ID, row.DataSourceID, data, readers
	m.CreatedAt, m.UpdatedAt, m.DeletedAt = row.CreatedAt, row.UpdatedAt, row.DeletedAt
	if !ordinary {
		delete(data, wire.FileSchema) // it holds a key, in case a server stores it
		m.IsDeleted = rows.Deleted(row)
	}
	stored := m.readColumns(ordinary)
	m.IsReadByCurrentUser = slices.Contains(m.ReadBy, userID)
	if row.Err != nil && !m.IsDeleted {
		b.Holds(row.ID, envelope.Binding{}, false)
		m.Err = &Error{Op: "read message", Err: unreadable(row)}
		return m
	}
	openBody(ctx, b, m, row, stored)
	return m
}

// readColumns sets the fields that columns have, and returns the stored body.
func (m *Message) readColumns(ordinary bool) (body any) {
	body = m.Data[wire.Body]
	m.GUID, m.Body, m.FromUserID = wire.Text(m.Data[wire.GUID]), wire.Text(body), wire.Text(m.Data[wire.From])
	if m.ReadBy = wire.StringsIn(m.ReadBy[:0], m.Data[wire.ReadBy]); !ordinary {
		m.Files = wire.Strings(m.Data[wire.File])
	}
	return body
}

// openBody replaces the stored body of a message by its text, in whatever state the
// row is. Of a message without text the list of files is what shows that it is genuine.
func openBody(ctx context.Context, b *bodies.Bodies, m *Message, row *datasource.Entry, stored any) {
	at, op := envelope.Binding{ConversationID: row.DataSourceID, GUID: m.GUID, Sender: m.FromUserID}, "read body"
	body, had, err := b.Open(ctx, at, stored)
	m.Protection = Protection(had)
	if err == nil && body == "" && b.Unsealed != nil && wire.Text(stored) == "" && m.Data[wire.SealedFiles] != nil {
		_, had, err = openFiles(ctx, b, row)
		op, stored = "read files", m.Data[wire.SealedFiles]
	}
	opened := err == nil
	if err = b.Settle(at, stored, m.ID, m.IsDeleted, had, err); err != nil {
		m.Err = &Error{Op: op, Err: err}
		if opened && op == "read body" {
			body = wire.Text(stored)
		}
	}
	if err != nil && b.Least > bodies.Plain {
		body = "" // others may have written it, and a screen may not look at Err
	}
	if m.Body = body; stored != body && (body != "" || err != nil && op == "read body") {
		m.Data[wire.Body] = body
	}
	if b.Least > bodies.Plain {
		bodies.Withhold(m.Data)
	}
}

// unreadable is the error of a row that breaks a limit.
func unreadable(row *datasource.Entry) error {
	return fmt.Errorf("%w: message %d: %w", ErrUnreadable, row.ID, row.Err)
}

// Format prints the message without its content.
func (m Message) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "message %d in conversation %d from %q", m.ID, m.ConversationID, m.FromUserID)
}

// UpdateMessage replaces the columns of a message that data has; the others stay.
// "body" is encrypted if this Chat encrypts. "guid", and "fromUserId" in version 2 of
// the format, cannot be changed where an authenticated body is sealed to them. The caller sets "isEdited". "file" takes
// URLs, which replace the list of attachments; only Message uploads files, so a Chat
// that encrypts refuses data URLs and whatever is not text. It returns the whole message.
//
// Errors: [ErrInvalid] for no columns, for one that could be taken for a message's own,
// such as "Body", and for more than can be read again, as in [Chat.Message];
// [ErrSealed]; [ErrNotFound]; [ErrNotLoggedIn]; [ErrClosed].
func (c *Chat) UpdateMessage(ctx context.Context, conversationID, messageID int64, data M) (_ *Message, err error) {
	defer wrap("update message", &err)
	if err := checkIDs(conversationID, messageID); err != nil {
		return nil, err
	}
	if len(data) == 0 {
		return nil, invalid("data: empty; give the columns to change")
	}
	if err := wire.CheckColumns(data); err != nil {
		return nil, invalid("data: %v", err)
	}
	if _, ok := data[wire.UserToken]; ok {
		return nil, invalid("data: column %q is a credential", wire.UserToken)
	}
	patch := wire.CloneMap(data)
	body, hasBody := patch[wire.Body]
	text, isText := body.(string)
	if hasBody && (!isText || !utf8.ValidString(text)) {
		return nil, invalid("data: column %q is not UTF-8 text", wire.Body)
	}
	if guid, ok := patch[wire.GUID].(string); ok && !utf8.ValidString(guid) {
		return nil, invalid("data: column %q is not UTF-8 text", wire.GUID)
	}
	if err := c.made(); err != nil {
		return nil, err
	}
	if err := upload.CheckURLs(patch[wire.File]); err != nil && c.opts.EncryptMessages {
		return nil, invalid("data: column %q %v", wire.File, err)
	}
	if err := c.checkPatch(patch, text); err != nil {
		return nil, err
	}
	ctx, s, end, err := c.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	if err := s.roster.Check(ctx, conversationID); err != nil {
		return nil, err
	}
	if err := c.storedURLs(ctx, conversationID, patch); err != nil {
		return nil, err
	}
	if err := c.sealPatch(ctx, conversationID, messageID, patch); err != nil {
		return nil, err
	}
	if err := c.client.CheckLimits(patch); err != nil {
		return nil, fmt.Errorf("what is stored of the data: %w", err) // of what the server told
	}
	row, err := c.client.Update(ctx, conversationID, messageID, patch)
	if err != nil {
		return nil, missing(err, "message", messageID)
	}
	s.receiver.Poke()
	return c.message(ctx, row, s.userID, false), nil
}

// UpdateMessage is [Chat.UpdateMessage] for a message of any conversation of the app, whoever has
// written it.
func (a *App) UpdateMessage(ctx context.Context, conversationID, messageID int64, data M) (*Message, error) {
	return a.watch.UpdateMessage(ctx, conversationID, messageID, data)
}

// DeleteMessage is [Chat.DeleteMessage] for a message of any conversation of the app.
func (a *App) DeleteMessage(ctx context.Context, conversationID, messageID int64) error {
	return a.watch.DeleteMessage(ctx, conversationID, messageID)
}

// checkPatch refuses before any request columns that nobody could read again.
func (c *Chat) checkPatch(patch M, body string) error {
	row := patch
	if sealed := c.sealedSize(len(body)); sealed > len(body) {
		row = maps.Clone(patch)
		row[wire.Body] = strings.Repeat("x", sealed)
	}
	if err := c.client.CheckLimits(row); err != nil {
		return invalid("data: %w", err)
	}
	return nil
}

// DeleteMessage deletes a message for everybody. Streams deliver it with IsDeleted.
//
// Errors: [ErrInvalid]; [ErrNotFound]; [ErrNotLoggedIn]; [ErrClosed].
func (c *Chat) DeleteMessage(ctx context.Context, conversationID, messageID int64) (err error) {
	defer wrap("delete message", &err)
	if err := checkIDs(conversationID, messageID); err != nil {
		return err
	}
	ctx, s, end, err := c.enter(ctx)
	if err != nil {
		return err
	}
	defer end()
	if err := s.roster.Check(ctx, conversationID); err != nil {
		return err
	}
	if err := c.client.Delete(ctx, conversationID, messageID); err != nil {
		return missing(err, "message", messageID)
	}
	s.receiver.Poke()
	return nil
}

func checkIDs(conversationID, messageID int64) error {
	if conversationID <= 0 {
		return invalid("conversationID: %d is not the id of a conversation", conversationID)
	}
	if messageID <= 0 {
		return invalid("messageID: %d is not the id of a message", messageID)
	}
	return nil
}

// Change says what an update has changed: a set of parts.
type Change uint8

// The parts of a message. Readers are ReadBy, columns all that is not one of the others.
const (
	ChangedBody Change = 1 << iota
	ChangedReaders
	ChangedFiles
	ChangedColumns
)

// Has reports whether all parts of other are in the set.
func (c Change) Has(other Change) bool { return c&other == other }

// String lists the parts, such as "body+readers"; "" for none.
func (c Change) String() string { return strings.Join(c.names(), "+") }

var changes = [...]string{"body", "readers", "files", "columns"}

func (c Change) names() (parts []string) {
	for i, name := range changes {
		if c.Has(1 << i) {
			parts = append(parts, name)
		}
	}
	return parts
}

// changeOf is the set of parts with these names; others are left out.
func changeOf(names []string) (c Change) {
	for i, name := range changes {
		if slices.Contains(names, name) {
			c |= 1 << i
		}
	}
	return c
}
