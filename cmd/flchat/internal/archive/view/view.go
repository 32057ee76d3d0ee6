// Package view writes archives for people and for programs: as one page of HTML, and as lines
// of JSON.
package view

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"slices"
	"time"

	"github.com/fliplet/fliplet-chat-go/cmd/flchat/internal/archive"
)

// Options say what of an archive is shown, and how.
type Options struct {
	// Conversations are those that are shown; none for all.
	Conversations []int64
	// Since and Until bound when messages were written: from Since on, before Until. Zero for
	// no bound.
	Since, Until time.Time
	// Zone is that of the times that people see. nil: UTC.
	Zone *time.Location
	// Versions adds all versions of each message to the lines of JSON.
	Versions bool
	// LargestPicture is the size in bytes up to which a picture is in the page, and Pictures
	// up to which all are together. 0: no pictures.
	LargestPicture, Pictures int64
}

// shown is an archive with its names.
type shown struct {
	*archive.Archive
	o      Options
	people map[string]string // names by flUserId
	talks  []archive.Conversation
}

func look(ctx context.Context, a *archive.Archive, o Options) (*shown, error) {
	if o.Zone == nil {
		o.Zone = time.UTC
	}
	s := &shown{Archive: a, o: o, people: map[string]string{}}
	contacts, err := a.Contacts(ctx)
	if err != nil {
		return nil, err
	}
	for _, c := range contacts {
		s.people[c.UserID] = c.Name()
	}
	all, err := a.Conversations(ctx)
	if err != nil {
		return nil, err
	}
	for _, c := range all {
		if len(o.Conversations) == 0 || slices.Contains(o.Conversations, c.ID) {
			s.talks = append(s.talks, c)
		}
	}
	for _, id := range o.Conversations {
		if !slices.ContainsFunc(all, func(c archive.Conversation) bool { return c.ID == id }) {
			return nil, &archive.UsageError{Text: fmt.Sprintf("conversation %d is not in %s: give the id of one that is, or none for all", id, a.Path)}
		}
	}
	return s, nil
}

// name is what somebody is called.
func (s *shown) name(userID string) string {
	if name := s.people[userID]; name != "" {
		return name
	}
	if userID == "" {
		return "somebody"
	}
	return userID
}

// title is what a conversation is called: its name, or else its people.
func (s *shown) title(c *archive.Conversation) string {
	if name, _ := c.Definition.Group["name"].(string); name != "" {
		return name
	}
	if len(c.Definition.Participants) > 0 && len(c.Definition.Participants) <= 4 && !c.IsChannel {
		text := ""
		for i, id := range c.Definition.Participants {
			if i > 0 {
				text += ", "
			}
			text += s.name(id)
		}
		return text
	}
	if c.Name != "" {
		return c.Name
	}
	return fmt.Sprintf("conversation %d", c.ID)
}

// messages yields those of a conversation that are shown.
func (s *shown) messages(ctx context.Context, conversation int64) iter.Seq2[*archive.Message, error] {
	return func(yield func(*archive.Message, error) bool) {
		for m, err := range s.Messages(ctx, conversation) {
			if err == nil {
				at := m.Time()
				if !s.o.Since.IsZero() && at.Before(s.o.Since) {
					continue
				}
				if !s.o.Until.IsZero() && !at.Before(s.o.Until) { // they come in order
					return
				}
			}
			if !yield(m, err) || err != nil {
				return
			}
		}
	}
}

// line is a message as a line of JSON.
type line struct {
	ID             int64           `json:"id"`
	ConversationID int64           `json:"conversationId"`
	Conversation   string          `json:"conversation"`
	FromUserID     string          `json:"fromUserId"`
	From           string          `json:"from"`
	CreatedAt      string          `json:"createdAt"`
	UpdatedAt      string          `json:"updatedAt"`
	Body           string          `json:"body"`
	GUID           string          `json:"guid,omitempty"`
	ReadBy         []string        `json:"readBy,omitempty"`
	Files          []lineFile      `json:"files,omitempty"`
	Columns        json.RawMessage `json:"columns,omitempty"`
	Edits          int             `json:"edits,omitempty"`
	Deleted        bool            `json:"deleted,omitempty"`
	Protection     string          `json:"protection,omitempty"`
	Unreadable     string          `json:"unreadable,omitempty"`
	Versions       []version       `json:"versions,omitempty"`
}

type lineFile struct {
	archive.File
	URL     string `json:"url,omitempty"`
	Missing string `json:"missing,omitempty"`
}

type version struct {
	Kind    string          `json:"kind"`
	At      string          `json:"at"`
	Body    string          `json:"body,omitempty"`
	ReadBy  json.RawMessage `json:"readBy,omitempty"`
	Columns json.RawMessage `json:"columns,omitempty"`
	Hash    string          `json:"hash"`
}

// raw is JSON of the archive, nothing where it is none.
func raw(text string) json.RawMessage {
	if !json.Valid([]byte(text)) {
		return nil
	}
	return json.RawMessage(text)
}

// NDJSON writes one line of JSON for each message, the conversations one after the other and
// each from its oldest message on. Memory does not grow with the archive.
func NDJSON(ctx context.Context, a *archive.Archive, w io.Writer, o Options) error {
	s, err := look(ctx, a, o)
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(w, 1<<16)
	e := json.NewEncoder(out)
	for i := range s.talks {
		title := s.title(&s.talks[i])
		for m, err := range s.messages(ctx, s.talks[i].ID) {
			if err != nil {
				return err
			}
			l := line{
				ID: m.Item, ConversationID: m.Chain, Conversation: title, FromUserID: m.Author, From: s.name(m.Author),
				CreatedAt: m.Created, UpdatedAt: m.Versions[len(m.Versions)-1].At, Body: m.Body, GUID: m.GUID, ReadBy: m.ReadBy(),
				Columns: raw(m.Columns), Edits: edits(m), Deleted: m.Deleted, Protection: m.Protection, Unreadable: m.Note,
			}
			for _, f := range m.Files {
				l.Files = append(l.Files, lineFile{f, f.URL, f.Missing})
			}
			for _, u := range m.Absent() {
				l.Files = append(l.Files, lineFile{URL: u, Missing: notFetched})
			}
			if o.Versions {
				for _, v := range m.Versions {
					l.Versions = append(l.Versions, version{v.Kind, v.At, v.Body, raw(v.Readers), raw(v.Columns), fmt.Sprintf("%x", v.Hash)})
				}
			}
			if err := e.Encode(l); err != nil {
				return err
			}
		}
	}
	return out.Flush()
}

// notFetched is why an attachment is missing of which the archive has no record.
const notFetched = "the export has not fetched it"

// edits counts the versions behind the first one.
func edits(m *archive.Message) (n int) {
	for _, v := range m.Versions {
		if v.Kind == archive.KindEdit {
			n++
		}
	}
	return n
}
