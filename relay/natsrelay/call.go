package natsrelay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// pause is between two attempts.
	pause = 20 * time.Millisecond
	// longestPause is what it grows to while the server has too many open batches.
	longestPause = 500 * time.Millisecond
	// parts of the Timeout: an attempt waits for its answer for one of them.
	parts = 2

	// What the server says of a batch that it knows nothing of, or not all, and of too many.
	codeIncomplete, codeTooManyOpen, codeTooLarge = 10176, 10210, 10199
)

// answered reports whether an error is what the server said, and not the lack of an answer. That
// it is not ready, or has too many open batches, is no answer.
func answered(err error) bool {
	api, ok := errors.AsType[*jetstream.APIError](err)
	return ok && api.Code != 503 && api.ErrorCode != codeTooManyOpen && api.ErrorCode != codeIncomplete
}

// unsent reports whether an error says that the batch was not stored, and never will be.
func unsent(err error) bool {
	return crowded(err) || errors.Is(err, nats.ErrDisconnected) || errors.Is(err, nats.ErrNoResponders)
}

// crowded reports whether the server may have too many open batches for another one. It says that
// to the first message of a batch; to the last, which waits for an answer, it says that it has not
// all of them.
func crowded(err error) bool {
	api, ok := errors.AsType[*jetstream.APIError](err)
	return ok && (api.ErrorCode == codeTooManyOpen || api.ErrorCode == codeIncomplete)
}

// refused reports whether the server refused a batch because it expected another sequence.
func refused(err error) bool {
	api, ok := errors.AsType[*jetstream.APIError](err)
	return ok && (api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence || api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant)
}

// call is one call of a Relay: its requests, until it is answered or out of time.
type call struct {
	relay  *Relay
	parent context.Context
	ctx    context.Context // ends with parent, or the Timeout
	nobody bool            // the server has said that there is nobody to answer
	crowd  time.Duration   // how long it has waited last because of a crowd
}

func (r *Relay) begin(ctx context.Context) (*call, func(), error) {
	if ctx.Err() != nil {
		return nil, nil, context.Cause(ctx)
	}
	within, cancel := context.WithTimeout(ctx, r.timeout)
	return &call{relay: r, parent: ctx, ctx: within}, cancel, nil
}

// again waits before another attempt, and until there is a connection. Its error is that of
// the whole call.
func (c *call) again(err error) error {
	c.nobody = errors.Is(err, nats.ErrNoResponders) || c.nobody && errors.Is(err, context.DeadlineExceeded)
	conn := c.relay.js.Conn()
	wait := pause
	if crowded(err) { // each attempt sends the whole batch, for which there is no room
		c.crowd = min(max(2*c.crowd, pause), longestPause)
		wait = c.crowd/2 + rand.N(c.crowd) //nolint:gosec // others should not try at the same moment; it is no secret
	}
	for first := true; first || !conn.IsConnected(); first = false {
		if conn.IsClosed() {
			return fmt.Errorf("%w: the connection was closed: %w", ErrUnavailable, err)
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-c.ctx.Done():
			t.Stop()
			if c.parent.Err() != nil {
				return context.Cause(c.parent)
			}
			if c.nobody {
				return fmt.Errorf("%w within %v: stream %s was deleted, or has no leader now: %w", ErrUnavailable, c.relay.timeout, c.relay.stream, err)
			}
			return fmt.Errorf("%w within %v, the connection is %v: %w", ErrUnavailable, c.relay.timeout, conn.Status(), err)
		}
	}
	return nil
}

// errCut ends an attempt whose connection is gone, and with it the answer.
var errCut = errors.New("the connection was cut")

// try makes one attempt with a part of the time, and without one if there is no connection.
// The client library would wait on for an answer that cannot come any more.
func (c *call) try(attempt func(context.Context) error) error {
	conn := c.relay.js.Conn()
	epoch := conn.Stats().Reconnects
	if !conn.IsConnected() {
		return nats.ErrDisconnected
	}
	ctx, cancel := context.WithTimeout(c.ctx, c.relay.timeout/parts)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- attempt(ctx) }()
	look := time.NewTicker(pause)
	defer look.Stop()
	for {
		select {
		case err := <-done:
			return err
		case <-look.C:
			if !conn.IsConnected() || conn.Stats().Reconnects != epoch {
				cancel()
				if err := <-done; err == nil || answered(err) {
					return err
				}
				return errCut
			}
		}
	}
}

// message is what the stream has as a position.
type message struct {
	sequence uint64
	headers  nats.Header
	data     []byte
}

// last asks the leader of the stream for the last position. The direct requests of a stream are
// answered by whichever replica is near, which may be behind.
func (c *call) last() (m message, err error) {
	for {
		err = c.try(func(ctx context.Context) error { m, err = c.ask(ctx); return err })
		if err == nil || answered(err) {
			return m, err
		}
		if err := c.again(err); err != nil {
			return m, err
		}
	}
}

func (c *call) ask(ctx context.Context) (message, error) {
	req, err := json.Marshal(map[string]string{"last_by_subj": c.relay.subject})
	if err != nil {
		return message{}, err
	}
	raw, err := c.relay.js.Conn().RequestWithContext(ctx, c.relay.api+"STREAM.MSG.GET."+c.relay.stream, req)
	if err != nil {
		return message{}, err
	}
	var answer struct {
		Error   *jetstream.APIError `json:"error"`
		Message *struct {
			Sequence uint64 `json:"seq"`
			Headers  []byte `json:"hdrs"`
			Data     []byte `json:"data"`
		} `json:"message"`
	}
	switch err := json.Unmarshal(raw.Data, &answer); {
	case err != nil:
		return message{}, fmt.Errorf("an answer that cannot be read: %w", err)
	case answer.Error != nil && answer.Error.ErrorCode == jetstream.JSErrCodeMessageNotFound:
		return message{}, nil
	case answer.Error != nil:
		return message{}, answer.Error
	case answer.Message == nil:
		return message{}, errors.New("an answer without a message")
	}
	m := message{sequence: answer.Message.Sequence, data: answer.Message.Data}
	if len(answer.Message.Headers) > 0 {
		if m.headers, err = nats.DecodeHeadersMsg(answer.Message.Headers); err != nil {
			return message{}, fmt.Errorf("headers that cannot be read: %w", err)
		}
	}
	return m, nil
}
