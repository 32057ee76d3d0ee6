// Relay sends the messages of many users, each once, whatever is repeated.
//
//	go run ./examples/relay
//
// The relay itself is in relay.go. Here it works for 20 users, is stopped in an outage,
// and the next one logs in only those for whom something waits. Everything runs over a
// local Fliplet inside the process.
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
		fmt.Fprintln(os.Stderr, "relay:", err)
		os.Exit(1)
	}
}

// town makes n users, each in a conversation with the town hall.
func town(server *fliplettest.Server, n int) (opts chat.Options, users []string, conversations []int64) {
	rows := []datasource.M{{"Name": "town hall", "flUserId": "hall"}}
	for i := range n {
		users = append(users, fmt.Sprintf("user-%03d", i))
		rows = append(rows, datasource.M{"Name": users[i], "flUserId": users[i]})
	}
	contacts, _ := server.AddContacts(rows...)
	for _, id := range users {
		conversations = append(conversations, server.AddDataSource(datasource.M{
			"name": "Hall and " + id, "type": "conversation", "definition": datasource.M{"participants": []string{"hall", id}},
		}))
	}
	return chat.Options{
		Client: server.Client(), DataSourceID: contacts, AppID: server.AppID,
		Storage: storage.NewMemory(), // a real relay keeps it in a file, with boltstore
	}, users, conversations
}

func run(ctx context.Context, out io.Writer) error {
	server, err := fliplettest.Start()
	if err != nil {
		return err
	}
	defer server.Close()
	opts, users, conversations := town(server, 20)
	opts.Outbox = &chat.OutboxOptions{Settle: 100 * time.Millisecond} // for a quick show; 5 s otherwise
	r, err := newRelay(ctx, opts)
	if err != nil {
		return err
	}
	for range 2 { // every request comes twice
		for i, id := range users {
			if err := r.send(ctx, id, conversations[i], "vote", "I vote for "+id); err != nil {
				return err
			}
		}
	}
	if err := r.flush(ctx); err != nil {
		return err
	}
	fmt.Fprintf(out, "%d users, %d messages\n", len(users), rows(server, conversations))

	down := server.Always(fliplettest.Insert, fliplettest.TooMany(0))
	for i, id := range users[:3] {
		if err := r.send(ctx, id, conversations[i], "thanks", "Thank you"); err != nil {
			return err
		}
	}
	r.close()
	down.Off()
	if r, err = newRelay(ctx, opts); err != nil {
		return err
	}
	defer r.close()
	waiting, err := r.resume(ctx)
	if err != nil {
		fmt.Fprintln(out, "not resumed:", err) // the others are
	}
	fmt.Fprintf(out, "the next relay logs in %d users\n", waiting)
	if err := r.flush(ctx); err != nil {
		return err
	}
	fmt.Fprintf(out, "%d messages\n", rows(server, conversations))
	return nil
}

// rows counts what the server has.
func rows(server *fliplettest.Server, conversations []int64) (n int) {
	for _, id := range conversations {
		n += len(server.Rows(id))
	}
	return n
}
