// Bot runs a bot that adds numbers, and lets Jane talk to it.
//
//	go run ./examples/bot
//
// The bot itself is in bot.go. It begins with what is asked from now on, survives
// restarts, answers each question once, puts aside what it cannot answer, and ends
// gracefully: on Ctrl-C it finishes the answer it is at. Everything runs
// over a local Fliplet inside the process.
package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/storage"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bot:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer) error {
	server, err := fliplettest.Start()
	if err != nil {
		return err
	}
	defer server.Close()
	contacts, ids := server.AddContacts(datasource.M{"Email": "jane@example.org"}, datasource.M{"Email": "bot@example.org"})
	opts := chat.Options{
		Client: server.Client(), DataSourceID: contacts, AppID: server.AppID,
		PrimaryKey: "Email", EncryptMessages: true,
		LivePollInterval: 20 * time.Millisecond, // for a quick show; 2 s otherwise
	}
	jane, err := login(ctx, opts, "jane@example.org")
	if err != nil {
		return err
	}
	defer jane.Close()
	conv, err := jane.Create(ctx, chat.NewConversation{Participants: []int64{ids[1]}})
	if err != nil {
		return err
	}
	opts.Storage = storage.NewMemory() // keeps the bot's position; a real bot keeps it in a file, with boltstore

	// The bot comes back after a rest and does not answer what it has answered.
	for _, questions := range [][]string{{"Good morning", "/sum 1 2 3", "/help"}, {"/sum 0.5 x", "/sum 40 2"}} {
		if err := shift(ctx, out, opts, jane, conv, questions); err != nil {
			return err
		}
	}
	return nil
}

// shift runs the bot while Jane asks, and ends it as Ctrl-C would.
func shift(ctx context.Context, out io.Writer, opts chat.Options, jane *chat.Chat, conv *chat.Conversation, questions []string) error {
	c, err := login(ctx, opts, "bot@example.org")
	if err != nil {
		return err
	}
	defer c.Close()
	b := &bot{chat: c, log: slog.New(slog.DiscardHandler)}
	serving, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- b.serve(serving) }()
	if err = begun(ctx, opts.Storage); err == nil {
		err = ask(ctx, out, jane, conv, questions)
	}
	stop()
	if ended := <-ended; err == nil {
		err = ended
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "The bot goes after %d answers.\n", b.answered)
	return nil
}

// begun waits until the bot has stored its first position. What is asked before that
// is none of its business.
func begun(ctx context.Context, store storage.Store) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for {
		for key, err := range store.(storage.Lister).List(ctx, "") {
			if err != nil {
				return err
			}
			if strings.HasSuffix(key, "/consume/sum-bot/base") {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// ask sends questions and prints what is said, until every command has its answer.
func ask(ctx context.Context, out io.Writer, jane *chat.Chat, conv *chat.Conversation, questions []string) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	waiting := 0
	for _, text := range questions {
		if _, ok := reply(text); ok {
			waiting++
		}
		if _, err := jane.Message(ctx, conv.ID, chat.Draft{Body: text}); err != nil {
			return err
		}
		fmt.Fprintln(out, "Jane:", text)
	}
	me := jane.User().UserID
	for m, err := range jane.Events(ctx) {
		if err != nil {
			return err
		}
		if m.FromUserID == me || m.IsUpdate || m.IsReplay || m.IsReadByCurrentUser {
			continue
		}
		fmt.Fprintln(out, " Bot:", m.Body)
		if err := jane.MarkMessagesAsRead(ctx, m); err != nil {
			return err
		}
		if waiting--; waiting == 0 {
			break
		}
	}
	return nil
}

func login(ctx context.Context, opts chat.Options, email string) (*chat.Chat, error) {
	c, err := chat.Connect(ctx, opts)
	if err != nil {
		return nil, err
	}
	if _, err := c.Login(ctx, chat.M{"Email": email}); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}
