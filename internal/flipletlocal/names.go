package flipletlocal

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd"
)

// namedContacts is how many rows of a data source are looked at for names.
const namedContacts = 5000

// settled is for how long a data source must have been left alone before its names are
// kept. Until then another write may have the same time.
const settled = time.Second

// people maps a flUserId to a name, "" for contacts without one.
type people map[string]string

func (p people) person(id string) person {
	name, known := p[id]
	return person{Name: cut(cmp.Or(name, id), shownName), UserID: id, Known: known}
}

// nameBook knows what contacts are called, and reads again what has changed.
type nameBook struct {
	mu   sync.Mutex
	read map[int64]chapter // by data source
}

// chapter is the names in one data source as they were at a time.
type chapter struct {
	updated time.Time
	names   people
}

func (b *nameBook) of(core *flipletd.Server, all []flipletd.Source) people {
	b.mu.Lock()
	defer b.mu.Unlock()
	out, now, kept := people{}, core.Now(), map[int64]chapter{}
	for _, s := range slices.Backward(all) { // the one that was changed last has the last word
		if s.Trashed || s.Type == "conversation" || !slices.Contains(s.Columns, "flUserId") {
			continue
		}
		c, ok := b.read[s.ID]
		if !ok || !c.updated.Equal(s.UpdatedAt) {
			c = chapter{updated: s.UpdatedAt, names: contacts(core, s.ID)}
		}
		if now.Sub(s.UpdatedAt) >= settled {
			kept[s.ID] = c
		}
		for id, name := range c.names {
			out[id] = cmp.Or(name, out[id])
		}
	}
	b.read = kept
	return out
}

func contacts(core *flipletd.Server, dataSourceID int64) people {
	names := people{}
	rows, _ := core.RowsBefore(dataSourceID, time.Time{}, 0, namedContacts)
	for _, row := range rows {
		if id, _ := row.Data["flUserId"].(string); id != "" && row.DeletedAt == nil {
			names[id] = cmp.Or(contactName(row.Data), names[id])
		}
	}
	return names
}

// contactName is the first of the usual columns that holds something.
func contactName(data map[string]any) string {
	text := func(names ...string) string {
		for key, v := range data {
			if s, ok := v.(string); ok && slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, key) }) {
				return strings.TrimSpace(s)
			}
		}
		return ""
	}
	return cmp.Or(
		text("Full name", "fullName"), text("Name"),
		strings.TrimSpace(text("First name", "firstName")+" "+text("Last name", "lastName")),
		text("Email", "E-mail"),
	)
}
