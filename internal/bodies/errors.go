package bodies

import "errors"

// Protection says how well a stored body is protected; see chat.Protection.
type Protection int

// From least to most.
const (
	Plain Protection = iota
	Encrypted
	Authenticated
)

// Why a body cannot be read; see the values of these names in package chat. None of
// them holds a key or any of the text.
var (
	ErrUnreadable     = errors.New("chat: the body cannot be read")
	ErrWrongKey       = errors.New("chat: no key at hand opens the body")
	ErrTampered       = errors.New("chat: the body was changed after it was sealed")
	ErrMalformed      = errors.New("chat: the body is damaged ciphertext")
	ErrKeyUnavailable = errors.New("chat: the key of the body is not available")
	ErrUnprotected    = errors.New("chat: the body is less protected than Options.MinProtection demands")
)
