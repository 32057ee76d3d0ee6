package cache

import (
	"context"
	"crypto/sha256"
	"encoding/json"

	"github.com/fliplet/fliplet-chat-go/datasource"
)

// SaveContacts stores a complete list of contacts, with the columns that
// the Owner stores.
func (u *User) SaveContacts(ctx context.Context, contacts []datasource.Entry) {
	rows := make([]row, len(contacts))
	for i := range contacts {
		rows[i] = toRow(&contacts[i])
		rows[i].Data = u.cache.columns(rows[i].Data)
	}
	u.saveList(ctx, "contacts", rows, &u.contacts)
}

// Contacts returns the list that was stored last, and whether there is one.
func (u *User) Contacts(ctx context.Context) ([]datasource.Entry, bool, error) {
	var rows []row
	ok, err := u.cache.tryLoad(ctx, u.cache.Key(u.id(), "contacts"), &rows)
	return entries(rows), ok, err
}

// columns returns what may be stored of a contact.
func (c *Cache) columns(data datasource.M) datasource.M {
	if c.cfg.Owner == nil || data == nil {
		return data
	}
	out := make(datasource.M, len(data))
	for name, v := range data {
		if c.cfg.Owner.Stores(name) {
			out[name] = v
		}
	}
	return out
}

// SaveConversations stores the list of the user's conversations.
func (u *User) SaveConversations(ctx context.Context, sources []datasource.DataSource) {
	list := make([]source, len(sources))
	for i := range sources {
		list[i] = toSource(&sources[i])
	}
	u.saveList(ctx, "conversations", list, &u.conversations)
}

// Conversations returns the list that was stored last, and whether there is one.
func (u *User) Conversations(ctx context.Context) ([]datasource.DataSource, bool, error) {
	var list []source
	ok, err := u.cache.tryLoad(ctx, u.cache.Key(u.id(), "conversations"), &list)
	out := make([]datasource.DataSource, len(list))
	for i, s := range list {
		out[i] = s.dataSource()
	}
	return out, ok, err
}

func (u *User) saveList(ctx context.Context, name string, v any, last *written) {
	const failed = "caching failed"
	raw, err := json.Marshal(v) // the rows are the caller's
	if err != nil {
		u.cache.cfg.Log.Warn(failed, "error", err)
		return
	}
	sum := sha256.Sum256(raw)
	now := written(sum[:len(written{})])
	u.later(ctx, &write{name: name, failed: failed, change: func(ctx context.Context) error {
		if *last == now {
			return nil
		}
		*last = written{} // a write that fails may have been made nevertheless
		if err := u.cache.store(ctx, u.cache.Key(u.id(), name), raw); err != nil {
			return err
		}
		*last = now
		return nil
	}})
}
