package chat

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/hooks"
	"github.com/fliplet/fliplet-chat-go/internal/few"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
	"github.com/fliplet/fliplet-chat-go/profile"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// M is a where clause or the columns of a row. Numbers in rows from the server are
// json.Number, so that they stay exact.
type M = datasource.M

// Hook watches a Chat: a value with methods of package hooks.
type Hook = hooks.Hook

// Options configure a Chat. Client and DataSourceID are required; the zero value of
// every other field selects its default. Connect copies the options.
type Options struct {
	// Client talks to Fliplet. Chats may share one, and then take turns at its Limiter.
	Client *datasource.Client
	// DataSourceID is the data source of the contacts.
	DataSourceID int64
	// PrimaryKey is the column that identifies a contact, such as "Email". A new
	// flUserId is derived from its value, and so stays the same when the contacts are
	// imported again; without PrimaryKey it is derived from the row's id. It is stored
	// at the first login. A stored flUserId is never replaced.
	PrimaryKey string
	// EncryptMessages stores message bodies as AES ciphertext. Encrypted and plain
	// bodies are read either way.
	EncryptMessages bool
	// PushNotifications lets the server notify participants of unread messages in
	// conversations created here, and registers the user's device with Push.
	PushNotifications bool
	// CrossLogin shares the login with other components of an app: Login stores in
	// Storage what [Subscribe] reads, and the flUserId and flUserToken under
	// "fl-chat-user-id" and "fl-chat-user-token", where Fliplet's widget has them; Logout
	// deletes the e-mail address and both. A Storage is then one user's.
	CrossLogin bool
	// CrossLoginDataSourceID is the data source in which [Subscribe] looks up the user, a
	// source of its own beside the contacts. With CrossLogin, Login leaves its id in Storage.
	// Default: DataSourceID.
	CrossLoginDataSourceID int64
	// CrossLoginEmailKey is the storage key of the e-mail address. Default:
	// "fl-chat-auth-email".
	CrossLoginEmailKey string
	// CrossLoginContactsKey is the storage key of the data source id. Default:
	// "fl-chat-source-id".
	CrossLoginContactsKey string
	// AppID is the app in which private conversations are created and looked up.
	// Default: the app of the contacts to create, that of the token to look up.
	AppID int64
	// MasterAppID is the app of the public channels. Default: AppID.
	MasterAppID int64
	// Storage keeps identities, caches and cursors. Default: memory.
	Storage storage.Store
	// CachedColumns are further columns of contacts that Storage keeps for [Offline].
	// Default: none beside flUserId, PrimaryKey, names, pictures, and the flags of
	// Fliplet's widget. The user's own row is kept whole.
	CachedColumns []string
	// Keys gives the passphrase of a conversation's bodies, in the format that the
	// JavaScript API reads and writes. Default: the conversation's own key, stored in
	// its definition.
	Keys Keys
	// Cipher reads authenticated bodies, and writes them instead of the passphrase
	// format. It requires EncryptMessages. Bodies in other formats stay readable.
	// Default: none.
	Cipher *Cipher
	// MinProtection refuses bodies that are less protected, of deleted messages, too: such
	// messages have an Err, and their body, like one that does not open, is removed from
	// Body and Data, with columns that are spelled like body. From Encrypted
	// on, the key computed from a conversation's id opens and seals nothing, and without
	// the pins in Storage (see [ErrKeyChanged]) no key of a definition is used. Default:
	// Plain, which refuses none; [Message.Protection] tells what each body had.
	MinProtection Protection
	// FileKeysInURLs appends the conversation's key to the URLs of private files in
	// Message.Files and the column "file", as the JavaScript API does, so that a page can
	// load them without [Chat.ServeFile]. The key opens all bodies and files of its
	// conversation, and a URL gets into the history, logs and Referer headers of whoever
	// loads it: see SECURITY.md. Only files of Fliplet's own hosts get it. Message and
	// UpdateMessage take it off again, with or without the option, and mark the file as
	// private; they refuse a file of another conversation, whose key is not that of this
	// one. Default: URLs as they are stored.
	FileKeysInURLs bool
	// Push registers the user's device. Default: no registration.
	Push PushRegistrar
	// Hooks are told of requests, polls, messages and more, for numbers and traces: see
	// package hooks for the interfaces, and telemetry/otelchat for OpenTelemetry. Default:
	// none, which costs nothing.
	Hooks []Hook
	// Outbox lets sends survive outages and crashes. Default: no outbox.
	Outbox *OutboxOptions
	// Profile is what flchat conform has found out about the account. Default: what is assumed of any.
	Profile profile.Profile
	// LivePollInterval is the wait between polls after something happened. It grows by
	// half whenever nothing has happened for ten times the wait. Default: 2 s, never
	// above PollInterval.
	LivePollInterval time.Duration
	// PollInterval is what the wait grows to. Default: 20 s.
	PollInterval time.Duration
	// MaxPollInterval is what the wait grows to when nothing has happened for half an
	// hour. Default: 2 min, never below PollInterval.
	MaxPollInterval time.Duration
	// Logger receives failures that no call returns, such as those of the cache and of
	// polls. No token, key or message body is logged, apart from what the error of a
	// stream's or consumer's own function says. Default: what would otherwise be lost
	// goes to slog.Default(), namely gaps without [OnGap], and the failures of such
	// functions without [OnError]; nothing else is logged.
	Logger *slog.Logger
}

const (
	crossLoginEmailKey    = "fl-chat-auth-email"
	crossLoginContactsKey = "fl-chat-source-id"
)

// sharedOptions are those of the last Chat: a process may have thousands with the same.
var sharedOptions few.Last[Options]

// noLogger is that of all Chats without one.
var noLogger = slog.New(slog.DiscardHandler)

// prepare returns a checked copy with the defaults filled in.
func (o Options) prepare() (Options, error) {
	var errs []error
	if o.Client == nil {
		errs = append(errs, invalid("Options.Client: nil; make one with datasource.NewClient, which needs a token"))
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
	if slices.Contains(o.CachedColumns, "") || slices.Contains(o.CachedColumns, wire.UserToken) {
		errs = append(errs, invalid("Options.CachedColumns: an empty name or %s; name columns that may be stored", wire.UserToken))
	}
	if err := hooks.Check(o.Hooks); err != nil {
		errs = append(errs, invalid("Options.Hooks%v", err))
	}
	if err := o.Profile.Check(); err != nil {
		errs = append(errs, invalid("Options.Profile: %v", err))
	}
	errs = append(errs, o.checkProtection())
	if o.Outbox != nil {
		box, err := o.Outbox.prepare()
		o.Outbox, errs = &box, append(errs, err)
	}
	o.MasterAppID = cmp.Or(o.MasterAppID, o.AppID)
	o.CrossLoginEmailKey = cmp.Or(o.CrossLoginEmailKey, crossLoginEmailKey)
	o.CrossLoginContactsKey = cmp.Or(o.CrossLoginContactsKey, crossLoginContactsKey)
	o.Logger = cmp.Or(o.Logger, noLogger)
	o.Hooks = slices.Clone(o.Hooks)
	if o.Storage == nil {
		o.Storage = storage.NewMemory()
	}
	return o, errors.Join(errs...)
}

// checkProtection refuses options with which a Chat could not read what it writes, or
// would write plain text although a Cipher is set.
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

// Format prints the options that hold no secret.
func (o Options) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "chat.Options{DataSourceID: %d, PrimaryKey: %q, EncryptMessages: %t, AppID: %d}", o.DataSourceID, o.PrimaryKey, o.EncryptMessages, o.AppID)
}
