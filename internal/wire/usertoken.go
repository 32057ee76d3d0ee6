package wire

import "net/url"

// InsertParams are the parameters of an insert with the sender's chat token. They are
// inferred from the other options of that call. The token is not a column, so that it
// is never stored where others can read it.
func InsertParams(token string) url.Values {
	if token == "" {
		return nil
	}
	return url.Values{UserToken: {token}}
}
