package chat

import (
	"context"
	"iter"
	"slices"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/internal/fleet/hub"
	"github.com/fliplet/fliplet-chat-go/internal/receive"
	"github.com/fliplet/fliplet-chat-go/internal/roster"
	"github.com/fliplet/fliplet-chat-go/internal/where"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// FilterOption is [Only] or [OnlyIf].
type FilterOption struct {
	ids []int64
	fn  func(*Conversation) bool
}

func (o FilterOption) applyStream(c *callOptions)     { c.filters = append(c.filters, o) }
func (o FilterOption) applyConsume(c *consumeOptions) { c.filters = append(c.filters, o) }

// Only limits an [App.Stream], [App.Events] or [App.Consume] to these conversations. One that
// does not exist, or not yet, brings nothing. Of several filters a conversation has to pass all.
func Only(conversationIDs ...int64) FilterOption {
	return FilterOption{ids: append([]int64{}, conversationIDs...)}
}

// OnlyIf limits an [App.Stream], [App.Events] or [App.Consume] to the conversations for which
// fn returns true. It is called for each of them when the listener begins and with each list of
// conversations that says who is in them, by default each minute, in one goroutine at a time
// for each listener. It must not block, nor keep or change what it is given. A conversation
// that it takes later is one that the listener has joined then, see [StartAt]. A panic in it
// counts as a poll that failed.
func OnlyIf(fn func(*Conversation) bool) FilterOption { return FilterOption{fn: fn} }

// check refuses a filter that can pass nothing.
func (o FilterOption) check() error {
	switch {
	case o.fn == nil && o.ids == nil:
		return invalid("OnlyIf: nil; give a function, or leave it out")
	case o.fn == nil && len(o.ids) == 0:
		return invalid("Only: no ids; give those of conversations, or leave it out")
	}
	for _, id := range o.ids {
		if id <= 0 {
			return invalid("Only: %d is not the id of a conversation", id)
		}
	}
	return nil
}

// Stream calls fn with every message of all conversations of the app, or those of [Only] and
// [OnlyIf], that is sent, changed or deleted from now on, whether or not anybody of this process
// is in them: see [Chat.Stream] for the contract. Bodies are opened with the conversations' keys.
// Without [StartAt] it begins [FromNow].
//
// A new conversation is known with the next list that has its members, at the latest after a
// minute with up to 10,000 conversations; nothing of it is missing. A deletion comes late: see
// docs/fleet.md.
//
// Cost: no request [FromNow]. With another start, and for a fn that falls behind the newest
// 20,000 changes, one request for 100 conversations and one for each that has something, again
// until it has caught up, at most every 2 s.
//
// Errors: [ErrInvalid] for a nil fn, an unusable filter, or [Offline]; [ErrClosed].
func (a *App) Stream(ctx context.Context, fn func(*Message), opts ...StreamOption) (*Subscription, error) {
	return a.watch.Stream(ctx, fn, append([]StreamOption{StartAt(FromNow)}, opts...)...)
}

// Events is [App.Stream] for range loops, as [Chat.Events] is [Chat.Stream]. It begins [FromNow]
// unless [StartAt] says otherwise: with the first step of the loop.
//
// An error ends the loop and comes with a nil message: [ErrInvalid], [ErrClosed], the context's
// cause, and [ErrUnauthorized] when the server does not take the token any more.
func (a *App) Events(ctx context.Context, opts ...StreamOption) iter.Seq2[*Message, error] {
	return a.watch.Events(ctx, append([]StreamOption{StartAt(FromNow)}, opts...)...)
}

// Consume is [Chat.Consume] for every message of all conversations of the app, or those of
// [Only] and [OnlyIf]: at least once, also across restarts, and exactly once in a
// [storage.Transactional]. The position is stored in Options.Storage by API host, contacts data
// source and name, beside those of users, and in the server's own times: another process may go
// on with it, and one with another strategy or another filter. What another filter adds comes as
// a conversation that was joined then, see [StartAt]; without it Consume begins with the newest
// 200 messages.
//
// Its position lags behind what was handled by as long as it takes until every conversation was
// read once more, about a minute, so that it has 36 bytes for each message of that minute. A
// deletion may come three hours late without the audit log; one that was not found when the process
// ended is told by the next one, but with [Latest] and [Debounce]. So each takes a small key there.
//
// Cost: none for what is new. To go on with a position, one request for 100 conversations and
// one for each in which something has happened since, and so again every 2 s until it has caught
// up; and beside that one for each in which something has happened in the 4 hours before.
//
// Errors: those of [Chat.Consume]; [ErrInvalid] for an unusable filter.
func (a *App) Consume(ctx context.Context, name string, fn func(context.Context, *Message) error, opts ...ConsumeOption) error {
	return a.watch.Consume(ctx, name, fn, opts...)
}

// History is [Chat.History] of any conversation that the token reaches. Options and cost are the same.
func (a *App) History(ctx context.Context, conversationID int64, opts ...HistoryOption) iter.Seq2[*Message, error] {
	return a.watch.History(ctx, conversationID, opts...)
}

// watching is what a session has that listens to the conversations of an App.
type watching struct {
	*hub.Watch
	ended func() // nil: it lasts as long as the App
}

// leave ends the session of one listener. Like begin it does nothing for nil.
func (w *watching) leave() {
	if w != nil && w.ended != nil {
		w.ended()
	}
}

// begin says that a listener begins now.
func (w *watching) begin() {
	if w != nil {
		w.Start()
	}
}

// late lets a consumer look for deletions that were not told.
func (w *watching) late(told hub.Told) { w.Late(told) }

// listening is the session whose receiver a listener with these filters gets. At an App each has
// its own, since it may be at another position.
func (c *Chat) listening(s *session, filters []FilterOption, offline bool) (*session, error) {
	switch {
	case s.watch == nil && len(filters) == 0:
		return s, nil
	case s.watch == nil:
		return nil, invalid("opts: Only and OnlyIf are for the listeners of an App; leave them out, and look at Message.ConversationID")
	case offline:
		return nil, invalid("Offline: an App has no cached messages; leave it out")
	}
	for _, f := range filters {
		if err := f.check(); err != nil {
			return nil, err
		}
	}
	return c.watchSession(s, filters...), nil
}

// watchSession makes a session that listens to conversations of the app, beside one that does.
// It is nobody's.
func (c *Chat) watchSession(other *session, filters ...FilterOption) *session {
	s := &session{cache: c.cache.User("")}
	source := &watchedRows{polledRows{chat: c, session: s}}
	s.roster = roster.New(roster.Config{
		All: true, Known: &c.known, NotFound: ErrNotFound, Certain: certain, Log: c.log, Reader: (*host)(&source.polledRows),
	})
	cfg := hub.WatchConfig{Size: batchSize, Log: c.log}
	if len(filters) > 0 {
		cfg.Wanted = func(ds *datasource.DataSource) (bool, error) { return c.passes(ds, filters) }
	}
	s.watch = &watching{Watch: c.app.hub.Watch(cfg)}
	s.rows = s.watch.Rows()
	if other == nil {
		s.receiver = receive.New(receive.Config{Source: source, Engines: receive.EngineFunc(c.timelyFeed), Judge: pollFailure, Log: c.log, Life: &c.work, Hooks: c.opts.Hooks})
	} else {
		var leave func()
		s.receiver, leave = other.receiver.Beside(source, receive.EngineFunc(c.timelyFeed))
		s.watch.ended = func() {
			s.watch.Leave()
			leave()
		}
	}
	s.watch.Enter(s.receiver) // last: the App's goroutines tell it from now on
	return s
}

// timelyFeed makes an engine in the server's own times, which reads from the log of an App.
func (c *Chat) timelyFeed() *feed.Feed {
	cfg := c.feedConfig()
	cfg.Collect = 50 * batchSize // they are in the log anyway
	return feed.New(cfg)
}

// passes reports whether a conversation passes all filters.
func (c *Chat) passes(ds *datasource.DataSource, filters []FilterOption) (pass bool, err error) {
	for _, f := range filters {
		if f.fn == nil {
			pass = slices.Contains(f.ids, ds.ID)
		} else {
			err = guarded("function of OnlyIf", nil, func() error { pass = f.fn(c.conversation(ds, "")); return nil })
		}
		if !pass || err != nil {
			return false, err
		}
	}
	return true, nil
}

// watchedRows are the rows of the conversations of an app.
type watchedRows struct{ polledRows }

func (p *watchedRows) Page(ctx context.Context, q feed.Query) (receive.Page, error) {
	a, err := p.session.watch.Page(datasource.AskAgain(ctx), q)
	if err := p.judge(ctx, err); err != nil {
		return receive.Page{}, err
	}
	return pageOf(a), nil
}

func (p *watchedRows) Members(ctx context.Context) ([]feed.Member, error) {
	return p.session.watch.Members(ctx)
}

// source is where the listeners of a session get their rows.
func (c *Chat) source(s *session, p *polledRows) receive.Source {
	if p.chat, p.session = c, s; c.app == nil {
		return p
	}
	s.desk = c.deskOf(s)
	return &appRows{p, s.desk}
}

// deskOf is where a user of an App is told what is new.
func (c *Chat) deskOf(s *session) *hub.Desk {
	return c.app.hub.Listen(s.userID, s.contactID, func(row *datasource.Entry) bool {
		is := row != nil && c.storedUserID(row) == s.userID
		if !is || len(where.Choose(s.login(c).Without(wire.UserToken), columnsOf, *row)) == 0 {
			c.app.senders.Forget(c)
		}
		return is
	})
}

// durable is the receiver of a consumer, what looks for deletions that the App finds late, and a
// function that lets go of it. At an App a user's is not that of the streams, which have the times
// of the log: a position outlives that.
func (c *Chat) durable(s *session) (_ *receive.Receiver, late func(hub.Told), leave func()) {
	if s.desk == nil {
		return s.receiver, s.watch.late, func() {}
	}
	desk := c.deskOf(s)
	part, leave := s.receiver.Beside(&consumedRows{appRows{&polledRows{chat: c, session: s}, desk}}, receive.EngineFunc(c.timelyFeed))
	return part, desk.Late, desk.EnterConsumer(part, leave)
}

// consumedRows are those of a user of an App for a consumer.
type consumedRows struct{ appRows }

func (p *consumedRows) Page(ctx context.Context, q feed.Query) (receive.Page, error) {
	if err := p.check(ctx); err != nil {
		return receive.Page{}, err
	}
	a, err := p.desk.Recent(ctx, q, p.answer)
	return pageOf(a), err
}

// finalFailure judges what the requests for all users of an App meet, once for all of them.
func (c *Chat) finalFailure() func(context.Context, error) error {
	p := &polledRows{chat: c, session: &session{watch: &watching{}}} // nobody's
	return func(ctx context.Context, err error) error {
		if err = p.judge(ctx, err); final(err) {
			return err
		}
		return nil
	}
}

// appRows answers from what the App has read, and asks the server for the rest.
type appRows struct {
	*polledRows
	desk *hub.Desk
}

func (p *appRows) Page(ctx context.Context, q feed.Query) (receive.Page, error) {
	if err := p.check(ctx); err != nil {
		return receive.Page{}, err
	}
	found, short, clock, err := p.desk.Page(ctx, q, func(ctx context.Context, q feed.Query) ([]feed.Row, error) {
		page, err := p.polledRows.Page(ctx, q)
		return page.Rows, err
	})
	return receive.Page{Rows: found, Short: short, Clock: clock, Err: p.desk.Failing()}, err
}

// check fails when what is new does not come to the App, or not to this user any more. Where the
// contact seems to be gone it polls as a Chat of its own does, with the user's token.
func (p *appRows) check(ctx context.Context) error {
	if err := p.desk.Down(); err != nil || !p.desk.Doubted() {
		return err
	}
	_, err := p.polledRows.Page(ctx, feed.Query{Kind: feed.Newest, Limit: 1})
	if err == nil {
		p.desk.Trust()
	}
	return err
}

// Members are those of the App's list, unless the engine asks so soon that it may lack what
// the user has just joined.
func (p *appRows) Members(ctx context.Context) (members []feed.Member, err error) {
	if err := p.check(ctx); err != nil {
		return nil, err
	}
	read := time.Now()
	if list, at, ok := p.desk.Conversations(); ok {
		for i := range list {
			p.chat.known.Put(list[i].ID, wire.ParseDefinition(list[i].Definition))
		}
		read, members = at, p.members(ctx, at, list)
	} else if members, err = p.polledRows.Members(ctx); err != nil {
		return nil, err
	}
	p.desk.Assign(members, read)
	return members, nil
}
