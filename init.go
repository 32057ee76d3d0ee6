package chat

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/fliplet/fliplet-chat-go/internal/wait"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// Environment is what an app knows about itself: the settings of its chat, its
// current user, and whether push notifications are on. [LocalEnvironment] reads
// environment variables and a file, [AppEnvironment] asks Fliplet.
//
// Implementations must be safe for concurrent use.
type Environment interface {
	// ChatSettings returns the options of the chat, Client and DataSourceID among
	// them. The error matches ErrNoChatWidget when the app has no chat; Subscribe uses
	// the options that come with it.
	ChatSettings(ctx context.Context) (Options, error)
	// CurrentUser returns the columns of the person who uses the app, nil if there is
	// none.
	CurrentUser(ctx context.Context) (M, error)
	// PushEnabled reports whether push notifications are on. The error matches
	// ErrNoPushWidget when the app has none.
	PushEnabled(ctx context.Context) (bool, error)
}

// What is wrong with an [Environment], for errors.Is.
var (
	// ErrNoChatWidget: the app has no chat.
	ErrNoChatWidget = sentinel("there is no chat widget")
	// ErrNoPrimaryKey: the chat's settings do not name the column that identifies its
	// users. Open them in Fliplet Studio and save them.
	ErrNoPrimaryKey = sentinel("the chat widget has no primaryKey")
	// ErrNoPushWidget: the app has no push notifications.
	ErrNoPushWidget = sentinel("there is no push notifications widget")
	// ErrPushOff: push notifications are switched off, or not set up.
	ErrPushOff = sentinel("push notifications are off")
	// ErrNoCrossLogin: no other component stored in Storage who is logged in.
	ErrNoCrossLogin = sentinel("storage has no cross-login keys")
)

// Init connects with the settings of an environment and logs in its current user by
// PrimaryKey. [Get] returns the Chat from then on. EncryptMessages and
// PushNotifications are on unless an override changes them; overrides are applied
// last, in order.
//
// The contact is looked up by the exact value of the primary key; if there is none,
// again without regard to case and surrounding space.
//
// To start without a network, use [Connect] and [Chat.Login] with [Offline].
//
// Errors: [ErrNoChatWidget]; [ErrNoPrimaryKey]; [ErrNotLoggedIn] when the
// environment has no current user; those of [Connect] and [Chat.Login].
func Init(ctx context.Context, env Environment, overrides ...func(*Options)) (*Chat, error) {
	return process.Init(ctx, env, overrides...)
}

// Init is like the function [Init], for this registry.
func (r *Registry) Init(ctx context.Context, env Environment, overrides ...func(*Options)) (_ *Chat, err error) {
	defer wrap("init", &err)
	opts, err := settings(ctx, env)
	if err != nil {
		return nil, err
	}
	for _, change := range overrides {
		if change != nil {
			change(&opts)
		}
	}
	if opts.PrimaryKey == "" {
		return nil, ErrNoPrimaryKey
	}
	user, err := env.CurrentUser(ctx)
	if err != nil {
		return nil, err
	}
	value := user[opts.PrimaryKey]
	switch {
	case len(user) == 0:
		return nil, fmt.Errorf("%w: the environment has no current user", ErrNotLoggedIn)
	case strings.TrimSpace(wire.Text(value)) == "":
		return nil, fmt.Errorf("%w: the current user has nothing in the column %q", ErrNotLoggedIn, opts.PrimaryKey)
	}
	c, err := connect(ctx, opts)
	if err != nil {
		return nil, err
	}
	if _, err := c.loginBy(ctx, opts.PrimaryKey, value, withDevice); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	r.Set(c)
	return c, nil
}

func settings(ctx context.Context, env Environment) (Options, error) {
	if env == nil {
		return Options{}, invalid("env: nil; use a LocalEnvironment or an AppEnvironment")
	}
	opts, err := env.ChatSettings(ctx)
	opts.EncryptMessages, opts.PushNotifications = true, true
	return opts, err
}

// loginBy logs in the contact with a value in a column.
func (c *Chat) loginBy(ctx context.Context, column string, value any, device deviceChoice) (*Contact, error) {
	contact, err := c.loginWith(ctx, M{column: value}, device)
	if text, ok := value.(string); ok && errors.Is(err, ErrContactNotFound) {
		contact, err = c.loginWith(ctx, M{column: M{"$iLike": strings.TrimSpace(text)}}, device)
	}
	return contact, c.misspelt(ctx, M{column: value}, err)
}

