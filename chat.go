package chat

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/bodies"
	"github.com/fliplet/fliplet-chat-go/internal/cache"
	"github.com/fliplet/fliplet-chat-go/internal/life"
	"github.com/fliplet/fliplet-chat-go/internal/outbox"
	"github.com/fliplet/fliplet-chat-go/internal/pins"
	"github.com/fliplet/fliplet-chat-go/internal/roster"
	"github.com/fliplet/fliplet-chat-go/internal/rows"
	"github.com/fliplet/fliplet-chat-go/internal/wait"
)

// batchSize is the page size of the JavaScript API.
const batchSize = 200

// Chat is one user's connection to a chat. It is safe for concurrent use, also
// from inside the functions of its streams. Connect makes one; methods of a nil or
// zero Chat fail with [ErrInvalid].
//
// A Chat holds no connection of its own and starts no goroutine before the first
// stream. End it with [Chat.Shutdown] or [Chat.Close].
type Chat struct {
	*parts            // nil in a zero Chat, and in one that sleeps
	asleep *coldUser  // of an App, until it is used first
	awake  *sync.Once // nil unless there was one
}

// parts are what a Chat works with.
type parts struct {
	opts   *Options // without Storage; other Chats may have the same
	client *datasource.Client
	log    *slog.Logger

	calls life.Life // running calls
	work  life.Life // background work of sessions

	mu         sync.Mutex
	session    *session
	registries []*Registry // whose Get returns this Chat

	logins   wait.Mutex
	known    roster.Known
	pins     pins.Book
	bodies   bodies.Bodies
	endpoint rows.Endpoint
	contacts atomic.Pointer[datasource.DataSource] // see home
	told     *outbox.Told                          // hooks, and Options.Outbox.OnChange
	cache    cache.Cache
	app      *App // nil: the Chat reads by itself
}

// Connect checks the options and returns a Chat, which [Get] returns from then on.
// It makes no request: a wrong DataSourceID shows at the first login only.
//
// Errors: [ErrInvalid], which names every unusable option.
func Connect(ctx context.Context, opts Options) (*Chat, error) {
	return process.Connect(ctx, opts)
}

// connect is Connect without a registry.
func connect(ctx context.Context, opts Options) (*Chat, error) {
	if err := alive(ctx); err != nil {
		return nil, err
	}
	keepsMessages := opts.Storage != nil // the default, memory, ends with the Chat
	opts, err := opts.prepare()
	if err != nil {
		return nil, err
	}
	of := new(struct { // in one piece: a process may have thousands
		Chat
		parts
	})
	of.Chat.build(&of.parts, opts, keepsMessages)
	return &of.Chat, nil
}

// build makes the parts of a Chat, which are empty. The options are prepared.
func (c *Chat) build(p *parts, opts Options, keepsMessages bool) {
	c.parts, p.client, p.log = p, opts.Client.View(opts.Hooks...), opts.Logger
	store := opts.Storage
	opts.Storage = nil // mostly each has its own
	c.opts = sharedOptions.Of(opts)
	c.endpoint.Assume(opts.Profile)
	c.told = outbox.NewTold(opts.Hooks, ErrInvalid, opts.Outbox != nil && (opts.Outbox.OnChange != nil || len(opts.Hooks) > 0), c.log)
	c.cache.Init(cache.Config{
		Store: store, BaseURL: c.client.BaseURL(), DataSourceID: opts.DataSourceID, Log: c.log,
		Owner: (*owner)(c), KeepsMessages: keepsMessages, Page: batchSize,
	})
	c.pins.Init(pins.Config{Owner: (*owner)(c), Strict: opts.MinProtection >= Encrypted, Log: c.log})
	c.known.Seen = &c.pins
	c.bodies.Least, c.bodies.Writer = bodies.Protection(opts.MinProtection), (*owner)(c)
	if c.bodies.Keys = opts.Keys; opts.Keys == nil {
		c.bodies.Own = &c.pins // the conversation's own key
	}
	if opts.Cipher != nil {
		c.bodies.Sealed, c.bodies.Unsealed = opts.Cipher.seal, opts.Cipher.open
	}
}

