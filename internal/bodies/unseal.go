package bodies

import (
	"errors"
	"fmt"

	"github.com/fliplet/fliplet-chat-go/internal/envelope"
)

// ErrClosed: the keys of authenticated bodies were wiped.
var ErrClosed = errors.New("the Cipher is closed")

// Unseal opens an authenticated body with the key that it names. find returns nil for a
// name that it does not know.
func Unseal(stored string, at envelope.Binding, find func(id string) (*envelope.AEAD, error)) (string, error) {
	id, ok := envelope.KeyID(stored)
	if !ok {
		return "", fmt.Errorf("%w: damaged, cut, or of a later version", ErrMalformed)
	}
	aead, err := find(id)
	switch {
	case err != nil:
		return "", fmt.Errorf("%w: %w", ErrKeyUnavailable, err)
	case aead == nil:
		return "", fmt.Errorf("%w: sealed with key %q", ErrWrongKey, id)
	}
	body, err := aead.Open(stored, at)
	switch {
	case err == nil:
		return body, nil
	case errors.Is(err, envelope.ErrWiped):
		return "", fmt.Errorf("%w: %w", ErrKeyUnavailable, ErrClosed)
	case errors.Is(err, envelope.ErrUnreadable):
		return "", fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return "", fmt.Errorf("%w: %w", ErrTampered, err)
}
