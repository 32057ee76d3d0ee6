// Support is a desk that calls in a lead when nobody answers a customer for 24 hours.
//
//	go run ./examples/support
//
// The desk itself is in desk.go. Everything runs over a local Fliplet inside the
// process, whose clock is moved by a day.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "support:", err)
		os.Exit(1)
	}
}

// office is everybody: two customers, an agent, the desk and the lead.
type office struct {
	contacts int64
	ids      map[string]int64
	chats    map[string]*chat.Chat
}

func open(ctx context.Context, server *fliplettest.Server) (*office, error) {
	names := []string{"Ann", "Cem", "agent", "desk", "lead"}
	var rows []datasource.M
	for _, name := range names {
		rows = append(rows, datasource.M{"Name": name})
	}
	o := &office{ids: map[string]int64{}, chats: map[string]*chat.Chat{}}
	var ids []int64
	o.contacts, ids = server.AddContacts(rows...)
	for i, name := range names {
		c, err := chat.Connect(ctx, chat.Options{
			Client: server.Client(), DataSourceID: o.contacts, AppID: server.AppID, PrimaryKey: "Name", EncryptMessages: true,
		})
		if err != nil {
			return o, err
		}
		o.ids[name], o.chats[name] = ids[i], c
		if _, err := c.Login(ctx, chat.M{"Name": name}); err != nil {
			return o, err
		}
	}
	return o, nil
}

func (o *office) close() {
	for _, c := range o.chats {
		c.Close()
	}
}

// desk is the desk of the office.
func (o *office) desk() *desk {
	return &desk{
		chat: o.chats["desk"], lead: o.ids["lead"], patience: 24 * time.Hour,
		staff: map[string]bool{o.chats["agent"].User().UserID: true, o.chats["desk"].User().UserID: true, o.chats["lead"].User().UserID: true},
	}
}

// ask makes a conversation in which a customer asks the desk and the agent.
func (o *office) ask(ctx context.Context, who, text string) (*chat.Conversation, error) {
	conv, err := o.chats[who].Create(ctx, chat.NewConversation{Name: "Support for " + who, Participants: []int64{o.ids["desk"], o.ids["agent"]}})
	if err != nil {
		return nil, err
	}
	_, err = o.chats[who].Message(ctx, conv.ID, chat.Draft{Body: text})
	return conv, err
}

func run(ctx context.Context, out io.Writer) error {
	server, err := fliplettest.Start()
	if err != nil {
		return err
	}
	defer server.Close()
	o, err := open(ctx, server)
	defer o.close()
	if err != nil {
		return err
	}
	anns, err := o.ask(ctx, "Ann", "My badge does not work.")
	if err != nil {
		return err
	}
	cems, err := o.ask(ctx, "Cem", "Where is room 5?")
	if err != nil {
		return err
	}
	if _, err := o.chats["agent"].Message(ctx, cems.ID, chat.Draft{Body: "On the first floor."}); err != nil {
		return err
	}
	names := map[int64]string{anns.ID: anns.Name, cems.ID: cems.Name}
	d := o.desk()
	for _, hours := range []int{0, 23, 1, 1} {
		server.ShiftClock(time.Duration(hours) * time.Hour)
		escalated, err := d.sweep(ctx, server.Now())
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%d hours later: %d escalated\n", hours, len(escalated))
		for _, id := range escalated {
			fmt.Fprintln(out, " ", names[id])
		}
	}
	return nil
}
