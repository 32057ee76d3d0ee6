package chat

import (
	"cmp"
	"context"
	"errors"
	"math"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/fleet"
	"github.com/fliplet/fliplet-chat-go/internal/fleet/hub"
	"github.com/fliplet/fliplet-chat-go/internal/life"
	"github.com/fliplet/fliplet-chat-go/internal/marks"
	"github.com/fliplet/fliplet-chat-go/internal/where"
)

// AppOptions configure an [App].
type AppOptions struct {
	// Options are those of every Chat of the App. The token of Client has to be allowed to read
	// the list of conversations and their rows.
	Options
	// Bell says that conversations have a web hook that calls [App.Bell].
	Bell bool
	// Strategy is how the App finds out what is new. Default: the best that works, by the bell, the
	// audit log of the organisation if the token may read it, or the list of conversations, read
	// every 4 s; what stops working is replaced, and tried again within an hour. One that is set is
	// used whether it works or not, and whatever Profile says. [App.Health] says which one it is.
	Strategy Strategy
}

// Strategy is how an [App] finds out what is new. docs/fleet.md says what each needs and costs.
type Strategy string

// The strategies of an [App].
const (
	StrategyBell   Strategy = "bell"   // web hooks, and the list of conversations each 15 s
	StrategyAudit  Strategy = "audit"  // the audit log of the organisation, each second
	StrategyList   Strategy = "list"   // the times in the list of conversations, each 4 s
	StrategyCover  Strategy = "cover"  // the same, and queries across for users in hundreds of conversations
	StrategyAcross Strategy = "across" // the list, and queries across the conversations of a few users
	StrategySingle Strategy = "single" // the list, and a request for each conversation
	StrategySweep  Strategy = "sweep"  // all conversations in turn
)

// App is a chat for many users in one process, and for whoever has to see all of its
// conversations. They share the requests that find what is new, so 5,000 users cost about as much
// as 50: see docs/fleet.md. It was tried on the local Fliplet only. It is safe for concurrent use,
// also from inside the functions of its streams. End it with [App.Shutdown] or [App.Close].
type App struct {
	opts    AppOptions
	hub     *hub.Hub
	work    *life.Life
	watch   *Chat // nobody's: its session listens to everything
	senders hub.Kept[*Chat]
	users   hub.Crew[*Chat] // those that are not closed
	marks   *marks.Batcher
	unread  *marks.Counter
}

// mostSenders is how many people are kept logged in for [App.Send].
const mostSenders = 1000

// OpenApp takes two requests, up to three more where the server refuses joins, and one for the
// audit log with the first listener. From the first stream, loop or consumer on what is new is read:
// while nothing happens one request in 2 s with up to 2,000 conversations, and one more for each
// 6,000 of them. It starts two goroutines, until [App.Close].
//
// Errors: [ErrInvalid], which names every unusable option; what the server said.
func OpenApp(ctx context.Context, opts AppOptions) (_ *App, err error) {
	defer wrap("open app", &err)
	a := &App{opts: opts, work: life.New(context.Background())}
	if a.senders = (hub.Kept[*Chat]{Most: mostSenders, Drop: func(c *Chat) { _ = c.Close() }}); opts.Outbox != nil {
		a.senders.Most = math.MaxInt32 // what waits is sent by who is logged in
	}
	if err := fleet.CheckStrategy(string(opts.Strategy)); err != nil {
		_, other := opts.prepare()
		return nil, errors.Join(invalid("AppOptions.Strategy: %v", err), other)
	}
	if a.watch, err = connect(ctx, opts.Options); err != nil {
		return nil, err
	}
	c := a.watch
	a.hub, err = hub.Open(ctx, hub.Config{Client: c.client, Apps: c.apps(), Strategy: string(opts.Strategy), Bell: opts.Bell, Profile: opts.Profile,
		Genuine: c.genuine(), Log: c.log, Final: c.finalFailure(), Contacts: opts.DataSourceID,
	})
	if err != nil {
		c.end()
		return nil, err
	}
	c.app = a
	a.merge()
	c.session = c.watchSession(nil)
	a.work.Go(func() { a.hub.Run(a.work.Context()) })
	return a, nil
}

