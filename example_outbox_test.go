package chat_test

import (
	"context"
	"fmt"
	"log"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

// With an outbox a message is safe once it was accepted: here the answer to the
// first attempt is lost, and it is neither lost nor sent twice.
func ExampleOutbox() {
	srv, err := fliplettest.Start()
	if err != nil {
		log.Fatal(err)
	}
	defer srv.Close()
	contacts, ids := srv.AddContacts(datasource.M{"Email": "jane@example.org"}, datasource.M{"Email": "bob@example.org"})

	ctx := context.Background()
	c, err := chat.Connect(ctx, chat.Options{
		Client: srv.Client(), DataSourceID: contacts, PrimaryKey: "Email",
		Outbox: &chat.OutboxOptions{OnChange: func(s chat.SendChange) {
			if s.State == chat.SendStored {
				fmt.Println(s.Message.Body, s.State)
			}
		}},
	})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := c.Login(ctx, chat.M{"Email": "jane@example.org"}); err != nil {
		log.Fatal(err)
	}
	conv, err := c.Create(ctx, chat.NewConversation{Participants: ids[1:]})
	if err != nil {
		log.Fatal(err)
	}

	srv.Next(1, fliplettest.Insert, fliplettest.LoseAnswer())
	if _, err := c.Outbox().Add(ctx, conv.ID, chat.Draft{Body: "Hello Bob"}); err != nil {
		log.Fatal(err)
	}
	if err := c.Close(); err != nil { // sends what is left
		log.Fatal(err)
	}
	fmt.Println(len(srv.Rows(conv.ID)), "row")
	// Output:
	// Hello Bob stored
	// 1 row
}
