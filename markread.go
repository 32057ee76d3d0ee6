package chat

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/marks"
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
// the mark. The users of an [App] share these requests: a mark waits up to 100 ms, or for
// the marks before it, and is stored with those of the others in the same conversation.
//
// Errors: [ErrInvalid] for a nil message or one without ids; [ErrNotFound];
// [ErrNotLoggedIn]; [ErrClosed]. If one conversation fails the others are still marked. What a
// context ends may be stored all the same.
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
	byConversation := map[int64][]*Message{}
	for _, m := range msgs {
		if !m.IsDeleted && m.DeletedAt == nil && !slices.Contains(m.ReadBy, s.userID) {
			byConversation[m.ConversationID] = append(byConversation[m.ConversationID], m)
		}
	}
	var errs []error
	var mu sync.Mutex
	var merged sync.WaitGroup
	for id, list := range byConversation {
		mark := func() {
			err := c.markRead(ctx, s, id, list)
			mu.Lock()
			defer mu.Unlock()
			errs = append(errs, err)
		}
		if c.app == nil {
			mark()
		} else {
			merged.Go(mark)
		}
	}
	merged.Wait()
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
	var readers map[int64][]string
	var err error
	if c.app != nil {
		readers, err = c.app.marks.Mark(ctx, conversationID, s.userID, ids)
	} else {
		store := c.readMarks()
		readers, err = store.Mark(ctx, conversationID, marks.Mark{User: s.userID, IDs: ids})
	}
	if err != nil {
		return missing(err, "conversation", conversationID)
	}
	for _, m := range msgs {
		list, ok := readers[m.ID]
		if !ok {
			continue // deleted meanwhile
		}
		m.ReadBy, m.IsReadByCurrentUser = slices.Clone(list), true
		if m.Data != nil {
			m.Data[wire.ReadBy] = wire.List(list)
		}
	}
	return nil
}

// readMarks stores marks with the requests of this Chat.
func (c *Chat) readMarks() marks.Store {
	crowd := rows.Crowd{Client: c.client}
	return marks.Store{
		Read: crowd.Readers, Write: crowd.SetReaders, Pause: roster.Pause, Attempts: roster.ChangeAttempts, Alone: marks.Alone(c.opts.Client),
		Contested: func(ctx context.Context, id int64) bool {
			def, err := c.definition(ctx, id)
			return err != nil || def.Contested()
		},
	}
}

// merge lets the users of an App share requests for marks and counts.
func (a *App) merge() {
	const window = 100 * time.Millisecond // how long each waits for others
	crowd := rows.Crowd{Client: a.watch.client, Apps: a.watch.apps()}
	a.marks = &marks.Batcher{Store: a.watch.readMarks(), Life: a.work, Window: window, Shared: datasource.Temporary, Closed: ErrClosed}
	a.unread = &marks.Counter{Members: crowd.Members, Unread: crowd.Unread, Life: a.work, Window: window, Shared: datasource.Temporary}
}
