package importer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/fliplet/fliplet-chat-go/cmd/flchat/internal/archive"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// traced is how many of a conversation's first messages are looked for in others: whichever
// has some of them is where an import before has written.
const traced = 5

// lookUp is how many GUIDs are looked up with one request.
const lookUp = 500

// talk is a conversation of the other app.
type talk struct {
	id      int64
	from    string // what its metadata say about an import, which whoever made it may have written
	people  []string
	left    bool // somebody has left it
	public  bool
	claimed bool // one of the archive goes there
}

// kin is how the people of a conversation there and of one of the archive go together.
type kin int

const (
	strangers kin = iota
	related       // some are in both
	equal         // the same people, or both are open to all
)

// of compares a conversation there with one of the archive.
func (t *talk) of(c *Conversation) kin {
	if t.public != c.definition.Public() {
		return strangers
	}
	people := c.definition.List(wire.Participants)
	if t.public || together(people) == together(t.people) {
		return equal
	}
	if slices.ContainsFunc(people, func(who string) bool { return slices.Contains(t.people, who) }) {
		return related
	}
	return strangers
}

// talks are the conversations of the app, the oldest one first.
func (p *Plan) talks(ctx context.Context) ([]*talk, error) {
	sources, err := p.o.To.Client.DataSources(ctx, datasource.SourceFilter{Type: wire.TypeConversation, AppID: p.app})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(sources, func(a, b datasource.DataSource) int { return cmp.Compare(a.ID, b.ID) })
	list := make([]*talk, len(sources))
	for i := range sources {
		def := wire.ParseDefinition(sources[i].Definition)
		t := &talk{id: sources[i].ID, people: def.List(wire.Participants), left: len(def.List(wire.Removed)) > 0, public: def.Public()}
		t.from, _ = def.Object(wire.Metadata)[ImportedFrom].(string)
		list[i] = t
	}
	return list, nil
}

// match decides where each conversation of the archive goes. What says that an import before
// has written into one there are its messages, which have the GUIDs of the archive's: the people of
// a conversation may have changed since, and metadata can be written by anybody. Nothing is
// written into a conversation that has other people.
func (p *Plan) match(ctx context.Context, all []*Conversation) error {
	there, err := p.talks(ctx)
	if err != nil {
		return err
	}
	found, err := p.trace(ctx, there, all)
	if err != nil {
		return err
	}
	into := func(c *Conversation, t *talk, imported bool) {
		c.Into, c.Imported, t.claimed = t.id, imported, true
	}
	for _, c := range all {
		if t := best(c, there, found[c]); t != nil {
			into(c, t, true)
			c.moved = t.of(c) != equal
			c.there = t.people
		}
	}
	for _, c := range all {
		for _, t := range there {
			if c.Into == 0 && !t.claimed && t.from == c.from && c.People > 0 {
				if t.of(c) == equal {
					into(c, t, true)
				} else if c.chosen {
					p.Notes = append(p.Notes, fmt.Sprintf("conversation %d of the other app says that it was imported from %q, but has other people and none of its messages: it is left alone", t.id, c.Name))
				}
			}
		}
	}
	for _, c := range all {
		if !c.chosen || c.Into != 0 || c.People == 0 || c.open || c.definition.Public() || len(c.definition.List(wire.Removed)) > 0 {
			continue
		}
		for _, t := range there { // a second one of the same people is made anew
			if !t.claimed && t.from == "" && !t.left && t.of(c) == equal {
				into(c, t, false)
				break
			}
		}
	}
	return nil
}

// best is the conversation that has messages of one of the archive: rather one with the same
// people, and of several the one with the most, or the oldest.
func best(c *Conversation, there []*talk, found map[*talk]int) (out *talk) {
	for _, t := range there {
		if found[t] == 0 {
			continue
		}
		if out == nil || cmp.Or(cmp.Compare(t.of(c), out.of(c)), cmp.Compare(found[t], found[out])) > 0 {
			out = t
		}
	}
	return out
}

