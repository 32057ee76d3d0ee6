// Package unanswered finds the messages that nobody has answered, in all conversations of an app
// or of one person: for a support desk that calls somebody in, a daily reminder, or a bot that
// comes back after an outage.
package unanswered

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	chat "github.com/fliplet/fliplet-chat-go"
)

// Source has the conversations in which a [Finder] looks: a [chat.App], or the Chat of one person by
// [Of].
type Source interface {
	Conversations(ctx context.Context) ([]*chat.Conversation, error)
	History(ctx context.Context, conversationID int64, opts ...chat.HistoryOption) iter.Seq2[*chat.Message, error]
}

// Of makes a Source of the conversations of one person.
func Of(c *chat.Chat) Source { return person{c} }

type person struct{ *chat.Chat }

func (p person) Conversations(ctx context.Context) ([]*chat.Conversation, error) {
	return p.Chat.Conversations(ctx)
}

// Finder looks for messages that wait for an answer. Who waits, and since when, is in the
// conversations, so nothing is lost with a Finder. What one remembers saves requests: about 100
// bytes for each conversation. It is for one goroutine at a time.
type Finder struct {
	Source Source
	// Answers reports whether a message is an answer: what was said before it does not wait.
	Answers func(*chat.Message) bool
	// Only reports whether a conversation is looked at; nil: all are. The others cost no request.
	Only func(*chat.Conversation) bool

	quiet map[int64]quiet
}

// quiet is a conversation in which nobody waits.
type quiet struct {
	changed time.Time // as the list had it
	seen    time.Time // when the list had that first
	read    time.Time // when it was read last, and showed that; zero: it has to be read
}

const (
	// shown is how long it takes until every machine of the server shows what was said.
	shown = time.Minute
	// again is when a conversation is read although the list shows no change. That its times move with
	// the messages is not documented.
	again = time.Hour
)

// Waiting is a conversation in which somebody waits for an answer.
type Waiting struct {
	Conversation *chat.Conversation
	// Message is the oldest one since the last answer.
	Message *chat.Message
}

// Each calls fn with each conversation in which somebody waits, the latest activity first. It reads
// a conversation when its turn comes. Deleted messages do not wait.
//
// One that cannot be read, or for which fn fails, holds up none behind it: the error names them
// all. Errors: those of fn; [chat.ErrInvalid] for a missing Source, Answers or fn; those of
// [chat.App.Conversations], after which fn was not called, and of [chat.App.History]; the context's
// cause, which ends it.
//
// Cost: one request for the list, and one for 200 messages of each conversation in which somebody
// waits, or in which something has happened since the time before. One in which nobody waits is read
// once more a minute later or after that, and once an hour.
func (f *Finder) Each(ctx context.Context, fn func(Waiting) error) error {
	if fn == nil {
		return fmt.Errorf("unanswered: fn is nil; give a function that takes what waits: %w", chat.ErrInvalid)
	}
	conversations, err := f.conversations(ctx)
	if err != nil {
		return err
	}
	var failed []error
	before, now := f.quiet, time.Now()
	f.quiet = make(map[int64]quiet, len(conversations)) // without those that are gone
	for i, conv := range conversations {
		if f.Only != nil && !f.Only(conv) {
			continue
		}
		q, known := before[conv.ID]
		if !known || !q.changed.Equal(conv.UpdatedAt) {
			q = quiet{changed: conv.UpdatedAt, seen: now}
		}
		if !q.due(now) {
			f.quiet[conv.ID] = q
			continue
		}
		m, err := f.oldest(ctx, conv.ID)
		if q.read = (time.Time{}); err == nil && m == nil {
			q.read = now
		}
		f.quiet[conv.ID] = q
		if m != nil && err == nil {
			err = fn(Waiting{conv, m})
		}
		if ctx.Err() != nil {
			for _, conv := range conversations[i+1:] {
				if q, known := before[conv.ID]; known {
					f.quiet[conv.ID] = q
				}
			}
			return errors.Join(append(failed, context.Cause(ctx))...)
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("conversation %d: %w", conv.ID, err))
		}
	}
	return errors.Join(failed...)
}

// due reports whether a conversation is to be read.
func (q *quiet) due(now time.Time) bool {
	return q.read.IsZero() || q.changed.IsZero() || q.read.Sub(q.seen) < shown || now.Sub(q.read) >= again
}

func (f *Finder) conversations(ctx context.Context) ([]*chat.Conversation, error) {
	if f.Source == nil {
		return nil, fmt.Errorf("unanswered: Source is nil; give an App, or Of a Chat: %w", chat.ErrInvalid)
	}
	if f.Answers == nil {
		return nil, fmt.Errorf("unanswered: Answers is nil; give a function that tells answers: %w", chat.ErrInvalid)
	}
	if ctx == nil {
		return nil, fmt.Errorf("unanswered: ctx is nil; give context.Background() if there is none: %w", chat.ErrInvalid)
	}
	return f.Source.Conversations(ctx)
}

// oldest is the oldest message since the last answer, nil if nobody waits.
func (f *Finder) oldest(ctx context.Context, conversationID int64) (oldest *chat.Message, err error) {
	for m, err := range f.Source.History(ctx, conversationID) { // the newest first
		if err != nil {
			return nil, err
		}
		if f.Answers(m) {
			return oldest, nil
		}
		oldest = m
	}
	return oldest, nil
}
