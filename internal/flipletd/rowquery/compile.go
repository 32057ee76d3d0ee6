package rowquery

// Filter is a compiled where clause. It is immutable and safe for concurrent
// use.
type Filter struct{}

// Compile checks a decoded where clause and prepares it for matching. The
// error is an [*Error].
func Compile(where any) (*Filter, error) {
	return nil, &Error{Kind: Refused, Message: "no clause is understood yet"}
}

// Match reports whether the condition is TRUE for the row; FALSE and NULL
// are both false. The error is an [*Error] where PostgreSQL would fail.
func (f *Filter) Match(r *Row) (bool, error) { return false, nil }
