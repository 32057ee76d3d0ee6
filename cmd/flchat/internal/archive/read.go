package archive

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"
)

// Contact is somebody of the archive, as they were last.
type Contact struct {
	ID     int64
	UserID string
	Data   map[string]any
	Gone   bool // not in the contacts any more
}

// Name is what people call somebody: a column that holds a name, or else the flUserId.
func (c *Contact) Name() string {
	return cmp.Or(NameIn(c.Data), c.UserID)
}

// NameIn is the first of the usual columns of a contact that holds something, whatever their
// case, and "" if none does.
func NameIn(data map[string]any) string {
	keys := slices.Sorted(maps.Keys(data))
	text := func(names ...string) string {
		for _, name := range names {
			for _, key := range keys {
				if s, ok := data[key].(string); ok && strings.EqualFold(name, key) && strings.TrimSpace(s) != "" {
					return strings.TrimSpace(s)
				}
			}
		}
		return ""
	}
	return cmp.Or(text("Full name", "fullName", "Display name", "displayName", "Name"),
		strings.TrimSpace(text("First name", "firstName")+" "+text("Last name", "lastName")),
		text("Email", "E-mail"))
}

// Conversation is one of the archive, as it was last.
type Conversation struct {
	ID        int64
	Name      string
	Created   time.Time
	IsChannel bool
	IsGroup   bool
	// Definition is that of the data source, without its key.
	Definition struct {
		Participants        []string       `json:"participants"`
		RemovedParticipants []string       `json:"removedParticipants"`
		Group               map[string]any `json:"group"`
		Metadata            map[string]any `json:"metadata"`
	}
}

// Contacts returns everybody, by id.
func (a *Archive) Contacts(ctx context.Context) ([]Contact, error) {
	var list []Contact
	err := a.each(ctx, func(r *Record) error {
		c := Contact{ID: r.Item, UserID: r.Author}
		if r.Kind == KindContactGone { // what it was is in the record before
			c.Gone = true
			var before Record
			err := before.scan(a.db.QueryRowContext(ctx, `SELECT `+columns+` FROM records WHERE kind IN ('conversation', 'contact', 'contact-gone') AND item = ? AND chain = 0 AND kind = 'contact' ORDER BY seq DESC LIMIT 1`, r.Item))
			if err != nil {
				return err
			}
			r.Author, r.Columns = before.Author, before.Columns
			c.UserID = r.Author
		}
		if err := decode(r.Columns, &c.Data); err != nil {
			return err
		}
		list = append(list, c)
		return nil
	}, `SELECT `+columns+` FROM records WHERE seq IN (SELECT max(seq) FROM records WHERE kind IN ('conversation', 'contact', 'contact-gone') AND chain = 0 GROUP BY item) ORDER BY item`)
	return list, explain(a.Path, err)
}

// Conversations returns all conversations, by id.
func (a *Archive) Conversations(ctx context.Context) ([]Conversation, error) {
	var list []Conversation
	err := a.each(ctx, func(r *Record) error {
		c := Conversation{ID: r.Item, Name: r.Body}
		c.Created, _ = time.Parse(timestamp, r.Created)
		var what struct {
			Definition         json.RawMessage
			IsChannel, IsGroup bool
		}
		if err := decode(r.Columns, &what); err != nil {
			return err
		}
		c.IsChannel, c.IsGroup = what.IsChannel, what.IsGroup
		_ = decode(string(what.Definition), &c.Definition) // without what has another form
		list = append(list, c)
		return nil
	}, `SELECT `+columns+` FROM records WHERE seq IN (SELECT max(seq) FROM records WHERE kind IN ('conversation', 'contact', 'contact-gone') AND chain > 0 GROUP BY chain, item) ORDER BY item`)
	if err != nil {
		return nil, explain(a.Path, err)
	}
	// One that was found through a message has no record of its own yet.
	known := map[int64]bool{}
	for _, c := range list {
		known[c.ID] = true
	}
	chains, err := column[int64](ctx, a.db, `SELECT chain FROM heads WHERE chain > 0 ORDER BY chain`)
	if err != nil {
		return nil, explain(a.Path, err)
	}
	for _, id := range chains {
		if !known[id] {
			list = append(list, Conversation{ID: id})
		}
	}
	return list, nil
}

