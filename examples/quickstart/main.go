// Quickstart lets three people chat, end to end, and checks every step itself.
//
//	go run ./examples/quickstart
//
// starts a local Fliplet inside the process, logs Jane, Bob and Eve in and prints
// what they say and what was checked. It needs no account, exits with status 1 at
// the first difference, and ends with a line such as
//
//	ok: 12 messages, 0 lost, 0 twice
//
// With a token it lets two contacts of a real account talk instead. It says what
// it is going to write and waits for a yes.
//
//	FLIPLET_TOKEN        API token, such as eu--…
//	FLIPLET_CONTACTS     id of the contacts data source
//	FLIPLET_LOGIN_A      how the first contact logs in: the value of the primary key column
//	FLIPLET_LOGIN_B      the same for the second contact
//	FLIPLET_PRIMARY_KEY  the primary key column; default Email
//	FLIPLET_APP_ID       app for the conversation; default the app of the contacts
//	FLIPLET_API_URL      API host; default the one of the token's region
//	FLIPLET_YES          1 writes without asking
package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"

	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Stdout, env{get: os.Getenv, in: os.Stdin})
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

// env is what the program takes from outside.
type env struct {
	get func(string) string // an environment variable
	in  io.Reader           // where a person answers questions
	// server says how the local Fliplet is started, and http is the way to an
	// account; nil is the ordinary way. Tests do without a network.
	server []fliplettest.Option
	http   *http.Client
	// wire, unless nil, gives the way to the local Fliplet. Tests damage what
	// passes there, to see that the checks notice.
	wire func(*fliplettest.Server) http.RoundTripper
}

func run(ctx context.Context, out io.Writer, e env) error {
	if e.get("FLIPLET_TOKEN") == "" && e.get("FLIPLET_CONTACTS") == "" {
		return runLocal(ctx, out, e)
	}
	return runAccount(ctx, out, e)
}
