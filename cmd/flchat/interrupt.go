package main

import (
	"strings"
	"time"
)

// After Ctrl-C a command has so long to end on its own, and this program to say that it did not.
// Together they are less than a second.
const (
	grace    = 700 * time.Millisecond
	lastWord = 150 * time.Millisecond
)

// onward says how to go on after a command that was cut off, for those that do not know better when they run.
var onward = map[string]string{
	"export": "the archive is consistent, and the same command goes on from here",
	"import": "the same command goes on from here",
}

// ending is what to say, and the exit status, when a command has to be left behind.
type ending struct {
	text string // "" for nothing
	code int
}

// ifCut notes how to go on from here. A command calls it again whenever that changes.
func (a *app) ifCut(text string, code int) { a.end.Store(&ending{text, code}) }

// cutOff ends the program although the command has not ended. Its words may be held up as well.
func (a *app) cutOff() int {
	text, code := "flchat: interrupted\n", exitInterrupted
	if c := a.end.Load(); c != nil {
		if c.text != "" {
			text += "flchat: " + strings.TrimSuffix(c.text, "\n") + "\n"
		}
		code = c.code
	}
	said := make(chan struct{})
	go func() {
		defer close(said)
		a.errs.last(text)
	}()
	timer := time.NewTimer(lastWord)
	defer timer.Stop()
	select {
	case <-said:
	case <-timer.C:
	}
	return code
}
