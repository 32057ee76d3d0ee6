package chat

import (
	"context"
	"slices"
	"sync"
)

// Registry lets parts of a program find the Chat that another part connected. The
// functions [Connect], [Init], [Subscribe] and [Get] share one for the whole process,
// as in the JavaScript API. A program with many users can use a Registry for each
// scope, or none. The zero value is ready to use. It is safe for concurrent use.
type Registry struct {
	mu    sync.Mutex
	chat  *Chat
	ready chan struct{} // closed when there is a Chat; nil if nobody waits
}

// Connect is like the function [Connect], for this registry.
func (r *Registry) Connect(ctx context.Context, opts Options) (_ *Chat, err error) {
	defer wrap("connect", &err)
	c, err := connect(ctx, opts)
	if err != nil {
		return nil, err
	}
	r.Set(c)
	return c, nil
}

// Set makes c the Chat of the registry, in place of any other. nil removes the
// current one, so that Get waits again. A Chat is removed from its registries when it
// is closed; setting a closed one does nothing.
func (r *Registry) Set(c *Chat) { r.set(c, true) }

// set is Set. Without replace it does nothing if there is a Chat already.
func (r *Registry) set(c *Chat, replace bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c == nil {
		r.chat = nil
		return
	}
	if c.made() != nil || !replace && r.chat != nil {
		return
	}
	c.mu.Lock() // always after the registry's
	defer c.mu.Unlock()
	if c.calls.Over() {
		return
	}
	if !slices.Contains(c.registries, r) {
		c.registries = append(c.registries, r)
	}
	r.chat = c
	if r.ready != nil {
		close(r.ready)
		r.ready = nil
	}
}

// Get returns the registry's Chat. It waits until there is one, or the context ends.
//
// Errors: the context's cause.
func (r *Registry) Get(ctx context.Context) (_ *Chat, err error) {
	defer wrap("get", &err)
	for {
		if err := alive(ctx); err != nil {
			return nil, err
		}
		r.mu.Lock()
		c := r.chat
		if c == nil && r.ready == nil {
			r.ready = make(chan struct{})
		}
		ready := r.ready
		r.mu.Unlock()
		if c != nil {
			return c, nil
		}
		select {
		case <-ready:
		case <-ctx.Done():
		}
	}
}

// forget removes c if it is still the registry's Chat.
func (r *Registry) forget(c *Chat) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.chat == c {
		r.chat = nil
	}
}

// process is the registry of the package's functions.
var process Registry

// Get returns the Chat that the last [Connect] or [Init] made, unless it was closed;
// when there is none, that of [Subscribe]. It waits until there is one, or the
// context ends. Programs with more than one Chat keep them themselves, or use
// several values of [Registry].
//
// Errors: the context's cause.
func Get(ctx context.Context) (*Chat, error) { return process.Get(ctx) }
