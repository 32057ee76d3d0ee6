package datasource

import (
	"context"

	"github.com/fliplet/fliplet-chat-go/hooks"
	"github.com/fliplet/fliplet-chat-go/internal/budget"
)

// View returns a client that shares everything with c, its connections and Limiter too, but takes its own turns at the
// Limiter: see there. It costs a few dozen bytes. Package chat makes one for each Chat.
//
// Its requests are told to hooks, if there are any: see hooks.RequestHook and hooks.WaitHook. Those of c are not told.
func (c *Client) View(told ...hooks.Hook) *Client {
	return &Client{c.shared, &caller{view: true}, newWatch(told)}
}

// Turn says whose turn a request takes at a Limiter. Those of one caller and class are equal, so that it can be the key
// of a map. The zero Turn is that of programs that call Wait.
type Turn struct {
	who   *caller // nil: callers of Wait
	class Class
}

// Class is what kind of request it is.
func (t Turn) Class() Class { return t.class }

// SameCaller reports whether one Client, or View, makes the requests of both, whatever their classes.
func (t Turn) SameCaller(u Turn) bool { return t.who == u.who }

// caller is one who makes requests, a Client or a View.
type caller struct{ view bool }

// Class is a kind of requests, for a Limiter that treats them differently. There may be more of them in later versions:
// take those that you do not know for ClassOther.
type Class uint8

const (
	// ClassOther is everything without a class of its own, and all requests of a Client that is no View.
	ClassOther Class = iota
	// ClassSend is what a View writes.
	ClassSend
	// ClassLive is reads of what may be new, and others that are asked again; see AskAgain.
	ClassLive
	// ClassBackground is what nobody waits for; see Unhurried.
	ClassBackground
	// ClassIndex is reads that say what to read.
	ClassIndex
	// ClassMark is what marks messages as read.
	ClassMark
)

// turns is the class of a Window's turns.
func (c Class) turns() budget.Class {
	if c > ClassMark {
		return budget.Other
	}
	return budget.Class(c)
}

type inClass struct{}

// InClass returns a context whose requests have a class at the Limiter, whoever makes them and whether they write. What is
// unhurried already stays so.
func InClass(ctx context.Context, class Class) context.Context {
	if ClassOf(ctx) == ClassBackground {
		return ctx
	}
	return context.WithValue(ctx, inClass{}, class)
}

// ClassOf is the class that InClass or Unhurried has given a context, [ClassOther] if neither has.
func ClassOf(ctx context.Context) Class {
	class, _ := ctx.Value(inClass{}).(Class)
	return class
}

// Unhurried returns a context for requests that nobody waits for, such as an import, an export or an archive: at the
// Limiter they come after those of others, and after the client's own that are not unhurried.
func Unhurried(ctx context.Context) context.Context { return InClass(ctx, ClassBackground) }

// turnOf is the turn of a call.
func (c *Client) turnOf(ctx context.Context, cl *call) Turn {
	t := Turn{who: c.caller}
	class, marked := ctx.Value(inClass{}).(Class)
	switch {
	case marked:
		t.class = class
	case !c.caller.view:
	case !cl.read:
		t.class = ClassSend
	case ctx.Value(askingAgain{}) != nil:
		t.class = ClassLive
	}
	return t
}
