package chat

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/debugpage"
	"github.com/fliplet/fliplet-chat-go/internal/receive"
)

// Health is how a Chat is doing; see [Chat.Health]. Times are those of the local clock.
type Health struct {
	// User is the flUserId of the logged-in user, "" without a login. Everything but
	// LimiterWait and Limiter are about this user.
	User string
	// Listeners counts the streams, loops over Events and consumers that receive. While it
	// is 0 nothing is polled.
	Listeners int
	// Waiting counts the events that were fetched for streams and loops and are not handled
	// yet, as ConsumerHealth.Lag does for consumers. One that never goes down is a function
	// that hangs.
	Waiting int
	// LastPoll is when the last poll succeeded; zero before the first one.
	LastPoll time.Time
	// FailedPolls counts the polls since then, all of which failed. LastError is what the
	// last of them met, an [*Error] as [OnError] gets it; nil when FailedPolls is 0.
	FailedPolls int
	LastError   error
	// LimiterWait is how long a request of this Chat that is made now would wait for the
	// client's rate limit, which other Chats may share; 0 for not at all.
	LimiterWait time.Duration
	// Limiter is why that limit is smaller than it should be, as when replicas that share
	// one cannot reach their Storage; nil when it is not.
	Limiter error
	// Outbox counts the messages that are left to send, as far as this process knows; 0
	// without Options.Outbox. OutboxKept are those of them that were given up and are kept: see
	// [OutboxOptions]. Somebody has to decide about them.
	Outbox, OutboxKept int
	// Consumers are the calls of [Chat.Consume] under way, by name.
	Consumers []ConsumerHealth
}

// ConsumerHealth is how one [Chat.Consume] is doing.
type ConsumerHealth struct {
	Name string
	// Receiving: it has the position. Otherwise it stands by, since another one with this
	// name, perhaps in another process, has it, or it waits for Storage.
	Receiving bool
	// Lag counts the events (messages, changes, gaps) that were fetched and are not
	// handled yet, the one being handled included. A consumer that is far behind reads the
	// rest later: more than about a thousand are not counted. 0 when it stands by.
	Lag int
	// Storage is what Options.Storage has met last, when it fails: nothing is handled
	// until it works again. nil when it works.
	Storage error
	// Failing are the messages whose function has failed and that are tried again, the one
	// with the most attempts first.
	Failing []FailingMessage
}

// FailingMessage is a message that a consumer's function has failed to handle.
type FailingMessage struct {
	// ConversationID and MessageID say which. MessageID is 0 for a [Gap] of history.
	ConversationID, MessageID int64
	// Attempts counts those that failed in this process, at least 1.
	Attempts int
	// Err is what the last one met: the function's own error, or a [*PanicError].
	Err error
}

// Health tells how polls, the outbox and consumers are doing, and makes no request. It
// works before a login and after Close, too; a nil or zero Chat is the zero Health.
//
// A Chat that is well has FailedPolls 0 and, while it has Listeners, a LastPoll that is
// no older than Options.MaxPollInterval and a few seconds.
func (c *Chat) Health() Health {
	if c.made() != nil {
		return Health{}
	}
	h := Health{LimiterWait: c.client.Delay(), Limiter: c.client.LimiterErr()}
	s := c.current()
	if s == nil {
		return h
	}
	polls := s.receiver.Status()
	h.User, h.Listeners, h.Waiting, h.LastPoll, h.FailedPolls = s.userID, polls.Listeners, polls.Waiting, polls.Succeeded, polls.Failed
	if c.app != nil && h.FailedPolls == 0 && !h.LastPoll.IsZero() { // what is new is found by the polls of the App
		if at := c.app.hub.Heard(); at.After(h.LastPoll) {
			h.LastPoll = at
		}
	}
	if polls.Err != nil {
		h.LastError = failure("poll", polls.Err)
	}
	h.Outbox, h.OutboxKept = s.outbox.Count()
	for _, k := range s.consumers.Get().All() {
		consumer := ConsumerHealth{Name: k.Name, Storage: k.Storage()}
		consumer.Lag, consumer.Receiving = k.Receiving()
		for _, f := range k.Failing.All() {
			consumer.Failing = append(consumer.Failing, FailingMessage{f.Conversation, f.Row, f.Attempts, f.Err})
		}
		h.Consumers = append(h.Consumers, consumer)
	}
	return h
}

// AppHealth is how an [App] is doing; see [App.Health]. Times are those of the local clock.
type AppHealth struct {
	// Strategy is how the App finds out what is new, and Since when it was chosen. Why says for
	// people why, and which better one does not work.
	Strategy Strategy
	Why      string
	Since    time.Time
	// Again is when a better one is tried; zero if there is none.
	Again time.Time
	// Err is why nothing new comes: all requests for it have failed for 10 s, or the token was
	// revoked. nil if it comes.
	Err error
	// Failing are the conversations whose own reads have failed for 10 s while those of others are
	// answered, and why: what is new in these does not come. nil if there are none. [OnError] is told
	// of each once.
	Failing map[int64]error
	// Own is how the App's own streams, loops and consumers are doing. Its User is "". Outbox and
	// OutboxKept are those of the people whom [App.Send] and [App.Queue] send for.
	Own Health
}

