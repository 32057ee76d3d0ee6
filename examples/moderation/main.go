// Moderation keeps every conversation of an app clean, here 50 channels: it deletes some
// messages, masks others, and marks what it has changed.
//
//	go run ./examples/moderation
//
// The moderator itself is in moderator.go. Everything runs over a local Fliplet inside
// the process.
package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"regexp"
	"time"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "moderation:", err)
		os.Exit(1)
	}
}

const channels = 50

// forum is an app with 50 channels, in which Jane is and the moderator is not.
type forum struct {
	app      *chat.App
	jane     *chat.Chat
	channels []int64
}

func open(ctx context.Context, server *fliplettest.Server) (*forum, error) {
	contacts, _ := server.AddContacts(datasource.M{"Name": "Jane", "flUserId": "jane"})
	f := &forum{}
	for i := range channels {
		f.channels = append(f.channels, server.AddDataSource(datasource.M{
			"name": fmt.Sprint("Channel ", i), "type": "conversation",
			"definition": datasource.M{"participants": []string{"jane"}, "group": datasource.M{"public": true}},
		}))
	}
	app, err := chat.OpenApp(ctx, chat.AppOptions{Options: chat.Options{Client: server.Client(), DataSourceID: contacts, AppID: server.AppID}})
	if err != nil {
		return nil, err
	}
	if f.jane, err = app.User(ctx, chat.M{"flUserId": "jane"}); err != nil {
		app.Close()
		return nil, err
	}
	f.app = app
	return f, nil
}

func (f *forum) moderator() *moderator {
	return &moderator{
		app: f.app, log: slog.New(slog.DiscardHandler),
		banned: []string{"casino"}, masked: regexp.MustCompile(`(?i)\bdamn\b|\b\d{16}\b`),
	}
}

func run(ctx context.Context, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	server, err := fliplettest.Start()
	if err != nil {
		return err
	}
	defer server.Close()
	f, err := open(ctx, server)
	if err != nil {
		return err
	}
	defer f.app.Close()
	// What the moderator finds is said first here, so it reads all there is.
	for i, id := range f.channels {
		for _, text := range []string{"Hello", "Win at our casino!", "My card is 4111111111111111"} {
			if _, err := f.jane.Message(ctx, id, chat.Draft{Body: text}); err != nil {
				return fmt.Errorf("channel %d: %w", i, err)
			}
		}
	}
	mod, seen := f.moderator(), 0
	for m, err := range f.app.Events(ctx, chat.StartAt(chat.FromBeginning)) {
		if err != nil {
			return err
		}
		if m.IsUpdate || m.IsReplay {
			continue
		}
		if err := mod.moderate(ctx, m); err != nil {
			return err
		}
		if seen++; seen == 3*channels {
			break
		}
	}
	left, marked := map[string]int{}, 0
	for _, id := range f.channels {
		for m, err := range f.app.History(ctx, id) {
			if err != nil {
				return err
			}
			left[m.Body]++
			if m.Data[moderated] == true {
				marked++
			}
		}
	}
	for _, text := range []string{"Hello", "Win at our casino!", "My card is ****************"} {
		fmt.Fprintf(out, "%d × %s\n", left[text], text)
	}
	fmt.Fprintf(out, "%d marked\n", marked)
	return nil
}