// User logs a person in, and returns their Chat: see [Chat.Login] for the query and its cost.
// A stream makes no request [FromNow], and otherwise those for the messages before; so does
// [Chat.Consume], which goes on with the position of a Chat of [Connect], lags by up to two minutes,
// and asks for deletions at its start, as [App.Consume] does. Without Options of Storage, Outbox, Push
// and CrossLogin a Chat has little more than the contact's columns in memory until its first call, and
// no goroutine until its first stream. Close it before the App, or let [App.Shutdown] do that.
//
// Errors: those of [Connect] and [Chat.Login]; [ErrClosed].
func (a *App) User(ctx context.Context, query M, opts ...LoginOption) (_ *Chat, err error) {
	defer wrap("login", &err)
	o := chosen(callOptions{}, opts, LoginOption.applyLogin)
	if p := &a.opts; o.offline || p.Storage != nil || p.Outbox != nil || p.Push != nil || p.CrossLogin {
		return a.person(ctx, query, opts...)
	}
	c, err := a.logInAsleep(ctx, query, &o)
	return a.entered(c, err)
}

// entered is a Chat of the App that was made.
func (a *App) entered(c *Chat, err error) (*Chat, error) {
	if err != nil {
		return nil, err
	}
	if !a.users.Enter(c) {
		_ = c.Close() // it was made
		return nil, ErrClosed
	}
	return c, nil
}

// person makes a Chat with all its parts, which takes its own turns at the limit from its login on.
func (a *App) person(ctx context.Context, query M, opts ...LoginOption) (*Chat, error) {
	c, err := connect(ctx, a.opts.Options)
	if err != nil {
		return nil, err
	}
	c.app = a
	_, err = c.loginWith(ctx, query, withDevice, opts...)
	if err = c.misspelt(ctx, query, err); err != nil {
		c.end()
		return nil, err
	}
	return a.entered(c, nil)
}

// logInAsleep makes a Chat of what a login brings.
func (a *App) logInAsleep(ctx context.Context, query M, o *callOptions) (*Chat, error) {
	login, err := where.ParseLogin(query, o.anyOperator)
	if err != nil {
		return nil, invalid("query: %v", err)
	}
	ctx, end, err := a.watch.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	contact, token, err := a.watch.authenticate(ctx, login)
	if err != nil {
		return nil, a.watch.misspelt(ctx, query, err)
	}
	return &Chat{asleep: &coldUser{app: a, loggedIn: newLogin(login, contact, token)}, awake: new(sync.Once)}, nil
}

// coldUser is a user of an App whose Chat was not used yet.
type coldUser struct {
	app *App
	loggedIn
	over atomic.Bool // the Chat is awake
}

// wake makes the parts of a Chat that is used first.
func (c *Chat) wake() {
	z := c.asleep
	opts, _ := z.app.opts.prepare() // they were checked
	c.build(new(parts), opts, false)
	c.app = z.app
	c.mu.Lock() // its desk is there before the rest
	c.session = c.newSession(z.user.contact())
	c.session.become(&z.loggedIn)
	c.mu.Unlock()
	z.over.Store(true)
}

// Send sends a message on behalf of a person, whom as finds like the query of [Chat.Login]; see
// [Chat.Message] for the draft. The person has to be a member of the conversation.
//
// The App logs the person in for the first message, which takes a request or two, keeps the
// 1,000 people whom it was used for last, or all of them with Options.Outbox, and reads each
// conversation once for each. A message then takes one request. The limit gives sends of all
// people their turns, the login included. The contacts are looked at every 3 min, 500 in a
// request: whom the query does not find any more is looked for anew with the next message, as
// at once when the server refuses the person's token and the query finds somebody else.
//
// Errors: [ErrInvalid] for an unusable query or draft, before any request; those of [Chat.Login]
// and [Chat.Message].
func (a *App) Send(ctx context.Context, as M, conversationID int64, d Draft) (m *Message, err error) {
	defer wrap("send", &err)
	err = a.actingAs(ctx, as, conversationID, &d, func(c *Chat) (err error) {
		m, err = c.Message(ctx, conversationID, d)
		return err
	})
	return m, err
}

// actingAs calls fn with the Chat of a person who sends a draft.
func (a *App) actingAs(ctx context.Context, as M, conversationID int64, d *Draft, fn func(*Chat) error) error {
	if err := a.watch.checkDraft(conversationID, d); err != nil {
		return a.watch.refused(conversationID, d.GUID, err)
	}
	return a.as(ctx, as, fn)
}

