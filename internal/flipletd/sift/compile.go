package sift

// Filter is a prepared where clause. It is immutable and safe for concurrent
// use.
type Filter struct{}

// Compile prepares a where clause. where is decoded JSON: map[string]any,
// []any, string, json.Number or float64, bool or nil. Every error is an *Error.
func Compile(where any) (*Filter, error) {
	return nil, &Error{Kind: Refused, Message: "the query language is not built yet"}
}

// Match reports whether doc, the decoded JSON of a row's data with numbers as
// json.Number or float64, satisfies the clause. An error is an *Error of kind
// TypeError: the original raises on this row.
func (f *Filter) Match(doc any) (bool, error) {
	return false, &Error{Kind: TypeError, Message: "the query language is not built yet"}
}
