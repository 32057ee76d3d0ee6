package chat

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
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
	if userID = url.PathEscape(userID); len(userID) > 200 {
		sum := sha256.Sum256([]byte(userID)) // a key has 1,024 bytes at most
		userID = "sha256:" + hex.EncodeToString(sum[:])
	}
	return fmt.Sprintf("fl-chat-cache/%s/%d/%s/%s", host, c.opts.DataSourceID, userID, name)
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

// keep writes a cached value of a session's user, unless the user has logged out.
func (c *Chat) keep(ctx context.Context, s *session, name string, v any) {
	c.recent.Lock()
	defer c.recent.Unlock()
	if !s.loggedOut {
		c.save(ctx, c.cacheKey(s.userID, name), v)
	}
}

// forgetStored removes everything of a user who logged out, and sees to it that
// calls under way leave nothing behind.
func (c *Chat) forgetStored(ctx context.Context, s *session) error {
	c.recent.Lock()
	defer c.recent.Unlock()
	s.loggedOut = true
	if c.recent.user == s.userID {
		c.recent.forget()
	}
	errs := []error{c.listUser(ctx, s.userID, false)}
	for _, name := range []string{"user", "contacts", "conversations", "messages"} {
		errs = append(errs, c.store.Delete(ctx, c.cacheKey(s.userID, name)))
	}
	errs = append(errs, c.store.Delete(ctx, c.opts.CrossLoginEmailKey))
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("storage: %w", err)
	}
	return nil
}

// cacheContacts stores a complete list, for the user who asked for it or, before
// a login, for nobody in particular.
func (c *Chat) cacheContacts(ctx context.Context, s *session, contacts []*Contact) {
	rows := make([]cachedRow, len(contacts))
	for i, ct := range contacts {
		rows[i] = contactRow(ct)
	}
	if s == nil {
		c.save(ctx, c.cacheKey("", "contacts"), rows)
		return
	}
	c.keep(ctx, s, "contacts", rows)
}

func (c *Chat) cachedContacts(ctx context.Context) ([]*Contact, error) {
	userID := ""
	if s := c.current(); s != nil {
		userID = s.userID
	}
	var rows []cachedRow
	if ok, err := c.load(ctx, c.cacheKey(userID, "contacts"), &rows); err != nil {
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

func contactRow(ct *Contact) cachedRow {
	return cachedRow{ID: ct.ID, DataSourceID: ct.DataSourceID, Data: ct.Data, CreatedAt: ct.CreatedAt, UpdatedAt: ct.UpdatedAt}
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
	c.keep(ctx, s, "conversations", list)
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

// unmarshal reads JSON with exact numbers.
func unmarshal(raw []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	return dec.Decode(into)
}
