package chat

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// What a session leaves in Storage, for offline use. Keys hold the API host, the
// contacts data source and the user, so that users never see each other's.

// cacheKey names a value of a user; "" is nobody in particular.
func (c *Chat) cacheKey(userID, name string) string {
	host := c.client.BaseURL()
	if u, err := url.Parse(host); err == nil && u.Host != "" {
		host = u.Host
	}
	return fmt.Sprintf("fl-chat-cache/%s/%d/%s/%s", host, c.opts.DataSourceID, url.PathEscape(userID), name)
}

// cachedRow is a row as the cache keeps it: as the server sent it, bodies encrypted.
type cachedRow struct {
	ID           int64      `json:"id"`
	DataSourceID int64      `json:"dataSourceId"`
	Data         M          `json:"data"`
	CreatedAt    time.Time  `json:"createdAt"`
	UpdatedAt    time.Time  `json:"updatedAt"`
	DeletedAt    *time.Time `json:"deletedAt"`
}

func toCache(e *datasource.Entry) cachedRow {
	return cachedRow{e.ID, e.DataSourceID, e.Data, e.CreatedAt, e.UpdatedAt, e.DeletedAt}
}

func (r cachedRow) entry() datasource.Entry {
	return datasource.Entry{ID: r.ID, DataSourceID: r.DataSourceID, Data: r.Data, CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt, DeletedAt: r.DeletedAt}
}

// load reads a cached value. A value that cannot be read counts as absent.
func (c *Chat) load(ctx context.Context, key string, into any) (bool, error) {
	raw, err := c.store.Get(ctx, key)
	if errors.Is(err, storage.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("storage: %w", err)
	}
	if err := unmarshal(raw, into); err != nil {
		c.log.Warn("a cached value cannot be read", "error", err)
		return false, nil
	}
	return true, nil
}

// save writes a cached value. The cache is a convenience: a failure is logged.
func (c *Chat) save(ctx context.Context, key string, v any) {
	raw, err := json.Marshal(v)
	if err == nil {
		err = c.store.Set(ctx, key, raw)
	}
	if err != nil && ctx.Err() == nil {
		c.log.Warn("caching failed", "error", err)
	}
}

// userRecord is a user who logged in on this store.
type userRecord struct {
	Contact cachedRow `json:"contact"`
	Token   string    `json:"token"`
}

// rememberUser stores who is logged in, for an offline login later.
func (c *Chat) rememberUser(ctx context.Context, contact *Contact, token string) error {
	c.save(ctx, c.cacheKey(contact.UserID, "user"), userRecord{
		Contact: cachedRow{ID: contact.ID, DataSourceID: contact.DataSourceID, Data: contact.Data, CreatedAt: contact.CreatedAt, UpdatedAt: contact.UpdatedAt},
		Token:   token,
	})
	return c.listUser(ctx, contact.UserID, true)
}

// listUser keeps the list of users who may log in offline.
func (c *Chat) listUser(ctx context.Context, userID string, in bool) error {
	key := c.cacheKey("", "users")
	for range changeAttempts {
		old, err := c.store.Get(ctx, key)
		if err != nil && !errors.Is(err, storage.ErrNotFound) {
			return fmt.Errorf("storage: %w", err)
		}
		var users []string
		if err := json.Unmarshal(old, &users); err != nil {
			users = nil
		}
		i := slices.Index(users, userID)
		switch {
		case in == (i >= 0):
			return nil
		case in:
			users = append(users, userID)
		default:
			users = slices.Delete(users, i, i+1)
		}
		new, err := json.Marshal(users)
		if err != nil {
			return err
		}
		if ok, err := c.store.CompareAndSwap(ctx, key, old, new); err != nil {
			return fmt.Errorf("storage: %w", err)
		} else if ok {
			return nil
		}
	}
	return errors.New("storage: the list of users keeps changing")
}

