package chathttp

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
)

// method answers a call with what becomes JSON.
type method func(ctx context.Context, q *request, a *args) (any, error)

// methods are the calls of the JavaScript API.
var methods = map[string]method{
	"login": login, "logout": logout, "user": currentUser,
	"contacts": contacts, "conversations": conversations, "conversations.get": getConversation, "conversations.join": joinConversation,
	"create": create, "message": send, "updateMessage": updateMessage, "deleteMessage": deleteMessage, "messages": messages,
	"markMessagesAsRead": markMessagesAsRead, "unread.get": unreadGet, "unread.count": unreadCount,
	"poll": poll, "getBatchSize": batchSize,
	"channels.get": channelsGet, "channels.create": channelsCreate, "channels.join": channelsJoin, "channels.delete": channelsDelete,
	"participants.get": participantsGet, "participants.fetch": participantsFetch, "participants.add": participantsAdd, "participants.remove": participantsRemove,
	"notifications.mute": mute, "notifications.unmute": unmute,
	"messages.fetch": messagesFetch, "messages.get": messagesGet, "messages.history": messagesHistory,
	"getInviteCode": inviteCode, "getEncryptionKey": encryptionKey,
}

// callWithin is how long a call may take, with what the limits of Fliplet make it wait.
const callWithin = time.Minute

// call serves call/{method}.
func (q *request) call(path []string) error {
	call, ok := methods[path[0]]
	if !ok {
		return refusal(http.StatusNotFound, "there is no method of this name")
	}
	raw, err := q.body(q.h.opts.MaxBody)
	if err == nil {
		err = q.allowed(path[0])
	}
	if err != nil {
		return err
	}
	a, err := parseArgs(raw)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(q.r.Context(), callWithin)
	defer cancel()
	out, err := call(ctx, q, a)
	if a.err != nil {
		err = a.err
	}
	if err != nil {
		return err
	}
	answer(q.w, http.StatusOK, out)
	return nil
}

func logout(ctx context.Context, q *request, _ *args) (any, error) {
	return nil, q.chat().Logout(ctx)
}

func currentUser(_ context.Context, q *request, _ *args) (any, error) {
	return q.h.contact(q.chat().User()), nil
}

func contacts(ctx context.Context, q *request, a *args) (any, error) {
	f := a.fields(0, findFields...)
	f.checkQuery(q.h)
	query, offline := f.query(), f.flag("offline")
	if a.err != nil {
		return nil, nil
	}
	if offline {
		found, err := q.chat().Contacts(ctx, chat.Offline())
		return list(q.h.contacts(found), err)
	}
	total := -1
	opts := []chat.ContactsOption{chat.Query(query)}
	if query.IncludePagination {
		opts = append(opts, chat.Total(&total))
	}
	found, err := q.chat().Contacts(ctx, opts...)
	if err == nil && query.IncludePagination {
		return paged(q.h.contacts(found), query, total), nil
	}
	return list(q.h.contacts(found), err)
}

// paged is an answer with includePagination.
func paged[T any](entries []T, q datasource.Query, total int) any {
	type pagination struct {
		Total  int `json:"total"`
		Limit  int `json:"limit,omitempty"`
		Offset int `json:"offset"`
	}
	if entries == nil {
		entries = []T{}
	}
	return struct {
		Entries    []T        `json:"entries"`
		Pagination pagination `json:"pagination"`
	}{entries, pagination{total, q.Limit, q.Offset}}
}

// list is a list that is never null.
func list[T any](found []T, err error) (any, error) {
	if found == nil {
		found = []T{}
	}
	return found, err
}

func conversations(ctx context.Context, q *request, a *args) (any, error) {
	f := a.fields(0, "offline")
	offline := f.flag("offline")
	if a.err != nil {
		return nil, nil
	}
	if offline {
		return list(q.chat().Conversations(ctx, chat.Offline()))
	}
	return list(q.chat().Conversations(ctx))
}

func getConversation(ctx context.Context, q *request, a *args) (any, error) {
	return q.conversation(ctx, a)
}

