// Offline starts a chat without a network, from what the last session left in a file.
//
//	go run ./examples/offline
//
// The first session is online: it logs in and fills the store as it goes. The second
// finds the server unreachable, and shows contacts, conversations and messages all
// the same; when the network is back, its stream goes on by itself. Everything runs
// over a local Fliplet inside the process, whose connection is cut on purpose.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/storage/boltstore"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "offline:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	folder, err := os.MkdirTemp("", "fliplet-offline")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	server, err := fliplettest.Start()
	if err != nil {
		return err
	}
	defer server.Close()
	contacts, ids := server.AddContacts(
		datasource.M{"Email": "jane@example.org", "Name": "Jane"},
		datasource.M{"Email": "bob@example.org", "Name": "Bob"},
	)
	phone := device{
		file: filepath.Join(folder, "chat.db"),
		opts: chat.Options{
			Client: server.Client(), DataSourceID: contacts, AppID: server.AppID,
			PrimaryKey: "Email", EncryptMessages: true,
			LivePollInterval: 20 * time.Millisecond, PollInterval: 50 * time.Millisecond, // for a quick show; 2 s and 20 s otherwise
		},
		out: out,
	}

	// Bob is always online.
	bob, err := chat.Connect(ctx, phone.opts)
	if err != nil {
		return err
	}
	defer bob.Close()
	if _, err := bob.Login(ctx, chat.M{"Email": "bob@example.org"}); err != nil {
		return err
	}
	conv, err := bob.Create(ctx, chat.NewConversation{Participants: []int64{ids[0]}, Name: "Lunch"})
	if err != nil {
		return err
	}
	if _, err := bob.Message(ctx, conv.ID, chat.Draft{Body: "Pizza or soup?"}); err != nil {
		return err
	}

	fmt.Fprintln(out, "Monday, online")
	if err := phone.online(ctx); err != nil {
		return err
	}

	fmt.Fprintln(out, "Tuesday, in a tunnel")
	tunnel := server.Always(fliplettest.AnyRoute, fliplettest.LoseRequest())
	return phone.offline(ctx, func() error {
		fmt.Fprintln(out, "The tunnel ends")
		tunnel.Off()
		_, err := bob.Message(ctx, conv.ID, chat.Draft{Body: "I ate both."})
		return err
	})
}

// device is where Jane chats: its file outlives the sessions.
type device struct {
	file string
	opts chat.Options
	out  io.Writer
}

// open starts a session on the file.
func (d device) open(ctx context.Context) (*chat.Chat, func(), error) {
	store, err := boltstore.Open(d.file)
	if err != nil {
		return nil, nil, err
	}
	opts := d.opts
	opts.Storage = store
	c, err := chat.Connect(ctx, opts)
	if err != nil {
		store.Close()
		return nil, nil, err
	}
	return c, func() { c.Close(); store.Close() }, nil
}

// online is a session as any other. What it reads is kept for later.
func (d device) online(ctx context.Context) error {
	jane, end, err := d.open(ctx)
	if err != nil {
		return err
	}
	defer end()
	if _, err := jane.Login(ctx, chat.M{"Email": "jane@example.org"}); err != nil {
		return err
	}
	if _, err := jane.Contacts(ctx); err != nil {
		return err
	}
	if _, err := jane.Conversations(ctx); err != nil {
		return err
	}
	if _, err := jane.Stream(ctx, func(m *chat.Message) { fmt.Fprintln(d.out, "  Bob:", m.Body) }); err != nil {
		return err
	}
	return jane.Poll(ctx)
}

// offline is a session that begins without a network. back is called when it has
// shown what it has; it brings the network back.
func (d device) offline(ctx context.Context, back func() error) error {
	jane, end, err := d.open(ctx)
	if err != nil {
		return err
	}
	defer end()
	if _, err := jane.Login(ctx, chat.M{"Email": "jane@example.org"}, chat.Offline()); err != nil {
		return err
	}
	contacts, err := jane.Contacts(ctx, chat.Offline())
	if err != nil {
		return err
	}
	list, err := jane.Conversations(ctx, chat.Offline())
	if err != nil {
		return err
	}
	fmt.Fprintf(d.out, "  %d contacts, %d conversation:", len(contacts), len(list))
	for _, conv := range list {
		fmt.Fprint(d.out, " ", conv.Name)
	}
	fmt.Fprintln(d.out)

	// Without Offline the network is wanted, and missed.
	if _, err := jane.Contacts(ctx); err == nil {
		return errors.New("contacts came through the tunnel")
	}
	fmt.Fprintln(d.out, "  fresh contacts: not now")

	for m, err := range jane.Events(ctx, chat.Offline()) {
		if err != nil {
			return err
		}
		fmt.Fprintln(d.out, "  Bob:", m.Body)
		switch m.Body {
		case "Pizza or soup?": // from the file
			if err := back(); err != nil {
				return err
			}
		case "I ate both.": // from the server
			return nil
		}
	}
	return nil
}
