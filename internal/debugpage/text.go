package debugpage

import (
	"context"
	"errors"
	"fmt"

	"github.com/fliplet/fliplet-chat-go/datasource"
)

// Kind is what the page says of an error that a function of the program has returned, or
// its Storage: the type alone, whatever it wraps. Its text may hold a message, or an
// address with a password, also where it wraps an error of this module.
func Kind(err error) string {
	if err == nil {
		return ""
	}
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return fmt.Sprintf("%T", err)
		}
		err = inner
	}
}

// Answer is what the page says of a request that failed: what the server answered, or that
// it did not. Everything below one that says it is foreign comes from the program, as what
// a client says that nobody answered does: the type alone.
func Answer(err error) string {
	if answer := answerIn(err); answer != nil {
		return words(answer)
	}
	for _, known := range []error{datasource.ErrNoSlot, datasource.ErrNoAnswer, context.DeadlineExceeded, context.Canceled} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	if datasource.Temporary(err) {
		return "the server cannot be reached"
	}
	return Kind(err)
}

// Impaired is what the page says of a rate limiter that is impaired.
func Impaired(err error) string {
	if errors.Is(err, datasource.ErrImpaired) {
		return datasource.ErrImpaired.Error()
	}
	return Kind(err)
}

// answerIn finds the answer of the server in an error. A program can make a
// *datasource.Error, too, but not one that names a request, and what is marked as foreign is
// not looked into.
func answerIn(err error) *datasource.Error {
	switch e := err.(type) { //nolint:errorlint // each one by itself
	case nil:
		return nil
	case interface{ Foreign() bool }:
		if e.Foreign() {
			return nil
		}
	case *datasource.Error:
		if made.MatchString(e.Error()) {
			return e
		}
		return nil
	}
	switch e := err.(type) { //nolint:errorlint // each one by itself
	case interface{ Unwrap() error }:
		return answerIn(e.Unwrap())
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			if a := answerIn(inner); a != nil {
				return a
			}
		}
	}
	return nil
}
