package datasource

import "errors"

var errUnfinished = errors.New("datasource: not built yet")

// Client talks to one Fliplet API host with one token. It is safe for concurrent use.
type Client struct{}

// NewClient checks cfg and returns a Client.
func NewClient(cfg Config) (*Client, error) { return nil, errUnfinished }

// BaseURL is the API base without a trailing slash, e.g. "https://api.fliplet.com".
func (c *Client) BaseURL() string { return "" }

// CloseIdle closes the idle connections of the transport.
func (c *Client) CloseIdle() {}
