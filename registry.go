package chat

import (
	"context"
	"slices"
	"sync"
)

// Registry is a place where parts of a program find the Chat that another part
// connected. The functions [Connect], [Init], [Subscribe] and [Get] use one for
// the whole process, as the JavaScript API does; a server with many users gives
// each scope a Registry of its own, or none. The zero value is ready. It is safe
// for concurrent use.
type Registry struct {
	mu    sync.Mutex
	chat  *Chat
	ready chan struct{} // closed when there is a Chat, for those who wait
}

// Connect is the function [Connect] for this registry.
func (r *Registry) Connect(ctx context.Context, opts Options) (_ *Chat, err error) {
	defer wrap("connect", &err)
	c, err := connect(ctx, opts)
	if err != nil {
		return nil, err
	}
	r.Set(c)
	return c, nil
}

// Set makes c the Chat of the registry; the last one set wins. A Chat leaves its
// registries when it is closed, and a closed one is not taken in. nil takes out
// the one that is there, so that Get waits again.
func (r *Registry) Set(c *Chat) { r.set(c, true) }

// set puts c in, unless there is another one that is to stay.
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
	c.mu.Lock() // the registry's lock is taken first, everywhere
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

// Get waits for the first Chat, or for the context to end.
//
// Errors: the context's cause.
func (r *Registry) Get(ctx context.Context) (_ *Chat, err error) {
	defer wrap("get", &err)
	for {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
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

// forget takes c out if it is still the one.
func (r *Registry) forget(c *Chat) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.chat == c {
		r.chat = nil
	}
}

// process is the registry of the package's functions.
var process Registry

// Get returns the Chat of the process: the one the last [Connect] or [Init] made
// and nobody has closed. It waits for the first one, or for the context to end
// (documented). Programs with more than one Chat keep them themselves, or use a
// [Registry] each.
//
// Errors: the context's cause.
func Get(ctx context.Context) (*Chat, error) { return process.Get(ctx) }