// trace counts which of the first messages of the archive's conversations are in those there.
func (p *Plan) trace(ctx context.Context, there []*talk, all []*Conversation) (map[*Conversation]map[*talk]int, error) {
	found := map[*Conversation]map[*talk]int{}
	firsts := map[*Conversation][]string{}
	for _, t := range there {
		owner := map[string]*Conversation{}
		var guids []string
		for _, c := range all {
			if t.of(c) == strangers {
				continue
			}
			if _, known := firsts[c]; !known {
				items, err := p.o.Archive.Items(ctx, c.ID, traced)
				if err != nil {
					return nil, err
				}
				firsts[c] = nil
				for _, id := range items {
					firsts[c] = append(firsts[c], c.guid(id))
				}
			}
			for _, guid := range firsts[c] {
				owner[guid] = c
			}
			guids = append(guids, firsts[c]...)
		}
		for some := range slices.Chunk(guids, lookUp) {
			rows, err := p.stored(ctx, t.id, some)
			if err != nil {
				return nil, err
			}
			for guid := range rows {
				c := owner[guid]
				if found[c] == nil {
					found[c] = map[*talk]int{}
				}
				found[c][t]++
			}
		}
	}
	return found, nil
}

// settle refuses to write into conversations whose people are others now, unless there is
// nothing to write.
func (p *Plan) settle(ctx context.Context) error {
	for i := range p.Conversations {
		c := &p.Conversations[i]
		if !c.moved {
			continue
		}
		lacking, err := p.lacking(ctx, c)
		if err != nil {
			return err
		}
		who := c.others(c.there, p.called)
		if lacking > 0 {
			return refusef("%d messages of %q are not in conversation %d of the other app, into which it was imported, and that has other people now: %s. Change who is in it, or give the conversations to import with -c", lacking, c.Name, c.Into, who)
		}
		p.Notes = append(p.Notes, fmt.Sprintf("%q is in conversation %d of the other app already, which has other people now: %s", c.Name, c.Into, who))
	}
	return nil
}

// others says how the people of a conversation there are not those of the archive's.
func (c *Conversation) others(there []string, called func(userID string) string) string {
	people := c.definition.List(wire.Participants)
	names := func(from, without []string) string {
		var list []string
		for _, who := range from {
			if !slices.Contains(without, who) {
				list = append(list, called(who))
			}
		}
		if len(list) > 10 {
			list = append(list[:10], fmt.Sprintf("%d others", len(list)-10))
		}
		return strings.Join(list, ", ")
	}
	var parts []string
	if more := names(there, people); more != "" {
		parts = append(parts, more+" in addition")
	}
	if fewer := names(people, there); fewer != "" {
		parts = append(parts, "without "+fewer)
	}
	return strings.Join(parts, ", ")
}

// lacking counts the messages of a conversation that are not in the one there.
func (p *Plan) lacking(ctx context.Context, c *Conversation) (n int64, err error) {
	var guids []string
	look := func() error {
		there, err := p.stored(ctx, c.Into, guids)
		n += int64(len(guids) - len(there))
		guids = guids[:0]
		return err
	}
	for m, err := range p.o.Archive.Messages(ctx, c.ID) {
		if err != nil {
			return 0, err
		}
		if stays(m) {
			continue
		}
		if guids = append(guids, c.guid(m.Item)); len(guids) == batch {
			if err := look(); err != nil {
				return 0, err
			}
		}
	}
	if len(guids) > 0 {
		err = look()
	}
	return n, err
}

// called is the name of somebody of the other app.
func (p *Plan) called(userID string) string { return cmp.Or(p.names[userID], userID) }

// same refuses when the people of a conversation have become others since the plan.
func (p *Plan) same(c *Conversation, def wire.Definition) error {
	t := &talk{people: def.List(wire.Participants), public: def.Public()}
	if t.of(c) == equal {
		return nil
	}
	return &archive.UsageError{Text: fmt.Sprintf("conversation %d of the other app has other people now than %q of the archive: %s. Change who is in it, and import again", c.Into, c.Name, c.others(t.people, p.called))}
}

// alone gives up a conversation that was just made when another import has made the same one
// before: of two at once both go on with the older one.
func (p *Plan) alone(ctx context.Context, c *Conversation) (made bool, err error) {
	there, err := p.talks(ctx)
	if err != nil {
		return true, err
	}
	for _, t := range there {
		if t.id < c.Into && t.from == c.from && t.of(c) == equal {
			mine := c.Into
			c.Into = t.id
			return false, p.discard(ctx, mine)
		}
	}
	return true, nil
}

// discard deletes a conversation that was just made. Most tokens may not: then nobody is in it.
func (p *Plan) discard(ctx context.Context, id int64) error {
	err := p.o.To.Client.DeleteDataSource(ctx, id)
	var refused *datasource.Error
	if !errors.As(err, &refused) || datasource.Temporary(err) {
		return err
	}
	_, err = p.o.To.Client.UpdateDataSource(ctx, id, datasource.SourcePatch{Definition: wire.NewDefinition().JSON()})
	return err
}
