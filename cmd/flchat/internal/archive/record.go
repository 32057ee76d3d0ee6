package archive

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"

	chat "github.com/fliplet/fliplet-chat-go"
)

// apart are the columns of a message that have a place of their own in a record, or that are
// secrets.
var apart = []string{"body", "readBy", "fromUserId", "guid", "_flSchema", "flUserToken"}

// placed reports whether the place of its own holds all of a column. What is no text, such as a
// body that is a list, is nowhere but in the column.
func placed(name string, v any) bool {
	if name == "_flSchema" || name == "flUserToken" {
		return true // nowhere, whatever it is
	}
	switch v := v.(type) {
	case nil, string, json.Number:
		return true
	case []any:
		return name == "readBy" && !slices.ContainsFunc(v, func(reader any) bool { return !placed("", reader) })
	}
	return false
}

// encode is JSON that is the same for the same values: keys are sorted.
func encode(v any) (string, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return "", err
	}
	return string(bytes.TrimSuffix(out.Bytes(), []byte{'\n'})), nil
}

// list is a list as JSON, "" for an empty one.
func list(texts []string) (string, error) {
	if len(texts) == 0 {
		return "", nil
	}
	return encode(texts)
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(timestamp)
}

// recordOf is a message as it is now. Its kind is still open.
func recordOf(m *chat.Message) (*Record, error) {
	data := m.Data
	if slices.ContainsFunc(apart, func(name string) bool { _, has := data[name]; return has }) {
		data = maps.Clone(data)
		for _, name := range apart {
			if placed(name, data[name]) {
				delete(data, name)
			}
		}
	}
	if empty, _ := data["file"].([]any); len(m.Files) > 0 || empty != nil && len(empty) == 0 {
		data = maps.Clone(data)
		delete(data, "file")
	}
	r := &Record{
		Chain: m.ConversationID, Item: m.ID, Created: stamp(m.CreatedAt), At: stamp(m.UpdatedAt),
		Author: m.FromUserID, GUID: m.GUID, Body: m.Body, Protection: m.Protection.String(),
	}
	if m.DeletedAt != nil && !m.DeletedAt.IsZero() {
		r.At = stamp(*m.DeletedAt)
	}
	if m.Err != nil {
		r.Note = m.Err.Error()
	}
	var errs [3]error
	r.Readers, errs[0] = list(m.ReadBy)
	r.Files, errs[1] = list(m.Files)
	if len(data) > 0 {
		r.Columns, errs[2] = encode(data)
	}
	return r, errors.Join(errs[:]...)
}

// same reports whether two versions say the same, their readers apart.
func (r *Record) same(old *Record) bool {
	return r.Body == old.Body && r.Files == old.Files && r.Columns == old.Columns && r.Note == old.Note && r.Author == old.Author && r.GUID == old.GUID && r.Protection == old.Protection
}

// addMessage writes what is new of a message, which may be nothing: a version that is there
// already is not written again.
func addMessage(ctx context.Context, tx execer, m *chat.Message) (written bool, err error) {
	r, err := recordOf(m)
	if err != nil {
		return false, err
	}
	var last Record
	err = last.scan(tx.QueryRowContext(ctx, `SELECT `+columns+` FROM records WHERE item = ? AND kind IN ('new', 'edit', 'deletion') ORDER BY seq DESC LIMIT 1`, m.ID))
	isNew := errors.Is(err, sql.ErrNoRows)
	if err != nil && !isNew {
		return false, err
	}
	switch {
	case m.IsDeleted && !isNew && last.Kind == KindDeletion:
		return false, nil
	case m.IsDeleted:
		r.Kind, r.First = KindDeletion, isNew
		// What a tombstone still shows differs from server to server.
		r.Body, r.Readers, r.Files, r.Columns, r.Note, r.Protection = "", "", "", "", "", ""
		if !isNew {
			r.Created, r.Author, r.GUID = last.Created, last.Author, last.GUID
		}
	case isNew:
		r.Kind, r.First = KindNew, true
	case last.Kind == KindDeletion || !r.same(&last):
		r.Kind = KindEdit
	default:
		var readers string
		if err := tx.QueryRowContext(ctx, `SELECT readers FROM records WHERE item = ? AND kind IN ('new', 'edit', 'read') ORDER BY seq DESC LIMIT 1`, m.ID).Scan(&readers); err != nil {
			return false, err
		}
		if readers == r.Readers {
			return false, nil
		}
		r.Kind = KindRead
		r.Body, r.Files, r.Columns, r.Note, r.Protection = "", "", "", "", ""
	}
	return true, appendRecord(ctx, tx, r)
}

// addIfChanged writes a contact or a conversation, unless its newest record says the same.
func addIfChanged(ctx context.Context, tx execer, r *Record) (written bool, err error) {
	var last Record
	err = last.scan(tx.QueryRowContext(ctx, `SELECT `+columns+` FROM records WHERE item = ? AND chain = ? AND kind IN ('conversation', 'contact', 'contact-gone') ORDER BY seq DESC LIMIT 1`, r.Item, r.Chain))
	switch {
	case errors.Is(err, sql.ErrNoRows):
	case err != nil:
		return false, err
	case last.Kind == r.Kind && last.Body == r.Body && last.Author == r.Author && last.Columns == r.Columns:
		return false, nil
	}
	return true, appendRecord(ctx, tx, r)
}

// contactRecord is a contact, without its token.
func contactRecord(c *chat.Contact) (*Record, error) {
	data := maps.Clone(c.Data)
	delete(data, "flUserToken")
	text, err := encode(data)
	return &Record{Kind: KindContact, Item: c.ID, Created: stamp(c.CreatedAt), At: stamp(c.UpdatedAt), Author: c.UserID, Columns: text}, err
}

// conversationRecord is what a conversation is, without its key and its invite code.
func conversationRecord(c *chat.Conversation) (*Record, error) {
	definition, err := json.Marshal(c.Definition)
	if err != nil {
		return nil, err
	}
	text, err := encode(chat.M{"definition": json.RawMessage(definition), "isChannel": c.IsChannel, "isGroup": c.IsGroup})
	// The time of its last change moves with each message, and is that of the newest one.
	return &Record{Kind: KindConversation, Chain: c.ID, Item: c.ID, Created: stamp(c.CreatedAt), Body: c.Name, Columns: text}, err
}
