// Migrate copies the conversations of one app to another: first a dry run, then the run.
//
//	go run ./examples/migrate
//
// The migration itself is in migrate.go, which makes plans (plan.go) and then writes them
// (write.go). Both apps are local Fliplets inside the process.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "migrate:", err)
		os.Exit(1)
	}
}

// app is a local Fliplet with contacts of these addresses.
func app(server *fliplettest.Server, emails ...string) chat.Options {
	var rows []datasource.M
	for _, email := range emails {
		rows = append(rows, datasource.M{"Email": email})
	}
	contacts, _ := server.AddContacts(rows...)
	return chat.Options{Client: server.Client(), DataSourceID: contacts, AppID: server.AppID, PrimaryKey: "Email", EncryptMessages: true}
}

// talk plays a conversation: pairs of who speaks and what they say. The first speaker
// makes the conversation with all others.
func talk(ctx context.Context, opts chat.Options, name string, lines ...[2]string) error {
	w := &writers{opts: opts, chats: map[string]*chat.Chat{}}
	defer w.close()
	var conv *chat.Conversation
	for _, line := range lines {
		c, err := w.login(ctx, person{key: line[0]})
		if err != nil {
			return err
		}
		if conv == nil {
			contacts, err := c.Contacts(ctx)
			if err != nil {
				return err
			}
			var ids []int64
			for _, who := range contacts {
				for _, l := range lines {
					if who.ID != c.User().ID && who.Data["Email"] == l[0] {
						ids = append(ids, who.ID)
						break
					}
				}
			}
			if conv, err = c.Create(ctx, chat.NewConversation{Name: name, Participants: ids}); err != nil {
				return err
			}
		}
		if _, err := c.Message(ctx, conv.ID, chat.Draft{Body: line[1]}); err != nil {
			return err
		}
	}
	return nil
}

func run(ctx context.Context, out io.Writer) error {
	source, err := fliplettest.Start()
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := fliplettest.Start()
	if err != nil {
		return err
	}
	defer target.Close()
	from := app(source, "jane@example.org", "bob@example.org", "eve@example.org")
	to := app(target, "EVE@example.org", "Jane@example.org", "new@example.org", "bob@example.org")
	if err := talk(ctx, from, "Lunch", [2]string{"jane@example.org", "Pizza?"}, [2]string{"bob@example.org", "Soup."}, [2]string{"jane@example.org", "Soup it is."}); err != nil {
		return err
	}
	if err := talk(ctx, from, "Launch", [2]string{"bob@example.org", "Ready?"}, [2]string{"eve@example.org", "Nearly."}, [2]string{"jane@example.org", "Go!"}); err != nil {
		return err
	}
	for _, dry := range []bool{true, false} {
		fmt.Fprintf(out, "dry run: %t\n", dry)
		if err := (&migration{from: from, to: to, dryRun: dry, out: out}).run(ctx); err != nil {
			return err
		}
		fmt.Fprintf(out, "the target was written to: %t\n", target.Count(fliplettest.AnyWrite) > 0)
	}
	// Bob looks at what came.
	bob, err := (&writers{opts: to, chats: map[string]*chat.Chat{}}).login(ctx, person{key: "bob@example.org"})
	if err != nil {
		return err
	}
	defer bob.Close()
	msgs, err := bob.Messages(ctx)
	if err != nil {
		return err
	}
	for _, m := range msgs {
		who, err := bob.ContactByUserID(ctx, m.FromUserID)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%v: %s\n", who.Data["Email"], m.Body)
	}
	return nil
}
