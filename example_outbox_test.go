package chat_test

import (
	"context"
	"fmt"
	"log"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// outbox logs Jane in with an outbox.
func (s *stage) outbox(o chat.OutboxOptions) *chat.Chat {
	opts := s.options()
	opts.Outbox = &o
	c, err := chat.Connect(context.Background(), opts)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := c.Login(context.Background(), chat.M{"Email": "jane@example.org"}); err != nil {
		log.Fatal(err)
	}
	return c
}

// With an outbox a message is safe once it was accepted: here the answer to the
// first attempt is lost, and the message is neither lost nor stored twice.
func ExampleOutbox() {
	s := newStage()
	defer s.close()
	told := make(chan chat.SendChange, 1)
	c := s.outbox(chat.OutboxOptions{OnChange: func(ch chat.SendChange) {
		if ch.State == chat.SendStored {
			told <- ch
		}
	}})
	defer c.Close()
	ctx := context.Background()
	conv := s.talk()
	s.server.Next(1, fliplettest.Insert, fliplettest.LoseAnswer())
	if _, err := c.Outbox().Add(ctx, conv.ID, chat.Draft{Body: "Hello Bob"}); err != nil {
		log.Fatal(err)
	}
	ch := <-told
	fmt.Println(ch.Message.Body, ch.State)
	fmt.Println(len(s.server.Rows(conv.ID)), "row")
	// Output:
	// Hello Bob stored
	// 1 row
}

// What waits can be seen and counted.
func ExampleChat_Outbox() {
	s := newStage()
	defer s.close()
	c := s.outbox(chat.OutboxOptions{})
	defer c.Close()
	conv := s.talk()
	s.server.Always(fliplettest.Insert, fliplettest.LoseRequest()) // an outage
	for _, text := range []string{"one", "two"} {
		if _, err := c.Outbox().Add(context.Background(), conv.ID, chat.Draft{Body: text}); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(c.Outbox().Len(), "waiting")
	// Output: 2 waiting
}

// Add returns once the message is stored on this side; Flush waits until the
// server has it.
func ExampleOutbox_Add() {
	s := newStage()
	defer s.close()
	c := s.outbox(chat.OutboxOptions{})
	defer c.Close()
	ctx := context.Background()
	conv := s.talk()
	guid, err := c.Outbox().Add(ctx, conv.ID, chat.Draft{Body: "Hello", GUID: "my-own-id"})
	if err != nil {
		log.Fatal(err)
	}
	err = c.Outbox().Flush(ctx)
	fmt.Println(guid, len(s.server.Rows(conv.ID)), err)
	// Output: my-own-id 1 <nil>
}

// A message behind one that cannot be sent is taken out again.
func ExampleOutbox_Discard() {
	s := newStage()
	defer s.close()
	c := s.outbox(chat.OutboxOptions{})
	defer c.Close()
	ctx := context.Background()
	conv := s.talk()
	s.server.Always(fliplettest.Insert, fliplettest.LoseRequest()) // an outage
	for _, guid := range []string{"first", "second"} {
		if _, err := c.Outbox().Add(ctx, conv.ID, chat.Draft{Body: "x", GUID: guid}); err != nil {
			log.Fatal(err)
		}
	}
	gone, err := c.Outbox().Discard(ctx, conv.ID, "second")
	fmt.Println(gone, err, c.Outbox().Len())
	// Output: true <nil> 1
}

// Flush before a program ends, if it is to wait for as long as it takes.
func ExampleOutbox_Flush() {
	s := newStage()
	defer s.close()
	c := s.outbox(chat.OutboxOptions{})
	defer c.Close()
	fmt.Println(c.Outbox().Flush(context.Background()))
	// Output: <nil>
}

// Len is 0 when everything is sent.
func ExampleOutbox_Len() {
	s := newStage()
	defer s.close()
	c := s.outbox(chat.OutboxOptions{})
	defer c.Close()
	if _, err := c.Message(context.Background(), s.talk().ID, chat.Draft{Body: "Hello"}); err != nil {
		log.Fatal(err)
	}
	fmt.Println(c.Outbox().Len())
	// Output: 0
}

// Pending says what waits, where it goes, and why it is not sent yet.
func ExampleOutbox_Pending() {
	s := newStage()
	defer s.close()
	c := s.outbox(chat.OutboxOptions{})
	defer c.Close()
	conv := s.talk()
	s.server.Always(fliplettest.Insert, fliplettest.LoseRequest()) // an outage
	if _, err := c.Outbox().Add(context.Background(), conv.ID, chat.Draft{Body: "x", GUID: "g"}); err != nil {
		log.Fatal(err)
	}
	for _, p := range c.Outbox().Pending() {
		fmt.Println(p.GUID, p.ConversationID == conv.ID)
	}
	// Output: g true
}

func ExampleSendState_String() {
	fmt.Printf("the message is %v\n", chat.SendQueued)
	// Output: the message is queued
}

// The handle prints without what waits in it.
func ExampleOutbox_Format() {
	s := newStage()
	defer s.close()
	fmt.Printf("%+v\n", s.jane.Outbox())
	// Output: outbox of a chat over datasource.Client(http://fliplet.test)
}

// A relay that comes back logs in only those for whom something waits.
func ExampleOutboxOwners() {
	s := newStage()
	defer s.close()
	ctx := context.Background()
	opts := s.options()
	opts.Storage, opts.Outbox = storage.NewMemory(), &chat.OutboxOptions{} // a real relay keeps it in a file, with boltstore
	before, err := chat.Connect(ctx, opts)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := before.Login(ctx, chat.M{"Email": "jane@example.org"}); err != nil {
		log.Fatal(err)
	}
	conv := s.talk()
	s.server.Next(1, fliplettest.Insert, fliplettest.LoseRequest()) // an outage
	if _, err := before.Outbox().Add(ctx, conv.ID, chat.Draft{Body: "Hello"}); err != nil {
		log.Fatal(err)
	}
	before.Close()

	owners, err := chat.OutboxOwners(ctx, opts.Storage)
	if err != nil {
		log.Fatal(err)
	}
	for _, owner := range owners {
		after, err := chat.Connect(ctx, opts)
		if err != nil {
			log.Fatal(err)
		}
		defer after.Close()
		contact, err := after.Login(ctx, chat.M{"flUserId": owner.UserID})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(contact.Data["Email"], owner.Waiting)
	}
	// Output: jane@example.org 1
}
