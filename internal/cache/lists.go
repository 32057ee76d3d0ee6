package cache

import (
	"context"

	"github.com/fliplet/fliplet-chat-go/datasource"
)

// SaveContacts stores a complete list of contacts.
func (u *User) SaveContacts(ctx context.Context, contacts []datasource.Entry) {
	rows := make([]row, len(contacts))
	for i := range contacts {
		rows[i] = toRow(&contacts[i])
	}
	u.save(ctx, "contacts", rows)
}

// Contacts returns the list that was stored last, and whether there is one.
func (u *User) Contacts(ctx context.Context) ([]datasource.Entry, bool, error) {
	var rows []row
	ok, err := u.cache.load(ctx, u.cache.Key(u.id, "contacts"), &rows)
	return entries(rows), ok, err
}

// SaveConversations stores the list of the user's conversations.
func (u *User) SaveConversations(ctx context.Context, sources []datasource.DataSource) {
	list := make([]source, len(sources))
	for i := range sources {
		list[i] = toSource(&sources[i])
	}
	u.save(ctx, "conversations", list)
}

// Conversations returns the list that was stored last, and whether there is one.
func (u *User) Conversations(ctx context.Context) ([]datasource.DataSource, bool, error) {
	var list []source
	ok, err := u.cache.load(ctx, u.cache.Key(u.id, "conversations"), &list)
	out := make([]datasource.DataSource, len(list))
	for i, s := range list {
		out[i] = s.dataSource()
	}
	return out, ok, err
}

func (u *User) save(ctx context.Context, name string, v any) {
	u.try(ctx, "caching failed", func(ctx context.Context) error { return u.set(ctx, name, v) })
}
