package contender

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/bench/fake"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/storage"
	"github.com/fliplet/fliplet-chat-go/storage/boltstore"
)

const (
	flipletModule = "github.com/fliplet/fliplet-chat-go"
	// politely is how long a Chat may take to end in good order.
	politely = 2 * time.Second
)

// connect logs in. The limit of requests is the service's, and the fake has none.
func connect(ctx context.Context, at fake.Where, poll time.Duration, store storage.Store) (*chat.Chat, *datasource.Client, error) {
	client, err := datasource.NewClient(datasource.Config{Token: at.Token, BaseURL: at.URL, Limiter: datasource.Unlimited()})
	if err != nil {
		return nil, nil, err
	}
	o := chat.Options{Client: client, DataSourceID: at.Contacts, AppID: 1, Storage: store}
	if poll > 0 {
		o.LivePollInterval, o.PollInterval, o.MaxPollInterval = poll, poll, poll
	}
	c, err := chat.Connect(ctx, o)
	if err != nil {
		return nil, nil, err
	}
	if _, err := c.Login(ctx, chat.M{"flUserToken": at.UserToken}); err != nil {
		return nil, nil, errors.Join(err, c.Close())
	}
	return c, client, nil
}

// events is the loop over Events, and sending.
func events() Contender {
	return Contender{
		Name: "fliplet-chat-go", Module: flipletModule, Way: "`Events`, `Message`", Service: "fliplet",
		Read: func(ctx context.Context, at fake.Where, handle func(int)) error {
			c, _, err := connect(ctx, at, time.Hour, nil)
			if err != nil {
				return err
			}
			defer c.Close()
			total := 0
			if raw, ok := ctx.Value(totalKey{}).(int); ok {
				total = raw
			}
			for m, err := range c.Events(ctx, chat.StartAt(chat.FromBeginning)) {
				if err != nil {
					return err
				}
				handle(fake.Seq(m.Body))
				if total--; total == 0 {
					break
				}
			}
			return nil
		},
		Send: func(ctx context.Context, at fake.Where) (func(string) error, error) {
			c, _, err := connect(ctx, at, time.Hour, nil)
			if err != nil {
				return nil, err
			}
			return func(text string) error {
				m, err := c.Message(ctx, at.Conversation, chat.Draft{Body: text})
				if err == nil && m.ID == 0 {
					err = errors.New("sent, without an id")
				}
				return err
			}, nil
		},
	}
}

type totalKey struct{}

// WithTotal tells those that follow a conversation after how many messages Read is done.
func WithTotal(ctx context.Context, n int) context.Context {
	return context.WithValue(ctx, totalKey{}, n)
}

// stream is what calls a function in this process.
func stream() Contender {
	return Contender{
		Name: "fliplet-chat-go, Stream", Module: flipletModule, Way: "`Stream`, `Shutdown`; no position is kept", Service: "fliplet",
		Start: func(ctx context.Context, s Setup) (func(), error) {
			c, client, err := connect(ctx, s.Where, s.Poll, nil)
			if err != nil {
				return nil, err
			}
			for _, h := range s.Handlers {
				_, err := c.Stream(ctx, func(m *chat.Message) { h(fake.Seq(m.Body)) }, chat.StartAt(chat.FromBeginning))
				if err != nil {
					return nil, errors.Join(err, c.Close())
				}
			}
			return shutdown(c, client), nil
		},
	}
}

// shutdown ends a Chat, and what its client has kept open: other libraries have that in
// http.DefaultTransport, where the scenarios close it.
func shutdown(c *chat.Chat, client *datasource.Client) func() {
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), politely)
		defer cancel()
		_ = c.Shutdown(ctx)
		client.CloseIdle()
	}
}

// consume keeps its position in a file.
func consume() Contender {
	return Contender{
		Name: "fliplet-chat-go, Consume", Module: flipletModule, Way: "`Consume` with `boltstore`, `Shutdown`", Service: "fliplet",
		Start: func(ctx context.Context, s Setup) (func(), error) {
			store, err := boltstore.Open(filepath.Join(s.Dir, "positions.db"))
			if err != nil {
				return nil, err
			}
			c, client, err := connect(ctx, s.Where, s.Poll, store)
			if err != nil {
				return nil, errors.Join(err, store.Close())
			}
			_, l := newLoop(ctx)
			for i, h := range s.Handlers {
				l.wg.Go(func() {
					_ = c.Consume(ctx, fmt.Sprintf("listener %d", i), func(_ context.Context, m *chat.Message) error {
						h(fake.Seq(m.Body))
						return nil
					}, chat.StartAt(chat.FromBeginning))
				})
			}
			end := shutdown(c, client)
			return func() {
				end()
				_ = store.Close()
				l.cancel()
			}, nil
		},
	}
}
