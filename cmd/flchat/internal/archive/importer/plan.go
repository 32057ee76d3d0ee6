// Package importer writes the messages of an archive into another app. It plans first, which
// only reads, and then writes: each message with its author, its readers and its files, in the order of
// the archive. A message gets a GUID that is made from where it came from, and is looked up by
// it before it is written. So an import that was interrupted is simply run again, and one that is run
// twice writes nothing the second time.
package importer

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/cmd/flchat/internal/archive"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// Options say from where to where.
type Options struct {
	Archive *archive.Archive
	// To is the app: Client, DataSourceID and PrimaryKey are required, and AppID where the
	// contacts do not tell it. EncryptMessages encrypts the texts.
	To chat.Options
	// Key is the column of the archive's contacts whose value is the PrimaryKey of To.
	// Default: the primary key that the archive was exported with.
	Key string
	// Conversations are those that are written; none for all.
	Conversations []int64
	// NoFiles leaves attachments out.
	NoFiles bool
	// Progress is told after each request that wrote something, with the number of messages that
	// are there now, of how many. nil: nobody.
	Progress func(done, total int64)
}

// ImportedFrom is a field of the metadata of conversations: which one of the archive it was.
const ImportedFrom = "importedFrom"

// SentAt is the column in which a message has the time at which it was written first.
const SentAt = "sentAt"

// Plan is what an import would write.
type Plan struct {
	Conversations []Conversation
	// Notes are what is left out, in sentences.
	Notes []string

	o      Options
	app    int64
	org    int64
	people map[string]string // flUserIds there by those of the archive
	names  map[string]string // what those there are called
}

// Conversation is one that would be written.
type Conversation struct {
	ID   int64  `json:"id"`
	Name string `json:"name"`
	// Into is the one there, 0 for one that is to be made. Imported: it was made by an earlier
	// import, rather than by the people there.
	Into     int64 `json:"into,omitempty"`
	Imported bool  `json:"imported,omitempty"`
	Messages int64 `json:"messages"`
	Files    int64 `json:"files,omitempty"`
	People   int   `json:"people"`

	from         string
	definition   wire.Definition
	chosen, open bool
	moved        bool     // Into has other people, there
	there        []string // flUserIds
}

// Total is how many messages there are to write, with those that are there already.
func (p *Plan) Total() (n int64) {
	for _, c := range p.Conversations {
		n += c.Messages
	}
	return n
}

func refusef(format string, a ...any) error {
	return &archive.UsageError{Text: fmt.Sprintf(format, a...)}
}

// Prepare reads the archive and the app, and writes nothing. What cannot be imported is a
// [archive.UsageError], which names what to change.
func Prepare(ctx context.Context, o Options) (*Plan, error) {
	if err := o.Archive.Sound(ctx); err != nil { // a wrong source would make other GUIDs
		return nil, err
	}
	o.Key = cmp.Or(o.Key, o.Archive.Source.PrimaryKey)
	switch {
	case o.Key == "":
		return nil, refusef("%s was exported without a primary key: name the column of its contacts that is the primary key of the other app with --archive-key", o.Archive.Path)
	case o.To.PrimaryKey == "":
		return nil, refusef("no primary key: name the column that identifies a contact of the other app with --primary-key")
	case o.Archive.Source.API == o.To.Client.BaseURL() && o.Archive.Source.Contacts == o.To.DataSourceID:
		return nil, refusef("%s came from this very app (contacts %d): give the contacts of another one with --contacts", o.Archive.Path, o.To.DataSourceID)
	}
	p := &Plan{o: o, people: map[string]string{}, names: map[string]string{}}
	home, err := o.To.Client.DataSource(ctx, o.To.DataSourceID)
	if err != nil {
		return nil, err
	}
	p.app, p.org = cmp.Or(o.To.AppID, home.AppID), home.OrganizationID
	if p.app == 0 {
		return nil, refusef("contacts %d do not say which app they are of: give it with --app", o.To.DataSourceID)
	}
	names, err := p.mapPeople(ctx)
	if err != nil {
		return nil, err
	}
	if err := p.mapConversations(ctx, names); err != nil {
		return nil, err
	}
	return p, nil
}

