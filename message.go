package chat

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/envelope"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// Message is one message as the user sees it. Every call and every listener gets
// values of its own.
type Message struct {
	// ID is the row's id, ConversationID the conversation's data source.
	ID, ConversationID int64
	// GUID is the sender's id for the message, the same for a repeated send.
	GUID string
	// Body is the text, decrypted; "" for a mere attachment. When Err is set it is
	// as stored, or "" where Options.MinProtection withholds plain text.
	Body string
	// FromUserID is the flUserId of the sender.
	FromUserID string
	// ReadBy are the flUserIds of those who have read it, the sender first.
	ReadBy []string
	// Files are the URLs of the attachments.
	Files []string
	// Data holds every stored column, the body decrypted. Numbers are json.Number.
	Data M
	// CreatedAt and UpdatedAt are the server's times, UTC with milliseconds.
	CreatedAt, UpdatedAt time.Time
	// DeletedAt is set on a tombstone, whose other fields may be empty.
	DeletedAt *time.Time
	// IsReadByCurrentUser: the user is in ReadBy.
	IsReadByCurrentUser bool
	// IsUpdate: the stream has delivered this message before, or it belongs to
	// history the stream never loaded. Check IsDeleted first.
	IsUpdate bool
	// IsDeleted: the message was deleted.
	IsDeleted bool
	// IsReplay: delivered again because of [Reset].
	IsReplay bool
	// Err says why Body is not the text; it matches [ErrUnreadable] and the reason,
	// such as [ErrWrongKey] or [ErrTampered]. nil otherwise.
	Err error
}

// Draft is a message to send.
type Draft struct {
	// Body is the text, UTF-8. It may be empty only beside Files or Data.
	Body string
	// Files are attachments. With content to upload among them the row is sent as a
	// form, which knows text only: numbers and booleans in Data are stored as text
	// then (documented).
	Files []File
	// Progress is called while content is uploaded, on another goroutine, one call
	// at a time; total is -1 when a Reader's size is unknown. A repeated attempt
	// begins at 0.
	Progress func(sent, total int64)
	// GUID identifies the message for whoever sends it; default a new UUID. Send
	// the same GUID again, a few seconds after a failure that [datasource.Doubtful]
	// reports: it is looked up first, and if the first try was stored, nothing is
	// stored twice. Options.Outbox does that by itself.
	GUID string
	// Data holds custom columns, stored as they are. The columns of a message
	// itself (body, file, guid, fromUserId) are refused.
	Data M
}

// Message sends a message and returns it as stored. Every stream of the
// conversation's members gets it with a poll, those of this Chat soon.
//
// The write is never repeated after a failure that leaves open whether it was
// stored. Such a message is looked up by its GUID first; if the look-up fails,
// too, or finds nothing, the error is one that [datasource.Doubtful] reports.
//
// With Options.Outbox the message is stored in Storage first and sent for as long
// as it takes. Message waits for that; when ctx or the Chat ends before, the error
// matches [ErrQueued], and the message is sent nevertheless. [ErrOutboxFull].
//
// Errors: [ErrInvalid] for an empty message or an unusable column, before any
// request; [ErrNotFound] for an unknown conversation; [ErrNotLoggedIn]; [ErrClosed].
func (c *Chat) Message(ctx context.Context, conversationID int64, d Draft) (_ *Message, err error) {
	defer wrap("send", &err)
	if err := d.check(conversationID); err != nil {
		return nil, err
	}
	ctx, s, end, err := c.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	if c.outbox != nil {
		return c.outbox.message(ctx, s, conversationID, d)
	}
	if d.GUID != "" { // it may be sent again
		stored, err := c.storedSend(ctx, conversationID, d.GUID, s.userID)
		if err != nil {
			return nil, missing(err, "conversation", conversationID)
		}
		if stored != nil {
			stored.DataSourceID = conversationID
			return c.message(ctx, stored, s.userID), nil
		}
	}
	write, err := c.compose(ctx, s, conversationID, d)
	if err != nil {
		return nil, err
	}
	var row *datasource.Entry
	var refused error
	err = c.authorized(ctx, s, func(token string) error {
		if refused != nil && !rewind(write.Files) {
			return refused // a Reader cannot be sent twice
		}
		write.Params = wire.InsertParams(token)
		row, refused = c.client.InsertEntry(ctx, conversationID, write)
		return refused
	})
	if datasource.Doubtful(err) {
		if stored, lookErr := c.storedSend(ctx, conversationID, wire.Text(write.Data[wire.GUID]), s.userID); lookErr == nil && stored != nil {
			row, err = stored, nil
		}
	}
	if err != nil {
		return nil, missing(err, "conversation", conversationID)
	}
	c.poller.poke()
	if row.ID == 0 || len(row.Data) == 0 {
		// A server may confirm with less than the row.
		if stored, lookErr := c.storedSend(ctx, conversationID, wire.Text(write.Data[wire.GUID]), s.userID); lookErr == nil && stored != nil {
			row = stored
		} else if len(row.Data) == 0 {
			row.Data = write.Data
			delete(row.Data, wire.FileParts)
		}
	}
	row.DataSourceID = conversationID
	return c.message(ctx, row, s.userID), nil
}

