// History reads a conversation back from its newest message to its first, page by
// page, as a screen does that loads older messages on demand.
//
//	go run ./examples/history
//
// Chat.History goes by position, never by counting. So nothing is left out when
// hundreds of messages share a timestamp, and nothing comes twice when people go on
// writing meanwhile. Everything runs over a local Fliplet inside the process.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "history:", err)
		os.Exit(1)
	}
}

// screenful is how many messages are loaded at a time.
const screenful = 100

// older returns the messages before the oldest one on the screen, nil for none yet,
// in the order of a screen: oldest first. Fewer than a screenful means that these
// are the first ones of the conversation.
func older(ctx context.Context, c *chat.Chat, conversationID int64, oldest *chat.Message) ([]*chat.Message, error) {
	opts := []chat.HistoryOption{chat.PageSize(screenful)}
	if oldest != nil {
		opts = append(opts, chat.Before(oldest))
	}
	var page []*chat.Message
	for m, err := range c.History(ctx, conversationID, opts...) {
		if err != nil {
			return nil, err
		}
		if page = append(page, m); len(page) == screenful {
			break // later pages are read on demand
		}
	}
	slices.Reverse(page)
	return page, nil
}

func run(ctx context.Context, out io.Writer) error {
	server, err := fliplettest.Start()
	if err != nil {
		return err
	}
	defer server.Close()
	contacts, ids := server.AddContacts(datasource.M{"Email": "jane@example.org"}, datasource.M{"Email": "bob@example.org"})
	jane, err := chat.Connect(ctx, chat.Options{
		Client: server.Client(), DataSourceID: contacts, AppID: server.AppID, PrimaryKey: "Email",
	})
	if err != nil {
		return err
	}
	defer jane.Close()
	if _, err := jane.Login(ctx, chat.M{"Email": "jane@example.org"}); err != nil {
		return err
	}
	conv, err := jane.Create(ctx, chat.NewConversation{Participants: []int64{ids[1]}})
	if err != nil {
		return err
	}

	// An import: 250 messages with one timestamp.
	const imported = 250
	rows := make([]datasource.M, imported)
	for i := range rows {
		rows[i] = datasource.M{"body": fmt.Sprintf("message %d", i+1), "fromUserId": jane.User().UserID}
	}
	if _, err := server.Client().Append(ctx, conv.ID, rows); err != nil {
		return err
	}

	seen := map[int64]bool{}
	var oldest *chat.Message
	for more := true; more; {
		page, err := older(ctx, jane, conv.ID, oldest)
		if err != nil {
			return err
		}
		more = len(page) == screenful
		for _, m := range page {
			if seen[m.ID] {
				return fmt.Errorf("message %d came twice", m.ID)
			}
			seen[m.ID] = true
		}
		if len(page) > 0 {
			oldest = page[0]
			fmt.Fprintf(out, "%3d messages, from %q to %q\n", len(page), oldest.Body, page[len(page)-1].Body)
		}
		// Other messages are sent meanwhile.
		if _, err := jane.Message(ctx, conv.ID, chat.Draft{Body: "one more"}); err != nil {
			return err
		}
	}
	if len(seen) != imported {
		return fmt.Errorf("%d of %d messages came", len(seen), imported)
	}
	fmt.Fprintf(out, "%d messages, each once\n", len(seen))
	return nil
}
