package sift

// ErrorKind says why a where clause was refused, or why it failed on a row.
type ErrorKind uint8

const (
	// UnknownOperator is an operator the language does not have, such as $near.
	UnknownOperator ErrorKind = iota + 1
	// BadRegex is a regular expression that does not parse, has unknown flags,
	// or needs look-around or back-references.
	BadRegex
	// TypeError is an operand, or an operand together with one row, on which
	// the original raises a JavaScript TypeError.
	TypeError
	// Refused is a clause this package will not run at all: $where, or one
	// nested too deep or grown too large.
	Refused
)

// String returns the kind's name: "unknown-operator", "bad-regex",
// "type-error" or "refused".
func (k ErrorKind) String() string {
	switch k {
	case UnknownOperator:
		return "unknown-operator"
	case BadRegex:
		return "bad-regex"
	case TypeError:
		return "type-error"
	case Refused:
		return "refused"
	}
	return "unknown"
}

// Error is the only error type of this package. Kind is for branching, Message
// is a sentence for the person who wrote the clause. Message never holds the
// contents of a row.
type Error struct {
	Kind    ErrorKind
	Message string
}

// Error returns "sift: KIND: MESSAGE".
func (e *Error) Error() string { return "sift: " + e.Kind.String() + ": " + e.Message }
