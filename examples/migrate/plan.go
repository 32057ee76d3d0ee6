package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
)

// plan is one conversation to be written.
type plan struct {
	from     string // says which one it is in the source
	name     string
	group    chat.M
	metadata chat.M
	public   bool     // a channel
	members  []person // who is a participant
	left     []person // who was one, or has written something
	messages []*chat.Message
	authors  []person
	drafts   []chat.Draft
	there    int64 // its id in the target, if an earlier run has begun it
}

// everybody are the people who have to be participants while messages are written.
func (p *plan) everybody() []person { return slices.Concat(p.members, p.left) }

// possible reports whether there are enough people: anybody for a channel, else two, one
// of whom stays.
func (p *plan) possible() bool {
	return p.public && len(p.everybody()) > 0 || len(p.members) > 0 && len(p.everybody()) > 1
}

// String says what would be written.
func (p *plan) String() string {
	kind, left := "", ""
	if p.public {
		kind = "a channel, "
	}
	if len(p.left) > 0 {
		left = fmt.Sprintf(" and %d who left", len(p.left))
	}
	return fmt.Sprintf("%q: %s%d people%s, %d messages", p.name, kind, len(p.members), left, len(p.messages))
}

// plan reads a conversation.
func (m *migration) plan(ctx context.Context, ds *datasource.DataSource, people map[string]person) (plan, error) {
	def := definitionOf(ds)
	p := plan{
		from: fmt.Sprint(m.from.Client.BaseURL(), " ", ds.ID), name: ds.Name,
		group: def.Group, metadata: def.Metadata, public: def.public(),
	}
	for _, id := range def.Participants {
		if who, known := people[id]; known && !slices.Contains(p.members, who) {
			p.members = append(p.members, who)
		}
	}
	for _, id := range def.RemovedParticipants {
		if who, known := people[id]; known {
			p.leaves(who)
		}
	}
	opener, err := chat.NewOpener(chat.OpenerOptions{Source: ds, Keys: m.from.Keys, Cipher: m.from.Cipher})
	if err != nil {
		return p, err
	}
	for offset := 0; ; {
		page, err := m.from.Client.Select(ctx, ds.ID, datasource.Query{
			Limit: pageSize, Offset: offset, Order: []datasource.Order{{Column: "id", Direction: datasource.Asc}}, // as an Opener wants them
		})
		if err != nil {
			return p, err
		}
		for _, row := range page.Entries {
			msg := opener.Message(ctx, row)
			_, known := people[msg.FromUserID]
			switch {
			case msg.IsDeleted:
				continue
			case msg.Err != nil:
				return p, fmt.Errorf("message %d: %w", msg.ID, msg.Err)
			case !known:
				return p, fmt.Errorf("the author of message %d is not in the target", msg.ID)
			}
			p.messages = append(p.messages, msg)
		}
		if offset += len(page.Entries); !page.More || len(page.Entries) == 0 {
			break
		}
	}
	slices.SortFunc(p.messages, func(a, b *chat.Message) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	for _, msg := range p.messages {
		author := people[msg.FromUserID]
		p.leaves(author)
		p.authors, p.drafts = append(p.authors, author), append(p.drafts, p.draft(msg))
	}
	return p, nil
}

const pageSize = 200

// leaves notes somebody who is no participant any more.
func (p *plan) leaves(who person) {
	if !slices.Contains(p.members, who) && !slices.Contains(p.left, who) {
		p.left = append(p.left, who)
	}
}

// own are the columns of a message that the target writes itself, or that have no meaning
// there. All others are copied.
var own = []string{
	"body", "file", "guid", "fromUserId", "readBy", "conversationId", "isDeleted", "fileMediaFileId",
	"flSealedFiles", "hasMediaFileWithPrivateEncryptionKey", "flUserToken",
}

// draft is a message as it is sent in the target.
func (p *plan) draft(msg *chat.Message) chat.Draft {
	d := chat.Draft{Body: msg.Body, GUID: msg.GUID, Data: chat.M{"sentAt": msg.CreatedAt.Format(time.RFC3339Nano)}}
	if d.GUID == "" { // a second run has to find it
		d.GUID = uuid.NewSHA1(uuid.NameSpaceOID, fmt.Append(nil, p.from, "/", msg.ID)).String()
	}
	for column, value := range msg.Data {
		if !slices.Contains(own, column) { // with an earlier "sentAt"
			d.Data[column] = value
		}
	}
	for _, url := range msg.Files {
		d.Files = append(d.Files, chat.File{URL: url})
	}
	return d
}

// check finds what the run would fail at. A Chat in which nobody is logged in checks a
// message as any other, and then sends nothing.
func (p *plan) check(ctx context.Context, there target, nobody *chat.Chat) error {
	if len(p.messages) > 0 && !p.possible() {
		return errors.New("too few of its people are in the target")
	}
	for i := range p.drafts {
		if _, err := nobody.Message(ctx, 1, p.drafts[i]); !errors.Is(err, chat.ErrNotLoggedIn) {
			return fmt.Errorf("message %d: %w", p.messages[i].ID, err)
		}
	}
	if p.public {
		if strings.TrimSpace(p.name) == "" {
			return errors.New("a channel needs a name")
		}
		return nil
	}
	var ids []string
	for _, who := range p.everybody() {
		ids = append(ids, who.userID)
	}
	p.there = there.migrated[p.from]
	if id := there.taken[together(ids)]; id != 0 && p.there == 0 && len(p.left) > 0 {
		return fmt.Errorf("somebody has left it, and in the target all its people have conversation %d, which it would become", id)
	}
	return nil
}
