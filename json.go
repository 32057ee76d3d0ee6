package chat

import (
	"cmp"
	"encoding/json"
	"errors"
	"maps"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/page"
	"github.com/fliplet/fliplet-chat-go/internal/upload"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// The JSON of this package's values is what the JavaScript API has, so that a program can
// hand it to a page and take it back. What a page gives back is the page's word for it.

// errorJSON is an [Error] in JSON.
type errorJSON struct {
	Code    int    `json:"code"`
	Status  int    `json:"status"`
	Message string `json:"message"`
}

// errorOf is an error in JSON, nil for none.
func errorOf(err error) *errorJSON {
	if err == nil {
		return nil
	}
	out := &errorJSON{Code: code("", err), Message: err.Error()}
	var own *Error
	if errors.As(err, &own) {
		out.Code = own.Code
	}
	var refused *datasource.Error
	var told *toldError
	switch {
	case errors.As(err, &told):
		out.Status = told.status
	case errors.As(err, &refused):
		out.Status = refused.StatusCode
	}
	out.Status = cmp.Or(out.Status, out.Code)
	return out
}

// toldError is an error that was read from JSON.
type toldError struct {
	status int
	text   string
	is     error // what it matches
}

func (e *toldError) Error() string { return e.text }
func (e *toldError) Unwrap() error { return e.is }

// MarshalJSON writes {code, status, message}: Code, the HTTP status of the server's answer,
// or else Code again, and the text. A rejection of the JavaScript API has code, too.
func (e *Error) MarshalJSON() ([]byte, error) { return json.Marshal(errorOf(e)) }

// UnmarshalJSON reads what MarshalJSON wrote. Op is then "", and the cause is known by its
// text only.
func (e *Error) UnmarshalJSON(raw []byte) (err error) {
	defer wrap("read the JSON of an error", &err)
	return field(e.read(raw, nil))
}

func (e *Error) read(raw []byte, is error) error {
	o, err := page.Parse(raw, page.MaxBytes)
	if err != nil {
		return err
	}
	told := &toldError{status: int(o.Int("status")), text: o.Text("message"), is: is}
	*e = Error{Code: int(o.Int("code")), Err: told}
	return o.Err()
}

// readJSON reads an object from a page.
func readJSON(raw []byte) (*page.Object, error) {
	o, err := page.Parse(raw, page.MaxBytes)
	return o, field(err)
}

// field is the error of a field, or of what has the fields.
func field(err error) error {
	if err != nil {
		return invalid("%v", err)
	}
	return nil
}

// MarshalJSON writes the message as the JavaScript API returns it. deletedAt is null
// unless the message was deleted. Beyond what that API writes there are isReplay and
// isHistory, if true, change, if an update says what it changed, such as ["readers"] for a
// read mark, and error, {code, status, message}, if Err is set.
func (m Message) MarshalJSON() ([]byte, error) {
	data := m.Data
	if data == nil {
		data = M{}
	}
	if _, has := data[wire.FileSchema]; has { // it holds a key
		data = maps.Clone(data)
		delete(data, wire.FileSchema)
	}
	row := page.Row{
		ID: m.ID, DataSourceID: m.ConversationID, Data: data,
		CreatedAt: page.Timestamp(m.CreatedAt), UpdatedAt: page.Timestamp(m.UpdatedAt),
	}
	if m.DeletedAt != nil && page.Printable(*m.DeletedAt) {
		row.DeletedAt = new(wire.Timestamp(*m.DeletedAt))
	}
	return json.Marshal(struct {
		page.Row
		IsReadByCurrentUser bool       `json:"isReadByCurrentUser"`
		IsUpdate            bool       `json:"isUpdate"`
		IsDeleted           bool       `json:"isDeleted"`
		IsReplay            bool       `json:"isReplay,omitempty"`
		IsHistory           bool       `json:"isHistory,omitempty"`
		Change              []string   `json:"change,omitempty"`
		Err                 *errorJSON `json:"error,omitempty"`
	}{row, m.IsReadByCurrentUser, m.IsUpdate, m.IsDeleted, m.IsReplay, m.IsHistory, m.Change.names(), errorOf(m.Err)})
}

// UnmarshalJSON reads what MarshalJSON wrote, so that a page can give a message back, to
// [Chat.MarkMessagesAsRead] for example. Protection is Plain, since nothing of it was
// verified, and Err matches [ErrUnreadable] only.
//
// Errors: [ErrInvalid], which names the field; for more than 16 MiB, 100,000 values or
// 1,010 levels, too.
func (m *Message) UnmarshalJSON(raw []byte) (err error) {
	defer wrap("read the JSON of a message", &err)
	o, err := readJSON(raw)
	if err != nil {
		return err
	}
	data := o.Fields("data")
	if data == nil {
		data = M{}
	}
	delete(data, wire.FileSchema)
	out := Message{
		ID: o.Int("id"), ConversationID: o.Int("dataSourceId"), Data: data,
		CreatedAt: o.Time("createdAt"), UpdatedAt: o.Time("updatedAt"),
		IsReadByCurrentUser: o.Bool("isReadByCurrentUser"), IsUpdate: o.Bool("isUpdate"), IsDeleted: o.Bool("isDeleted"),
		IsReplay: o.Bool("isReplay"), IsHistory: o.Bool("isHistory"),
	}
	if o.Has("deletedAt") {
		out.DeletedAt = new(o.Time("deletedAt"))
	}
	if !o.Has("isDeleted") {
		out.IsDeleted = wire.Deleted(out.DeletedAt, data)
	}
	if !o.Has("dataSourceId") {
		out.ConversationID = wire.Int(data[wire.Conversation])
	}
	out.Change = changeOf(o.Texts("change"))
	out.readColumns(false)
	if raw := o.Raw("error"); raw != nil {
		told := &Error{}
		if err := told.read(raw, ErrUnreadable); err != nil {
			return invalid("error: %v", err)
		}
		out.Err = told
	}
	if err := field(o.Err()); err != nil {
		return err
	}
	*m = out
	return nil
}

// MarshalJSON writes the row as the JavaScript API returns it, without tokens and keys;
// with flUserToken if [WithToken] asked for it.
func (ct Contact) MarshalJSON() ([]byte, error) {
	data := wire.CloneMap(ct.Data)
	if data == nil {
		data = M{}
	}
	wire.Hide(data)
	if token, has := ct.Data[wire.UserToken]; has && ct.withToken {
		data[wire.UserToken] = token
	}
	return json.Marshal(page.Row{
		ID: ct.ID, DataSourceID: ct.DataSourceID, Data: data,
		CreatedAt: page.Timestamp(ct.CreatedAt), UpdatedAt: page.Timestamp(ct.UpdatedAt),
	})
}

// UnmarshalJSON reads what MarshalJSON wrote. UserID is the flUserId in the data.
//
// Errors: [ErrInvalid], as for [Message.UnmarshalJSON].
func (ct *Contact) UnmarshalJSON(raw []byte) (err error) {
	defer wrap("read the JSON of a contact", &err)
	o, err := readJSON(raw)
	if err != nil {
		return err
	}
	out := Contact{
		ID: o.Int("id"), DataSourceID: o.Int("dataSourceId"), Data: o.Fields("data"),
		CreatedAt: o.Time("createdAt"), UpdatedAt: o.Time("updatedAt"),
	}
	if out.Data == nil {
		out.Data = M{}
	}
	out.UserID = wire.Text(out.Data[wire.UserID])
	if err := field(o.Err()); err != nil {
		return err
	}
	*ct = out
	return nil
}

// MarshalJSON writes every field except the encryption key, the invite code and tokens.
func (d Definition) MarshalJSON() ([]byte, error) { return d.all.Shown().JSON(), nil }

// UnmarshalJSON reads what MarshalJSON wrote.
//
// Errors: [ErrInvalid], as for [Message.UnmarshalJSON].
func (d *Definition) UnmarshalJSON(raw []byte) (err error) {
	defer wrap("read the JSON of a definition", &err)
	if _, err := readJSON(raw); err != nil {
		return err
	}
	*d = readDefinition(wire.ParseDefinition(raw))
	return nil
}

// definitionIn reads the definition in the JSON of a conversation or channel.
func definitionIn(o *page.Object) (d Definition, err error) {
	if raw := o.Raw("definition"); raw != nil {
		err = d.UnmarshalJSON(raw)
	} else {
		d = readDefinition(wire.NewDefinition())
	}
	if kind := o.Text("type"); err == nil && kind != "" && kind != wire.TypeConversation {
		err = invalid("type: want %q", wire.TypeConversation)
	}
	return d, cmp.Or(field(o.Err()), err)
}

// conversationJSON is a conversation as the JavaScript API returns it.
type conversationJSON struct {
	ID             int64      `json:"id"`
	Name           string     `json:"name"`
	Type           string     `json:"type"`
	AppID          int64      `json:"appId"`
	OrganizationID int64      `json:"organizationId"`
	Definition     Definition `json:"definition"`
	CreatedAt      *string    `json:"createdAt"`
	UpdatedAt      *string    `json:"updatedAt"`
	DeletedAt      *string    `json:"deletedAt"`
	IsNew          bool       `json:"isNew"`
	IsMuted        bool       `json:"isMuted"`
	IsChannel      bool       `json:"isChannel"`
	IsGroup        bool       `json:"isGroup"`
	NParticipants  int        `json:"nParticipants"`
}

// toldConversation is what the JSON of a conversation says and its definition does not.
type toldConversation struct{ is, muted bool }

// MarshalJSON writes the conversation as the JavaScript API returns it, without its
// encryption key and invite code.
func (v *Conversation) MarshalJSON() ([]byte, error) {
	return json.Marshal(conversationJSON{
		ID: v.ID, Name: v.Name, Type: wire.TypeConversation, AppID: v.AppID, OrganizationID: v.OrganizationID,
		Definition: v.Definition, CreatedAt: page.Timestamp(v.CreatedAt), UpdatedAt: page.Timestamp(v.UpdatedAt),
		IsNew: v.IsNew, IsMuted: v.IsMuted(), IsChannel: v.IsChannel, IsGroup: v.IsGroup, NParticipants: v.NParticipants,
	})
}

// UnmarshalJSON reads what MarshalJSON wrote. The value belongs to no Chat: its fields,
// IsMuted and Participants().IDs are there, and calls that make requests fail with
// [ErrInvalid]. [Chat.Conversation] gives one that works. It must not be used
// meanwhile.
//
// Errors: [ErrInvalid], as for [Message.UnmarshalJSON].
func (v *Conversation) UnmarshalJSON(raw []byte) (err error) {
	defer wrap("read the JSON of a conversation", &err)
	o, err := readJSON(raw)
	if err != nil {
		return err
	}
	created, updated := o.Time("createdAt"), o.Time("updatedAt")
	told := toldConversation{is: true, muted: o.Bool("isMuted")}
	name, isNew, isChannel, isGroup := o.Text("name"), o.Bool("isNew"), o.Bool("isChannel"), o.Bool("isGroup")
	id, app, organization, n := o.Int("id"), o.Int("appId"), o.Int("organizationId"), o.Int("nParticipants")
	def, err := definitionIn(o)
	if err != nil {
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.ID, v.Name, v.AppID, v.OrganizationID, v.CreatedAt, v.UpdatedAt = id, name, app, organization, created, updated
	v.chat, v.userID, v.told = nil, "", told
	v.show(def.all)
	v.IsNew, v.IsChannel, v.IsGroup, v.NParticipants = isNew, isChannel, isGroup, int(n)
	return nil
}

// MarshalJSON writes the channel as the JavaScript API returns it, without its encryption
// key and invite code, hooks and access rules.
func (ch Channel) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		ID             int64           `json:"id"`
		Name           string          `json:"name"`
		Type           string          `json:"type"`
		AppID          int64           `json:"appId"`
		OrganizationID int64           `json:"organizationId"`
		Definition     Definition      `json:"definition"`
		Columns        []string        `json:"columns"`
		Bundle         json.RawMessage `json:"bundle,omitempty"`
		Encrypted      json.RawMessage `json:"encrypted,omitempty"`
		Public         json.RawMessage `json:"public,omitempty"`
		CreatedAt      *string         `json:"createdAt"`
		UpdatedAt      *string         `json:"updatedAt"`
		DeletedAt      *string         `json:"deletedAt"`
		NParticipants  int             `json:"nParticipants"`
		IsChannel      bool            `json:"isChannel"`
	}{
		ID: ch.ID, Name: ch.Name, Type: wire.TypeConversation, AppID: ch.AppID, OrganizationID: ch.OrganizationID,
		Definition: ch.Definition, Columns: append([]string{}, ch.Columns...), Bundle: ch.Extra["bundle"], Encrypted: ch.Extra["encrypted"], Public: ch.Extra["public"],
		CreatedAt: page.Timestamp(ch.CreatedAt), UpdatedAt: page.Timestamp(ch.UpdatedAt), NParticipants: ch.NParticipants, IsChannel: true,
	})
}

