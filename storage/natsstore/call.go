package natsstore

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// operation is the header of a message that says that a key has no value.
	operation = "KV-Operation"
	purge     = "PURGE"
	// mark tells one write from all others. The server remembers it for two minutes.
	mark = jetstream.MsgIDHeader
	// pause is between two attempts.
	pause = 20 * time.Millisecond
	// parts of the Timeout: an attempt waits for its answer for one of them.
	parts = 2
	// headers is the most that a write's headers take.
	headers = 300
)

// entry is the last message of a key.
type entry struct {
	revision uint64 // 0: there is no message
	exists   bool   // it is a value
	value    []byte
	mark     string
	expected string // the revision that it replaced, as far as its writer said
}

// call is one call of a Store: its requests, until it is answered or out of time.
type call struct {
	store   *Store
	parent  context.Context
	ctx     context.Context // ends with parent, or the Timeout
	subject string
	nobody  bool // the server has said that there is nobody to answer
}

func (s *Store) begin(ctx context.Context, key string) (*call, func(), error) {
	if err := checkKey(key); err != nil {
		return nil, nil, err
	}
	if err := cause(ctx); err != nil {
		return nil, nil, err
	}
	within, cancel := context.WithTimeout(ctx, s.timeout)
	return &call{store: s, parent: ctx, ctx: within, subject: s.prefix + encode(key)}, cancel, nil
}

// again waits before another attempt, and until there is a connection. Its error is that of
// the whole call.
func (c *call) again(err error) error {
	c.nobody = errors.Is(err, nats.ErrNoResponders) || errors.Is(err, jetstream.ErrNoStreamResponse) ||
		c.nobody && errors.Is(err, context.DeadlineExceeded)
	for first := true; first || !c.store.js.Conn().IsConnected(); first = false {
		if c.store.js.Conn().IsClosed() {
			return fmt.Errorf("%w: the connection was closed: %w", ErrUnavailable, err)
		}
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-c.ctx.Done():
			t.Stop()
			return c.ended(err)
		}
	}
	return nil
}

// ended is the error of a call that is out of time.
func (c *call) ended(err error) error {
	if cause := cause(c.parent); cause != nil {
		return cause
	}
	if c.nobody {
		return fmt.Errorf("%w within %v: stream %s was deleted, or has no leader now: %w", ErrUnavailable, c.store.timeout, c.store.stream, err)
	}
	return fmt.Errorf("%w within %v, the connection is %v: %w", ErrUnavailable, c.store.timeout, c.store.js.Conn().Status(), err)
}

// errCut ends an attempt whose connection is gone, and with it the answer.
var errCut = errors.New("the connection was cut")

