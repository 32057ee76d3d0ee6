// Package contender drives chat libraries through their public API, each as its own
// documentation does it, and all behind one type.
package contender

import (
	"context"
	"sync"
	"time"

	"github.com/fliplet/fliplet-chat-go/bench/fake"
)

// Setup is what a receive loop begins with.
type Setup struct {
	fake.Where
	// Account makes loops independent of each other where a service shares messages out
	// among the connections of one account.
	Account int
	// Dir is a folder in which a library may keep its position, where it can.
	Dir string
	// Poll is the time between polls, where a library has one. Zero is its default.
	Poll time.Duration
	// Handlers get the numbers of messages. A library that has no more than one gets one.
	Handlers []func(seq int)
}

// Contender is a library in one of its ways to be used.
type Contender struct {
	// Name is the library, and the way.
	Name string
	// Module is its path, and Way the calls that are measured.
	Module, Way string
	// Service is the fake that it talks to.
	Service string
	// Single means that a client has one handler.
	Single bool
	// Start starts a receive loop, and returns once it runs. Its stop is the way to end
	// it which the library documents.
	Start func(context.Context, Setup) (stop func(), err error)
	// Read reads all messages by pages, oldest or newest first, and returns.
	Read func(ctx context.Context, at fake.Where, handle func(seq int)) error
	// Send returns a function that sends one message. It may be called concurrently.
	Send func(ctx context.Context, at fake.Where) (func(text string) error, error)
}

// All are the contenders of the scoreboard; speed has lists of its own.
func All() []Contender {
	return []Contender{
		consume(), stream(), slackEvents(), slackHandler(), discord(false), discord(true), matrix(), telegram(false), telegram(true),
	}
}

// Receive are those whose receiving is measured. All of them keep the order; what does
// not by default is set so that it does.
func Receive() []Contender {
	return []Contender{
		floor(), events(), slackHistory(), slackEvents(), discordHistory(), discord(true), matrix(), telegram(true),
	}
}

// Send are those whose sending is measured, and the floors of their services.
func Send() []Contender {
	return append([]Contender{floor(), events(), slackHistory(), discordHistory(), matrix(), telegram(true)}, bares()...)
}

// IsFloor reports whether it is no library but what libraries are compared with.
func (c Contender) IsFloor() bool { return c.Module == "" }

// Find is the contender of that name.
func Find(name string) (Contender, bool) {
	for _, list := range [][]Contender{All(), Receive(), Send()} {
		for _, c := range list {
			if c.Name == name {
				return c, true
			}
		}
	}
	return Contender{}, false
}

// loop is what runs until it is stopped.
type loop struct {
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

func newLoop(ctx context.Context) (context.Context, *loop) {
	ctx, cancel := context.WithCancel(ctx)
	return ctx, &loop{cancel: cancel}
}

// stop cancels the context and waits for what runs with it.
func (l *loop) stop() {
	l.cancel()
	l.wg.Wait()
}

func each(handlers []func(int), seq int) {
	for _, h := range handlers {
		h(seq)
	}
}
