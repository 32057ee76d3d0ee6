package chat

import (
	"context"
	"sync"
)

// Registry is a place where parts of a program find the Chat that another part
// connected. [Get] uses one for the whole process, as the JavaScript API does; a
// server with many users gives each scope a Registry of its own. The zero value
// is ready. It is safe for concurrent use.
type Registry struct {
	mu    sync.Mutex
	chat  *Chat
	ready chan struct{}
}

// Connect is [Connect] for this registry.
func (r *Registry) Connect(ctx context.Context, opts Options) (_ *Chat, err error) {
	defer wrap("connect", &err)
	c, err := connect(ctx, opts)
	if err != nil {
		return nil, err
	}
	r.Set(c)
	return c, nil
}

// Set makes c the Chat of the registry; the last one set wins. nil takes it out,
// so that Get waits again.
func (r *Registry) Set(c *Chat) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.chat = c
	if c != nil && r.ready != nil {
		close(r.ready)
		r.ready = nil
	}
}

// Get waits for the first Chat, or for the context to end.
func (r *Registry) Get(ctx context.Context) (_ *Chat, err error) {
	defer wrap("get", &err)
	for {
		r.mu.Lock()
		if r.chat != nil {
			defer r.mu.Unlock()
			return r.chat, nil
		}
		if r.ready == nil {
			r.ready = make(chan struct{})
		}
		ready := r.ready
		r.mu.Unlock()
		select {
		case <-ready:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
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

// process is the registry behind Connect, Init and Get.
var process Registry

func setDefault(c *Chat)   { process.Set(c) }
func unsetDefault(c *Chat) { process.forget(c) }

// Get returns the Chat of the process: the one the last [Connect] or [Init] made.
// It waits for the first one, or for the context to end (documented). Programs
// with more than one Chat keep them themselves, or use a [Registry] each.
func Get(ctx context.Context) (*Chat, error) { return process.Get(ctx) }