// try makes one attempt with a part of the time, and without one if there is no connection.
// The client library would wait on for an answer that cannot come any more.
func (c *call) try(attempt func(context.Context) error) error {
	conn := c.store.js.Conn()
	epoch := conn.Stats().Reconnects
	if !conn.IsConnected() {
		return nats.ErrDisconnected
	}
	ctx, cancel := context.WithTimeout(c.ctx, c.store.timeout/parts)
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

// last asks the leader of the stream for the last message of the key.
func (c *call) last() (e entry, err error) {
	for {
		err = c.try(func(ctx context.Context) error { e, err = c.ask(ctx); return err })
		if err == nil || answered(err) {
			return e, err
		}
		if err := c.again(err); err != nil {
			return e, err
		}
	}
}

// ask is one request. The direct requests of a stream are answered by whichever replica is
// near, which may not have heard yet of what was written.
func (c *call) ask(ctx context.Context) (entry, error) {
	req, err := json.Marshal(map[string]string{"last_by_subj": c.subject})
	if err != nil {
		return entry{}, err
	}
	raw, err := c.store.js.Conn().RequestWithContext(ctx, c.store.api+"STREAM.MSG.GET."+c.store.stream, req)
	if err != nil {
		return entry{}, err
	}
	var answer struct {
		Error   *jetstream.APIError `json:"error"`
		Message *struct {
			Revision uint64 `json:"seq"`
			Headers  []byte `json:"hdrs"`
			Data     []byte `json:"data"`
		} `json:"message"`
	}
	switch err := json.Unmarshal(raw.Data, &answer); {
	case err != nil:
		return entry{}, fmt.Errorf("an answer that cannot be read: %w", err)
	case answer.Error != nil && answer.Error.ErrorCode == jetstream.JSErrCodeMessageNotFound:
		return entry{}, nil
	case answer.Error != nil:
		return entry{}, answer.Error
	case answer.Message == nil:
		return entry{}, errors.New("an answer without a message")
	}
	m := answer.Message
	e := entry{revision: m.Revision, exists: true, value: append([]byte{}, m.Data...)}
	if len(m.Headers) > 0 {
		h, err := nats.DecodeHeadersMsg(m.Headers)
		if err != nil {
			return entry{}, fmt.Errorf("headers that cannot be read: %w", err)
		}
		e.exists = !deleted(h)
		e.mark, e.expected = h.Get(mark), h.Get(jetstream.ExpectedLastSubjSeqHeader)
	}
	return e, nil
}

// deleted reports whether a message says that its key has no value: deleted by us, by another
// tool, or by a limit.
func deleted(h nats.Header) bool {
	op := h.Get(operation)
	return op == purge || op == "DEL" || h.Get("Nats-Marker-Reason") != ""
}

// write stores a value, or that there is none, if expected is the revision of the last message
// of the key. If it is not, stored is false and last is the present revision, 0 if unknown.
func (c *call) write(value []byte, remove bool, expected uint64) (stored bool, last uint64, err error) {
	m := nats.NewMsg(c.subject)
	m.Data = value
	mine := rand.Text()
	m.Header.Set(mark, mine)
	m.Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(expected, 10))
	if remove {
		m.Header.Set(operation, purge)
		m.Header.Set(jetstream.MsgRollup, jetstream.MsgRollupSubject)
		if c.store.ttl {
			m.Header.Set(jetstream.MsgTTLHeader, marker.String())
		}
	}
	if limit := c.store.js.Conn().MaxPayload(); limit > 0 && int64(len(value)) > limit-headers {
		return false, 0, fmt.Errorf("%w: %d bytes, and the server's max_payload is %d; raise max_payload to at least %d", ErrTooLarge, len(value), limit, len(value)+headers)
	}
	began := ""
	for doubt := false; ; {
		if !doubt {
			began = c.server()
		}
		err = c.try(func(ctx context.Context) error { _, err := c.store.js.PublishMsg(ctx, m); return err })
		now, wrong := refused(err)
		switch {
		case err == nil:
			return true, 0, nil
		case tooLarge(err):
			return false, 0, fmt.Errorf("%w: %d bytes: %w", ErrTooLarge, len(value), err)
		case wrong && !doubt:
			return false, now, nil
		case wrong:
			stored, last, err := c.settle(mine, expected, began)
			if stored || last != expected || err != nil {
				return stored, last, err
			}
		case answered(err):
			return false, 0, err
		default:
			// Only these say that nothing was stored. The same message again cannot be stored
			// twice, since both expect the same revision.
			doubt = doubt || !errors.Is(err, nats.ErrDisconnected) && !errors.Is(err, jetstream.ErrNoStreamResponse)
		}
		if err := c.again(err); err != nil {
			return false, 0, err
		}
	}
}

// settle tells what became of a write whose answer was lost, when the server refuses the same
// write now: last is expected if it can still happen, and another revision if it never will.
func (c *call) settle(mine string, expected uint64, began string) (stored bool, last uint64, err error) {
	now := ""
	for {
		err := c.try(func(ctx context.Context) error { now = c.server(); return c.remembered(ctx, mine) })
		if err == nil {
			return true, 0, nil
		}
		if answered(err) && (now != "" || began == "") {
			break
		}
		if err := c.again(err); err != nil {
			return false, 0, fmt.Errorf("%w: %w", ErrUnknown, err)
		}
	}
	e, err := c.last()
	switch {
	case err != nil:
		return false, 0, fmt.Errorf("%w: %w", ErrUnknown, err)
	case e.mark == mine:
		return true, 0, nil
	case e.revision == expected,
		e.expected == strconv.FormatUint(expected, 10), // what took its place replaced what this write expects
		began != "" && began == now:                    // it would remember
		return false, e.revision, nil
	}
	return false, 0, fmt.Errorf("%w, and somebody else has written since", ErrUnknown)
}

// remembered returns nil if the server remembers a write, also one that was replaced. It asks
// with a message of the same mark that is refused otherwise.
func (c *call) remembered(ctx context.Context, mine string) error {
	m := nats.NewMsg(c.subject)
	m.Header.Set(mark, mine)
	m.Header.Set(jetstream.ExpectedLastMsgIDHeader, "none")
	_, err := c.store.js.PublishMsg(ctx, m)
	return err
}

// server is the run of the server that keeps the bucket, "" where it may be another one than
// that of the connection. A run remembers the marks of its last minutes; one of a cluster that
// has restarted may not know those of writes that were replaced.
func (c *call) server() string {
	conn, o := c.store.js.Conn(), c.store.js.Options()
	if conn.ConnectedClusterName() != "" || o.Domain != "" || o.APIPrefix != "" {
		return ""
	}
	return conn.ConnectedServerId()
}
