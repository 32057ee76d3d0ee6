package receive

import "time"

// How long a token is refused, at least, before it counts as revoked: in the words of the
// service, and in JSON that a gateway may have sent.
const (
	refusedInWords = time.Second
	refusedInJSON  = 10 * time.Minute
)

// Refusals tells a revoked token from what somebody on the way refuses, once or for a
// while.
type Refusals struct{ since time.Time }

// End says that something was accepted.
func (r *Refusals) End() { r.since = time.Time{} }

// Another says that there was one more refusal, and whether the service's words were used.
// It reports whether the token was revoked.
func (r *Refusals) Another(inWords bool) bool {
	enough := refusedInJSON
	if inWords {
		enough = refusedInWords
	}
	if r.since.IsZero() {
		r.since = time.Now()
	}
	return time.Since(r.since) >= enough
}
