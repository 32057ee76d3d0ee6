package contender

import (
	"context"
	"errors"
	"strconv"

	"github.com/go-telegram/bot"
	"github.com/go-telegram/bot/models"

	"github.com/fliplet/fliplet-chat-go/bench/fake"
)

const telegramChat = int64(-1001234567890)

func telegramBot(at fake.Where, account int, opts ...bot.Option) (*bot.Bot, error) {
	return bot.New(strconv.Itoa(account+1)+":fake", append([]bot.Option{bot.WithServerURL(at.URL), bot.WithSkipGetMe(), bot.WithErrorsHandler(func(error) {})}, opts...)...)
}

// telegram is the loop over updates. By default the library starts a goroutine for each
// of them; with WithNotAsyncHandlers one is handled after the other.
func telegram(ordered bool) Contender {
	c := Contender{
		Name: "go-telegram/bot", Module: "github.com/go-telegram/bot", Way: "`Start`, `WithDefaultHandler`, `SendMessage`", Service: "telegram", Single: true,
		Start: func(ctx context.Context, s Setup) (func(), error) {
			opts := []bot.Option{bot.WithDefaultHandler(func(_ context.Context, _ *bot.Bot, u *models.Update) {
				if u.Message != nil {
					each(s.Handlers, fake.Seq(u.Message.Text))
				}
			})}
			if ordered {
				opts = append(opts, bot.WithNotAsyncHandlers())
			}
			b, err := telegramBot(s.Where, s.Account, opts...)
			if err != nil {
				return nil, err
			}
			ctx, l := newLoop(ctx)
			l.wg.Go(func() { b.Start(ctx) })
			return l.stop, nil
		},
		Send: func(ctx context.Context, at fake.Where) (func(string) error, error) {
			b, err := telegramBot(at, 0)
			if err != nil {
				return nil, err
			}
			return func(text string) error {
				m, err := b.SendMessage(ctx, &bot.SendMessageParams{ChatID: telegramChat, Text: text})
				if err == nil && m.ID == 0 {
					err = errors.New("sent, without an id")
				}
				return err
			}, nil
		},
	}
	if ordered {
		c.Name, c.Way = "go-telegram/bot, in order", "`Start`, `WithDefaultHandler`, `WithNotAsyncHandlers`, `SendMessage`"
	}
	return c
}
