package main

import (
	"context"
	"errors"
	"log/slog"
	"regexp"
	"slices"
	"strings"

	chat "github.com/fliplet/fliplet-chat-go"
)

// moderator keeps every conversation of an app clean, also those that are made later. It is
// a member of none, and needs no account. While nothing is said it makes one request in 2 s,
// with up to 2,000 conversations.
type moderator struct {
	app    *chat.App
	log    *slog.Logger
	banned []string       // messages with one of these words are deleted
	masked *regexp.Regexp // what matches is replaced by stars
}

// serve moderates until ctx ends. It begins with what is said from now on and goes on
// where it stopped. Everything it does can be done twice, since after a crash a
// message may come again.
func (mod *moderator) serve(ctx context.Context) error {
	return mod.app.Consume(ctx, "moderator", mod.moderate,
		chat.StartAt(chat.FromNow), chat.WithoutReadMarks(), chat.MaxAttempts(5), chat.DeadLetter(mod.putAside), chat.UntilDone())
}

// moderate looks at one message, new or edited. A harmless one costs no request.
func (mod *moderator) moderate(ctx context.Context, m *chat.Message) (err error) {
	if m.IsDeleted || m.IsReplay || m.Err != nil {
		return nil
	}
	switch text := mod.masked.ReplaceAllStringFunc(m.Body, stars); {
	case slices.ContainsFunc(mod.banned, func(word string) bool { return strings.Contains(strings.ToLower(m.Body), word) }):
		err = mod.app.DeleteMessage(ctx, m.ConversationID, m.ID)
	case text != m.Body:
		_, err = mod.app.UpdateMessage(ctx, m.ConversationID, m.ID, chat.M{"body": text, "isEdited": true, moderated: true})
	default:
		return nil
	}
	if errors.Is(err, chat.ErrNotFound) {
		return nil // somebody was faster, or the conversation is gone
	}
	if err == nil {
		mod.log.Info("moderated", "message", m.ID, "conversation", m.ConversationID)
	}
	return err
}

// moderated is the column that marks a message that the moderator has changed, for
// clients that want to show it.
const moderated = "isModerated"

// putAside takes a message that could not be moderated: a person has to look at it.
func (mod *moderator) putAside(_ context.Context, m *chat.Message, err error) error {
	mod.log.Error("not moderated", "message", m.ID, "conversation", m.ConversationID, "error", err)
	return nil
}

func stars(s string) string { return strings.Repeat("*", len(s)) }