// storedSend looks a send up by its guid: the row with the lowest id, nil if there
// is none.
func (c *Chat) storedSend(ctx context.Context, conversationID int64, guid, userID string) (*datasource.Entry, error) {
	rows, err := c.client.Find(ctx, conversationID, datasource.Query{
		Type: "select", Where: M{wire.GUID: guid}, Order: []datasource.Order{{Column: "id", Direction: datasource.Asc}},
	})
	if err != nil {
		return nil, err
	}
	var found *datasource.Entry
	for i := range rows {
		r := &rows[i]
		if wire.Text(r.Data[wire.GUID]) == guid && wire.Text(r.Data[wire.From]) == userID && (found == nil || r.ID < found.ID) {
			found = r
		}
	}
	return found, nil
}

// check refuses a draft that cannot be sent.
func (d *Draft) check(conversationID int64) error {
	if conversationID <= 0 {
		return invalid("conversationID: %d is not the id of a conversation", conversationID)
	}
	if d.Body == "" && len(d.Files) == 0 && len(d.Data) == 0 {
		return invalid("Draft: empty; give it a Body, Files or Data")
	}
	if !utf8.ValidString(d.Body) {
		return invalid("Draft.Body: not UTF-8 text")
	}
	if len(d.GUID) > 255 || strings.ContainsFunc(d.GUID, func(r rune) bool { return r < ' ' }) {
		return invalid("Draft.GUID: want at most 255 printable characters, such as a UUID")
	}
	for _, column := range []string{wire.Body, wire.File, wire.FileParts, wire.GUID, wire.From, wire.UserToken, wire.FileSchema} {
		if _, ok := d.Data[column]; ok {
			return invalid("Draft.Data: column %q is the message's own; use the fields of Draft", column)
		}
	}
	for i, f := range d.Files {
		if err := f.check(); err != nil {
			return invalid("Draft.Files[%d]: %v", i, err)
		}
	}
	return nil
}

// compose makes the row of a draft. The draft is not changed.
func (c *Chat) compose(ctx context.Context, s *session, conversationID int64, d Draft) (datasource.Write, error) {
	row := wire.CloneMap(d.Data)
	if row == nil {
		row = M{}
	}
	readers := wire.Strings(row[wire.ReadBy])
	if !slices.Contains(readers, s.userID) {
		readers = append([]string{s.userID}, readers...)
	}
	guid := d.GUID
	if guid == "" {
		guid = uuid.NewString()
	}
	body, err := c.seal(ctx, envelope.Binding{ConversationID: conversationID, GUID: guid}, d.Body)
	if err != nil {
		return datasource.Write{}, err
	}
	row[wire.Body], row[wire.From], row[wire.ReadBy], row[wire.GUID] = body, s.userID, readers, guid
	if _, ok := row[wire.Conversation]; !ok {
		row[wire.Conversation] = conversationID
	}
	return c.attach(ctx, conversationID, row, &d)
}

