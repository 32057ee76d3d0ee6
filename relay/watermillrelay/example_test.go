package watermillrelay_test

import (
	"context"
	"fmt"
	"log"

	"github.com/fliplet/fliplet-chat-go/relay"
	"github.com/fliplet/fliplet-chat-go/relay/watermillrelay"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// The Relay goes into a relay.Store, like any other. A reader of the topic leaves out what it has
// had, by its UUID.
func ExampleNew() {
	kafka := &publisher{} // or one of Watermill's
	shared := storage.NewMemory()
	r, err := watermillrelay.New(kafka, "chat", shared, "support")
	if err != nil {
		log.Fatal(err)
	}
	store, err := relay.NewStore(shared, "support", r)
	if err != nil {
		log.Fatal(err)
	}
	_ = store // for Options.Storage, and then store.Run(ctx, c)
	_, err = r.Commit(context.Background(), 0, nil, []relay.Event{{Conversation: 1, Message: 2, Version: "3"}})
	fmt.Println(kafka.got[0].UUID, err)
	// Output: f99b6530-6bf5-8315-a75e-e6288ed87de5 <nil>
}