// keyOf is the primary key of a contact, apart from case and space.
func keyOf(data map[string]any, column string) string { return strings.ToLower(exact(data, column)) }

// exact is the primary key of a contact, apart from space.
func exact(data map[string]any, column string) string {
	switch v := data[column].(type) {
	case string:
		return strings.TrimSpace(v)
	case json.Number:
		return v.String()
	}
	return ""
}

// mapPeople finds the people of the archive in the app. It returns what those are called who
// are not there.
func (p *Plan) mapPeople(ctx context.Context) (missing map[string]string, err error) {
	c, err := chat.Connect(ctx, p.o.To) // contacts need no login
	if err != nil {
		return nil, err
	}
	defer c.Close()
	there, err := c.Contacts(ctx)
	if err != nil {
		return nil, err
	}
	byKey, byExact := map[string]*chat.Contact{}, map[string]*chat.Contact{}
	for _, contact := range there {
		p.names[contact.UserID] = cmp.Or((&archive.Contact{Data: contact.Data}).Name(), contact.UserID)
		key := keyOf(contact.Data, p.o.To.PrimaryKey)
		if first := byKey[key]; first == nil || contact.ID < first.ID { // of two a login takes the older one
			byKey[key] = contact
		}
		key = exact(contact.Data, p.o.To.PrimaryKey)
		if first := byExact[key]; first == nil || contact.ID < first.ID {
			byExact[key] = contact
		}
	}
	delete(byKey, "")
	delete(byExact, "")
	if len(byKey) == 0 {
		return nil, refusef("no contact of data source %d has a column %s: check --contacts and --primary-key", p.o.To.DataSourceID, p.o.To.PrimaryKey)
	}
	here, err := p.o.Archive.Contacts(ctx)
	if err != nil {
		return nil, err
	}
	missing = map[string]string{}
	taken := map[string]*archive.Contact{}
	for i := range here {
		contact := &here[i]
		if contact.UserID == "" {
			continue
		}
		who := byExact[exact(contact.Data, p.o.Key)]
		if who == nil {
			who = byKey[keyOf(contact.Data, p.o.Key)]
		}
		if who != nil && who.UserID != "" {
			first := taken[who.UserID]
			if first != nil && first.UserID != contact.UserID && exact(first.Data, p.o.Key) != exact(contact.Data, p.o.Key) {
				return nil, refusef("%q and %q are two people of %s, and one contact of the other app, since they differ in case only: give each a contact there whose %s is unlike the others', or name another column with --archive-key and --primary-key", exact(first.Data, p.o.Key), exact(contact.Data, p.o.Key), p.o.Archive.Path, p.o.To.PrimaryKey)
			}
			taken[who.UserID] = contact
			p.people[contact.UserID] = who.UserID
		} else {
			missing[contact.UserID] = contact.Name()
		}
	}
	return missing, nil
}

