package boltstore_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/fliplet/fliplet-chat-go/storage/boltstore"
)

// What one run of a program stores the next one finds.
func ExampleOpen() {
	dir, err := os.MkdirTemp("", "chat")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "chat.db")

	ctx := context.Background()
	for _, word := range []string{"first", "second"} {
		store, err := boltstore.Open(path)
		if err != nil {
			log.Fatal(err)
		}
		before, _ := store.Get(ctx, "run")
		fmt.Printf("%s run, after %q\n", word, before)
		if err := store.Set(ctx, "run", []byte(word)); err != nil {
			log.Fatal(err)
		}
		if err := store.Close(); err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// first run, after ""
	// second run, after "first"
}
