package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/alecthomas/kong"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
)

// The exit statuses, which scripts rely on.
const (
	exitOK          = 0
	exitOther       = 1   // a full disk, or a check that found something
	exitUsage       = 2   // what was given cannot be used: to be changed before the next try
	exitService     = 3   // the network or the service failed: may work later
	exitInterrupted = 130 // Ctrl-C, as shells say it
)

// usageError is a mistake of whoever called. Its text says what to do.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

// usagef is an error with status 2. Its text has to say what to do.
func usagef(format string, a ...any) error { return &usageError{fmt.Sprintf(format, a...)} }

// exitError ends a command that has already said everything.
type exitError int

func (e exitError) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// status is the exit status of an error.
func status(err error) int {
	var usage *usageError
	var exit exitError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &exit):
		return int(exit)
	case errors.As(err, &usage):
		return exitUsage
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	case errors.Is(err, chat.ErrOffline), datasource.Temporary(err), errors.Is(err, context.DeadlineExceeded):
		return exitService
	case errors.Is(err, chat.ErrInvalid), errors.Is(err, chat.ErrContactNotFound), errors.Is(err, chat.ErrNotFound),
		errors.Is(err, datasource.ErrUnauthorized), errors.Is(err, datasource.ErrForbidden), errors.Is(err, datasource.ErrNotFound), errors.Is(err, datasource.ErrAccessDenied):
		return exitUsage
	}
	var refused *datasource.Error
	var call *chat.Error
	if errors.As(err, &refused) || errors.As(err, &call) { // an answer that makes no sense, too
		return exitService
	}
	return exitOther
}

// advice is what to do about an error that says only what happened.
func advice(err error) string {
	var usage *usageError
	switch {
	case errors.As(err, &usage):
		return "" // it says so itself
	case errors.Is(err, datasource.ErrUnauthorized):
		return "The token was refused: make a new one in Fliplet Studio, or check --region."
	case errors.Is(err, datasource.ErrAccessDenied), errors.Is(err, datasource.ErrForbidden):
		return "The token has no right to do this: give it one in the access rules of the data source (flchat doctor shows which)."
	case errors.Is(err, chat.ErrContactNotFound):
		return "Nobody in the contacts matches --as: give a column and its value, such as --as Email=jane@example.org (flchat contacts lists them)."
	case errors.Is(err, chat.ErrNotFound), errors.Is(err, datasource.ErrNotFound):
		return "Check the id: flchat conversations lists those that you are in."
	case errors.Is(err, chat.ErrOffline):
		return "Fliplet cannot be reached: check the network and --region, and try again."
	}
	return ""
}

// explain makes a sentence of what the parser of the command line says.
func explain(err error) error {
	var usage *usageError
	var parse *kong.ParseError
	if errors.As(err, &usage) || !errors.As(err, &parse) {
		return err
	}
	command := "flchat"
	if node := parse.Context.Selected(); node != nil {
		command += " " + node.Name
	}
	return usagef("%s; %s -h says what there is", err, command)
}

// report says what went wrong, and returns the exit status.
func (a *app) report(err error) int {
	code := status(err)
	var exit exitError
	switch {
	case err == nil, errors.As(err, &exit):
	case code == exitInterrupted:
		a.errs.Printf("flchat: interrupted\n")
	default:
		const name = "flchat:"
		text := strings.TrimPrefix(strings.Join(wrap(name+" "+safe(err.Error()), a.errs.width()), "\n"), name)
		a.errs.Printf("%s%s\n", a.errs.Paint(red, name), text)
		if what := advice(err); what != "" {
			a.errs.Printf("%s\n", strings.Join(wrap(what, a.errs.width()), "\n"))
		}
	}
	return code
}
