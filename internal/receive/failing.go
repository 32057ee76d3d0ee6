package receive

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"github.com/fliplet/fliplet-chat-go/internal/feed"
)

// FailedEvent is an event that could not be handled and is tried again.
type FailedEvent struct {
	Conversation, Row int64
	Attempts          int // that failed
	Err               error
}

// Failing are the failures of a consumer. The zero value is empty; it is safe for
// concurrent use.
type Failing struct {
	mu   sync.Mutex
	list []FailedEvent
}

// Note records the outcome of an attempt, and returns what is known of the event. With a
// nil error it is forgotten.
func (f *Failing) Note(e feed.Event, err error) FailedEvent {
	m := FailedEvent{Conversation: e.Row.Conversation, Row: e.Row.ID}
	if e.Gap != nil {
		m.Conversation, m.Row = e.Gap.Conversation, e.Gap.Row
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	i := slices.IndexFunc(f.list, func(o FailedEvent) bool { return o.Conversation == m.Conversation && o.Row == m.Row })
	if i >= 0 {
		m.Attempts = f.list[i].Attempts
		f.list = slices.Delete(f.list, i, i+1)
	}
	if err != nil {
		m.Attempts++
		m.Err = err
		f.list = append(f.list, m)
	}
	return m
}

// All returns the failures, the one with the most attempts first.
func (f *Failing) All() []FailedEvent {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := slices.Clone(f.list)
	slices.SortStableFunc(out, func(a, b FailedEvent) int { return cmp.Compare(b.Attempts, a.Attempts) })
	return out
}

// Consumers are those of one Receiver that run. The zero value is empty; it is safe for
// concurrent use.
type Consumers struct {
	mu   sync.Mutex
	list []*Consumer
}

// Run runs a consumer, which is in the list meanwhile.
func (l *Consumers) Run(ctx context.Context, k *Consumer) error {
	l.mu.Lock()
	l.list = append(l.list, k)
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.list = slices.DeleteFunc(l.list, func(other *Consumer) bool { return other == k })
	}()
	return k.Run(ctx)
}

// All returns them by name.
func (l *Consumers) All() []*Consumer {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := slices.Clone(l.list)
	slices.SortStableFunc(out, func(a, b *Consumer) int { return cmp.Compare(a.Name, b.Name) })
	return out
}