// as calls fn with the Chat of a person.
func (a *App) as(ctx context.Context, query M, fn func(*Chat) error) error {
	login, err := where.ParseLogin(query, false)
	if err != nil {
		return invalid("as: %v", err)
	}
	if err := alive(ctx); err != nil {
		return err
	}
	ctx = datasource.InClass(ctx, datasource.ClassSend) // with the login
	for again := false; ; again = true {
		c, done, err := a.senders.Use(ctx, login.Pack().Key(), func(ctx context.Context) (*Chat, error) { return a.person(ctx, query) })
		if err != nil {
			return err
		}
		err = fn(c)
		done()
		renewal, refused := errors.AsType[*renewalError](err)
		if !refused || !errors.Is(err, errAnotherUser) && !errors.Is(err, ErrContactNotFound) {
			return err
		}
		if a.senders.Forget(c); again || !renewal.again {
			return err
		}
	}
}

// Bell serves the web hooks of conversations: a request whose URL has the id of one as
// "conversation" lets it be read within about a second. Nothing else of it is read, and everybody
// gets 204: a forged one takes a place in a request that is made anyway.
func (a *App) Bell() http.Handler { return a.hub }

// InstallBell adds a web hook that calls [App.Bell] at a URL to these conversations, or to all
// of the app: for inserted and updated rows, with the conversation's id as "conversation" in the
// URL and without content. Every other hook stays as it was, byte for byte. It returns how many
// conversations it has changed. What has the hook is left alone, so call it again for
// conversations that are new, as once an hour. Anybody who may read a conversation's data
// source sees the URL.
//
// The token has to be allowed to change the data sources. Whether the service calls the hooks
// for rows of chats is not documented; without them messages come with the list, each 15 s.
//
// It takes one request for the list, and three for each conversation without the hook, four of
// these at a time: hooks are replaced as a whole, so they are read before, and looked at
// afterwards. Where the list does not show hooks it takes one for each that has it.
//
// Errors: [ErrInvalid] for an unusable URL or id, before any request. Conversations that fail
// are named, at most five, and the others are changed nevertheless; the cause of ctx; [ErrClosed].
func (a *App) InstallBell(ctx context.Context, endpoint string, conversationIDs ...int64) (changed int, err error) {
	return a.editBells(ctx, "install bell", endpoint, conversationIDs, true)
}

// RemoveBell is the reverse of [App.InstallBell], with the same cost and errors. It removes the
// hooks of this URL only.
func (a *App) RemoveBell(ctx context.Context, endpoint string, conversationIDs ...int64) (changed int, err error) {
	return a.editBells(ctx, "remove bell", endpoint, conversationIDs, false)
}

func (a *App) editBells(ctx context.Context, op, endpoint string, ids []int64, install bool) (changed int, err error) {
	defer wrap(op, &err)
	if err := hub.CheckBell(endpoint, ids); err != nil {
		return 0, invalid("%v", err)
	}
	ctx, end, err := a.watch.begin(ctx)
	if err != nil {
		return 0, err
	}
	defer end()
	return a.hub.EditBells(ctx, endpoint, ids, install)
}

// Close ends the App's streams and loops at once, and does not wait, and so the Chats of
// [App.User], as [Chat.Close] does each, and those of [App.Send]. They are logged out of the
// process, not of the server. Closing again does nothing.
func (a *App) Close() error {
	a.watch.end()
	for _, c := range a.users.End() {
		_ = c.Close() // it was made
	}
	for _, c := range a.senders.All() {
		_ = c.Close() // it was made
	}
	a.work.Stop(errClosing)
	return nil
}

// Shutdown ends the App in good order: its own streams, loops and consumers, and with them the
// Chats of [App.User] that are not closed and of [App.Send], as [Chat.Shutdown] does each. What
// is new is read until all functions have returned. When it has returned nil nothing runs any more.
//
// If ctx ends first, Shutdown closes the App and those Chats, and returns the cause of ctx. Inside
// a stream's or consumer's function call Close instead.
//
// Errors: the cause of ctx.
func (a *App) Shutdown(ctx context.Context) (err error) {
	defer wrap("shutdown", &err)
	if err := given(ctx); err != nil {
		return err
	}
	defer a.Close() //nolint:errcheck // it does not fail
	err = hub.Each(64, append(a.users.End(), a.watch), func(c *Chat) error { return c.Shutdown(ctx) })
	a.work.Stop(errClosing)
	return cmp.Or(err, a.work.Wait(ctx))
}

// left forgets a Chat that is closed. It does nothing for nil.
func (a *App) left(c *Chat) {
	if a != nil {
		a.users.Leave(c)
	}
}

// sent says that a message was sent to a conversation.
func (a *App) sent(conversationID int64) {
	if a != nil {
		a.hub.Sent(conversationID)
	}
}