// conversation is the one that the first argument names.
func (q *request) conversation(ctx context.Context, a *args) (*chat.Conversation, error) {
	id := a.id(0, "conversationId")
	if a.err != nil {
		return nil, a.err
	}
	return q.chat().Conversation(ctx, id)
}

func joinConversation(ctx context.Context, q *request, a *args) (any, error) {
	code := a.text(0, "code")
	if a.err != nil {
		return nil, nil
	}
	return q.chat().JoinConversation(ctx, code)
}

func create(ctx context.Context, q *request, a *args) (any, error) {
	f := a.fields(0, "participants", "name", "group", "metadata", "allowInvite")
	n := chat.NewConversation{
		Participants: f.ids("participants"), Name: f.text("name"), Group: f.object("group"),
		Metadata: f.object("metadata"), AllowInvite: f.flag("allowInvite"),
	}
	if a.err != nil {
		return nil, nil
	}
	return q.chat().Create(ctx, n)
}

func updateMessage(ctx context.Context, q *request, a *args) (any, error) {
	conv, id, raw := a.id(0, "conversationId"), a.id(1, "messageId"), a.raw(2)
	fields := a.object(2, "data")
	if raw == nil {
		a.wrong(`data: give an object such as {"body": "Hello", "isEdited": true}`)
	}
	if a.err != nil {
		return nil, nil
	}
	d, err := chat.DraftFromJS(raw) // refuses what is not a page's to set
	if err != nil {
		return nil, err
	}
	if err := q.own(ctx, conv, id); err != nil {
		return nil, err
	}
	data := d.Data
	if data == nil {
		data = chat.M{}
	}
	if fields["body"] != nil {
		data["body"] = d.Body
	}
	if fields["file"] != nil {
		if data["file"], err = q.keptFiles(ctx, conv, id, d.Files); err != nil {
			return nil, err
		}
	}
	return q.shown(q.chat().UpdateMessage(ctx, conv, id, data))
}

// keptFiles are the addresses of files that an update gives its message: those that the
// message has already, by reference or address, and data URLs.
func (q *request) keptFiles(ctx context.Context, conversation, message int64, files []chat.File) ([]string, error) {
	urls := make([]string, len(files))
	for i, f := range files {
		ref, is, err := refersTo(f.URL)
		switch {
		case err != nil:
		case is && (ref.conversation != conversation || ref.message != message):
			err = badArgument("data.file: an update keeps files of its own message only; send the others with a new one")
		case is:
			urls[i], err = q.addressOf(ctx, ref)
		case isDataURL(f.URL):
			urls[i] = f.URL
		default:
			ref := reference{conversation: conversation, message: message, tag: tagOf(f.URL)}
			if urls[i], err = q.addressOf(ctx, ref); errors.Is(err, chat.ErrNotFound) {
				err = errAddress
			}
		}
		if err != nil {
			return nil, err
		}
	}
	return urls, nil
}

// addressOf is the address of a file that the user may read.
func (q *request) addressOf(ctx context.Context, ref reference) (string, error) {
	m, i, err := q.find(ctx, ref)
	if err != nil {
		return "", err
	}
	return m.Files[i], nil
}

// own refuses what another person has written, unless the user is a moderator.
func (q *request) own(ctx context.Context, conversation, message int64) error {
	if q.moderates() {
		return nil
	}
	conv, err := q.chat().Conversation(ctx, conversation)
	if err != nil {
		return err
	}
	m, err := conv.Messages().Get(ctx, message)
	if err != nil {
		return err
	}
	if own := q.chat().User(); own == nil || own.UserID != m.FromUserID {
		return refusal(http.StatusForbidden, "only who wrote a message may change or delete it")
	}
	return nil
}

func deleteMessage(ctx context.Context, q *request, a *args) (any, error) {
	conv, id := a.id(0, "conversationId"), a.id(1, "messageId")
	if a.err != nil {
		return nil, nil
	}
	if err := q.own(ctx, conv, id); err != nil {
		return nil, err
	}
	return nil, q.chat().DeleteMessage(ctx, conv, id)
}

