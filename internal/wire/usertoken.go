package wire

import "net/url"

// InsertParams are the parameters of an insert with the sender's chat token. That an
// insert takes the token is documented; that it goes into the URL is inferred from the
// call's other options. It must not go into the body: there each member is a column, as
// documented, so a server that expects it elsewhere would store it for every member of
// the conversation to read. It is the only chat token in a URL.
func InsertParams(token string) url.Values {
	if token == "" {
		return nil
	}
	return url.Values{UserToken: {token}}
}
