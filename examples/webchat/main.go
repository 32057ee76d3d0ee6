// Webchat is a chat in the browser: two people side by side in one window, a bot in a group,
// and a drawer that makes the network lose, double, delay and refuse, with counters of what
// came of it.
//
//	go run ./examples/webchat
//
// starts a local Fliplet inside the process and prints one line with the address of the
// page. It needs no account, and loads nothing from anywhere else. Each person can also be
// seen alone, at /?as=jane, /?as=bob and so on.
//
// A second process serves the chats, through package chathttp, so that it can be killed
// while the pages go on: see server.go. The pages are plain HTML, CSS and JavaScript, in
// static.
//
// Two contacts of a real account chat instead with
//
//	FLIPLET_TOKEN=eu--… go run ./examples/webchat -contacts 731 -as jane@example.org,bob@example.org
//
// The program says what is going to be written and waits for a yes. -token takes the token,
// too, but others on the machine can see what stands on a command line.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// serverVariable tells a second process of this program what it is.
const serverVariable = "WEBCHAT_SERVER"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	var err error
	if os.Getenv(serverVariable) != "" {
		err = serve(ctx, os.Stdin, os.Stdout)
	} else {
		err = run(ctx, os.Args[1:], env{get: os.Getenv, in: os.Stdin, out: os.Stdout, errs: os.Stderr})
	}
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "webchat:", err)
		os.Exit(1)
	}
}

// env is what the program takes from outside.
type env struct {
	get       func(string) string
	in        io.Reader // where a person answers questions
	out, errs io.Writer
}

func run(ctx context.Context, args []string, e env) error {
	o, err := readOptions(args, e)
	if err != nil {
		return err
	}
	log := slog.New(slog.DiscardHandler)
	if o.verbose {
		log = slog.New(slog.NewTextHandler(e.errs, nil))
	}
	var w *world
	if o.token == "" {
		w, err = newLocalWorld(ctx)
	} else {
		w, err = newAccountWorld(ctx, e, o)
	}
	if err != nil {
		return err
	}
	defer w.close()
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", o.addr)
	if err != nil {
		return fmt.Errorf("-addr: %w", err)
	}
	defer listener.Close()
	child, err := startChild(ctx, w, log, e.errs)
	if err != nil {
		return err
	}
	defer child.end()
	front := newFront(w, child, log)
	server := &http.Server{Handler: front.handler(), ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn)}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	fmt.Fprintf(e.out, "http://%s/\n", listener.Addr())
	select {
	case <-ctx.Done():
		return server.Close() // streams never end by themselves
	case err := <-ended:
		return err
	}
}

// options are what the command line says.
type options struct {
	addr, token, url, primaryKey string
	contacts, app                int64
	as                           string
	yes, verbose                 bool
}

func readOptions(args []string, e env) (options, error) {
	var o options
	flags := flag.NewFlagSet("webchat", flag.ContinueOnError)
	flags.SetOutput(e.errs)
	flags.StringVar(&o.addr, "addr", "127.0.0.1:8099", "where to listen; port 0 takes a free one")
	flags.StringVar(&o.token, "token", "", "API token of a real account; better in FLIPLET_TOKEN, where others on the machine do not see it")
	flags.Int64Var(&o.contacts, "contacts", 0, "id of the contacts data source of that account")
	flags.StringVar(&o.as, "as", "", "the contacts of that account who chat: their values of the primary key, with commas between")
	flags.StringVar(&o.primaryKey, "primary-key", "Email", "the column that identifies a contact")
	flags.Int64Var(&o.app, "app", 0, "the app in which conversations are made; default the app of the contacts")
	flags.StringVar(&o.url, "api", "", "the API host; default the one of the token's region")
	flags.BoolVar(&o.yes, "yes", false, "do not ask before something is written to the account")
	flags.BoolVar(&o.verbose, "v", false, "log what fails to standard error")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if o.token == "" && (o.contacts != 0 || o.as != "") {
		o.token = e.get("FLIPLET_TOKEN")
	}
	var errs []error
	if flags.NArg() > 0 {
		errs = append(errs, fmt.Errorf("%q: webchat takes flags only", flags.Arg(0)))
	}
	switch {
	case o.token == "" && (o.contacts != 0 || o.as != ""):
		errs = append(errs, errors.New("FLIPLET_TOKEN: not set; -contacts and -as are about a real account, which needs a token"))
	case o.token != "" && o.contacts <= 0:
		errs = append(errs, fmt.Errorf("-contacts: %d is not an id; give the one of the contacts data source", o.contacts))
	}
	if o.token != "" && len(logins(o.as)) == 0 {
		errs = append(errs, fmt.Errorf("-as: names nobody; give the %s of one contact or more", o.primaryKey))
	}
	host, _, err := net.SplitHostPort(o.addr)
	switch ip := net.ParseIP(host); {
	case err != nil:
		errs = append(errs, fmt.Errorf("-addr: %q is no host and port, such as 127.0.0.1:8099", o.addr))
	case host != "localhost" && (ip == nil || !ip.IsLoopback()):
		errs = append(errs, fmt.Errorf("-addr: %q can be reached by others, and whoever reaches the page is logged in; use 127.0.0.1", o.addr))
	}
	return o, errors.Join(errs...)
}
