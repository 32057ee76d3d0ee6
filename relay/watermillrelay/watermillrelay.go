// Package watermillrelay is a [relay.Relay] to a publisher of Watermill: Kafka, RabbitMQ, SQL and
// what else Watermill knows.
//
// # At least once
//
// A publisher has no atomic step with a position, so this relay delivers at least once. It publishes the
// events of a step, one after the other, and moves the position in a Storage when the broker has
// taken all of them. Nothing is lost. What a crash, a lost answer or a lease that changes hands
// leaves between the two is published again: up to the events of one step for each of those.
// Within a conversation events come in order. Only the repetitions of a process that was
// suspended in the middle of a step may come after later events: who leaves out repetitions
// does not see it.
//
// So that readers can leave repetitions out, the UUID of a message is made from the ids of the
// message and its version ([UUID]), and is the same each time. Whoever needs exactly once without that
// takes natsrelay, or a Storage with transactions in the database that the effects are in.
package watermillrelay

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/fliplet/fliplet-chat-go/relay"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// What the metadata of a message has besides its payload.
const (
	// Conversation and Message are the keys of the two ids, decimal. A Kafka partitioner that
	// uses Conversation keeps the order within it.
	Conversation = "chat_conversation"
	Message      = "chat_message"
	// Version is the key of the version of the message.
	Version = "chat_version"
)

// Relay publishes events. It is safe for concurrent use if the publisher is.
type Relay struct {
	publisher message.Publisher
	topic     string
	store     storage.Store
	key       string
	turn      chan struct{} // holds the step that is under way
}

var _ relay.Relay = (*Relay)(nil)

// New returns a Relay that publishes to a topic, and keeps the position of a shard in s, which all
// replicas share. A step costs what its events cost, and two requests to s.
//
// Errors: an argument that is missing.
func New(p message.Publisher, topic string, s storage.Store, shard string) (*Relay, error) {
	switch {
	case p == nil:
		return nil, errors.New("watermillrelay: p is nil; give a Publisher")
	case topic == "":
		return nil, errors.New("watermillrelay: topic is empty")
	case s == nil:
		return nil, errors.New("watermillrelay: s is nil; give the Storage that the replicas share")
	case shard == "" || len(shard) > 200:
		return nil, errors.New("watermillrelay: shard: want 1 to 200 bytes that name the consumer")
	}
	return &Relay{publisher: p, topic: topic, store: s, key: "watermill/" + shard + "/position", turn: make(chan struct{}, 1)}, nil
}

// Load implements [relay.Relay].
func (r *Relay) Load(ctx context.Context) (relay.Position, error) {
	p, _, err := r.load(ctx)
	return p, err
}

// load returns the position, and the value that it was read from.
func (r *Relay) load(ctx context.Context) (relay.Position, []byte, error) {
	raw, err := r.store.Get(ctx, r.key)
	if errors.Is(err, storage.ErrNotFound) {
		return relay.Position{}, nil, nil
	}
	if err != nil {
		return relay.Position{}, nil, fmt.Errorf("watermillrelay: %w", err)
	}
	if len(raw) < 8 {
		return relay.Position{}, nil, fmt.Errorf("watermillrelay: what is stored at %s is no position; use another shard", r.key)
	}
	return relay.Position{Version: binary.BigEndian.Uint64(raw), Data: raw[8:]}, raw, nil
}

// Commit publishes events, and then moves the position, if it is still the one of version after.
// When somebody else moves it in between, the events are published all the same. Steps of one
// Relay wait for each other.
//
// It returns when ctx ends, also from a publisher that does not: then the next step waits for
// that publisher, so that nothing overtakes what it has in hand.
//
// Errors: [relay.ErrFenced]; those of the publisher and of the Storage; the context's cause.
func (r *Relay) Commit(ctx context.Context, after uint64, position []byte, events []relay.Event) (uint64, error) {
	select {
	case r.turn <- struct{}{}:
	case <-ctx.Done():
		return 0, fmt.Errorf("watermillrelay: another step is under way: %w", context.Cause(ctx))
	}
	hangs := false
	defer func() {
		if !hangs {
			<-r.turn
		}
	}()
	now, raw, err := r.load(ctx)
	if err != nil {
		return 0, err
	}
	if now.Version != after {
		return 0, fmt.Errorf("watermillrelay: %w", relay.ErrFenced)
	}
	for i := range events {
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		if hangs, err = r.publish(ctx, &events[i]); err != nil {
			return 0, fmt.Errorf("watermillrelay: publish message %d: %w", events[i].Message, err)
		}
	}
	next := append(binary.BigEndian.AppendUint64(nil, after+1), position...)
	swapped, err := r.store.CompareAndSwap(ctx, r.key, raw, next)
	if err != nil {
		return 0, fmt.Errorf("watermillrelay: %w", err)
	}
	if !swapped {
		return 0, fmt.Errorf("watermillrelay: %w", relay.ErrFenced)
	}
	return after + 1, nil
}

// publish publishes one event. If ctx ends first, hangs is true, and the turn is given back when
// the publisher returns.
func (r *Relay) publish(ctx context.Context, e *relay.Event) (hangs bool, err error) {
	m := messageOf(ctx, e)
	done, left := make(chan error), make(chan struct{})
	var panicked any
	go func() {
		err := errors.New("the publisher ended its goroutine")
		defer func() {
			panicked = recover()
			select {
			case done <- err:
			case <-left:
				<-r.turn
			}
		}()
		err = r.publisher.Publish(r.topic, m)
	}()
	select {
	case err = <-done:
		if panicked != nil {
			panic(panicked)
		}
		return false, err
	case <-ctx.Done():
		close(left)
		return true, context.Cause(ctx)
	}
}

func messageOf(ctx context.Context, e *relay.Event) *message.Message {
	m := message.NewMessage(UUID(*e), append([]byte(nil), e.Data...))
	m.Metadata.Set(Conversation, strconv.FormatInt(e.Conversation, 10))
	m.Metadata.Set(Message, strconv.FormatInt(e.Message, 10))
	m.Metadata.Set(Version, e.Version)
	m.SetContext(ctx)
	return m
}

// UUID is the id of an event's message: the same for the same version of a message, whoever
// publishes it, and when. It has the form of a UUID of version 8.
func UUID(e relay.Event) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "fliplet-chat-go/%d/%d/%s", e.Conversation, e.Message, e.Version))
	sum[6], sum[8] = sum[6]&0x0f|0x80, sum[8]&0x3f|0x80
	h := hex.EncodeToString(sum[:16])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
