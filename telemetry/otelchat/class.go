package otelchat

import (
	"context"
	"errors"
	"strconv"

	"go.opentelemetry.io/otel/metric"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
)

// A class is the error.type of an error: one of the constants, whatever servers answer and
// functions return. Its text is never used.
type class int

const (
	none class = iota
	other
	canceled
	timeout
	unreachable
	noSlot
	panicked
	s400
	s401
	s403
	s404
	s409
	s429
	s4xx
	s500
	s502
	s503
	s504
	s5xx
	classes // how many
)

var words = [classes]string{
	none: "", other: "_OTHER", canceled: "canceled", timeout: "timeout", unreachable: "unreachable", noSlot: "no_slot", panicked: "panic",
	s400: "400", s401: "401", s403: "403", s404: "404", s409: "409", s429: "429", s4xx: "4xx",
	s500: "500", s502: "502", s503: "503", s504: "504", s5xx: "5xx",
}

func (c class) String() string { return words[c] }

// byStatus finds the class of a status.
var byStatus = func() map[int]class {
	m := map[int]class{}
	for c := s400; c < classes; c++ {
		if status, err := strconv.Atoi(words[c]); err == nil {
			m[status] = c
		}
	}
	return m
}()

// classOf is the class of an error.
func classOf(err error) class {
	if err == nil {
		return none
	}
	if _, ok := errors.AsType[*chat.PanicError](err); ok {
		return panicked
	}
	if answer, ok := errors.AsType[*datasource.Error](err); ok {
		c, known := byStatus[answer.StatusCode]
		switch {
		case known:
			return c
		case answer.StatusCode >= 500 && answer.StatusCode < 600:
			return s5xx
		case answer.StatusCode >= 400 && answer.StatusCode < 500:
			return s4xx
		}
		return other
	}
	switch {
	case errors.Is(err, datasource.ErrNoSlot):
		return noSlot
	case errors.Is(err, datasource.ErrNoAnswer), errors.Is(err, context.DeadlineExceeded):
		return timeout
	case errors.Is(err, context.Canceled):
		return canceled
	case datasource.Temporary(err):
		return unreachable
	}
	return other
}

// Of a histogram every class costs ten series, so these have few.

// ofServer is the class of what is asked of the server.
func (c class) ofServer() class {
	switch {
	case c == none:
		return none
	case c == timeout || c == unreachable || c >= s500 || c == s429:
		return unreachable
	case c >= s400:
		return s4xx
	}
	return other
}

// ofFunction is the class of what a function of the program returns.
func (c class) ofFunction() class {
	if c == none || c == panicked {
		return c
	}
	return other
}

// byClass are the options of each class, made once: a measurement allocates none.
type byClass[O any] [classes][]O

func (b *byClass[O]) of(err error) []O { return b[classOf(err)] }

// added and recorded make them. with are the attributes that all have.
func added(with ...attr) (b byClass[metric.AddOption]) {
	for c := range classes {
		b[c] = []metric.AddOption{metric.WithAttributeSet(set(c, with))}
	}
	return b
}

func recorded(coarse func(class) class, with ...attr) (b byClass[metric.RecordOption]) {
	for c := range classes {
		b[c] = []metric.RecordOption{metric.WithAttributeSet(set(coarse(c), with))}
	}
	return b
}
