package importer

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/url"
	"os"
	"slices"
	"strconv"

	"github.com/google/uuid"

	"github.com/fliplet/fliplet-chat-go/cmd/flchat/internal/archive"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/envelope"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// batch is how many messages are looked up with one request, and written with one, and
// batchBytes about how large they may be: they are in memory.
const (
	batch      = 100
	batchBytes = 4 << 20
)

// space is that of the derived GUIDs.
var space = uuid.MustParse("6d7f7a52-5d0c-4c39-9b3e-0f3b1a3c7f10")

// guid is that of a message in the other app, made from where it came from.
func (c *Conversation) guid(message int64) string {
	return uuid.NewSHA1(space, fmt.Appendf(nil, "%s/%d", c.from, message)).String()
}

// Result is what an import has done.
type Result struct {
	// Made are the conversations that were made, Written the messages that were written, and
	// There those that were there already.
	Made, Written, There, Files int64
}

// Run writes what the plan says. After an error, run the import again: it goes on.
func (p *Plan) Run(ctx context.Context) (r Result, err error) {
	for i := range p.Conversations {
		c := &p.Conversations[i]
		if c.Into == 0 {
			made, err := p.make(ctx, c)
			if err != nil {
				return r, fmt.Errorf("conversation %d: %w", c.ID, err)
			}
			if made {
				r.Made++
			}
		}
		if c.moved { // all of it is there
			r.There += c.Messages
			continue
		}
		if err := p.messages(ctx, c, &r); err != nil {
			return r, fmt.Errorf("conversation %d: %w", c.ID, err)
		}
	}
	return r, ctx.Err()
}

// make makes a conversation in the other app, without push notifications: they would tell of
// old messages. made is false when another import at the same time has made it before.
func (p *Plan) make(ctx context.Context, c *Conversation) (made bool, err error) {
	if err := c.definition.SetBodyKey(); err != nil {
		return false, err
	}
	bundle := false
	ds, err := p.o.To.Client.CreateDataSource(ctx, datasource.NewDataSource{
		Name: cmp.Or(c.Name, c.from), Type: wire.TypeConversation, AppID: p.app, OrganizationID: p.org, Definition: c.definition.JSON(),
		AccessRules: wire.ConversationRules(), Hooks: wire.PushHooks(p.app, false), Bundle: &bundle,
	})
	if err != nil {
		return false, err
	}
	c.Into = ds.ID
	return p.alone(ctx, c)
}

