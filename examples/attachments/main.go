// Attachments sends a picture and a report, and downloads them at the other end.
//
//	go run ./examples/attachments
//
// Everything runs over a local Fliplet inside the process.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"os"
	"os/signal"
	"path"
	"strings"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "attachments:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer) error {
	server, err := fliplettest.Start()
	if err != nil {
		return err
	}
	defer server.Close()
	contacts, ids := server.AddContacts(datasource.M{"Email": "jane@example.org"}, datasource.M{"Email": "bob@example.org"})
	var people []*chat.Chat
	for _, email := range []string{"jane@example.org", "bob@example.org"} {
		c, err := chat.Connect(ctx, chat.Options{
			Client: server.Client(), DataSourceID: contacts, AppID: server.AppID,
			PrimaryKey: "Email", EncryptMessages: true, // makes uploads private, too
		})
		if err != nil {
			return err
		}
		defer c.Close()
		if _, err := c.Login(ctx, chat.M{"Email": email}); err != nil {
			return err
		}
		people = append(people, c)
	}
	jane, bob := people[0], people[1]
	conv, err := jane.Create(ctx, chat.NewConversation{Participants: []int64{ids[1]}})
	if err != nil {
		return err
	}
	if err := send(ctx, jane, conv.ID); err != nil {
		return err
	}
	unread, err := bob.Unread().Get(ctx)
	if err != nil {
		return err
	}
	for _, m := range unread {
		if err := receive(ctx, out, bob, m); err != nil {
			return err
		}
	}
	return snoop(ctx, out, server.Client(), unread[0])
}

// send sends a picture, and then a long report that is streamed and a link.
func send(ctx context.Context, c *chat.Chat, conversationID int64) error {
	picture := image.NewPaletted(image.Rect(0, 0, 64, 48), color.Palette{color.White, color.Black})
	var b bytes.Buffer
	if err := png.Encode(&b, picture); err != nil {
		return err
	}
	// Its size in pixels is stored with it, so that clients can leave room.
	if _, err := c.Message(ctx, conversationID, chat.Draft{
		Files: []chat.File{{Name: "map.png", Content: b.Bytes()}},
	}); err != nil {
		return err
	}
	report := strings.Repeat("day,visitors\n", 10_000)
	_, err := c.Message(ctx, conversationID, chat.Draft{
		Body: "The numbers, and where they come from",
		Files: []chat.File{
			{Name: "report.csv", Reader: strings.NewReader(report), Size: int64(len(report))},
			{URL: "https://example.org/source"}, // stored as it is
		},
	})
	return err
}

// receive downloads what was uploaded.
func receive(ctx context.Context, out io.Writer, c *chat.Chat, m *chat.Message) error {
	if m.Body != "" {
		fmt.Fprintf(out, "%q\n", m.Body)
	}
	for i, address := range m.Files {
		// A message can name any address: download from hosts that you trust only.
		if strings.HasPrefix(address, "https://example.org/") {
			fmt.Fprintln(out, "link", address)
			continue
		}
		var file bytes.Buffer
		steps := 0
		contentType, n, err := c.Download(ctx, m, i, &file, chat.Progress(func(got, total int64) { steps++ }))
		if err != nil {
			return err
		}
		if steps == 0 {
			return errors.New("a download without progress")
		}
		contentType, _, _ = strings.Cut(contentType, ";")
		switch contentType {
		case "image/png":
			if _, err := png.Decode(&file); err != nil {
				return err
			}
			fmt.Fprintf(out, "%s: a picture of %v×%v\n", path.Base(address), m.Data["imageWidth"], m.Data["imageHeight"])
		default:
			fmt.Fprintf(out, "%s: %s, %d bytes, %d lines\n", path.Base(address), contentType, n, bytes.Count(file.Bytes(), []byte("\n")))
		}
	}
	return nil
}

// snoop tries to download a private file with a token but without the conversation's key.
func snoop(ctx context.Context, out io.Writer, client *datasource.Client, m *chat.Message) error {
	_, _, err := client.Download(ctx, m.Files[0], nil, io.Discard, nil)
	if !errors.Is(err, datasource.ErrAccessDenied) {
		return fmt.Errorf("a private file without its key: want a refusal, got %v", err)
	}
	fmt.Fprintln(out, "without the conversation's key: refused")
	return nil
}