// decode reads JSON with exact numbers; "" is nothing.
func decode(text string, v any) error {
	if text == "" {
		return nil
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	return d.Decode(v)
}

// each calls fn with each record of a query. The record is the same each time.
func (a *Archive) each(ctx context.Context, fn func(*Record) error, query string, args ...any) error {
	rows, err := a.db.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var r Record
		if err := r.scan(rows); err != nil {
			return err
		}
		if err := fn(&r); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Message is a message with all its versions.
type Message struct {
	// Record is its newest version, with its newest readers.
	Record
	Deleted bool
	// Versions are all of them, the first one first, with read marks and the deletion.
	Versions []Record
	Files    []File
}

// Time is when the message was created.
func (m *Message) Time() time.Time {
	t, _ := time.Parse(timestamp, m.Created)
	return t
}

// ReadBy are the flUserIds of the readers.
func (m *Message) ReadBy() []string {
	list, _ := texts(m.Readers)
	return list
}

// Messages yields the messages of a conversation, oldest first, with their versions. Memory
// is that of one message.
func (a *Archive) Messages(ctx context.Context, conversation int64) iter.Seq2[*Message, error] {
	return func(yield func(*Message, error) bool) {
		fail := func(err error) { yield(nil, explain(a.Path, err)) }
		first, err := a.db.QueryContext(ctx, `SELECT `+columns+` FROM records WHERE chain = ? AND first = 1 ORDER BY created, item`, conversation)
		if err != nil {
			fail(err)
			return
		}
		defer first.Close()
		later, err := a.db.PrepareContext(ctx, `SELECT `+columns+` FROM records WHERE item = ? AND chain = ? AND seq > ? ORDER BY seq`)
		if err != nil {
			fail(err)
			return
		}
		defer later.Close()
		for first.Next() {
			var m Message
			if err := m.scan(first); err != nil {
				fail(err)
				return
			}
			m.Deleted, m.Versions = m.Kind == KindDeletion, []Record{m.Record}
			if err := m.read(ctx, later); err != nil {
				fail(err)
				return
			}
			if !yield(&m, nil) {
				return
			}
		}
		if err := first.Err(); err != nil {
			fail(err)
		}
	}
}

// read reads what came after the first version.
func (m *Message) read(ctx context.Context, later *sql.Stmt) error {
	rows, err := later.QueryContext(ctx, m.Item, m.Chain, m.Seq)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var r Record
		if err := r.scan(rows); err != nil {
			return err
		}
		switch r.Kind {
		case KindNew, KindEdit:
			m.Record, m.Deleted = r, false
		case KindRead:
			m.Readers = r.Readers
		case KindDeletion:
			m.Deleted = true
		case KindFile:
			f := File{URL: r.Body, Missing: r.Note}
			if err := decode(r.Columns, &f); err != nil {
				return err
			}
			m.Files = append(m.Files, f)
			continue
		default:
			continue
		}
		m.Versions = append(m.Versions, r)
	}
	return rows.Err()
}

// errNoBlob: the archive does not have a file's content.
var errNoBlob = errors.New("the archive does not have the content of this file")

// WriteFile writes the content of a file.
func (a *Archive) WriteFile(ctx context.Context, sha256 string, w io.Writer) error {
	rows, err := a.db.QueryContext(ctx, `SELECT bytes FROM blobs WHERE hash = ? ORDER BY part`, sha256)
	if err != nil {
		return explain(a.Path, err)
	}
	defer rows.Close()
	n := 0
	for ; rows.Next(); n++ {
		var part sql.RawBytes
		if err := rows.Scan(&part); err != nil {
			return explain(a.Path, err)
		}
		if _, err := w.Write(part); err != nil {
			return err
		}
	}
	if n == 0 && rows.Err() == nil {
		return explain(a.Path, errNoBlob)
	}
	return explain(a.Path, rows.Err())
}

// First is when a message was written, and by whom.
type First struct {
	Created time.Time
	Author  string
}

// Firsts yields when the messages of a conversation were written, and by whom, oldest first.
func (a *Archive) Firsts(ctx context.Context, conversation int64) iter.Seq2[First, error] {
	return func(yield func(First, error) bool) {
		rows, err := a.db.QueryContext(ctx, `SELECT created, author FROM records WHERE chain = ? AND first = 1 ORDER BY created, item`, conversation)
		if err != nil {
			yield(First{}, explain(a.Path, err))
			return
		}
		defer rows.Close()
		for rows.Next() {
			var f First
			var created string
			if err := rows.Scan(&created, &f.Author); err != nil {
				yield(First{}, explain(a.Path, err))
				return
			}
			f.Created, _ = time.Parse(timestamp, created)
			if !yield(f, nil) {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(First{}, explain(a.Path, err))
		}
	}
}

// Absent are the addresses of attachments that were not fetched.
func (m *Message) Absent() (list []string) {
	urls, _ := m.URLs()
	for _, u := range urls {
		if !slices.ContainsFunc(m.Files, func(f File) bool { return f.URL == u }) {
			list = append(list, u)
		}
	}
	return list
}

// URLs are the addresses of the attachments that a message has now.
func (m *Message) URLs() ([]string, error) { return texts(m.Record.Files) }

// Gaps counts what of a conversation could not be read when it was exported, nor later.
func (a *Archive) Gaps(ctx context.Context, conversation int64) (n int64, err error) {
	err = a.db.QueryRowContext(ctx, `SELECT count(DISTINCT item) FROM records WHERE kind = 'gap' AND chain = ? AND NOT EXISTS (SELECT 1 FROM records AS later WHERE later.item = records.item AND later.first = 1)`, conversation).Scan(&n)
	return n, explain(a.Path, err)
}

// Items are the ids of the first messages of a conversation that can be read and were not
// deleted, at most limit.
func (a *Archive) Items(ctx context.Context, conversation int64, limit int) (list []int64, err error) {
	list, err = column[int64](ctx, a.db, `SELECT item FROM records WHERE chain = ? AND first = 1 AND note = '' AND NOT EXISTS (SELECT 1 FROM records AS later WHERE later.item = records.item AND later.kind = 'deletion') ORDER BY created, item LIMIT ?`, conversation, limit)
	return list, explain(a.Path, err)
}
