package relay

import (
	"context"
	"errors"
	"sync"
)

// What an error means, for errors.Is.
var (
	// ErrFenced: the position in the stream is another one than the step expected. Somebody
	// else has written it, and nothing of the step was stored.
	ErrFenced = errors.New("relay: another owner has moved the position")
	// ErrOtherStream: the stream is not the one that this Storage knows. It was made anew or
	// emptied, or there are two clusters with one name. Nothing was sent, because all messages
	// might be sent again.
	ErrOtherStream = errors.New("relay: the stream is another one than before")
	// ErrNewer: the position was written by a newer version of this package. Use that one.
	ErrNewer = errors.New("relay: the position was written by a newer version")
	// ErrTooMany: the step has more events than the stream takes in one.
	ErrTooMany = errors.New("relay: too many events in one step")
	// ErrSettings: the stream has settings with which events or positions would be lost. The
	// error names the setting and the fix.
	ErrSettings = errors.New("relay: the stream's settings do not fit")
)

// Event is one event for a stream.
type Event struct {
	// Conversation and Message are the ids of the message that the event is about.
	Conversation, Message int64
	// Version tells one version of a message from another, such as before and after an edit.
	// The same version of a message has the same text, whoever makes the event, and when.
	Version string
	// Data is what the stream gets, JSON in the form of [Envelope].
	Data []byte
	// Stub is what the stream gets if Data is too large for it, nil if there is none: then an
	// event that is too large fails its step.
	Stub []byte
}

// Position is what a stream has as the last position of a shard.
type Position struct {
	// Data is the position; nil if there is none yet.
	Data []byte
	// Version is greater for a later position, and 0 for none.
	Version uint64
}

// Relay is one shard of a stream: events, and the position behind the last of them. It is safe
// for concurrent use.
type Relay interface {
	// Load returns the last position that was committed by anybody.
	Load(ctx context.Context) (Position, error)
	// Commit stores events in their order, and the position behind them, in one atomic step, if
	// the last position is still the one of version after. It returns the new version.
	//
	// An error that matches [ErrFenced] says that it is not, and that nothing was stored by this
	// call, unless somebody has committed after it. After any other error the step may have been
	// taken or not, as a whole: Load tells.
	Commit(ctx context.Context, after uint64, position []byte, events []Event) (version uint64, err error)
}

// Memory is a [Relay] that keeps what it gets, for tests and examples.
type Memory struct {
	mu     sync.Mutex
	at     Position
	events []Event
}

// NewMemory returns an empty one.
func NewMemory() *Memory { return &Memory{} }

// Load implements [Relay].
func (m *Memory) Load(ctx context.Context) (Position, error) {
	if ctx.Err() != nil {
		return Position{}, context.Cause(ctx)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return Position{Data: append([]byte(nil), m.at.Data...), Version: m.at.Version}, nil
}

// Commit implements [Relay].
func (m *Memory) Commit(ctx context.Context, after uint64, position []byte, events []Event) (uint64, error) {
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.at.Version != after {
		return 0, ErrFenced
	}
	m.at = Position{Data: append([]byte{}, position...), Version: after + uint64(len(events)) + 1}
	m.events = append(m.events, events...)
	return m.at.Version, nil
}

// Events returns a copy of what was committed, in order.
func (m *Memory) Events() []Event {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]Event(nil), m.events...)
}