// Subscribe logs in the user whom another component stored in Storage, and registers
// the device for push notifications. It reads the e-mail address under
// "fl-chat-auth-email" and the id of the contacts data source under
// "fl-chat-source-id", or under the keys that Options name. Values are JSON, as
// Fliplet's apps store them, or plain text. A Chat with CrossLogin stores them, too.
// CrossLoginDataSourceID of the environment takes the place of the stored id. The data
// source becomes that of the contacts.
//
// The environment's settings give Client, Storage and Push; the app need not have a
// chat. The e-mail address is looked up in the column PrimaryKey, default "Email".
//
// The Chat is a complete one. [Get] returns it from then on, unless [Connect] or
// [Init] made one before. Close it after the registration if that is its only use.
//
// Errors: [ErrNoPushWidget]; [ErrPushOff]; [ErrNoCrossLogin] when a key is missing;
// those of [Connect] and [Chat.Login]; the error of Options.Push. Without
// Options.Push nothing is registered, and that is not an error.
func Subscribe(ctx context.Context, env Environment) (*Chat, error) {
	return process.Subscribe(ctx, env)
}

// Subscribe is like the function [Subscribe], for this registry.
func (r *Registry) Subscribe(ctx context.Context, env Environment) (_ *Chat, err error) {
	defer wrap("subscribe", &err)
	opts, err := settings(ctx, env)
	if err != nil && !errors.Is(err, ErrNoChatWidget) {
		return nil, err
	}
	on, err := env.PushEnabled(ctx)
	if err != nil {
		return nil, err
	}
	if !on {
		return nil, ErrPushOff
	}
	email, source, err := opts.sharedLogin(ctx)
	if err != nil {
		return nil, err
	}
	opts.CrossLogin, opts.DataSourceID, opts.CrossLoginDataSourceID = true, source, 0
	c, err := connect(ctx, opts)
	if err != nil {
		return nil, err
	}
	// Not by the login, which ignores a failed registration.
	contact, err := c.loginBy(ctx, opts.emailColumn(), email, withoutDevice)
	if err == nil && opts.Push != nil {
		err = c.subscribeDevice(ctx, contact)
	}
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	r.set(c, false)
	return c, nil
}

// emailColumn is the column of the contacts' e-mail address.
func (o *Options) emailColumn() string { return cmp.Or(o.PrimaryKey, "Email") }

// sharedLogin reads the login that another component stored.
func (o Options) sharedLogin(ctx context.Context) (email string, source int64, err error) {
	emailKey := cmp.Or(o.CrossLoginEmailKey, crossLoginEmailKey)
	sourceKey := cmp.Or(o.CrossLoginContactsKey, crossLoginContactsKey)
	if o.Storage == nil {
		return "", 0, fmt.Errorf("%w: Options.Storage is nil", ErrNoCrossLogin)
	}
	stored, err := storedText(ctx, o.Storage, emailKey)
	if err != nil {
		return "", 0, err
	}
	if email = strings.TrimSpace(wire.Text(stored)); email == "" {
		return "", 0, fmt.Errorf("%w: %q is missing", ErrNoCrossLogin, emailKey)
	}
	if stored, err = storedText(ctx, o.Storage, sourceKey); err != nil {
		return "", 0, err
	}
	if source = cmp.Or(o.CrossLoginDataSourceID, wire.Int(stored)); source <= 0 {
		return "", 0, fmt.Errorf("%w: %q is missing or not the id of a data source", ErrNoCrossLogin, sourceKey)
	}
	return email, source, nil
}

// storedText reads a value that is JSON or plain text; nil if there is none.
func storedText(ctx context.Context, s storage.Store, key string) (any, error) {
	raw, err := s.Get(ctx, key)
	if errors.Is(err, storage.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("storage: %w", wait.Because(ctx, err))
	}
	var v any
	if unmarshal(raw, &v) != nil {
		return string(raw), nil
	}
	return v, nil
}

// Where other components of an app, and Fliplet's widget, read who is logged in.
const (
	userIDKey    = "fl-chat-user-id"
	userTokenKey = "fl-chat-user-token"
)

// shareUser stores the identity of the user for other components, if CrossLogin is set: as
// JSON, like everything that Fliplet's apps store. token is "" for one that is refused.
func (c *Chat) shareUser(ctx context.Context, s *session, token string) {
	if !c.opts.CrossLogin {
		return
	}
	for key, v := range map[string]string{userIDKey: s.userID, userTokenKey: token} {
		var raw []byte
		if v != "" {
			raw, _ = json.Marshal(v) // a text always marshals
		}
		s.cache.Share(ctx, key, raw)
	}
}

// Shared are what a logout removes of what other components read.
func (o *owner) Shared() []string {
	keys := []string{o.opts.CrossLoginEmailKey}
	if o.opts.CrossLogin {
		keys = append(keys, userIDKey, userTokenKey)
	}
	return keys
}

// shareLogin stores the login for other components, if CrossLogin is set.
func (c *Chat) shareLogin(ctx context.Context, contact *Contact) {
	email, s := wire.Text(contact.Data[c.opts.emailColumn()]), c.current()
	if !c.opts.CrossLogin || email == "" || s == nil {
		return
	}
	source := cmp.Or(c.opts.CrossLoginDataSourceID, c.opts.DataSourceID)
	for key, v := range map[string]any{c.opts.CrossLoginEmailKey: email, c.opts.CrossLoginContactsKey: source} {
		if raw, err := json.Marshal(v); err == nil { // both always are
			s.cache.Share(ctx, key, raw)
		}
	}
}
