package relay_test

import (
	"context"
	"fmt"
	"log"
	"time"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/relay"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// A replica of a program that carries messages into a stream. All replicas run the same.
func ExampleStore_Run() {
	server, err := fliplettest.Start()
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	contacts, _ := server.AddContacts(datasource.M{"Name": "Bot", "flUserId": "bot"})
	talk := server.AddDataSource(datasource.M{"name": "Talk", "type": "conversation", "definition": datasource.M{"participants": []string{"bot", "jane"}}})
	server.AddRows(talk, datasource.M{"body": "Hello", "fromUserId": "jane"})

	ctx, stop := context.WithCancel(context.Background())
	stream := relay.NewMemory()   // natsrelay.Open(ctx, js, "CHAT", "support")
	shared := storage.NewMemory() // natsstore.Open(ctx, js, "chat")
	store, err := relay.NewStore(shared, "support", stream)
	if err != nil {
		log.Fatal(err)
	}
	c, err := chat.Connect(ctx, chat.Options{Client: server.Client(), DataSourceID: contacts, AppID: server.AppID, Storage: store})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Login(ctx, chat.M{"flUserId": "bot"}); err != nil {
		log.Fatal(err)
	}
	go func() {
		for len(stream.Events()) == 0 { // a program runs until it is told to stop
			time.Sleep(time.Millisecond)
		}
		stop()
	}()
	_ = store.Run(ctx, c, chat.StartAt(chat.FromBeginning), chat.Batch(100))
	for _, e := range stream.Events() {
		fmt.Println("an event of conversation", e.Conversation == talk)
	}
	// Output: an event of conversation true
}
