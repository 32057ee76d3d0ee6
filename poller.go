package chat

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/cache"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/internal/few"
	"github.com/fliplet/fliplet-chat-go/internal/fleet"
	"github.com/fliplet/fliplet-chat-go/internal/receive"
	"github.com/fliplet/fliplet-chat-go/internal/roster"
	"github.com/fliplet/fliplet-chat-go/internal/rows"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// This file connects a Chat to the receive loop of internal/receive.

// newSession makes the session of a contact.
func (c *Chat) newSession(contact *Contact) *session {
	userID := strings.Clone(contact.UserID) // else it would keep the row
	of := &struct {                         // in one piece: a process may have thousands
		session
		roster   roster.Roster
		rows     rows.Source
		receiver receive.Receiver
		cache    cache.User
		polled   polledRows
	}{}
	s, h := &of.session, (*host)(&of.polled)
	s.contactID, s.userID, s.cache = contact.ID, userID, c.cache.InitUser(&of.cache, userID)
	s.roster, s.rows, s.receiver = &of.roster, &of.rows, &of.receiver
	s.roster.Init(roster.Config{UserID: userID, Known: &c.known, NotFound: ErrNotFound, Certain: certain, Log: c.log, Reader: h})
	s.rows.Init(rows.Config{Client: c.client, Endpoint: &c.endpoint, UserID: userID, PageSize: batchSize, Log: c.log, Host: h, Roster: s.roster, Genuine: c.genuine()})
	s.receiver.Init(receive.Config{
		Source: c.source(s, &of.polled), Engines: h,
		Judge: pollFailure, Rested: s.cache.Saver(), Log: c.log, Life: &c.work, Hooks: c.opts.Hooks, Share: c.opts.Client,
	})
	s.outbox = c.outboxOf(s)
	s.desk.Enter(s.receiver) // last: the App's goroutines tell it from now on
	return s
}

// host is a session as what reads for it sees it.
type host polledRows

func (h *host) Beside(read func()) bool         { return h.session.receiver.Aside(read) }
func (h *host) Found()                          { h.session.receiver.Poke() }
func (h *host) Class(ctx context.Context) uint8 { return uint8(datasource.ClassOf(ctx)) }
func (h *host) Authorized(ctx context.Context, fn func(token string) error) error {
	return h.chat.authorized(ctx, h.session, fn)
}

func (h *host) Members(ctx context.Context) ([]rows.Member, error) {
	sources, err := h.chat.memberships(ctx, h.session)
	return rows.MembersOf(sources), err
}

func (h *host) List(ctx context.Context) (err error) {
	if h.session.watch == nil { // else it is nobody's
		_, err = h.chat.memberships(ctx, h.session)
	}
	return err
}

func (h *host) Read(ctx context.Context, id int64) (wire.Definition, error) {
	return h.chat.freshDefinition(ctx, id)
}

// feedConfig is the configuration of engines.
func (c *Chat) feedConfig() feed.Config {
	return feed.Config{
		PageSize: batchSize, Live: c.opts.LivePollInterval, Base: c.opts.PollInterval, Max: c.opts.MaxPollInterval,
		LongestWait: datasource.LongestWait, Stable: rows.Stable, Overlap: c.opts.Profile.Overlap,
	}
}

// Feed makes an engine, which each loop has anew.
func (h *host) Feed() *feed.Feed {
	if c := h.chat; c.app != nil {
		return appEngines.Of(c.opts, func() *feed.Shared { return fleet.EngineConfig(c.feedConfig()).Share() }).New()
	}
	return engines.Of(h.chat.opts, func() *feed.Shared { return h.chat.feedConfig().Share() }).New()
}

// engines are the configurations of those that Chats with the same options have.
var engines, appEngines few.Derived[Options, feed.Shared]

// pollFailure says what a failed poll means for later ones.
func pollFailure(err error) receive.Failure {
	return receive.Failure{Wait: retryAfter(err), End: final(err)}
}

// retryAfter is how long no poll is to follow one that failed, 0 if nothing says it.
func retryAfter(err error) time.Duration {
	if errors.Is(err, datasource.ErrNoAnswer) {
		return time.Second // it has waited long enough: what is missing may be there
	}
	return askedToWait(err)
}

// final reports whether later polls would fail, too: the contact was deleted, or the
// token revoked.
func final(err error) bool {
	_, ok := errors.AsType[*receive.FinalError](err)
	return ok
}

// polledRows is the loop's source: the rows that a user may see.
type polledRows struct {
	chat    *Chat
	session *session
	refused few.Rare[receive.Refusals] // of polls and logins
	absent  receive.Absence            // of the contact
}

// judge says what a poll's error means. After a refusal it tries a login, unless the poll has:
// when the service itself refuses that, too, and the request about the token itself, and none
// with the token was accepted between two such polls, it was revoked.
func (p *polledRows) judge(ctx context.Context, err error) error {
	if errors.Is(err, ErrContactNotFound) || errors.Is(err, errAnotherUser) {
		if !p.absent.Another() || !p.chat.noContact(ctx, p.session) {
			return err
		}
		if !errors.Is(err, ErrContactNotFound) {
			return &receive.FinalError{Err: err, Means: ErrContactNotFound}
		}
		return &receive.FinalError{Err: err}
	}
	if err == nil || !refused(err) {
		return err
	}
	last := err
	if _, tried := errors.AsType[*renewalError](err); !tried && p.session.watch == nil {
		if _, last = p.chat.find(ctx, p.session.login(p.chat)); !refused(last) {
			return err
		}
	}
	revoked, sayInWords := p.refused.Get().Another(certain(err) && certain(last), p.chat.client.LastAccepted())
	if !revoked {
		return err
	}
	if pinged := p.chat.client.Ping(ctx); !refused(pinged) || sayInWords && !certain(pinged) {
		return err
	}
	return &receive.FinalError{Err: err, Means: ErrUnauthorized}
}