// mapConversations finds the conversations of the archive in the app, and counts what is to
// be written.
func (p *Plan) mapConversations(ctx context.Context, missing map[string]string) error {
	all, err := p.o.Archive.Conversations(ctx)
	if err != nil {
		return err
	}
	for _, id := range p.o.Conversations {
		if !slices.ContainsFunc(all, func(c archive.Conversation) bool { return c.ID == id }) {
			return refusef("conversation %d is not in %s: give the id of one that is, or none for all", id, p.o.Archive.Path)
		}
	}
	left := map[string]bool{}
	// Those that are not asked for take part: what they were imported into is theirs.
	list := make([]*Conversation, len(all))
	for i := range all {
		from := &all[i]
		c := &Conversation{ID: from.ID, Name: from.Name, from: fmt.Sprintf("%s %d", p.o.Archive.Source.API, from.ID), open: from.IsChannel}
		c.chosen = len(p.o.Conversations) == 0 || slices.Contains(p.o.Conversations, from.ID)
		p.define(c, from, func(userID string) { left[userID] = left[userID] || c.chosen })
		list[i] = c
	}
	if err := p.match(ctx, list); err != nil {
		return err
	}
	unknown := map[string]int64{}
	for _, c := range list {
		if !c.chosen {
			continue
		}
		unreadable, nobodys, err := p.count(ctx, c, unknown)
		if err != nil {
			return err
		}
		if nobodys > 0 {
			p.Notes = append(p.Notes, fmt.Sprintf("%d messages of %q are left out: they do not say who has written them", nobodys, c.Name))
		}
		if unreadable > 0 {
			p.Notes = append(p.Notes, fmt.Sprintf("%d messages of %q are left out: their texts could not be read when they were exported", unreadable, c.Name))
		}
		gaps, err := p.o.Archive.Gaps(ctx, c.ID)
		if err != nil {
			return err
		}
		if gaps > 0 {
			p.Notes = append(p.Notes, fmt.Sprintf("%d messages of %q are left out: they could not be read when they were exported, and are gaps in the archive", gaps, c.Name))
		}
		if c.People == 0 {
			p.Notes = append(p.Notes, fmt.Sprintf("%q is left out: none of its people are in the other app", c.Name))
			continue
		}
		p.Conversations = append(p.Conversations, *c)
	}
	if len(unknown) > 0 {
		var list []string
		for userID, n := range unknown {
			list = append(list, fmt.Sprintf("%s (%d messages)", cmp.Or(missing[userID], userID), n))
		}
		slices.Sort(list)
		more := ""
		if len(list) > 10 {
			more = fmt.Sprintf(" and %d others", len(list)-10)
			list = list[:10]
		}
		return refusef("these people have written something and are not in contacts %d: %s%s. Add contacts with their %s, or give the conversations to import with -c", p.o.To.DataSourceID, strings.Join(list, ", "), more, p.o.To.PrimaryKey)
	}
	if err := p.settle(ctx); err != nil {
		return err
	}
	for userID, chosen := range left {
		if !chosen {
			continue
		}
		p.Notes = append(p.Notes, fmt.Sprintf("%s is not in the other app, and so in no conversation there", cmp.Or(missing[userID], userID)))
	}
	slices.Sort(p.Notes)
	return nil
}

// stays reports whether a message is not imported: it is deleted, has no text that could be
// read, or no author, so that no contact could be added for it.
func stays(m *archive.Message) bool { return m.Deleted || m.Note != "" || m.Author == "" }

// count counts the messages of a conversation, and those whose authors are unknown.
func (p *Plan) count(ctx context.Context, c *Conversation, unknown map[string]int64) (unreadable, nobodys int64, err error) {
	for m, err := range p.o.Archive.Messages(ctx, c.ID) {
		switch {
		case err != nil:
			return 0, 0, err
		case m.Deleted:
			continue
		case m.Note != "":
			unreadable++
			continue
		case stays(m):
			nobodys++
			continue
		}
		c.Messages++
		if !p.o.NoFiles {
			for _, f := range m.Files {
				if f.SHA256 != "" {
					c.Files++
				}
			}
		}
		if p.people[m.Author] == "" {
			unknown[m.Author]++
		}
	}
	return unreadable, nobodys, nil
}

// define makes the definition of a conversation with the people there.
func (p *Plan) define(c *Conversation, from *archive.Conversation, absent func(userID string)) {
	def := wire.NewDefinition()
	for _, userID := range from.Definition.Participants {
		if who := p.people[userID]; who != "" {
			def.Add(who)
		} else {
			absent(userID)
		}
	}
	var removed []string
	for _, userID := range from.Definition.RemovedParticipants {
		if who := p.people[userID]; who != "" && !def.Has(who) && !slices.Contains(removed, who) {
			removed = append(removed, who)
		}
	}
	metadata := chat.M{}
	for k, v := range from.Definition.Metadata {
		metadata[k] = v
	}
	metadata[ImportedFrom] = c.from
	c.People = len(def.List(wire.Participants))
	// Neither can fail: they are JSON already.
	_ = def.Set(wire.Group, wire.GroupOf(from.Definition.Group))
	_ = def.Set(wire.Metadata, metadata)
	if len(removed) > 0 {
		_ = def.Set(wire.Removed, removed)
	}
	c.definition = def
}

// together is the same for the same people.
func together(userIDs []string) string {
	return strings.Join(slices.Compact(slices.Sorted(slices.Values(userIDs))), " ")
}

// columns are what a message has beside its own columns.
func columns(text string) (map[string]any, error) {
	data := map[string]any{}
	if text == "" {
		return data, nil
	}
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	d.UseNumber()
	return data, d.Decode(&data)
}
