// History reads a conversation back from its newest message to its first, page by
// page, as a screen does that loads older messages on demand.
//
//	go run ./examples/history
//
// Pages are cut by position, never by counting: the next one holds what lies before
// the oldest message that one has, in (createdAt, id) order. So nothing is left out
// when hundreds of messages share a timestamp, and nothing comes twice when people
// go on writing meanwhile. Everything runs over a local Fliplet inside the process.
package main

import (
	"context"
	"fmt"
	"io"
	"iter"
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
		fmt.Fprintln(os.Stderr, "history:", err)
		os.Exit(1)
	}
}

// pages yields the messages of a conversation in pages of at most size, the newest
// page first, each page oldest first. It asks for a page only when it is wanted, and
// its only error is the last thing it yields.
func pages(ctx context.Context, c *chat.Chat, conversationID int64, size int) iter.Seq2[[]*chat.Message, error] {
	return func(yield func([]*chat.Message, error) bool) {
		var oldest *chat.Message
		for {
			opts := []chat.MessagesOption{chat.In(conversationID), chat.Limit(size)}
			if oldest != nil {
				opts = append(opts, chat.Where(before(oldest)))
			}
			page, err := c.Messages(ctx, opts...)
			if err != nil {
				yield(nil, err)
				return
			}
			if len(page) > 0 && !yield(page, nil) {
				return
			}
			if len(page) < size { // documented: there are no more
				return
			}
			oldest = page[0]
		}
	}
}

// before is what comes before a message, in the language of rows.
func before(m *chat.Message) chat.M {
	const milliseconds = "2006-01-02T15:04:05.000Z"
	at := m.CreatedAt.UTC().Format(milliseconds)
	return chat.M{"$or": []chat.M{
		{"createdAt": chat.M{"$lt": at}},
		{"createdAt": at, "id": chat.M{"$lt": m.ID}},
	}}
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

	// An import: 450 messages with one timestamp.
	const imported = 450
	rows := make([]datasource.M, imported)
	for i := range rows {
		rows[i] = datasource.M{"body": fmt.Sprintf("message %d", i+1), "fromUserId": jane.User().UserID}
	}
	if _, err := server.Client().Append(ctx, conv.ID, rows); err != nil {
		return err
	}

	seen := map[int64]bool{}
	number := 0
	for page, err := range pages(ctx, jane, conv.ID, jane.BatchSize()) {
		if err != nil {
			return err
		}
		number++
		fmt.Fprintf(out, "page %d: %3d messages, from %q to %q\n", number, len(page), page[0].Body, page[len(page)-1].Body)
		for _, m := range page {
			if seen[m.ID] {
				return fmt.Errorf("message %d came twice", m.ID)
			}
			seen[m.ID] = true
		}
		// Life goes on while somebody reads.
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
