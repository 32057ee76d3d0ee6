package chat

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/fliplet/fliplet-chat-go/internal/wire"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// Environment is what a screen of an app knows about itself: how its chat is set
// up, who is there, and whether push notifications are on. [LocalEnvironment]
// reads variables and a file, [AppEnvironment] asks Fliplet.
//
// Implementations are safe for concurrent use.
type Environment interface {
	// ChatSettings returns the options of the chat, Client and DataSourceID among
	// them. The error matches ErrNoChatWidget when there is no chat here; the
	// options that came with it are still of use to Subscribe.
	ChatSettings(ctx context.Context) (Options, error)
	// CurrentUser returns the columns of the person who uses the app, nil if it is
	// nobody.
	CurrentUser(ctx context.Context) (M, error)
	// PushEnabled reports whether push notifications are on. The error matches
	// ErrNoPushWidget when there are none here.
	PushEnabled(ctx context.Context) (bool, error)
}

// What is wrong with an [Environment], for errors.Is.
var (
	// ErrNoChatWidget: there is no chat here.
	ErrNoChatWidget = sentinel("there is no chat widget")
	// ErrNoPrimaryKey: the chat does not say which column identifies its users. In
	// Fliplet, open the chat's settings once and save them.
	ErrNoPrimaryKey = sentinel("the chat widget has no primaryKey")
	// ErrNoPushWidget: there are no push notifications here.
	ErrNoPushWidget = sentinel("there is no push notifications widget")
	// ErrPushOff: push notifications are switched off, or not set up.
	ErrPushOff = sentinel("push notifications are off")
	// ErrNoCrossLogin: no other component has left in Storage who is logged in.
	ErrNoCrossLogin = sentinel("storage has no cross-login keys")
)

// Init connects with the settings of an environment and logs its current user in
// by PrimaryKey (documented). EncryptMessages and PushNotifications are on unless
// an override says otherwise; overrides are applied last, in order. The Chat
// becomes the one [Get] resolves with.
//
// The value of the primary key is looked for as it is, and then without regard to
// case and surrounding space, in which logins and contacts often differ.
//
// To start without a network, use [Connect] and [Chat.Login] with [Offline].
//
// Errors: [ErrNoChatWidget]; [ErrNoPrimaryKey]; [ErrNotLoggedIn] when the
// environment has no current user; those of [Connect] and [Chat.Login].
func Init(ctx context.Context, env Environment, overrides ...func(*Options)) (*Chat, error) {
	return process.Init(ctx, env, overrides...)
}

// Init is the function [Init] for this registry.
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
	return contact, err
}

// Subscribe logs in the user whom another component left in Storage, for no more
// than push notifications (documented): the e-mail address under
// "fl-chat-auth-email", the id of the contacts data source under
// "fl-chat-source-id", or the keys that Options name. Values are JSON, as Fliplet's
// apps store them, or plain text. A Chat with CrossLogin leaves them, too.
//
// The environment's settings give Client, Storage and Push; it need not have a
// chat. The e-mail address is looked for in the column PrimaryKey, or "Email".
//
// The Chat can do everything, and becomes the one [Get] resolves with if there is
// none: it does not replace one that [Connect] or [Init] made. Close it once the
// device is registered, if that is all it is for.
//
// Errors: [ErrNoPushWidget]; [ErrPushOff]; [ErrNoCrossLogin] when a key is
// missing; those of [Connect] and [Chat.Login]; what Options.Push said. Without
// Options.Push nothing is registered, which is no error.
func Subscribe(ctx context.Context, env Environment) (*Chat, error) {
	return process.Subscribe(ctx, env)
}

// Subscribe is the function [Subscribe] for this registry.
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
	email, source, err := opts.leftLogin(ctx)
	if err != nil {
		return nil, err
	}
	opts.CrossLogin, opts.DataSourceID, opts.CrossLoginDataSourceID = true, source, 0
	c, err := connect(ctx, opts)
	if err != nil {
		return nil, err
	}
	// The device is registered here, where a failure matters, not by the login.
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

// emailColumn is where contacts have their e-mail address.
func (o *Options) emailColumn() string { return cmp.Or(o.PrimaryKey, "Email") }

// leftLogin reads who is logged in elsewhere.
func (o Options) leftLogin(ctx context.Context) (email string, source int64, err error) {
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

// storedText reads a value that is JSON, or text as it is; nil if there is none.
func storedText(ctx context.Context, s storage.Store, key string) (any, error) {
	raw, err := s.Get(ctx, key)
	if errors.Is(err, storage.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("storage: %w", err)
	}
	var v any
	if unmarshal(raw, &v) != nil {
		return string(raw), nil
	}
	return v, nil
}

// shareLogin leaves who is logged in for other components, if CrossLogin says so.
func (c *Chat) shareLogin(ctx context.Context, contact *Contact) {
	email := wire.Text(contact.Data[c.opts.emailColumn()])
	if !c.opts.CrossLogin || email == "" {
		return
	}
	for key, v := range map[string]any{c.opts.CrossLoginEmailKey: email, c.opts.CrossLoginContactsKey: c.opts.DataSourceID} {
		raw, err := json.Marshal(v)
		if err == nil {
			err = c.store.Set(ctx, key, raw)
		}
		if err != nil {
			c.log.Warn("leaving the login for other components failed", "error", err)
		}
	}
}