// Close ends everything at once and does not wait: streams call their functions no
// more, running functions continue, and running calls fail with [ErrClosed]. It may
// be called from anywhere, also from inside a stream's function. Messages in the
// outbox stay stored. The user stays logged in on the server; see [Chat.Logout].
// Closing again does nothing.
//
// Use [Chat.Shutdown] where nothing may be left running.
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
	c.told.Stop()
	c.forgetRead()
	c.app.left(c)
}

// retire makes new calls fail and takes the Chat out of its registries.
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

// Shutdown ends the Chat in good order: it accepts no further calls, stops calling
// functions, sends the messages in the outbox, and waits for running functions and
// calls. When it has returned nil nothing runs any more.
//
// If ctx ends first, Shutdown closes the Chat as [Chat.Close] does and returns the
// cause of ctx. Unsent messages stay stored for the user's next login.
//
// A running function of [Chat.Consume] may still make calls with the context it was
// given; all other calls fail with [ErrClosed]. Inside a stream's or consumer's
// function call Close instead: Shutdown would wait for that function until its
// context ends. Shutdown ends loops over [Chat.Events] but does not wait for their
// bodies.
//
// After Close, or called again, it waits for what is still running.
//
// Errors: the cause of ctx; [ErrInvalid] for a nil or zero Chat.
func (c *Chat) Shutdown(ctx context.Context) (err error) {
	defer wrap("shutdown", &err)
	if err := cmp.Or(c.made(), given(ctx)); err != nil {
		return err
	}
	c.retire()
	defer c.end()
	return c.rest(ctx)
}

// rest drains the outbox and waits until nothing runs any more.
func (c *Chat) rest(ctx context.Context) error {
	if s := c.current(); s != nil {
		s.receiver.Stop(errClosing)
	}
	if err := c.calls.Wait(ctx); err != nil {
		return err
	}
	// Only now can nothing be added to the outbox any more.
	if s := c.current(); s != nil {
		if err := s.drain(ctx); err != nil && ctx.Err() != nil {
			return err // it may also have been stopped by somebody else, which is fine
		}
	}
	c.stopSession(errClosing)
	if err := c.work.Wait(ctx); err != nil {
		return err
	}
	return c.told.Wait(ctx)
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
	if c != nil && c.awake != nil {
		c.awake.Do(c.wake)
	}
	if c == nil || c.parts == nil {
		return invalid("Chat: nil or zero; make one with Connect")
	}
	return nil
}

// consuming is the key under which the context of a consumer's function holds its
// Chat.
type consuming struct{}

// begin starts a call: it refuses a closed Chat and an ended context, and returns a
// context that ends with either. The caller must call end.
func (c *Chat) begin(ctx context.Context) (_ context.Context, end func(), err error) {
	if err := c.made(); err != nil {
		return nil, nil, err
	}
	if err := alive(ctx); err != nil {
		return nil, nil, err
	}
	if !c.calls.Enter() && !c.mayFinish(ctx) {
		return nil, nil, ErrClosed
	}
	ctx, end = c.calls.Entered(ctx)
	return ctx, end, nil
}

// mayFinish lets a call of a consumer's function in while the Chat is being shut
// down.
func (c *Chat) mayFinish(ctx context.Context) bool {
	return ctx.Value(consuming{}) == c && !c.calls.Stopped() && c.calls.Join()
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

// current is the session of the logged-in user, or nil.
func (c *Chat) current() *session {
	if c.made() != nil {
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

// Format writes String for every verb, so that no verb prints the fields.
func (c *Chat) Format(f fmt.State, _ rune) { io.WriteString(f, c.String()) } //nolint:errcheck // as fmt itself
