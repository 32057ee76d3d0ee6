package chat

import (
	"context"
	"slices"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/bodies"
	"github.com/fliplet/fliplet-chat-go/internal/cache"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/internal/rows"
	"github.com/fliplet/fliplet-chat-go/internal/where"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// What a session stores for offline use. Package cache keeps rows; the functions here
// convert them to contacts, conversations and messages.

// owner is a Chat as its parts see it.
type owner Chat

func (o *owner) Stores(column string) bool {
	return cache.Stores(column, o.opts.PrimaryKey, o.opts.CachedColumns)
}
func (o *owner) Writes() bodies.Protection                            { return bodies.Protection((*Chat)(o).writes()) }
func (o *owner) Go(fn func()) bool                                    { return o.work.Go(fn) }
func (o *owner) AfterStop(fn func(cause error)) (release func() bool) { return o.work.AfterStop(fn) }

// cacheOf is the cache of a session. Before a login it is one that belongs to no user.
func (c *Chat) cacheOf(s *session) *cache.User {
	if s == nil {
		return c.cache.User("")
	}
	return s.cache
}

// rememberUser stores who is logged in, for an offline login later.
func (c *Chat) rememberUser(ctx context.Context, s *session, query where.Login, contact *Contact, token string) {
	row := contactRow(contact)
	s.cache.Remember(ctx, &row, token, query.Fingerprint())
	c.shareUser(ctx, s, token)
}

// cachedUser finds a user of an earlier session who satisfies the query, nil if there
// is none.
func (c *Chat) cachedUser(ctx context.Context, query where.Login) (contact *Contact, token string) {
	_, token, _ = c.cache.FindUser(ctx, query.Fingerprint(), query.Column(wire.UserID), func(row *datasource.Entry) (string, bool) {
		if !query.Satisfied(row.Data) {
			return "", false
		}
		contact = c.contact(row)
		return contact.UserID, true
	})
	if token == "" {
		return nil, ""
	}
	return contact, token
}

// cacheContacts stores the complete list of contacts.
func (c *Chat) cacheContacts(ctx context.Context, s *session, contacts []*Contact) {
	rows := make([]datasource.Entry, len(contacts))
	for i, ct := range contacts {
		rows[i] = contactRow(ct)
	}
	c.cacheOf(s).SaveContacts(ctx, rows)
}

func contactRow(ct *Contact) datasource.Entry {
	return datasource.Entry{ID: ct.ID, DataSourceID: ct.DataSourceID, Data: ct.Data, CreatedAt: ct.CreatedAt, UpdatedAt: ct.UpdatedAt}
}

func (c *Chat) cachedContacts(ctx context.Context) ([]*Contact, error) {
	rows, _, err := c.cacheOf(c.current()).Contacts(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]*Contact, len(rows))
	for i := range rows {
		out[i] = c.contact(&rows[i])
	}
	return out, nil
}

// cachedConversations are those of an earlier session; ok is false if it stored none.
func (c *Chat) cachedConversations(ctx context.Context, s *session) (_ []*Conversation, ok bool, _ error) {
	list, ok, err := s.cache.Conversations(ctx)
	if err != nil {
		return nil, false, err
	}
	out := make([]*Conversation, len(list))
	for i := range list {
		def := c.known.PutCached(list[i].ID, wire.ParseDefinition(list[i].Definition))
		out[i] = c.handle(&list[i], def, s.userID)
	}
	return out, ok, nil
}

// cachedEvents are the cached messages with which a stream begins.
type cachedEvents struct {
	events []feed.Event // for the stream
	rows   []feed.Row   // the same, for the engine
	upto   feed.Time
}

// cachedMessages are the messages that an earlier session stored, oldest first, in
// conversations that the cache lists.
func (c *Chat) cachedMessages(ctx context.Context, s *session) cachedEvents {
	entries, upto := s.cache.Messages(ctx)
	if len(entries) == 0 && upto == 0 {
		return cachedEvents{}
	}
	// Reading the list also caches the keys of the bodies.
	if list, ok, err := c.cachedConversations(ctx, s); ok && err == nil {
		entries = slices.DeleteFunc(entries, func(e datasource.Entry) bool {
			return !slices.ContainsFunc(list, func(v *Conversation) bool { return v.ID == e.DataSourceID })
		})
	}
	cached := cachedEvents{rows: rows.Feed(ctx, entries, c.genuine(), c.log), upto: upto}
	for i := range cached.rows {
		cached.events = append(cached.events, feed.Event{Row: cached.rows[i]})
	}
	return cached
}
