package chat

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/cache"
	"github.com/fliplet/fliplet-chat-go/internal/life"
	"github.com/fliplet/fliplet-chat-go/internal/outbox"
	"github.com/fliplet/fliplet-chat-go/internal/rows"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// batchSize is the page size of the JavaScript API.
const batchSize = 200

// Chat is one user's connection to a chat. It is safe for concurrent use, also
// from inside the callbacks of its streams. Connect makes one; calls of a nil or
// zero Chat fail with [ErrInvalid].
//
// A Chat holds no connection of its own and starts no goroutine before the first
// stream. End it with [Chat.Shutdown] or [Chat.Close].
type Chat struct {
	opts   Options
	client *datasource.Client
	store  storage.Store
	log    *slog.Logger

	calls *life.Life // the calls under way
	work  *life.Life // what sessions run beside them

	mu         sync.Mutex
	session    *session
	registries []*Registry // where Get finds it

	logins   oneAtATime
	known    knownConversations
	endpoint rows.Endpoint
	notifier *outbox.Notifier // tells Options.Outbox.OnChange; nil without one
	cache    *cache.Cache
}

// Connect checks the options and returns a Chat, which then is the one [Get]
// resolves with. It makes no request: whether the contacts exist shows at the
// first login.
//
// Errors: [ErrInvalid] for unusable options, all of them at once.
func Connect(ctx context.Context, opts Options) (*Chat, error) {
	return process.Connect(ctx, opts)
}

// connect is Connect without a registry.
func connect(ctx context.Context, opts Options) (*Chat, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	keepsMessages := opts.Storage != nil // which then outlives the Chat
	opts, err := opts.prepare()
	if err != nil {
		return nil, err
	}
	c := &Chat{
		opts: opts, client: opts.Client, store: opts.Storage, log: opts.Logger,
		calls: life.New(context.Background()), work: life.New(context.Background()), logins: newOneAtATime(), cache: newCache(&opts, keepsMessages),
	}
	if o := opts.Outbox; o != nil && o.OnChange != nil {
		c.notifier = outbox.NewNotifier(c.log)
	}
	return c, nil
}

// Close ends everything at once and waits for nothing: no function of a stream
// begins any more, those that run go on, and calls under way fail with [ErrClosed].
// It may be called from anywhere, also from inside a stream's function. What waits
// in the outbox stays stored. The user stays logged in on the server; see
// [Chat.Logout]. Closing again does nothing.
//
// [Chat.Shutdown] is the call to make where nothing must be left running.
//
// Errors: [ErrInvalid] for a nil or zero Chat.
func (c *Chat) Close() (err error) {
	defer wrap("close", &err)
	if err := c.made(); err != nil {
		return err
	}
	c.end()
	return nil
}

// end is Close for a Chat that was made by Connect.
func (c *Chat) end() {
	c.retire()
	c.calls.Stop(errClosing)
	c.stopSession(errClosing)
	c.work.Stop(errClosing)
	c.known.clear() // the keys of conversations are among it
}

// retire accepts no further calls.
func (c *Chat) retire() {
	c.calls.Retire()
	c.mu.Lock()
	registries := c.registries
	c.registries = nil
	c.mu.Unlock()
	for _, r := range registries {
		r.forget(c)
	}
}

// Shutdown ends the Chat in good order: it accepts no further calls, begins no
// further function, sends what waits in the outbox, and waits for functions and
// calls that run. When it has returned nil nothing runs any more.
//
// When ctx ends before, Shutdown closes the Chat as it is, see [Chat.Close], and
// returns the cause of ctx. What is unsent then stays stored, for the user's next
// login.
//
// A function that [Chat.Consume] has called may go on making calls with the context
// it was given; all other calls fail with [ErrClosed]. Shutdown waits for running
// functions, so inside one it ends only with its context: there, call Close. It
// ends a loop over [Chat.Events], but does not wait for its body, which is the
// caller's.
//
// Errors: the cause of ctx; [ErrInvalid] for a nil or zero Chat. After Close, and
// for a second Shutdown, it waits for what is still running.
func (c *Chat) Shutdown(ctx context.Context) (err error) {
	defer wrap("shutdown", &err)
	if err := c.made(); err != nil {
		return err
	}
	c.retire()
	defer c.end()
	return c.rest(ctx)
}

// rest waits until nothing is left to do.
func (c *Chat) rest(ctx context.Context) error {
	if s := c.current(); s != nil {
		s.receiver.Stop(errClosing)
		if err := s.drain(ctx); err != nil {
			return err
		}
	}
	if err := c.calls.Wait(ctx); err != nil {
		return err
	}
	c.stopSession(errClosing)
	if err := c.work.Wait(ctx); err != nil {
		return err
	}
	return c.notifier.Wait(ctx)
}

// stopSession ends what runs for the user.
func (c *Chat) stopSession(cause error) {
	if s := c.current(); s != nil {
		s.stop(cause)
	}
}

// BatchSize is how many messages a page holds: 200.
func (c *Chat) BatchSize() int { return batchSize }

// made refuses a Chat that Connect has not made.
func (c *Chat) made() error {
	if c == nil || c.calls == nil {
		return invalid("Chat: nil or zero; make one with Connect")
	}
	return nil
}

// consuming is the key under which the context of a consumer's function holds its
// Chat.
type consuming struct{}

// begin opens a call: it refuses a closed Chat and an ended context, and returns a
// context that ends with either. end must be called.
func (c *Chat) begin(ctx context.Context) (_ context.Context, end func(), err error) {
	if err := c.made(); err != nil {
		return nil, nil, err
	}
	if ctx.Err() != nil {
		return nil, nil, context.Cause(ctx)
	}
	if !c.calls.Enter() && !c.mayFinish(ctx) {
		return nil, nil, ErrClosed
	}
	ctx, release := c.tie(ctx)
	return ctx, func() {
		release()
		c.calls.Leave()
	}, nil
}

// mayFinish lets a call of a consumer's function in while the Chat is being shut
// down.
func (c *Chat) mayFinish(ctx context.Context) bool {
	return ctx.Value(consuming{}) == c && c.calls.Context().Err() == nil && c.calls.Join()
}

// tie returns a context that also ends with the Chat.
func (c *Chat) tie(ctx context.Context) (_ context.Context, release func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(c.calls.Context(), func() { cancel(errClosing) })
	return ctx, func() {
		stop()
		cancel(nil)
	}
}

// enter is begin for calls that need a login.
func (c *Chat) enter(ctx context.Context) (_ context.Context, s *session, end func(), err error) {
	ctx, end, err = c.begin(ctx)
	if err != nil {
		return nil, nil, nil, err
	}
	if s = c.current(); s == nil {
		end()
		return nil, nil, nil, ErrNotLoggedIn
	}
	return ctx, s, end, nil
}

// current is the session of the logged-in user, nil for none.
func (c *Chat) current() *session {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.session
}

// String names the chat by its API host.
func (c *Chat) String() string {
	if c.made() != nil {
		return "no chat"
	}
	return "chat over " + c.client.String()
}

// Format writes String whatever the verb, so that none reaches what a Chat keeps.
func (c *Chat) Format(f fmt.State, _ rune) { io.WriteString(f, c.String()) } //nolint:errcheck // as fmt itself
