package chat

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/rows"
	"github.com/fliplet/fliplet-chat-go/internal/where"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// Contact is a person one can chat with: a row of the contacts data source.
type Contact struct {
	// ID is the row's id, which [NewConversation] and [Participants] take.
	ID int64
	// UserID is flUserId, the person's identity in conversations. It is "" for a
	// contact who never chatted and whose id cannot be derived.
	UserID string
	// Data holds every column, and flUserId also where it was derived and is not stored
	// yet. Only the contact that Login returns has flUserToken, which is a credential.
	Data M

	DataSourceID         int64
	CreatedAt, UpdatedAt time.Time

	// Extra holds what a [Query] adds to the row: "joins", or the fields of an aggregate,
	// whose rows have nothing else. JSON leaves it out.
	Extra M

	withToken bool // in its JSON; see [WithToken]
}

// Contacts returns the rows of the contacts data source, in the server's order
// unless [OrderBy] is given. [Where] takes a condition over columns; one that asks for a
// column that no row has is no error, and finds what lacks it: mostly nobody. [Query] takes
// every option of a query. The chat tokens
// that the server returns with the rows are left out, and so is a row that breaks a limit
// of package datasource; when all have more than 256 MiB together, the largest are. It
// needs no login, and makes one request unless the rows are too large for one answer, or
// the server ignores a part of the query: what it answers is filtered, sorted and cut here
// again. The rows of an [Offset] are read, too.
//
// With [Offline] the last complete list is returned from the cache, unfiltered, without
// a request, and with the columns that Storage keeps: see Options.CachedColumns. It is
// the list that the logged-in user has read, or without a login the one that was read
// since the last Logout; empty if nothing is cached.
//
// Errors: [ErrInvalid]; [ErrOffline]; [ErrClosed]; with Offline those of Storage.
func (c *Chat) Contacts(ctx context.Context, opts ...ContactsOption) (_ []*Contact, err error) {
	defer wrap("contacts", &err)
	o := chosen(callOptions{}, opts, ContactsOption.applyContacts)
	q, err := o.find()
	if err != nil {
		return nil, err
	}
	ctx, end, err := c.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	if o.offline {
		return c.cachedContacts(ctx)
	}
	rows.Need(&q, wire.UserID, c.opts.PrimaryKey)
	s := c.current() // before the request: the cache must not be that of a later user
	found, err := rows.Listed(ctx, c.client, c.opts.DataSourceID, q)
	if err != nil {
		return nil, err
	}
	out := make([]*Contact, len(found.Entries))
	for i := range found.Entries {
		out[i] = c.contact(&found.Entries[i])
		delete(out[i].Data, wire.UserToken)
		out[i].Extra = shown(found.Entries[i].Extra)
	}
	if o.complete() {
		c.cacheContacts(ctx, s, out)
	}
	o.tell(found.Total)
	return out, nil
}

// ContactByUserID returns the contact with this flUserId, by which messages and
// definitions name people. It makes one request. With Options.PrimaryKey it makes a
// second one when no row has the id: the id may be derived and not stored yet. When
// nobody is found, one more asks whether there are contacts at all. It needs no login.
//
// Errors: [ErrInvalid] for an empty id; [ErrContactNotFound]; [ErrClosed].
func (c *Chat) ContactByUserID(ctx context.Context, userID string) (_ *Contact, err error) {
	defer wrap("contact", &err)
	if strings.TrimSpace(userID) == "" {
		return nil, invalid("userID: empty; give a flUserId, such as Message.FromUserID")
	}
	ctx, end, err := c.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	found, err := c.contactsByUserID(ctx, []string{userID})
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, c.misspelt(ctx, M{wire.UserID: userID}, ErrContactNotFound)
	}
	return found[0], nil
}

// misspelt makes an ErrContactNotFound name a column that the query has and the
// contacts have not, or say that there are no contacts. It says no more than before when
// that cannot be read.
func (c *Chat) misspelt(ctx context.Context, query M, err error) error {
	if !errors.Is(err, ErrContactNotFound) {
		return err
	}
	login, bad := where.ParseLogin(query, true)
	if bad != nil {
		return err
	}
	ctx, end, closed := c.begin(ctx)
	if closed != nil {
		return err
	}
	defer end()
	if what := rows.Unknown(ctx, c.client, c.opts.DataSourceID, login); what != "" {
		return fmt.Errorf("%w: %s", err, what)
	}
	return err
}

// contact makes the contact of a row, and keeps the row's data.
func (c *Chat) contact(row *datasource.Entry) *Contact {
	if row.Data == nil {
		row.Data = M{}
	}
	id := c.storedUserID(row)
	if id == "" && c.opts.PrimaryKey != "" && wire.Text(row.Data[c.opts.PrimaryKey]) != "" {
		id = c.deriveUserID(row)
		row.Data[wire.UserID] = id
	}
	return &Contact{
		ID: row.ID, UserID: id, Data: row.Data,
		DataSourceID: cmp.Or(row.DataSourceID, c.opts.DataSourceID), CreatedAt: row.CreatedAt, UpdatedAt: row.UpdatedAt,
	}
}

