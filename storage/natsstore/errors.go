package natsstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// What an error means, for errors.Is.
var (
	// ErrUnavailable: the server did not answer in time, or there is no connection to it. The
	// next call may work; nothing has to be opened again.
	ErrUnavailable = errors.New("natsstore: no answer from NATS")
	// ErrUnknown: the answer to a write was lost, and what is stored now does not tell whether
	// the write happened. A read tells what is there.
	ErrUnknown = errors.New("natsstore: the answer to a write was lost")
	// ErrSettings: the bucket exists and has settings with which values would be lost, or it is
	// one of a newer version of this package. The error names the setting and the fix.
	ErrSettings = errors.New("natsstore: the bucket's settings do not fit")
	// ErrTooLarge: the value does not fit into a message of the server.
	ErrTooLarge = errors.New("natsstore: the value is too large")
)

// cause is why a context has ended, nil while it has not.
func cause(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// refused reports whether the server refused a write because it expected another revision, and
// which revision there is; 0 if the server does not say, or if there is none.
func refused(err error) (last uint64, ok bool) {
	api, ok := errors.AsType[*jetstream.APIError](err)
	if !ok || api.ErrorCode != jetstream.JSErrCodeStreamWrongLastSequence && api.ErrorCode != jetstream.JSErrCodeStreamWrongLastSequenceConstant {
		return 0, false
	}
	if _, number, found := strings.Cut(api.Description, "sequence: "); found {
		last, _ = strconv.ParseUint(number, 10, 64)
	}
	return last, true
}

// tooLarge reports whether a message was not taken because of its size.
func tooLarge(err error) bool {
	return errors.Is(err, nats.ErrMaxPayload) || errors.Is(err, jetstream.ErrStreamMessageExceedsMaximum)
}

// answered reports whether an error is what the server said, and not the lack of an answer.
// That it is not ready, or still busy with the same message, is no answer.
func answered(err error) bool {
	api, ok := errors.AsType[*jetstream.APIError](err)
	return ok && api.Code != 503 && api.Code != 409
}

// wrap adds the operation, once.
func wrap(op string, err *error) {
	if *err != nil {
		*err = fmt.Errorf("natsstore: %s: %w", op, *err)
	}
}