func messages(ctx context.Context, q *request, a *args) (any, error) {
	f := a.fields(0, "where", "limit", "offset", "order", "conversations")
	var opts []chat.MessagesOption
	if where := f.object("where"); where != nil {
		opts = append(opts, chat.WhereRow(where))
	}
	if f.has("conversations") {
		opts = append(opts, chat.In(f.ids("conversations")...))
	}
	for _, o := range f.find() {
		opts = append(opts, o)
	}
	if a.err != nil {
		return nil, nil
	}
	return q.shownAll(q.chat().Messages(ctx, opts...))
}

// find are limit, offset and order.
func (f *fields) find() (opts []chat.FindOption) {
	if n := f.number("limit"); n != 0 {
		opts = append(opts, chat.Limit(n))
	}
	if n := f.number("offset"); n != 0 {
		opts = append(opts, chat.Offset(n))
	}
	for _, o := range f.order() {
		opts = append(opts, chat.OrderBy(o.Column, o.Direction))
	}
	return opts
}

// mostMarks is how many messages are marked with one call.
const mostMarks = 1000

func markMessagesAsRead(ctx context.Context, q *request, a *args) (any, error) {
	var raw []json.RawMessage
	if json.Unmarshal(a.raw(0), &raw) != nil {
		a.wrong("messages: give a list of messages")
	}
	if len(raw) > mostMarks {
		a.wrong("messages: %d; give at most %d at once", len(raw), mostMarks)
	}
	if a.err != nil {
		return nil, nil
	}
	msgs := make([]*chat.Message, 0, len(raw))
	for i, r := range raw {
		m := &chat.Message{}
		if err := m.UnmarshalJSON(r); err != nil {
			return nil, badArgument("messages[%d]: no message as it was given", i)
		}
		m.IsReadByCurrentUser = false // that is the server's word
		msgs = append(msgs, m)
	}
	return nil, q.chat().MarkMessagesAsRead(ctx, msgs...)
}

func unreadGet(ctx context.Context, q *request, _ *args) (any, error) {
	found, err := q.shownAll(q.chat().Unread().Get(ctx))
	return map[string]any{"entries": found}, err
}

func unreadCount(ctx context.Context, q *request, _ *args) (any, error) {
	return q.chat().Unread().Count(ctx)
}

func poll(ctx context.Context, q *request, a *args) (any, error) {
	f := a.fields(0, "reset")
	reset := f.flag("reset")
	if a.err != nil {
		return nil, nil
	}
	if reset {
		return nil, q.chat().Poll(ctx, chat.Reset())
	}
	return nil, q.chat().Poll(ctx)
}

func batchSize(_ context.Context, q *request, _ *args) (any, error) {
	return q.chat().BatchSize(), nil
}

func channelsGet(ctx context.Context, q *request, _ *args) (any, error) {
	return list(q.chat().Channels().List(ctx))
}

func channelsCreate(ctx context.Context, q *request, a *args) (any, error) {
	name := a.text(0, "name")
	if a.err != nil {
		return nil, nil
	}
	return q.chat().Channels().Create(ctx, name)
}

func channelsJoin(ctx context.Context, q *request, a *args) (any, error) {
	id := a.id(0, "channelId")
	if a.err != nil {
		return nil, nil
	}
	return q.chat().Channels().Join(ctx, id)
}

func channelsDelete(ctx context.Context, q *request, a *args) (any, error) {
	id := a.id(0, "channelId")
	if a.err != nil {
		return nil, nil
	}
	if !q.moderates() {
		return nil, refusal(http.StatusForbidden, "only moderators may delete channels")
	}
	return nil, q.chat().Channels().Delete(ctx, id)
}

func participantsGet(ctx context.Context, q *request, a *args) (any, error) {
	conv, err := q.conversation(ctx, a)
	if err != nil {
		return nil, err
	}
	return conv.Participants().IDs(), nil
}

