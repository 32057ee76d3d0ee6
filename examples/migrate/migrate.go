package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
)

// migration copies conversations from one app to another. People are the same if their
// primary key is, apart from case and space. Messages keep their authors, their order,
// their custom columns and their GUIDs, so a migration that was interrupted is simply run
// again: what is there already is found and not stored twice. When they were written is in
// the column "sentAt", since the server stamps rows itself.
//
// Conversations keep their names, "group" and "metadata", where "migratedFrom" says which
// one it was. A one-to-one chat or group of the same people becomes the one that exists in
// the target, whose name, group and metadata stay. A channel becomes the one of its name.
// Whoever has left is a participant while the messages are written, also in a second run,
// since only participants can send, and then leaves again.
//
// What it does not copy is in notCopied. Nobody should write in the source meanwhile.
type migration struct {
	from, to chat.Options // each with a Client, contacts, an AppID and a PrimaryKey
	dryRun   bool         // only reads
	out      io.Writer
}

const notCopied = "files (their URLs are), read marks, who has muted what, invite codes; of channels all but the name, the people and the messages"

// person is a contact in both apps.
type person struct {
	key string
	id  int64 // of the contact in the target
	// userID is that of the contact in the target.
	userID string
}

// run migrates everything, or says what it would do. It begins only if everybody who
// wrote something exists in the target, and everything can be sent there.
func (m *migration) run(ctx context.Context) error {
	people, err := m.people(ctx)
	if err != nil {
		return err
	}
	there, err := m.target(ctx)
	if err != nil {
		return err
	}
	sources, err := m.from.Client.DataSources(ctx, datasource.SourceFilter{Type: "conversation", AppID: m.from.AppID})
	if err != nil {
		return err
	}
	slices.SortFunc(sources, func(a, b datasource.DataSource) int { return cmp.Compare(a.ID, b.ID) })
	nobody, err := chat.Connect(ctx, m.to)
	if err != nil {
		return err
	}
	defer nobody.Close()
	if m.dryRun {
		fmt.Fprintln(m.out, "not copied:", notCopied)
	}
	var plans []plan
	var problems []error
	channels := map[string]bool{}
	for i := range sources {
		p, err := m.plan(ctx, &sources[i], people)
		if err == nil {
			err = p.check(ctx, there, nobody)
		}
		if err == nil && p.public && channels[p.name] {
			err = errors.New("there are two channels of this name")
		}
		channels[p.name] = channels[p.name] || p.public
		switch {
		case err != nil:
			problems = append(problems, fmt.Errorf("%q: %w", p.name, err))
		case len(p.messages) == 0 && !p.possible():
			fmt.Fprintf(m.out, "%q is left out: too few of its people are in the target, and nobody has written\n", p.name)
		default:
			plans = append(plans, p)
			fmt.Fprintln(m.out, p.String())
		}
	}
	if err := errors.Join(problems...); err != nil || m.dryRun {
		return err
	}
	// Those that somebody has left come first: later ones may be of all their people.
	slices.SortStableFunc(plans, func(a, b plan) int { return cmp.Compare(min(len(b.left), 1), min(len(a.left), 1)) })
	writers := &writers{opts: m.to, chats: map[string]*chat.Chat{}}
	defer writers.close()
	for _, p := range plans {
		if err := p.write(ctx, writers); err != nil {
			return fmt.Errorf("%q: %w", p.name, err)
		}
	}
	return nil
}

// target is what there is already.
type target struct {
	migrated map[string]int64 // conversations by their "migratedFrom"
	taken    map[string]int64 // others, by their people
}

func (m *migration) target(ctx context.Context) (target, error) {
	t := target{map[string]int64{}, map[string]int64{}}
	sources, err := m.to.Client.DataSources(ctx, datasource.SourceFilter{Type: "conversation", AppID: m.to.AppID})
	for i := range sources {
		def := definitionOf(&sources[i])
		if from, ok := def.Metadata[migratedFrom].(string); ok {
			t.migrated[from] = sources[i].ID
		} else if !def.public() && len(def.RemovedParticipants) == 0 {
			t.taken[together(def.Participants)] = sources[i].ID
		}
	}
	return t, err
}

// migratedFrom is a field of the metadata: which conversation of the source this was.
const migratedFrom = "migratedFrom"

// together is the same for the same people.
func together(userIDs []string) string {
	return strings.Join(slices.Compact(slices.Sorted(slices.Values(userIDs))), " ")
}

// definition is what a data source says about its conversation.
type definition struct {
	Participants, RemovedParticipants []string
	Group, Metadata                   chat.M
}

func definitionOf(ds *datasource.DataSource) (def definition) {
	decoder := json.NewDecoder(bytes.NewReader(ds.Definition))
	decoder.UseNumber() // large numbers stay what they are
	_ = decoder.Decode(&def)
	return def // without what has another form
}

func (d *definition) public() bool { return d.Group["public"] == true }

// people maps flUserIds of the source to people of the target.
func (m *migration) people(ctx context.Context) (map[string]person, error) {
	var lists [2][]*chat.Contact
	for i, opts := range []chat.Options{m.from, m.to} {
		c, err := chat.Connect(ctx, opts) // contacts need no login
		if err != nil {
			return nil, err
		}
		lists[i], err = c.Contacts(ctx)
		c.Close()
		if err != nil {
			return nil, err
		}
	}
	there := map[string]person{}
	for _, c := range lists[1] {
		key := keyOf(c, m.to.PrimaryKey)
		if first, two := there[key]; !two || c.ID < first.id { // of two a login takes the older one
			there[key] = person{key, c.ID, c.UserID}
		}
	}
	people := map[string]person{}
	for _, c := range lists[0] {
		key := keyOf(c, m.from.PrimaryKey)
		if who, ok := there[key]; ok && key != "" {
			people[c.UserID] = who
		} else {
			fmt.Fprintf(m.out, "contact %d of the source is not in the target\n", c.ID)
		}
	}
	return people, nil
}

func keyOf(c *chat.Contact, column string) string {
	text, _ := c.Data[column].(string)
	return strings.ToLower(strings.TrimSpace(text))
}