// Health tells how the App is doing, and makes no request. It works after Close, too. Its users
// have a [Chat.Health] each.
func (a *App) Health() AppHealth {
	c := a.hub.Choice()
	h := AppHealth{Strategy(c.Strategy), c.Why, c.Since, c.Again, failure("poll", a.hub.Err()), a.hub.Failing(), a.watch.Health()}
	for _, one := range a.senders.List() {
		sender := one.Health()
		h.Own.Outbox, h.Own.OutboxKept = h.Own.Outbox+sender.Outbox, h.Own.OutboxKept+sender.OutboxKept
	}
	return h
}

// DebugHandler is [Chat.DebugHandler] for the App: its strategy, its own streams, loops and
// consumers, the limiter, and what people have in the outbox whom it sends for.
func (a *App) DebugHandler() http.Handler { return debugpage.Handler(a.debugState) }

func (a *App) debugState() debugpage.State {
	p, c := a.watch.debugState(), a.hub.Choice()
	p.Reading(debugpage.App{Strategy: c.Strategy, Since: c.Since, Again: c.Again, Users: a.users.Len()}, a.hub.Err(), a.hub.Failing())
	for _, one := range a.senders.List() {
		if s := one.current(); s != nil {
			p.Sending(s.outbox.Pending())
		}
	}
	return p
}

// DebugHandler serves one page about this Chat, for people as HTML and, with
// "Accept: application/json" or "?format=json", for programs as JSON: how far each stream
// and consumer has read, what is queued, the polls, the limiter, the outbox and the last
// errors. It makes no request, and works before a login and after Close, too. GET and HEAD
// only. It is safe for concurrent use.
//
// The page holds no token, key or message body: of the errors of your own functions, and of
// Storage, the type only, whatever they wrap; of the server's answers the status and the
// words that Fliplet is known for. It holds the ids of user, conversations and messages and
// the names of consumers: mount it where only operators get at it, behind a login.
func (c *Chat) DebugHandler() http.Handler { return debugpage.Handler(c.debugState) }

func (c *Chat) debugState() debugpage.State {
	p := debugpage.State{At: time.Now(), Host: "no chat"}
	if c.made() != nil {
		return p
	}
	h := c.Health()
	p.Host, p.User = c.client.BaseURL(), h.User
	p.Polls = debugpage.Polls{Last: h.LastPoll, Failed: h.FailedPolls}
	p.Limiter.Used, p.Limiter.Of, p.Limiter.Waiting = c.client.Limiter().Load()
	p.Limiter.Wait = h.LimiterWait.Seconds()
	p.Failed(debugpage.Error{Where: "limiter"}, h.Limiter, debugpage.Impaired)
	if s := c.current(); s != nil {
		p.Fill(s.receiver.Inspect())
		p.Consuming(s.consumers.Get().All())
		p.Sending(s.outbox.Pending())
	}
	return p
}

// failure is an error as OnError gets it.
func failure(op string, err error) error {
	wrap(op, &err)
	return err
}

// alarm is the logger for what must not be lost: without Options.Logger the default
// one, unless a function of the caller's is told.
func (c *Chat) alarm(told bool) *slog.Logger {
	if c.log == noLogger && !told {
		return slog.Default()
	}
	return c.log
}

// logFailure logs that a function of the caller's has failed, a panic with its stack.
// The error's text is the caller's own.
func (c *Chat) logFailure(level slog.Level, onError func(error), what string, err error, attrs ...any) {
	attrs = append(attrs, "error", err)
	if p, ok := errors.AsType[*PanicError](err); ok {
		if p.shown != "" {
			attrs = append(attrs, "panic", p.shown)
		}
		attrs = append(attrs, "stack", string(p.Stack))
	}
	c.alarm(onError != nil).Log(context.Background(), level, what, attrs...)
}

// teller calls the function of OnError; nil if there is none.
func (c *Chat) teller(s *session, onError func(error)) *receive.Teller {
	if onError == nil {
		return nil
	}
	return s.receiver.Teller(func(err error) {
		if p := guarded("function of OnError", nil, func() error { onError(err); return nil }); p != nil {
			c.logFailure(slog.LevelWarn, nil, "the function of OnError failed", p)
		}
	})
}

// pollFailed tells of failed polls.
func pollFailed(t *receive.Teller) func(error) {
	return func(err error) { t.Tell(failure("poll", err), final(err)) }
}
