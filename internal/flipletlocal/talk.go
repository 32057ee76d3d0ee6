package flipletlocal

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd"
)

// How much of messages the page shows.
const (
	shownMessages = 50  // at a time
	maxMessages   = 200 // in a window
	shownBody     = 4000
	shownPreview  = 120
	shownFiles    = 20
)

// talk is a window on the messages of a conversation.
type talk struct {
	conversation
	Now      string    `json:"now"`
	As       person    `json:"as"`
	Messages []message `json:"messages"`
	Total    int       `json:"total"` // messages that are not deleted
	Earlier  bool      `json:"earlier"`
	Later    bool      `json:"later"`
}

// message is what a bubble needs. The text of what is deleted or encrypted stays where
// it is: nothing is decrypted here.
type message struct {
	ID     int64    `json:"id"`
	Key    string   `json:"key"` // its place; see place
	From   person   `json:"from"`
	Time   string   `json:"time"`
	Kind   string   `json:"kind"` // text, encrypted, deleted, or none without a text
	Text   string   `json:"text"`
	Cut    int      `json:"cut"` // characters that are left out
	Edited bool     `json:"edited"`
	Files  []string `json:"files"` // their names
	ReadBy int      `json:"readBy"`
}

// talk reads the newest messages of a conversation, those before a place, or those from
// a place on.
func (p *page) talk(q url.Values) (*talk, error) {
	id, err := strconv.ParseInt(q.Get("id"), 10, 64)
	if err != nil {
		return nil, errors.New("id: give the number of a conversation")
	}
	all := p.core.Sources()
	at := slices.IndexFunc(all, func(s flipletd.Source) bool { return s.ID == id && isConversation(s) })
	if at < 0 {
		return nil, errors.New("id: there is no such conversation")
	}
	n, err := strconv.Atoi(q.Get("n"))
	if err != nil || n <= 0 {
		n = shownMessages
	}
	n = min(n, maxMessages)
	names := p.names.of(p.core, all)
	out := &talk{conversation: newConversation(all[at], names), Now: timeText(p.core.Now()), Messages: []message{}, Total: all[at].Live}
	if as := q.Get("as"); as != "" {
		out.As = names.person(as)
	}
	var rows []flipletd.Row
	switch {
	case q.Has("from"):
		created, row, err := place(q.Get("from"))
		if err != nil {
			return nil, fmt.Errorf("from: %w", err)
		}
		rows, out.Later = p.core.RowsFrom(id, created, row, n)
		_, more := p.core.RowsBefore(id, created, row, 0)
		out.Earlier = more
	case q.Has("before"):
		created, row, err := place(q.Get("before"))
		if err != nil {
			return nil, fmt.Errorf("before: %w", err)
		}
		rows, out.Earlier = p.core.RowsBefore(id, created, row, n)
		out.Later = true
	default:
		rows, out.Earlier = p.core.RowsBefore(id, time.Time{}, 0, n)
	}
	for _, row := range rows {
		out.Messages = append(out.Messages, newMessage(row, names, shownBody))
	}
	return out, nil
}

// place reads the key of a message: when it was created, in milliseconds, and its id.
func place(key string) (created time.Time, id int64, err error) {
	milli, row, _ := strings.Cut(key, ".")
	ms, err := strconv.ParseInt(milli, 10, 64)
	if err == nil {
		id, err = strconv.ParseInt(row, 10, 64)
	}
	if err != nil {
		return time.Time{}, 0, errors.New("give the key of a message")
	}
	return time.UnixMilli(ms).UTC(), id, nil
}

func newMessage(row flipletd.Row, names people, length int) message {
	m := message{
		ID: row.ID, Key: fmt.Sprintf("%d.%d", row.CreatedAt.UnixMilli(), row.ID), Time: timeText(row.CreatedAt), Kind: "text",
		Edited: truthy(row.Data["isEdited"]), ReadBy: len(texts(row.Data["readBy"])), Files: []string{},
	}
	if from, _ := row.Data["fromUserId"].(string); from != "" {
		m.From = names.person(from)
	}
	if row.DeletedAt != nil || truthy(row.Data["isDeleted"]) {
		m.Kind, m.Edited = "deleted", false
		return m
	}
	for _, file := range texts(row.Data["file"]) {
		if len(m.Files) == shownFiles {
			break
		}
		m.Files = append(m.Files, fileName(file))
	}
	body, _ := row.Data["body"].(string)
	switch {
	case body == "":
		m.Kind = "none"
	case isSealed(body):
		m.Kind = "encrypted"
	default:
		m.Text, m.Cut = split(body, length)
	}
	return m
}

// isSealed knows both formats of encrypted bodies by how they begin.
func isSealed(body string) bool {
	return strings.HasPrefix(body, "U2FsdGVkX1") || strings.HasPrefix(body, "flsealed:")
}

// fileName is the name at the end of a file's URL. The rest of it may hold a key.
func fileName(file string) string {
	name := "file"
	if u, err := url.Parse(file); err == nil && u.Opaque == "" {
		name = path.Base(u.Path)
	}
	if name == "." || name == "/" {
		name = "file"
	}
	return cut(name, shownPreview)
}

// texts reads a list of text, a text that is a JSON list, or one text.
func texts(v any) []string {
	switch v := v.(type) {
	case string:
		var list []any
		if strings.HasPrefix(v, "[") && json.Unmarshal([]byte(v), &list) == nil {
			return texts(list)
		}
		if v != "" {
			return []string{v}
		}
	case []any:
		var out []string
		for _, e := range v {
			if s, ok := e.(string); ok && s != "" {
				out = append(out, s)
			}
		}
		return out
	}
	return nil
}

// truthy reads a mark, which some clients store as text.
func truthy(v any) bool { return v == true || v == "true" }