// cachedLogin logs in a user who was logged in before and equals the query, nil if
// there is none.
func (c *Chat) cachedLogin(ctx context.Context, query M) (*Contact, error) {
	var users []string
	if _, err := c.load(ctx, c.cacheKey("", "users"), &users); err != nil {
		return nil, err
	}
	for _, id := range users {
		var u userRecord
		if ok, err := c.load(ctx, c.cacheKey(id, "user"), &u); err != nil {
			return nil, err
		} else if !ok || u.Token == "" {
			continue
		}
		if exact, _ := equals(query, u.Contact.Data); !exact || !compares(query) {
			continue
		}
		row := u.Contact.entry()
		contact := c.contact(&row)
		if contact.UserID != id {
			continue
		}
		return contact, c.adopt(ctx, query, contact, u.Token)
	}
	return nil, nil
}

// unmarshal reads JSON with exact numbers.
func unmarshal(raw []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	return dec.Decode(into)
}

// compares reports whether a query says anything that can be checked here.
func compares(query M) bool {
	exact, _ := equals(query, M{})
	return !exact
}

// forgetToken drops a dead chat token, so that it is not used offline either.
func (c *Chat) forgetToken(ctx context.Context) {
	if user := c.User(); user != nil {
		if err := c.store.Delete(ctx, c.cacheKey(user.UserID, "user")); err != nil && ctx.Err() == nil {
			c.log.Warn("forgetting a chat token failed", "error", err)
		}
	}
}

// forgetStored removes everything of a user who logged out.
func (c *Chat) forgetStored(ctx context.Context, userID string) error {
	errs := []error{c.listUser(ctx, userID, false)}
	for _, name := range []string{"user", "contacts", "conversations", "messages"} {
		errs = append(errs, c.store.Delete(ctx, c.cacheKey(userID, name)))
	}
	errs = append(errs, c.store.Delete(ctx, c.opts.CrossLoginEmailKey))
	return errors.Join(errs...)
}

// whoever is the user id under which contacts are cached.
func (c *Chat) whoever() string {
	if u := c.User(); u != nil {
		return u.UserID
	}
	return ""
}

func (c *Chat) cacheContacts(ctx context.Context, contacts []*Contact) {
	rows := make([]cachedRow, len(contacts))
	for i, ct := range contacts {
		rows[i] = cachedRow{ID: ct.ID, DataSourceID: ct.DataSourceID, Data: ct.Data, CreatedAt: ct.CreatedAt, UpdatedAt: ct.UpdatedAt}
	}
	c.save(ctx, c.cacheKey(c.whoever(), "contacts"), rows)
}

func (c *Chat) cachedContacts(ctx context.Context) ([]*Contact, error) {
	var rows []cachedRow
	if ok, err := c.load(ctx, c.cacheKey(c.whoever(), "contacts"), &rows); err != nil {
		return nil, err
	} else if !ok {
		return nil, ErrOffline
	}
	out := make([]*Contact, len(rows))
	for i := range rows {
		e := rows[i].entry()
		out[i] = c.contact(&e)
	}
	return out, nil
}

// cachedSource is a conversation as the cache keeps it.
type cachedSource struct {
	ID, AppID, OrganizationID int64
	Name                      string
	Definition                json.RawMessage
	CreatedAt, UpdatedAt      time.Time
}

func (c *Chat) cacheConversations(ctx context.Context, s *session, sources []datasource.DataSource) {
	list := make([]cachedSource, len(sources))
	for i := range sources {
		ds := &sources[i]
		list[i] = cachedSource{ds.ID, ds.AppID, ds.OrganizationID, ds.Name, ds.Definition, ds.CreatedAt, ds.UpdatedAt}
	}
	c.save(ctx, c.cacheKey(s.userID, "conversations"), list)
}

