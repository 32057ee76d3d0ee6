package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// commands is what can be typed. Each command is a type in a file of its own.
type commands struct {
	globals

	Conversations conversationsCmd `cmd:"" help:"List the conversations that you are in."`
	Export        exportCmd        `cmd:"" help:"Bring an archive of your chats up to date, or begin one."`
	Verify        verifyCmd        `cmd:"" help:"Say whether an archive is as it was written, and what was changed."`
	View          viewCmd          `cmd:"" help:"Write an archive as a page of HTML with a search and plots, or as JSON."`
	Import        importCmd        `cmd:"" help:"Write an archive into another app; without --write, say what that would write."`
}

// app is what a command runs with.
type app struct {
	ctx context.Context // ends with Ctrl-C
	globals
	stdin io.Reader
	out   *printer // standard output: what was asked for
	errs  *printer // standard error: warnings, questions, progress
	now   func() time.Time
}

// run is the program; it returns its exit status.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	var cli commands
	errs := newPrinter(stderr, "text", os.Getenv("NO_COLOR") != "")
	ended := -1
	parser, err := kong.New(&cli,
		kong.Name("flchat"),
		kong.Description("Looks into the chats of a Fliplet app, sends, and checks. Tokens come from FLIPLET_TOKEN, from --token-file or from the configuration, never from the command line."),
		kong.Writers(stdout, stderr),
		kong.Exit(func(code int) { ended = code }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
		kong.ShortUsageOnError(),
	)
	if err != nil {
		return report(errs, err)
	}
	args = doubleDashes(args, parser)
	parsed, err := parser.Parse(args)
	if ended >= 0 { // -h has been answered
		return ended
	}
	if err != nil {
		return report(errs, usagef("%s; flchat -h lists commands and flags", err))
	}
	a := &app{ctx: ctx, globals: cli.globals, stdin: stdin, now: time.Now}
	a.out = newPrinter(stdout, a.Output, a.NoColor)
	a.errs = newPrinter(stderr, "text", a.NoColor)
	if err := a.configure(); err != nil {
		return report(a.errs, err)
	}
	defer a.close()
	return report(a.errs, parsed.Run(a))
}
