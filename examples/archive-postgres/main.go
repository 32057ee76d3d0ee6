// Archive-postgres keeps every message of an account in PostgreSQL, each exactly once, also
// when replicas of it are killed: the row and the position are committed together.
//
//	go run .
//	go run . -database postgres://user:password@host/database
//
// The archive itself is in archive.go. This is a module of its own, so that nobody who
// depends on the SDK gets the driver of PostgreSQL. Without FLIPLET_TOKEN it plays a scene
// over a local Fliplet inside the process: of two replicas one is killed in the middle of a
// transaction. The scene is in a schema of its own, which is dropped at its end; without
// -database it starts a PostgreSQL of its own, from the programs that are installed. With
// FLIPLET_TOKEN it archives what the account FLIPLET_LOGIN of the contacts FLIPLET_CONTACTS
// can see, until it is ended. Start as many replicas as you like.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/storage/pgstore/pgtest"
)

func main() {
	database := flag.String("database", "", "the database, such as postgres://user:password@host/database")
	messages := flag.Int("messages", 400, "how many messages the scene has")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	var err error
	switch {
	case os.Getenv(replicaEnv) != "":
		err = replica(ctx, os.Getenv(replicaEnv))
	case os.Getenv("FLIPLET_TOKEN") != "":
		err = account(ctx, *database)
	default:
		err = scene(ctx, os.Stdout, *database, *messages)
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "archive-postgres:", err)
		os.Exit(1)
	}
}

// account archives an account until ctx ends.
func account(ctx context.Context, database string) error {
	if database == "" {
		return errors.New("-database: say which one is to keep the archive")
	}
	client, err := datasource.NewClient(datasource.Config{Token: os.Getenv("FLIPLET_TOKEN"), BaseURL: os.Getenv("FLIPLET_API_URL")})
	if err != nil {
		return err
	}
	contacts, err := strconv.ParseInt(os.Getenv("FLIPLET_CONTACTS"), 10, 64)
	if err != nil {
		return errors.New("FLIPLET_CONTACTS: want the id of the contacts data source")
	}
	a, err := openArchive(ctx, database, "", slog.Default())
	if err != nil {
		return err
	}
	defer a.close()
	return login(ctx, a, os.Getenv("FLIPLET_LOGIN"), chat.Options{Client: client, DataSourceID: contacts, PrimaryKey: "Email", EncryptMessages: true})
}

// login logs the archive in, and archives.
func login(ctx context.Context, a *archive, email string, opts chat.Options) error {
	opts.Storage = a.store
	c, err := chat.Connect(ctx, opts)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.Login(ctx, chat.M{opts.PrimaryKey: email}); err != nil {
		return err
	}
	return a.follow(ctx, c)
}

// replicaEnv makes this program a replica of the scene. Its value is an order.
const replicaEnv = "ARCHIVE_POSTGRES_REPLICA"

// order is what a replica of the scene is told.
type order struct {
	Database, Schema, URL, Token string
	Contacts, App                int64
	DieAt                        int // in the middle of this message; 0 for never
}

// replica archives, until it is killed or kills itself.
func replica(ctx context.Context, said string) error {
	var o order
	if err := json.Unmarshal([]byte(said), &o); err != nil {
		return err
	}
	a, err := openArchive(ctx, o.Database, o.Schema, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer a.close()
	n := 0
	a.added = func() {
		if n++; n == o.DieAt {
			self, _ := os.FindProcess(os.Getpid())
			_ = self.Kill() // the row is written, and the position is not
			select {}
		}
	}
	client, err := datasource.NewClient(datasource.Config{Token: o.Token, BaseURL: o.URL})
	if err != nil {
		return err
	}
	return login(ctx, a, "archive@example.org", options(client, o.Contacts, o.App))
}

func options(client *datasource.Client, contacts, app int64) chat.Options {
	return chat.Options{
		Client: client, DataSourceID: contacts, AppID: app, PrimaryKey: "Email", EncryptMessages: true,
		LivePollInterval: 50 * time.Millisecond, // for a quick show; 2 s otherwise
	}
}

// scene lets two replicas archive. One is killed in the middle of a message, and the other
// one takes over when the lease of the dead one has run out, within 20 s.
func scene(ctx context.Context, out io.Writer, database string, messages int) (err error) {
	if messages < 10 {
		return errors.New("-messages: give 10 or more")
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute+time.Duration(messages)*50*time.Millisecond)
	defer cancel()
	if database == "" {
		server, err := pgtest.Run(ctx)
		if errors.Is(err, pgtest.ErrNotFound) {
			return fmt.Errorf("no -database was given, and none can be started: %w", err)
		}
		if err != nil {
			return err
		}
		defer server.Close()
		database = server.DSN()
	}
	o := order{Database: database, Schema: fmt.Sprint("archive_scene_", os.Getpid()), DieAt: 1 + messages/4}
	conn, err := pgx.Connect(ctx, database)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, "CREATE SCHEMA "+o.Schema); err != nil {
		return err
	}
	defer func() {
		tidy, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer cancel()
		_, dropped := conn.Exec(tidy, "DROP SCHEMA "+o.Schema+" CASCADE")
		err = errors.Join(err, dropped)
	}()

	local, err := fliplettest.Start()
	if err != nil {
		return err
	}
	defer local.Close()
	contacts, ids := local.AddContacts(datasource.M{"Email": "jane@example.org"}, datasource.M{"Email": "archive@example.org"})
	o.URL, o.Token, o.Contacts, o.App = local.URL, local.Token, contacts, local.AppID
	say, end, err := jane(ctx, options(local.Client(), contacts, local.AppID), ids[1:])
	if err != nil {
		return err
	}
	defer end()
	return play(ctx, out, o, messages, say)
}