// UpdateMessage changes columns of a message: those in data are replaced whole, the
// others stay. A "body" is encrypted if this Chat encrypts. "isEdited" is for the
// caller to set (documented). "file" takes URLs, which replace the list of
// attachments; files are uploaded by Message only. It returns the whole message.
//
// Errors: [ErrInvalid] for no columns; [ErrNotFound]; [ErrNotLoggedIn]; [ErrClosed].
func (c *Chat) UpdateMessage(ctx context.Context, conversationID, messageID int64, data M) (_ *Message, err error) {
	defer wrap("update message", &err)
	if err := checkIDs(conversationID, messageID); err != nil {
		return nil, err
	}
	if len(data) == 0 {
		return nil, invalid("data: empty; give the columns to change")
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
	ctx, s, end, err := c.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	if err := c.sealPatch(ctx, conversationID, messageID, patch); err != nil {
		return nil, err
	}
	row, err := c.client.Update(ctx, conversationID, messageID, patch)
	if err == nil && len(row.Data) == 0 { // a server may confirm with less than the row
		row, err = c.client.FindByID(ctx, conversationID, messageID)
	}
	if err != nil {
		return nil, missing(err, "message", messageID)
	}
	c.poller.poke()
	row.DataSourceID = conversationID
	return c.message(ctx, row, s.userID), nil
}

// DeleteMessage deletes a message for everybody; streams get it with IsDeleted.
//
// Errors: [ErrInvalid]; [ErrNotFound]; [ErrNotLoggedIn]; [ErrClosed].
func (c *Chat) DeleteMessage(ctx context.Context, conversationID, messageID int64) (err error) {
	defer wrap("delete message", &err)
	if err := checkIDs(conversationID, messageID); err != nil {
		return err
	}
	ctx, _, end, err := c.enter(ctx)
	if err != nil {
		return err
	}
	defer end()
	if err := c.client.Delete(ctx, conversationID, messageID); err != nil {
		return missing(err, "message", messageID)
	}
	c.poller.poke()
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

// Messages returns the latest messages of the user's conversations, oldest first:
// at most [Limit], 200 unless given, of those in the conversations [In], matching
// [Where], whose language is that of rows. Deleted ones are left out. With
// [OrderBy] the order is that one, from its beginning.
//
// Fewer than the limit means there are no more. To read on, ask for messages with
// M{"createdAt": M{"$lte": …}} and skip those you have: several messages can share
// a timestamp.
//
// Errors: [ErrInvalid]; [ErrNotLoggedIn]; [ErrClosed].
func (c *Chat) Messages(ctx context.Context, opts ...MessagesOption) (_ []*Message, err error) {
	defer wrap("messages", &err)
	var o callOptions
	for _, opt := range opts {
		opt.applyMessages(&o)
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	if err := c.searchable(&o); err != nil {
		return nil, err
	}
	ctx, s, end, err := c.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	if o.scoped && len(o.in) == 0 {
		return []*Message{}, nil
	}
	limit := batchSize
	if o.limit != nil {
		limit = *o.limit
	}
	rows, err := c.source.latest(ctx, s, search{where: o.where, conversations: o.in, order: o.order, limit: limit, offset: o.offset})
	if err != nil {
		return nil, err
	}
	if len(o.order) == 0 {
		slices.Reverse(rows)
	}
	return c.messages(ctx, rows, s.userID), nil
}

// ConversationMessages is a handle on the messages of one conversation.
type ConversationMessages struct{ v *Conversation }

// Messages returns a handle; it makes no request.
func (v *Conversation) Messages() ConversationMessages { return ConversationMessages{v} }

// Fetch returns messages of the conversation in the order asked for, by default
// oldest first. [Where] takes a condition over columns here, unlike
// [Chat.Messages]. With EncryptMessages neither Where nor OrderBy may ask for the
// text of bodies, here and there: the server only has ciphertext, so that is refused.
//
// Errors: [ErrInvalid]; [ErrNotFound]; [ErrNotLoggedIn]; [ErrClosed].
func (h ConversationMessages) Fetch(ctx context.Context, opts ...FetchOption) (_ []*Message, err error) {
	defer wrap("fetch messages", &err)
	var o callOptions
	for _, opt := range opts {
		opt.applyFetch(&o)
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	if err := h.v.chat.searchable(&o); err != nil {
		return nil, err
	}
	ctx, s, end, err := h.v.chat.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	order := o.order
	if len(order) == 0 {
		order = []datasource.Order{{Column: "createdAt", Direction: datasource.Asc}, {Column: "id", Direction: datasource.Asc}}
	}
	limit := 0
	if o.limit != nil {
		limit = *o.limit
	}
	rows, err := h.v.chat.source.find(ctx, h.v.ID, datasource.Query{Where: o.where, Order: order}, limit, o.offset)
	if err != nil {
		return nil, missing(err, "conversation", h.v.ID)
	}
	return h.v.chat.messages(ctx, rows, s.userID), nil
}

func (c *Chat) messages(ctx context.Context, rows []datasource.Entry, userID string) []*Message {
	out := make([]*Message, len(rows))
	for i := range rows {
		out[i] = c.message(ctx, &rows[i], userID)
	}
	return out
}

// message reads a row as a user sees it, and takes over the row's data.
func (c *Chat) message(ctx context.Context, row *datasource.Entry, userID string) *Message {
	data := row.Data
	if data == nil {
		data = M{}
	}
	delete(data, wire.FileSchema) // an instruction with a key in it, should a server store it
	m := &Message{
		ID: row.ID, ConversationID: row.DataSourceID, Data: data,
		GUID: wire.Text(data[wire.GUID]), Body: wire.Text(data[wire.Body]), FromUserID: wire.Text(data[wire.From]),
		ReadBy: wire.Strings(data[wire.ReadBy]), Files: wire.Strings(data[wire.File]),
		CreatedAt: row.CreatedAt, UpdatedAt: row.UpdatedAt, DeletedAt: row.DeletedAt, IsDeleted: deleted(*row),
	}
	m.IsReadByCurrentUser = slices.Contains(m.ReadBy, userID)
	if m.IsDeleted || m.Body == "" {
		return m
	}
	m.Body, m.Err = c.open(ctx, binding(row), m.Body)
	data[wire.Body] = m.Body
	return m
}

// deleted reports whether a row is a tombstone.
func deleted(row datasource.Entry) bool {
	return row.DeletedAt != nil || wire.Bool(row.Data[wire.FlagDeleted])
}

// MarshalJSON writes the message as JavaScript consumers see it, deletedAt being
// null on live messages.
func (m Message) MarshalJSON() ([]byte, error) {
	data := m.Data
	if data == nil {
		data = M{}
	}
	row := rowJSON{
		ID: m.ID, DataSourceID: m.ConversationID, Data: data,
		CreatedAt: timestamp(m.CreatedAt), UpdatedAt: timestamp(m.UpdatedAt),
	}
	if m.DeletedAt != nil {
		row.DeletedAt = new(wire.Timestamp(*m.DeletedAt))
	}
	return json.Marshal(struct {
		rowJSON
		IsReadByCurrentUser bool `json:"isReadByCurrentUser"`
		IsUpdate            bool `json:"isUpdate"`
		IsDeleted           bool `json:"isDeleted"`
	}{row, m.IsReadByCurrentUser, m.IsUpdate, m.IsDeleted})
}

// Format prints the message without its content.
func (m Message) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "message %d in conversation %d from %q", m.ID, m.ConversationID, m.FromUserID)
}

// Format prints the draft without its content.
func (d Draft) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "draft of %d bytes with %d files", len(d.Body), len(d.Files))
}
