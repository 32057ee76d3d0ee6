// Groups shows conversations of more than two people, and public channels.
//
//	go run ./examples/groups
//
// Everything runs over a local Fliplet inside the process.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "groups:", err)
		os.Exit(1)
	}
}

// people are who has logged in, by name.
type people struct {
	chats map[string]*chat.Chat
	ids   map[string]int64 // of contacts
}

// run tells the story over a local Fliplet with these options.
func run(ctx context.Context, out io.Writer, opts ...fliplettest.Option) error {
	server, err := fliplettest.Start(opts...)
	if err != nil {
		return err
	}
	defer server.Close()
	p := people{chats: map[string]*chat.Chat{}, ids: map[string]int64{}}
	names := []string{"Jane", "Bob", "Eve", "Ann"}
	var rows []datasource.M
	for _, name := range names {
		rows = append(rows, datasource.M{"Name": name})
	}
	contacts, ids := server.AddContacts(rows...)
	for i, name := range names {
		c, err := chat.Connect(ctx, chat.Options{
			Client: server.Client(), DataSourceID: contacts, AppID: server.AppID, PrimaryKey: "Name", EncryptMessages: true,
		})
		if err != nil {
			return err
		}
		defer c.Close()
		if _, err := c.Login(ctx, chat.M{"Name": name}); err != nil {
			return err
		}
		p.chats[name], p.ids[name] = c, ids[i]
	}
	if err := group(ctx, out, p); err != nil {
		return err
	}
	return channel(ctx, out, p)
}

// group is a conversation of chosen people.
func group(ctx context.Context, out io.Writer, p people) error {
	conv, err := p.chats["Jane"].Create(ctx, chat.NewConversation{
		Name:         "Launch",
		Participants: []int64{p.ids["Bob"], p.ids["Eve"]}, // Jane is in without being named
		Metadata:     chat.M{"ticket": 42},
		AllowInvite:  true,
	})
	if err != nil {
		return err
	}
	if err := list(ctx, out, conv); err != nil {
		return err
	}

	// The same people get the same group, also when another member asks.
	again, err := p.chats["Eve"].Create(ctx, chat.NewConversation{Participants: []int64{p.ids["Bob"], p.ids["Jane"]}})
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "Eve asks for it: new %t, ticket %v\n", again.IsNew, again.Definition.Metadata["ticket"])

	// Ann comes by invitation, Eve leaves.
	code, err := conv.InviteCode(ctx)
	if err != nil {
		return err
	}
	if _, err := p.chats["Ann"].JoinConversation(ctx, code); err != nil {
		return err
	}
	if err := conv.Participants().Remove(ctx, p.ids["Eve"]); err != nil {
		return err
	}
	if err := list(ctx, out, conv); err != nil {
		return err
	}

	// Bob mutes the conversation, for himself only.
	mine, err := find(ctx, p.chats["Bob"], conv.ID)
	if err != nil {
		return err
	}
	if err := mine.Notifications().Mute(ctx); err != nil {
		return err
	}
	theirs, err := find(ctx, p.chats["Jane"], conv.ID)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "muted for Bob %t, for Jane %t\n", mine.IsMuted(), theirs.IsMuted())

	if _, err := p.chats["Ann"].Message(ctx, conv.ID, chat.Draft{Body: "Hi, I'm new here"}); err != nil {
		return err
	}
	for _, name := range []string{"Jane", "Bob", "Eve"} {
		n, err := p.chats[name].Unread().Count(ctx)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s has %d unread\n", name, n)
	}
	return nil
}

// channel is a conversation that everybody may join.
func channel(ctx context.Context, out io.Writer, p people) error {
	news, err := p.chats["Jane"].Channels().Create(ctx, "News")
	if err != nil {
		return err
	}
	// Not even its creator is a member before joining.
	for _, name := range []string{"Jane", "Eve"} {
		if _, err := p.chats[name].Channels().Join(ctx, news.ID); err != nil {
			return err
		}
	}
	channels, err := p.chats["Ann"].Channels().List(ctx)
	if err != nil {
		return err
	}
	for _, c := range channels {
		fmt.Fprintf(out, "channel %s has %d members\n", c.Name, c.NParticipants)
	}

	if _, err := p.chats["Jane"].Message(ctx, news.ID, chat.Draft{Body: "We are live"}); err != nil {
		return err
	}
	msgs, err := p.chats["Eve"].Messages(ctx, chat.In(news.ID))
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "Eve sees %d messages of it\n", len(msgs))
	_, err = p.chats["Ann"].Messages(ctx, chat.In(news.ID))
	fmt.Fprintf(out, "Ann has to join first: %t\n", errors.Is(err, chat.ErrNotFound))

	// The token of an app may not delete what many apps share.
	err = p.chats["Jane"].Channels().Delete(ctx, news.ID)
	refused, ok := errors.AsType[*datasource.Error](err)
	if !ok {
		return fmt.Errorf("deleting a channel with the token of an app: want a refusal, got %v", err)
	}
	fmt.Fprintf(out, "deleting it is refused with status %d\n", refused.StatusCode)
	return nil
}

// list prints the names of the members.
func list(ctx context.Context, out io.Writer, conv *chat.Conversation) error {
	members, err := conv.Participants().Fetch(ctx)
	if err != nil {
		return err
	}
	var names []string
	for _, contact := range members {
		names = append(names, fmt.Sprint(contact.Data["Name"]))
	}
	slices.Sort(names)
	fmt.Fprintf(out, "%s: %s\n", conv.Name, strings.Join(names, ", "))
	return nil
}

// find gives a conversation as one of its members sees it.
func find(ctx context.Context, c *chat.Chat, id int64) (*chat.Conversation, error) {
	all, err := c.Conversations(ctx)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(all, func(conv *chat.Conversation) bool { return conv.ID == id })
	if i < 0 {
		return nil, fmt.Errorf("conversation %d is not in the list", id)
	}
	return all[i], nil
}
