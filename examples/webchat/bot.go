package main

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	chat "github.com/fliplet/fliplet-chat-go"
)

// bot answers what people write to it, each question once, whatever is killed in between:
// its position is in storage, and the GUID of an answer follows from the question.
type bot struct{ chat *chat.Chat }

func (b *bot) serve(ctx context.Context) error {
	return b.chat.Consume(ctx, "webchat-bot", b.answer, chat.StartAt(chat.FromNow), chat.MaxAttempts(20),
		chat.DeadLetter(func(context.Context, *chat.Message, error) error { return nil })) // it is a toy: nobody looks at them
}

func (b *bot) answer(ctx context.Context, m *chat.Message) error {
	if m.FromUserID == b.chat.User().UserID || m.IsDeleted || m.IsUpdate || m.IsReplay || m.IsHistory || m.Err != nil {
		return nil
	}
	text, ok := reply(m.Body, m.ID, m.CreatedAt)
	if !ok {
		return nil
	}
	guid := uuid.NewSHA1(uuid.NameSpaceOID, fmt.Append(nil, "webchat-bot/", m.ID)).String()
	_, err := b.chat.Message(ctx, m.ConversationID, chat.Draft{Body: text, GUID: guid})
	if errors.Is(err, chat.ErrNotFound) { // the conversation is gone, or the bot was removed
		return chat.Permanent(err)
	}
	return err
}

// reply is the bot's answer to a text, if it has one. The same question has the same answer.
func reply(text string, id int64, at time.Time) (string, bool) {
	words := strings.Fields(strings.ToLower(text))
	if len(words) == 0 {
		return "", false
	}
	switch words[0] {
	case "/roll":
		return fmt.Sprintf("🎲 %d", 1+(id*2654435761>>7)%6), true
	case "/time":
		return "It was " + at.UTC().Format("15:04:05") + " UTC when you asked ⏰", true
	case "/sum":
		return sum(words[1:]), true
	case "/help":
		return "I know /sum 1 2 3, /roll and /time. Say my name and I wave.", true
	}
	if strings.HasPrefix(words[0], "/") {
		return "I do not know " + words[0] + ". Try /help", true
	}
	if strings.Contains(strings.ToLower(text), "robo") {
		return "👋", true
	}
	return "", false
}

// sum adds numbers as they are written: 0.1 and 0.2 are 0.3.
func sum(words []string) string {
	total := new(big.Rat)
	for _, word := range words {
		if _, err := strconv.ParseFloat(word, 64); err != nil || len(word) > 18 {
			return fmt.Sprintf("%q is no number that I can add", word)
		}
		n, ok := new(big.Rat).SetString(word)
		if !ok {
			return fmt.Sprintf("%q is no number that I can add", word)
		}
		total.Add(total, n)
	}
	exact := strings.TrimSuffix(strings.TrimRight(total.FloatString(12), "0"), ".")
	return "That is " + exact
}
