package contender

import (
	"context"
	"errors"
	"sync"

	"github.com/bwmarrin/discordgo"

	"github.com/fliplet/fliplet-chat-go/bench/fake"
)

const (
	discordModule  = "github.com/bwmarrin/discordgo"
	discordChannel = "1300000000000000001"
)

var discordEndpoints sync.Mutex

// discordSession points the library at the fake. Its addresses are variables, and all
// sessions of a process have the same.
func discordSession(at fake.Where) (*discordgo.Session, error) {
	discordEndpoints.Lock()
	defer discordEndpoints.Unlock()
	if want := at.URL + "/gateway"; discordgo.EndpointGateway != want {
		discordgo.EndpointGateway, discordgo.EndpointChannels = want, at.URL+"/channels/" //nolint:reassign // the library has no other way
	}
	return discordgo.New("Bot fake")
}

// discord is the gateway. By default the library starts a goroutine for each event and
// handler; with SyncEvents one is called after the other.
func discord(ordered bool) Contender {
	c := Contender{
		Name: "discordgo", Module: discordModule, Way: "`Open`, `AddHandler`, `Close`", Service: "discord",
		Start: func(ctx context.Context, s Setup) (func(), error) {
			session, err := discordSession(s.Where)
			if err != nil {
				return nil, err
			}
			session.SyncEvents = ordered
			session.Identify.Intents = discordgo.IntentsGuildMessages | discordgo.IntentMessageContent
			for _, h := range s.Handlers {
				session.AddHandler(func(_ *discordgo.Session, m *discordgo.MessageCreate) { h(fake.Seq(m.Content)) })
			}
			if err := session.Open(); err != nil {
				return nil, err
			}
			stop := sync.OnceFunc(func() { _ = session.Close() })
			context.AfterFunc(ctx, stop) // the library knows no context
			return stop, nil
		},
	}
	if ordered {
		c.Name, c.Way = "discordgo, SyncEvents", "`Open`, `AddHandler`, `Close`, `SyncEvents`"
	}
	return c
}

// discordHistory reads by pages, and sends.
func discordHistory() Contender {
	return Contender{
		Name: "discordgo, REST", Module: discordModule, Way: "`ChannelMessages`, `ChannelMessageSend`", Service: "discord",
		Read: func(_ context.Context, at fake.Where, handle func(int)) error {
			session, err := discordSession(at)
			if err != nil {
				return err
			}
			before := ""
			for {
				page, err := session.ChannelMessages(discordChannel, fake.PageSize, before, "", "")
				if err != nil {
					return err
				}
				for _, m := range page {
					handle(fake.Seq(m.Content))
				}
				if len(page) < fake.PageSize {
					return nil
				}
				before = page[len(page)-1].ID
			}
		},
		Send: func(_ context.Context, at fake.Where) (func(string) error, error) {
			session, err := discordSession(at)
			if err != nil {
				return nil, err
			}
			return func(text string) error {
				m, err := session.ChannelMessageSend(discordChannel, text)
				if err == nil && m.ID == "" {
					err = errors.New("sent, without an id")
				}
				return err
			}, nil
		},
	}
}
