package chat

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// M is a where clause or the columns of a row. In rows from the server numbers
// are json.Number, so that they stay exact.
type M = datasource.M

// Options configure a Chat. Client and DataSourceID are required; the zero value
// of everything else is its default. Connect copies them.
type Options struct {
	// Client talks to Fliplet. Chats may share one.
	Client *datasource.Client
	// DataSourceID is the data source of the contacts.
	DataSourceID int64
	// PrimaryKey is the column that identifies a contact, such as "Email". With it
	// a contact's flUserId is derived from the value, and survives a new import of
	// the contacts; without it, from the row. Either is stored at the first login,
	// and one that is there already is never replaced.
	PrimaryKey string
	// EncryptMessages stores message bodies as AES ciphertext. Bodies are read
	// either way, whoever wrote them.
	EncryptMessages bool
	// PushNotifications lets the server notify participants of unread messages in
	// conversations created here, and registers the user's device with Push.
	PushNotifications bool
	// CrossLogin shares the login with other parts of an app: Login leaves in
	// Storage what [Subscribe] needs, and Logout takes the e-mail address away.
	CrossLogin bool
	// CrossLoginDataSourceID overrides the contacts data source for that.
	CrossLoginDataSourceID int64
	// CrossLoginEmailKey is the storage key of the e-mail address. Default
	// "fl-chat-auth-email" (documented).
	CrossLoginEmailKey string
	// CrossLoginContactsKey is the storage key of the data source id. Default
	// "fl-chat-source-id" (documented).
	CrossLoginContactsKey string
	// AppID is the app in which private conversations are created and looked for.
	// 0 leaves it to the token.
	AppID int64
	// MasterAppID is the app of the public channels. Default AppID.
	MasterAppID int64
	// Storage keeps identities, caches and cursors. Default: memory.
	Storage storage.Store
	// Keys gives the passphrase of a conversation's bodies, in the format that the
	// JavaScript API reads and writes. Default: the conversation's own key, kept in
	// its definition.
	Keys Keys
	// Cipher writes authenticated bodies instead, which take EncryptMessages, too,
	// and reads them. Bodies in other formats are read as before. Default: none.
	Cipher *Cipher
	// MinProtection refuses bodies that are less protected: they are delivered with
	// Message.Err, and plain text without its body. Default: Plain, so none are.
	MinProtection Protection
	// Push registers the user's device. Default: nothing is registered.
	Push PushRegistrar
	// Outbox lets sends survive outages and crashes. Default: nil, no outbox.
	Outbox *OutboxOptions
	// LivePollInterval is the wait between polls after something happened. It
	// grows by half whenever the silence has lasted ten times as long. Default 2 s,
	// never above PollInterval.
	LivePollInterval time.Duration
	// PollInterval is what the wait grows to. Default 20 s (documented).
	PollInterval time.Duration
	// MaxPollInterval is what it grows to when nothing has happened for half an
	// hour. Default 2 min, never below PollInterval.
	MaxPollInterval time.Duration
	// Consume says how [Chat.Consume] treats failing messages, and where it begins.
	Consume ConsumeOptions
	// Logger receives what nobody asked for but somebody may want to know. It
	// never sees a token, key or message body. Default: nothing is logged.
	Logger *slog.Logger
}

// PushRegistrar registers a user's device for push notifications. It returns the
// id of the subscription, or "" for none. How Fliplet's apps do it is not public.
type PushRegistrar interface {
	Subscribe(ctx context.Context, c *Contact) (string, error)
}

const (
	crossLoginEmailKey    = "fl-chat-auth-email"
	crossLoginContactsKey = "fl-chat-source-id"
)