// jane returns a function that says something in one of three conversations.
func jane(ctx context.Context, opts chat.Options, with []int64) (say func(n int) error, end func(), err error) {
	c, err := chat.Connect(ctx, opts)
	if err != nil {
		return nil, nil, err
	}
	end = func() { c.Close() }
	if _, err := c.Login(ctx, chat.M{"Email": "jane@example.org"}); err != nil {
		end()
		return nil, nil, err
	}
	var talks []int64
	for i := range 3 {
		conv, err := c.Create(ctx, chat.NewConversation{Name: fmt.Sprint("talk ", i), Participants: with})
		if err != nil {
			end()
			return nil, nil, err
		}
		talks = append(talks, conv.ID)
	}
	return func(n int) error {
		_, err := c.Message(ctx, talks[n%len(talks)], chat.Draft{Body: fmt.Sprint("message ", n)})
		return err
	}, end, nil
}

// play is the scene itself.
func play(ctx context.Context, out io.Writer, o order, messages int, say func(n int) error) error {
	a, err := openArchive(ctx, o.Database, o.Schema, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer a.close()
	first, err := start(ctx, o)
	if err != nil {
		return err
	}
	defer first.end()
	if err := say(0); err != nil {
		return err
	}
	if err := a.reach(ctx, 1); err != nil { // it has the lease, so the other one stands by
		return errors.Join(err, first.said())
	}
	o.DieAt = 0
	second, err := start(ctx, o)
	if err != nil {
		return err
	}
	defer second.end()
	for n := 1; n < messages/2; n++ {
		if err := say(n); err != nil {
			return err
		}
	}
	select {
	case <-first.ended:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	var rows int
	if err := a.pool.QueryRow(ctx, "SELECT count(*) FROM archive").Scan(&rows); err != nil {
		return err
	}
	fmt.Fprintf(out, "a replica was killed in the middle of its message %d; %d are archived\n", 1+messages/4, rows)
	died := time.Now()
	for n := messages / 2; n < messages; n++ {
		if err := say(n); err != nil {
			return err
		}
	}
	if err := a.reach(ctx, rows+1); err != nil {
		return errors.Join(err, second.said())
	}
	fmt.Fprintf(out, "another one took over after %v\n", time.Since(died).Round(time.Second))
	if err := a.reach(ctx, messages); err != nil {
		return errors.Join(err, second.said())
	}
	result, err := a.counts(ctx, messages)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, result)
	if !strings.HasPrefix(result, "ok") {
		return errors.New("the archive is not what was said")
	}
	return nil
}

// reach waits until there are so many rows.
func (a *archive) reach(ctx context.Context, rows int) error {
	for n := 0; n < rows; {
		if err := a.pool.QueryRow(ctx, "SELECT count(*) FROM archive").Scan(&n); err != nil {
			return err
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("%d of %d rows: %w", n, rows, context.Cause(ctx))
		}
	}
	return nil
}

// process is a replica that runs.
type process struct {
	cmd    *exec.Cmd
	stderr strings.Builder
	ended  chan struct{}
}

func start(ctx context.Context, o order) (*process, error) {
	said, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &process{cmd: exec.CommandContext(ctx, self), ended: make(chan struct{})} //nolint:gosec // it is this program
	p.cmd.Env = append(os.Environ(), replicaEnv+"="+string(said))
	p.cmd.Stderr = &p.stderr
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

func (p *process) end() {
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// said is what a replica that has ended had to say.
func (p *process) said() error {
	p.end()
	if p.stderr.Len() == 0 {
		return nil
	}
	return errors.New(strings.TrimSpace(p.stderr.String()))
}
