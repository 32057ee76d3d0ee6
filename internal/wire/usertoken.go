package wire

import "net/url"

// InsertParams is where the sender's chat token goes on an insert: the query
// string, like the other options of that call (inferred). It is not a column, so
// that it can never be stored where others read it.
func InsertParams(token string) url.Values {
	if token == "" {
		return nil
	}
	return url.Values{UserToken: {token}}
}
