package natsrelay

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/fliplet/fliplet-chat-go/relay"
)

const (
	batchID, batchSequence, batchCommit = "Nats-Batch-Id", "Nats-Batch-Sequence", "Nats-Batch-Commit"
	// What a position says of itself: the version of its form, and the attempt that wrote it.
	formHeader, attemptHeader = "Chat-Position", "Chat-Attempt"
	// forever is the lifetime of a message that outlives the stream's MaxAge.
	forever = "never"
	// maxEvents of a batch, which the position belongs to.
	maxEvents = 999
	// headers is the most that a message's headers take.
	headers = 600
)

// Load implements [relay.Relay] in one request.
//
// Errors: [relay.ErrNewer], [ErrUnavailable], what the server said, the context's cause.
func (r *Relay) Load(ctx context.Context) (_ relay.Position, err error) {
	defer wrap("load", &err)
	c, end, err := r.begin(ctx)
	if err != nil {
		return relay.Position{}, err
	}
	defer end()
	m, err := c.last()
	if err != nil || m.sequence == 0 {
		return relay.Position{}, err
	}
	switch form, err := strconv.Atoi(m.headers.Get(formHeader)); {
	case err != nil:
		return relay.Position{}, fmt.Errorf("what is at %s is no position of this package; give another shard", r.subject)
	case form > version:
		return relay.Position{}, fmt.Errorf("%w: %s is of version %d, this one reads %d", relay.ErrNewer, r.subject, form, version)
	}
	return relay.Position{Data: m.data, Version: m.sequence}, nil
}

// Commit implements [relay.Relay] with one batch, whose size is one message for each event and
// one for the position. Without events it is one message.
//
// Errors: [relay.ErrFenced]; [relay.ErrTooMany]; an event or a position that is too large;
// [ErrUnavailable], after which the batch may be there or not; what the server said; the
// context's cause.
func (r *Relay) Commit(ctx context.Context, after uint64, position []byte, events []relay.Event) (_ uint64, err error) {
	defer wrap("commit", &err)
	if len(events) > maxEvents {
		return 0, fmt.Errorf("%w: %d; JetStream takes %d: give a smaller chat.Batch", relay.ErrTooMany, len(events), maxEvents)
	}
	c, end, err := r.begin(ctx)
	if err != nil {
		return 0, err
	}
	defer end()
	batch, err := r.batch(after, position, events)
	if err != nil {
		return 0, err
	}
	var attempts []string
	for {
		attempt := rand.Text()
		attempts = append(attempts, attempt)
		var sequence uint64
		err := c.try(func(ctx context.Context) (err error) { sequence, err = r.send(ctx, attempt, batch); return err })
		switch {
		case err == nil:
			return sequence, nil
		case refused(err):
		case tooLarge(err):
			return 0, fmt.Errorf("%w: %w; give a smaller chat.Batch, or raise max_batch_size of the server", relay.ErrTooMany, err)
		case answered(err):
			return 0, err
		}
		nothing := unsent(err) && len(attempts) == 1
		if nothing {
			attempts = attempts[:0]
		}
		if !refused(err) {
			if err := c.again(err); err != nil {
				return 0, err
			}
			if nothing {
				continue
			}
		}
		last, settled := c.last()
		switch {
		case settled != nil:
			return 0, fmt.Errorf("the answer to a batch was lost: %w", settled)
		case slices.Contains(attempts, last.headers.Get(attemptHeader)):
			return last.sequence, nil
		case last.sequence != after:
			return 0, fmt.Errorf("%w: the last position is %d, and %d was expected", relay.ErrFenced, last.sequence, after)
		}
		// It is not there, but perhaps on its way, or somebody else's is. Of those that expect the
		// same position the server stores one.
		if err := c.again(err); err != nil {
			return 0, err
		}
	}
}

func tooLarge(err error) bool {
	api, ok := errors.AsType[*jetstream.APIError](err)
	return ok && api.ErrorCode == codeTooLarge
}

// batch makes the messages of a batch, without what is different in each attempt.
func (r *Relay) batch(after uint64, position []byte, events []relay.Event) ([]*nats.Msg, error) {
	room := r.js.Conn().MaxPayload()
	if r.maxMsg > 0 {
		room = min(room, int64(r.maxMsg))
	}
	room -= headers
	if int64(len(position)) > room {
		return nil, fmt.Errorf("a position of %d bytes does not fit; raise max_payload of the server to at least %d", len(position), len(position)+headers)
	}
	at := nats.NewMsg(r.subject)
	at.Data = position
	at.Header.Set(formHeader, strconv.Itoa(version))
	at.Header.Set(jetstream.MsgRollup, jetstream.MsgRollupSubject)
	at.Header.Set(jetstream.MsgTTLHeader, forever)
	if !r.unsafe {
		at.Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(after, 10))
	}
	at.Header.Set(jetstream.ExpectedStreamHeader, r.stream)
	batch := []*nats.Msg{at}
	for _, e := range events {
		m := nats.NewMsg("chat.msg." + strconv.FormatInt(e.Conversation, 10))
		m.Data = e.Data
		if int64(len(e.Data)) > room && e.Stub != nil {
			m.Data = e.Stub
		}
		if int64(len(m.Data)) > room {
			return nil, fmt.Errorf("the event of message %d has %d bytes, which do not fit; raise max_payload of the server to at least %d", e.Message, len(m.Data), len(m.Data)+headers)
		}
		m.Header.Set("Chat-Message", strconv.FormatInt(e.Message, 10))
		m.Header.Set("Chat-Version", e.Version)
		batch = append(batch, m)
	}
	return batch, nil
}

// send makes one attempt, and returns the sequence of the position.
func (r *Relay) send(ctx context.Context, attempt string, batch []*nats.Msg) (uint64, error) {
	conn := r.js.Conn()
	batch[0].Header.Set(attemptHeader, attempt)
	for i, m := range batch {
		if len(batch) == 1 {
			break
		}
		m.Header.Set(batchID, attempt)
		m.Header.Set(batchSequence, strconv.Itoa(i+1))
		if i == len(batch)-1 {
			m.Header.Set(batchCommit, "1")
		} else if err := conn.PublishMsg(m); err != nil {
			return 0, err
		}
	}
	raw, err := conn.RequestMsgWithContext(ctx, batch[len(batch)-1])
	if err != nil {
		return 0, err
	}
	var ack struct {
		Error    *jetstream.APIError `json:"error"`
		Sequence uint64              `json:"seq"`
	}
	switch err := json.Unmarshal(raw.Data, &ack); {
	case err != nil:
		return 0, fmt.Errorf("an answer that cannot be read: %w", err)
	case ack.Error != nil:
		return 0, ack.Error
	case ack.Sequence < uint64(len(batch)):
		return 0, fmt.Errorf("an answer with the sequence %d to %d messages", ack.Sequence, len(batch))
	}
	return ack.Sequence - uint64(len(batch)) + 1, nil
}
