// Support is a desk of many agents that calls in a lead when nobody answers a customer for 24
// hours.
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
	"github.com/fliplet/fliplet-chat-go/storage"
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

// office is everybody: two customers, two agents and the lead.
type office struct {
	opts chat.AppOptions
	app  *chat.App
	ids  map[string]int64
}

func open(ctx context.Context, server *fliplettest.Server) (*office, error) {
	names := []string{"Ann", "Cem", "Kim", "Lee", "lead"}
	var rows []datasource.M
	for _, name := range names {
		rows = append(rows, datasource.M{"Name": name, "flUserId": name})
	}
	contacts, ids := server.AddContacts(rows...)
	o := &office{ids: map[string]int64{}}
	for i, name := range names {
		o.ids[name] = ids[i]
	}
	o.opts.Options = chat.Options{
		Client: server.Client(), DataSourceID: contacts, AppID: server.AppID, EncryptMessages: true,
		Storage: storage.NewMemory(), // remembers the keys that were seen; a real desk keeps it in a file, with boltstore
	}
	var err error
	o.app, err = chat.OpenApp(ctx, o.opts)
	return o, err
}

// desk is the desk of the office.
func (o *office) desk() *desk {
	return newDesk(o.app, map[string]bool{"Kim": true, "Lee": true, "lead": true}, o.ids["lead"], 24*time.Hour)
}

// say says something as somebody.
func (o *office) say(ctx context.Context, who string, conv *chat.Conversation, text string) error {
	_, err := o.app.Send(ctx, chat.M{"flUserId": who}, conv.ID, chat.Draft{Body: text})
	return err
}

// ask makes a conversation in which a customer asks an agent.
func (o *office) ask(ctx context.Context, who, agent, text string) (*chat.Conversation, error) {
	c, err := o.app.User(ctx, chat.M{"flUserId": who})
	if err != nil {
		return nil, err
	}
	conv, err := c.Create(ctx, chat.NewConversation{Name: "Support for " + who, Participants: []int64{o.ids[agent]}})
	if err != nil {
		return nil, err
	}
	return conv, o.say(ctx, who, conv, text)
}

func run(ctx context.Context, out io.Writer) error {
	server, err := fliplettest.Start()
	if err != nil {
		return err
	}
	defer server.Close()
	o, err := open(ctx, server)
	if err != nil {
		return err
	}
	defer o.app.Close()
	anns, err := o.ask(ctx, "Ann", "Kim", "My badge does not work.")
	if err != nil {
		return err
	}
	cems, err := o.ask(ctx, "Cem", "Lee", "Where is room 5?")
	if err != nil {
		return err
	}
	if err := o.say(ctx, "Lee", cems, "On the first floor."); err != nil {
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