// UnmarshalJSON reads what MarshalJSON wrote.
//
// Errors: [ErrInvalid], as for [Message.UnmarshalJSON].
func (ch *Channel) UnmarshalJSON(raw []byte) (err error) {
	defer wrap("read the JSON of a channel", &err)
	o, err := readJSON(raw)
	if err != nil {
		return err
	}
	out := Channel{
		ID: o.Int("id"), Name: o.Text("name"), NParticipants: int(o.Int("nParticipants")), AppID: o.Int("appId"),
		OrganizationID: o.Int("organizationId"), CreatedAt: o.Time("createdAt"), UpdatedAt: o.Time("updatedAt"), Columns: o.Texts("columns"),
	}
	for _, name := range []string{"bundle", "encrypted", "public"} {
		if raw := o.Raw(name); raw != nil {
			if out.Extra == nil {
				out.Extra = map[string]json.RawMessage{}
			}
			out.Extra[name] = raw
		}
	}
	if out.Definition, err = definitionIn(o); err != nil {
		return err
	}
	*ch = out
	return nil
}

// DraftFromJS reads the one object with which a page sends a message, as it would call
// chat.message(id, object) of the JavaScript API, for [Chat.Message]:
//
//   - body and guid: texts
//   - file: a URL, a data URL, or a list of them; the content of data URLs is uploaded
//   - _flSchema: name and encryptionKey of uploads, by column or file. The key itself is
//     not taken: such files get the key of the conversation
//   - everything else: custom columns, with exact numbers
//
// Null is like a field that is not there. It makes no request and keeps nothing of raw.
//
// What the SDK or Fliplet writes is not the page's to set: fromUserId, readBy, isDeleted,
// fileMediaFileId, tokens, and the fields of a row, such as id, dataSourceId and createdAt.
// JavaScript's chat replaces fromUserId and stores the others; Fliplet's widget sends none
// of them. A program that wants them may set Draft.Data itself, as far as [Chat.Message]
// takes them.
//
// Errors: [ErrInvalid], which names the field: for another shape, a column that is not
// the page's to set, text that is not UTF-8 or has half of a character, more than 64 MiB,
// 100,000 values or 1,010 levels.
func DraftFromJS(raw []byte) (_ Draft, err error) {
	defer wrap("read a draft", &err)
	in, err := page.ParseDraft(raw)
	if err != nil {
		return Draft{}, field(err)
	}
	d := Draft{Body: in.Body, GUID: in.GUID, Data: in.Data}
	for i, f := range in.Files {
		d.Files = append(d.Files, File{URL: f.URL, Name: f.Name})
		if err := upload.File(d.Files[i]).Check(); err != nil {
			return Draft{}, invalid("%s[%d]: %v", wire.File, i, err)
		}
	}
	if err := d.checkText(); err != nil {
		return Draft{}, err
	}
	return d, nil
}
