package debugpage

import (
	"context"
	"errors"
	"fmt"

	"github.com/fliplet/fliplet-chat-go/datasource"
)

// maxText bounds the text of an error.
const maxText = 300

// Text is what the page says of an error: what the server answered, or that it did not.
// Of any other error it is the type alone. What a function of the program, or its Storage,
// has returned may hold a message, or an address with a password.
func Text(err error) string {
	if answer, ok := errors.AsType[*datasource.Error](err); ok {
		text := []rune(answer.Error())
		if len(text) > maxText {
			text = append(text[:maxText], '…')
		}
		return string(text)
	}
	for _, known := range []error{datasource.ErrImpaired, datasource.ErrNoSlot, datasource.ErrNoAnswer, context.DeadlineExceeded, context.Canceled} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	if datasource.Temporary(err) {
		return "the server cannot be reached"
	}
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return fmt.Sprintf("%T", err)
		}
		err = inner
	}
}
