package fliplettest

import (
	"net/http"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd"
)

// Option changes how a server starts.
type Option func(*config)

type config struct {
	flipletd.Config
	inProcess bool
	apps      []int64
	rules     []flipletd.Rule
	onHook    http.Handler
}

// InProcess makes a server without a socket. It is reached through
// [Server.Transport] and [Server.Client] only, runs each request in the
// caller's goroutine, and therefore works inside a testing/synctest bubble,
// where a loopback socket would hang. URL is then a name that no resolver
// knows.
func InProcess() Option { return func(c *config) { c.inProcess = true } }

// WithToken sets the token of the server's API token; the default is a random
// one. It should begin with a region, such as "eu--local".
func WithToken(token string) Option { return func(c *config) { c.Token = token } }

// WithAppID sets the id of the app that the token belongs to; the default is 1.
func WithAppID(id int64) Option { return func(c *config) { c.AppID = id } }

// WithOrganizationID sets the id of the organisation; the default is 1.
func WithOrganizationID(id int64) Option { return func(c *config) { c.OrganizationID = id } }

// WithApps registers further apps of the organisation by id: data sources can
// be created in them. A master app that channels are to live on is one.
func WithApps(ids ...int64) Option {
	return func(c *config) { c.apps = append(c.apps, ids...) }
}

// WithSeed sets the seed of everything random, in levers as well as in tokens, GUIDs and
// the like: the same requests get the same answers, byte for byte, as long as the clock
// tells the same, as it does in a testing/synctest bubble or after
// [Server.FreezeClockAt]. Without it levers have the seed 1, and nobody can guess a token.
func WithSeed(seed uint64) Option { return func(c *config) { c.Seed = seed } }

// WithRateLimit switches on the documented rate limits: 200 requests of data
// sources per 10 s and user, 30 of the audit log, and those of calls that are
// not served here. Without it there is none. [WithLimit], [Server.Limit] and
// [Server.RateLimit] set others.
func WithRateLimit() Option {
	return func(c *config) { c.Limits = append(c.Limits, flipletd.DocumentedLimits()...) }
}

// WithLimit limits a group of calls for every token, user, app or organisation,
// beside the other limits. [Start] fails for one that makes no sense.
func WithLimit(calls Calls, scope Scope, requests int, window time.Duration) Option {
	return func(c *config) { c.Limits = append(c.Limits, newLimit(calls, scope, requests, window)) }
}

// WithMaxBody sets the size in bytes above which a request body is refused
// with 413; the default is 1 GiB, as documented.
func WithMaxBody(bytes int64) Option { return func(c *config) { c.MaxBody = bytes } }

// WithMaxJoins sets how many joins a query may have; one with more is refused with 400.
// The default is any number, as documented. [MaxJoins] is the same as a fault.
func WithMaxJoins(n int) Option { return func(c *config) { c.MaxJoins = n } }
