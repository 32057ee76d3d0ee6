package chat

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/outbox"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// batchSize is the page size of the JavaScript API (documented).
const batchSize = 200

// Chat is one user's connection to a chat. It is safe for concurrent use, also
// from inside the callbacks of its streams.
//
// A Chat holds no connection of its own and starts no goroutine before the first
// stream. Close it when it is not needed any more.
type Chat struct {
	opts   Options
	client *datasource.Client
	store  storage.Store
	log    *slog.Logger

	// life ends with Close; calls counts the calls under way.
	life context.Context
	end  context.CancelCauseFunc

	mu      sync.Mutex
	closed  bool
	calls   sync.WaitGroup
	session *session

	login  turn        // one login at a time
	homes  []*Registry // where Get finds it; under mu
	known  knownConversations
	source rowSource
	poller poller

	outboxes outboxes

	// keepsCache: Storage outlives the Chat, so messages are worth storing.
	keepsCache bool
	recent     recentMessages
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
	keepsCache := opts.Storage != nil
	opts, err := opts.prepare()
	if err != nil {
		return nil, err
	}
	c := &Chat{opts: opts, client: opts.Client, store: opts.Storage, log: opts.Logger, keepsCache: keepsCache, login: newTurn()}
	c.life, c.end = context.WithCancelCause(context.Background())
	c.source = newRowSource(c)
	c.poller.init(c)
	if o := opts.Outbox; o != nil && o.OnChange != nil {
		c.outboxes.notifier = outbox.NewNotifier(c.log)
	}
	return c, nil
}

// Close stops everything: streams end, calls under way fail with [ErrClosed], and
// nothing runs any more when it returns. Called from inside a stream's callback it
// does not wait for that callback. What waits in the outbox stays stored, and is
// sent after the user's next login; see [Outbox.Flush]. The user stays logged in on
// the server; see [Chat.Logout]. Closing again does nothing.
func (c *Chat) Close() error {
	c.mu.Lock()
	c.closed = true
	homes := c.homes
	c.homes = nil
	c.mu.Unlock()
	for _, r := range homes {
		r.forget(c)
	}
	c.end(errClosing)
	c.poller.stop(errClosing)
	// OnChange is not waited for, since it may be what calls.
	err := c.stopOutboxes(context.Background(), errClosing)
	c.calls.Wait()
	c.known.clear() // the keys of conversations are among it
	return err
}

// BatchSize is how many messages a page holds: 200 (documented).
func (c *Chat) BatchSize() int { return batchSize }

// begin opens a call: it refuses a closed Chat and an ended context, and returns a
// context that ends with either. end must be called.
func (c *Chat) begin(ctx context.Context) (_ context.Context, end func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, context.Cause(ctx)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, nil, ErrClosed
	}
	c.calls.Add(1)
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(c.life, func() { cancel(errClosing) })
	return ctx, func() {
		stop()
		cancel(nil)
		c.calls.Done()
	}, nil
}

// enter is begin for calls that need a login.
func (c *Chat) enter(ctx context.Context) (_ context.Context, s *session, end func(), err error) {
	ctx, end, err = c.begin(ctx)
	if err != nil {
		return nil, nil, nil, err
	}
	c.mu.Lock()
	s = c.session
	c.mu.Unlock()
	if s == nil {
		end()
		return nil, nil, nil, ErrNotLoggedIn
	}
	return ctx, s, end, nil
}

// String names the chat by its contacts data source.
func (c *Chat) String() string { return "chat over " + c.client.String() }

// Format writes String whatever the verb, so that none reaches what a Chat keeps.
func (c *Chat) Format(f fmt.State, _ rune) { io.WriteString(f, c.String()) } //nolint:errcheck // as fmt itself
