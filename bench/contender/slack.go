package contender

import (
	"context"
	"errors"
	"io"
	"log"
	"strconv"

	"github.com/slack-go/slack"
	"github.com/slack-go/slack/slackevents"
	"github.com/slack-go/slack/socketmode"

	"github.com/fliplet/fliplet-chat-go/bench/fake"
)

const (
	slackModule  = "github.com/slack-go/slack"
	slackChannel = "C0123BENCH"
)

func slackClient(at fake.Where, account int) *slack.Client {
	return slack.New("xoxb-fake", slack.OptionAppLevelToken("xapp-"+strconv.Itoa(account)), slack.OptionAPIURL(at.URL+"/api/"), slack.OptionLog(log.New(io.Discard, "", 0)))
}

func slackSeq(e socketmode.Event) (int, bool) {
	if e.Type != socketmode.EventTypeEventsAPI {
		return 0, false
	}
	api, ok := e.Data.(slackevents.EventsAPIEvent)
	if !ok {
		return 0, false
	}
	m, ok := api.InnerEvent.Data.(*slackevents.MessageEvent)
	if !ok {
		return 0, false
	}
	return fake.Seq(m.Text), true
}

// slackEvents ranges over the channel of Socket Mode. It acknowledges first and handles
// then, as the example of the library does.
func slackEvents() Contender {
	return Contender{
		Name: "slack-go, Socket Mode", Module: slackModule, Way: "`socketmode.Client.Events`, `Ack`, as its example does it", Service: "slack", Single: true,
		Start: func(ctx context.Context, s Setup) (func(), error) {
			client := socketmode.New(slackClient(s.Where, s.Account))
			ctx, l := newLoop(ctx)
			l.wg.Go(func() { _ = client.RunContext(ctx) })
			l.wg.Go(func() {
				for {
					select {
					case <-ctx.Done():
						return
					case e := <-client.Events:
						if seq, ok := slackSeq(e); ok {
							_ = client.Ack(*e.Request)
							each(s.Handlers, seq)
						}
					}
				}
			})
			return l.stop, nil
		},
	}
}

// slackHandler has the events routed to functions.
func slackHandler() Contender {
	return Contender{
		Name: "slack-go, SocketmodeHandler", Module: slackModule, Way: "`socketmode.SocketmodeHandler`, `Ack`, as its example does it", Service: "slack",
		Start: func(ctx context.Context, s Setup) (func(), error) {
			client := socketmode.New(slackClient(s.Where, s.Account))
			router := socketmode.NewSocketmodeHandler(client)
			for i, h := range s.Handlers {
				router.HandleEvents(slackevents.Message, func(e *socketmode.Event, c *socketmode.Client) {
					if seq, ok := slackSeq(*e); ok {
						if i == 0 {
							_ = c.Ack(*e.Request)
						}
						h(seq)
					}
				})
			}
			router.HandleDefault(func(*socketmode.Event, *socketmode.Client) {})
			ctx, l := newLoop(ctx)
			l.wg.Go(func() { _ = router.RunEventLoopContext(ctx) })
			return l.stop, nil
		},
	}
}

// slackHistory reads by pages, and sends.
func slackHistory() Contender {
	return Contender{
		Name: "slack-go", Module: slackModule, Way: "`GetConversationHistoryContext`, `PostMessageContext`", Service: "slack",
		Read: func(ctx context.Context, at fake.Where, handle func(int)) error {
			client := slackClient(at, 0)
			p := &slack.GetConversationHistoryParameters{ChannelID: slackChannel, Limit: fake.PageSize}
			for {
				page, err := client.GetConversationHistoryContext(ctx, p)
				if err != nil {
					return err
				}
				for i := range page.Messages {
					handle(fake.Seq(page.Messages[i].Text))
				}
				if !page.HasMore {
					return nil
				}
				p.Cursor = page.ResponseMetaData.NextCursor
			}
		},
		Send: func(ctx context.Context, at fake.Where) (func(string) error, error) {
			client := slackClient(at, 0)
			return func(text string) error {
				_, ts, err := client.PostMessageContext(ctx, slackChannel, slack.MsgOptionText(text, false))
				if err == nil && ts == "" {
					err = errors.New("sent, without a time")
				}
				return err
			}, nil
		},
	}
}
