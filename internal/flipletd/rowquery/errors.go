package rowquery

// ErrorKind says what is wrong with a where clause.
type ErrorKind int

// The kinds of [Error].
const (
	// UnknownOperator is a key that begins with $ and is not an operator, or
	// an operator where it has no meaning.
	UnknownOperator ErrorKind = iota + 1
	// UnknownColumn is a key that names no column of the entries table.
	UnknownColumn
	// BadValue is an operand that the column or the operator cannot take.
	BadValue
	// Refused is a clause that is understood but not evaluated, such as one
	// nested too deeply.
	Refused
)

// Error is the reason why a where clause cannot be compiled, or why
// PostgreSQL would fail on a row. Match it with errors.As. A server answers
// 400 with Message, which names the column or operator at fault and never
// repeats an operand or a stored value.
type Error struct {
	Kind    ErrorKind
	Message string
}

// Error returns the message.
func (e *Error) Error() string { return "where: " + e.Message }
