package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	chat "github.com/fliplet/fliplet-chat-go"
)

// bot answers what people write to it.
type bot struct {
	chat     *chat.Chat
	log      *slog.Logger
	answered int
	aside    []int64 // questions that it has given up
}

// grace is how long an answer may take that was begun before the end.
const grace = 10 * time.Second

// serve answers until ctx ends, and lets the answer that is being sent then go out.
//
// It begins with what is asked from now on. The position is stored under a name, so a
// bot that comes back goes on where it stopped: a message is done when answer returned
// nil; after a failure or a crash it comes again.
func (b *bot) serve(ctx context.Context) error {
	return b.chat.Consume(ctx, "sum-bot", func(ctx context.Context, m *chat.Message) error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
		defer cancel()
		err := b.answer(ctx, m)
		if errors.Is(err, chat.ErrNotFound) { // the conversation was deleted, or the bot removed
			return chat.Permanent(err)
		}
		return err
	}, chat.StartAt(chat.FromNow), chat.MaxAttempts(5), chat.DeadLetter(b.putAside), chat.UntilDone())
}

// putAside takes a question that cannot be answered, so that those behind it can. A
// person looks at it later; the text of the question stays out of the log.
func (b *bot) putAside(_ context.Context, m *chat.Message, err error) error {
	b.aside = append(b.aside, m.ID)
	b.log.Error("a question was not answered", "message", m.ID, "conversation", m.ConversationID, "error", err)
	return nil
}

// answer replies to one message, and marks it as read, which is how a bot without
// a memory of its own knows what it has answered.
func (b *bot) answer(ctx context.Context, m *chat.Message) error {
	mine := m.FromUserID == b.chat.User().UserID
	if mine || m.IsDeleted || m.IsUpdate || m.IsReplay || m.IsReadByCurrentUser || m.Err != nil {
		return nil
	}
	if text, ok := reply(m.Body); ok {
		// One question has one answer, whatever is repeated: its GUID follows from
		// the question, and clients show messages of one GUID once.
		draft := chat.Draft{Body: text, GUID: uuid.NewSHA1(uuid.NameSpaceOID, fmt.Append(nil, "sum-bot/", m.ID)).String()}
		if _, err := b.chat.Message(ctx, m.ConversationID, draft); err != nil {
			return err
		}
		b.answered++
	}
	return b.chat.MarkMessagesAsRead(ctx, m)
}

// reply is the bot's answer to a text, if it has one.
func reply(text string) (string, bool) {
	words := strings.Fields(text)
	switch {
	case len(words) == 0 || !strings.HasPrefix(words[0], "/"):
		return "", false
	case words[0] != "/sum" || len(words) == 1:
		return "I add numbers: /sum 1 2 3", true
	}
	total := 0.0
	for _, word := range words[1:] {
		n, err := strconv.ParseFloat(word, 64)
		if err != nil {
			return fmt.Sprintf("%q is not a number", word), true
		}
		total += n
	}
	return strconv.FormatFloat(total, 'f', -1, 64), true
}