func participantsFetch(ctx context.Context, q *request, a *args) (any, error) {
	conv, err := q.conversation(ctx, a)
	if err != nil {
		return nil, err
	}
	found, err := conv.Participants().Fetch(ctx)
	return list(q.h.contacts(found), err)
}

func participantsAdd(ctx context.Context, q *request, a *args) (any, error) {
	return changeParticipants(ctx, q, a, chat.Participants.Add)
}

func participantsRemove(ctx context.Context, q *request, a *args) (any, error) {
	return changeParticipants(ctx, q, a, chat.Participants.Remove)
}

func changeParticipants(ctx context.Context, q *request, a *args, change func(chat.Participants, context.Context, ...int64) error) (any, error) {
	ids := a.ids(1, "contactIds")
	conv, err := q.conversation(ctx, a)
	if err != nil {
		return nil, err
	}
	return conv, change(conv.Participants(), ctx, ids...)
}

func mute(ctx context.Context, q *request, a *args) (any, error) {
	conv, err := q.conversation(ctx, a)
	if err != nil {
		return nil, err
	}
	return conv, conv.Notifications().Mute(ctx)
}

func unmute(ctx context.Context, q *request, a *args) (any, error) {
	conv, err := q.conversation(ctx, a)
	if err != nil {
		return nil, err
	}
	return conv, conv.Notifications().Unmute(ctx)
}

func messagesFetch(ctx context.Context, q *request, a *args) (any, error) {
	f := a.fields(1, findFields...)
	f.checkQuery(q.h)
	query := f.query()
	conv, err := q.conversation(ctx, a)
	if err != nil {
		return nil, err
	}
	total := -1
	opts := []chat.FetchOption{chat.Query(query)}
	if query.IncludePagination {
		opts = append(opts, chat.Total(&total))
	}
	found, err := conv.Messages().Fetch(ctx, opts...)
	if err == nil && query.IncludePagination {
		for _, m := range found {
			q.show(m)
		}
		return paged(found, query, total), nil
	}
	return q.shownAll(found, err)
}

func messagesGet(ctx context.Context, q *request, a *args) (any, error) {
	id := a.id(1, "messageId")
	conv, err := q.conversation(ctx, a)
	if err != nil {
		return nil, err
	}
	return q.shown(conv.Messages().Get(ctx, id))
}

// mostHistory is how many messages one call of messages.history returns.
const mostHistory = 200

// messagesHistory returns older messages, newest first: {limit, before: message}.
func messagesHistory(ctx context.Context, q *request, a *args) (any, error) {
	conv := a.id(0, "conversationId")
	f := a.fields(1, "limit", "before")
	limit := f.number("limit")
	if limit == 0 {
		limit = 50
	}
	if limit < 0 || limit > mostHistory {
		a.wrong("options.limit: give 1 to %d", mostHistory)
	}
	opts := []chat.HistoryOption{chat.PageSize(max(1, limit))}
	if f.has("before") {
		m := &chat.Message{}
		if m.UnmarshalJSON(f.m["before"]) != nil {
			a.wrong("options.before: no message as it was given")
		}
		opts = append(opts, chat.Before(m))
	}
	if a.err != nil {
		return nil, nil
	}
	out := []*chat.Message{}
	for m, err := range q.chat().History(ctx, conv, opts...) {
		if err != nil {
			return nil, err
		}
		if out = append(out, m); len(out) == limit {
			break
		}
	}
	return q.shownAll(out, nil)
}

func inviteCode(ctx context.Context, q *request, a *args) (any, error) {
	conv, err := q.conversation(ctx, a)
	if err != nil {
		return nil, err
	}
	return conv.InviteCode(ctx)
}

func encryptionKey(ctx context.Context, q *request, a *args) (any, error) {
	if !q.h.opts.EncryptionKeys {
		return nil, refusal(http.StatusForbidden, "keys are not given to pages; see Options.EncryptionKeys")
	}
	conv, err := q.conversation(ctx, a)
	if err != nil {
		return nil, err
	}
	return conv.EncryptionKey(), nil
}
