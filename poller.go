package chat

import (
	"context"
	"errors"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/internal/receive"
	"github.com/fliplet/fliplet-chat-go/internal/rows"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// This file ties a Chat to the loop that receives, which is in internal/receive.

// newSession makes the session of a contact.
func (c *Chat) newSession(contact *Contact) *session {
	s := &session{contactID: contact.ID, userID: contact.UserID, cache: c.cache.User(contact.UserID)}
	s.rows = c.rowsOf(s)
	s.receiver = receive.New(receive.Config{
		Source: &polledRows{c, s},
		Feed: feed.Config{
			PageSize: batchSize, Live: c.opts.LivePollInterval, Base: c.opts.PollInterval, Max: c.opts.MaxPollInterval,
		},
		Judge: judge, Rested: s.cache.Save, Log: c.log, Life: c.work,
	})
	s.outbox = c.outboxOf(s)
	return s
}

// judge says what a failed poll means for the next ones.
func judge(err error) receive.Failure {
	var f receive.Failure
	if refused, ok := errors.AsType[*datasource.Error](err); ok && errors.Is(err, datasource.ErrRateLimited) {
		f.Wait = refused.RetryAfter
	}
	// A user who is gone would only be refused again.
	f.End = errors.Is(err, ErrContactNotFound)
	return f
}

// polledRows reads for the loop what a user may see.
type polledRows struct {
	chat    *Chat
	session *session
}

func (p *polledRows) Page(ctx context.Context, q feed.Query) ([]feed.Row, error) {
	entries, err := p.session.rows.Answer(ctx, q)
	if err != nil {
		return nil, err
	}
	found := rows.Feed(entries, p.chat.log)
	p.session.cache.Seen(ctx, q, entries)
	return found, nil
}

func (p *polledRows) Members(ctx context.Context) ([]feed.Member, error) {
	sources, err := p.chat.memberships(ctx, p.session)
	if err != nil {
		return nil, err
	}
	members := make([]feed.Member, len(sources))
	for i := range sources {
		p.chat.remember(&sources[i])
		members[i] = feed.Member{Conversation: sources[i].ID, Created: rows.Micros(sources[i].CreatedAt)}
	}
	return members, nil
}

// listenFrom says where a listener begins: where its options say, after the cached
// messages if they ask for them.
func (c *Chat) listenFrom(ctx context.Context, s *session, o callOptions) receive.Begin {
	var cached cachedEvents
	if o.offline {
		cached = c.cachedMessages(ctx, s)
	}
	return receive.Begin{First: cached.events, Join: func(f *feed.Feed, now time.Time) (feed.ID, error) {
		id := f.Subscribe(now, o.from.start())
		f.Resume(id, cached.rows, cached.upto)
		return id, nil
	}}
}

// received makes the message of an event, nil when ctx ended meanwhile. shared:
// others may be given the same row.
func (c *Chat) received(ctx context.Context, s *session, e feed.Event, shared bool) *Message {
	row := *e.Row.Payload.(*datasource.Entry)
	if shared {
		row.Data = wire.CloneMap(row.Data) // every listener, and every try, gets a message of its own
	}
	m := c.message(ctx, &row, s.userID)
	if m.Err != nil && ctx.Err() != nil {
		return nil // ended while its key was being read
	}
	m.IsUpdate, m.IsDeleted, m.IsReplay = e.Update, e.Deleted, e.Replay
	return m
}

// Poll looks for messages now, and returns when they are delivered: it waits for
// the functions of streams, except those that were busy when it was called, so it
// may be called from inside one. For one that makes no progress it waits a second
// at most. Polls asked for at the same time share requests. Without a stream there
// is nothing to do.
//
// Errors: what the server said, if the poll failed; the streams go on. The
// context's cause, [ErrNotLoggedIn], [ErrClosed].
func (c *Chat) Poll(ctx context.Context, opts ...PollOption) (err error) {
	defer wrap("poll", &err)
	var o callOptions
	for _, opt := range opts {
		opt.applyPoll(&o)
	}
	ctx, s, end, err := c.enter(ctx)
	if err != nil {
		return err
	}
	defer end()
	return s.receiver.Poll(ctx, o.reset)
}
