package chat

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/roster"
	"github.com/fliplet/fliplet-chat-go/internal/rows"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// MarkMessagesAsRead adds the user to the readers of messages, which may belong to
// several conversations. Messages that are deleted, read already or too large to be read are skipped; if
// none remains no request is made. It updates the given values, so do not read them
// meanwhile.
//
// Each conversation takes at least one request to read the lists of readers and one
// to write them. The server replaces a list whole, so where more than two people
// read, MarkMessagesAsRead reads the lists again until no other client can overwrite
// the mark.
//
// Errors: [ErrInvalid] for a nil message or one without ids; [ErrNotFound];
// [ErrNotLoggedIn]; [ErrClosed]. If one conversation fails the others are still marked.
func (c *Chat) MarkMessagesAsRead(ctx context.Context, msgs ...*Message) (err error) {
	defer wrap("mark as read", &err)
	for i, m := range msgs {
		if m == nil {
			return invalid("msgs[%d]: nil", i)
		}
		if m.ID <= 0 || m.ConversationID <= 0 {
			return invalid("msgs[%d]: has no ID or ConversationID", i)
		}
	}
	ctx, s, end, err := c.enter(ctx)
	if err != nil {
		return err
	}
	defer end()
	ctx = datasource.InClass(ctx, datasource.ClassMark)
	byConversation := map[int64][]*Message{}
	for _, m := range msgs {
		if !m.IsDeleted && m.DeletedAt == nil && !slices.Contains(m.ReadBy, s.userID) {
			byConversation[m.ConversationID] = append(byConversation[m.ConversationID], m)
		}
	}
	var errs []error
	for id, list := range byConversation {
		errs = append(errs, c.markRead(ctx, s, id, list))
	}
	if len(byConversation) > 0 {
		s.receiver.Poke()
	}
	return errors.Join(errs...)
}

// markRead marks messages of one conversation.
func (c *Chat) markRead(ctx context.Context, s *session, conversationID int64, msgs []*Message) error {
	if err := s.roster.Check(ctx, conversationID); err != nil {
		return err
	}
	ids := make([]int64, 0, len(msgs))
	for _, m := range msgs {
		if !slices.Contains(ids, m.ID) {
			ids = append(ids, m.ID)
		}
	}
	def, err := c.definition(ctx, conversationID)
	contested := err != nil || mayCollide(def)
	readers := map[int64][]string{}
	confirmed := 0 // reads in a row that found every mark in place
	for range roster.ChangeAttempts {
		began := time.Now()
		rows, err := rows.Readable(ctx, c.client, conversationID, datasource.Query{Type: "select", ID: M{"$in": ids}})
		if err != nil {
			return missing(err, "conversation", conversationID)
		}
		var entries []datasource.CommitEntry
		for i := range rows {
			r := &rows[i]
			if !slices.Contains(ids, r.ID) || deleted(*r) || r.DataSourceID != 0 && r.DataSourceID != conversationID {
				continue
			}
			list := wire.Strings(r.Data[wire.ReadBy])
			if !slices.Contains(list, s.userID) {
				list = append(list, s.userID)
				entries = append(entries, datasource.CommitEntry{ID: r.ID, Data: M{wire.ReadBy: list}})
			}
			readers[r.ID] = list
		}
		if len(entries) == 0 {
			if confirmed++; confirmed > 2 || len(readers) == 0 {
				break
			}
		} else if err := c.commitReaders(ctx, conversationID, entries); err != nil {
			return err
		} else {
			confirmed = 0
		}
		if !contested {
			break
		}
		// A client that read the list before our write may overwrite it: read again
		// when that write must have happened.
		if err := roster.Pause(ctx, began); err != nil {
			return err
		}
	}
	for _, m := range msgs {
		list, ok := readers[m.ID]
		if !ok {
			continue // deleted meanwhile
		}
		m.ReadBy, m.IsReadByCurrentUser = slices.Clone(list), true
		if m.Data != nil {
			m.Data[wire.ReadBy] = toAny(list)
		}
	}
	return nil
}

func (c *Chat) commitReaders(ctx context.Context, conversationID int64, entries []datasource.CommitEntry) error {
	slices.SortFunc(entries, func(a, b datasource.CommitEntry) int { return cmp.Compare(a.ID, b.ID) })
	_, err := c.client.Commit(ctx, conversationID, datasource.Commit{Entries: entries})
	return missing(err, "conversation", conversationID)
}

// mayCollide reports whether more people than the sender and the user read a
// conversation, so that their marks can overwrite each other.
func mayCollide(def wire.Definition) bool {
	return def.Public() || len(def.List(wire.Participants)) > 2
}

func toAny(list []string) []any {
	out := make([]any, len(list))
	for i, s := range list {
		out[i] = s
	}
	return out
}