// refused reports whether the service may have refused a token: no rules, and no page.
func refused(err error) bool {
	answer, ok := errors.AsType[*datasource.Error](err)
	return ok && answer.FromService && (errors.Is(err, datasource.ErrUnauthorized) || errors.Is(err, datasource.ErrForbidden)) && !errors.Is(err, datasource.ErrAccessDenied)
}

func (p *polledRows) Page(ctx context.Context, q feed.Query) (receive.Page, error) {
	a, err := p.answer(ctx, q)
	return pageOf(a), err
}

func (p *polledRows) answer(ctx context.Context, q feed.Query) (rows.Answer, error) {
	a, err := p.session.rows.Answer(datasource.AskAgain(ctx), q)
	if err := p.judge(ctx, err); err != nil {
		return rows.Answer{}, err
	}
	p.absent.Found()
	p.session.cache.Seen(ctx, q, a.Shown, a.Clock.Earliest)
	return a, nil
}

func pageOf(a rows.Answer) receive.Page {
	return receive.Page{Rows: a.Rows, Short: a.Short, Clock: a.Clock, Upto: a.Upto, Partial: a.Partial, Without: a.Without, Err: a.Err, Asked: a.Asked, Since: a.Since, Room: a.Room}
}

func (p *polledRows) Members(ctx context.Context) ([]feed.Member, error) {
	began := time.Now()
	sources, err := p.chat.memberships(datasource.InClass(datasource.AskAgain(ctx), datasource.ClassIndex), p.session)
	if err := p.judge(ctx, err); err != nil {
		return nil, err
	}
	return p.members(ctx, began, sources), nil
}

// members are those of a list that was asked for at a time.
func (p *polledRows) members(ctx context.Context, began time.Time, sources []datasource.DataSource) []feed.Member {
	joined := p.session.roster.Joins(ctx, began, func(id int64) bool {
		return slices.ContainsFunc(sources, func(ds datasource.DataSource) bool { return ds.ID == id })
	})
	members := make([]feed.Member, len(sources))
	for i, ds := range sources {
		j := joined[ds.ID]
		members[i] = feed.Member{
			Conversation: ds.ID, Created: rows.Micros(ds.CreatedAt), Changed: rows.Micros(ds.UpdatedAt),
			Joined: rows.Micros(j.At), Asked: j.Asked, Answered: j.Answered,
		}
	}
	return members
}

// listenFrom says where a listener begins, according to its options: with Offline it
// gets the cached messages first.
func (c *Chat) listenFrom(ctx context.Context, s *session, o callOptions, t *receive.Teller) receive.Begin {
	var cached cachedEvents
	if o.offline {
		cached = c.cachedMessages(ctx, s)
	}
	b := receive.Begin{First: cached.events, Join: func(f *feed.Feed, now time.Time) (feed.ID, error) {
		id := f.Subscribe(now, o.from.start())
		s.desk.Start()
		s.watch.begin()
		f.Resume(id, cached.rows, cached.upto)
		return id, nil
	}}
	if t != nil || s.watch != nil { // most have neither
		b.Failed, b.Ended = pollFailed(t), func() { t.Stop(); s.watch.leave() }
	}
	return b
}

// received makes the message of an event, nil if ctx ended meanwhile. shared: other
// listeners may get the same row.
func (c *Chat) received(ctx context.Context, s *session, e *feed.Event, shared bool) *Message {
	row, ordinary := rows.Row(&e.Row)
	if shared || c.app != nil { // an App's rows are everybody's
		row.Data = wire.CloneMap(row.Data) // every listener and every attempt gets its own
	}
	m := c.message(ctx, &row, s.userID, ordinary)
	if m.Err != nil && ctx.Err() != nil {
		return nil // ended while its key was being read
	}
	m.IsUpdate, m.IsDeleted, m.IsHistory, m.IsReplay = e.Update, e.Deleted, e.History, e.Replay
	m.Change = Change(e.Changed)
	return m
}

// Poll looks for messages now and returns when they are delivered. It waits for the
// functions of streams, at most a second for one that makes no progress, and only a
// moment for those that were running when it was called. So it may be called from
// inside one. A stream that is a page behind, since its function blocks, has no part in
// it.
// Concurrent calls share requests. At an [App] it takes one request for the list of conversations and
// one for 100 conversations of the user. Without a stream Poll does nothing and returns nil,
// also while the server is down; [datasource.Client.Ping] asks whether it is.
//
// Errors: that of the server if the poll failed, while the streams go on; the
// context's cause; [ErrNotLoggedIn]; [ErrClosed].
func (c *Chat) Poll(ctx context.Context, opts ...PollOption) (err error) {
	defer wrap("poll", &err)
	o := chosen(callOptions{}, opts, PollOption.applyPoll)
	ctx, s, end, err := c.enter(ctx)
	if err != nil {
		return err
	}
	defer end()
	if s.receiver.Status().Listeners > 0 {
		if err := s.desk.Poll(ctx); err != nil {
			return err
		}
	}
	return s.receiver.Poll(ctx, o.reset)
}
