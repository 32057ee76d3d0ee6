// Archive keeps all messages of an app in SQLite, with edits and deletions, also across
// restarts and kills.
//
//	go run .
//
// The archive itself is in archive.go. This is a module of its own, so that nobody who
// depends on the SDK gets the driver of SQLite. Without FLIPLET_TOKEN it plays a scene
// over a local Fliplet inside the process. With it, it archives every conversation that the
// token may read, whoever is in them, until it is ended. FLIPLET_CONTACTS is the id of the
// contacts. While nothing is said it makes one request in 2 s, with up to 2,000 conversations.
package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	var err error
	if os.Getenv("FLIPLET_TOKEN") != "" {
		err = account(ctx, ".")
	} else {
		err = scene(ctx, os.Stdout)
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "archive:", err)
		os.Exit(1)
	}
}

// account archives an app of an account into dir/archive.db, which has the position, too.
func account(ctx context.Context, dir string) error {
	client, err := datasource.NewClient(datasource.Config{Token: os.Getenv("FLIPLET_TOKEN"), BaseURL: os.Getenv("FLIPLET_API_URL")})
	if err != nil {
		return err
	}
	contacts, err := strconv.ParseInt(os.Getenv("FLIPLET_CONTACTS"), 10, 64)
	if err != nil {
		return errors.New("FLIPLET_CONTACTS: want the id of the contacts data source")
	}
	return follow(ctx, dir, chat.Options{Client: client, DataSourceID: contacts, EncryptMessages: true})
}

// follow archives until ctx ends.
func follow(ctx context.Context, dir string, opts chat.Options) error {
	a, err := openArchive(ctx, filepath.Join(dir, "archive.db"))
	if err != nil {
		return err
	}
	defer a.close()
	opts.Storage = a.store
	app, err := chat.OpenApp(ctx, chat.AppOptions{Options: opts})
	if err != nil {
		return err
	}
	defer app.Close()
	return a.follow(ctx, app)
}

// scene plays two days: what is edited and deleted at night, while no archive runs, is
// archived in the morning.
func scene(ctx context.Context, out io.Writer) error {
	dir, err := os.MkdirTemp("", "archive")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	server, err := fliplettest.Start()
	if err != nil {
		return err
	}
	defer server.Close()
	contacts, ids := server.AddContacts(datasource.M{"Email": "jane@example.org"}, datasource.M{"Email": "bob@example.org"})
	opts := chat.Options{
		Client: server.Client(), DataSourceID: contacts, AppID: server.AppID, PrimaryKey: "Email", EncryptMessages: true,
	}
	jane, err := chat.Connect(ctx, opts)
	if err != nil {
		return err
	}
	defer jane.Close()
	if _, err := jane.Login(ctx, chat.M{"Email": "jane@example.org"}); err != nil {
		return err
	}
	conv, err := jane.Create(ctx, chat.NewConversation{Participants: ids[1:]})
	if err != nil {
		return err
	}
	var said []*chat.Message
	for _, text := range []string{"The code is 1234", "See you at 9", "Good night"} {
		m, err := jane.Message(ctx, conv.ID, chat.Draft{Body: text})
		if err != nil {
			return err
		}
		said = append(said, m)
	}
	if err := day(ctx, out, dir, opts, 3); err != nil {
		return err
	}
	if err := jane.DeleteMessage(ctx, conv.ID, said[0].ID); err != nil {
		return err
	}
	if _, err := jane.UpdateMessage(ctx, conv.ID, said[1].ID, chat.M{"body": "See you at 10", "isEdited": true}); err != nil {
		return err
	}
	return day(ctx, out, dir, opts, 5)
}

// read opens the archive beside the process that writes it.
func read(ctx context.Context, dir string) (*sql.DB, error) {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "archive.db")+"?_pragma=journal_mode(WAL)&_pragma=busy_timeout(10000)")
	if err != nil {
		return nil, err
	}
	if _, err := db.ExecContext(ctx, schema); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// day runs the archive until it has so many versions, and prints what it has.
func day(ctx context.Context, out io.Writer, dir string, opts chat.Options, versions int) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- follow(running, dir, opts) }()
	db, err := read(ctx, dir)
	if err == nil {
		defer db.Close()
		for n := 0; err == nil && n < versions; time.Sleep(20 * time.Millisecond) {
			err = db.QueryRowContext(ctx, `SELECT count(*) FROM versions`).Scan(&n)
		}
	}
	stop()
	if err := errors.Join(err, <-ended); err != nil {
		return err
	}
	var live int
	if err := db.QueryRowContext(ctx, `SELECT count(*) FROM messages`).Scan(&live); err != nil {
		return err
	}
	fmt.Fprintf(out, "%d versions, %d messages are left\n", versions, live)
	rows, err := db.QueryContext(ctx, `SELECT kind, body FROM versions ORDER BY message, rowid`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var kind, body string
		if err := rows.Scan(&kind, &body); err != nil {
			return err
		}
		fmt.Fprintf(out, "  %s %s\n", kind, body)
	}
	return rows.Err()
}
