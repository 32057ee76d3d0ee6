package chat

import (
	"context"
	"net/http"

	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/internal/fleet"
	"github.com/fliplet/fliplet-chat-go/internal/fleet/hub"
	"github.com/fliplet/fliplet-chat-go/internal/life"
	"github.com/fliplet/fliplet-chat-go/internal/receive"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// AppOptions configure an [App].
type AppOptions struct {
	// Options are those of every Chat of the App. The token of Client has to be allowed to read
	// the list of conversations and their rows.
	Options
	// Bell says that conversations have a web hook that calls [App.Bell]. Default: what has
	// changed is told by the list of conversations, read every 4 s.
	Bell bool
}

// App is a chat for many users in one process. Their streams share the requests that find
// what is new, so 5,000 cost about as much as 50: see docs/fleet.md. It was tried on the
// local Fliplet only. [Chat.Consume] of its users fails: for a position that survives a
// restart use [Connect]. It is safe for concurrent use.
type App struct {
	opts  AppOptions
	hub   *hub.Hub
	work  *life.Life
	watch *Chat // nobody's: its session listens to everything
}

// OpenApp begins to read what is new: two requests, and then, while nothing happens, one in 2 s
// with up to 2,000 conversations, and one more for each 6,000 of them. It starts one
// goroutine, until [App.Close].
//
// Errors: [ErrInvalid], which names every unusable option; what the server said.
func OpenApp(ctx context.Context, opts AppOptions) (_ *App, err error) {
	defer wrap("open app", &err)
	a := &App{opts: opts, work: life.New(context.Background())}
	if a.watch, err = connect(ctx, opts.Options); err != nil {
		return nil, err
	}
	strategy := fleet.NewListTimes()
	if opts.Bell {
		strategy = fleet.NewBells()
	}
	c := a.watch
	a.hub, err = hub.Open(ctx, hub.Config{Client: c.client, Apps: c.apps(), Strategy: strategy, Genuine: c.genuine(), Log: c.log})
	if err != nil {
		c.end()
		return nil, err
	}
	c.app = a
	c.session = c.watchSession(nil)
	a.work.Go(func() { a.hub.Run(a.work.Context()) })
	return a, nil
}

// User logs a person in, and returns their Chat: see [Chat.Login] for the query and its cost.
// A stream makes no request [FromNow], and otherwise those for the messages before. Close the
// Chat before the App.
//
// Errors: those of [Connect] and [Chat.Login]; [ErrClosed].
func (a *App) User(ctx context.Context, query M, opts ...LoginOption) (*Chat, error) {
	c, err := connect(ctx, a.opts.Options)
	if err != nil {
		return nil, err
	}
	if a.work.Context().Err() != nil {
		return nil, ErrClosed
	}
	c.app = a
	if _, err := c.Login(ctx, query, opts...); err != nil {
		c.end()
		return nil, err
	}
	return c, nil
}

// Bell serves the web hooks of conversations: a request whose URL has the id of one as
// "conversation" lets it be read within about a second. Nothing else of it is read, and everybody
// gets 204: a forged one takes a place in a request that is made anyway.
func (a *App) Bell() http.Handler { return a.hub }

// Close ends the App's streams at once, and does not wait; those of its users get nothing more.
func (a *App) Close() error {
	a.watch.end()
	a.work.Stop(errClosing)
	return nil
}

// sent says that a message was sent to a conversation.
func (a *App) sent(conversationID int64) {
	if a != nil {
		a.hub.Sent(conversationID)
	}
}

// source is where the listeners of a session get their rows.
func (c *Chat) source(s *session) receive.Source {
	p := &polledRows{chat: c, session: s}
	if c.app == nil {
		return p
	}
	s.desk = c.app.hub.Listen(s.userID)
	return &appRows{p, s.desk}
}

// appRows answers from what the App has read, and asks the server for the rest.
type appRows struct {
	*polledRows
	desk *hub.Desk
}

func (p *appRows) Page(ctx context.Context, q feed.Query) (receive.Page, error) {
	found, short, clock, err := p.desk.Page(ctx, q, func(ctx context.Context, q feed.Query) ([]feed.Row, error) {
		page, err := p.polledRows.Page(ctx, q)
		return page.Rows, err
	})
	return receive.Page{Rows: found, Short: short, Clock: clock}, err
}

// Members are those of the App's list, unless the engine asks so soon that it may lack what
// the user has just joined.
func (p *appRows) Members(ctx context.Context) (members []feed.Member, err error) {
	if list, read, ok := p.desk.Conversations(); ok {
		for i := range list {
			p.chat.known.Put(list[i].ID, wire.ParseDefinition(list[i].Definition))
		}
		members = p.members(ctx, read, list)
	} else if members, err = p.polledRows.Members(ctx); err != nil {
		return nil, err
	}
	p.desk.Assign(members)
	return members, nil
}
