package natsstore_test

import (
	"context"
	"fmt"
	"log"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/fliplet/fliplet-chat-go/storage/natsstore"
)

// What one machine stores the others find.
func ExampleOpen() {
	ctx := context.Background()
	for _, machine := range []string{"first", "second"} {
		// The connection looks for its server for as long as an outage lasts.
		nc, err := nats.Connect(shared.ClientURL(), nats.MaxReconnects(-1))
		if err != nil {
			log.Fatal(err)
		}
		js, err := jetstream.New(nc)
		if err != nil {
			log.Fatal(err)
		}
		// In a cluster: natsstore.Replicas(3).
		store, err := natsstore.Open(ctx, js, "chat")
		if err != nil {
			log.Fatal(err)
		}
		before, _ := store.Get(ctx, "machine")
		fmt.Printf("%s machine, after %q\n", machine, before)
		if err := store.Set(ctx, "machine", []byte(machine)); err != nil {
			log.Fatal(err)
		}
		nc.Close()
	}
	// Output:
	// first machine, after ""
	// second machine, after "first"
}
