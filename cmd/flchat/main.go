package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/alecthomas/kong"

	"github.com/fliplet/fliplet-chat-go/datasource"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// commands is what can be typed. Each command is a type in a file of its own.
type commands struct {
	globals

	Doctor        doctorCmd        `cmd:"" help:"Check the token, the contacts, the rights and everything else that a chat needs. It changes nothing."`
	Tail          tailCmd          `cmd:"" help:"Show messages as they come, beginning with the newest."`
	Send          sendCmd          `cmd:"" help:"Send a message."`
	Unread        unreadCmd        `cmd:"" help:"Show what you have not read. It stays unread."`
	Conversations conversationsCmd `cmd:"" help:"List the conversations that you are in."`
	Contacts      contactsCmd      `cmd:"" help:"List the people that you can chat with, or look for some."`
	Conform       conformCmd       `cmd:"" help:"Find out whether the account behaves as the SDK assumes. Without --run it prints what it would write, and writes nothing."`
	Export        exportCmd        `cmd:"" help:"Bring an archive of your chats up to date, or begin one."`
	Verify        verifyCmd        `cmd:"" help:"Say whether an archive is as it was written, and what was changed."`
	View          viewCmd          `cmd:"" help:"Write an archive as a page of HTML with a search and plots, or as JSON."`
	Import        importCmd        `cmd:"" help:"Write an archive into another app; without --write, say what that would write."`
	Local         localCmd         `cmd:"" passthrough:"" help:"Run a local Fliplet for other programs, as fliplet-local does. It has flags of its own: flchat local -h."`
	Completion    completionCmd    `cmd:"" help:"Print a script that completes commands and flags in a shell."`
	Man           manCmd           `cmd:"" help:"Print the manual page."`
}

// app is what a command runs with.
type app struct {
	ctx  context.Context // ends with Ctrl-C
	args []string
	globals
	stdin io.Reader
	out   *printer // standard output: what was asked for
	errs  *printer // standard error: warnings, questions, progress
	now   func() time.Time
	zone  *time.Location // of the person who reads

	config     *config
	client     *datasource.Client
	transport  http.RoundTripper // nil for the usual one
	tokenFrom  string            // where the token is, for errors
	localToken string
	closers    []func()

	patience atomic.Int64 // for how long the command may go on after ctx has ended
	end      atomic.Pointer[ending]
}

// run is the program; it returns its exit status. When ctx ends, so does the command; one that is
// held up by a pipe that nobody reads, or by a file that nobody writes, is left behind.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	a := &app{ctx: ctx, args: args, stdin: stdin, errs: newPrinter(stderr, "text", os.Getenv("NO_COLOR") != ""), now: time.Now, zone: time.Local}
	a.patience.Store(int64(grace))
	ended := make(chan int, 1)
	go func() { ended <- a.run(stdout, stderr) }()
	select {
	case code := <-ended:
		return code
	case <-ctx.Done():
	}
	timer := time.NewTimer(time.Duration(a.patience.Load()))
	defer timer.Stop()
	select {
	case code := <-ended:
		return code
	case <-timer.C:
		return a.cutOff()
	}
}

// run runs what the arguments say.
func (a *app) run(stdout, stderr io.Writer) int {
	plain := os.Getenv("NO_COLOR") != ""
	defer a.close()
	var cli commands
	ended := -1
	parser, err := newParser(&cli, kong.Writers(stdout, stderr), kong.Exit(func(code int) { ended = code }), kong.Bind(a))
	if err != nil {
		return a.report(err)
	}
	for i, arg := range a.args {
		if !utf8.ValidString(arg) { // the parser would put other characters there
			return a.report(usagef("argument %d is no UTF-8 text; read it from a file or from standard input", i+1))
		}
	}
	a.args = doubleDashes(a.args, parser)
	parsed, err := parser.Parse(a.args)
	if ended >= 0 { // -h has been answered
		return ended
	}
	if err != nil {
		return a.report(explain(err))
	}
	a.globals = cli.globals
	plain = plain || a.NoColor
	a.errs.color = a.errs.color && !plain
	a.out = newPrinter(stdout, a.Output, plain)
	a.ifCut(onward[parsed.Selected().Name], exitInterrupted)
	err = parsed.Run(a)
	if lost := a.out.failure(); lost != nil && (err == nil || errors.Is(err, lost)) {
		err = fmt.Errorf("the output cannot be written: %w", lost)
		if done := a.end.Load(); done != nil && done.text != "" { // such as a message that was sent all the same
			err = fmt.Errorf("%w; %s", err, done.text)
		}
	}
	return a.report(err)
}

func newParser(cli *commands, options ...kong.Option) (*kong.Kong, error) {
	return kong.New(cli, append([]kong.Option{
		kong.Name("flchat"),
		kong.Description("Looks into the chats of a Fliplet app, sends, and checks."),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
		kong.ValueFormatter(func(v *kong.Value) string {
			if from := v.Tag.Get("from"); from != "" {
				return v.Help + " ($" + from + ")"
			}
			return v.Help
		}),
	}, options...)...)
}