// prepare returns a checked copy with the defaults filled in.
func (o Options) prepare() (Options, error) {
	var errs []error
	if o.Client == nil {
		errs = append(errs, invalid("Options.Client: nil; make one with datasource.NewClient, which needs a token"))
	}
	if o.CrossLogin && o.CrossLoginDataSourceID != 0 {
		o.DataSourceID = o.CrossLoginDataSourceID
	}
	if o.DataSourceID <= 0 {
		errs = append(errs, invalid("Options.DataSourceID: %d; give the id of the contacts data source", o.DataSourceID))
	}
	for name, id := range map[string]int64{"AppID": o.AppID, "MasterAppID": o.MasterAppID, "CrossLoginDataSourceID": o.CrossLoginDataSourceID} {
		if id < 0 {
			errs = append(errs, invalid("Options.%s: %d is negative", name, id))
		}
	}
	for name, d := range map[string]time.Duration{
		"LivePollInterval": o.LivePollInterval, "PollInterval": o.PollInterval, "MaxPollInterval": o.MaxPollInterval,
	} {
		if d < 0 {
			errs = append(errs, invalid("Options.%s: %v is negative; 0 takes the default", name, d))
		}
	}
	errs = append(errs, o.checkProtection())
	if o.Outbox != nil {
		box, err := o.Outbox.prepare()
		o.Outbox, errs = &box, append(errs, err)
	}
	if o.MasterAppID == 0 {
		o.MasterAppID = o.AppID
	}
	if o.CrossLoginEmailKey == "" {
		o.CrossLoginEmailKey = crossLoginEmailKey
	}
	if o.CrossLoginContactsKey == "" {
		o.CrossLoginContactsKey = crossLoginContactsKey
	}
	if o.Storage == nil {
		o.Storage = storage.NewMemory()
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o, errors.Join(errs...)
}

// checkProtection refuses options that would write what they refuse to read, or
// plain text where somebody means to encrypt.
func (o *Options) checkProtection() error {
	switch {
	case o.MinProtection < Plain || o.MinProtection > Authenticated:
		return invalid("Options.MinProtection: %d; use Plain, Encrypted or Authenticated", o.MinProtection)
	case o.Cipher != nil && !o.EncryptMessages:
		return invalid("Options.Cipher: set, but EncryptMessages is not; set both to encrypt, or neither")
	case o.MinProtection > Plain && !o.EncryptMessages:
		return invalid("Options.MinProtection: this Chat would refuse its own messages; set EncryptMessages, too")
	case o.MinProtection == Authenticated && o.Cipher == nil:
		return invalid("Options.MinProtection: Authenticated takes a Cipher")
	}
	return nil
}

// Format prints the options without what could hold a secret.
func (o Options) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "chat.Options{DataSourceID: %d, PrimaryKey: %q, EncryptMessages: %t, AppID: %d}", o.DataSourceID, o.PrimaryKey, o.EncryptMessages, o.AppID)
}

// Options of single calls. Each is accepted by the calls it makes sense for, which
// the compiler checks.
type (
	// LoginOption changes a [Chat.Login].
	LoginOption interface{ applyLogin(*callOptions) }
	// ContactsOption changes a [Chat.Contacts].
	ContactsOption interface{ applyContacts(*callOptions) }
	// ConversationsOption changes a [Chat.Conversations].
	ConversationsOption interface{ applyConversations(*callOptions) }
	// MessagesOption changes a [Chat.Messages].
	MessagesOption interface{ applyMessages(*callOptions) }
	// FetchOption changes a [ConversationMessages.Fetch].
	FetchOption interface{ applyFetch(*callOptions) }
	// StreamOption changes a [Chat.Stream].
	StreamOption interface{ applyStream(*callOptions) }
	// PollOption changes a [Chat.Poll].
	PollOption interface{ applyPoll(*callOptions) }
)

// callOptions is what the options of one call add up to.
type callOptions struct {
	offline bool
	reset   bool
	where   M
	limit   *int
	offset  int
	order   []datasource.Order
	in      []int64
	scoped  bool
	onGap   func(Gap)
	from    ConsumeFrom
}