// messages writes those of a conversation that are not there.
func (p *Plan) messages(ctx context.Context, c *Conversation, r *Result) error {
	ds, err := p.o.To.Client.DataSource(ctx, c.Into)
	if err != nil {
		return err
	}
	def := wire.ParseDefinition(ds.Definition)
	if err := p.same(c, def); err != nil {
		return err
	}
	key := ""
	if p.o.To.EncryptMessages {
		if key = def.BodyKey(); key == "" {
			return refusef("conversation %d of the other app has no key: leave --encrypt out, or let a client of Fliplet write one message there first", c.Into)
		}
	}
	var waiting []*archive.Message
	size := 0
	flush := func() error {
		if len(waiting) == 0 {
			return nil
		}
		err := p.write(ctx, c, key, waiting, r)
		clear(waiting)
		waiting, size = waiting[:0], 0
		if err == nil && p.o.Progress != nil {
			p.o.Progress(r.Written+r.There, p.Total())
		}
		return err
	}
	for m, err := range p.o.Archive.Messages(ctx, c.ID) {
		if err != nil {
			return err
		}
		if stays(m) {
			continue
		}
		size += len(m.Body) + len(m.Columns)
		if waiting = append(waiting, m); len(waiting) == batch || size >= batchBytes {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

// write writes those of some messages that are not there.
func (p *Plan) write(ctx context.Context, c *Conversation, key string, list []*archive.Message, r *Result) error {
	guids := make([]string, len(list))
	for i, m := range list {
		guids[i] = c.guid(m.Item)
	}
	there, err := p.stored(ctx, c.Into, guids)
	if err != nil {
		return err
	}
	var rows []datasource.CommitEntry
	for i, m := range list {
		if len(there[guids[i]]) > 0 {
			r.There++
			continue
		}
		data, err := p.row(ctx, c, key, m, r)
		if err != nil {
			return fmt.Errorf("message %d: %w", m.Item, err)
		}
		data["guid"] = guids[i]
		rows = append(rows, datasource.CommitEntry{ClientID: guids[i], Data: data})
	}
	if len(rows) == 0 {
		return nil
	}
	done, err := p.o.To.Client.Commit(ctx, c.Into, datasource.Commit{Entries: rows}) // no hook runs
	if err != nil {
		return err
	}
	if len(done.ClientIDs) != len(rows) {
		// A commit is not atomic, and its answer may say little.
		if there, err = p.stored(ctx, c.Into, guids); err != nil {
			return err
		}
		if len(there) < len(guids) {
			return fmt.Errorf("the service has stored %d of %d messages only", len(there), len(guids))
		}
	}
	twice, err := p.withdraw(ctx, c, done.ClientIDs)
	r.Written += int64(len(rows) - twice)
	r.There += int64(twice)
	return err
}

// withdraw deletes those of the rows just written that another import has written before, at
// the same time: of two rows of a message the one with the lower id stays. Both imports look
// after they have written, so the one that was later sees both.
func (p *Plan) withdraw(ctx context.Context, c *Conversation, written []datasource.ClientID) (n int, err error) {
	guids := make([]string, len(written))
	for i, w := range written {
		guids[i] = w.ClientID
	}
	if len(guids) == 0 {
		return 0, nil
	}
	there, err := p.stored(ctx, c.Into, guids)
	if err != nil {
		return 0, err
	}
	var twice []int64
	for _, w := range written {
		if rows := there[w.ClientID]; len(rows) > 1 && slices.Contains(rows, w.ID) && slices.Min(rows) < w.ID {
			twice = append(twice, w.ID)
		}
	}
	if len(twice) == 0 {
		return 0, nil
	}
	_, err = p.o.To.Client.Commit(ctx, c.Into, datasource.Commit{Delete: twice})
	return len(twice), err
}

// stored are the rows of a conversation of the other app that have some GUIDs.
func (p *Plan) stored(ctx context.Context, conversation int64, guids []string) (map[string][]int64, error) {
	q := datasource.Query{
		Where: datasource.M{"guid": datasource.M{"$in": guids}}, Attributes: []string{"guid"}, NoLimit: true,
		Order: []datasource.Order{{Column: "id", Direction: datasource.Asc}},
	}
	there := map[string][]int64{}
	for last := int64(0); ; {
		found, err := p.o.To.Client.Select(ctx, conversation, q)
		if err != nil {
			return nil, err
		}
		before := last
		for _, row := range found.Entries {
			if guid, _ := row.Data["guid"].(string); row.ID > before && row.DeletedAt == nil && slices.Contains(guids, guid) {
				there[guid] = append(there[guid], row.ID)
			}
			last = max(last, row.ID)
		}
		if !found.More || last == before { // a server may give fewer rows than it has
			return there, nil
		}
		q.ID = datasource.M{"$gt": last}
	}
}

// own are the columns of a message that are of one app only.
var own = []string{
	"body", "file", "guid", "fromUserId", "readBy", "conversationId", "isDeleted", "fileMediaFileId", "flSealedFiles",
	"hasMediaFileWithPrivateEncryptionKey", "flUserToken", "_flSchema", "chatHiddenForUserIds",
}

// row is a message as a row of the other app.
func (p *Plan) row(ctx context.Context, c *Conversation, key string, m *archive.Message, r *Result) (datasource.M, error) {
	data, err := columns(m.Columns)
	if err != nil {
		return nil, err
	}
	maps.DeleteFunc(data, func(name string, _ any) bool { return slices.Contains(own, name) })
	body := m.Body
	if key != "" && body != "" {
		if body, err = envelope.SealPassphrase(body, key); err != nil {
			return nil, err
		}
	}
	author := p.people[m.Author]
	readers := []string{author}
	for _, userID := range m.ReadBy() {
		if who := p.people[userID]; who != "" && !slices.Contains(readers, who) {
			readers = append(readers, who)
		}
	}
	data["body"], data["fromUserId"], data["readBy"], data["conversationId"] = body, author, readers, c.Into
	if _, has := data[SentAt]; !has { // of an import before
		data[SentAt] = m.Created
	}
	if p.o.NoFiles || len(m.Files) == 0 {
		return data, nil
	}
	return data, p.files(ctx, m, data, r)
}

// files uploads the attachments of a message. One whose content is not in the archive keeps
// its address.
func (p *Plan) files(ctx context.Context, m *archive.Message, data datasource.M, r *Result) error {
	current, err := m.URLs()
	if err != nil {
		return err
	}
	var urls []string
	var ids []any
	for _, from := range current {
		at := slices.IndexFunc(m.Files, func(f archive.File) bool { return f.URL == from })
		if at < 0 || m.Files[at].SHA256 == "" {
			urls = append(urls, from)
			continue
		}
		uploaded, err := p.upload(ctx, &m.Files[at])
		if err != nil {
			return err
		}
		r.Files++
		urls, ids = append(urls, uploaded.URL), append(ids, uploaded.ID)
	}
	if len(urls) > 0 {
		data["file"] = urls
	}
	if len(ids) > 0 {
		data["fileMediaFileId"] = ids
	}
	return nil
}

// inMemory is up to which size a file is held in memory, so that its upload can be repeated.
const inMemory = 4 << 20

// upload stores a file in the media library.
func (p *Plan) upload(ctx context.Context, f *archive.File) (*datasource.MediaFile, error) {
	part := datasource.Part{Filename: cmp.Or(f.Name, "file"), ContentType: f.Type}
	if f.Size <= inMemory {
		var content bytes.Buffer
		if err := p.o.Archive.WriteFile(ctx, f.SHA256, &content); err != nil {
			return nil, err
		}
		part.Content = append([]byte{}, content.Bytes()...) // not nil, also when it is empty
	} else {
		temp, err := os.CreateTemp("", "flchat-*")
		if err != nil {
			return nil, err
		}
		defer os.Remove(temp.Name())
		defer temp.Close()
		if err := p.o.Archive.WriteFile(ctx, f.SHA256, temp); err != nil {
			return nil, err
		}
		if _, err := temp.Seek(0, 0); err != nil {
			return nil, err
		}
		part.Reader, part.Size = temp, f.Size
	}
	files, err := p.o.To.Client.Upload(ctx, url.Values{"appId": {strconv.FormatInt(p.app, 10)}}, []datasource.Part{part}, nil)
	if err != nil {
		return nil, err
	}
	if len(files) != 1 || files[0].URL == "" {
		return nil, fmt.Errorf("the answer to the upload of %q names no file", f.Name)
	}
	return &files[0], nil
}