func (c *Chat) storedUserID(row *datasource.Entry) string { return wire.Text(row.Data[wire.UserID]) }

func (c *Chat) deriveUserID(row *datasource.Entry) string {
	if value := wire.Text(row.Data[c.opts.PrimaryKey]); c.opts.PrimaryKey != "" && strings.TrimSpace(value) != "" {
		return wire.DeriveUserID(c.opts.DataSourceID, value)
	}
	return wire.LegacyUserID(c.opts.DataSourceID, row.ID)
}

// contactsByID resolves row ids to contacts, in the order given. It stores missing
// flUserIds once all are found.
func (c *Chat) contactsByID(ctx context.Context, ids []int64) ([]*Contact, error) {
	found, err := c.contactRows(ctx, ids)
	if err != nil {
		return nil, err
	}
	contacts, _, err := c.withUserIDs(ctx, found)
	return contacts, err
}

// contactRows reads the rows of contacts, in the order given.
func (c *Chat) contactRows(ctx context.Context, ids []int64) ([]*datasource.Entry, error) {
	byID, err := rows.ByID(ctx, c.client, c.opts.DataSourceID, ids)
	if err != nil {
		return nil, err
	}
	out := make([]*datasource.Entry, len(ids))
	for i, id := range ids {
		if out[i] = byID[id]; out[i] == nil {
			return nil, fmt.Errorf("contact %d: %w", id, ErrContactNotFound)
		}
	}
	return out, nil
}

// withUserIDs makes contacts of rows. It stores missing flUserIds, in one request, and
// says whether there were any.
func (c *Chat) withUserIDs(ctx context.Context, found []*datasource.Entry) (_ []*Contact, stored bool, err error) {
	var unnamed []*datasource.Entry
	for _, row := range found {
		if c.storedUserID(row) == "" {
			unnamed = append(unnamed, row)
		}
	}
	if err := rows.Name(ctx, c.client, c.opts.DataSourceID, unnamed, c.deriveUserID); err != nil {
		return nil, false, err
	}
	out := make([]*Contact, len(found))
	for i := range found {
		out[i] = c.contact(found[i])
	}
	return out, len(unnamed) > 0, nil
}

// contactsByUserID finds the contacts of participants, in their order. Ids without
// a contact are skipped, since contacts can be deleted.
func (c *Chat) contactsByUserID(ctx context.Context, userIDs []string) ([]*Contact, error) {
	if len(userIDs) == 0 {
		return []*Contact{}, nil
	}
	found, err := rows.Listed(ctx, c.client, c.opts.DataSourceID, datasource.Query{
		Type: "select", Where: M{wire.UserID: M{"$in": userIDs}},
	})
	if err != nil {
		return nil, err
	}
	if len(found.Entries) < len(userIDs) && c.opts.PrimaryKey != "" {
		// Some may have a derived id that is not on their row yet.
		if found, err = rows.Listed(ctx, c.client, c.opts.DataSourceID, datasource.Query{Type: "select"}); err != nil {
			return nil, err
		}
	}
	byUserID := make(map[string]*Contact, len(found.Entries))
	for i := range found.Entries {
		contact := c.contact(&found.Entries[i])
		delete(contact.Data, wire.UserToken)
		if _, taken := byUserID[contact.UserID]; !taken {
			byUserID[contact.UserID] = contact
		}
	}
	out := make([]*Contact, 0, len(userIDs))
	for _, id := range userIDs {
		if contact := byUserID[id]; contact != nil {
			out = append(out, contact)
		}
	}
	return out, nil
}

func (ct *Contact) copy() *Contact {
	out := *ct
	out.Data = wire.CloneMap(ct.Data)
	return &out
}

// keptContact is a contact whose columns are text, since they are asked for rarely: a map
// takes several times as much.
type keptContact struct {
	id, source       int64
	created, updated time.Time
	data             string // as JSON
}

func keep(ct *Contact) keptContact {
	return keptContact{ct.ID, ct.DataSourceID, ct.CreatedAt, ct.UpdatedAt, wire.PackMap(ct.Data)}
}

func (k *keptContact) contact() *Contact {
	data := wire.UnpackMap(k.data)
	return &Contact{ID: k.id, UserID: wire.Text(data[wire.UserID]), Data: data, DataSourceID: k.source, CreatedAt: k.created, UpdatedAt: k.updated}
}

// Format prints the contact without its columns.
func (ct Contact) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "contact %d (user %q)", ct.ID, ct.UserID)
}