func (c *Chat) cachedConversations(ctx context.Context, s *session) ([]*Conversation, error) {
	var list []cachedSource
	if ok, err := c.load(ctx, c.cacheKey(s.userID, "conversations"), &list); err != nil {
		return nil, err
	} else if !ok {
		return nil, ErrOffline
	}
	out := make([]*Conversation, len(list))
	for i, v := range list {
		out[i] = c.conversation(&datasource.DataSource{
			ID: v.ID, AppID: v.AppID, OrganizationID: v.OrganizationID, Name: v.Name, Type: wire.TypeConversation,
			Definition: v.Definition, CreatedAt: v.CreatedAt, UpdatedAt: v.UpdatedAt,
		}, s.userID)
	}
	return out, nil
}

// recentMessages are the newest rows of the user who streams.
type recentMessages struct {
	sync.Mutex
	user  string
	rows  map[int64]cachedRow
	saved time.Time
	dirty bool
}

// saveEvery bounds how often the newest messages are written to Storage.
const saveEvery = 5 * time.Second

// cacheMessages notes rows a poll brought, and stores the newest page now and then.
// The default store dies with the Chat, so nothing is kept for it.
func (c *Chat) cacheMessages(ctx context.Context, s *session, rows []datasource.Entry) {
	if !c.keepsCache || len(rows) == 0 {
		return
	}
	c.recent.Lock()
	defer c.recent.Unlock()
	if c.recent.user != s.userID {
		c.recent.user, c.recent.rows, c.recent.saved = s.userID, map[int64]cachedRow{}, time.Time{}
		var before []cachedRow
		if ok, err := c.load(ctx, c.cacheKey(s.userID, "messages"), &before); ok && err == nil {
			for _, r := range before {
				c.recent.rows[r.ID] = r
			}
		}
	}
	for i := range rows {
		e := &rows[i]
		if deleted(*e) {
			delete(c.recent.rows, e.ID)
			continue
		}
		if old, ok := c.recent.rows[e.ID]; !ok || !e.UpdatedAt.Before(old.UpdatedAt) {
			r := toCache(e)
			r.Data = wire.CloneMap(e.Data)
			c.recent.rows[e.ID] = r
		}
	}
	c.recent.dirty = true
	if time.Since(c.recent.saved) >= saveEvery {
		c.writeMessages(ctx)
	}
}

// saveMessages stores what cacheMessages has not stored yet, when polling ends.
func (c *Chat) saveMessages(s *session) {
	c.recent.Lock()
	defer c.recent.Unlock()
	if current := c.whoever(); c.recent.dirty && c.recent.user == s.userID && current == s.userID {
		ctx, cancel := context.WithTimeout(context.Background(), saveEvery)
		defer cancel()
		c.writeMessages(ctx)
	}
}

// writeMessages stores the newest rows. recent is locked.
func (c *Chat) writeMessages(ctx context.Context) {
	list := make([]cachedRow, 0, len(c.recent.rows))
	for _, r := range c.recent.rows {
		list = append(list, r)
	}
	slices.SortFunc(list, func(a, b cachedRow) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	for len(list) > batchSize {
		delete(c.recent.rows, list[0].ID)
		list = list[1:]
	}
	c.save(ctx, c.cacheKey(c.recent.user, "messages"), list)
	c.recent.saved, c.recent.dirty = time.Now(), false
}

// cachedMessages are the messages an earlier session stored, oldest first, and the
// rows they came from.
func (c *Chat) cachedMessages(ctx context.Context, s *session) ([]*Message, []feed.Row) {
	if _, err := c.cachedConversations(ctx, s); err != nil {
		c.log.Debug("no cached conversations", "error", err)
	}
	var list []cachedRow
	if ok, err := c.load(ctx, c.cacheKey(s.userID, "messages"), &list); err != nil || !ok {
		return nil, nil
	}
	entries := make([]datasource.Entry, len(list))
	for i, r := range list {
		entries[i] = r.entry()
	}
	rows := c.feedRows(entries)
	msgs := make([]*Message, len(entries))
	for i := range entries {
		msgs[i] = c.message(ctx, &entries[i], s.userID)
	}
	return msgs, rows
}

// unreachable reports whether an error means that the server was not reached.
func unreachable(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) {
		return false
	}
	var net net.Error
	return errors.As(err, &net)
}
