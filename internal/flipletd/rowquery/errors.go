package rowquery

import (
	"fmt"
	"strconv"
	"unicode/utf8"
)

// ErrorKind says what is wrong with a where clause.
type ErrorKind int

// The kinds of [Error].
const (
	// UnknownOperator is a key that begins with $ and is no operator, or an
	// operator that stands where there is nothing to apply it to.
	UnknownOperator ErrorKind = iota + 1
	// UnknownColumn is a key that names no column of the entries table.
	UnknownColumn
	// BadValue is an operand that the column or the operator cannot take, or
	// a stored value that PostgreSQL cannot cast for it.
	BadValue
	// Refused is a clause that is understood and deliberately not evaluated,
	// such as one that is nested too deeply.
	Refused
)

// Error is the reason why a where clause cannot be compiled, or why
// PostgreSQL would fail on a row. Match it with errors.As. A server answers
// 400 with Message, which names the column or operator at fault and the fix,
// and never repeats an operand or a stored value.
type Error struct {
	Kind    ErrorKind
	Message string
}

// Error returns the message.
func (e *Error) Error() string { return "where: " + e.Message }

func badValue(format string, args ...any) *Error {
	return &Error{Kind: BadValue, Message: fmt.Sprintf(format, args...)}
}

func refused(format string, args ...any) *Error {
	return &Error{Kind: Refused, Message: fmt.Sprintf(format, args...)}
}

func unknownOperator(key, where string) *Error {
	return &Error{Kind: UnknownOperator, Message: fmt.Sprintf("unknown operator %s %s", quoted(key), where)}
}

// quoted makes a key from outside fit for a message.
func quoted(key string) string { return strconv.Quote(shortened(key)) }

func shortened(key string) string {
	const most = 40
	if len(key) <= most {
		return key
	}
	end := most
	for !utf8.RuneStart(key[end]) {
		end--
	}
	return key[:end] + "…"
}