// check reports what is wrong with the options of a call.
func (o *callOptions) check() error {
	if o.limit != nil && *o.limit <= 0 {
		return invalid("Limit: %d; give a positive number, or leave it out", *o.limit)
	}
	if o.offset < 0 {
		return invalid("Offset: %d is negative", o.offset)
	}
	for _, ord := range o.order {
		if strings.TrimSpace(ord.Column) == "" {
			return invalid("OrderBy: the column is empty")
		}
		if d := strings.ToUpper(string(ord.Direction)); d != "" && d != string(datasource.Asc) && d != string(datasource.Desc) {
			return invalid("OrderBy: direction %q; use datasource.Asc or datasource.Desc", ord.Direction)
		}
	}
	for _, id := range o.in {
		if id <= 0 {
			return invalid("In: %d is not the id of a conversation", id)
		}
	}
	return nil
}

// FindOption narrows what is returned; see [Where], [Limit], [Offset] and [OrderBy].
type FindOption struct{ apply func(*callOptions) }

func (o FindOption) applyContacts(c *callOptions) { o.use(c) }
func (o FindOption) applyMessages(c *callOptions) { o.use(c) }
func (o FindOption) applyFetch(c *callOptions)    { o.use(c) }

func (o FindOption) use(c *callOptions) {
	if o.apply != nil {
		o.apply(c)
	}
}

// Where keeps the rows that match a condition. Mind that there are two languages
// (seen in public clients): [Chat.Contacts] and [ConversationMessages.Fetch] look
// at columns, M{"Email": M{"$iLike": "a@b"}}; [Chat.Messages] looks at rows,
// M{"data": M{"$contains": M{"fromUserId": "…"}}} or M{"createdAt": M{"$lt": t}}.
func Where(where M) FindOption { return FindOption{func(c *callOptions) { c.where = where }} }

// Limit returns at most n rows, n > 0.
func Limit(n int) FindOption { return FindOption{func(c *callOptions) { c.limit = &n }} }

// Offset skips n rows, n ≥ 0.
func Offset(n int) FindOption { return FindOption{func(c *callOptions) { c.offset = n }} }

// OrderBy sorts by a field of the row (id, order, createdAt, updatedAt), or by a
// column as "data.<column>". Several are applied in order.
func OrderBy(column string, d datasource.Direction) FindOption {
	return FindOption{func(c *callOptions) {
		c.order = append(c.order, datasource.Order{Column: column, Direction: d})
	}}
}

type inOption []int64

func (o inOption) applyMessages(c *callOptions) { c.in, c.scoped = append(c.in, o...), true }

// In limits [Chat.Messages] to some conversations. In() with none selects none.
func In(ids ...int64) MessagesOption { return inOption(ids) }

// OfflineOption is [Offline].
type OfflineOption struct{}

func (OfflineOption) applyLogin(c *callOptions)         { c.offline = true }
func (OfflineOption) applyContacts(c *callOptions)      { c.offline = true }
func (OfflineOption) applyConversations(c *callOptions) { c.offline = true }
func (OfflineOption) applyStream(c *callOptions)        { c.offline = true }

// Offline answers from what an earlier session stored: Login prefers the cached
// contact, Contacts and Conversations read the cache only, streams begin with the
// cached messages (documented).
func Offline() OfflineOption { return OfflineOption{} }

type resetOption struct{}

func (resetOption) applyPoll(c *callOptions) { c.reset = true }

// Reset makes [Chat.Poll] deliver the newest messages again, as updates with
// IsReplay set. Clients do so after joining a conversation (documented).
func Reset() PollOption { return resetOption{} }

type fromOption ConsumeFrom

func (o fromOption) applyStream(c *callOptions) { c.from = ConsumeFrom(o) }

// ReadFrom says where a stream begins: [FromNewest], the default, [FromNow] or
// [FromBeginning].
func ReadFrom(from ConsumeFrom) StreamOption { return fromOption(from) }

type gapOption func(Gap)

func (o gapOption) applyStream(c *callOptions) { c.onGap = o }

// OnGap is told, in order with the messages, what a stream could not deliver.
func OnGap(fn func(Gap)) StreamOption { return gapOption(fn) }
